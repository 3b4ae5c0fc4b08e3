package exposure

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/monban-dev/monban"
)

// Compare says of each door that was knocked at from outside what its observer
// should have met by the snapshot's rules, and whether what was seen is something
// else. It fills in the second half of each [monban.Comparison]. Where something
// that decides was not seen nothing differs: unknown stays unknown.
//
// An observer whose address is in the network of an interface comes in by that; of
// any other it is not known by which, and so every one counts.
func Compare(s *monban.Snapshot, seen []monban.Comparison) []monban.Comparison {
	j := newJudge(s)
	blind := slices.ContainsFunc(s.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesDoors })
	doors := map[monban.Port][]*monban.Door{}
	for i := range s.Doors {
		d := &s.Doors[i]
		if (d.State != monban.Bound || d.Bind.Port.Proto == monban.UDP) && (d.Bind.NetNS == "" || d.Bind.NetNS == s.Host.NetNS) {
			doors[d.Bind.Port] = append(doors[d.Bind.Port], d)
		}
	}
	out := slices.Clone(seen)
	for i := range out {
		c := &out[i]
		f := monban.FamilyOf(c.Target)
		var best meeting
		for _, d := range doors[c.Port] {
			if !answers(d, f) || !at(d, c.Target) {
				continue
			}
			c.Doors = append(c.Doors, *d)
			if m := j.meets(d, c.Target, c.From); best.rank() < m.rank() {
				best = m
			}
		}
		// A rule may lead on from here, whoever listens.
		d := monban.Door{State: monban.Forwarded, Bind: monban.Bind{Port: c.Port, Addr: c.Target, V6Only: monban.On}}
		if m := j.meets(&d, c.Target, c.From); best.rank() < m.rank() {
			best = m
		}
		if len(c.Doors) == 0 && blind && best.verdict == monban.VerdictClosed {
			best = meeting{}
		}
		c.Computed, c.Rule, c.Why = best.verdict, best.rule, best.why
		switch {
		case c.Seen == monban.SightOpen && c.Computed == monban.VerdictClosed:
			c.Differs = monban.SeenOpen
		case (c.Seen == monban.SightClosed || c.Seen == monban.SightFiltered || c.Shut) && c.Computed == monban.VerdictOpen:
			c.Differs = monban.SeenShut
		}
	}
	return out
}

// meeting is what an observer meets.
type meeting struct {
	verdict monban.Verdict
	rule    monban.RuleRef
	why     monban.Reason
	known   bool // something was judged
}

// rank orders meetings by how far somebody gets: of several sockets at one place,
// whoever answers is enough.
func (m meeting) rank() int {
	if !m.known {
		return 0
	}
	switch m.verdict {
	case monban.VerdictOpen:
		return 4
	case monban.VerdictPartly:
		return 3
	case monban.VerdictUnknown:
		return 2
	}
	return 1
}

// meets says what an observer meets who knocks at one address of a door.
func (j *judge) meets(d *monban.Door, target, from netip.Addr) meeting {
	f := monban.FamilyOf(target)
	from = from.Unmap().WithZone("")
	one := *d
	one.Bind.Addr = target // the door as it is at this address
	var all []meeting
	for _, dev := range j.waysIn(target, from) {
		all = append(all, j.meetsBy(&one, f, dev, from))
	}
	if len(all) == 0 {
		return meeting{known: true}
	}
	out := all[0]
	for _, m := range all[1:] {
		switch {
		case m.verdict == out.verdict:
		case m.verdict == monban.VerdictUnknown || out.verdict == monban.VerdictUnknown:
			out.verdict = monban.VerdictUnknown
		default:
			out.verdict = monban.VerdictPartly // by some interfaces
		}
	}
	return out
}

// waysIn returns the interfaces that packets of an observer may come in by.
func (j *judge) waysIn(target, from netip.Addr) []*monban.Interface {
	if !from.IsValid() {
		return j.devs
	}
	for _, dev := range j.devs {
		for _, p := range dev.Addrs {
			if p.Contains(from) && !from.IsLinkLocalUnicast() {
				return []*monban.Interface{dev}
			}
		}
	}
	return j.devs
}

