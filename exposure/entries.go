package exposure

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/monban-dev/monban"
)

// view is the ruleset as it is for the packets of one family.
type view struct {
	once    sync.Once
	program *program
	// class of each interface: alike in all that the machine itself makes of
	// packets that come in by it.
	class map[*monban.Interface]int
	each  bool // every interface is a class
}

// placeKey is an interface, and a family.
type placeKey struct {
	family monban.Family
	device *monban.Interface
}

// entry is an address of this machine that packets may be sent to.
type entry struct {
	addr  netip.Addr
	class int
	own   bool // the address is one of the interface itself, and rules may ask for it
	// again: an address before has the same class.
	again bool
}

// view returns the ruleset made ready for a family.
func (j *judge) view(f monban.Family) *view {
	v := &j.views[0]
	if f == monban.IPv6 {
		v = &j.views[1]
	}
	v.once.Do(func() {
		cut := j.cut(f)
		for _, p := range j.policies {
			cut.prefix(p.from)
		}
		v.program = compile(j.rules, f, cut)
		v.program.routedBy(j.ruledBy[f])
		j.classes(v)
	})
	return v
}

// entries are the addresses of this machine that packets by the interface may be
// sent to.
func (j *judge) entries(v *view, dev *monban.Interface) []entry {
	key := placeKey{v.program.family, dev}
	if list, ok := j.places[key]; ok {
		return list
	}
	var out []entry
	for _, i := range j.Interfaces {
		if !i.Up {
			continue
		}
		for _, prefix := range i.Addrs {
			a := prefix.Addr().WithZone("").Unmap()
			if monban.FamilyOf(a) != key.family || a.IsLoopback() {
				continue
			}
			if a.IsLinkLocalUnicast() && a.Is6() && i.Name != dev.Name {
				continue // another interface's
			}
			e := entry{addr: a, class: v.program.class(addrOf(a)), own: v.each && j.owned[a] == dev.Name}
			e.again = slices.ContainsFunc(out, func(o entry) bool { return o.class == e.class && o.own == e.own })
			out = append(out, e)
		}
	}
	out = j.localEntries(v, out)
	j.places[key] = out
	return out
}

// mostLocal is how many kinds of addresses that no interface has are looked at.
const mostLocal = 64

// localEntries adds one address of each kind that rules tell apart among those that
// the machine answers for without an interface having them.
func (j *judge) localEntries(v *view, out []entry) []entry {
	space, n := v.program.space, 0
	for _, prefix := range j.locals {
		if monban.FamilyOf(prefix.Addr()) != v.program.family {
			continue
		}
		first, last := bounds(prefix)
		for atom := space.atom(first); atom <= space.atom(last) && n < mostLocal; atom++ {
			a := space.starts[atom]
			e := entry{addr: a.netip(v.program.family), class: v.program.class(a)}
			e.again = slices.ContainsFunc(out, func(o entry) bool { return o.class == e.class && o.own == e.own })
			if !e.again || prefix.IsSingleIP() {
				out = append(out, e)
				n++
			}
		}
	}
	return out
}

// knocked returns the entries for a door: with its own address, where that is one of
// those that no interface has.
func (j *judge) knocked(v *view, d *monban.Door, dev *monban.Interface) []entry {
	list := j.entries(v, dev)
	a := d.Bind.Addr.WithZone("").Unmap()
	if d.Bind.Wildcard() || monban.FamilyOf(a) != v.program.family || !j.local(a) || slices.ContainsFunc(list, func(e entry) bool { return e.addr == a }) {
		return list
	}
	return append(slices.Clip(list), entry{addr: a, class: v.program.class(addrOf(a))})
}

// classes puts interfaces into classes by what the machine itself makes of their
// packets. What plain tests of rules say of an interface is noted on each way; where
// rules ask in other ways, every interface is a class.
func (j *judge) classes(v *view) {
	p := v.program
	v.each = asksDevice(j.rules) || j.ruled(p.family)
	v.class = map[*monban.Interface]int{}
	known := map[string]int{}
	for _, dev := range j.devs {
		var b strings.Builder
		sources := j.sources(p, dev)
		strict := ""
		if p.family == monban.IPv4 && dev.ReversePath == monban.ReversePathStrict {
			strict = dev.Name
		}
		if p.family == monban.IPv6 { // who has a link-local address is answered on this link only
			near, here := p.space.prefix(linkLocal()), j.routed(p, dev.Name)
			near = and(&near, &here)
			fmt.Fprint(&b, near.hash(), " ")
		}
		fmt.Fprint(&b, sources.hash(), strict, dev.ReversePath, dev.Forward4, dev.Forward6, dev.RouteLocalnet, dev.Program)
		if v.each || len(j.filters[dev.Name]) > 0 || dev.Kind == "bridge" && len(p.bridge) > 0 {
			b.WriteString(dev.Name)
		}
		if _, ok := known[b.String()]; !ok {
			known[b.String()] = 1 + len(known)
		}
		v.class[dev] = known[b.String()]
	}
}

// asksDevice reports whether rules tell interfaces apart in other ways than by a
// test of the name or index that packets came in by.
func asksDevice(rules *monban.Ruleset) bool {
	if rules == nil {
		return false
	}
	for i := range rules.Tables {
		t := &rules.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			if len(c.Devices) > 0 {
				return true
			}
			for k := range c.Rules {
				if stepsAskDevice(c.Rules[k].Steps) {
					return true
				}
			}
		}
	}
	return false
}

func stepsAskDevice(steps []monban.Step) bool {
	for i := range steps {
		s := &steps[i]
		if s.Op == monban.OpRedirect {
			return true
		}
		for n := range s.Key {
			switch l := &s.Key[n]; l.Field {
			case monban.FieldReversePath:
				return true
			case monban.FieldSourceType, monban.FieldDestType:
				if l.ByDevice {
					return true
				}
			case monban.FieldInName, monban.FieldInIndex:
				if s.Op != monban.OpTest || l.Mask != nil {
					return true
				}
			case monban.FieldOutName, monban.FieldOutIndex:
				return true // of answers, which leave by the interface they came for
			}
		}
	}
	return false
}
