package exposure

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/monban-dev/monban"
)

// program is a ruleset made ready for the packets of one family.
type program struct {
	family monban.Family
	space  *space
	rules  *monban.Ruleset
	// hooks are the base chains of each hook, in the order in which the kernel
	// calls them; those of type nat before routing stand apart, because the
	// kernel calls them together (nf_nat_inet_fn).
	hooks     [monban.HookEgress + 1][]*base
	nat       []*base
	natBehind [monban.HookEgress + 1][]*base
	// marksAnswers: some rule may set the mark of what this machine sends.
	marksAnswers bool
	// tracks: some rule needs connections to be tracked.
	tracks bool
	// bridge are chains that see frames on bridges before this family does.
	bridge []*base
	// translates: some rule sends packets elsewhere.
	translates bool
	lookups    map[*monban.Set]*lookup
	ports      portClasses
	// proxies are the ports that some rule hands packets for others to.
	proxies map[uint16]*tag
	// eachAddress: some rule may tell any two addresses of this machine apart.
	eachAddress bool
	// ours is where addresses of this machine fall into other classes: what
	// rules say about destinations.
	ours []addr
}

// base is a base chain.
type base struct {
	*chain
	// order counts the chains as they were told.
	order int
}

// chain is a chain without the rules that never see this family.
type chain struct {
	table *monban.Table
	from  *monban.Chain
	rules []*rule
	// byPort and others divide the indexes of a long chain's rules: those that
	// are about one of a few destination ports, and those that are not.
	byPort map[uint16][]int32
	others []int32
}

// rule is a rule made ready.
type rule struct {
	chain *chain
	from  *monban.Rule
	steps []step
	ports []monban.Span // destination ports that it is limited to; nil is none
	// block are neighbours that all drop some sources, as one rule; its only
	// step tests for any of them.
	block []*rule
}

// step is a step made ready.
type step struct {
	*monban.Step
	atoms  set // of a test of an address
	hasSet bool
	target *chain
	lookup *lookup
	tag    tag
	// limit is what an element may not let past, nil for nothing.
	limit *tag
	// chosen: a test of the flags of a packet that knocks, which it may have more
	// of than it needs.
	chosen bool
}

// tag is something that makes a packet's way uncertain.
type tag struct {
	kind monban.ConditionKind
	text string
	rule *rule
}

// compiler makes a program.
type compiler struct {
	*program
	chains map[*monban.Chain]*chain
	named  map[*monban.Table]map[string]*monban.Chain
	sets   map[*monban.Table]map[string]*monban.Set
	cut    map[*monban.Set]bool // sets whose bounds were collected
}

// sees reports whether chains of a table see packets of family f.
func sees(t monban.TableFamily, f monban.Family) bool {
	switch t {
	case monban.TableInet, monban.TableNetdev:
		return true
	case monban.TableIP:
		return f == monban.IPv4
	case monban.TableIP6:
		return f == monban.IPv6
	}
	return false
}

// compile makes the program of one family; cut has the addresses that matter
// besides those in rules.
func compile(rules *monban.Ruleset, f monban.Family, cut *cutter) *program {
	c := &compiler{
		program: &program{family: f, rules: rules, lookups: map[*monban.Set]*lookup{}, proxies: map[uint16]*tag{}},
		chains:  map[*monban.Chain]*chain{},
		named:   map[*monban.Table]map[string]*monban.Chain{}, sets: map[*monban.Table]map[string]*monban.Set{},
		cut: map[*monban.Set]bool{},
	}
	if rules == nil {
		c.space = cut.space()
		return c.program
	}
	var bases []*monban.Chain
	var tables []*monban.Table
	for i := range rules.Tables {
		t := &rules.Tables[i]
		c.named[t], c.sets[t] = map[string]*monban.Chain{}, map[string]*monban.Set{}
		for j := range t.Sets {
			c.sets[t][t.Sets[j].Name] = &t.Sets[j]
		}
		for j := range t.Chains {
			c.named[t][t.Chains[j].Name] = &t.Chains[j]
			if t.Chains[j].Hook != monban.NoHook && !t.Dormant {
				bases, tables = append(bases, &t.Chains[j]), append(tables, t)
			}
		}
	}
	for i, t := range tables {
		if sees(t.Family, f) {
			c.cutChain(cut, t, bases[i], map[*monban.Chain]bool{})
		}
	}
	c.tracks = tracks(rules, f)
	c.marksAnswers = slices.ContainsFunc(tables, marksAnswers)
	c.space = cut.space()
	c.ports.sorted = slices.Sorted(maps.Keys(c.ports.begins))
	slices.SortFunc(c.ours, compareAddr)
	c.ours = slices.Compact(c.ours)
	for i, t := range tables {
		switch {
		case t.Family == monban.TableBridge:
			if len(bases[i].Rules) > 0 || bases[i].Policy.Kind == monban.ActDrop {
				c.bridge = append(c.bridge, &base{c.compileChain(t, bases[i]), i})
			}
		case !sees(t.Family, f):
		case bases[i].Type == "nat":
			switch h := bases[i].Hook; {
			case h == monban.HookPrerouting:
				c.nat = append(c.nat, &base{c.compileChain(t, bases[i]), i})
			case h == monban.HookOutput, len(bases[i].Rules) == 0 && bases[i].Policy.Kind != monban.ActDrop:
			default:
				c.natBehind[h] = append(c.natBehind[h], &base{c.compileChain(t, bases[i]), i})
			}
		default:
			h := bases[i].Hook
			c.hooks[h] = append(c.hooks[h], &base{c.compileChain(t, bases[i]), i})
		}
	}
	for h := range c.hooks {
		inOrder(c.hooks[h])
		inOrder(c.natBehind[h])
	}
	inOrder(c.nat)
	return c.program
}

