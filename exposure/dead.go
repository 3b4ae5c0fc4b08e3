package exposure

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/monban-dev/monban"
)

// Dead finds rules that no packet comes to or passes: one before them in their
// chain already decides about every packet that they are about, or what they ask
// for excludes itself. The first evidence is the rule, the second the one before.
// It is about what is sure: other rules may be dead, too. A rule that the one before
// turns into its opposite is worse than one that is only too much.
func Dead(s *monban.Snapshot) []monban.Finding {
	if s.Rules == nil {
		return nil
	}
	var out []monban.Finding
	for i := range s.Rules.Tables {
		t := &s.Rules.Tables[i]
		if t.Dormant || t.Family == monban.TableARP || t.Family == monban.TableBridge {
			continue
		}
		for k := range t.Chains {
			out = append(out, deadIn(t, &t.Chains[k])...)
		}
	}
	return out
}

// mostDead is how many findings one chain makes.
const mostDead = 20

func deadIn(t *monban.Table, c *monban.Chain) (out []monban.Finding) {
	// In a long chain only the first rules are compared with those behind: it is
	// quadratic.
	const pairs = 200_000
	most := max(32, pairs/max(1, len(c.Rules)))
	p := prover{table: t, states: !changesState(c)}
	var deciders []*monban.Rule
	for i := range c.Rules {
		r := &c.Rules[i]
		action, acts := acting(r)
		if acts && len(out) < mostDead {
			by := (*monban.Rule)(nil)
			asked := askedOf(r)
			f := p.family(asked)
			for _, d := range deciders {
				if p.covers(d, asked, f) {
					by = d
					break
				}
			}
			if by != nil || p.impossible(asked) || wrongWay(c, r) {
				out = append(out, deadRule(t, c, r, by, action))
			}
		}
		if len(deciders) < most && final(r) {
			deciders = append(deciders, r)
		}
	}
	return out
}

func deadRule(t *monban.Table, c *monban.Chain, r, by *monban.Rule, action monban.ActionKind) monban.Finding {
	ref := func(r *monban.Rule) monban.Evidence {
		return monban.Evidence{Source: "firewall", Text: monban.RuleRef{Family: t.Family, Table: t.Name, Chain: c.Name, Handle: r.Handle, Text: r.Text(t)}.String()}
	}
	f := monban.Finding{Kind: monban.DeadRule, Severity: monban.Info, Evidence: []monban.Evidence{ref(r)}, Bind: monban.Bind{Port: portOf(r)},
		Fix: []monban.Fix{{Code: fixDeadRule}}}
	if by != nil {
		f.Evidence = append(f.Evidence, ref(by))
		before, _ := acting(by)
		shuts := func(k monban.ActionKind) bool { return k == monban.ActDrop || k == monban.ActReject }
		switch {
		case shuts(action) && (before == monban.ActAccept || before == monban.ActReturn):
			f.Severity = monban.Medium // it was meant to keep somebody out
		case shuts(before) && action == monban.ActAccept:
			f.Severity = monban.Low
		}
		if f.Severity != monban.Info {
			f.Fix = []monban.Fix{{Code: fixRuleOrder}}
		}
	}
	return f
}

// portOf is the port that a rule is about, for those who sort by it.
func portOf(r *monban.Rule) (p monban.Port) {
	var l limits
	for i := range r.Steps {
		if r.Steps[i].Op == monban.OpTest {
			if left := l.leaves(&r.Steps[i]); len(left) > 0 {
				l = left[0]
			}
		}
	}
	if len(l.ports) > 0 && len(l.ports[0].First) == 2 {
		p.Num, p.Proto = binary.BigEndian.Uint16(l.ports[0].First), l.proto
	}
	return p
}

// acting returns what a rule decides, and whether it decides or leads anywhere.
func acting(r *monban.Rule) (monban.ActionKind, bool) {
	for i := range r.Steps {
		switch s := &r.Steps[i]; s.Op {
		case monban.OpDecide:
			return s.Action.Kind, s.Action.Kind != monban.ActContinue && s.Action.Kind != monban.ActReturn
		case monban.OpDNAT, monban.OpRedirect, monban.OpSNAT:
			return monban.ActAccept, true
		case monban.OpOpaque, monban.OpVerdict:
			return monban.ActContinue, s.Op == monban.OpVerdict
		}
	}
	return monban.ActContinue, false
}

