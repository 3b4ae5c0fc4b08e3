package firewall

import (
	"bytes"
	"encoding/binary"

	"github.com/monban-dev/monban"
)

// reader puts the parts of a ruleset together while the kernel tells them.
type reader struct {
	generation uint32
	strict     bool
	tables     []*tableReader
}

// tableReader is a table that is being read.
type tableReader struct {
	family uint8
	table  monban.Table
	sets   map[string]*setHeader
	order  []string
	chains map[string]int
	rules  []rawRule
	// translates: some rule has a destination NAT.
	translates bool
	// untracks: some rule keeps packets out of connection tracking.
	untracks bool
}

func (r *reader) addTable(family uint8, t monban.Table) {
	r.tables = append(r.tables, &tableReader{family: family, table: t, sets: map[string]*setHeader{}, chains: map[string]int{}})
}

// find returns the table, or nil: one that came after the tables had been told,
// which the generation will show.
func (r *reader) find(family uint8, name string) *tableReader {
	for _, t := range r.tables {
		if t.family == family && t.table.Name == name {
			return t
		}
	}
	return nil
}

func (r *reader) addChain(family uint8, attrs []byte) error {
	table, c, err := parseChain(family, attrs)
	if t := r.find(family, table); t != nil {
		t.chains[c.Name] = len(t.table.Chains)
		t.table.Chains = append(t.table.Chains, c)
	}
	return err
}

func (r *reader) addSet(family uint8, attrs []byte) error {
	h, err := parseSet(attrs)
	if t := r.find(family, h.table); t != nil {
		t.sets[h.set.Name] = &h
		t.order = append(t.order, h.set.Name)
	}
	return err
}

func (r *reader) addRule(family uint8, attrs []byte) error {
	raw, err := parseRule(family, attrs)
	if t := r.find(family, raw.table); t != nil {
		t.rules = append(t.rules, raw)
	}
	return err
}

// decode decodes the rules and marks the sets that have to be read.
func (r *reader) decode(o Options) {
	for _, t := range r.tables {
		t.decode()
	}
	for _, t := range r.tables {
		t.mark(o, r.translates())
	}
}

func (t *tableReader) decode() {
	for i := range t.rules {
		raw := &t.rules[i]
		at, ok := t.chains[raw.chain]
		if !ok {
			continue
		}
		rule := decodeRule(raw, t.sets)
		t.table.Chains[at].Rules = append(t.table.Chains[at].Rules, rule)
		for _, s := range rule.Steps {
			t.translates = t.translates || s.Op == monban.OpDNAT || s.Op == monban.OpRedirect
			t.untracks = t.untracks || s.Op == monban.OpNoTrack
			if h, ok := t.sets[s.Set]; ok && len(s.Key) > 0 {
				h.fieldsOf(s.Key)
				h.set.Dynamic = h.set.Dynamic || s.Op == monban.OpUpdate
			}
		}
	}
	t.rules = nil
}

// mark marks the sets that have to be read.
func (t *tableReader) mark(o Options, translated bool) {
	if o.AllSets {
		for _, h := range t.sets {
			h.used = true
		}
		return
	}
	for _, c := range t.table.Chains {
		ports := o.Ports
		if translated || c.Hook == monban.HookOutput || c.Hook == monban.HookPostrouting || c.Hook == monban.HookEgress {
			// Answers go to the clients' ports, and what is translated comes by
			// one number and goes on with another.
			ports = nil
		}
		if c.Hook != monban.NoHook && !t.table.Dormant && (c.Type == "nat" || !o.Translations) {
			t.use(c.Name, ports, map[string]bool{})
		}
	}
}

// translates reports whether some rule changes where packets go to.
func (r *reader) translates() bool {
	for _, t := range r.tables {
		if t.translates {
			return true
		}
	}
	return false
}

// use marks the sets that the rules of a chain look up, and those of the chains
// that it calls.
func (t *tableReader) use(chain string, ports []monban.PortRange, seen map[string]bool) {
	at, ok := t.chains[chain]
	if !ok || seen[chain] {
		return
	}
	seen[chain] = true
	maps := func(s *monban.Step) {
		h := t.sets[s.Set]
		if h == nil {
			return
		}
		h.used = true
		if h.set.VerdictMap {
			// Which chains it leads to is in its elements: all may be meant.
			for name := range t.chains {
				if t.table.Chains[t.chains[name]].Hook == monban.NoHook {
					t.use(name, ports, seen)
				}
			}
		}
	}
	for i := range t.table.Chains[at].Rules {
		rule := &t.table.Chains[at].Rules[i]
		if aboutOthers(rule, ports) {
			continue
		}
		for j := range rule.Steps {
			switch s := &rule.Steps[j]; s.Op {
			case monban.OpLookup, monban.OpMap, monban.OpVerdict:
				maps(s)
			case monban.OpDecide:
				if s.Action.Chain != "" {
					t.use(s.Action.Chain, ports, seen)
				}
			}
		}
	}
}

// aboutOthers reports whether a rule only concerns packets to other ports. A rule
// that translates may make them ours, so that the destination before does not
// count.
func aboutOthers(rule *monban.Rule, ports []monban.PortRange) bool {
	if len(ports) == 0 {
		return false
	}
	for i := range rule.Steps {
		s := &rule.Steps[i]
		if s.Op == monban.OpDNAT || s.Op == monban.OpRedirect {
			return false
		}
	}
	for i := range rule.Steps {
		s := &rule.Steps[i]
		if s.Op != monban.OpTest || s.Not || s.Key[0].Field != monban.FieldDestPort || s.Key[0].Len != 2 || s.Key[0].Mask != nil {
			continue
		}
		if !overlaps(s.Within, ports) {
			return true
		}
	}
	return false
}

func overlaps(spans []monban.Span, ports []monban.PortRange) bool {
	for _, span := range spans {
		for _, r := range ports {
			if bytes.Compare(span.First, binary.BigEndian.AppendUint16(nil, r.Last)) <= 0 &&
				bytes.Compare(binary.BigEndian.AppendUint16(nil, r.First), span.Last) <= 0 {
				return true
			}
		}
	}
	return false
}

// ruleset returns what was read.
func (r *reader) ruleset() *monban.Ruleset {
	out := &monban.Ruleset{Generation: r.generation, StrictTCP: r.strict}
	for _, t := range r.tables {
		for _, name := range t.order {
			t.table.Sets = append(t.table.Sets, t.sets[name].set)
		}
		out.Tables = append(out.Tables, t.table)
	}
	return out
}
