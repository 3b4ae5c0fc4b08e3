package exposure

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/monban-dev/monban"
)

// rule is a rule made ready.
type rule struct {
	chain *chain
	from  *monban.Rule
	steps []step
	ports []monban.Span // destination ports that it is limited to; nil is none
	// block are neighbours that all drop some sources, as one rule; its only
	// step tests for any of them.
	block []*rule
}

// step is a step made ready.
type step struct {
	*monban.Step
	atoms  set // of a test of an address
	hasSet bool
	target *chain
	lookup *lookup
	tag    tag
	// limit is what an element may not let past, nil for nothing.
	limit *tag
	// chosen: a test of the flags of a packet that knocks, which it may have more
	// of than it needs.
	chosen bool
}

// tag is something that makes a packet's way uncertain.
type tag struct {
	kind monban.ConditionKind
	text string
	rule *rule
}

// compileRule makes a rule ready, with room for its steps. It returns false for one
// that no packet of the family passes.
func (c *compiler) compileRule(r *rule, room []step, ch *chain, from *monban.Rule) bool {
	*r = rule{chain: ch, from: from, steps: room}
	lets := !drops(from)
	for i := range from.Steps {
		s := step{Step: &from.Steps[i]}
		switch s.Op {
		case monban.OpNote:
			continue
		case monban.OpTest:
			switch l := &s.Key[0]; {
			case l.Field == monban.FieldFamily || l.Field == monban.FieldEtherType && l.Mask == nil:
				if ch.table.Family == monban.TableNetdev && l.Field == monban.FieldFamily {
					break
				}
				if inSpans(familyValue(l.Field, c.family), s.Within) == s.Not {
					return false
				}
				continue
			case address(l.Field):
				s.atoms, s.hasSet = c.testAtoms(s.Step)
			case l.Field == monban.FieldDestPort && !s.Not && l.Len == 2 && l.Mask == nil:
				r.ports = s.Within
			}
			s.tag = tag{monban.ByOpaque, testText(s.Step), r}
			switch l := &s.Key[0]; {
			case lets && l.Field == monban.FieldConstant && l.Name != "":
				// No packet has to have what is asked for, and whoever wants to
				// get in by that may add it.
				s.Step = &monban.Step{Op: monban.OpOpaque, Name: l.Name}
			case lets && l.Field == monban.FieldTCPFlags:
				s.chosen = moreFlags(s.Step)
			}
			if s.Op == monban.OpOpaque {
				break
			}
			if f := s.Key[0].Field; f == monban.FieldSourcePort || f == monban.FieldDestPort || f == monban.FieldConnSourcePort {
				s.tag.kind = monban.BySourcePort
			}
		case monban.OpLookup, monban.OpMap, monban.OpVerdict:
			set := c.sets[ch.table][s.Set]
			if test := routeKinds(s.Step, set); test != nil {
				s.Step, s.tag = test, tag{monban.ByOpaque, testText(test), r}
				break
			}
			if set != nil {
				s.lookup = c.lookup(ch.table, set, s.Key)
				if set.Limit != "" && !s.Not {
					s.limit = &tag{monban.ByRate, "@" + s.Set + " " + set.Limit, r}
				}
			}
			s.tag = tag{monban.ByOpaque, "@" + s.Set, r}
			switch {
			case set == nil || set.Unread:
			case set.Dynamic:
				s.tag.kind = monban.ByDynamicSet
			case random(s.Key):
				s.tag.kind = monban.ByChance
			case len(s.Key) == 1 && chanceKind(s.Key[0].Name) == monban.ByTime:
				s.tag = tag{monban.ByTime, s.Key[0].Name, r}
			case clientPort(s.Key):
				s.tag.kind = monban.BySourcePort
			}
		case monban.OpDecide:
			s.target = c.target(ch.table, s.Action)
			s.tag = tag{monban.ByOpaque, s.Action.Kind.String(), r}
		case monban.OpChance:
			s.tag = tag{chanceKind(s.Name), s.Name, r}
		case monban.OpUpdate:
			s.tag = tag{monban.ByRate, s.Name, r}
			if s.Name == "" {
				s.tag = tag{monban.ByDynamicSet, "@" + s.Set, r} // it may be full
			}
		default:
			s.tag = tag{monban.ByOpaque, s.Name, r}
			if port := constantOf(s.Port, nil); s.Op == monban.OpOpaque && len(port) == 2 {
				c.proxies[binary.BigEndian.Uint16(port)] = &tag{monban.ByOpaque, s.Name, r}
			}
		}
		r.steps = append(r.steps, s)
	}
	r.sureFirst()
	return true
}

// drops reports whether all that a rule does is to keep packets out.
func drops(r *monban.Rule) bool {
	n := len(r.Steps)
	return n > 0 && r.Steps[n-1].Op == monban.OpDecide && (r.Steps[n-1].Action.Kind == monban.ActDrop || r.Steps[n-1].Action.Kind == monban.ActReject)
}

