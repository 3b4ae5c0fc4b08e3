package exposure

import (
	"slices"

	"github.com/monban-dev/monban"
)

// flow returns what routing is asked about packets as they are now.
func (e *eval) flow(s *state) flow {
	return flow{ours: s.addr, answer: e.reply, mark: s.mark, unknownMark: s.unknownMark, proto: e.proto, port: s.port, last: s.lastPort}
}

// taking returns the packets of s that take a way.
func taking(s *state, l *leg) *state {
	part := s.clone()
	part.src = l.src
	if l.tag != nil {
		part.tagWith(l.tag)
	}
	return part
}

// lost drops packets for which there is no route.
func (e *eval) noRoute(s *state, l *leg, why monban.Reason) {
	o := outcome{why: why}
	if l.rule != nil && !l.rule.Standard() {
		o.routing = l.rule
	}
	e.drop(o, s)
}

// each calls f with the packets for each interface that a way may lead to.
func (e *eval) eachDevice(s *state, l *leg, f func(*monban.Interface, *state)) {
	if len(l.devices) > 1 {
		s.tagWith(e.host.severalRoutes)
	}
	for _, name := range l.devices {
		by := e.host.named(name)
		if by != nil && deadEnd(by) {
			e.noRoute(s.clone(), l, monban.ByRoute)
			continue
		}
		if by == nil { // it came after the interfaces were read
			e.noRoute(s.fork(&tag{monban.ByOpaque, name, nil}), l, monban.ByRoute)
			continue
		}
		f(by, s.clone())
	}
}

// arriving returns where the routing rules lead packets that have come in by e.in:
// to this machine, which is no interface, or on. What the filter of sources keeps out
// is not among them.
func (e *eval) arriving(s *state) (out []departure) {
	f := e.flow(s)
	f.in = e.in.Name
	ways := e.host.search(e.program, f, s.src)
	for i := range ways {
		l := &ways[i]
		part := taking(s, l)
		switch l.kind {
		case legHere:
			out = append(out, departure{nil, e.valid(part, loopbackName)})
		case legDevice:
			if e.host.own(e.family, s.addr) {
				e.noRoute(part, l, monban.ByRoute) // a rule before the local table's sends it to the network
				continue
			}
			e.eachDevice(part, l, func(by *monban.Interface, part *state) {
				out = append(out, departure{by, e.valid(part, by.Name)})
			})
		default:
			e.noRoute(part, l, monban.ByRoute)
		}
	}
	return out
}

// valid returns the packets whose source passes the kernel's look at it, which asks
// for the way back (__fib_validate_source in net/ipv4/fib_frontend.c), as if the
// answer had come by the interface that they leave by.
func (e *eval) valid(s *state, by string) (out []*state) {
	if e.family != monban.IPv4 {
		return []*state{s}
	}
	f := e.flow(s)
	f.in, f.answer = by, !e.reply
	if !e.host.dissects(e.family) {
		// The way back is that of what this machine sends, but rules for that alone
		// do not have the kernel read what they ask for here.
		f.proto, f.portless = 0, true
	}
	if e.in.ValidMark != monban.On {
		f.mark, f.unknownMark = 0, false
	}
	filter := e.in.ReversePath
	unasked := filter == monban.ReversePathOff && e.host.unruled[e.family]
	ways := e.host.search(e.program, f, s.src)
	for i := range ways {
		l := &ways[i]
		part := taking(s, l)
		ok := false
		switch l.kind {
		case legHere:
			ok = e.in.AcceptLocal == monban.On
		case legDevice:
			numbered := slices.ContainsFunc(e.in.Addrs, addrIs4)
			ok = slices.Contains(l.devices, e.in.Name) || filter != monban.ReversePathStrict && (numbered || filter != monban.ReversePathLoose)
		case legBroadcast:
			ok = unasked
		case legOther:
			// Where no filter is on and there are no rules it is looked up only if
			// there has ever been an address that was added to the table local
			// (fib_validate_source), which nobody can ask.
			if ok = unasked; ok {
				part.tagWith(e.host.oddRoute)
				e.noRoute(part.clone(), l, monban.ByReverse)
			}
		case legNowhere:
			ok = filter != monban.ReversePathStrict && filter != monban.ReversePathLoose
		}
		if !ok {
			e.noRoute(part, l, monban.ByReverse)
			continue
		}
		out = append(out, part)
	}
	return out
}