// final reports whether a packet that passes a rule's tests never comes to those
// behind it in its chain.
func final(r *monban.Rule) bool {
	for i := range r.Steps {
		switch s := &r.Steps[i]; s.Op {
		case monban.OpTest, monban.OpLookup, monban.OpNote, monban.OpAssign, monban.OpNoTrack:
		case monban.OpDNAT, monban.OpRedirect, monban.OpSNAT:
			return true
		case monban.OpDecide:
			switch s.Action.Kind {
			case monban.ActAccept, monban.ActDrop, monban.ActReject, monban.ActReturn, monban.ActGoto:
				return true
			}
			return false
		default:
			return false
		}
	}
	return false
}

// wrongWay reports whether a rule of a base chain asks for the interface that its
// packets do not have yet, or had no more.
func wrongWay(c *monban.Chain, r *monban.Rule) bool {
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Op == monban.OpOpaque && s.Final || s.Op == monban.OpDecide {
			return false
		}
		if s.Op != monban.OpTest || s.Not || s.Key[0].Mask != nil {
			continue
		}
		var none []byte
		switch f := s.Key[0].Field; {
		case f == monban.FieldOutName && (c.Hook == monban.HookInput || c.Hook == monban.HookPrerouting),
			f == monban.FieldInName && c.Hook == monban.HookOutput:
			none = make([]byte, s.Key[0].Len)
		default:
			continue
		}
		if len(none) > 0 && !inSpans(none, s.Within) {
			return true
		}
	}
	return false
}

// changesState reports whether the state of a packet's connection may be another at
// the chain's end: where something takes packets out of tracking.
func changesState(c *monban.Chain) bool {
	for i := range c.Rules {
		for k := range c.Rules[i].Steps {
			if s := &c.Rules[i].Steps[k]; s.Op == monban.OpNoTrack || s.Action.Chain != "" && c.Hook == monban.HookPrerouting {
				return true
			}
		}
	}
	return false
}

// prover shows that one rule's tests follow from another's.
type prover struct {
	table  *monban.Table
	states bool // the state of a connection stays the same within a chain
}

// covers reports whether every packet of the family that passes what was asked
// passes the tests of d.
func (p *prover) covers(d *monban.Rule, asked []*monban.Step, f monban.Family) bool {
	for i := range d.Steps {
		s := &d.Steps[i]
		if s.Op != monban.OpTest && s.Op != monban.OpLookup {
			continue
		}
		if !slices.ContainsFunc(asked, func(o *monban.Step) bool { return p.implies(o, s, f) }) || !p.lasting(s) {
			return false
		}
	}
	return true
}

// askedOf returns the tests that a packet passes before a rule does anything.
func askedOf(r *monban.Rule) (out []*monban.Step) {
	for i := range r.Steps {
		switch s := &r.Steps[i]; s.Op {
		case monban.OpTest, monban.OpLookup:
			out = append(out, s)
		case monban.OpNote, monban.OpChance, monban.OpOpaque, monban.OpUpdate:
		default:
			return out
		}
	}
	return out
}

// lasting reports whether a test comes out the same for one packet anywhere in a
// chain.
func (p *prover) lasting(s *monban.Step) bool {
	for i := range s.Key {
		switch s.Key[i].Field {
		case monban.FieldOther, monban.FieldConstant, monban.FieldTemp, monban.FieldMark, monban.FieldConnMark, monban.FieldRandom:
			return false
		case monban.FieldConnState, monban.FieldConnStateNAT, monban.FieldConnStatus:
			if !p.states {
				return false
			}
		}
	}
	if s.Op == monban.OpLookup {
		set := p.table.Set(s.Set)
		return set != nil && !set.Dynamic
	}
	return true
}

// family is that of the packets that pass what a rule asks, where it is sure.
func (p *prover) family(asked []*monban.Step) monban.Family {
	var l limits
	switch p.table.Family {
	case monban.TableIP:
		l.family = monban.IPv4
	case monban.TableIP6:
		l.family = monban.IPv6
	}
	for _, s := range asked {
		if f := s.Key[0].Field; s.Op == monban.OpTest && f == monban.FieldFamily {
			if left := l.leaves(s); len(left) > 0 {
				l = left[0]
			}
		}
	}
	return l.family
}

