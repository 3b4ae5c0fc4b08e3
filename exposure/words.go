package exposure

import (
	"cmp"
	"slices"

	"github.com/monban-dev/monban"
)

type listed struct {
	atoms  set
	family monban.Family
	ranges []monban.AddrRange
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
