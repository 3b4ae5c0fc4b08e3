// Package exposure judges who can reach which door: from which addresses, by
// which interface, by which rule.
//
// It is a pure function over a snapshot. For each door, interface and family it
// sends every possible packet that could begin a connection through the ruleset at
// once: everything about the packet is concrete except the address at the other
// end, of which there is a set that tests split. What no one can foresee, such as
// a rate limit, sends packets both ways, and so does a rule that could not be
// decoded: then the answer has a condition, or is unknown, and names the rule.
//
// Nothing is said of what happens beyond the ruleset: cgroup programs, the
// network's own filters, what a program does with who connects.
package exposure

import (
	"cmp"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/monban-dev/monban"
)

// Judge returns who can reach each door of the snapshot, in the order of its
// doors. A door has no answer, nil, where the machine's interfaces were not read,
// for a socket that nobody can connect to, and in another network namespace than
// the one whose rules were read. Where the rules could not be read, every answer
// that depends on them is unknown.
func Judge(s *monban.Snapshot) [][]monban.Reach {
	out := make([][]monban.Reach, len(s.Doors))
	if len(s.Host.Interfaces) == 0 {
		return out
	}
	// Doors with one port have the most in common, so they go to one judge.
	const few = 32
	judges := []*judge{newJudge(s)}
	if len(s.Doors) > few {
		var both sync.WaitGroup
		for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
			both.Go(func() { judges[0].colleague().view(f) })
		}
		both.Wait()
		for range runtime.GOMAXPROCS(0) - 1 {
			judges = append(judges, judges[0].colleague())
		}
	}
	var all sync.WaitGroup
	for n, j := range judges {
		all.Go(func() {
			for i := range s.Doors {
				d := &s.Doors[i]
				if int(d.Bind.Port.Num)%len(judges) != n || d.State == monban.Bound && d.Bind.Port.Proto != monban.UDP ||
					d.Bind.NetNS != "" && d.Bind.NetNS != s.Host.NetNS {
					continue
				}
				out[i] = j.door(d)
			}
		})
	}
	all.Wait()
	return out
}

// judge keeps what the doors of one snapshot have in common.
type judge struct {
	*shared
	*machine
	ways      map[wayKey][]*way
	sums      map[*way]*summary
	divisions divisions
	places    map[placeKey][]entry
}

// shared is what several judges, who work side by side, have in common.
type shared struct {
	rules  *monban.Ruleset
	unseen bool // some rules could not be read
	devs   []*monban.Interface
	views  [2]view // of IPv4 and IPv6
	// lists holds the ranges of sets, which many doors have in common.
	lock  sync.Mutex
	lists map[uint64][]listed
	// filters are those on each interface, byOwner those on the cgroup of a
	// process.
	filters map[string][]*tag
	byOwner map[int][]*tag
	// policies are those of IPsec.
	policies []policy
	// steering are programs that choose the socket for whatever arrives.
	steering []*tag
	// listening are the doors with a listener, by port; sockets says that there
	// are no others.
	listening map[monban.Port][]*monban.Door
	sockets   bool
}

// policy is a policy of IPsec, which keeps out what comes from some sources without
// it.
type policy struct {
	from netip.Prefix
	tag  *tag
}

// view is the ruleset as it is for the packets of one family.
type view struct {
	once    sync.Once
	program *program
	// class of each interface: alike in all that the machine itself makes of
	// packets that come in by it.
	class map[*monban.Interface]int
	each  bool // every interface is a class
}

type listed struct {
	atoms  set
	family monban.Family
	ranges []monban.AddrRange
}

// wayKey is what makes the ways of two packets the same.
type wayKey struct {
	family monban.Family
	device int // its class
	proto  byte
	class  int // of the address
	own    bool
	port   int32
	// bound: the door's socket is bound to the interface.
	bound bool
}

// placeKey is an interface, and a family.
type placeKey struct {
	family monban.Family
	device *monban.Interface
}

