package exposure

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// mostIdle is how many of the rules' ports are tried: a ruleset of ten thousand
// rules is no list of forgotten ones.
const mostIdle = 256

// Idle finds ports that rules open and nobody listens on: whatever is started there
// is open at once. A rule counts if, and only if, somebody who knocks gets in by
// it. Where sockets may be missing from the snapshot nothing is found.
func Idle(s *monban.Snapshot) []monban.Finding {
	if s.Rules == nil || len(s.Host.Interfaces) == 0 || slices.ContainsFunc(s.Gaps, func(g monban.Gap) bool {
		return g.Hides == monban.HidesDoors || g.Hides == monban.HidesRules
	}) {
		return nil
	}
	w := permits{seen: map[string]bool{}}
	for i := range s.Rules.Tables {
		t := &s.Rules.Tables[i]
		for k := range t.Chains {
			if c := &t.Chains[k]; c.Hook == monban.HookInput && !t.Dormant {
				w.chain(t, c, limits{})
			}
		}
	}
	taken := map[monban.Proto][]uint16{} // a ruleset may have more rules than there are doors
	for i := range s.Doors {
		port := s.Doors[i].Bind.Port
		taken[port.Proto] = append(taken[port.Proto], port.Num)
	}
	for _, list := range taken {
		slices.Sort(list)
	}
	j := newJudge(s)
	var out []monban.Finding
	tried := 0
	for _, permit := range w.list {
		r := permit.ports
		if at, _ := slices.BinarySearch(taken[r.Proto], r.First); at < len(taken[r.Proto]) && taken[r.Proto][at] <= r.Last || clientsOnly(r) {
			continue
		}
		if tried++; tried > mostIdle {
			break
		}
		reach := j.admitted(permit)
		if reach == nil {
			continue
		}
		severity := monban.Info
		if reach.Public() && !s.Host.Overlay(reach.Device) {
			severity = monban.Low
		}
		text := r.String()
		if k := slices.IndexFunc(out, func(f monban.Finding) bool { return f.Evidence[1].Text == evidence(reach).Text }); k >= 0 {
			f := &out[k] // another port of the same rule
			if !slices.Contains(strings.Split(f.Evidence[0].Text, ", "), text) {
				f.Evidence[0].Text += ", " + text
				f.Fix[0].Args[0] = f.Evidence[0].Text
			}
			f.Severity = max(f.Severity, severity)
			continue
		}
		out = append(out, monban.Finding{Kind: monban.IdlePermit, Severity: severity,
			Bind:     monban.Bind{Port: monban.Port{Num: r.First, Proto: r.Proto}, Addr: anyAddress(reach.Family)},
			Evidence: []monban.Evidence{{Source: "ports", Text: text}, evidence(reach)},
			Fix:      []monban.Fix{{Code: fixCloseRule, Args: []string{text, strconv.Itoa(int(r.First))}}}})
	}
	return bothFamilies(out)
}

// bothFamilies puts the findings of an IPv4 rule and an IPv6 rule for the same ports
// together.
func bothFamilies(list []monban.Finding) []monban.Finding {
	var out []monban.Finding
	for _, f := range list {
		k := slices.IndexFunc(out, func(o monban.Finding) bool { return o.Evidence[0].Text == f.Evidence[0].Text })
		if k < 0 {
			out = append(out, f)
			continue
		}
		out[k].Evidence = append(out[k].Evidence, f.Evidence[1:]...)
		out[k].Severity = max(out[k].Severity, f.Severity)
	}
	return out
}

