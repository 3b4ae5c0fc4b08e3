package exposure

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Priorities of what the kernel itself hooks in before routing
// (enum nf_ip_hook_priorities).
const (
	priorityConntrack = -200
	priorityNAT       = -100
	prioritySourceNAT = 100
)

// way is what becomes of the first packets of new connections that come in by one
// interface to one place.
type way struct {
	// in are the packets that arrive, at this machine or where it sends them,
	// and whose answers leave it.
	in      []*state
	drops   []outcome
	accepts []outcome
	// asked are the tests of the interface that the packets met.
	asked []asked
	// by is the interface that they came in by, one of its class.
	by *monban.Interface
}

// answered reports whether a connection of the protocol needs answers to begin.
func answered(proto byte) bool { return proto != protoUDP }

const (
	protoTCP = 6
	protoUDP = 17
)

// follow sends packets to a place and reports their way.
func (p *program) follow(m *machine, d divisions, policies []policy, filters []*tag, i *monban.Interface, key *wayKey, to place) *way {
	e := &eval{program: p, host: m, divisions: d, in: i, proto: key.proto, bound: key.bound, first: to}
	states := e.enter(i, to)
	for _, s := range states {
		s.unknownMark = len(filters) > 0 || i.Program != "" // they may have set one
	}
	if i.Kind == "bridge" && len(p.bridge) > 0 {
		states = e.uncertain(states, &tag{monban.ByOpaque, "bridge", nil}, outcome{base: p.bridge[0]})
	}
	if i.Program != "" {
		states = e.uncertain(states, &tag{monban.ByOpaque, i.Program, nil}, outcome{why: monban.ByProgram})
	}
	for _, t := range filters {
		states = e.uncertain(states, t, outcome{why: monban.ByProgram})
	}
	states = e.protected(states, policies)
	states = e.device(monban.HookIngress, i, states)
	e.hook = monban.HookPrerouting
	states = e.prerouting(states)
	local, forwarded := e.route(states)
	in := e.localReply(e.sourceNAT(monban.HookInput, local))
	for _, f := range forwarded {
		in = append(in, e.forward(f.by, f.states)...)
	}
	return &way{in, e.drops, e.accepts, e.asked, i}
}

// protected makes it uncertain whether those come in whom a policy of IPsec is about.
func (e *eval) protected(states []*state, policies []policy) []*state {
	for _, p := range policies {
		if monban.FamilyOf(p.from.Addr()) != e.family {
			continue
		}
		from := e.space.prefix(p.from)
		var next []*state
		for _, s := range states {
			part := e.part(s, &from)
			if part != nil {
				e.drop(outcome{why: monban.ByProgram}, part.fork(p.tag))
				next = append(next, part)
			}
			if part != s {
				next = append(next, s)
			}
		}
		states = join(next)
	}
	return states
}

// on reports whether a chain sees the packets of a device.
func (b *base) on(device string) bool {
	return slices.ContainsFunc(b.from.Devices, func(d string) bool {
		prefix, wild := strings.CutSuffix(d, "*")
		return d == device || wild && strings.HasPrefix(device, prefix)
	})
}

// device calls the chains of an interface itself, before all others or behind them,
// and of those below it.
func (e *eval) device(h monban.Hook, i *monban.Interface, states []*state) []*state {
	if len(e.hooks[h]) == 0 {
		return states
	}
	hook, tracked := e.hook, e.tracked
	e.hook, e.tracked = h, tracked && h == monban.HookEgress
	switch {
	case i == nil: // they leave by a way that is not known
		states = e.uncertain(states, &tag{monban.ByOpaque, "route", nil}, outcome{base: e.hooks[h][0]})
	case h == monban.HookEgress:
		states = e.below(h, i, e.chainsOn(h, i, states))
	default:
		states = e.chainsOn(h, i, e.below(h, i, states))
	}
	e.hook, e.tracked = hook, tracked
	return states
}

func (e *eval) chainsOn(h monban.Hook, i *monban.Interface, states []*state) []*state {
	for _, b := range e.hooks[h] {
		if b.on(i.Name) {
			states = e.base(b, states)
		}
	}
	return states
}

// below calls the chains of the interfaces that packets pass below another one: the
// ports of a bridge or bond, what a VLAN is on. Which of several nobody can tell.
func (e *eval) below(h monban.Hook, i *monban.Interface, states []*state) []*state {
	ports := e.host.ports(i.Name)
	if len(ports) == 1 {
		return e.chainsOn(h, ports[0], states)
	}
	for _, port := range ports {
		for _, b := range e.hooks[h] {
			if b.on(port.Name) && (len(b.rules) > 0 || b.from.Policy.Kind == monban.ActDrop) {
				t := &tag{monban.ByOpaque, port.Name, nil}
				if len(b.rules) > 0 {
					t.rule = b.rules[0]
				}
				states = e.uncertain(states, t, outcome{base: b})
			}
		}
	}
	return states
}

