package exposure

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// most is how many doors one rule makes: a rule that translates all ports is no
// list of doors.
const most = 64

// Forwarded returns the doors that only rules make: ports on which nobody listens
// and whose packets are translated to another place, as iptables' DNAT and
// REDIRECT do. Ports that the snapshot's doors already lead on from, such as those
// a container engine told of, are left out, and so are rules for more than 64
// ports.
func Forwarded(s *monban.Snapshot) []monban.Door {
	if !s.Rules.Translates() {
		return nil
	}
	f := forwarder{snap: s}
	for i := range s.Rules.Tables {
		t := &s.Rules.Tables[i]
		for j := range t.Chains {
			if c := &t.Chains[j]; c.Hook == monban.HookPrerouting && c.Type == "nat" && !t.Dormant {
				f.chain(t, c, limits{}, map[string]bool{})
			}
		}
	}
	return f.doors
}

type forwarder struct {
	snap  *monban.Snapshot
	doors []monban.Door
	by    func() monban.RuleRef // the rule that is looked at
}

// limits is what tests on the way to a rule leave of the packets.
type limits struct {
	family monban.Family
	proto  monban.Proto
	ports  []monban.Span
	addr   netip.Addr
}

func (f *forwarder) chain(t *monban.Table, c *monban.Chain, l limits, seen map[string]bool) {
	if seen[c.Name] {
		return
	}
	seen[c.Name] = true
	for i := range c.Rules {
		r := &c.Rules[i]
		f.by = func() monban.RuleRef {
			return monban.RuleRef{Family: t.Family, Table: t.Name, Chain: c.Name, Handle: r.Handle, Text: r.Text(t)}
		}
		f.rule(t, r, l, seen)
	}
	delete(seen, c.Name)
}

func (f *forwarder) rule(t *monban.Table, r *monban.Rule, l limits, seen map[string]bool) {
	switch t.Family {
	case monban.TableIP:
		l.family = monban.IPv4
	case monban.TableIP6:
		l.family = monban.IPv6
	}
	var lookups []*monban.Step
	for i := range r.Steps {
		s := &r.Steps[i]
		switch s.Op {
		case monban.OpTest:
			l.test(s)
		case monban.OpLookup:
			if set := t.Set(s.Set); set != nil && !s.Not && len(s.Key) == 1 && s.Key[0].Field == monban.FieldDestPort {
				l.ports = nil
				for k := range set.Elements {
					l.ports = append(l.ports, monban.Span{First: set.Elements[k].First, Last: set.Elements[k].Last})
				}
			}
		case monban.OpMap:
			lookups = append(lookups, s)
		case monban.OpDecide:
			if next := t.Chain(s.Action.Chain); s.Action.Chain != "" && next != nil {
				f.chain(t, next, l, seen)
			}
		case monban.OpDNAT, monban.OpRedirect:
			f.translation(t, s, lookups, l)
		}
	}
}

// test narrows the limits by what a test leaves.
func (l *limits) test(s *monban.Step) {
	key := &s.Key[0]
	if s.Not || len(s.Within) == 0 || key.Mask != nil {
		return
	}
	first := s.Within[0].First
	switch key.Field {
	case monban.FieldL4Proto:
		for _, p := range monban.Protos() {
			if len(first) == 1 && first[0] == protoNumber(p) {
				l.proto = p
			}
		}
	case monban.FieldFamily:
		l.family = monban.IPv6
		if first[0] == 2 {
			l.family = monban.IPv4
		}
	case monban.FieldDestPort:
		if key.Len == 2 {
			l.ports = s.Within
		}
	case monban.FieldDest:
		if a, ok := netip.AddrFromSlice(first); ok && len(s.Within) == 1 && string(first) == string(s.Within[0].Last) {
			l.addr = a
		}
	}
}

// translation adds the doors of one rule.
func (f *forwarder) translation(t *monban.Table, s *monban.Step, lookups []*monban.Step, l limits) {
	if l.proto == monban.AnyProto {
		return
	}
	for _, m := range lookups {
		set := t.Set(m.Set)
		if set == nil || len(m.Key) != 1 || m.Key[0].Field != monban.FieldDestPort || len(set.Elements) > most {
			continue
		}
		for i := range set.Elements {
			e := &set.Elements[i]
			one := l
			one.ports = []monban.Span{{First: e.First, Last: e.Last}}
			f.add(s, one, e.Data)
		}
		return
	}
	f.add(s, l, nil)
}

// add adds the doors of the ports that l leaves; data is what a map gave.
func (f *forwarder) add(s *monban.Step, l limits, data []byte) {
	n := 0
	for _, p := range l.ports {
		if len(p.First) != 2 || len(p.Last) != 2 {
			return
		}
		n += int(binary.BigEndian.Uint16(p.Last)) - int(binary.BigEndian.Uint16(p.First)) + 1
	}
	if n == 0 || n > most {
		return
	}
	to := monban.Target{}
	if b := constantOf(s.Addr, data); b != nil {
		to.Addr, _ = netip.AddrFromSlice(b)
	}
	if b := constantOf(s.Port, data); len(b) == 2 {
		to.Port = binary.BigEndian.Uint16(b)
	}
	for _, family := range [...]monban.Family{monban.IPv4, monban.IPv6} {
		if l.family != monban.FamilyUnknown && l.family != family || to.Addr.IsValid() && monban.FamilyOf(to.Addr) != family {
			continue
		}
		addr := netip.IPv4Unspecified()
		if family == monban.IPv6 {
			addr = netip.IPv6Unspecified()
		}
		if l.addr.IsValid() {
			if !f.snap.Host.HasAddr(l.addr) || monban.FamilyOf(l.addr) != family {
				continue
			}
			addr = l.addr
		}
		for _, p := range l.ports {
			for port := int(binary.BigEndian.Uint16(p.First)); port <= int(binary.BigEndian.Uint16(p.Last)); port++ {
				d := monban.Door{State: monban.Forwarded, To: to, Bind: monban.Bind{Addr: addr, V6Only: monban.FlagOf(family == monban.IPv6),
					Port: monban.Port{Num: uint16(port), Proto: l.proto}}}
				if d.To.Port == 0 {
					d.To.Port = uint16(port)
				}
				if !f.known(&d) {
					d.Kernel = f.by().String()
					f.doors = append(f.doors, d)
				}
			}
		}
	}
}

// known reports whether a door of the snapshot, or one found before, is the same.
func (f *forwarder) known(d *monban.Door) bool {
	same := func(o monban.Door) bool {
		family := o.Bind.Addr.Is4() == d.Bind.Addr.Is4() || o.Bind.Addr == netip.IPv6Unspecified() && o.Bind.V6Only != monban.On
		return o.Bind.Port == d.Bind.Port && o.To.Port == d.To.Port && family && (o.To.Container != "" || o.To.Addr == d.To.Addr || !d.To.Addr.IsValid())
	}
	return slices.ContainsFunc(f.snap.Doors, same) || slices.ContainsFunc(f.doors, same)
}

// constantOf returns the first value of NAT's range where it is known.
func constantOf(loads []monban.Load, data []byte) []byte {
	if len(loads) == 0 {
		return nil
	}
	l := &loads[0]
	switch l.Field {
	case monban.FieldConstant:
		return l.Value
	case monban.FieldTemp:
		if l.Offset+l.Len <= len(data) && l.Len > 0 {
			return data[l.Offset : l.Offset+l.Len]
		}
	}
	return nil
}
