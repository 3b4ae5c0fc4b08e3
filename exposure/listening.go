package exposure

import (
	"slices"

	"github.com/monban-dev/monban"
)

// findListeners notes who listens, where that is known of every port.
func (s *shared) findListeners(snap *monban.Snapshot) {
	s.sockets = len(snap.DoorsOf) == 0 && !slices.ContainsFunc(snap.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesDoors })
	if !s.sockets || !snap.Rules.Translates() {
		return
	}
	s.listening = map[monban.Port][]*monban.Door{}
	for i := range snap.Doors {
		if d := &snap.Doors[i]; (d.State == monban.Listen || d.State == monban.Bound && d.Bind.Port.Proto == monban.UDP) && (d.Bind.NetNS == "" || d.Bind.NetNS == snap.Host.NetNS) {
			s.listening[d.Bind.Port] = append(s.listening[d.Bind.Port], d)
		}
	}
}

// answering reports whether somebody listens where packets arrive that a rule has led
// to ports of this machine, and whether nobody may. Of other machines, and where not
// every socket was seen, it is taken that somebody does.
func (j *judge) answering(f monban.Family, by *monban.Interface, proto monban.Proto, s *state) (somebody, nobody bool) {
	if !j.sockets || !j.own(f, s.addr) {
		return true, false
	}
	to := s.addr.netip(f)
	for port := int(s.port); port <= int(max(s.port, s.lastPort)); port++ {
		here := slices.ContainsFunc(j.listening[monban.Port{Num: uint16(port), Proto: proto}], func(d *monban.Door) bool {
			return answers(d, f) && at(d, to) && (d.Bind.Device == "" || d.Bind.Device == by.Name)
		})
		somebody, nobody = somebody || here, nobody || !here
	}
	return somebody, nobody
}

// steered returns the answers to one family and interface where a program may choose
// another socket for what arrives (sk_lookup): it may lead packets for any port and
// address to the door, and those for the door elsewhere.
func (j *judge) steered(d *monban.Door, reach []monban.Reach) []monban.Reach {
	if len(j.steering) == 0 || d.State == monban.Forwarded || d.Bind.Port.Proto != monban.TCP && d.Bind.Port.Proto != monban.UDP || len(reach) == 0 {
		return reach
	}
	one := reach[0]
	if len(reach) > 1 || one.Verdict != monban.VerdictOpen {
		return []monban.Reach{{Family: one.Family, Device: one.Device, Rule: j.steering[0].ref()}}
	}
	one.Conditions = slices.Clone(one.Conditions)
	for _, t := range j.steering {
		one.Conditions = append(one.Conditions, monban.Condition{Kind: t.kind, Text: t.text, Rule: t.ref()})
	}
	return []monban.Reach{one}
}

// LeadsHere reports whether a rule leads one of the ports that were looked at to
// another port of this machine, where somebody listens or not.
func LeadsHere(s *monban.Snapshot) bool {
	made, _ := Forwarded(s)
	return slices.ContainsFunc(slices.Concat(s.Doors, made), func(d monban.Door) bool {
		return d.State == monban.Forwarded && d.To.Container == "" && (!d.To.Addr.IsValid() || s.Host.HasAddr(d.To.Addr)) &&
			(len(s.DoorsOf) == 0 || slices.ContainsFunc(s.DoorsOf, func(r monban.PortRange) bool { return r.Contains(d.Bind.Port) }))
	})
}
