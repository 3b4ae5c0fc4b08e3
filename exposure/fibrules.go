package exposure

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// This file follows the kernel's routing rules (fib_rules_lookup in
// net/core/fib_rules.c), with the address at the other end symbolic like everywhere
// here.

const loopbackName = "lo"

// flow is what routing rules and tables are asked about packets (struct flowi),
// besides the address of the other end.
type flow struct {
	// in is the interface that they came in by, "lo" for what this machine sends,
	// and where it asks for the way back to a source.
	in string
	// out is the interface that they have to leave by; "" is any.
	out string
	// ours is the address at this end: the destination, and the source of answers.
	ours   addr
	answer bool
	mark   uint32
	// unknownMark: nobody can tell the mark.
	unknownMark bool
	proto       byte
	// port is that of this end, up to last; without ports both ends have 0.
	port, last uint16
	portless   bool
	// local: a socket of this machine sends it, whose user may be asked for, and
	// whose type of service nobody has chosen.
	local bool
}

// legKind is what comes of a search for a route.
type legKind uint8

const (
	legNowhere   legKind = iota // there is none, or one that says so
	legDevice                   // by an interface
	legHere                     // to this machine
	legBroadcast                // to everybody on a network
	legOther                    // the same by a route that somebody made
	legThrow                    // to go on with the next rule
)

// leg is the way that packets of some sources take.
type leg struct {
	src  set
	kind legKind
	// devices are those of the route, of which the kernel takes one for each
	// connection.
	devices []string
	// rule is the one that led to it; nil is none.
	rule *monban.RoutingRule
	// tag is what made it uncertain.
	tag *tag
}

// mostLegs bounds the ways that are looked at, where rules that nobody can foresee
// lead to others that nobody can.
const mostLegs = 512

// search is one look-up.
type search struct {
	*machine
	p     *program
	flow  flow
	rules []monban.RoutingRule
	legs  []leg
	steps int
}

// routedBy has every address and port that routing rules may tell apart be a class of
// its own.
func (p *program) routedBy(rules []monban.RoutingRule) {
	p.eachAddress = p.eachAddress || len(rules) > 0
	p.ports.each = p.ports.each || slices.ContainsFunc(rules, func(r monban.RoutingRule) bool {
		return r.SourcePorts != monban.PortRange{} || r.DestPorts != monban.PortRange{}
	})
}

// ruled reports whether a family has routing rules of its own.
func (m *machine) ruled(f monban.Family) bool { return len(m.ruledBy[f]) > 0 }

// dissects reports whether the kernel reads what protocol and ports packets have before
// it asks the rules of a family about them: only where there is a rule that asks for
// those and is not about what this machine sends (fib_rule_requires_fldissect in
// include/net/fib_rules.h; one with "not" counts by the interface that it names). What
// a socket sends needs no reading.
func (m *machine) dissects(f monban.Family) bool {
	return slices.ContainsFunc(m.ruledBy[f], func(r monban.RoutingRule) bool {
		return r.In != loopbackName && (r.Proto != 0 || r.SourcePorts != monban.PortRange{} || r.DestPorts != monban.PortRange{})
	})
}

// search finds the ways that packets of the sources take. Each source is in one leg,
// or in several that all have a tag.
func (m *machine) search(p *program, f flow, src set) []leg {
	s := &search{machine: m, p: p, flow: f, rules: m.ruledBy[p.family]}
	s.from(0, src, nil)
	return s.legs
}

// from asks the rules from the i-th on. What is unforeseen goes both ways with t.
func (s *search) from(i int, src set, t *tag) {
	for ; i < len(s.rules) && !src.empty(); i++ {
		r := &s.rules[i]
		if s.steps++; s.steps > mostLegs*len(s.rules) {
			break
		}
		if r.Action == monban.RouteNop {
			continue
		}
		yes, perhaps, doubt := s.fits(r, &src)
		if !yes.empty() {
			rest := s.act(i, r, yes, t)
			src.remove(&yes)
			src.add(&rest)
		}
		if !perhaps.empty() {
			if doubt == nil {
				doubt = t
			}
			s.act(i, r, perhaps, doubt)
			src.remove(&perhaps)
			s.from(i+1, perhaps, doubt)
		}
	}
	if !src.empty() {
		s.legs = append(s.legs, leg{src: src, tag: t})
	}
}