// inOrder sorts base chains as the kernel calls them: of two with one priority the
// later one first (nf_hook_entries_grow puts it in front).
func inOrder(list []*base) {
	slices.SortFunc(list, func(a, b *base) int {
		return cmp.Or(cmp.Compare(a.from.Priority, b.from.Priority), cmp.Compare(b.order, a.order))
	})
}

// address reports whether a field is an address of the packet or connection.
func address(f monban.Field) bool {
	switch f {
	case monban.FieldSource, monban.FieldDest, monban.FieldConnSource, monban.FieldConnDest:
		return true
	}
	return false
}

// portField reports whether a field is a port on this machine's side of some
// direction.
func portField(f monban.Field) bool {
	switch f {
	case monban.FieldSourcePort, monban.FieldDestPort, monban.FieldConnSourcePort, monban.FieldConnDestPort:
		return true
	}
	return false
}

// tracks reports whether a rule, of whatever chain, has the kernel track the
// connections of a family. It is asked of rulesets with nat chains.
func tracks(rules *monban.Ruleset, f monban.Family) bool {
	for i := range rules.Tables {
		t := &rules.Tables[i]
		if !sees(t.Family, f) {
			continue
		}
		for j := range t.Chains {
			for k := range t.Chains[j].Rules {
				if slices.ContainsFunc(t.Chains[j].Rules[k].Steps, needsTracking) {
					return true
				}
			}
		}
	}
	return false
}

// marksAnswers reports whether chains of a table see what this machine sends, and set
// marks.
func marksAnswers(t *monban.Table) bool {
	marks := false
	for i := range t.Chains {
		for k := range t.Chains[i].Rules {
			marks = marks || slices.ContainsFunc(t.Chains[i].Rules[k].Steps, func(s monban.Step) bool { return s.Op == monban.OpAssign && s.To == monban.FieldMark })
		}
	}
	return marks && slices.ContainsFunc(t.Chains, func(c monban.Chain) bool { return c.Hook == monban.HookOutput })
}

func needsTracking(s monban.Step) bool {
	switch s.Op {
	case monban.OpDNAT, monban.OpRedirect, monban.OpSNAT:
		return true
	case monban.OpAssign:
		if s.To != monban.FieldMark {
			return true
		}
	}
	return slices.ContainsFunc(s.Key, func(l monban.Load) bool {
		return l.Field >= monban.FieldConnMark && l.Field <= monban.FieldConnDestPort
	})
}

