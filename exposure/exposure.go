// Package exposure judges who can reach which door: from which addresses, by
// which interface, by which rule.
//
// It is a pure function over a snapshot. For each door, interface and family it
// sends every possible packet that could begin a connection through the ruleset at
// once: everything about the packet is concrete except the address at the other
// end, of which there is a set that tests split. What no one can foresee, such as
// a rate limit, sends packets both ways, and so does a rule that could not be
// decoded: then the answer has a condition, or is unknown, and names the rule.
//
// Nothing is said of what happens beyond the ruleset: cgroup programs, the
// network's own filters, what a program does with who connects.
package exposure

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"

	"github.com/monban-dev/monban"
)

// Judge returns who can reach each door of the snapshot, in the order of its
// doors. A door has no answer, nil, where the machine's interfaces were not read,
// for a socket that nobody can connect to, and in another network namespace than
// the one whose rules were read. Where the rules could not be read, every answer
// that depends on them is unknown.
func Judge(s *monban.Snapshot) [][]monban.Reach {
	out := make([][]monban.Reach, len(s.Doors))
	if len(s.Host.Interfaces) == 0 {
		return out
	}
	// Doors with one port have the most in common, so they go to one judge.
	const few = 32
	judges := []*judge{newJudge(s)}
	if len(s.Doors) > few {
		var both sync.WaitGroup
		for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
			both.Go(func() { judges[0].colleague().view(f) })
		}
		both.Wait()
		for range runtime.GOMAXPROCS(0) - 1 {
			judges = append(judges, judges[0].colleague())
		}
	}
	var all sync.WaitGroup
	for n, j := range judges {
		all.Go(func() {
			for i := range s.Doors {
				d := &s.Doors[i]
				if int(d.Bind.Port.Num)%len(judges) != n || d.State == monban.Bound && d.Bind.Port.Proto != monban.UDP ||
					d.Bind.NetNS != "" && d.Bind.NetNS != s.Host.NetNS {
					continue
				}
				out[i] = j.door(d)
			}
		})
	}
	all.Wait()
	return out
}

// judge keeps what the doors of one snapshot have in common.
type judge struct {
	*shared
	*machine
	ways      map[wayKey][]*way
	sums      map[*way]*summary
	divisions divisions
	places    map[placeKey][]entry
}

// shared is what several judges, who work side by side, have in common.
type shared struct {
	rules  *monban.Ruleset
	unseen bool // some rules could not be read
	devs   []*monban.Interface
	views  [2]view // of IPv4 and IPv6
	// lists holds the ranges of sets, which many doors have in common.
	lock  sync.Mutex
	lists map[uint64][]listed
	// filters are those on each interface, byOwner those on the cgroup of a
	// process.
	filters map[string][]*tag
	byOwner map[int][]*tag
	// policies are those of IPsec.
	policies []policy
	// steering are programs that choose the socket for whatever arrives.
	steering []*tag
	// listening are the doors with a listener, by port; sockets says that there
	// are no others.
	listening map[monban.Port][]*monban.Door
	sockets   bool
}

// policy is a policy of IPsec, which keeps out what comes from some sources without
// it.
type policy struct {
	from netip.Prefix
	tag  *tag
}

func newJudge(s *monban.Snapshot) *judge {
	sh := &shared{rules: s.Rules, unseen: s.Rules == nil, lists: map[uint64][]listed{}}
	for _, g := range s.Gaps {
		sh.unseen = sh.unseen || g.Hides == monban.HidesRules
	}
	sh.filters, sh.byOwner = map[string][]*tag{}, map[int][]*tag{}
	for _, f := range s.Filters {
		if f.Device != "" {
			sh.filters[f.Device] = append(sh.filters[f.Device], &tag{monban.ByOpaque, f.String(), nil})
		}
		if f.From.IsValid() {
			sh.policies = append(sh.policies, policy{f.From, &tag{monban.ByOpaque, f.String(), nil}})
		}
		if f.Kind == "sk_lookup" {
			sh.steering = append(sh.steering, &tag{monban.ByFilter, f.String(), nil})
		}
		for _, pid := range f.PIDs {
			sh.byOwner[pid] = append(sh.byOwner[pid], &tag{monban.ByFilter, f.String(), nil})
		}
	}
	sh.findListeners(s)
	vrf := map[string]bool{}
	for _, i := range s.Host.Interfaces {
		vrf[i.Name] = i.Kind == "vrf"
	}
	for i := range s.Host.Interfaces {
		// A part of a bridge or a bond hands its packets to that; nobody is at
		// the other end of a dummy.
		dev := &s.Host.Interfaces[i]
		if dev.Up && !deadEnd(dev) && (dev.Master == "" || vrf[dev.Master]) && dev.Kind != "vrf" {
			sh.devs = append(sh.devs, dev)
		}
	}
	j := sh.judge(&s.Host)
	for _, dev := range sh.devs { // what sees their packets below them
		for _, port := range j.ports(dev.Name) {
			sh.filters[dev.Name] = append(sh.filters[dev.Name], sh.filters[port.Name]...)
			if port.Program != "" {
				sh.filters[dev.Name] = append(sh.filters[dev.Name], &tag{monban.ByOpaque, port.Program + " on " + port.Name, nil})
			}
		}
	}
	return j
}