// sourceNAT calls the chains of a hook that lies behind routing, with those of type
// nat in their place. What those say is no reason why somebody comes in.
func (e *eval) sourceNAT(h monban.Hook, states []*state) []*state {
	e.hook = h
	nat := e.natBehind[h]
	if e.reply || e.established {
		nat = nil // asked for first packets only
	}
	translate := func() {
		accepts := e.accepts
		for _, b := range nat {
			var done, todo []*state
			for _, s := range states {
				if s.untracked || s.source != nil {
					done = append(done, s)
				} else {
					todo = append(todo, s)
				}
			}
			states = join(append(done, e.baseNAT(b, todo)...))
		}
		e.accepts, nat = accepts, nil
	}
	for _, b := range e.hooks[h] {
		if b.from.Priority > prioritySourceNAT {
			translate()
		}
		states = e.base(b, states)
	}
	translate()
	return states
}

// baseNAT sends packets through a chain of type nat, which the kernel asks about
// those whose connections it tracks: where no rule needs that, nothing may do it
// (nf_ct_netns_get).
func (e *eval) baseNAT(b *base, states []*state) []*state {
	if e.tracks {
		return e.base(b, states)
	}
	t := &tag{monban.ByOpaque, "connection tracking", nil}
	if len(b.rules) > 0 {
		t.rule = b.rules[0]
	}
	var past []*state
	for _, s := range states {
		past = append(past, s.fork(t))
	}
	return join(append(past, e.base(b, states)...))
}

// uncertain lets packets go on and be dropped.
func (e *eval) uncertain(states []*state, t *tag, o outcome) []*state {
	for _, s := range states {
		e.drop(o, s.fork(t))
	}
	return states
}

// enter returns the packets that routing lets in at all: the filter of reverse
// paths (fib_validate_source), and a way back for the answers.
func (e *eval) enter(i *monban.Interface, to place) []*state {
	s := &state{facts: facts{place: to}, src: *e.host.sources(e.program, i)}
	if e.host.ruled(e.family) {
		return []*state{s} // where routing is, they are asked for marks
	}
	sure := e.host.sure()
	routing := &tag{monban.ByOpaque, "policy routing", nil}
	keep := func(only set, why monban.Reason) {
		in, out := e.divisions.divide(&s.src, &only)
		if out.empty() {
			return
		}
		rest := s.clone()
		s.src, rest.src = in, out
		o := outcome{why: why}
		if sure {
			e.drop(o, rest)
			return
		}
		o.why = monban.ByRouting
		e.drop(o, rest.fork(routing))
		s.absorb(rest)
	}
	if e.family == monban.IPv4 {
		switch i.ReversePath {
		case monban.ReversePathStrict:
			keep(e.host.routed(e.program, i.Name), monban.ByReverse)
		case monban.ReversePathLoose:
			keep(e.host.routed(e.program, ""), monban.ByReverse)
		}
	}
	switch {
	case !answered(e.proto):
	case !e.bound:
		keep(e.host.routed(e.program, ""), monban.ByRoute)
	case e.family == monban.IPv6:
		keep(e.host.routed(e.program, i.Name), monban.ByRoute)
		// For IPv4 whoever has no route is taken to be on the link of the socket
		// (ip_route_output_key_hash_rcu).
	}
	if s.src.empty() {
		return nil
	}
	if answered(e.proto) && !sure && !e.bound && (e.host.RoutedByMark != monban.On || e.marksAnswers) {
		// Whoever the main table has a way to, a rule may send elsewhere.
		e.drop(outcome{why: monban.ByRouting}, s.fork(routing))
	}
	return []*state{s}
}

// prerouting calls the chains before routing, with NAT in its place.
func (e *eval) prerouting(states []*state) []*state {
	translated := false
	for _, b := range e.hooks[monban.HookPrerouting] {
		if !translated && b.from.Priority >= priorityNAT {
			e.tracked = true
			states, translated = e.destinationNAT(states), true
		}
		e.tracked = b.from.Priority > priorityConntrack
		states = e.base(b, states)
	}
	e.tracked = true
	if !translated {
		states = e.destinationNAT(states)
	}
	return states
}

// destinationNAT calls the chains of type nat until one of them has translated.
func (e *eval) destinationNAT(states []*state) []*state {
	var done []*state
	for _, b := range e.nat {
		var todo []*state
		for _, s := range states {
			if s.untracked || s.translated != nil {
				done = append(done, s)
			} else {
				todo = append(todo, s)
			}
		}
		states = e.baseNAT(b, todo)
	}
	return join(append(done, states...))
}

// departure is packets that leave by one interface, nil where it is not known.
type departure struct {
	by     *monban.Interface
	states []*state
}

