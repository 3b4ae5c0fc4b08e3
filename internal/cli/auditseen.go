package cli

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
	"github.com/monban-dev/monban/probe"
)

// sightings is what somebody saw of this machine from outside.
type sightings struct {
	observer report.Observer
	gaps     []monban.Gap

	asked       []monban.PortRange
	interrupted bool
	states      map[doorAt]monban.SightState
	counts      map[netip.Addr]report.ScanCount
	// from is the observer's address towards each of this machine's, as far as
	// nothing on the way can have changed it.
	from map[netip.Addr]netip.Addr
}

type doorAt struct {
	target netip.Addr
	port   monban.Port
}

// observed returns what was seen from where the options say, nil if from nowhere.
func (a *app) observed(ctx context.Context, o *auditOptions, snap *monban.Snapshot, book *portbook.Book) (*sightings, error) {
	switch {
	case o.from != "":
		return a.lookFrom(ctx, o, snap, book)
	case o.seen == "":
		return nil, nil
	}
	text, err := a.readNamed(o.seen)
	if err != nil {
		return nil, report.CannotRead(o.seen, err)
	}
	a.keep()
	out, err := readScan(text)
	if err != nil {
		return nil, report.NotAScan(o.seen)
	}
	as, err := o.translations(&snap.Host)
	if err != nil {
		return nil, err
	}
	s, err := sightingsOf(out, &snap.Host, as)
	if err != nil {
		return nil, report.NotAScan(o.seen)
	}
	s.observer.File = o.seen
	for _, t := range s.observer.As {
		if !out.asked(t.Seen) {
			return nil, report.NotScanned(o.seen, t.Seen)
		}
	}
	if len(s.observer.Targets) == 0 {
		return nil, report.ScanOfOthers(o.seen, s.observer.Foreign)
	}
	here := out.Host.Name == snap.Host.Name && out.Host.NetNS == snap.Host.NetNS && out.Host.NetNS != "" && len(s.observer.From) == 0
	if here || slices.ContainsFunc(s.observer.From, snap.Host.HasAddr) {
		return nil, report.ScanFromHere(o.seen)
	}
	if o.seenFrom != "" {
		addr, err := netip.ParseAddr(o.seenFrom)
		if err != nil {
			return nil, report.BadAddress("--seen-from", o.seenFrom)
		}
		addr = addr.Unmap()
		s.observer.From = []netip.Addr{addr}
		clear(s.from)
		for _, t := range s.observer.Targets {
			if t.Is4() == addr.Is4() {
				s.from[t] = addr
			}
		}
	}
	return s, nil
}

// lookFrom scans this machine from a network namespace: all TCP doors of its
// addresses, and the UDP doors that are open here, or the ports that -p names.
func (a *app) lookFrom(ctx context.Context, o *auditOptions, snap *monban.Snapshot, book *portbook.Book) (*sightings, error) {
	targets, left := outerAddresses(&snap.Host)
	if len(targets) == 0 {
		return nil, report.NothingToKnockAt()
	}
	ports := o.ports
	if ports != "" {
		for _, word := range splitList(ports) {
			if _, err := parsePorts(book, []string{word}); err != nil && word != "-" {
				return nil, err
			}
		}
	} else {
		ports = strings.Join(append([]string{"1-65535/tcp"}, udpDoors(snap)...), ",")
	}
	// They are this machine's own, so whoever may audit it may knock at them.
	args := []string{"scan", "--json", "--lang", a.lang.String(), "--all", "--i-am-authorised", "--rate", strconv.Itoa(nearRate), "-p", ports}
	for _, t := range targets {
		args = append(args, t.String())
	}
	text, err := a.runIn(ctx, o.from, args)
	var missing *namespaceError
	switch {
	case errors.As(err, &missing) && missing.absent:
		return nil, report.NoNamespace(o.from, missing.path, missing.err)
	case errors.As(err, &missing):
		return nil, report.CannotEnter(o.from, missing.err)
	case err != nil:
		return nil, err
	}
	out, err := readScan(text)
	if err != nil {
		return nil, report.CannotScan(err)
	}
	if out.Host.NetNS == snap.Host.NetNS {
		return nil, report.OwnNamespace(o.from)
	}
	s, err := sightingsOf(out, &snap.Host, nil)
	if err != nil {
		return nil, report.CannotScan(err)
	}
	s.observer.Namespace = o.from
	if left > 0 {
		s.gaps = append(s.gaps, monban.Gap{Source: "addresses", Err: report.TooManyAddresses, Hides: monban.HidesSightings, Count: left})
	}
	return s, nil
}

