package exposure

import (
	"bytes"
	"encoding/binary"
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
	// keepsMark: the answer has the mark of what it answers.
	keepsMark bool
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

// place is an address of this machine, or one that it translates to, and a port.
type place struct {
	addr addr
	port uint16
}

// facts are what packets have in common besides their address.
type facts struct {
	place
	// lastPort is the last of several ports that the packets may go to; 0 is one.
	lastPort                     uint16
	mark, connMark               uint32
	unknownMark, unknownConnMark bool
	untracked                    bool
	// answered: a proxy in the kernel has answered in this machine's place.
	answered bool
	// zone is what made it unforeseeable whether answers find their connection.
	zone *tag
	// source is the rule that changed the source.
	source *rule
	// lost: the first packet was not tracked, so the answer has no connection.
	lost bool
	// unheard: the first packet was tracked, and the answer was not.
	unheard bool
	// notrack is the rule that kept the packet out of tracking.
	notrack *rule
	// translated is the rule that may change the destination, and changed says
	// that it does: one that leads to where a packet goes anyway leaves no trace
	// in the connection's status (nf_nat_setup_info).
	translated *rule
	changed    bool
}

// state is packets that are at the same point of the same way.
type state struct {
	facts
	src  set
	tags []tagged
}

// tagged is a tag and the sources whose packets have it.
type tagged struct {
	*tag
	src set
}

// outcome is packets whose fate a rule, or a chain's policy, decided.
type outcome struct {
	by   *rule
	base *base // whose policy decided, where by is nil
	// routing is the routing rule that decided, where it is neither.
	routing *monban.RoutingRule
	why     monban.Reason
	src     set
	tags    []tagged
}

func (s *state) clone() *state {
	c := *s
	return &c
}

// tagWith returns a copy of s's tags with one more, for all its packets.
func (s *state) tagWith(t *tag) {
	s.tags = append(slices.Clip(s.tags), tagged{t, s.src})
}

// part takes the packets from the given sources out of s. It returns nil for none
// and s itself for all.
func (e *eval) part(s *state, src *set) *state {
	in, out := e.divisions.divide(&s.src, src)
	switch {
	case in.empty():
		return nil
	case out.empty():
		return s
	}
	p := *s
	p.src, s.src = in, out
	return &p
}

// divisions remembers what came of dividing sources by the larger sets of a
// ruleset: most doors come to the same rules with the same sources.
type divisions map[setID][]division

type division struct{ from, in, out set }

// divide returns the atoms of a that are in b, and those that are not.
func (d divisions) divide(a, b *set) (in, out set) {
	const large, most = 4, 8 // chunks, and divisions by one set
	if len(b.chunks) < large {
		in, out = and(a, b), *a
		out.remove(b)
		return in, out
	}
	known := d[b.id()]
	for i := range known {
		if known[i].from.is(a) {
			return known[i].in, known[i].out
		}
	}
	in, out = and(a, b), *a
	out.remove(b)
	if len(known) >= most {
		known = append(known[:0:0], known[1:]...)
	}
	d[b.id()] = append(known, division{*a, in, out})
	return in, out
}

// fork returns a copy of s, both tagged.
func (s *state) fork(t *tag) *state {
	s.tagWith(t)
	return s.clone()
}

// join puts states together that differ in nothing but their sources.
func join(list []*state) []*state {
	if len(list) < 2 {
		return list
	}
	out := list[:0:0]
next:
	for _, s := range list {
		for _, o := range out {
			if o.facts == s.facts {
				o.absorb(s)
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

func (s *state) absorb(o *state) {
	if len(s.tags) > 0 || len(o.tags) > 0 {
		s.tags = append(restrict(s.tags, &s.src), restrict(o.tags, &o.src)...)
		s.tags = unite(s.tags)
	}
	s.src.add(&o.src)
}

// restrict returns the tags of the packets from src.
func restrict(tags []tagged, src *set) []tagged {
	var out []tagged
	for _, t := range tags {
		if both := and(&t.src, src); !both.empty() {
			out = append(out, tagged{t.tag, both})
		}
	}
	return out
}

// unite puts entries of the same tag together.
func unite(tags []tagged) []tagged {
	out := tags[:0:0]
next:
	for _, t := range tags {
		for i := range out {
			if out[i].tag == t.tag {
				out[i].src.add(&t.src)
				continue next
			}
		}
		out = append(out, tagged{t.tag, t.src})
	}
	return out
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
		*next = append(*next, s)
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

// assign sets a mark.
func (e *eval) assign(st *step, s *state, t *temps) {
	v, known := e.value(&st.Key[0], s, t)
	number := uint32(0)
	if known == certain && len(v) == 4 {
		number = binary.BigEndian.Uint32(v)
	} else {
		known = unforeseen
	}
	if len(st.Key) > 1 {
		v, more := e.value(&st.Key[1], s, t)
		if more == absent {
			return // there is no connection to have a mark
		}
		if more == certain && len(v) == 4 {
			number ^= binary.BigEndian.Uint32(v)
		} else {
			known = unforeseen
		}
	}
	switch {
	case st.To == monban.FieldConnState:
		if !e.tracked && s.zone == nil {
			s.zone = &st.tag
		}
	case st.To == monban.FieldMark:
		s.mark, s.unknownMark = number, known != certain
	case e.tracked && !s.untracked:
		s.connMark, s.unknownConnMark = number, known != certain
	}
}

// translate changes the destination: it returns the packets for each that they may
// have then, nil where the kernel drops them instead, because there is no address to
// redirect them to.
func (e *eval) translate(r *rule, st *step, s *state, t *temps) []*state {
	s.translated = r
	list := []*state{s}
	if st.Op == monban.OpRedirect {
		to, ok := e.host.primary(e.family, e.in, s.addr)
		if !ok {
			return nil
		}
		s.addr = to
	}
	switch first, last, known := e.bounds(st.Addr, addrLen(e.family), s, t); {
	case known:
		list = e.spread(st, s, addrOfBytes(first), addrOfBytes(last))
	case len(st.Addr) > 0:
		s.tagWith(&st.tag)
	}
	first, last, known := e.bounds(st.Port, 2, s, t)
	if !known {
		if len(st.Port) > 0 {
			for _, s := range list {
				s.tagWith(&st.tag)
			}
		}
		return list
	}
	low, high := binary.BigEndian.Uint16(first), binary.BigEndian.Uint16(last)
	var out []*state
	for _, s := range list {
		switch {
		case low == high:
			s.port = low
		case st.Name == monban.PortRandom:
			out = append(out, e.anyPortOf(st, s, low, high)...)
			continue
		case s.port < low || s.port > high:
			// The first one; one of the range keeps its own
			// (nf_nat_l4proto_unique_tuple).
			s.port = low
		}
		out = append(out, s)
	}
	return out
}

// mostPlaces is how many places of a range are looked at.
const mostPlaces = 32

// spread sends packets to a range of addresses, of which the kernel takes one for
// each connection: to one address of each kind that rules and routes tell apart.
func (e *eval) spread(st *step, s *state, first, last addr) []*state {
	from, to := e.space.atom(first), e.space.atom(last)
	s.addr = first
	if from >= to {
		return []*state{s}
	}
	s.tagWith(&st.tag)
	list := []*state{s}
	for atom := from + 1; atom <= to && len(list) < mostPlaces; atom++ {
		one := s.clone()
		one.addr = e.space.starts[atom]
		list = append(list, one)
	}
	return list
}

// anyPortOf sends packets to a range of ports, of which the kernel takes one by
// chance: to one of each class.
func (e *eval) anyPortOf(st *step, s *state, low, high uint16) []*state {
	s.tagWith(&st.tag)
	s.port, s.lastPort = low, high
	list := []*state{s}
	for _, begin := range e.ports.sorted {
		last := list[len(list)-1]
		if begin <= int(low) || begin > int(high) || begin <= int(last.port) {
			continue
		}
		one := s.clone()
		last.lastPort, one.port, one.lastPort = uint16(begin-1), uint16(begin), high
		list = append(list, one)
	}
	return list
}

// bounds returns the two ends of a range of NAT's.
func (e *eval) bounds(loads []monban.Load, n int, s *state, t *temps) (first, last []byte, ok bool) {
	if len(loads) == 0 {
		return nil, nil, false
	}
	first, known := e.value(&loads[0], s, t)
	if known != certain || len(first) != n {
		return nil, nil, false
	}
	last, known = e.value(&loads[len(loads)-1], s, t)
	return first, last, known == certain && len(last) == n
}