// act does what a rule says with packets that it fits, and returns those that go on
// with the next one.
func (s *search) act(i int, r *monban.RoutingRule, src set, t *tag) (rest set) {
	switch r.Action {
	case monban.RouteGoto:
		to := slices.IndexFunc(s.rules, func(o monban.RoutingRule) bool { return o.Priority == r.Goto })
		if to <= i {
			return src // there is no such rule yet
		}
		s.from(to, src, t)
		return set{}
	case monban.RouteLookup:
		return s.lookup(i, r, src, t)
	}
	s.legs = append(s.legs, leg{src: src, rule: r, tag: t})
	return set{}
}

// lookup searches the table of a rule.
func (s *search) lookup(i int, r *monban.RoutingRule, src set, t *tag) (rest set) {
	key := tableKey{family: s.p.family, id: r.Table, suppress: r.Suppress, out: s.flow.out, local: s.flow.local, answer: s.flow.answer}
	if key.answer && s.bySource[key.id] {
		key.ours = s.flow.ours
	}
	table := s.table(s.p, key)
	// Those whose route may be one that nobody can tell, or another.
	var unsure set
	var doubt *tag
	for k := range table.perhaps {
		w := &table.perhaps[k]
		part := s.led(w, &src)
		if part.empty() {
			continue
		}
		unsure.add(&part)
		if doubt = t; t == nil {
			doubt = w.tag
		}
		if w.kind == legThrow {
			s.from(i+1, part, doubt)
			continue
		}
		s.legs = append(s.legs, leg{src: part, kind: w.kind, devices: w.devices, rule: r, tag: doubt})
	}
	if !unsure.empty() {
		src.remove(&unsure)
		on := s.follow(i, r, table.sure, unsure, doubt)
		s.from(i+1, on, doubt)
	}
	return s.follow(i, r, table.sure, src, t)
}

// led returns the packets that a table leads the way w.
func (s *search) led(w *toward, src *set) set {
	switch {
	case s.flow.answer:
		return and(src, &w.to)
	case !w.to.has(s.p.space.atom(s.flow.ours)):
		return set{}
	}
	return *src
}

// follow sends packets the ways of a table, and returns those that it has none for.
func (s *search) follow(i int, r *monban.RoutingRule, table []toward, src set, t *tag) (rest set) {
	var thrown set
	rest = src
	for k := range table {
		w := &table[k]
		part := s.led(w, &rest)
		if part.empty() {
			continue
		}
		rest.remove(&part)
		if w.kind == legThrow {
			thrown.add(&part)
			continue
		}
		by := t
		if r.SuppressGroup && w.kind == legDevice {
			// Which group an interface is in was not read.
			if by == nil {
				by = s.routingTag(r, monban.ByOpaque)
			}
			s.from(i+1, part, by)
		}
		s.legs = append(s.legs, leg{src: part, kind: w.kind, devices: w.devices, rule: r, tag: by})
	}
	rest.add(&thrown)
	return rest
}

// routingTag returns the tag of a rule, one for each.
func (m *machine) routingTag(r *monban.RoutingRule, kind monban.ConditionKind) *tag {
	if t := m.routingTags[r]; t != nil {
		return t
	}
	t := &tag{kind, r.String(), nil}
	m.routingTags[r] = t
	return t
}

