package exposure

import (
	"github.com/monban-dev/monban"
)

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
		back := e.host.routed(e.program, "")
		if e.family == monban.IPv6 {
			// Who has a link-local address is on the link that the packets came by.
			near, here := e.space.prefix(linkLocal()), e.host.routed(e.program, i.Name)
			here = and(&here, &near)
			back.remove(&near)
			back.add(&here)
		}
		keep(back, monban.ByRoute)
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