// entry is an address of this machine that packets may be sent to.
type entry struct {
	addr  netip.Addr
	class int
	own   bool // the address is one of the interface itself, and rules may ask for it
	// again: an address before has the same class.
	again bool
}

func newJudge(s *monban.Snapshot) *judge {
	sh := &shared{rules: s.Rules, unseen: s.Rules == nil, lists: map[uint64][]listed{}}
	for _, g := range s.Gaps {
		sh.unseen = sh.unseen || g.Hides == monban.HidesRules
	}
	sh.filters, sh.byOwner = map[string][]*tag{}, map[int][]*tag{}
	for _, f := range s.Filters {
		if f.Device != "" {
			sh.filters[f.Device] = append(sh.filters[f.Device], &tag{monban.ByOpaque, f.String(), nil})
		}
		if f.From.IsValid() {
			sh.policies = append(sh.policies, policy{f.From, &tag{monban.ByOpaque, f.String(), nil}})
		}
		if f.Kind == "sk_lookup" {
			sh.steering = append(sh.steering, &tag{monban.ByFilter, f.String(), nil})
		}
		for _, pid := range f.PIDs {
			sh.byOwner[pid] = append(sh.byOwner[pid], &tag{monban.ByFilter, f.String(), nil})
		}
	}
	sh.findListeners(s)
	vrf := map[string]bool{}
	for _, i := range s.Host.Interfaces {
		vrf[i.Name] = i.Kind == "vrf"
	}
	for i := range s.Host.Interfaces {
		// A part of a bridge or a bond hands its packets to that; nobody is at
		// the other end of a dummy.
		dev := &s.Host.Interfaces[i]
		if dev.Up && !dev.Loopback && dev.Kind != "dummy" && dev.Kind != "ifb" && (dev.Master == "" || vrf[dev.Master]) && dev.Kind != "vrf" {
			sh.devs = append(sh.devs, dev)
		}
	}
	j := sh.judge(&s.Host)
	for _, dev := range sh.devs { // what sees their packets below them
		for _, port := range j.ports(dev.Name) {
			sh.filters[dev.Name] = append(sh.filters[dev.Name], sh.filters[port.Name]...)
			if port.Program != "" {
				sh.filters[dev.Name] = append(sh.filters[dev.Name], &tag{monban.ByOpaque, port.Program + " on " + port.Name, nil})
			}
		}
	}
	return j
}

func (s *shared) judge(h *monban.Host) *judge {
	return &judge{shared: s, machine: newMachine(h), ways: map[wayKey][]*way{}, sums: map[*way]*summary{},
		divisions: divisions{}, places: map[placeKey][]entry{}}
}

// colleague returns a judge for other doors of the same snapshot.
func (j *judge) colleague() *judge { return j.shared.judge(j.Host) }

// view returns the ruleset made ready for a family.
func (j *judge) view(f monban.Family) *view {
	v := &j.views[0]
	if f == monban.IPv6 {
		v = &j.views[1]
	}
	v.once.Do(func() {
		cut := j.cut(f)
		for _, p := range j.policies {
			cut.prefix(p.from)
		}
		v.program = compile(j.rules, f, cut)
		v.program.routedBy(j.ruledBy[f])
		j.classes(v)
	})
	return v
}

// door judges one door.
func (j *judge) door(d *monban.Door) []monban.Reach {
	out := make([]monban.Reach, 0, 2*len(j.devs))
	for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
		if !answers(d, f) {
			continue
		}
		for _, dev := range j.devs {
			n := len(out)
			out = append(out[:n], j.steered(d, j.reach(out, d, f, dev)[n:])...)
		}
	}
	return out
}

// answers reports whether a door answers packets of a family.
func answers(d *monban.Door, f monban.Family) bool {
	a := d.Bind.Addr
	switch {
	case f == monban.IPv4:
		return a.Is4() || a.Is4In6() || a == netip.IPv6Unspecified() && d.Bind.V6Only != monban.On
	default:
		return a.Is6() && !a.Is4In6()
	}
}