// fits returns the packets that a rule is about, and those that it may be about for
// a reason that nobody can foresee, which the tag tells.
func (s *search) fits(r *monban.RoutingRule, src *set) (yes, perhaps set, doubt *tag) {
	f := &s.flow
	theirs, ours := r.From, r.To
	if f.answer {
		theirs, ours = ours, theirs
	}
	about := *src
	if theirs.IsValid() {
		atoms := s.p.space.prefix(theirs)
		about = and(&about, &atoms)
	}
	kind := monban.ConditionKind("")
	unsure := func(k monban.ConditionKind) {
		if kind != monban.ByOpaque {
			kind = k
		}
	}
	none := false
	test := func(fits bool) { none = none || !fits }
	switch {
	case !ours.IsValid():
	case f.local && f.proto == byte(monban.SCTP.Number()):
		unsure(monban.ByOpaque) // it looks for a route without a source, too (sctp_v4_get_dst)
	default:
		test(ours.Contains(f.ours.netip(s.p.family)))
	}
	test(r.In == "" || r.In == f.in)
	test(r.Out == "" || r.Out == f.out)
	test(!r.L3Mdev) // a VRF's packets are not judged here
	if r.Mask != 0 {
		if f.unknownMark {
			unsure(monban.ByOpaque)
		} else {
			test((r.Mark^f.mark)&r.Mask == 0)
		}
	}
	if r.TOS != 0 {
		if f.local {
			test(false)
		} else {
			unsure(monban.ByOpaque)
		}
	}
	test(r.Proto == 0 || r.Proto == f.proto)
	ourPorts, theirPorts := r.DestPorts, r.SourcePorts
	if f.answer {
		ourPorts, theirPorts = theirPorts, ourPorts
	}
	if ourPorts != (monban.PortRange{}) {
		last := max(f.port, f.last)
		switch {
		case f.portless, last < ourPorts.First, f.port > ourPorts.Last:
			test(false)
		case f.port < ourPorts.First || last > ourPorts.Last:
			unsure(monban.ByOpaque)
		}
	}
	if theirPorts != (monban.PortRange{}) {
		switch {
		case f.portless:
			test(false)
		case theirPorts.First > 1 || theirPorts.Last < 0xffff:
			unsure(monban.BySourcePort)
		}
	}
	if r.UIDs != nil {
		if f.local {
			unsure(monban.ByOpaque)
		} else {
			test(r.UIDs.First == 0) // root's, for what no socket sends (sock_net_uid)
		}
	}
	if r.Other != "" {
		unsure(monban.ByOpaque)
	}
	if none {
		about, kind = set{}, ""
	}
	if kind != "" {
		doubt = s.routingTag(r, kind)
	}
	switch {
	case !r.Not && doubt == nil:
		yes = about
	case !r.Not:
		perhaps = about
	default:
		yes = *src
		yes.remove(&about)
		if doubt != nil {
			perhaps = about
		}
	}
	return yes, perhaps, doubt
}

// tableKey is a routing table as one kind of look-up sees it.
type tableKey struct {
	family        monban.Family
	id            uint32
	suppress      uint32
	out           string
	local, answer bool
	// ours is the source of answers, where the table has routes by that.
	ours addr
}

// table is a routing table.
type table struct {
	sure []toward
	// perhaps are ways by what nobody can foresee, which come before the others.
	perhaps []toward
}

// toward is where a table leads some addresses.
type toward struct {
	to      set
	kind    legKind
	devices []string
	tag     *tag // what makes it uncertain
}

// table returns where a routing table leads which addresses; others it has no route
// for. A route of IPv6 for some sources hides those to the same destination for all:
// whoever comes from elsewhere is led by the next shorter prefix
// (fib6_node_lookup_1 in net/ipv6/ip6_fib.c), which nobody has written down anywhere.
func (m *machine) table(p *program, key tableKey) *table {
	if t, ok := m.byTable[key]; ok {
		return t
	}
	t := &table{}
	m.byTable[key] = t
	var out []toward
	put := func(atoms set, w toward) {
		for i := range out {
			out[i].to.remove(&atoms)
		}
		w.to = atoms
		for i := range out {
			if out[i].kind == w.kind && slices.Equal(out[i].devices, w.devices) {
				out[i].to.add(&atoms)
				return
			}
		}
		out = append(out, w)
	}
	sure, perhaps := m.routes(key)
	for _, group := range groups(sure) {
		put(p.space.prefix(group[0].Dst), leads(group, key.suppress))
	}
	if key.id == monban.TableLocal {
		put(m.ofType(p, typeBroadcast), toward{kind: legBroadcast})
		put(m.ofOwn(p), toward{kind: legHere})
	}
	t.sure = out
	for i := range perhaps {
		w := leads(perhaps[i:i+1], key.suppress)
		w.to, w.tag = p.space.prefix(perhaps[i].Dst), &tag{monban.ByOpaque, routeText(&perhaps[i]), nil}
		t.perhaps = append(t.perhaps, w)
	}
	return t
}