// cutChain collects the addresses and ports that a chain and those it calls tell
// apart.
func (c *compiler) cutChain(cut *cutter, t *monban.Table, ch *monban.Chain, seen map[*monban.Chain]bool) {
	if seen[ch] {
		return
	}
	seen[ch] = true
	for i := range ch.Rules {
		for j := range ch.Rules[i].Steps {
			s := &ch.Rules[i].Steps[j]
			switch s.Op {
			case monban.OpTest:
				switch l := &s.Key[0]; {
				case address(l.Field):
					for _, sp := range s.Within {
						first, last, ok := addressSpan(l, sp, c.family)
						if ok {
							cut.between(first, last)
						}
						c.cutOurs(l, first, last, ok)
					}
				case portField(l.Field):
					for _, sp := range s.Within {
						c.ports.cut(l, sp)
					}
				}
			case monban.OpLookup, monban.OpMap, monban.OpVerdict:
				if set := c.sets[t][s.Set]; set != nil {
					c.cutSet(cut, set, s.Key)
					if set.VerdictMap {
						for k := range set.Elements {
							c.follow(cut, t, set.Elements[k].Action, seen)
						}
						if set.Else != nil {
							c.follow(cut, t, set.Else.Action, seen)
						}
					}
				}
			case monban.OpDNAT, monban.OpRedirect:
				c.translates = true
			case monban.OpOpaque:
				if port := constantOf(s.Port, nil); len(port) == 2 {
					c.ports.cut(&s.Port[0], monban.Span{First: port, Last: port})
				}
			}
			c.follow(cut, t, s.Action, seen)
		}
	}
}

func (c *compiler) follow(cut *cutter, t *monban.Table, a monban.Action, seen map[*monban.Chain]bool) {
	if a.Chain == "" {
		return
	}
	if next := c.named[t][a.Chain]; next != nil {
		c.cutChain(cut, t, next, seen)
	}
}

// cutOurs notes that a test tells destinations apart. One that is no range may
// tell any two apart.
func (c *compiler) cutOurs(l *monban.Load, first, last addr, isRange bool) {
	if l.Field != monban.FieldDest && l.Field != monban.FieldConnDest {
		return
	}
	if !isRange {
		c.eachAddress = true
		return
	}
	c.ours = append(c.ours, first)
	if n, ok := last.next(c.family); ok {
		c.ours = append(c.ours, n)
	}
}

// class returns the class of an address of this machine, alike in every rule that
// packets to it meet. Answers come from it, so what is asked of those counts, too.
func (p *program) class(a addr) int {
	if p.eachAddress || p.translates || len(p.hooks[monban.HookOutput])+len(p.hooks[monban.HookPostrouting])+len(p.hooks[monban.HookEgress]) > 0 {
		return p.space.atom(a)
	}
	n, found := slices.BinarySearchFunc(p.ours, a, compareAddr)
	if found {
		n++
	}
	return n
}

// cutSet collects the bounds of a set's elements in the parts of its key that are
// addresses or ports.
func (c *compiler) cutSet(cut *cutter, s *monban.Set, key []monban.Load) {
	if c.cut[s] {
		return
	}
	c.cut[s] = true
	at := 0
	for i := range key {
		l := &key[i]
		switch {
		case address(l.Field) && l.Len == addrLen(c.family) && l.Mask == nil:
			list := make([]addr, 0, 2*len(s.Elements))
			for k := range s.Elements {
				e := &s.Elements[k]
				if len(e.First) < at+l.Len {
					continue
				}
				list = append(list, addrOfBytes(e.First[at:at+l.Len]))
				if n, ok := addrOfBytes(e.Last[at : at+l.Len]).next(c.family); ok {
					list = append(list, n)
				}
			}
			if l.Field == monban.FieldDest || l.Field == monban.FieldConnDest {
				c.ours = append(c.ours, list...)
			}
			slices.SortFunc(list, compareAddr) // it is nearly sorted, and then quick
			cut.sorted = append(cut.sorted, list)
		case portField(l.Field):
			for k := range s.Elements {
				if e := &s.Elements[k]; len(e.First) >= at+l.Len {
					c.ports.cut(l, monban.Span{First: e.First[at : at+l.Len], Last: e.Last[at : at+l.Len]})
				}
			}
		}
		at += (l.Len + 3) &^ 3
	}
}

// addressSpan turns a test's span into addresses: x & mask in [first, last], for a
// mask that is a prefix and for the first bytes of an address.
func addressSpan(l *monban.Load, s monban.Span, f monban.Family) (first, last addr, ok bool) {
	n := addrLen(f)
	if l.Offset != 0 || l.Len > n || len(s.First) != l.Len || len(s.Last) != l.Len || bytes.Compare(s.First, s.Last) > 0 {
		return first, last, false
	}
	low, high := make([]byte, n), make([]byte, n)
	copy(low, s.First)
	copy(high, s.Last)
	for i := l.Len; i < n; i++ {
		high[i] = 0xff
	}
	if l.Mask != nil {
		ended := false
		for i := range l.Len {
			if l.Xor[i] != 0 {
				return first, last, false
			}
			for bit := byte(0x80); bit != 0; bit >>= 1 {
				switch {
				case l.Mask[i]&bit == 0:
					ended = true
				case ended:
					return first, last, false
				}
			}
			if low[i]&^l.Mask[i] != 0 || high[i]&^l.Mask[i] != 0 {
				return first, last, false
			}
			high[i] |= ^l.Mask[i]
		}
	}
	return addrOfBytes(low), addrOfBytes(high), true
}