// implies reports whether what passes a passes b, among packets of a family.
func (p *prover) implies(a, b *monban.Step, f monban.Family) bool {
	if len(a.Key) == 0 || len(b.Key) == 0 || a.Key[0].Field != b.Key[0].Field {
		return false
	}
	if sameTest(a, b) {
		return true
	}
	if len(a.Key) != 1 || len(b.Key) != 1 {
		return false
	}
	x, ok1 := p.addresses(a, f)
	y, ok2 := p.addresses(b, f)
	if !ok1 || !ok2 {
		if !sameKey(a.Key, b.Key) {
			return false
		}
		x, ok1 = p.values(a)
		y, ok2 = p.values(b)
	}
	switch {
	case !ok1 || !ok2:
		return false
	case !a.Not && !b.Not:
		return subset(x, y)
	case !a.Not && b.Not:
		return apart(x, y)
	case a.Not && b.Not:
		return subset(y, x)
	}
	return false
}

// sameTest reports whether two tests or look-ups ask the same.
func sameTest(a, b *monban.Step) bool {
	return a.Op == b.Op && a.Not == b.Not && a.Set == b.Set && sameKey(a.Key, b.Key) &&
		slices.EqualFunc(a.Within, b.Within, func(x, y monban.Span) bool { return bytes.Equal(x.First, y.First) && bytes.Equal(x.Last, y.Last) })
}

func sameKey(a, b []monban.Load) bool {
	return slices.EqualFunc(a, b, func(x, y monban.Load) bool {
		return x.Field == y.Field && x.Name == y.Name && x.Offset == y.Offset && x.Len == y.Len && x.Little == y.Little && x.Temp == y.Temp &&
			x.ByDevice == y.ByDevice && bytes.Equal(x.Mask, y.Mask) && bytes.Equal(x.Xor, y.Xor) && bytes.Equal(x.Value, y.Value)
	})
}

// impossible reports whether two tests of a rule exclude each other.
func (p *prover) impossible(tests []*monban.Step) bool {
	for i, a := range tests {
		for _, b := range tests[:i] {
			if len(a.Key) != 1 || len(b.Key) != 1 || a.Not || b.Not || a.Key[0].Field != b.Key[0].Field || !sameKey(a.Key, b.Key) || !p.lasting(a) {
				continue
			}
			x, ok1 := p.values(a)
			y, ok2 := p.values(b)
			if ok1 && ok2 && apart(x, y) {
				return true
			}
		}
	}
	return false
}

// addresses is values for a test of an address, as ranges of whole ones: networks
// are tests of an address's first bytes, or bits.
func (p *prover) addresses(s *monban.Step, f monban.Family) (out []monban.Span, ok bool) {
	list, ok := p.values(s)
	if !ok || f == monban.FamilyUnknown || !address(s.Key[0].Field) {
		return nil, false
	}
	for _, span := range list {
		first, last, ok := addressSpan(&s.Key[0], span, f)
		if !ok {
			return nil, false
		}
		out = append(out, monban.Span{First: first.bytes(f), Last: last.bytes(f)})
	}
	return out, true
}

// values returns what a test's field has to be in, or with Not must not be.
func (p *prover) values(s *monban.Step) ([]monban.Span, bool) {
	if s.Op == monban.OpTest {
		return s.Within, len(s.Within) > 0
	}
	const few = 256
	set := p.table.Set(s.Set)
	if set == nil || set.Dynamic || set.Unread || set.Else != nil || len(set.Elements) > few || len(set.Elements) == 0 || s.Key[0].Little {
		return nil, false
	}
	var out []monban.Span
	for i := range set.Elements {
		e := &set.Elements[i]
		if e.Expires != 0 || len(e.First) < s.Key[0].Len {
			return nil, false
		}
		out = append(out, monban.Span{First: e.First[:s.Key[0].Len], Last: e.Last[:s.Key[0].Len]})
	}
	return out, true
}

// subset reports whether each span of x is within one of y.
func subset(x, y []monban.Span) bool {
	for _, a := range x {
		if !slices.ContainsFunc(y, func(b monban.Span) bool {
			return len(a.First) == len(b.First) && bytes.Compare(b.First, a.First) <= 0 && bytes.Compare(a.Last, b.Last) <= 0
		}) {
			return false
		}
	}
	return true
}

// apart reports whether no span of x meets one of y.
func apart(x, y []monban.Span) bool {
	for _, a := range x {
		for _, b := range y {
			if len(a.First) != len(b.First) || bytes.Compare(a.First, b.Last) <= 0 && bytes.Compare(b.First, a.Last) <= 0 {
				return false
			}
		}
	}
	return true
}
