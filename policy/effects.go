package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// Effect is what becomes of a door when the ruleset changes.
type Effect struct {
	Port monban.Port
	// Device is the interface that it is about; "" is every one alike.
	Device     string
	Gain, Lose []monban.AddrRange
	// Closed: nobody comes in afterwards. Opened: everybody does, and nobody did.
	Closed, Opened bool
	// Unknown: for some sources it is not known who comes in, before or after.
	Unknown bool
}

// Effects compares who can reach doors under two rulesets, as package exposure
// judges it: before[i] and after[i] are of doors[i]. Doors of one port are taken
// together. What stays as it is is left out. own are the machine's addresses, from
// which nobody comes in: they fill the holes that they would leave in a network.
func Effects(doors []monban.Door, before, after [][]monban.Reach, own []netip.Addr) []Effect {
	ports := map[monban.Port]map[string]*sides{}
	for i := range doors {
		if i >= len(before) || i >= len(after) {
			break
		}
		port := doors[i].Bind.Port
		if ports[port] == nil {
			ports[port] = map[string]*sides{}
		}
		for _, r := range before[i] {
			side(ports[port], r.Device).add(&r, 0)
		}
		for _, r := range after[i] {
			side(ports[port], r.Device).add(&r, 1)
		}
	}
	var out []Effect
	for port, devices := range ports {
		out = append(out, effects(port, devices, append(single(own), noSources()...))...)
	}
	slices.SortFunc(out, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(a.Port.Num, b.Port.Num), cmp.Compare(a.Port.Proto, b.Port.Proto), cmp.Compare(a.Device, b.Device))
	})
	return out
}

// sides is who comes in by one interface, before and after, by family.
type sides struct {
	in      [2][2]set
	unknown bool
}

func side(devices map[string]*sides, name string) *sides {
	if devices[name] == nil {
		devices[name] = &sides{}
	}
	return devices[name]
}

func (s *sides) add(r *monban.Reach, when int) {
	f := 0
	if r.Family == monban.IPv6 {
		f = 1
	}
	switch r.Verdict {
	case monban.VerdictOpen:
		s.in[when][f] = newSet(r.Family, everything(r.Family))
	case monban.VerdictPartly:
		s.in[when][f] = s.in[when][f].union(newSet(r.Family, r.Sources...))
	case monban.VerdictUnknown:
		s.unknown = true
	}
}

// effects returns the effect on each interface of a port, one where all are alike.
func effects(port monban.Port, devices map[string]*sides, own []monban.AddrRange) []Effect {
	var out []Effect
	same := true
	for name, s := range devices {
		e := Effect{Port: port, Device: name, Closed: true, Opened: true, Unknown: s.unknown}
		for f := range families {
			was, is := s.in[0][f], s.in[1][f]
			e.Gain, e.Lose = append(e.Gain, is.minus(was).filled(own)...), append(e.Lose, was.minus(is).filled(own)...)
			e.Closed = e.Closed && len(is) == 0
			e.Opened = e.Opened && len(was) == 0
		}
		e.Opened = e.Opened && all(s.in[1], own)
		if len(out) > 0 {
			same = same && slices.Equal(out[0].Gain, e.Gain) && slices.Equal(out[0].Lose, e.Lose) && out[0].Unknown == e.Unknown && out[0].Closed == e.Closed
		}
		out = append(out, e)
	}
	if same && len(out) > 1 {
		out = out[:1]
		out[0].Device = ""
	}
	if len(devices) == 1 && len(out) == 1 {
		out[0].Device = ""
	}
	return slices.DeleteFunc(out, func(e Effect) bool { return len(e.Gain)+len(e.Lose) == 0 && !e.Unknown })
}

// filled returns s with those addresses that join two of its ranges, or lie at the
// end of one, and without those that stand alone.
func (s set) filled(own []monban.AddrRange) set {
	for _, r := range own {
		if len(s) == 0 || monban.FamilyOf(r.First) != s.family() {
			continue
		}
		if i := slices.Index(s, r); i >= 0 {
			s = slices.Delete(slices.Clone(s), i, i+1)
		} else if with := s.union(set{r}); len(with) <= len(s) {
			s = with
		}
	}
	return s
}