// route divides packets into those for this machine and those for elsewhere, by
// the interface they leave by.
func (e *eval) route(states []*state) (local []*state, forwarded []departure) {
	for _, s := range states {
		to := s.addr.netip(e.family)
		switch {
		case to.IsLoopback() && e.family == monban.IPv4 && e.in.RouteLocalnet != monban.On:
			e.drop(outcome{why: monban.ByLoopback, by: s.translated}, s)
		case to.IsLoopback() && e.family == monban.IPv6:
			local = append(local, e.uncertain([]*state{s}, &tag{monban.ByOpaque, "::1", s.translated}, outcome{why: monban.ByLoopback})...)
		case e.host.ruled(e.family):
			for _, w := range e.arriving(s) {
				if w.by == nil {
					local = append(local, w.states...)
				} else {
					forwarded = e.onwards(forwarded, w.by, w.states)
				}
			}
		case e.host.own(e.family, s.addr):
			local = append(local, s)
		default:
			if !e.host.sure() {
				e.uncertain([]*state{s}, &tag{monban.ByOpaque, "policy routing", nil}, outcome{why: monban.ByRouting})
			}
			out := e.host.device(e.program, s.addr)
			if out == nil && e.forwards() != monban.Off {
				e.drop(outcome{why: monban.ByRoute}, s)
				continue
			}
			forwarded = e.onwards(forwarded, out, []*state{s})
		}
	}
	return local, forwarded
}

// forwards reports whether packets that have come in by e.in may go on.
func (e *eval) forwards() monban.Flag {
	if e.family == monban.IPv6 {
		return e.in.Forward6
	}
	return e.in.Forward4
}

// onwards adds packets that are for elsewhere to those that leave by an interface,
// if this machine lets them.
func (e *eval) onwards(list []departure, out *monban.Interface, states []*state) []departure {
	switch e.forwards() {
	case monban.Off:
		for _, s := range states {
			e.drop(outcome{why: monban.ByForwarding}, s)
		}
		return list
	case monban.FlagUnknown:
		e.uncertain(states, &tag{monban.ByOpaque, "forwarding", nil}, outcome{why: monban.ByForwarding})
	}
	for i := range list {
		if list[i].by == out {
			list[i].states = append(list[i].states, states...)
			return list
		}
	}
	return append(list, departure{out, states})
}

// backFirst lists the interfaces, beginning with the one that the packets came in
// by: of several ways back, as link-local addresses have, it is theirs.
func (m *machine) backFirst(in *monban.Interface) []string {
	names := []string{in.Name}
	for i := range m.Interfaces {
		if m.Interfaces[i].Name != in.Name {
			names = append(names, m.Interfaces[i].Name)
		}
	}
	return names
}

// named returns the interface with a name.
func (m *machine) named(name string) *monban.Interface {
	for i := range m.Interfaces {
		if m.Interfaces[i].Name == name {
			return &m.Interfaces[i]
		}
	}
	return nil
}

// forward sends packets on by one interface, and their answers back.
func (e *eval) forward(out *monban.Interface, states []*state) []*state {
	in := e.in
	e.hook, e.out = monban.HookForward, out
	for _, b := range e.hooks[monban.HookForward] {
		states = e.base(b, states)
	}
	states = e.sourceNAT(monban.HookPostrouting, states)
	states = e.device(monban.HookEgress, out, states)
	if answered(e.proto) {
		e.in = out
		if forwards := e.onwards(nil, in, states); len(forwards) > 0 { // back
			states = forwards[0].states
		} else {
			states = nil
		}
		e.in = in
		states = e.answers(states, func(states []*state, back *monban.Interface) (gone []departure) {
			e.in, e.out = out, nil
			states = e.device(monban.HookIngress, out, states)
			e.hook = monban.HookPrerouting
			for _, b := range e.hooks[monban.HookPrerouting] {
				e.tracked = b.from.Priority > priorityConntrack
				states = e.base(b, states)
			}
			ways := []departure{{back, states}}
			if e.host.ruled(e.family) {
				_, ways = e.route(states)
			}
			for _, d := range ways {
				e.tracked, e.out, e.hook = true, d.by, monban.HookForward
				for _, b := range e.hooks[monban.HookForward] {
					d.states = e.base(b, d.states)
				}
				gone = append(gone, d)
			}
			return gone
		})
		e.in, e.out = in, out
		states = e.acknowledge(states, monban.HookForward)
	}
	e.in, e.out = in, nil
	return states
}

// localReply sends the answers of packets that have arrived here.
func (e *eval) localReply(states []*state) []*state {
	if !answered(e.proto) {
		return states
	}
	in := e.in
	e.keepsMark = e.host.AnswersKeepMark == monban.On && e.proto == protoTCP
	states = e.answers(states, func(states []*state, back *monban.Interface) (gone []departure) {
		chains := e.hooks[monban.HookOutput]
		if !e.host.ruled(e.family) {
			return e.output(chains, departure{back, states}, in, facts{})
		}
		for _, s := range states {
			for _, d := range e.leaving(s, in) {
				gone = append(gone, e.output(chains, d, in, s.facts)...)
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