// outerAddresses are those of this machine that somebody else can send to without
// naming an interface, and how many are left out because there are too many.
func outerAddresses(h *monban.Host) (out []netip.Addr, left int) {
	for _, i := range h.Interfaces {
		for _, p := range i.Addrs {
			a := p.Addr().Unmap().WithZone("")
			switch {
			case !i.Up || i.Loopback || a.IsLoopback() || a.IsLinkLocalUnicast() || slices.Contains(out, a):
			case len(out) == fewHosts:
				left++
			default:
				out = append(out, a)
			}
		}
	}
	return out, left
}

// udpDoors are the numbers of the UDP doors, as -p takes them.
func udpDoors(snap *monban.Snapshot) (out []string) {
	for i := range snap.Doors {
		if d := &snap.Doors[i]; d.Bind.Port.Proto == monban.UDP && outside(d) && !slices.Contains(out, d.Bind.Port.String()) {
			out = append(out, d.Bind.Port.String())
		}
	}
	return out
}

// sightingsOf takes from a scan what it saw of a host's own addresses, or of those
// that stand for them. What there was no way to from where it was made was not asked,
// and nobody there reaches it.
func sightingsOf(out *scanOutput, h *monban.Host, as []report.SeenAs) (*sightings, error) {
	own, _ := outerAddresses(h)
	unrouted := out.dropUnrouted(func(a netip.Addr) bool { return slices.Contains(own, local(as, a)) })
	s := &sightings{interrupted: out.Data.Interrupted, states: map[doorAt]monban.SightState{}, counts: map[netip.Addr]report.ScanCount{}, from: map[netip.Addr]netip.Addr{}}
	s.observer.At, s.observer.NetNS = out.At, out.Host.NetNS
	s.observer.As, s.observer.Unrouted = as, unrouted
	foreign := func(a netip.Addr) {
		if !slices.Contains(own, a) && !slices.Contains(s.observer.Foreign, a) {
			s.observer.Foreign = append(s.observer.Foreign, a)
		}
	}
	for _, t := range out.Data.Targets {
		p, err := parseTarget(t)
		if err != nil {
			return nil, err
		}
		if p.IsSingleIP() {
			foreign(local(as, p.Addr()))
		}
		for _, a := range own {
			is := func(t report.SeenAs) bool { return t.Local == a }
			asked := p.Contains(a) && !slices.ContainsFunc(as, is) || slices.ContainsFunc(as, func(t report.SeenAs) bool { return is(t) && p.Contains(t.Seen) })
			if asked && !slices.Contains(s.observer.Targets, a) {
				s.observer.Targets = append(s.observer.Targets, a)
			}
		}
	}
	for proto, list := range map[monban.Proto]string{monban.TCP: out.Data.TCP, monban.UDP: out.Data.UDP} {
		for _, word := range splitList(list) {
			r, err := monban.ParsePortRange(word)
			if err != nil {
				return nil, err
			}
			r.Proto = proto
			s.asked = append(s.asked, r)
		}
	}
	everything, shared := map[string]bool{}, map[string][]netip.Prefix{} // by port
	for _, g := range out.Gaps {
		switch g.Error {
		case probe.EverythingAnswers:
			everything[g.Source] = true
			fallthrough
		case probe.OneForAll:
			network, port, _ := strings.Cut(g.Source, " ")
			if p, err := netip.ParsePrefix(network); err == nil {
				shared[port] = append(shared[port], p)
			}
			fallthrough
		case probe.NobodyAnswered, probe.StoppedAnswering, probe.NoRoute, probe.NoNeighbour, probe.ReplyLimit:
			s.gaps = append(s.gaps, monban.Gap{Source: g.Source, Err: g.Error, Hides: monban.HidesSightings, Count: out.concerned(g.Source, g.Error)})
		}
	}
	for _, one := range out.Data.Sightings {
		target := local(as, one.Target)
		if !slices.Contains(own, target) {
			foreign(target)
			continue
		}
		port := monban.Port{Num: one.Port, Proto: one.Proto}
		inShared := slices.ContainsFunc(shared[port.String()], func(p netip.Prefix) bool { return p.Contains(target) })
		if one.State == monban.SightOpen && (everything[one.Target.String()] || inShared) {
			one.State = monban.SightUnknown // something answers for the host
		}
		s.states[doorAt{target, port}] = one.State
	}
	for _, c := range out.Data.Counts {
		target, err := netip.ParseAddr(c.Target)
		if err != nil {
			return nil, err
		}
		scanned := target
		if target = local(as, target); !slices.Contains(own, target) {
			continue
		}
		s.counts[target] = c
		// What the observer is called there says nothing here where a translation
		// is on the way: two private networks may have the same addresses.
		if from, err := netip.ParseAddr(c.From); err == nil && target == scanned.Unmap().WithZone("") {
			from = from.Unmap().WithZone("")
			if !slices.Contains(s.observer.From, from) {
				s.observer.From = append(s.observer.From, from)
			}
			if neighbour(h, from) {
				s.from[target] = from
			}
		}
	}
	return s, nil
}

