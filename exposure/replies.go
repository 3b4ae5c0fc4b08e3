package exposure

import (
	"github.com/monban-dev/monban"
)

// localReply sends the answers of packets that have arrived here.
func (e *eval) localReply(states []*state) []*state {
	if !answered(e.proto) {
		return states
	}
	in := e.in
	e.keepsMark = e.host.AnswersKeepMark == monban.On && e.proto == protoTCP && e.mark == 0
	states = e.answers(states, func(states []*state, back *monban.Interface) (gone []departure) {
		chains := e.hooks[monban.HookOutput]
		e.in = nil // also where no chain of the hook output says so
		if e.mark != 0 {
			for _, s := range states {
				s.mark, s.unknownMark = e.mark, false
			}
		}
		if !e.host.ruled(e.family) {
			return e.output(chains, departure{back, states}, back, in, facts{})
		}
		for _, s := range states {
			for _, d := range e.leaving(s, in, false) {
				gone = append(gone, e.output(chains, d, d.by, in, s.facts)...)
			}
		}
		return gone
	})
	e.in, e.out, e.tracked, e.keepsMark = in, nil, true, false
	return e.acknowledge(states, monban.HookInput)
}

// acknowledge sends the third packet of each connection, which is established by
// then, the way of the first to the hook behind routing. A ruleset that lets only
// the first one through lets nobody connect.
func (e *eval) acknowledge(states []*state, last monban.Hook) []*state {
	accepts, out := e.accepts, e.out
	e.established = true
	var in []*state
	for _, s := range states {
		a := &state{facts: s.facts, src: s.src, tags: s.tags}
		a.place, a.mark, a.unknownMark = e.first, 0, false
		a.lost, a.untracked = s.untracked, false
		if s.answered { // by a proxy, which asks us next as it likes
			in = append(in, s)
			continue
		}
		e.out = nil
		list := e.device(monban.HookIngress, e.in, []*state{a})
		e.hook = monban.HookPrerouting
		for _, b := range e.hooks[monban.HookPrerouting] {
			e.tracked = b.from.Priority > priorityConntrack
			if b.from.Priority >= priorityNAT {
				arrive(list, s.place)
			}
			list = e.base(b, list)
		}
		arrive(list, s.place)
		if e.host.ruled(e.family) {
			list = e.going(list, out)
		}
		e.tracked, e.hook, e.out = true, last, out
		for _, b := range e.hooks[last] {
			list = e.base(b, list)
		}
		if last == monban.HookForward {
			e.hook = monban.HookPostrouting
			for _, b := range e.hooks[monban.HookPostrouting] {
				list = e.base(b, list)
			}
			list = e.device(monban.HookEgress, out, list)
		}
		for _, r := range list {
			r.facts = s.facts
		}
		in = append(in, join(list)...)
	}
	e.established, e.accepts, e.out = false, accepts, out
	return join(in)
}

// arrive gives packets the destination that their connection is translated to.
func arrive(states []*state, to place) {
	for _, s := range states {
		s.place = to
	}
}

// answers sends answers on the way that leave does, and then out. It returns the
// packets whose answers get out, as they arrived.
func (e *eval) answers(states []*state, leave func([]*state, *monban.Interface) []departure) []*state {
	quiet := !e.host.ruled(e.family)
	for _, h := range [...]monban.Hook{monban.HookOutput, monban.HookPostrouting, monban.HookForward, monban.HookPrerouting, monban.HookIngress, monban.HookEgress} {
		quiet = quiet && len(e.hooks[h]) == 0
	}
	if quiet {
		return states
	}
	accepts := e.accepts // what lets answers out is not why somebody comes in
	e.reply = true
	in := e.in
	var out []*state
	for _, s := range states {
		if s.answered {
			out = append(out, s)
			continue
		}
		if s.zone != nil && s.translated != nil {
			// An answer whose connection is not found keeps a source that nobody
			// has asked.
			e.uncertain([]*state{s}, s.zone, outcome{by: s.zone.rule})
		}
		switch {
		case e.host.ruled(e.family):
			out = append(out, e.answer1(s, s.src, nil, leave)...)
			continue
		case e.bound:
			out = append(out, e.answer1(s, s.src, in, leave)...)
			continue
		}
		rest := *s
		routing := e.host.routing(e.program)
		for _, i := range e.host.backFirst(in) {
			by := routing.byDevice[i]
			part := and(&rest.src, &by)
			if part.empty() {
				continue
			}
			if several := and(&part, &routing.shared); !several.empty() {
				one := s.clone()
				one.src = several
				one.tagWith(e.host.severalRoutes)
				out = append(out, e.answer1(one, several, e.host.named(i), leave)...)
				part.remove(&several)
			}
			rest.src.remove(&part)
			if !part.empty() {
				out = append(out, e.answer1(s, part, e.host.named(i), leave)...)
			}
		}
		rest.src.remove(&routing.shared)
		if !rest.src.empty() { // routed by a table that we do not see
			out = append(out, e.answer1(s, rest.src, nil, leave)...)
		}
	}
	e.reply, e.accepts, e.in = false, accepts, in
	return out
}

// depart gives answers the source that was asked: what had been translated is
// translated back behind routing (nf_nat_packet in net/netfilter/nf_nat_core.c).
func (e *eval) depart(answers []*state) {
	for _, s := range answers {
		if s.translated != nil && !s.untracked && !s.lost {
			s.place, s.lastPort = e.first, 0
		}
	}
}

func (e *eval) answer1(s *state, src set, back *monban.Interface, leave func([]*state, *monban.Interface) []departure) []*state {
	a := &state{facts: s.facts, src: src, tags: s.tags}
	if !e.keepsMark {
		a.mark, a.unknownMark = 0, false
	}
	a.lost, a.untracked = s.untracked, false
	var out []*state
	for _, d := range leave([]*state{a}, back) {
		e.hook, e.out, e.tracked = monban.HookPostrouting, d.by, true
		states := d.states
		for _, b := range e.hooks[monban.HookPostrouting] {
			if b.from.Priority >= prioritySourceNAT {
				e.depart(states)
			}
			states = e.base(b, states)
		}
		e.depart(states)
		for _, r := range e.device(monban.HookEgress, d.by, states) {
			unheard, by := r.untracked && !s.untracked, r.notrack
			if unheard && s.translated != nil {
				// Its source is not translated back: it answers nobody.
				e.drop(outcome{by: by}, r)
				continue
			}
			r.facts = s.facts
			r.unheard = unheard
			out = append(out, r)
		}
	}
	return join(out)
}
