package exposure

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Answering returns findings about the open doors that a scan saw: services that are
// meant for one machine or a trusted network, and answer. What was identified counts
// as what it is, on any port. Of a door that nobody has talked to only the number
// says what it may be: that is likely, and no worse than medium. Loopback addresses
// are no exposure, and neither is a door at which somebody else may have answered.
func Answering(seen iter.Seq[monban.Sighting], book *portbook.Book, doubtful func(netip.Addr, monban.Port) bool) (out []monban.Finding) {
	for s := range seen {
		if s.State != monban.SightOpen || s.Target.IsLoopback() || doubtful(s.Target, s.Port) {
			continue
		}
		use, ok := useOf(s, book)
		if !ok {
			continue
		}
		risks := book.RisksOf(use)
		if len(risks) == 0 {
			continue
		}
		worst := slices.MaxFunc(risks, func(a, b portbook.Risk) int { return int(a.Severity) - int(b.Severity) })
		f := monban.Finding{Kind: monban.AnsweringService, Severity: worst.Severity, Bind: monban.Bind{Port: s.Port, Addr: s.Target},
			Service: use.Name, Likely: s.Service.Grade != monban.GradeIdentified}
		if f.Likely {
			f.Severity = min(f.Severity, monban.Medium)
		}
		if s.Service.Protocol != "" && s.Service.Evidence != "" { // an answer that tells nothing is evidence of nothing
			f.Evidence = []monban.Evidence{{Source: "answer", Text: s.Service.Evidence}}
		}
		out = append(out, f)
	}
	return worstFirst(out)
}

// Opened returns findings about doors that were shut in an earlier scan.
func Opened(doors []monban.Sighting) (out []monban.Finding) {
	for _, s := range doors {
		out = append(out, monban.Finding{Kind: monban.OpenedDoor, Severity: monban.Medium, Bind: monban.Bind{Port: s.Port, Addr: s.Target}})
	}
	return out
}

func worstFirst(out []monban.Finding) []monban.Finding {
	slices.SortStableFunc(out, func(a, b monban.Finding) int { return int(b.Severity) - int(a.Severity) })
	return out
}

// useOf returns what answers at a door: what was identified, or what its number is
// known for first.
func useOf(s monban.Sighting, book *portbook.Book) (portbook.Use, bool) {
	here := book.Practice(s.Port)
	if s.Service.Protocol == "" {
		if len(here) == 0 {
			return portbook.Use{}, false
		}
		return here[0], true
	}
	for _, r := range book.Lookup(s.Service.Protocol) {
		here = append(slices.Clip(here), book.Practice(monban.Port{Num: r.First, Proto: s.Port.Proto})...)
	}
	for _, u := range here {
		if named(u, s.Service.Product) || named(u, s.Service.Protocol) {
			return u, true
		}
	}
	return portbook.Use{}, false
}

// named reports whether a use has a name.
func named(u portbook.Use, name string) bool {
	return name != "" && (strings.EqualFold(u.Name, name) || slices.Contains(u.Aliases, strings.ToLower(name)))
}