// local returns the address of this machine that a scanned one stands for.
func local(as []report.SeenAs, a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	for _, t := range as {
		switch a {
		case t.Seen:
			return t.Local
		case t.Local:
			return netip.Addr{} // where the scan was made that is somebody else
		}
	}
	return a
}

// translations reads --seen-as: "203.0.113.5=10.0.0.5".
func (o *auditOptions) translations(h *monban.Host) (out []report.SeenAs, err error) {
	own, _ := outerAddresses(h)
	for _, text := range o.seenAs {
		first, second, _ := strings.Cut(text, "=")
		seen, err1 := netip.ParseAddr(strings.TrimSpace(first))
		here, err2 := netip.ParseAddr(strings.TrimSpace(second))
		t := report.SeenAs{Seen: seen.Unmap(), Local: here.Unmap()}
		switch {
		case err1 != nil, err2 != nil, t.Seen == t.Local:
			return nil, report.BadSeenAs(text)
		case !slices.Contains(own, t.Local):
			return nil, report.NotOwnAddress(text, t.Local, own)
		case slices.ContainsFunc(out, func(o report.SeenAs) bool { return o.Seen == t.Seen || o.Local == t.Local }):
			return nil, report.SeenAsTwice(text)
		}
		out = append(out, t)
	}
	return out, nil
}

// asked reports whether a scan was about an address.
func (out *scanOutput) asked(a netip.Addr) bool {
	return slices.ContainsFunc(out.Data.Targets, func(t string) bool {
		p, err := parseTarget(t)
		return err == nil && p.Contains(a)
	})
}

