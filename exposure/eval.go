package exposure

import (
	"slices"

	"github.com/monban-dev/monban"
)

// eval sends a set of packets through chains: they are alike in everything but
// the address of whoever is at the other end. Where a test tells those addresses
// apart, the packets part ways; where nobody can foresee a test's outcome, all go
// both ways and are tagged. What is left at the end for each address is the set of
// everything that may happen to its packets.
type eval struct {
	*program
	host *machine
	divisions
	in    *monban.Interface // nil where the packet comes from this machine
	out   *monban.Interface // nil before routing
	proto byte
	// bound: the socket is bound to the interface that the first packet came by.
	bound bool
	// reply: the packet answers the first one.
	reply bool
	// keepsMark: the answer has the mark of what it answers, where the socket has no
	// mark of its own (inet_request_mark).
	keepsMark bool
	mark      uint32
	// established: the packet follows an answer.
	established bool
	// tracked: connection tracking has seen the packet.
	tracked bool
	hook    monban.Hook
	// first is the destination before any translation.
	first place

	accepted []*state
	drops    []outcome
	accepts  []outcome
	asked    []asked
}

func (e *eval) accept(r *rule, s *state) {
	e.accepts = append(e.accepts, outcome{by: r, src: s.src})
	e.accepted = append(e.accepted, s)
}

func (e *eval) drop(o outcome, s *state) {
	o.src, o.tags = s.src, s.tags
	e.drops = append(e.drops, o)
}

// base sends packets through a base chain and returns those that it accepts.
func (e *eval) base(b *base, in []*state) []*state {
	if len(in) == 0 {
		return nil
	}
	e.accepted = nil
	rest := e.chain(b.chain, in, 0)
	for _, s := range rest {
		if b.from.Policy.Kind == monban.ActDrop {
			e.drop(outcome{base: b}, s)
			continue
		}
		e.accepts = append(e.accepts, outcome{base: b, src: s.src})
		e.accepted = append(e.accepted, s)
	}
	return join(e.accepted)
}

// maxDepth is how deep the kernel lets chains call each other
// (NFT_JUMP_STACK_SIZE).
const maxDepth = 16

// chain sends packets through a chain and returns those that come out at its end
// or by a return.
func (e *eval) chain(c *chain, in []*state, depth int) []*state {
	if depth > maxDepth {
		return in
	}
	live := in
	var returned []*state
	e.each(c, in, func(r *rule) bool {
		if r.block != nil && e.reply { // the source is ours
			for _, b := range r.block {
				next := live[:0:0]
				for _, s := range live {
					e.steps(b, 0, s, temps{}, &next, &returned, depth)
				}
				live = next
			}
			return len(live) > 0
		}
		next := live[:0:0]
		for _, s := range live {
			e.steps(r, 0, s, temps{}, &next, &returned, depth)
		}
		live = next
		if len(live) > 1 {
			live = join(live)
		}
		return len(live) > 0
	})
	return join(append(live, returned...))
}

// each calls f for the rules that may concern the packets.
func (e *eval) each(c *chain, in []*state, f func(*rule) bool) {
	same := c.byPort != nil && !e.reply && !slices.ContainsFunc(in, func(s *state) bool { return s.port != in[0].port })
	if !same {
		for _, r := range c.rules {
			if !f(r) {
				return
			}
		}
		return
	}
	a, b := c.others, c.byPort[in[0].port]
	for len(a) > 0 || len(b) > 0 {
		var i int32
		if len(b) == 0 || len(a) > 0 && a[0] < b[0] {
			i, a = a[0], a[1:]
		} else {
			i, b = b[0], b[1:]
		}
		if !f(c.rules[i]) {
			return
		}
	}
}

// temps is what maps gave a rule so far.
type temps [4][]byte

// steps does the steps of a rule from the i-th on. Packets that go on with the
// rule behind it are added to next, those that leave the chain to returned.
func (e *eval) steps(r *rule, i int, s *state, t temps, next, returned *[]*state, depth int) {
	for ; i < len(r.steps); i++ {
		st := &r.steps[i]
		switch st.Op {
		case monban.OpTest:
			pass := e.test(st, s, &t, next)
			if pass == nil {
				return
			}
			s = pass
		case monban.OpLookup:
			pass := e.lookIn(st, s, &t, next)
			if pass == nil {
				return
			}
			s = pass
		case monban.OpMap, monban.OpVerdict:
			e.lookUp(r, i, s, t, next, returned, depth)
			return
		case monban.OpDecide:
			if st.Action.Kind == monban.ActContinue {
				continue // with the rule's next step (nft_do_chain)
			}
			e.decide(r, st.Action, st.target, &st.tag, s, next, returned, depth)
			return
		case monban.OpAssign:
			e.assign(st, s, &t)
		case monban.OpDNAT, monban.OpRedirect:
			list := e.translate(r, st, s, &t)
			if list == nil {
				e.drop(outcome{by: r}, s)
			}
			for _, s := range list {
				s.changed = s.place != e.first || s.lastPort != 0
				e.accept(r, s)
			}
			return
		case monban.OpSNAT:
			s.source = r
			e.accept(r, s)
			return
		case monban.OpNoTrack:
			if !e.tracked && !s.untracked {
				s.untracked, s.notrack = true, r
			}
		case monban.OpChance:
			*next = append(*next, s.fork(&st.tag))
		case monban.OpUpdate:
			if st.Name != "" || !st.Not && i+1 < len(r.steps) {
				*next = append(*next, s.fork(&st.tag))
			}
		case monban.OpOpaque:
			if st.Final {
				in := s.fork(&st.tag)
				in.answered = st.Name == "synproxy" || st.Name == "xt target SYNPROXY"
				e.accept(r, in)
				e.drop(outcome{by: r}, s.clone())
			}
			*next = append(*next, s.fork(&st.tag))
		}
	}
	*next = append(*next, s)
}

func (e *eval) decide(r *rule, a monban.Action, target *chain, t *tag, s *state, next, returned *[]*state, depth int) {
	switch a.Kind {
	case monban.ActContinue:
		*next = append(*next, s)
	case monban.ActAccept:
		e.accept(r, s)
	case monban.ActDrop, monban.ActReject:
		e.drop(outcome{by: r}, s)
	case monban.ActReturn:
		*returned = append(*returned, s)
	case monban.ActJump, monban.ActGoto:
		if target == nil { // a chain that was not told: anything may happen
			e.anything(r, t, s, next)
			return
		}
		out := e.chain(target, []*state{s}, depth+1)
		if a.Kind == monban.ActJump {
			*next = append(*next, out...)
		} else {
			*returned = append(*returned, out...)
		}
	default: // a program decides
		e.anything(r, t, s, next)
	}
}

// anything lets packets be accepted, dropped and go on.
func (e *eval) anything(r *rule, t *tag, s *state, next *[]*state) {
	e.accept(r, s.fork(t))
	e.drop(outcome{by: r}, s.clone())
	*next = append(*next, s)
}
