package exposure

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/monban-dev/monban"
)

// test does a test. It returns the packets that pass and adds the others to next.
func (e *eval) test(st *step, s *state, t *temps, next *[]*state) *state {
	l := &st.Key[0]
	if s.doubtful(e, l.Field) {
		*next = append(*next, s.fork(&st.tag))
		return s
	}
	if role := e.role(l.Field); role != noAddress {
		switch {
		case s.unseen(e, l.Field):
			*next = append(*next, s)
			return nil
		case st.hasSet && role == theirs:
			return e.split(s, &st.atoms, st.Not, next)
		case st.hasSet:
			return choose(s, st.atoms.has(e.space.atom(e.ours(l.Field, s))) != st.Not, next)
		case role == theirs:
			*next = append(*next, s.fork(&st.tag))
			return s
		}
	}
	if l.Field == monban.FieldSourceType || l.Field == monban.FieldDestType || l.Field == monban.FieldReversePath {
		return e.routeTest(st, s, next)
	}
	v, known := e.value(l, s, t)
	switch known {
	case absent:
		*next = append(*next, s)
		return nil
	case unforeseen:
		if l.Field == monban.FieldSourcePort || l.Field == monban.FieldDestPort || l.Field == monban.FieldConnSourcePort {
			if anyPort(st.Within) {
				return choose(s, !st.Not, next)
			}
		}
		*next = append(*next, s.fork(&st.tag))
		return s
	}
	if st.chosen && !e.reply && !e.established && e.proto == protoTCP {
		*next = append(*next, s.fork(&st.tag))
		return s
	}
	pass := inSpans(v, st.Within)
	if (l.Field == monban.FieldInName || l.Field == monban.FieldInIndex) && !e.reply {
		e.asked = append(e.asked, asked{*l, st.Within, pass})
	}
	return choose(s, pass != st.Not, next)
}

// anyPort reports whether every port that a client may have is within the spans.
func anyPort(spans []monban.Span) bool {
	for _, s := range spans {
		if len(s.First) == 2 && binary.BigEndian.Uint16(s.First) <= 1 && binary.BigEndian.Uint16(s.Last) == 0xffff {
			return true
		}
	}
	return false
}

// choose sends all packets one way.
func choose(s *state, pass bool, next *[]*state) *state {
	if pass {
		return s
	}
	*next = append(*next, s)
	return nil
}

// split sends the packets from src one way and the others the other.
func (e *eval) split(s *state, src *set, not bool, next *[]*state) *state {
	part := e.part(s, src)
	if not {
		switch {
		case part == nil:
			return s
		case part == s:
			*next = append(*next, s)
			return nil
		}
		*next = append(*next, part)
		return s
	}
	if part != s {
		*next = append(*next, s)
	}
	return part
}

// lookIn does a look-up in a set.
func (e *eval) lookIn(st *step, s *state, t *temps, next *[]*state) *state {
	a, known := e.answer(st, s, t)
	switch known {
	case absent:
		*next = append(*next, s)
		return nil
	case unforeseen:
		*next = append(*next, s.fork(&st.tag))
		return s
	}
	var pass *state
	switch {
	case st.lookup.set.Else != nil && st.Not:
		// Linux 5.13 to 6.16 let everybody past, later ones nobody
		// (nft_lookup_eval).
		*next = append(*next, s.fork(&st.tag))
		return s
	case st.lookup.set.Else != nil:
		pass = choose(s, !st.Not, next)
	case st.lookup.remote < 0 || !e.remotePart(st.lookup):
		pass = choose(s, e.element(st.lookup, a, s) != nil != st.Not, next)
	default:
		pass = e.split(s, &a.any, st.Not, next)
	}
	if pass != nil && st.limit != nil {
		*next = append(*next, pass.fork(st.limit))
	}
	return pass
}

// lookUp does a look-up in a map and goes on with every element that packets may
// meet.
func (e *eval) lookUp(r *rule, i int, s *state, t temps, next, returned *[]*state, depth int) {
	st := &r.steps[i]
	meet := func(el *monban.Element, s *state) {
		if st.limit != nil {
			*next = append(*next, s.fork(st.limit))
		}
		if st.Op == monban.OpVerdict && el.Action.Kind != monban.ActContinue {
			e.decide(r, el.Action, st.lookup.targets[el.Action.Chain], &st.tag, s, next, returned, depth)
			return
		}
		t := t
		if st.Op == monban.OpMap && st.Temp < len(t) {
			t[st.Temp] = el.Data
		}
		e.steps(r, i+1, s, t, next, returned, depth)
	}
	miss := func(s *state) {
		if el := st.lookup.set.Else; el != nil {
			meet(el, s)
			return
		}
		*next = append(*next, s)
	}
	a, known := e.answer(st, s, &t)
	switch {
	case known == absent:
		*next = append(*next, s)
		return
	case known == unforeseen:
		all := []*monban.Element(nil)
		if st.lookup != nil && !st.lookup.set.Unread {
			all = st.lookup.outcomes()
		}
		if all == nil || st.lookup.set.Dynamic {
			e.anything(r, &st.tag, s, next)
			return
		}
		for _, el := range all {
			meet(el, s.fork(&st.tag))
		}
		if !st.lookup.complete() {
			*next = append(*next, s)
		}
		return
	case st.lookup.remote < 0 || !e.remotePart(st.lookup):
		if el := e.element(st.lookup, a, s); el != nil {
			meet(el, s)
		} else {
			miss(s)
		}
		return
	}
	for k := range a.groups {
		part := e.part(s, &a.groups[k].atoms)
		if part == nil {
			continue
		}
		meet(a.groups[k].element, part)
		if part == s {
			return
		}
	}
	miss(s)
}

// element returns what a set has for packets whose key holds no address, or one of
// this machine's.
func (e *eval) element(l *lookup, a *answer, s *state) *monban.Element {
	if l.remote < 0 {
		return a.all
	}
	atom := e.space.atom(e.ours(l.key[l.remote].Field, s))
	for i := range a.groups {
		if a.groups[i].atoms.has(atom) {
			return a.groups[i].element
		}
	}
	return nil
}

// remotePart reports whether the address in the key is that of the other end.
func (e *eval) remotePart(l *lookup) bool { return e.role(l.key[l.remote].Field) == theirs }

// answer asks a set.
func (e *eval) answer(st *step, s *state, t *temps) (*answer, knowledge) {
	l := st.lookup
	if l == nil || l.set.Unread || l.set.Dynamic {
		return nil, unforeseen
	}
	parts := make([][]byte, 0, len(l.key))
	known := certain
	for k := range l.key {
		if s.doubtful(e, l.key[k].Field) {
			known = unforeseen
			continue
		}
		if k == l.remote {
			if s.unseen(e, l.key[k].Field) {
				return nil, absent
			}
			continue
		}
		load := &l.key[k]
		if role := e.role(load.Field); role == theirs {
			known = unforeseen
			continue
		}
		v, kn := e.value(load, s, t)
		if kn == absent {
			return nil, absent
		}
		if kn == unforeseen {
			known = unforeseen
			continue
		}
		if load.Little {
			v = bytes.Clone(v)
			slices.Reverse(v)
		}
		parts = append(parts, v)
	}
	if known != certain {
		return nil, known
	}
	return l.ask(parts), certain
}