// dropUnrouted takes out of a scan what it says of targets that there was no way to,
// unless that is all of them, and returns those that are wanted.
func (out *scanOutput) dropUnrouted(wanted func(netip.Addr) bool) (gone []netip.Addr) {
	noRoute := func(g scanGap) bool { return g.Error == probe.NoRoute }
	if !slices.ContainsFunc(out.Gaps, noRoute) {
		return nil
	}
	unrouted := func(c report.ScanCount) bool { return c.From == "" && c.Open+c.Closed+c.Filtered == 0 }
	if !slices.ContainsFunc(out.Data.Counts, func(c report.ScanCount) bool { return !unrouted(c) }) {
		return nil
	}
	for _, c := range out.Data.Counts {
		if a, err := netip.ParseAddr(c.Target); err == nil && unrouted(c) && wanted(a) {
			gone = append(gone, a.Unmap())
		}
	}
	silent := 0
	out.Data.Counts = slices.DeleteFunc(out.Data.Counts, unrouted)
	for _, c := range out.Data.Counts {
		if c.Open+c.Closed == 0 {
			silent++
		}
	}
	out.Data.Targets = slices.DeleteFunc(out.Data.Targets, func(t string) bool {
		a, err := netip.ParseAddr(t)
		return err == nil && slices.Contains(gone, a.Unmap())
	})
	out.Data.Sightings = slices.DeleteFunc(out.Data.Sightings, func(s scanSighting) bool { return slices.Contains(gone, s.Target.Unmap()) })
	out.Gaps = slices.DeleteFunc(out.Gaps, func(g scanGap) bool { return noRoute(g) || g.Error == probe.NobodyAnswered && silent == 0 })
	return gone
}

// concerned counts what a gap of a scan is about, which its JSON does not tell.
func (out *scanOutput) concerned(source, what string) (n int) {
	for _, c := range out.Data.Counts {
		switch {
		case what == probe.NobodyAnswered && c.Open+c.Closed == 0,
			what == probe.StoppedAnswering && source == "network" && c.Open+c.Closed > 0 && c.Unknown > 0:
			n++
		case what == probe.OneForAll:
			n += min(c.Open, 1)
		case c.Target == source && what == probe.EverythingAnswers:
			return c.Open
		case c.Target == source:
			return c.Unknown
		}
	}
	return max(n, 1)
}

// neighbour reports whether an address is in the network of an interface: then no
// translation is on the way. Of any other it is not known what arrives here.
func neighbour(h *monban.Host, a netip.Addr) bool {
	for _, i := range h.Interfaces {
		for _, p := range i.Addrs {
			if i.Up && !i.Loopback && p.Contains(a) {
				return true
			}
		}
	}
	return false
}

// looks are the doors to compare: what was seen open, and the doors of this machine
// that were asked.
func (s *sightings) looks(snap *monban.Snapshot) []monban.Comparison {
	wanted := map[doorAt]bool{}
	var out []monban.Comparison
	add := func(at doorAt) {
		if wanted[at] || !inRanges(s.asked, at.port) {
			return
		}
		wanted[at] = true
		c := monban.Comparison{Target: at.target, From: s.from[at.target], Port: at.port}
		c.Seen, c.Shut = s.state(at)
		out = append(out, c)
	}
	for _, target := range s.observer.Targets {
		for i := range snap.Doors {
			d := &snap.Doors[i]
			if outside(d) && answersAt(&d.Bind, target) {
				add(doorAt{target, d.Bind.Port})
			}
		}
	}
	for at, state := range s.states {
		if state == monban.SightOpen {
			add(at)
		}
	}
	slices.SortFunc(out, func(a, b monban.Comparison) int {
		if c := a.Target.Compare(b.Target); c != 0 {
			return c
		}
		if a.Port.Num != b.Port.Num {
			return int(a.Port.Num) - int(b.Port.Num)
		}
		return int(a.Port.Proto) - int(b.Port.Proto)
	})
	return out
}

// state is what was seen of a door. A scan lists only the open ones unless told
// otherwise; of the rest its counts tell as much as can be known.
func (s *sightings) state(at doorAt) (state monban.SightState, shut bool) {
	if state, ok := s.states[at]; ok {
		return state, false
	}
	c, ok := s.counts[at.target]
	switch {
	case !ok || s.interrupted || c.Unknown > 0 || at.port.Proto == monban.UDP:
		return monban.SightUnknown, false
	case c.Filtered == 0:
		return monban.SightClosed, false
	case c.Closed == 0:
		return monban.SightFiltered, false
	}
	return monban.SightUnknown, true
}

// namespaceError says that a network namespace could not be entered.
type namespaceError struct {
	path   string
	err    error
	absent bool
}

func (e *namespaceError) Error() string { return e.path + ": " + e.err.Error() }
func (e *namespaceError) Unwrap() error { return e.err }