// at reports whether a door answers at an address.
func at(d *monban.Door, a netip.Addr) bool {
	return d.Bind.Wildcard() || d.Bind.Addr.WithZone("").Unmap() == a
}

// entries are the addresses of this machine that packets by the interface may be
// sent to.
func (j *judge) entries(v *view, dev *monban.Interface) []entry {
	key := placeKey{v.program.family, dev}
	if list, ok := j.places[key]; ok {
		return list
	}
	var out []entry
	for _, i := range j.Interfaces {
		if !i.Up {
			continue
		}
		for _, prefix := range i.Addrs {
			a := prefix.Addr().WithZone("").Unmap()
			if monban.FamilyOf(a) != key.family || a.IsLoopback() {
				continue
			}
			if a.IsLinkLocalUnicast() && a.Is6() && i.Name != dev.Name {
				continue // another interface's
			}
			e := entry{addr: a, class: v.program.class(addrOf(a)), own: v.each && j.owned[a] == dev.Name}
			e.again = slices.ContainsFunc(out, func(o entry) bool { return o.class == e.class && o.own == e.own })
			out = append(out, e)
		}
	}
	out = j.localEntries(v, out)
	j.places[key] = out
	return out
}

// mostLocal is how many kinds of addresses that no interface has are looked at.
const mostLocal = 64

// localEntries adds one address of each kind that rules tell apart among those that
// the machine answers for without an interface having them.
func (j *judge) localEntries(v *view, out []entry) []entry {
	space, n := v.program.space, 0
	for _, prefix := range j.locals {
		if monban.FamilyOf(prefix.Addr()) != v.program.family {
			continue
		}
		first, last := bounds(prefix)
		for atom := space.atom(first); atom <= space.atom(last) && n < mostLocal; atom++ {
			a := space.starts[atom]
			e := entry{addr: a.netip(v.program.family), class: v.program.class(a)}
			e.again = slices.ContainsFunc(out, func(o entry) bool { return o.class == e.class && o.own == e.own })
			if !e.again || prefix.IsSingleIP() {
				out = append(out, e)
				n++
			}
		}
	}
	return out
}

// knocked returns the entries for a door: with its own address, where that is one of
// those that no interface has.
func (j *judge) knocked(v *view, d *monban.Door, dev *monban.Interface) []entry {
	list := j.entries(v, dev)
	a := d.Bind.Addr.WithZone("").Unmap()
	if d.Bind.Wildcard() || monban.FamilyOf(a) != v.program.family || !j.local(a) || slices.ContainsFunc(list, func(e entry) bool { return e.addr == a }) {
		return list
	}
	return append(slices.Clip(list), entry{addr: a, class: v.program.class(addrOf(a))})
}

// reach adds to out who can reach a door for one family and interface.
func (j *judge) reach(out []monban.Reach, d *monban.Door, f monban.Family, dev *monban.Interface) []monban.Reach {
	one := func(v monban.Verdict, why monban.Reason) []monban.Reach {
		return append(out, monban.Reach{Family: f, Device: dev.Name, Verdict: v, Why: why})
	}
	zone := d.Bind.Addr.Zone()
	if d.Bind.Device != "" && d.Bind.Device != dev.Name || zone != "" && zone != dev.Name {
		return one(monban.VerdictClosed, monban.ByDevice)
	}
	v := j.view(f)
	total, found := j.total(v, d, dev)
	switch {
	case !found && d.Bind.Addr.Unmap().IsLoopback():
		if j.unseen && dev.RouteLocalnet != monban.Off && f == monban.IPv4 {
			return one(monban.VerdictUnknown, monban.ByUnseen)
		}
		return one(monban.VerdictClosed, monban.ByLoopback)
	case !found:
		return one(monban.VerdictClosed, monban.ByAddress)
	case j.unseen:
		return one(monban.VerdictUnknown, monban.ByUnseen)
	case dev.Master != "": // of a VRF: chains see packets twice
		return one(monban.VerdictUnknown, monban.ByRouting)
	}
	if d.Bind.Addr.Unmap().IsLoopback() && total.open.empty() && total.conditional.empty() && total.unknown.empty() {
		return one(monban.VerdictClosed, monban.ByLoopback)
	}
	if tags := j.filtersOf(d); len(tags) > 0 {
		total = total.behind(tags)
	}
	return j.report(out, total, v, dev)
}