func anyAddress(f monban.Family) netip.Addr {
	if f == monban.IPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// clientsOnly reports whether only clients take the port, while they ask: DHCP's and
// mDNS's answers come there.
func clientsOnly(r monban.PortRange) bool {
	return r.Proto == monban.UDP && r.First == r.Last && (r.First == 68 || r.First == 546 || r.First == 5353)
}

// permit is a rule that may open some ports.
type permit struct {
	ports  monban.PortRange
	family monban.Family // FamilyUnknown is both
	table  *monban.Table
	rule   *monban.Rule
	// chains are those that the rule leads to.
	chains []string
}

// permits collects the rules that ask for a port.
type permits struct {
	list []permit
	seen map[string]bool
}

// chain walks a chain and those that it leads to. Rules behind one that has asked
// for the port are that one's affair.
func (w *permits) chain(t *monban.Table, c *monban.Chain, l limits) {
	key := t.Family.String() + " " + t.Name + " " + c.Name + " " + l.family.String() + " " + l.proto.String()
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	for i := range c.Rules {
		w.rule(t, &c.Rules[i], l)
	}
}

func (w *permits) rule(t *monban.Table, r *monban.Rule, l limits) {
	switch t.Family {
	case monban.TableIP:
		l.family = monban.IPv4
	case monban.TableIP6:
		l.family = monban.IPv6
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		switch s.Op {
		case monban.OpTest:
			if answersOnly(s) {
				return
			}
			left := l.leaves(s)
			if len(left) == 0 {
				return
			}
			l = left[0]
		case monban.OpLookup:
			if set := t.Set(s.Set); set != nil && !s.Not && len(s.Key) == 1 && s.Key[0].Field == monban.FieldDestPort {
				l.ports = nil
				for k := range set.Elements {
					l.ports = append(l.ports, monban.Span{First: set.Elements[k].First, Last: set.Elements[k].Last})
				}
			}
		case monban.OpVerdict:
			w.verdicts(t, r, s, l)
		case monban.OpDecide:
			w.decide(t, r, s.Action, l)
		}
	}
}

// answersOnly reports whether a test leaves packets that are no knock at a door of
// this machine: answers from a server's port, multicast, and what comes by loopback.
func answersOnly(s *monban.Step) bool {
	if s.Not || len(s.Within) == 0 {
		return false
	}
	first := s.Within[0].First
	switch s.Key[0].Field {
	case monban.FieldSourcePort:
		return len(s.Within) == 1 && slices.Equal(first, s.Within[0].Last)
	case monban.FieldDest:
		a, ok := netip.AddrFromSlice(first)
		return ok && a.IsMulticast()
	case monban.FieldInName:
		return strings.TrimRight(string(first), "\x00") == "lo"
	}
	return false
}

// verdicts takes the elements of a verdict map of ports apart.
func (w *permits) verdicts(t *monban.Table, r *monban.Rule, s *monban.Step, l limits) {
	set := t.Set(s.Set)
	if set == nil {
		return
	}
	for i := range set.Elements {
		e := &set.Elements[i]
		one := l
		if len(s.Key) == 1 && s.Key[0].Field == monban.FieldDestPort {
			one.ports = []monban.Span{{First: e.First, Last: e.Last}}
		}
		w.decide(t, r, e.Action, one)
	}
}

func (w *permits) decide(t *monban.Table, r *monban.Rule, a monban.Action, l limits) {
	next := t.Chain(a.Chain)
	switch {
	case a.Kind != monban.ActAccept && (a.Kind != monban.ActJump && a.Kind != monban.ActGoto || next == nil):
		return
	case len(l.ports) == 0:
		if next != nil {
			w.chain(t, next, l)
		}
		return
	}
	p := permit{family: l.family, table: t, rule: r}
	if next != nil {
		p.chains = below(t, next, nil)
	}
	for _, span := range l.ports {
		if len(span.First) != 2 || len(span.Last) != 2 {
			return
		}
		for _, proto := range [...]monban.Proto{monban.TCP, monban.UDP} {
			if l.proto != monban.AnyProto && l.proto != proto {
				continue
			}
			p.ports = monban.PortRange{First: binary.BigEndian.Uint16(span.First), Last: binary.BigEndian.Uint16(span.Last), Proto: proto}
			if p.ports.First > 0 && p.ports.Last < 1<<16-1 {
				w.list = append(w.list, p)
			}
		}
	}
}

// below names a chain and those that it leads to.
func below(t *monban.Table, c *monban.Chain, names []string) []string {
	if slices.Contains(names, c.Name) {
		return names
	}
	names = append(names, c.Name)
	for i := range c.Rules {
		for k := range c.Rules[i].Steps {
			if next := t.Chain(c.Rules[i].Steps[k].Action.Chain); next != nil {
				names = below(t, next, names)
			}
		}
	}
	return names
}

// admitted returns how somebody would get in by a permit if a program listened
// there, nil where nobody would, or where another rule would let them in.
func (j *judge) admitted(p permit) *monban.Reach {
	for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
		if p.family != monban.FamilyUnknown && p.family != f {
			continue
		}
		d := monban.Door{State: monban.Listen, Bind: monban.Bind{Port: monban.Port{Num: p.ports.First, Proto: p.ports.Proto}, Addr: anyAddress(f), V6Only: monban.On}}
		var best *monban.Reach
		for _, dev := range j.devs {
			for _, r := range j.reach(nil, &d, f, dev) {
				by := r.Rule
				mine := by.Table == p.table.Name && by.Family == p.table.Family && (by.Handle == p.rule.Handle || slices.Contains(p.chains, by.Chain))
				if (r.Verdict == monban.VerdictOpen || r.Verdict == monban.VerdictPartly) && by.Handle != 0 && mine && (best == nil || !best.Public() && r.Public()) {
					best = &r
				}
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}
