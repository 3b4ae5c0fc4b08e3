package exposure

import (
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