// total sums up the ways to a door by an interface, to any address at which it
// answers; found is whether there is one. Where the rules tell nothing there is no
// sum.
func (j *judge) total(v *view, d *monban.Door, dev *monban.Interface) (total *summary, found bool) {
	wild := d.Bind.Wildcard()
	var sums []*summary
	if v.program.family == monban.IPv6 && dev.IPv6 == monban.Off {
		return nil, false
	}
	for _, e := range j.knocked(v, d, dev) {
		here := wild || at(d, e.addr)
		// Only translation leads from one address to a door at another.
		if !here && (!v.program.translates || d.State == monban.Forwarded) {
			continue
		}
		found = true
		if j.unseen || dev.Master != "" {
			return nil, true
		}
		if wild && e.again {
			continue
		}
		sum := j.summarise(v.program, j.way(v, dev, d, &e), d, here)
		if !slices.Contains(sums, sum) {
			sums = append(sums, sum)
		}
	}
	if len(sums) == 1 {
		return sums[0], true
	}
	total = &summary{}
	for _, sum := range sums {
		total.merge(sum)
	}
	return total, found
}

// way returns what becomes of packets to a place, for a door.
func (j *judge) way(v *view, dev *monban.Interface, d *monban.Door, to *entry) *way {
	p, port := v.program, d.Bind.Port.Num
	key := wayKey{family: p.family, device: v.class[dev], proto: byte(d.Bind.Port.Proto.Number()), class: to.class, own: to.own,
		port: p.ports.of(port), bound: d.Bind.Device != ""}
	if p.translates {
		key.port = int32(port)
	}
	for _, w := range j.ways[key] {
		if alike(w.asked, dev) && (!key.bound || w.by == dev) {
			return w
		}
	}
	w := p.follow(j.machine, j.divisions, j.policies, j.filters[dev.Name], dev, &key, place{addrOf(to.addr), port})
	j.ways[key] = append(j.ways[key], w)
	return w
}

// asked is a test of the interface that packets came in by, and what came of it.
type asked struct {
	load   monban.Load
	within []monban.Span
	passed bool
}

// alike reports whether packets that come in by another interface pass the same
// tests.
func alike(tests []asked, dev *monban.Interface) bool {
	for i := range tests {
		t := &tests[i]
		v := deviceName(dev)
		if t.load.Field == monban.FieldInIndex {
			v = deviceIndex(dev)
		}
		if t.load.Len > 0 {
			v = v[t.load.Offset:][:t.load.Len]
		}
		if inSpans(v, t.within) != t.passed {
			return false
		}
	}
	return true
}

// summary is what comes of a way: disjoint sets of sources.
type summary struct {
	open, conditional, unknown set
	drops, accepts             []outcome
	tags                       []tagged
	// reported is the answer to an interface of the class.
	reported []monban.Reach
	class    int
}

func (s *summary) merge(o *summary) {
	if o.drops == nil && o.accepts == nil && o.open.empty() && o.conditional.empty() && o.unknown.empty() {
		return
	}
	if s.drops == nil && s.accepts == nil && s.open.empty() && s.conditional.empty() && s.unknown.empty() {
		*s = summary{open: o.open, conditional: o.conditional, unknown: o.unknown, drops: o.drops, accepts: o.accepts, tags: o.tags}
		return
	}
	s.open.add(&o.open)
	s.conditional.add(&o.conditional)
	s.unknown.add(&o.unknown)
	s.conditional.remove(&s.open)
	s.unknown.remove(&s.open)
	s.unknown.remove(&s.conditional)
	s.drops = append(slices.Clip(s.drops), o.drops...)
	s.accepts = append(slices.Clip(s.accepts), o.accepts...)
	s.tags = append(slices.Clip(s.tags), o.tags...)
}

