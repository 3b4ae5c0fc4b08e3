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
	e := &eval{program: p, host: m, divisions: d, in: i, proto: key.proto, bound: key.bound, mark: key.mark, first: to}
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
