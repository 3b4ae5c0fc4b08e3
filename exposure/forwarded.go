package exposure

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// most is how many doors one rule, or one element of a map, makes: a rule that
// translates all ports is no list of doors. mostDoors is how many all make.
const (
	most      = 64
	mostDoors = 2048
)

// Forwarded returns the doors that only rules make: ports on which nobody listens
// and whose packets are translated to another place, as iptables' DNAT and
// REDIRECT do, nft's maps, and kube-proxy's for NodePorts. Ports that the
// snapshot's doors already lead on from, such as those a container engine told of,
// are left out. A rule for more than 64 ports in a row is a gap that names it.
func Forwarded(s *monban.Snapshot) ([]monban.Door, []monban.Gap) {
	if !s.Rules.Translates() {
		return nil, nil
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
	return f.doors, f.gaps
}

type forwarder struct {
	snap  *monban.Snapshot
	doors []monban.Door
	by    func() monban.RuleRef // the rule that is looked at
	gaps  []monban.Gap
	steps int // rules that were looked at
}

// limits is what tests on the way to a rule leave of the packets.
type limits struct {
	family monban.Family
	proto  monban.Proto
	ports  []monban.Span // nil is all
	addr   netip.Addr    // the zero Addr is any
	// data is what a map gave.
	data []byte
}

func (f *forwarder) chain(t *monban.Table, c *monban.Chain, l limits, seen map[string]bool) {
	const enough = 100_000
	if seen[c.Name] || f.steps > enough {
		return
	}
	seen[c.Name] = true
	for i := range c.Rules {
		f.steps++
		r := &c.Rules[i]
		f.by = func() monban.RuleRef {
			return monban.RuleRef{Family: t.Family, Table: t.Name, Chain: c.Name, Handle: r.Handle, Text: r.Text(t)}
		}
		f.rule(t, r, l, seen)
	}
	delete(seen, c.Name)
}

// rule follows the packets that a rule lets pass, which a set in it divides.
func (f *forwarder) rule(t *monban.Table, r *monban.Rule, l limits, seen map[string]bool) {
	switch t.Family {
	case monban.TableIP:
		l.family = monban.IPv4
	case monban.TableIP6:
		l.family = monban.IPv6
	}
	list := []limits{l}
	enter := func(a monban.Action, l limits) {
		if next := t.Chain(a.Chain); a.Chain != "" && next != nil {
			by := f.by
			f.chain(t, next, l, seen)
			f.by = by
		}
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		switch s.Op {
		case monban.OpTest:
			list = each(list, func(l limits) []limits { return l.leaves(s) })
		case monban.OpLookup, monban.OpMap:
			if set := t.Set(s.Set); set != nil && !s.Not && !set.Dynamic && !set.Unread {
				list = each(list, func(l limits) (out []limits) {
					for k := range set.Elements {
						if one, ok := l.element(s.Key, &set.Elements[k]); ok {
							out = append(out, one)
						}
					}
					if set.Else != nil {
						l.data = set.Else.Data
						out = append(out, l)
					}
					return out
				})
			}
		case monban.OpVerdict:
			set := t.Set(s.Set)
			if set == nil {
				continue
			}
			for _, l := range list {
				for k := range set.Elements {
					if one, ok := l.element(s.Key, &set.Elements[k]); ok {
						enter(set.Elements[k].Action, one)
					}
				}
				if set.Else != nil {
					enter(set.Else.Action, l)
				}
			}
		case monban.OpDecide:
			for _, l := range list {
				enter(s.Action, l)
			}
		case monban.OpDNAT, monban.OpRedirect:
			for _, l := range list {
				f.translation(s, l)
			}
		}
	}
}

// each puts together what f makes of each of a list, as long as that is not absurd.
func each(list []limits, f func(limits) []limits) (out []limits) {
	for _, l := range list {
		if out = append(out, f(l)...); len(out) > mostDoors {
			return out[:mostDoors]
		}
	}
	return out
}

// leaves returns what a test leaves.
func (l limits) leaves(s *monban.Step) []limits {
	key := &s.Key[0]
	if s.Not || len(s.Within) == 0 || key.Mask != nil || key.Offset != 0 {
		return []limits{l}
	}
	if key.Field == monban.FieldDestPort { // all of them are one door's or the next's
		if key.Len != 2 || !l.narrowPorts(s.Within) {
			return nil
		}
		return []limits{l}
	}
	var out []limits
	for _, span := range s.Within {
		one := l
		if one.narrow(key.Field, span) {
			out = append(out, one)
		}
	}
	return out
}

// element returns what an element of a set leaves.
func (l limits) element(key []monban.Load, e *monban.Element) (limits, bool) {
	at := 0
	for i := range key {
		k := &key[i]
		if at+k.Len > len(e.First) || at+k.Len > len(e.Last) {
			return l, false
		}
		span := monban.Span{First: e.First[at : at+k.Len], Last: e.Last[at : at+k.Len]}
		if k.Mask == nil && k.Offset == 0 && !k.Little && !l.narrow(k.Field, span) {
			return l, false
		}
		at += (k.Len + 3) &^ 3
	}
	if len(e.Data) > 0 {
		l.data = e.Data
	}
	return l, true
}

// narrow reports whether packets are left whose field is in span.
func (l *limits) narrow(field monban.Field, span monban.Span) bool {
	one := string(span.First) == string(span.Last)
	switch field {
	case monban.FieldL4Proto:
		if len(span.First) != 1 || !one {
			return true
		}
		for _, p := range monban.Protos() {
			if monban.IPProto(span.First[0]) == p.Number() {
				was := l.proto
				l.proto = p
				return was == monban.AnyProto || was == p
			}
		}
		return false // ICMP and others have no doors
	case monban.FieldFamily:
		family := monban.IPv6
		if span.First[0] == 2 {
			family = monban.IPv4
		}
		was := l.family
		l.family = family
		return was == monban.FamilyUnknown || was == family
	case monban.FieldDestPort:
		return len(span.First) == 2 && l.narrowPorts([]monban.Span{span})
	case monban.FieldDest:
		if a, ok := netip.AddrFromSlice(span.First); ok && one {
			was := l.addr
			l.addr = a
			return !was.IsValid() || was == a
		}
	}
	return true
}

// narrowPorts leaves the ports that are within the spans, too.
func (l *limits) narrowPorts(spans []monban.Span) bool {
	if l.ports == nil {
		l.ports = spans
		return len(spans) > 0
	}
	both := []monban.Span{}
	for _, a := range l.ports {
		for _, b := range spans {
			first, last := a.First, a.Last
			if bytes.Compare(b.First, first) > 0 {
				first = b.First
			}
			if bytes.Compare(b.Last, last) < 0 {
				last = b.Last
			}
			if bytes.Compare(first, last) <= 0 {
				both = append(both, monban.Span{First: first, Last: last})
			}
		}
	}
	l.ports = both
	return len(both) > 0
}

// translation adds the doors of one rule.
func (f *forwarder) translation(s *monban.Step, l limits) {
	if l.addr.IsValid() && !f.snap.Host.HasAddr(l.addr) {
		return // to somebody else, such as a cluster's address
	}
	n := 0
	for _, p := range l.ports {
		if len(p.First) != 2 || len(p.Last) != 2 {
			return
		}
		n += int(binary.BigEndian.Uint16(p.Last)) - int(binary.BigEndian.Uint16(p.First)) + 1
	}
	if n == 0 || n > most || len(f.doors) >= mostDoors {
		g := monban.Gap{Source: f.by().String(), Err: "it translates more ports than can be listed", Hides: monban.HidesReach, Count: n}
		if !slices.ContainsFunc(f.gaps, func(o monban.Gap) bool { return o.Source == g.Source }) {
			f.gaps = append(f.gaps, g)
		}
		return
	}
	protos := []monban.Proto{l.proto}
	if l.proto == monban.AnyProto {
		protos = []monban.Proto{monban.TCP, monban.UDP}
	}
	for _, p := range protos {
		l.proto = p
		f.add(s, l)
	}
}

// add adds the doors of the ports that l leaves.
func (f *forwarder) add(s *monban.Step, l limits) {
	to := monban.Target{}
	if b := constantOf(s.Addr, l.data); b != nil {
		to.Addr, _ = netip.AddrFromSlice(b)
	}
	if b := constantOf(s.Port, l.data); len(b) == 2 {
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
			if monban.FamilyOf(l.addr) != family {
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