// leaving returns by which interfaces answers of this machine leave. Of those that are
// routed anew no socket tells the protocol and ports, they have to be read
// (ip_route_me_harder, ip6_route_me_harder).
func (e *eval) leaving(s *state, in *monban.Interface, anew bool) (out []departure) {
	f := e.flow(s)
	f.in, f.local = loopbackName, true
	if anew && !e.host.dissects(e.family) {
		f.proto, f.portless = 0, true
	}
	if e.bound {
		return e.leavingBy(out, s, f, in)
	}
	if e.family == monban.IPv6 {
		// Who has a link-local address is on the link that the packets came by.
		near := e.space.prefix(linkLocal())
		if part := e.part(s, &near); part != nil {
			by := f
			by.out = in.Name
			out = e.leavingBy(out, part, by, in)
			if part == s {
				return out
			}
		}
	}
	return e.leavingBy(out, s, f, in)
}

func (e *eval) leavingBy(out []departure, s *state, f flow, in *monban.Interface) []departure {
	if e.bound {
		f.out = in.Name
	}
	ways := e.host.search(e.program, f, s.src)
	for i := range ways {
		l := &ways[i]
		part := taking(s, l)
		switch {
		case l.kind == legDevice:
			e.eachDevice(part, l, func(by *monban.Interface, part *state) {
				out = append(out, departure{by, []*state{part}})
			})
		case f.out != "" && e.family == monban.IPv4:
			// Whoever has no route is taken to be on that link
			// (ip_route_output_key_hash_rcu).
			out = append(out, departure{in, []*state{part}})
		default:
			e.noRoute(part, l, monban.ByRoute)
		}
	}
	return out
}

// output sends answers of this machine through the chains that see what it sends. A
// chain of type route that changes the mark has them routed anew
// (nf_route_table_hook4); routed is what they were routed by. By then the hook is on its
// way, and what is left of its chains is still told of the interface that it began
// with, seen (nf_hook_state; TestReachRerouted).
func (e *eval) output(chains []*base, d departure, seen, in *monban.Interface, routed facts) []departure {
	e.in = nil // behind routing too, also where no chain is here
	for i, b := range chains {
		e.in, e.out, e.hook = nil, seen, monban.HookOutput
		e.tracked = b.from.Priority > priorityConntrack
		d.states = e.base(b, d.states)
		if b.from.Type != "route" || !e.host.ruled(e.family) {
			continue
		}
		var same []*state
		var out []departure
		for _, s := range d.states {
			if s.mark == routed.mark && s.unknownMark == routed.unknownMark {
				same = append(same, s)
				continue
			}
			for _, again := range e.leaving(s, in, true) {
				out = append(out, e.output(chains[i+1:], again, seen, in, s.facts)...)
			}
		}
		if len(out) > 0 || len(same) < len(d.states) {
			return append(out, e.output(chains[i+1:], departure{d.by, same}, seen, in, routed)...)
		}
	}
	return []departure{d}
}

// going returns the packets that routing leads to an interface, nil being this
// machine: those of a connection whose first packet went there.
func (e *eval) going(states []*state, to *monban.Interface) (out []*state) {
	local, forwarded := e.route(states)
	forwarded = append(forwarded, departure{nil, local})
	for _, d := range forwarded {
		if d.by == to {
			out = append(out, d.states...)
			continue
		}
		for _, s := range d.states {
			e.drop(outcome{why: monban.ByRoute}, s)
		}
	}
	return out
}

// reverse returns the sources for which the way back exists, or leads by the
// interface that their packets came in by (nft_fib4_eval, nft_fib6_eval), and whether
// that can be foreseen.
func (e *eval) reverse(l *monban.Load, s *state) (atoms set, sure bool) {
	f := flow{in: loopbackName, ours: s.addr, answer: !e.reply, proto: e.proto, portless: true}
	if l.ByMark {
		f.mark, f.unknownMark = s.mark, s.unknownMark
	}
	if e.hook == monban.HookForward && l.ByDevice && e.out != nil && e.family == monban.IPv4 {
		f.in = e.out.Name
	}
	ways := e.host.search(e.program, f, s.src)
	for i := range ways {
		w := &ways[i]
		if w.tag != nil || l.ByDevice && len(w.devices) > 1 && e.family == monban.IPv6 {
			return set{}, false
		}
		if w.kind == legDevice && (!l.ByDevice || slices.Contains(w.devices, e.in.Name)) {
			atoms.add(&w.src)
		}
	}
	return atoms, true
}