func (s *shared) judge(h *monban.Host) *judge {
	return &judge{shared: s, machine: newMachine(h), ways: map[wayKey][]*way{}, sums: map[*way]*summary{},
		divisions: divisions{}, places: map[placeKey][]entry{}}
}

// colleague returns a judge for other doors of the same snapshot.
func (j *judge) colleague() *judge { return j.shared.judge(j.Host) }

// door judges one door.
func (j *judge) door(d *monban.Door) []monban.Reach {
	out := make([]monban.Reach, 0, 2*len(j.devs))
	for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
		if !answers(d, f) {
			continue
		}
		for _, dev := range j.devs {
			n := len(out)
			out = append(out[:n], j.steered(d, j.reach(out, d, f, dev)[n:])...)
		}
	}
	return out
}

// answers reports whether a door answers packets of a family.
func answers(d *monban.Door, f monban.Family) bool {
	a := d.Bind.Addr
	switch {
	case f == monban.IPv4:
		return a.Is4() || a.Is4In6() || a == netip.IPv6Unspecified() && d.Bind.V6Only != monban.On
	default:
		return a.Is6() && !a.Is4In6()
	}
}

// at reports whether a door answers at an address.
func at(d *monban.Door, a netip.Addr) bool {
	return d.Bind.Wildcard() || d.Bind.Addr.WithZone("").Unmap() == a
}

// reach adds to out who can reach a door for one family and interface.
func (j *judge) reach(out []monban.Reach, d *monban.Door, f monban.Family, dev *monban.Interface) []monban.Reach {
	one := func(v monban.Verdict, why monban.Reason) []monban.Reach {
		return append(out, monban.Reach{Family: f, Device: dev.Name, Verdict: v, Why: why})
	}
	zone := d.Bind.Addr.Zone()
	if d.Bind.Device != "" && d.Bind.Device != dev.Name || zone != "" && zone != dev.Name {
		return one(monban.VerdictClosed, monban.ByDevice)
	}
	v := j.view(f)
	total, found := j.total(v, d, dev)
	switch {
	case !found && d.Bind.Addr.Unmap().IsLoopback():
		if j.unseen && dev.RouteLocalnet != monban.Off && f == monban.IPv4 {
			return one(monban.VerdictUnknown, monban.ByUnseen)
		}
		return one(monban.VerdictClosed, monban.ByLoopback)
	case !found:
		return one(monban.VerdictClosed, monban.ByAddress)
	case j.unseen:
		return one(monban.VerdictUnknown, monban.ByUnseen)
	case dev.Master != "": // of a VRF: chains see packets twice
		return one(monban.VerdictUnknown, monban.ByRouting)
	}
	if d.Bind.Addr.Unmap().IsLoopback() && total.open.empty() && total.conditional.empty() && total.unknown.empty() {
		return one(monban.VerdictClosed, monban.ByLoopback)
	}
	if tags := j.filtersOf(d); len(tags) > 0 {
		total = total.behind(tags)
	}
	return j.report(out, total, v, dev)
}

// total sums up the ways to a door by an interface, to any address at which it
// answers; found is whether there is one. Where the rules tell nothing there is no
// sum.
func (j *judge) total(v *view, d *monban.Door, dev *monban.Interface) (total *summary, found bool) {
	wild := d.Bind.Wildcard()
	var sums []*summary
	if v.program.family == monban.IPv6 && dev.IPv6 == monban.Off {
		return nil, false
	}
	for _, e := range j.knocked(v, d, dev) {
		here := wild || at(d, e.addr)
		// Only translation leads from one address to a door at another.
		if !here && (!v.program.translates || d.State == monban.Forwarded) {
			continue
		}
		found = true
		if j.unseen || dev.Master != "" {
			return nil, true
		}
		if wild && e.again {
			continue
		}
		sum := j.summarise(v.program, j.way(v, dev, d, &e), d, here)
		if !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	if len(sums) == 1 {
		return sums[0], true
	}
	total = &summary{}
	for _, sum := range sums {
		total.merge(sum)
	}
	return total, found
}
