package conflict

import (
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// wide reports services meant for their own machine or network that are bound to
// every address. What the service is comes from the program or the container
// image. Only where the program is hidden, or is a runtime that tells nothing,
// the number is taken for it, and then only if every use of the number is such a
// service; a program that is known to be something else is never accused.
func (in *inspection) wide() {
	type key struct {
		service, program string
		port             monban.Port
	}
	var order []key
	doors := map[key][]monban.Door{}
	facts := map[key]identity{}
	for i := range in.snap.Doors {
		d := &in.snap.Doors[i]
		if d.Bind.Scope() != monban.ScopeEvery ||
			d.State == monban.Bound && d.Bind.Port.Proto == monban.TCP {
			continue
		}
		id, ok := in.identify(d)
		if !ok || !id.use.Kind.Inner() {
			continue
		}
		k := key{id.use.Name, programKey(d, in.snap), d.Bind.Port}
		if len(doors[k]) == 0 {
			order = append(order, k)
			facts[k] = id
		}
		doors[k] = append(doors[k], *d)
	}
	for _, k := range order {
		id, d := facts[k], doors[k][0]
		in.add(monban.Finding{Kind: monban.WideService, Service: k.service, Likely: id.likely, Severity: in.severity(id),
			Evidence: []monban.Evidence{id.evidence}, Fix: in.narrow(&d, k.service)}, doors[k]...)
	}
}

// identity is what a service is, and how that is known.
type identity struct {
	use      portbook.Use
	port     monban.Port // the port the service itself has: inside a container
	likely   bool
	evidence monban.Evidence
}

// identify names the service behind a door.
func (in *inspection) identify(d *monban.Door) (identity, bool) {
	id := identity{port: d.Bind.Port}
	if d.To.Port != 0 {
		id.port.Num = d.To.Port
	}
	if c := containerOf(d, in.snap); c != nil && c.Image != "" {
		id.evidence = monban.Evidence{Source: "image", Text: c.Image}
		if got, ok := id.first(in.book.Practice(id.port), func(u portbook.Use) bool { return u.InImage(c.Image) }); ok {
			return got, true
		}
	}
	if d.To != (monban.Target{}) {
		return identity{}, false // who holds the door is not who answers
	}
	if len(d.Owners) == 0 {
		if d.Unnamed == monban.HiddenKernel {
			return identity{}, false
		}
		return in.byNumber(id)
	}
	o := &d.Owners[0]
	program := o.Exe
	if program == "" {
		program = o.Name
	}
	id.evidence = monban.Evidence{Source: "/proc/" + strconv.Itoa(o.PID) + "/exe", Text: program}
	runs := func(u portbook.Use) bool { return u.RunBy(program, o.Command) }
	// What the program is at this port, before what it may be elsewhere.
	if got, ok := id.first(in.book.Practice(id.port), runs); ok {
		return got, true
	}
	if use := in.program(o, runs); use.Name != "" {
		id.use = use
		return id, true
	}
	if interpreter(o.Name) {
		return in.byNumber(id)
	}
	return identity{}, false
}

// program returns what o is known for at any port, the zero Use if for nothing.
func (in *inspection) program(o *monban.Owner, runs func(portbook.Use) bool) portbook.Use {
	id, ok := in.programs[o]
	if !ok {
		id, _ = identity{}.first(in.book.UsesOf(o.Name), runs)
		in.programs[o] = id
	}
	return id.use
}

func (id identity) first(uses []portbook.Use, is func(portbook.Use) bool) (identity, bool) {
	for _, u := range uses {
		if is(u) {
			id.use = u
			return id, true
		}
	}
	return identity{}, false
}

// byNumber takes the number for the service, if there is no other use of it.
func (in *inspection) byNumber(id identity) (identity, bool) {
	uses := slices.DeleteFunc(in.book.Practice(id.port), func(u portbook.Use) bool { return !u.MetOn(in.snap.Host.OS) })
	for _, u := range uses {
		if !u.Kind.Inner() {
			return identity{}, false
		}
	}
	if len(uses) == 0 {
		return identity{}, false
	}
	id.use, id.likely = uses[0], true
	id.evidence = monban.Evidence{Source: "port book", Text: id.port.String()}
	return id, true
}

// interpreter reports whether a program is what other programs run on, so that its
// name does not tell what it does.
func interpreter(name string) bool {
	name = strings.ToLower(strings.TrimRight(name, "0123456789."))
	switch name {
	case "java", "python", "node", "nodejs", "beam.smp", "beam", "erl", "ruby", "php", "perl", "dotnet", "mono", "deno", "bun",
		"pypy", "guile", "wine64-preloader", "wineserver":
		return true
	}
	return false
}

// severity is the port book's, which rests on what has happened to exposed
// services of the kind. Without a row a service that gives away data or control
// is Medium, and one that only tells about the machine is Low. What only follows
// from the number is never more than Low.
func (in *inspection) severity(id identity) monban.Severity {
	s := monban.Medium
	if id.use.Kind == portbook.Monitoring {
		s = monban.Low
	}
	if risks := in.book.RisksOf(id.use); len(risks) > 0 { // the most severe
		s = risks[0].Severity
	}
	if id.likely {
		s = min(s, monban.Low)
	}
	return s
}

// narrow returns how to let fewer people in.
func (in *inspection) narrow(d *monban.Door, service string) []monban.Fix {
	num := strconv.Itoa(int(d.Bind.Port.Num))
	limit := monban.Fix{Code: FixLimitSources, Args: []string{num}}
	if c := containerOf(d, in.snap); c != nil && d.To.Port != 0 {
		return []monban.Fix{{Code: FixPublishLoopback,
			Args: []string{c.Name, "127.0.0.1:" + num + ":" + strconv.Itoa(int(d.To.Port))}}, limit}
	}
	return []monban.Fix{{Code: FixBindLoopback, Args: []string{service, loopbackLike(d.Bind.Addr).String(), num}}, limit}
}