// typeTest6 does a test of the kind of route that leads to a source of IPv6, which
// is asked of the tables like any other (__nft_fib6_eval_type): a source without one
// has a kind, too.
func (e *eval) typeTest6(st *step, s *state, next *[]*state) *state {
	l := &st.Key[0]
	unicast, sure := e.host.ofType(e.program, typeUnicast), true
	if e.host.ruled(e.family) {
		sure = !l.ByDevice && e.in != nil
		if sure {
			unicast, sure = e.reverse(l, s)
		}
	}
	if !sure {
		*next = append(*next, s.fork(&st.tag))
		return s
	}
	local, multicast := e.host.ofType(e.program, typeLocal), e.host.ofType(e.program, typeMulticast)
	unicast.remove(&local)
	unicast.remove(&multicast)
	nowhere := s.src
	var pass set
	for _, known := range [...]struct {
		kind  uint32
		atoms set
	}{{typeUnicast, unicast}, {typeLocal, local}, {typeMulticast, multicast}} {
		nowhere.remove(&known.atoms)
		if inSpans(be32(known.kind), st.Within) {
			pass.add(&known.atoms)
		}
	}
	some, all := asksNowhere(st)
	rest := e.part(s, &nowhere)
	switch {
	case rest == nil || !some:
	case all:
		pass.add(&nowhere)
	default: // which kind of nowhere was not read
		return e.splitUnsure(st, s, rest, &pass, next)
	}
	if rest != nil && rest != s {
		s.absorb(rest)
	}
	return e.split(s, &pass, st.Not, next)
}

// ownTypeTest6 is typeTest6 for the address at this end. Where a rule comes before
// that of the local table, an address of this machine is what that one's table says.
func (e *eval) ownTypeTest6(st *step, s *state, next *[]*state) *state {
	l := &st.Key[0]
	f := flow{in: loopbackName, ours: s.addr, proto: e.proto, portless: true}
	if l.ByMark {
		f.mark, f.unknownMark = s.mark, s.unknownMark
	}
	onLink := s.addr.netip(e.family).IsLinkLocalUnicast()
	if onLink && e.in != nil {
		f.out = e.in.Name
	}
	ours := e.host.own(e.family, s.addr) && (!l.ByDevice || e.host.ownOf(e.family, s.addr, e.in))
	var pass, unsure set
	for _, w := range e.host.search(e.program, f, s.src) {
		fits, sure := false, w.tag == nil && (!onLink || e.in != nil)
		switch kind := uint32(typeUnicast); w.kind {
		case legHere, legDevice:
			if ours && (l.ByDevice || w.kind == legHere) {
				kind = typeLocal
			}
			fits = inSpans(be32(kind), st.Within)
		default: // which kind of nowhere was not read
			some, all := asksNowhere(st)
			fits = some
			sure = sure && some == all
		}
		switch {
		case !sure:
			unsure.add(&w.src)
		case fits:
			pass.add(&w.src)
		}
	}
	rest := e.part(s, &unsure)
	if rest == nil {
		return e.split(s, &pass, st.Not, next)
	}
	return e.splitUnsure(st, s, rest, &pass, next)
}

// asksNowhere reports whether a test of the kind of route asks for some of the kinds
// that lead nowhere, and whether for all.
func asksNowhere(st *step) (some, all bool) {
	all = true
	for kind := uint32(typeBlackhole); kind <= typeThrow; kind++ {
		asked := inSpans(be32(kind), st.Within)
		some, all = some || asked, all && asked
	}
	return some, all
}

// splitUnsure is split where rest, which was taken from s or is all of it, may pass
// or not.
func (e *eval) splitUnsure(st *step, s, rest *state, pass *set, next *[]*state) *state {
	*next = append(*next, rest.fork(&st.tag))
	if rest == s {
		return s
	}
	if in := e.split(s, pass, st.Not, next); in != nil {
		in.absorb(rest)
		return in
	}
	return rest
}
