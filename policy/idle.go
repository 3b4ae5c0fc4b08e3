package policy

import (
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// Idle returns the entries of a policy that let somebody in from outside, are not
// past their time at now, and have no door behind them: nobody listens on any of
// their ports. Who receives a protocol without ports is not known.
func Idle(p *monban.Policy, doors []monban.Door, now time.Time) []monban.PolicyDoor {
	var out []monban.PolicyDoor
	for _, d := range p.Doors {
		if d.Protocol != 0 || local(&d) || !d.Until.IsZero() && !now.Before(d.Until) {
			continue
		}
		if !slices.ContainsFunc(doors, func(o monban.Door) bool { return d.Ports.Contains(o.Bind.Port) }) {
			out = append(out, d)
		}
	}
	return out
}

// Inspect returns a finding for each of the entries that [Idle] returns: whatever is
// started there is open at once.
func Inspect(p *monban.Policy, doors []monban.Door, now time.Time) []monban.Finding {
	var out []monban.Finding
	for _, d := range Idle(p, doors, now) {
		severity := monban.Info
		for _, a := range d.To {
			if a.Kind == monban.Anybody {
				severity = monban.Low
			}
		}
		text := d.Ports.String()
		what := d.For
		if what == "" {
			what = audiences(d.To)
		}
		port := monban.Port{Num: d.Ports.First, Proto: d.Ports.Proto}
		out = append(out, monban.Finding{Kind: monban.IdlePermit, Severity: severity, Bind: monban.Bind{Port: port},
			Evidence: []monban.Evidence{{Source: "ports", Text: text}, {Source: "policy", Text: what, File: d.Pos.File, Line: d.Pos.Line}},
			Fix:      []monban.Fix{{Code: "close-policy", Args: []string{text}, Command: []string{"monban", "guard", "close", text}}}})
	}
	return out
}

func audiences(to []monban.Audience) string {
	text := ""
	for i, a := range to {
		if i > 0 {
			text += ", "
		}
		text += a.String()
	}
	return text
}
