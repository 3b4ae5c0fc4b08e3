package exposure

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// FrontEnds names the programs that keep this machine's rules, by the names that
// they give their chains and tables: "firewalld", "monban", "ufw".
func FrontEnds(rules *monban.Ruleset) []string {
	if rules == nil {
		return nil
	}
	var out []string
	for i := range rules.Tables {
		t := &rules.Tables[i]
		if t.Name == "firewalld" || t.Name == "monban" {
			out = append(out, t.Name)
		}
		for j := range t.Chains {
			if strings.HasPrefix(t.Chains[j].Name, "ufw-") || strings.HasPrefix(t.Chains[j].Name, "ufw6-") {
				out = append(out, "ufw")
				break
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// overlays finds interfaces of overlays by which everybody gets to doors that the
// rules close everywhere else, because a rule lets in whatever comes by that
// interface. A rule that lets in some ports by it is meant so and no finding.
func overlays(s *monban.Snapshot) (out []monban.Finding) {
	if s.Rules == nil {
		return nil
	}
	type found struct {
		doors        []monban.Door
		open, closed *monban.Reach
	}
	by := map[string]*found{}
	var order []string
	for i := range s.Doors {
		d := &s.Doors[i]
		for k := range d.Reach {
			r := &d.Reach[k]
			if r.Verdict != monban.VerdictOpen && r.Verdict != monban.VerdictPartly || r.Rule == (monban.RuleRef{}) || !s.Host.Overlay(r.Device) {
				continue
			}
			closed := closedElsewhere(d, r.Family, &s.Host)
			if closed == nil || asksPort(s.Rules, r.Rule) {
				continue
			}
			o := by[r.Device]
			if o == nil {
				o = &found{open: r, closed: closed}
				by[r.Device], order = o, append(order, r.Device)
			}
			if !slices.ContainsFunc(o.doors, func(have monban.Door) bool { return have.Bind == d.Bind }) {
				o.doors = append(o.doors, *d)
			}
		}
	}
	severity := monban.Low
	if len(FrontEnds(s.Rules)) > 0 {
		severity = monban.Medium // what the user was told is not so
	}
	for _, dev := range order {
		o := by[dev]
		out = append(out, monban.Finding{Kind: monban.OverlayOpen, Severity: severity, Bind: o.doors[0].Bind, Doors: o.doors,
			Evidence: []monban.Evidence{{Source: "interface", Text: dev}, evidence(o.open), evidence(o.closed)},
			Fix:      []monban.Fix{{Code: fixLimitOverlay, Args: []string{dev}}}})
	}
	return out
}

// closedElsewhere returns an entry by which a rule closes a door to a family on an
// ordinary interface, nil where somebody of whatever family comes in by one, or
// nothing says so.
func closedElsewhere(d *monban.Door, f monban.Family, h *monban.Host) (closed *monban.Reach) {
	for i := range d.Reach {
		r := &d.Reach[i]
		switch {
		case h.Overlay(r.Device) || r.Why == monban.ByAddress || r.Why == monban.ByDevice:
		case r.Verdict != monban.VerdictClosed:
			return nil
		case r.Family == f && r.Rule != (monban.RuleRef{}):
			closed = r
		}
	}
	return closed
}

// asksPort reports whether a rule, or every way to its chain, depends on the port
// that is knocked at.
func asksPort(rules *monban.Ruleset, ref monban.RuleRef) bool {
	t := rules.Table(ref.Family, ref.Table)
	if t == nil {
		return false
	}
	if c := t.Chain(ref.Chain); c != nil {
		for i := range c.Rules {
			if c.Rules[i].Handle == ref.Handle && stepsAskPort(c.Rules[i].Steps) {
				return true
			}
		}
	}
	return chainAsksPort(t, ref.Chain, map[string]bool{})
}

// chainAsksPort reports whether every rule that leads to a chain asks for the port.
func chainAsksPort(t *monban.Table, name string, seen map[string]bool) bool {
	c := t.Chain(name)
	if c == nil || c.Hook != monban.NoHook || seen[name] {
		return false
	}
	seen[name] = true
	asked := false
	for i := range t.Chains {
		from := &t.Chains[i]
		for k := range from.Rules {
			steps := from.Rules[k].Steps
			if !leadsTo(t, steps, name) {
				continue
			}
			if !stepsAskPort(steps) && !chainAsksPort(t, from.Name, seen) {
				return false
			}
			asked = true
		}
	}
	return asked
}

// leadsTo reports whether a rule may call a chain.
func leadsTo(t *monban.Table, steps []monban.Step, name string) bool {
	for i := range steps {
		switch s := &steps[i]; s.Op {
		case monban.OpDecide:
			if s.Action.Chain == name {
				return true
			}
		case monban.OpVerdict:
			if set := t.Set(s.Set); set != nil && slices.ContainsFunc(set.Elements, func(e monban.Element) bool { return e.Action.Chain == name }) {
				return true
			}
		}
	}
	return false
}

func stepsAskPort(steps []monban.Step) bool {
	return slices.ContainsFunc(steps, func(s monban.Step) bool {
		return slices.ContainsFunc(s.Key, func(l monban.Load) bool {
			return l.Field == monban.FieldDestPort || l.Field == monban.FieldConnDestPort
		})
	})
}