// summarise sums up a way for a door; here says whether the door answers at the
// address that the packets were sent to.
func (j *judge) summarise(p *program, w *way, d *monban.Door, here bool) *summary {
	translated := slices.ContainsFunc(w.in, func(s *state) bool { return s.translated != nil })
	if !here && !translated {
		return &summary{} // they arrive at an address where the door does not answer
	}
	forwarded := d.State == monban.Forwarded
	if sum, ok := j.sums[w]; ok && !translated && !forwarded {
		return sum
	}
	sum := &summary{drops: w.drops, accepts: w.accepts}
	var in, both set // both: those who perhaps come in and perhaps do not
	var tags []tagged
	for _, s := range w.in {
		if s.translated == nil && !here {
			continue
		}
		if s.translated == nil && d.State == monban.Forwarded {
			sum.drops = append(slices.Clip(sum.drops), outcome{why: monban.ByNobody, src: s.src, tags: s.tags})
			continue
		}
		if s.translated != nil && d.To.Port == 0 && d.State != monban.Forwarded &&
			(d.Bind.Port.Num < s.port || d.Bind.Port.Num > max(s.port, s.lastPort) || !j.own(p.family, s.addr) || !at(d, s.addr.netip(p.family))) {
			// It arrives, at another door.
			sum.drops = append(slices.Clip(sum.drops), outcome{by: s.translated, src: s.src, tags: s.tags})
			continue
		}
		if s.translated != nil {
			somebody, nobody := j.answering(p.family, w.by, d.Bind.Port.Proto, s)
			if nobody {
				sum.drops = append(slices.Clip(sum.drops), outcome{by: s.translated, why: monban.ByNoListener, src: s.src, tags: s.tags})
			}
			if !somebody {
				continue
			}
		}
		in.add(&s.src)
		tags = append(tags, restrict(s.tags, &s.src)...)
	}
	for i := range sum.drops {
		o := &sum.drops[i]
		if len(o.tags) == 0 {
			continue // nothing unforeseen happened to them: they have one fate
		}
		again := and(&in, &o.src)
		both.add(&again)
		if !again.empty() {
			tags = append(tags, restrict(o.tags, &again)...)
		}
	}
	sum.open = in
	if !both.empty() {
		sum.open.remove(&both)
		var opaque set
		for _, t := range tags {
			if t.kind == monban.ByOpaque {
				opaque.add(&t.src)
			}
		}
		sum.unknown = and(&both, &opaque)
		sum.conditional = both
		sum.conditional.remove(&opaque)
		sum.tags = unite(tags)
	}
	if t := p.proxies[d.Bind.Port.Num]; t != nil && !forwarded {
		sum.perhaps(t, j.sources(p, w.by))
	}
	if !translated && !forwarded {
		j.sums[w] = sum
	}
	return sum
}

// perhaps adds that any of the sources may come in, too, which a rule makes
// possible in a way of its own.
func (s *summary) perhaps(t *tag, sources *set) {
	more := *sources
	more.remove(&s.open)
	more.remove(&s.conditional)
	s.unknown.add(&more)
	s.tags = append(slices.Clip(s.tags), tagged{t, more})
}

