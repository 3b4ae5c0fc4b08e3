package policy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// Admission is who comes in by a port under a policy, whatever else is in the way.
// For a family that is everybody, V4 or V6 is the one range of all its addresses.
type Admission struct {
	V4, V6  []monban.AddrRange
	Devices []string // whoever comes in by these interfaces
}

// Admits returns who comes in by the ports of r, all alike, at a time. A nil policy
// is none: everybody comes in.
func Admits(p *monban.Policy, r monban.PortRange, now time.Time) Admission {
	if p == nil {
		return Admission{V4: []monban.AddrRange{everything(monban.IPv4)}, V6: []monban.AddrRange{everything(monban.IPv6)}}
	}
	return admission(p, now, func(d *monban.PolicyDoor) bool { return covers(d.Ports, r) })
}

// admission puts together whom the entries let in that are meant and not past
// their time.
func admission(p *monban.Policy, now time.Time, meant func(*monban.PolicyDoor) bool) Admission {
	var out Admission
	var v4, v6 set
	for i := range p.Doors {
		d := &p.Doors[i]
		if !meant(d) || ended(d, now) {
			continue
		}
		v4, v6 = v4.union(audience(d, monban.IPv4)), v6.union(audience(d, monban.IPv6))
		for _, a := range d.To {
			if a.Kind == monban.ByInterface {
				out.Devices = append(out.Devices, a.Name)
			}
		}
	}
	slices.Sort(out.Devices)
	out.V4, out.V6, out.Devices = v4, v6, slices.Compact(out.Devices)
	return out
}

func ended(d *monban.PolicyDoor, now time.Time) bool {
	return !d.Until.IsZero() && !d.Until.After(now)
}

// Everybody reports whether every address of both families comes in.
func (a Admission) Everybody() bool {
	return slices.Equal(a.V4, []monban.AddrRange{everything(monban.IPv4)}) && slices.Equal(a.V6, []monban.AddrRange{everything(monban.IPv6)})
}

// Nobody reports whether nobody from outside comes in.
func (a Admission) Nobody() bool { return len(a.V4)+len(a.V6)+len(a.Devices) == 0 }

// Lets reports whether a source that comes by a device is let in.
func (a Admission) Lets(from netip.Addr, device string) bool {
	from = from.Unmap().WithZone("")
	return set(a.V4).contains(from) || set(a.V6).contains(from) || slices.Contains(a.Devices, device)
}

// Change is what becomes of some ports, or of a protocol without ports, when one
// policy takes another's place. Gain and Lose are addresses and, by name,
// interfaces.
type Change struct {
	Ports         monban.PortRange
	Protocol      monban.IPProto // 0 where it is about Ports
	Before, After Admission
	Gain, Lose    []monban.AddrRange
	GainBy        []string
	LoseBy        []string
}

// Changes compares two resolved policies, of which before may be nil: none. It
// looks at every port that one of them is about and at the doors that are open;
// ports that change alike and lie side by side are one change.
func Changes(before, after *monban.Policy, open []monban.Port, now time.Time) []Change {
	var about []*monban.PolicyDoor
	for _, p := range [...]*monban.Policy{before, after} {
		if p == nil {
			continue
		}
		for i := range p.Doors {
			about = append(about, &p.Doors[i])
		}
	}
	for _, p := range open {
		about = append(about, &monban.PolicyDoor{Ports: monban.PortRange{First: p.Num, Last: p.Num, Proto: p.Proto}})
	}
	var out []Change
	for _, proto := range monban.Protos() {
		for _, r := range atoms(proto, about) {
			if !slices.ContainsFunc(about, func(d *monban.PolicyDoor) bool { return covers(d.Ports, r) }) {
				continue
			}
			c := Change{Ports: r, Before: Admits(before, r, now), After: Admits(after, r, now)}
			if c.compare(); !c.some() {
				continue
			}
			if n := len(out); n > 0 && out[n-1].Ports.Proto == proto && int(out[n-1].Ports.Last)+1 == int(r.First) && alike(&out[n-1], &c) {
				out[n-1].Ports.Last = r.Last
				continue
			}
			out = append(out, c)
		}
	}
	return out
}

// compare sets who gains and who loses.
func (c *Change) compare() {
	c.Gain = slices.Concat(set(c.After.V4).minus(c.Before.V4), set(c.After.V6).minus(c.Before.V6))
	c.Lose = slices.Concat(set(c.Before.V4).minus(c.After.V4), set(c.Before.V6).minus(c.After.V6))
	missing := func(from, in Admission) (out []string) {
		for _, d := range from.Devices {
			if !slices.Contains(in.Devices, d) && !in.Everybody() {
				out = append(out, d)
			}
		}
		return out
	}
	c.GainBy, c.LoseBy = missing(c.After, c.Before), missing(c.Before, c.After)
}

// some reports whether anybody gains or loses.
func (c *Change) some() bool { return len(c.Gain)+len(c.Lose)+len(c.GainBy)+len(c.LoseBy) > 0 }

func alike(a, b *Change) bool {
	return slices.Equal(a.Gain, b.Gain) && slices.Equal(a.Lose, b.Lose) && slices.Equal(a.GainBy, b.GainBy) && slices.Equal(a.LoseBy, b.LoseBy)
}

// EndsForAdministrators reports whether the policy has a door for one of the
// administrative ports, and all of them end: whoever may come in then no more would
// have no way to change the policy.
func EndsForAdministrators(p *monban.Policy, ports []monban.Port) bool {
	found := false
	for i := range p.Doors {
		d := &p.Doors[i]
		if len(d.To) == 1 && d.To[0].Kind == monban.ThisMachine {
			continue
		}
		if slices.ContainsFunc(ports, d.Ports.Contains) {
			if d.Until.IsZero() {
				return false
			}
			found = true
		}
	}
	return found
}