// noSources are the addresses that the kernel takes no packet from
// (ip_route_input_slow and ip6_rcv_core). Who comes in never is one of them, but
// "everybody" is written as all addresses.
func noSources() (out []monban.AddrRange) {
	for _, p := range [...]netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 32),
		netip.PrefixFrom(netip.IPv6Unspecified(), 127), // and loopback
		netip.PrefixFrom(netip.IPv6Unspecified(), 128),
		netip.PrefixFrom(netip.IPv6Loopback(), 128),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 96), // IPv4-mapped
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xff}), 8),
	} {
		out = append(out, monban.RangeOf(p))
	}
	return out
}

// all reports whether everybody of a family that comes in at all does.
func all(in [2]set, own []monban.AddrRange) bool {
	some := false
	for f, family := range families {
		if len(in[f]) == 0 {
			continue
		}
		some = true
		if !slices.Equal(in[f].filled(own), newSet(family, everything(family))) {
			return false
		}
	}
	return some
}

// Barred is who does not come in by a door that a policy opens to them, because of a
// rule outside monban's own table.
type Barred struct {
	Ports monban.PortRange
	Rule  monban.RuleRef
	// Sources are who; nil is everybody whom the policy lets in.
	Sources []monban.AddrRange
	// Devices are the interfaces that it is about; nil is every one.
	Devices []string

	whole bool // Sources are all that the policy lets in
}

// BarredBy compares whom p lets in with who is kept out of each door, and by what,
// when p is in force (exposure.KeptOut). own are the machine's addresses, as in
// [Effects].
func BarredBy(p *monban.Policy, doors []monban.Door, kept [][]monban.Reach, own []netip.Addr, now time.Time) []Barred {
	fill := append(single(own), noSources()...)
	var all []Barred // each of one interface
	var devices []string
	for i := range doors {
		port := doors[i].Bind.Port
		if i >= len(kept) || !opens(p, port) {
			continue
		}
		one := monban.PortRange{First: port.Num, Last: port.Num, Proto: port.Proto}
		admits := Admits(p, one, now)
		for _, r := range kept[i] {
			if !slices.Contains(devices, r.Device) {
				devices = append(devices, r.Device)
			}
			if r.Why != monban.ByRule || r.Rule.Table == "" || r.Rule.Table == TableName && r.Rule.Family == monban.TableInet {
				continue
			}
			who, whole := admits.barred(&r, fill)
			if len(who) == 0 {
				continue
			}
			k := slices.IndexFunc(all, func(b Barred) bool { return b.Ports == one && b.Rule == r.Rule && b.Devices[0] == r.Device })
			if k < 0 {
				k = len(all)
				all = append(all, Barred{Ports: one, Rule: r.Rule, Devices: []string{r.Device}, whole: true})
			}
			b := &all[k]
			b.whole = b.whole && whole
			b.Sources = Join(append(b.Sources, who...), nil)
		}
	}
	return together(all, len(devices))
}

// barred returns whom of those that are let in a rule keeps out, and whether that is
// all of the family.
func (a *Admission) barred(r *monban.Reach, fill []monban.AddrRange) (who set, whole bool) {
	let := newSet(r.Family, slices.Concat(a.V4, a.V6)...)
	if slices.Contains(a.Devices, r.Device) {
		let = newSet(r.Family, everything(r.Family))
	}
	let = let.filled(fill)
	who = newSet(r.Family, r.Sources...).filled(fill).and(let)
	return who, slices.Equal(who, let)
}

// together makes one of what is the same by several of n interfaces.
func together(all []Barred, n int) []Barred {
	var out []Barred
	for _, b := range all {
		if b.whole {
			b.Sources = nil
		}
		k := slices.IndexFunc(out, func(o Barred) bool {
			return o.Ports == b.Ports && o.Rule == b.Rule && slices.Equal(o.Sources, b.Sources)
		})
		if k < 0 {
			out = append(out, b)
			continue
		}
		if !slices.Contains(out[k].Devices, b.Devices[0]) {
			out[k].Devices = append(out[k].Devices, b.Devices[0])
		}
	}
	for i := range out {
		if len(out[i].Devices) == n {
			out[i].Devices = nil
		}
	}
	return out
}

func opens(p *monban.Policy, port monban.Port) bool {
	return slices.ContainsFunc(p.Doors, func(d monban.PolicyDoor) bool { return d.Ports.Contains(port) && !local(&d) })
}