// compileChain makes a chain ready, once.
func (c *compiler) compileChain(t *monban.Table, from *monban.Chain) *chain {
	if ready, ok := c.chains[from]; ok {
		return ready
	}
	out := &chain{table: t, from: from, rules: make([]*rule, 0, len(from.Rules))}
	c.chains[from] = out // before its rules: a loop, which the kernel refuses, must end
	n := 0
	for i := range from.Rules {
		n += len(from.Rules[i].Steps)
	}
	// One piece for all: there may be ten thousand.
	rules, steps := make([]rule, len(from.Rules)), make([]step, n)
	for i := range from.Rules {
		n := len(from.Rules[i].Steps)
		if r := &rules[i]; c.compileRule(r, steps[:0:n], out, &from.Rules[i]) {
			out.rules = append(out.rules, r)
		}
		steps = steps[n:]
	}
	out.rules = blocks(out.rules)
	const long = 32
	if len(out.rules) > long {
		out.index()
	}
	return out
}

// blocks puts neighbours together that do nothing but drop some sources, of which
// lists of unwanted networks have thousands.
func blocks(rules []*rule) []*rule {
	const few = 4
	out := rules[:0:0]
	for i := 0; i < len(rules); {
		n := i
		for n < len(rules) && rules[n].dropsSources() {
			n++
		}
		if n-i < few {
			out = append(out, rules[i:max(n, i+1)]...)
			i = max(n, i+1)
			continue
		}
		b := &rule{chain: rules[i].chain, from: rules[i].from, block: rules[i:n:n], steps: slices.Clone(rules[i].steps)}
		b.steps[0].atoms = set{}
		for _, r := range b.block {
			b.steps[0].atoms.add(&r.steps[0].atoms)
		}
		out = append(out, b)
		i = n
	}
	return out
}

// dropsSources reports whether a rule is a test of the source and a drop.
func (r *rule) dropsSources() bool {
	if len(r.steps) != 2 {
		return false
	}
	t, d := &r.steps[0], &r.steps[1]
	return t.Op == monban.OpTest && t.Key[0].Field == monban.FieldSource && t.hasSet && !t.Not &&
		d.Op == monban.OpDecide && (d.Action.Kind == monban.ActDrop || d.Action.Kind == monban.ActReject)
}

// at returns the rule of a block that drops an atom, r itself where it is none.
func (r *rule) at(atom int) *rule {
	for _, b := range r.block {
		if b.steps[0].atoms.has(atom) {
			return b
		}
	}
	return r
}

