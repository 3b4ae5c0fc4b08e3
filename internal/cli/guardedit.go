package cli

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/policyfile"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
)

func (g *guarding) runOpen(args []string) error {
	d, err := g.entry(args[0])
	if err != nil {
		return err
	}
	return g.edit(func(text []byte) ([]byte, error) {
		return policyfile.Open(text, g.out.File, g.book, g.app.now(), d)
	})
}

// entry makes an entry of the command line.
func (g *guarding) entry(port string) (d monban.PolicyDoor, err error) {
	if d.Protocol, err = protocol(port); err != nil {
		return d, err
	}
	if d.Protocol == 0 {
		if d.Ports, err = g.ports(port); err != nil {
			return d, err
		}
		if d.Ports.First == 0 {
			return d, report.PolicyProblem("monban guard open", 0, "port-0", port, nil, 0)
		}
	}
	if len(g.o.to) == 0 {
		return d, report.MissingFlag("--to", "monban guard open "+port+" --to 192.0.2.0/24")
	}
	for _, text := range g.o.to {
		a, problem, want := policyfile.ParseAudience(strings.TrimSpace(text))
		if problem != 0 {
			return d, report.PolicyProblem("--to", 0, problem.String(), text, slices.DeleteFunc([]string{want}, func(s string) bool { return s == "" }), 0)
		}
		if a.Kind == monban.Anybody && len(g.o.to) > 1 {
			return d, report.PolicyProblem("--to", 0, "any-and-more", text, nil, 0)
		}
		d.To = append(d.To, a)
	}
	if g.o.limit != "" {
		if d.Protocol != 0 {
			return d, report.PolicyProblem("--limit", 0, "proto-limit", g.o.limit, nil, 0)
		}
		if d.Limit, err = monban.ParseRate(g.o.limit); err != nil {
			return d, report.PolicyProblem("--limit", 0, "bad-limit", g.o.limit, nil, 0)
		}
	}
	if g.o.until != "" {
		if d.Until, err = endOf(g.o.until, g.app.now()); err != nil {
			return d, err
		}
	}
	d.For = g.o.note
	return d, nil
}

// protocol reads the argument of open and close where it is no port but a protocol
// without ports, "proto:esp"; 0 is none.
func protocol(arg string) (monban.IPProto, error) {
	name, ok := strings.CutPrefix(arg, "proto:")
	if !ok {
		return 0, nil
	}
	p, problem := policyfile.ParseProtocol(name)
	if problem != 0 {
		return 0, report.PolicyProblem("proto:", 0, problem.String(), name, nil, 0)
	}
	return p, nil
}

// ports reads the argument of open and close: without a transport, TCP.
func (g *guarding) ports(arg string) (monban.PortRange, error) {
	list, err := parsePorts(g.book, []string{arg})
	if err != nil {
		return monban.PortRange{}, err
	}
	if !strings.Contains(arg, "/") {
		list = inTCP(list)
	}
	list = slices.Compact(list)
	if len(list) != 1 {
		return monban.PortRange{}, report.SeveralPorts(arg, list)
	}
	return list[0], nil
}

func (g *guarding) runClose(args []string) error {
	switch p, err := protocol(args[0]); {
	case err != nil:
		return err
	case p != 0:
		return g.edit(func(text []byte) ([]byte, error) {
			return policyfile.CloseProtocol(text, g.out.File, g.book, g.app.now(), p)
		})
	}
	ports, err := g.ports(args[0])
	if err != nil {
		return err
	}
	return g.edit(func(text []byte) ([]byte, error) {
		return policyfile.Close(text, g.out.File, g.book, g.app.now(), ports)
	})
}

// edit changes the policy file and shows what that will change. Nothing is
// written where the result would not be put in force.
func (g *guarding) edit(change func([]byte) ([]byte, error)) error {
	p, text, err := g.before(privilege.DACOverride, privilege.FOwner)
	if err != nil {
		return err
	}
	g.app.keep(toWrite(g.out.File)...)
	if text, err = change(text); err != nil {
		return policyProblem(err)
	}
	if err := g.readPolicy(text); err != nil {
		return err
	}
	if err := g.judge(p); err != nil {
		return err
	}
	g.out.Text = string(text)
	if slices.ContainsFunc(g.out.Refused, func(r report.GuardRefusal) bool { return r.Reason != "unsupported" }) {
		return g.end(report.GuardRefused)
	}
	if err := g.writeFile(text); err != nil {
		return err
	}
	return g.end(report.GuardEdited)
}