// meetsBy says what an observer meets whose packets come in by an interface.
func (j *judge) meetsBy(d *monban.Door, f monban.Family, dev *monban.Interface, from netip.Addr) meeting {
	if _, own := j.owned[from]; own {
		return meeting{known: true} // not from outside
	}
	var out meeting
	for _, r := range j.single(d, f, dev) {
		m := meeting{known: true, rule: r.Rule, why: r.Why}
		mine := len(r.Sources) == 0 || slices.ContainsFunc(r.Sources, func(a monban.AddrRange) bool { return a.Contains(from) })
		switch {
		case r.Verdict == monban.VerdictClosed:
			m.verdict = monban.VerdictClosed
		case from.IsValid() && !mine:
			// These are others: if nobody else comes in, they alone do.
			m.verdict = monban.VerdictClosed
			m.rule, m.why = monban.RuleRef{}, monban.ByOthers
		case r.Verdict == monban.VerdictUnknown:
			m.verdict = monban.VerdictUnknown
		case len(r.Conditions) > 0 || !from.IsValid() && len(r.Sources) > 0:
			m.verdict = monban.VerdictPartly
		default:
			m.verdict = monban.VerdictOpen
		}
		if out.rank() < m.rank() {
			out = m
		}
	}
	return out
}

// single judges a door at the one address that it is bound to, for one interface.
// Unlike [judge.reach] it does not count who knocks at another address and is
// translated to it.
func (j *judge) single(d *monban.Door, f monban.Family, dev *monban.Interface) []monban.Reach {
	one := func(v monban.Verdict, why monban.Reason) []monban.Reach {
		return []monban.Reach{{Family: f, Device: dev.Name, Verdict: v, Why: why}}
	}
	v := j.view(f)
	list := j.entries(v, dev)
	k := slices.IndexFunc(list, func(e entry) bool { return e.addr == d.Bind.Addr.WithZone("").Unmap() })
	switch {
	case d.Bind.Device != "" && d.Bind.Device != dev.Name:
		return one(monban.VerdictClosed, monban.ByDevice)
	case k < 0:
		return one(monban.VerdictClosed, monban.ByAddress)
	case j.unseen:
		return one(monban.VerdictUnknown, monban.ByUnseen)
	case dev.Master != "":
		return one(monban.VerdictUnknown, monban.ByRouting)
	}
	sum := j.summarise(v.program, j.way(v, dev, d, &list[k]), d, true)
	if tags := j.filtersOf(d); len(tags) > 0 {
		sum = sum.behind(tags)
	}
	return j.steered(d, j.report(nil, sum, v, dev))
}

// Contradictions returns the findings of a comparison, one for each port and way in
// which what was seen differs from what was computed.
func Contradictions(compared []monban.Comparison) []monban.Finding {
	var out []monban.Finding
	for i := range compared {
		c := &compared[i]
		if c.Differs == "" {
			continue
		}
		seen := monban.Evidence{Source: "scan", Text: sighted(c)}
		if k := slices.IndexFunc(out, func(f monban.Finding) bool { return f.Kind == c.Differs && f.Bind.Port == c.Port }); k >= 0 {
			f := &out[k]
			f.Evidence = append(f.Evidence, seen)
			for _, d := range c.Doors {
				if !slices.ContainsFunc(f.Doors, func(have monban.Door) bool { return have.Bind == d.Bind }) {
					f.Doors = append(f.Doors, d)
				}
			}
			continue
		}
		f := monban.Finding{Kind: c.Differs, Severity: monban.Critical, Bind: monban.Bind{Port: c.Port, Addr: c.Target}, Doors: slices.Clone(c.Doors),
			Evidence: []monban.Evidence{computed(c), seen}}
		num := strconv.Itoa(int(c.Port.Num))
		switch c.Differs {
		case monban.SeenOpen:
			f.Fix = []monban.Fix{{Code: fixWhoAnswers, Args: []string{num}, Command: []string{"monban", "--all-namespaces", "--port", num}}, {Code: fixScanAnew}}
		default:
			f.Severity = monban.Low
			f.Fix = []monban.Fix{{Code: fixLookAtPath, Args: []string{num}}, {Code: fixScanAnew}}
		}
		out = append(out, f)
	}
	return out
}

// sighted is "10.1.0.1:80/tcp open, from 10.1.0.2".
func sighted(c *monban.Comparison) string {
	state := c.Seen.String()
	if c.Shut {
		state = "not open"
	}
	text := netip.AddrPortFrom(c.Target, c.Port.Num).String() + "/" + c.Port.Proto.String() + " " + state
	if c.From.IsValid() {
		text += ", from " + c.From.String()
	}
	return text
}

// computed is what should have been seen.
func computed(c *monban.Comparison) monban.Evidence {
	text := c.Computed.String()
	switch {
	case c.Rule != (monban.RuleRef{}):
		text += ": " + c.Rule.String()
	case c.Why != "":
		text += ": " + string(c.Why)
	}
	return monban.Evidence{Source: "rules", Text: text}
}