// leads tells where routes to one destination lead.
func leads(group []monban.Route, suppress uint32) toward {
	w := toward{}
	switch group[0].Kind {
	case monban.RouteThrow:
		w.kind = legThrow
	case monban.RouteLocal:
		w.kind = legHere
	case monban.RouteOther:
		w.kind = legOther
	case "":
		w.kind = legDevice
		for _, r := range group {
			if !slices.Contains(w.devices, r.Device) {
				w.devices = append(w.devices, r.Device)
			}
		}
	}
	if suppress > 0 && w.kind >= legDevice && group[0].Dst.Bits() < int(suppress) {
		w = toward{kind: legThrow}
	}
	return w
}

// routes returns the routes of a table, and those besides of which nobody can tell
// whether they are asked: the type of service is for whoever sends to choose, besides
// what sockets of this machine send, and what comes in has a source that a route may
// ask for.
func (m *machine) routes(key tableKey) (sure, perhaps []monban.Route) {
	hides := map[netip.Prefix]bool{}
	for _, r := range m.Routes {
		id := r.Table
		if id == 0 && r.Kind == monban.RouteLocal {
			id = monban.TableLocal
		} else if id == 0 {
			id = monban.TableMain
		}
		if id != key.id || !r.Dst.IsValid() || monban.FamilyOf(r.Dst.Addr()) != key.family {
			continue
		}
		if key.out != "" && r.Kind == "" && r.Device != key.out {
			continue // where the interface is given, others do not count
		}
		switch {
		case r.From.IsValid() && key.answer && !r.From.Contains(key.ours.netip(key.family)):
			hides[r.Dst.Masked()] = r.Dst.Bits() > 0
		case r.TOS != 0 && key.local:
		case r.TOS != 0, r.From.IsValid() && !key.answer:
			perhaps = append(perhaps, r)
		default:
			sure = append(sure, r)
		}
	}
	sure = slices.DeleteFunc(sure, func(r monban.Route) bool {
		if r.From.IsValid() || !hides[r.Dst.Masked()] {
			return false
		}
		perhaps = append(perhaps, r)
		return true
	})
	return sure, perhaps
}

// groups returns the routes that count, those to one destination together, from the
// least specific on.
func groups(routes []monban.Route) (out [][]monban.Route) {
	sortRoutes(routes)
	for len(routes) > 0 {
		n := 1
		for n < len(routes) && routes[n].Dst.Masked() == routes[0].Dst.Masked() && sourceBits(&routes[n]) == sourceBits(&routes[0]) {
			n++
		}
		best := routes[:1]
		for _, r := range routes[1:n] {
			if r.Metric == best[0].Metric && r.Kind == best[0].Kind && r.Kind == "" {
				best = append(slices.Clip(best), r)
			}
		}
		out = append(out, best)
		routes = routes[n:]
	}
	return out
}

// sourceBits is how closely a route says where packets have to come from.
func sourceBits(r *monban.Route) int { return max(r.From.Bits(), 0) }

// routeText is a route as ip(8) writes it.
func routeText(r *monban.Route) string {
	text := "ip route " + r.Dst.String()
	if r.From.IsValid() {
		text += " from " + r.From.String()
	}
	if r.TOS != 0 {
		text += fmt.Sprintf(" tos 0x%02x", r.TOS)
	}
	if r.Table != 0 {
		text += " table " + fmt.Sprint(r.Table)
	}
	return text
}

// plainRules returns the routing rules that every system has, where a route needs more
// than the main table's to be told: one for some packets only, one to nobody, and one
// that comes before this machine's own addresses.
func plainRules(h *monban.Host, f monban.Family) []monban.RoutingRule {
	nobody := map[string]bool{}
	for _, i := range h.Interfaces {
		nobody[i.Name] = deadEnd(&i)
	}
	if !slices.ContainsFunc(h.Routes, func(r monban.Route) bool {
		return r.Dst.IsValid() && monban.FamilyOf(r.Dst.Addr()) == f && (r.Table == 0 || r.Table == monban.TableLocal) &&
			(r.From.IsValid() || r.TOS != 0 || r.Kind == monban.RouteOther || r.Table != 0 || r.Kind == "" && nobody[r.Device])
	}) {
		return nil
	}
	return []monban.RoutingRule{
		{Family: f, Action: monban.RouteLookup, Table: monban.TableLocal},
		{Family: f, Priority: 32766, Action: monban.RouteLookup, Table: monban.TableMain},
	}
}

// deadEnd reports whether nobody is at the other end of an interface.
func deadEnd(i *monban.Interface) bool { return i.Loopback || i.Kind == "dummy" || i.Kind == "ifb" }