// filtersOf returns the filters that see the packets of a door's owners.
func (j *judge) filtersOf(d *monban.Door) (tags []*tag) {
	if len(j.byOwner) == 0 {
		return nil
	}
	for _, o := range d.Owners {
		for _, t := range j.byOwner[o.PID] {
			if !slices.ContainsFunc(tags, func(x *tag) bool { return x.text == t.text }) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}

// behind returns the summary for a door whose packets some filters see last: who
// comes in does so if they let them.
func (s *summary) behind(filters []*tag) *summary {
	out := &summary{conditional: s.conditional, unknown: s.unknown, drops: s.drops, accepts: s.accepts, tags: slices.Clip(s.tags)}
	out.conditional.add(&s.open)
	for _, t := range filters {
		out.tags = append(out.tags, tagged{t, out.conditional})
	}
	return out
}

// report adds a summary to out in words of the root package.
func (j *judge) report(out []monban.Reach, s *summary, v *view, dev *monban.Interface) []monban.Reach {
	if s.reported == nil || s.class != v.class[dev] {
		s.reported, s.class = j.inWords(s, v, dev), v.class[dev]
	}
	for _, r := range s.reported { // to another interface of the class, or another door
		r.Device = dev.Name
		out = append(out, r)
	}
	return out
}

func (j *judge) inWords(s *summary, v *view, dev *monban.Interface) []monban.Reach {
	p := v.program
	valid := j.sources(p, dev)
	var out []monban.Reach
	add := func(v monban.Verdict, atoms *set, conditions []monban.Condition) {
		r := monban.Reach{Family: p.family, Verdict: v, Conditions: conditions}
		if v != monban.VerdictClosed && !within(valid, atoms) {
			r.Sources = j.ranges(p, atoms)
		}
		if v == monban.VerdictPartly && r.Sources == nil {
			r.Verdict = monban.VerdictOpen
		}
		r.Rule, r.Why = j.decider(s, p, v, atoms)
		out = append(out, r)
	}
	if !s.open.empty() {
		add(monban.VerdictPartly, &s.open, nil)
	}
	if !s.conditional.empty() {
		add(monban.VerdictPartly, &s.conditional, conditions(s, &s.conditional))
	}
	if !s.unknown.empty() {
		add(monban.VerdictUnknown, &s.unknown, conditions(s, &s.unknown))
	}
	if len(out) == 0 {
		add(monban.VerdictClosed, valid, nil)
	}
	return out
}

// ranges returns a set as ranges of addresses; equal sets share one list.
func (j *judge) ranges(p *program, atoms *set) []monban.AddrRange {
	h := atoms.hash()
	j.lock.Lock()
	defer j.lock.Unlock()
	for _, l := range j.lists[h] {
		if l.family == p.family && equal(&l.atoms, atoms) {
			return l.ranges
		}
	}
	l := listed{*atoms, p.family, p.space.ranges(atoms)}
	j.lists[h] = append(j.lists[h], l)
	return l.ranges
}

// decider names what decided for the largest range of the atoms.
func (j *judge) decider(s *summary, p *program, v monban.Verdict, atoms *set) (monban.RuleRef, monban.Reason) {
	example := p.space.example(atoms)
	switch v {
	case monban.VerdictUnknown:
		for _, t := range s.tags {
			if t.kind == monban.ByOpaque && t.src.has(example) {
				return t.tag.ref(), monban.ByRule
			}
		}
	case monban.VerdictClosed:
		for i := range s.drops {
			if o := s.drops[i]; o.src.has(example) {
				if o.by != nil {
					o.by = o.by.at(example)
				}
				return o.ref(), o.why
			}
		}
	default:
		var policy *outcome
		for i := range s.accepts {
			// The last rule that let it in, and the last policy where none did.
			o := &s.accepts[len(s.accepts)-1-i]
			if !o.src.has(example) {
				continue
			}
			if o.by != nil {
				return o.ref(), monban.ByRule
			}
			if policy == nil {
				policy = o
			}
		}
		if policy != nil {
			return policy.ref(), monban.ByRule
		}
		// No rule let them in, and none need keep the others out.
		for i := range s.drops {
			if why := s.drops[i].why; v == monban.VerdictPartly && (why == monban.ByRoute || why == monban.ByReverse) {
				return monban.RuleRef{}, why
			}
		}
	}
	return monban.RuleRef{}, monban.NoRule
}

func (o *outcome) ref() monban.RuleRef {
	switch {
	case o.by != nil:
		return o.by.ref()
	case o.routing != nil:
		return monban.RuleRef{Text: o.routing.String()}
	case o.base != nil:
		return monban.RuleRef{Family: o.base.table.Family, Table: o.base.table.Name, Chain: o.base.from.Name,
			Text: "policy " + o.base.from.Policy.Kind.String()}
	}
	return monban.RuleRef{}
}

func (r *rule) ref() monban.RuleRef {
	if r == nil {
		return monban.RuleRef{}
	}
	return monban.RuleRef{Family: r.chain.table.Family, Table: r.chain.table.Name, Chain: r.chain.from.Name,
		Handle: r.from.Handle, Text: r.from.Text(r.chain.table)}
}

func (t *tag) ref() monban.RuleRef {
	if t.rule == nil {
		return monban.RuleRef{Text: t.text}
	}
	return t.rule.ref()
}

// conditions lists what the ways of the sources depend on.
func conditions(s *summary, atoms *set) []monban.Condition {
	var out []monban.Condition
	for _, t := range s.tags {
		if !meets(&t.src, atoms) {
			continue
		}
		c := monban.Condition{Kind: t.kind, Text: t.text, Rule: t.tag.ref()}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b monban.Condition) int {
		return cmp.Or(cmp.Compare(a.Rule.Chain, b.Rule.Chain), cmp.Compare(a.Rule.Handle, b.Rule.Handle), cmp.Compare(a.Text, b.Text))
	})
	return out
}

// classes puts interfaces into classes by what the machine itself makes of their
// packets. What plain tests of rules say of an interface is noted on each way; where
// rules ask in other ways, every interface is a class.
func (j *judge) classes(v *view) {
	p := v.program
	v.each = asksDevice(j.rules) || j.ruled(p.family)
	v.class = map[*monban.Interface]int{}
	known := map[string]int{}
	for _, dev := range j.devs {
		var b strings.Builder
		sources := j.sources(p, dev)
		strict := ""
		if p.family == monban.IPv4 && dev.ReversePath == monban.ReversePathStrict {
			strict = dev.Name
		}
		fmt.Fprint(&b, sources.hash(), strict, dev.ReversePath, dev.Forward4, dev.Forward6, dev.RouteLocalnet, dev.Program)
		if v.each || len(j.filters[dev.Name]) > 0 || dev.Kind == "bridge" && len(p.bridge) > 0 {
			b.WriteString(dev.Name)
		}
		if _, ok := known[b.String()]; !ok {
			known[b.String()] = 1 + len(known)
		}
		v.class[dev] = known[b.String()]
	}
}

// asksDevice reports whether rules tell interfaces apart in other ways than by a
// test of the name or index that packets came in by.
func asksDevice(rules *monban.Ruleset) bool {
	if rules == nil {
		return false
	}
	for i := range rules.Tables {
		t := &rules.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			if len(c.Devices) > 0 {
				return true
			}
			for k := range c.Rules {
				if stepsAskDevice(c.Rules[k].Steps) {
					return true
				}
			}
		}
	}
	return false
}

func stepsAskDevice(steps []monban.Step) bool {
	for i := range steps {
		s := &steps[i]
		if s.Op == monban.OpRedirect {
			return true
		}
		for n := range s.Key {
			switch l := &s.Key[n]; l.Field {
			case monban.FieldReversePath:
				return true
			case monban.FieldSourceType, monban.FieldDestType:
				if l.ByDevice {
					return true
				}
			case monban.FieldInName, monban.FieldInIndex:
				if s.Op != monban.OpTest || l.Mask != nil {
					return true
				}
			case monban.FieldOutName, monban.FieldOutIndex:
				return true // of answers, which leave by the interface they came for
			}
		}
	}
	return false
}