// moreFlags reports whether a first packet passes a test only with flags that it need
// not have, besides SYN: PSH, URG, and those of explicit congestion notification.
func moreFlags(s *monban.Step) bool {
	l := &s.Key[0]
	passes := func(flags byte) bool {
		if len(l.Mask) == 1 && len(l.Xor) == 1 {
			flags = flags&l.Mask[0] ^ l.Xor[0]
		}
		return inSpans([]byte{flags}, s.Within) != s.Not
	}
	const syn, psh, urg, ece, cwr = 0x02, 0x08, 0x20, 0x40, 0x80
	for more := range 256 {
		if more&^(psh|urg|ece|cwr) == 0 && passes(byte(syn|more)) && !passes(syn) {
			return true
		}
	}
	return false
}

// sureFirst puts the tests that a rule begins with into the order in which least
// stays unforeseen: where another test fails for certain, nobody has to know how
// the one that cannot be foreseen would have come out.
func (r *rule) sureFirst() {
	n := 0
	for n < len(r.steps) && (r.steps[n].Op == monban.OpTest || r.steps[n].Op == monban.OpLookup ||
		r.steps[n].Op == monban.OpChance || r.steps[n].Op == monban.OpOpaque && !r.steps[n].Final) {
		n++
	}
	slices.SortStableFunc(r.steps[:n], func(a, b step) int { return cmp.Compare(a.doubt(), b.doubt()) })
}

// doubt is how little can be foreseen of a test.
func (s *step) doubt() int {
	switch {
	case s.Op == monban.OpOpaque:
		return 3
	case s.Op == monban.OpChance:
		return 2
	case s.Op == monban.OpLookup:
		return 1
	}
	return 0
}

// routeKinds returns a look-up of kinds of routes as a test for them.
func routeKinds(s *monban.Step, set *monban.Set) *monban.Step {
	if s.Op != monban.OpLookup || len(s.Key) != 1 || set == nil || set.Unread || set.Dynamic || set.Else != nil {
		return nil
	}
	if f := s.Key[0].Field; f != monban.FieldSourceType && f != monban.FieldDestType {
		return nil
	}
	test := &monban.Step{Op: monban.OpTest, Key: s.Key, Not: s.Not}
	for i := range set.Elements {
		e := &set.Elements[i]
		span := monban.Span{First: bytes.Clone(e.First), Last: bytes.Clone(e.Last)}
		if s.Key[0].Little {
			slices.Reverse(span.First)
			slices.Reverse(span.Last)
		}
		if len(span.First) != 4 || len(span.Last) != 4 {
			return nil
		}
		test.Within = append(test.Within, span)
	}
	return test
}

func testText(s *monban.Step) string {
	if s.Key[0].Name != "" {
		return s.Key[0].Name
	}
	return s.Key[0].Field.String()
}

func random(key []monban.Load) bool {
	return slices.ContainsFunc(key, func(l monban.Load) bool { return l.Field == monban.FieldRandom })
}

// clientPort reports whether a key may hold the client's port, which it chooses:
// in an answer that is the destination's.
func clientPort(key []monban.Load) bool {
	return slices.ContainsFunc(key, func(l monban.Load) bool {
		return l.Field == monban.FieldSourcePort || l.Field == monban.FieldDestPort
	})
}

func chanceKind(name string) monban.ConditionKind {
	switch name {
	case "random":
		return monban.ByChance
	case "time", "meta time", "meta day", "meta hour":
		return monban.ByTime
	}
	if len(name) > 6 && name[:6] == "recent" {
		return monban.ByDynamicSet
	}
	return monban.ByRate
}

func (c *compiler) target(t *monban.Table, a monban.Action) *chain {
	if a.Chain == "" {
		return nil
	}
	if next := c.named[t][a.Chain]; next != nil {
		return c.compileChain(t, next)
	}
	return nil
}

// testAtoms returns the addresses that pass a test, before its Not.
func (c *compiler) testAtoms(s *monban.Step) (set, bool) {
	var out set
	for _, sp := range s.Within {
		first, last, ok := addressSpan(&s.Key[0], sp, c.family)
		if !ok {
			return set{}, false
		}
		atoms := c.space.between(first, last)
		out.add(&atoms)
	}
	return out, true
}

// familyValue is what a packet of the family has in a field about families.
func familyValue(field monban.Field, f monban.Family) []byte {
	switch {
	case field == monban.FieldFamily && f == monban.IPv4:
		return []byte{2}
	case field == monban.FieldFamily:
		return []byte{10}
	case f == monban.IPv4:
		return []byte{0x08, 0x00}
	}
	return []byte{0x86, 0xdd}
}

func inSpans(v []byte, spans []monban.Span) bool {
	for i := range spans {
		if bytes.Compare(spans[i].First, v) <= 0 && bytes.Compare(v, spans[i].Last) <= 0 {
			return true
		}
	}
	return false
}