// compileRule makes a rule ready, with room for its steps. It returns false for one
// that no packet of the family passes.
func (c *compiler) compileRule(r *rule, room []step, ch *chain, from *monban.Rule) bool {
	*r = rule{chain: ch, from: from, steps: room}
	lets := !drops(from)
	for i := range from.Steps {
		s := step{Step: &from.Steps[i]}
		switch s.Op {
		case monban.OpNote:
			continue
		case monban.OpTest:
			switch l := &s.Key[0]; {
			case l.Field == monban.FieldFamily || l.Field == monban.FieldEtherType && l.Mask == nil:
				if ch.table.Family == monban.TableNetdev && l.Field == monban.FieldFamily {
					break
				}
				if inSpans(familyValue(l.Field, c.family), s.Within) == s.Not {
					return false
				}
				continue
			case address(l.Field):
				s.atoms, s.hasSet = c.testAtoms(s.Step)
			case l.Field == monban.FieldDestPort && !s.Not && l.Len == 2 && l.Mask == nil:
				r.ports = s.Within
			}
			s.tag = tag{monban.ByOpaque, testText(s.Step), r}
			switch l := &s.Key[0]; {
			case lets && l.Field == monban.FieldConstant && l.Name != "":
				// No packet has to have what is asked for, and whoever wants to
				// get in by that may add it.
				s.Step = &monban.Step{Op: monban.OpOpaque, Name: l.Name}
			case lets && l.Field == monban.FieldTCPFlags:
				s.chosen = moreFlags(s.Step)
			}
			if s.Op == monban.OpOpaque {
				break
			}
			if f := s.Key[0].Field; f == monban.FieldSourcePort || f == monban.FieldDestPort || f == monban.FieldConnSourcePort {
				s.tag.kind = monban.BySourcePort
			}
		case monban.OpLookup, monban.OpMap, monban.OpVerdict:
			set := c.sets[ch.table][s.Set]
			if test := routeKinds(s.Step, set); test != nil {
				s.Step, s.tag = test, tag{monban.ByOpaque, testText(test), r}
				break
			}
			if set != nil {
				s.lookup = c.lookup(ch.table, set, s.Key)
				if set.Limit != "" && !s.Not {
					s.limit = &tag{monban.ByRate, "@" + s.Set + " " + set.Limit, r}
				}
			}
			s.tag = tag{monban.ByOpaque, "@" + s.Set, r}
			switch {
			case set == nil || set.Unread:
			case set.Dynamic:
				s.tag.kind = monban.ByDynamicSet
			case random(s.Key):
				s.tag.kind = monban.ByChance
			case len(s.Key) == 1 && chanceKind(s.Key[0].Name) == monban.ByTime:
				s.tag = tag{monban.ByTime, s.Key[0].Name, r}
			case clientPort(s.Key):
				s.tag.kind = monban.BySourcePort
			}
		case monban.OpDecide:
			s.target = c.target(ch.table, s.Action)
			s.tag = tag{monban.ByOpaque, s.Action.Kind.String(), r}
		case monban.OpChance:
			s.tag = tag{chanceKind(s.Name), s.Name, r}
		case monban.OpUpdate:
			s.tag = tag{monban.ByRate, s.Name, r}
			if s.Name == "" {
				s.tag = tag{monban.ByDynamicSet, "@" + s.Set, r} // it may be full
			}
		default:
			s.tag = tag{monban.ByOpaque, s.Name, r}
			if port := constantOf(s.Port, nil); s.Op == monban.OpOpaque && len(port) == 2 {
				c.proxies[binary.BigEndian.Uint16(port)] = &tag{monban.ByOpaque, s.Name, r}
			}
		}
		r.steps = append(r.steps, s)
	}
	r.sureFirst()
	return true
}

// drops reports whether all that a rule does is to keep packets out.
func drops(r *monban.Rule) bool {
	n := len(r.Steps)
	return n > 0 && r.Steps[n-1].Op == monban.OpDecide && (r.Steps[n-1].Action.Kind == monban.ActDrop || r.Steps[n-1].Action.Kind == monban.ActReject)
}

// moreFlags reports whether a first packet passes a test only with flags that it need
// not have, besides SYN: PSH, URG, and those of explicit congestion notification.
func moreFlags(s *monban.Step) bool {
	l := &s.Key[0]
	passes := func(flags byte) bool {
		if len(l.Mask) == 1 && len(l.Xor) == 1 {
			flags = flags&l.Mask[0] ^ l.Xor[0]
		}
		return inSpans([]byte{flags}, s.Within) != s.Not
	}
	const syn, psh, urg, ece, cwr = 0x02, 0x08, 0x20, 0x40, 0x80
	for more := range 256 {
		if more&^(psh|urg|ece|cwr) == 0 && passes(byte(syn|more)) && !passes(syn) {
			return true
		}
	}
	return false
}

// sureFirst puts the tests that a rule begins with into the order in which least
// stays unforeseen: where another test fails for certain, nobody has to know how
// the one that cannot be foreseen would have come out.
func (r *rule) sureFirst() {
	n := 0
	for n < len(r.steps) && (r.steps[n].Op == monban.OpTest || r.steps[n].Op == monban.OpLookup ||
		r.steps[n].Op == monban.OpChance || r.steps[n].Op == monban.OpOpaque && !r.steps[n].Final) {
		n++
	}
	slices.SortStableFunc(r.steps[:n], func(a, b step) int { return cmp.Compare(a.doubt(), b.doubt()) })
}

// doubt is how little can be foreseen of a test.
func (s *step) doubt() int {
	switch {
	case s.Op == monban.OpOpaque:
		return 3
	case s.Op == monban.OpChance:
		return 2
	case s.Op == monban.OpLookup:
		return 1
	}
	return 0
}

