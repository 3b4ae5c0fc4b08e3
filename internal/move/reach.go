package move

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/policy"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Barrier is who comes in at the old port and would not at the new one.
type Barrier struct {
	Who  []monban.AddrRange
	Rule monban.RuleRef // the first that keeps them out; may be none
	// Unknown: for some it could not be decided.
	Unknown bool
	// More are those who would come in at the new port and do not at the old one.
	More []monban.AddrRange
}

// barrier compares who reaches the sockets at two ports under a ruleset.
func barrier(t *Truth, num uint16, snap *monban.Snapshot, rules *monban.Ruleset) Barrier {
	doors := make([]monban.Door, len(t.Binds))
	moved := make([]monban.Door, len(t.Binds))
	for i, b := range t.Binds {
		doors[i] = monban.Door{Bind: b, State: monban.Listen}
		b.Port.Num = num
		moved[i] = monban.Door{Bind: b, State: monban.Listen}
	}
	now, then := *snap, *snap
	now.Doors, then.Doors = doors, moved
	now.Rules, then.Rules = rules, rules
	before, after := exposure.Judge(&now), exposure.Judge(&then)
	var out Barrier
	own := addresses(&snap.Host)
	for _, e := range policy.Effects(doors, before, after, own) {
		out.Unknown = out.Unknown || e.Unknown
		out.Who = append(out.Who, e.Lose...)
		out.More = append(out.More, e.Gain...)
	}
	out.Who, out.More = policy.Join(out.Who, own), policy.Join(out.More, own)
	for _, list := range after {
		for _, r := range list {
			if out.Rule.Table == "" && (r.Verdict == monban.VerdictClosed || r.Verdict == monban.VerdictPartly) && r.Why == monban.ByRule {
				out.Rule = r.Rule
			}
		}
	}
	return out
}

// text names who is kept out.
func (b *Barrier) text() string {
	var list []string
	for _, r := range b.Who {
		list = append(list, r.String())
	}
	return strings.Join(list, ", ")
}

func addresses(h *monban.Host) []netip.Addr {
	var out []netip.Addr
	for _, i := range h.Interfaces {
		for _, a := range i.Addrs {
			out = append(out, a.Addr())
		}
	}
	return out
}

// withTable returns a ruleset in which one table stands in the place of the one
// of its name.
func withTable(rules *monban.Ruleset, table *monban.Table) *monban.Ruleset {
	out := *rules
	out.Tables = slices.DeleteFunc(slices.Clone(rules.Tables), func(t monban.Table) bool {
		return t.Family == table.Family && t.Name == table.Name
	})
	out.Tables = append(out.Tables, *table)
	return &out
}