// runImport writes the smallest policy that keeps what is open now.
func (g *guarding) runImport([]string) error {
	var later []privilege.Capability
	if g.o.file != "" {
		later = toWrite(g.o.file)
	}
	g.app.keep(append(toSurvey(), later...)...)
	g.look(gather.Want{Host: host.Network | host.Caps | host.Ranges, Traffic: []monban.PortRange{{First: 0, Last: 65535}}, Rules: true})
	g.app.keep(later...)
	judgeReach(g.snap)
	var list []report.Imported
	for i := range g.snap.Doors {
		d := &g.snap.Doors[i]
		if !outside(d) || ownRight(d.Bind.Port) {
			continue
		}
		at := slices.IndexFunc(list, func(e report.Imported) bool { return e.Doors[0].Bind.Port == d.Bind.Port })
		if at >= 0 {
			list[at].Doors = append(list[at].Doors, *d)
			continue
		}
		e := report.Imported{Doors: []monban.Door{*d}, Risks: g.book.Risks(d.Bind.Port)}
		e.Client = d.Bind.Port.Proto == monban.UDP && g.snap.Host.Ephemeral.First > 0 &&
			d.Bind.Port.Num >= g.snap.Host.Ephemeral.First && d.Bind.Port.Num <= g.snap.Host.Ephemeral.Last
		for _, t := range g.snap.Traffic {
			if t.Port == d.Bind.Port {
				e.Connections += t.Established
			}
		}
		list = append(list, e)
	}
	for i := range list {
		g.suggest(&list[i])
	}
	g.out.Text = report.ImportText(list, report.Result{Snapshot: g.snap, Book: g.book}, g.app.style())
	if g.o.file == "" {
		return g.end(report.GuardImported)
	}
	g.out.File, g.out.Named = g.o.file, true
	if _, err := os.Lstat(g.out.File); !errors.Is(err, fs.ErrNotExist) {
		return report.PolicyFileThere(g.out.File) // it may be the work of hours
	}
	if err := os.MkdirAll(filepath.Dir(g.out.File), 0o755); err != nil {
		return report.CannotWrite(g.out.File, err)
	}
	if err := g.writeFile([]byte(g.out.Text)); err != nil {
		return err
	}
	return g.end(report.GuardImported)
}

// narrow is the most sources that an imported entry lists; with more it is open
// to everybody, and the reader is to decide.
const narrow = 8

// suggest writes the entry that keeps a port as it is: open to those who reach it
// now, as far as that is known.
func (g *guarding) suggest(e *report.Imported) {
	port := e.Doors[0].Bind.Port
	d := monban.PolicyDoor{Ports: monban.PortRange{First: port.Num, Last: port.Num, Proto: port.Proto}, For: g.book.Name(port)}
	if o := e.Doors[0].Owners; len(o) > 0 {
		d.For = o[0].Name
	}
	everybody, judged := false, true
	var sources []monban.AddrRange
	open := map[monban.Family]bool{} // for every family in which the door could answer
	for i := range e.Doors {
		judged = judged && len(e.Doors[i].Reach) > 0
		for _, r := range e.Doors[i].Reach {
			if r.Verdict == monban.VerdictClosed && (r.Why == monban.ByAddress || r.Why == monban.ByDevice) {
				continue
			}
			open[r.Family] = open[r.Family] || r.Verdict == monban.VerdictOpen
			switch r.Verdict {
			case monban.VerdictPartly:
				sources = append(sources, r.Sources...)
			case monban.VerdictOpen, monban.VerdictClosed:
			default:
				everybody = true
			}
		}
	}
	switch all := map[monban.Family]string{monban.IPv4: "0.0.0.0/0", monban.IPv6: "::/0"}; {
	case open[monban.IPv4] && open[monban.IPv6], len(open) == 1 && (open[monban.IPv4] || open[monban.IPv6]):
		everybody = true
	default: // what is open for IPv6 alone is not opened for IPv4 as well
		for family, is := range open {
			if is {
				sources = slices.DeleteFunc(sources, func(r monban.AddrRange) bool { return monban.FamilyOf(r.First) == family })
				sources = append(sources, monban.RangeOf(netip.MustParsePrefix(all[family])))
			}
		}
	}
	sources = policy.Join(sources, addresses(g.snap.Host))
	prefixes := !slices.ContainsFunc(sources, func(r monban.AddrRange) bool { _, ok := r.Prefix(); return !ok })
	switch {
	case judged && !everybody && len(sources) == 0:
		e.Closed = true
		fallthrough
	case !judged, everybody, len(sources) > narrow, !prefixes:
		d.To = []monban.Audience{{Kind: monban.Anybody}}
	default:
		d.To = []monban.Audience{{Kind: monban.ToAddresses, Ranges: sources}}
	}
	e.Entry = policyfile.Entry(&d)
}

// ownRight reports whether a door needs no entry, because a policy leaves it open
// to whom it needs: the DHCP client's.
func ownRight(p monban.Port) bool {
	return p.Proto == monban.UDP && (p.Num == 68 || p.Num == 546)
}