// routeKinds returns a look-up of kinds of routes as a test for them.
func routeKinds(s *monban.Step, set *monban.Set) *monban.Step {
	if s.Op != monban.OpLookup || len(s.Key) != 1 || set == nil || set.Unread || set.Dynamic || set.Else != nil {
		return nil
	}
	if f := s.Key[0].Field; f != monban.FieldSourceType && f != monban.FieldDestType {
		return nil
	}
	test := &monban.Step{Op: monban.OpTest, Key: s.Key, Not: s.Not}
	for i := range set.Elements {
		e := &set.Elements[i]
		span := monban.Span{First: bytes.Clone(e.First), Last: bytes.Clone(e.Last)}
		if s.Key[0].Little {
			slices.Reverse(span.First)
			slices.Reverse(span.Last)
		}
		if len(span.First) != 4 || len(span.Last) != 4 {
			return nil
		}
		test.Within = append(test.Within, span)
	}
	return test
}

func testText(s *monban.Step) string {
	if s.Key[0].Name != "" {
		return s.Key[0].Name
	}
	return s.Key[0].Field.String()
}

func random(key []monban.Load) bool {
	return slices.ContainsFunc(key, func(l monban.Load) bool { return l.Field == monban.FieldRandom })
}

// clientPort reports whether a key may hold the client's port, which it chooses:
// in an answer that is the destination's.
func clientPort(key []monban.Load) bool {
	return slices.ContainsFunc(key, func(l monban.Load) bool {
		return l.Field == monban.FieldSourcePort || l.Field == monban.FieldDestPort
	})
}

func chanceKind(name string) monban.ConditionKind {
	switch name {
	case "random":
		return monban.ByChance
	case "time", "meta time", "meta day", "meta hour":
		return monban.ByTime
	}
	if len(name) > 6 && name[:6] == "recent" {
		return monban.ByDynamicSet
	}
	return monban.ByRate
}

func (c *compiler) target(t *monban.Table, a monban.Action) *chain {
	if a.Chain == "" {
		return nil
	}
	if next := c.named[t][a.Chain]; next != nil {
		return c.compileChain(t, next)
	}
	return nil
}

// testAtoms returns the addresses that pass a test, before its Not.
func (c *compiler) testAtoms(s *monban.Step) (set, bool) {
	var out set
	for _, sp := range s.Within {
		first, last, ok := addressSpan(&s.Key[0], sp, c.family)
		if !ok {
			return set{}, false
		}
		atoms := c.space.between(first, last)
		out.add(&atoms)
	}
	return out, true
}

// familyValue is what a packet of the family has in a field about families.
func familyValue(field monban.Field, f monban.Family) []byte {
	switch {
	case field == monban.FieldFamily && f == monban.IPv4:
		return []byte{2}
	case field == monban.FieldFamily:
		return []byte{10}
	case f == monban.IPv4:
		return []byte{0x08, 0x00}
	}
	return []byte{0x86, 0xdd}
}

func inSpans(v []byte, spans []monban.Span) bool {
	for i := range spans {
		if bytes.Compare(spans[i].First, v) <= 0 && bytes.Compare(v, spans[i].Last) <= 0 {
			return true
		}
	}
	return false
}

// index divides the rules of a long chain.
func (c *chain) index() {
	const most = 64
	c.byPort = map[uint16][]int32{}
	for i, r := range c.rules {
		n := 0
		for _, s := range r.ports {
			n += int(binary.BigEndian.Uint16(s.Last)) - int(binary.BigEndian.Uint16(s.First)) + 1
		}
		if r.ports == nil || n > most {
			c.others = append(c.others, int32(i))
			continue
		}
		for _, s := range r.ports {
			for p := int(binary.BigEndian.Uint16(s.First)); p <= int(binary.BigEndian.Uint16(s.Last)); p++ {
				list := c.byPort[uint16(p)]
				if len(list) == 0 || list[len(list)-1] != int32(i) {
					c.byPort[uint16(p)] = append(list, int32(i))
				}
			}
		}
	}
}

// portClasses puts ports into classes that no rule tells apart.
type portClasses struct {
	begins map[int]bool
	sorted []int
	// each: a class for every port.
	each bool
}

func (p *portClasses) cut(l *monban.Load, s monban.Span) {
	if l.Mask != nil || l.Len != 2 || len(s.First) != 2 || len(s.Last) != 2 {
		p.each = true
		return
	}
	if p.begins == nil {
		p.begins = map[int]bool{}
	}
	p.begins[int(binary.BigEndian.Uint16(s.First))] = true
	p.begins[int(binary.BigEndian.Uint16(s.Last))+1] = true
}

// of returns the class of a port.
func (p *portClasses) of(port uint16) int32 {
	if p.each {
		return int32(port)
	}
	n, found := slices.BinarySearch(p.sorted, int(port))
	if found {
		n++
	}
	return int32(n)
}
