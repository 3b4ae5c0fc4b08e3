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
func (p *program) follow(m *machine, d divisions, policies []policy, filters []*tag, i *monban.Interface, proto byte, to place) *way {
	e := &eval{program: p, host: m, divisions: d, in: i, proto: proto, first: to}
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
		in = append(in, e.forward(f)...)
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
	sure := e.host.PolicyRouting == monban.Off
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
	if answered(e.proto) {
		keep(e.host.routed(e.program, ""), monban.ByRoute)
	}
	if s.src.empty() {
		return nil
	}
	if answered(e.proto) && !sure && (e.host.RoutedByMark != monban.On || e.marksAnswers) {
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

// route divides packets into those for this machine and those for elsewhere, by
// the interface they leave by.
func (e *eval) route(states []*state) (local []*state, forwarded map[string][]*state) {
	forwarded = map[string][]*state{}
	for _, s := range states {
		to := s.addr.netip(e.family)
		switch {
		case to.IsLoopback() && e.family == monban.IPv4 && e.in.RouteLocalnet != monban.On:
			e.drop(outcome{why: monban.ByLoopback, by: s.translated}, s)
		case to.IsLoopback() && e.family == monban.IPv6:
			local = append(local, e.uncertain([]*state{s}, &tag{monban.ByOpaque, "::1", s.translated}, outcome{why: monban.ByLoopback})...)
		case e.host.own(e.family, s.addr):
			local = append(local, s)
		default:
			forwards := e.in.Forward4
			if e.family == monban.IPv6 {
				forwards = e.in.Forward6
			}
			out := e.host.device(e.program, s.addr)
			if e.host.PolicyRouting != monban.Off {
				e.uncertain([]*state{s}, &tag{monban.ByOpaque, "policy routing", nil}, outcome{why: monban.ByRouting})
			}
			switch {
			case forwards == monban.Off:
				e.drop(outcome{why: monban.ByForwarding}, s)
				continue
			case out == nil:
				e.drop(outcome{why: monban.ByRoute}, s)
				continue
			case forwards == monban.FlagUnknown:
				e.uncertain([]*state{s}, &tag{monban.ByOpaque, "forwarding", nil}, outcome{why: monban.ByForwarding})
			}
			forwarded[out.Name] = append(forwarded[out.Name], s)
		}
	}
	return local, forwarded
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
func (e *eval) forward(states []*state) []*state {
	out := e.host.device(e.program, states[0].addr)
	in := e.in
	e.hook, e.out = monban.HookForward, out
	for _, b := range e.hooks[monban.HookForward] {
		states = e.base(b, states)
	}
	states = e.sourceNAT(monban.HookPostrouting, states)
	states = e.device(monban.HookEgress, out, states)
	if answered(e.proto) {
		states = e.answers(states, func(states []*state, back *monban.Interface) []*state {
			e.in, e.out = out, nil
			states = e.device(monban.HookIngress, out, states)
			e.hook = monban.HookPrerouting
			for _, b := range e.hooks[monban.HookPrerouting] {
				e.tracked = b.from.Priority > priorityConntrack
				states = e.base(b, states)
			}
			e.tracked, e.out, e.hook = true, back, monban.HookForward
			for _, b := range e.hooks[monban.HookForward] {
				states = e.base(b, states)
			}
			return states
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
	states = e.answers(states, func(states []*state, back *monban.Interface) []*state {
		e.in, e.out, e.hook = nil, back, monban.HookOutput
		for _, b := range e.hooks[monban.HookOutput] {
			if b.from.Type == "nat" {
				continue // asked for first packets only
			}
			e.tracked = b.from.Priority > priorityConntrack
			states = e.base(b, states)
		}
		return states
	})
	e.in, e.out, e.tracked = in, nil, true
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
func (e *eval) answers(states []*state, leave func([]*state, *monban.Interface) []*state) []*state {
	quiet := true
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
				one.tagWith(&tag{monban.ByOpaque, "several routes", nil})
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

func (e *eval) answer1(s *state, src set, back *monban.Interface, leave func([]*state, *monban.Interface) []*state) []*state {
	a := &state{facts: s.facts, src: src, tags: s.tags}
	a.mark, a.unknownMark = 0, false
	a.lost, a.untracked = s.untracked, false
	states := leave([]*state{a}, back)
	e.hook, e.out, e.tracked = monban.HookPostrouting, back, true
	for _, b := range e.hooks[monban.HookPostrouting] {
		if b.from.Priority >= prioritySourceNAT {
			e.depart(states)
		}
		states = e.base(b, states)
	}
	e.depart(states)
	states = e.device(monban.HookEgress, back, states)
	var out []*state
	for _, r := range states {
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
	return join(out)
}
