package exposure

import (
	"slices"
	"strconv"

	"github.com/monban-dev/monban"
)

// Inspect returns findings with what the doors' Reach, which [Judge] made, says of
// them: a service that is open everywhere is worse where everybody gets to it and
// no finding where nobody does; and what only the rules show is added. Doors that
// were not judged change nothing.
func Inspect(s *monban.Snapshot, found []monban.Finding) []monban.Finding {
	out := make([]monban.Finding, 0, len(found))
	for _, f := range found {
		if f.Kind == monban.WideService {
			var keep bool
			if f, keep = weigh(f); !keep {
				continue
			}
		}
		out = append(out, f)
	}
	out = append(out, pastFirewall(s)...)
	out = append(out, otherFamily(s)...)
	out = append(out, adminDoors(s)...)
	slices.SortStableFunc(out, func(a, b monban.Finding) int { return int(b.Severity) - int(a.Severity) })
	return out
}

// public returns an entry of the doors' reach by which most addresses get in.
func public(doors []monban.Door) *monban.Reach {
	for i := range doors {
		for k := range doors[i].Reach {
			if r := &doors[i].Reach[k]; r.Public() {
				return r
			}
		}
	}
	return nil
}

// weigh judges a service that is bound to every address by who gets to it.
func weigh(f monban.Finding) (monban.Finding, bool) {
	nobody := true
	for _, d := range f.Doors {
		if d.Reach == nil {
			return f, true
		}
		for _, r := range d.Reach {
			nobody = nobody && r.Verdict == monban.VerdictClosed
		}
	}
	switch r := public(f.Doors); {
	case nobody:
		return f, false
	case r != nil:
		f.Kind = monban.ExposedService
		f.Evidence = append(slices.Clip(f.Evidence), evidence(r))
	}
	return f, true
}

// evidence is the rule by which somebody gets in.
func evidence(r *monban.Reach) monban.Evidence {
	if r.Rule == (monban.RuleRef{}) {
		return monban.Evidence{Source: "firewall", Text: string(r.Why)}
	}
	return monban.Evidence{Source: "firewall", Text: r.Rule.String()}
}

// pastFirewall finds published ports that are open though the rules about this
// machine's own doors say otherwise: what is forwarded passes other chains, and
// neither ufw nor most people's rules are in those.
func pastFirewall(s *monban.Snapshot) (out []monban.Finding) {
	var j *judge
	for i := range s.Doors {
		d := &s.Doors[i]
		if d.To.Container == "" {
			continue
		}
		r := public([]monban.Door{*d})
		if r == nil {
			continue
		}
		if j == nil {
			j = newJudge(s)
		}
		v := j.view(r.Family)
		p := *v.program
		p.nat, p.translates = nil, false
		dev := j.named(r.Device)
		var own *monban.RuleRef
		for _, e := range j.entries(v, dev) {
			if !at(d, e.addr) {
				continue
			}
			w := p.follow(j.machine, j.divisions, dev, protoNumber(d.Bind.Port.Proto), place{addrOf(e.addr), d.Bind.Port.Num})
			if len(w.in) > 0 {
				own = nil
				break
			}
			valid := j.sources(&p, dev)
			ref, why := j.decider(&summary{drops: w.drops}, &p, monban.VerdictClosed, valid)
			if why == monban.ByRule && ref != (monban.RuleRef{}) {
				own = &ref
			}
		}
		if own == nil {
			continue
		}
		out = append(out, monban.Finding{Kind: monban.PastFirewall, Severity: monban.High, Bind: d.Bind, Doors: []monban.Door{*d},
			Evidence: []monban.Evidence{evidence(r), {Source: "firewall", Text: own.String()}},
			Fix: []monban.Fix{
				{Code: fixPublishLoopback, Args: []string{containerName(s, d), "127.0.0.1:" + strconv.Itoa(int(d.Bind.Port.Num)) + ":" + strconv.Itoa(int(d.To.Port))}},
				{Code: fixLimitForwarded, Args: []string{strconv.Itoa(int(d.Bind.Port.Num))}},
			}})
	}
	return merged(out)
}

// merged puts the findings of both families' doors of one port together.
func merged(list []monban.Finding) []monban.Finding {
	var out []monban.Finding
next:
	for _, f := range list {
		for i := range out {
			if o := &out[i]; o.Bind.Port == f.Bind.Port && o.Doors[0].To.Container == f.Doors[0].To.Container {
				o.Doors = append(o.Doors, f.Doors...)
				continue next
			}
		}
		out = append(out, f)
	}
	return out
}

// Codes of fixes.
const (
	fixPublishLoopback = "publish-loopback"
	fixLimitSources    = "limit-sources"
	fixLimitForwarded  = "limit-forwarded"
	fixSameForIPv6     = "same-for-ipv6"
)

func containerName(s *monban.Snapshot, d *monban.Door) string {
	if c := s.Container(d.To.Container); c != nil && c.Name != "" {
		return c.Name
	}
	return d.To.Container
}

// otherFamily finds ports that rules close for IPv4 and that IPv6 leaves open.
func otherFamily(s *monban.Snapshot) (out []monban.Finding) {
	type port struct {
		monban.Port
		netns string
	}
	type seen struct {
		closed4, open4, open6 *monban.Reach
		doors                 []monban.Door
	}
	ports := map[port]*seen{}
	var order []port
	for i := range s.Doors {
		d := &s.Doors[i]
		k := port{d.Bind.Port, d.Bind.NetNS}
		v := ports[k]
		if v == nil {
			v = &seen{}
			ports[k], order = v, append(order, k)
		}
		for n := range d.Reach {
			r := &d.Reach[n]
			switch {
			case r.Family == monban.IPv4 && r.Verdict != monban.VerdictClosed:
				v.open4 = r
			case r.Family == monban.IPv4 && r.Rule != (monban.RuleRef{}):
				v.closed4 = r
			case r.Family == monban.IPv6 && r.Public():
				if v.open6 == nil {
					v.doors = append(v.doors, *d)
				}
				v.open6 = r
			}
		}
	}
	for _, k := range order {
		if v := ports[k]; v.closed4 != nil && v.open4 == nil && v.open6 != nil {
			out = append(out, monban.Finding{Kind: monban.IPv6Open, Severity: monban.Medium, Bind: v.doors[0].Bind, Doors: v.doors,
				Evidence: []monban.Evidence{evidence(v.open6), evidence(v.closed4)},
				Fix:      []monban.Fix{{Code: fixSameForIPv6, Args: []string{strconv.Itoa(int(k.Num))}}}})
		}
	}
	return out
}

// adminDoors finds SSH where everybody tries it first.
func adminDoors(s *monban.Snapshot) (out []monban.Finding) {
	const ssh = 22
	var doors []monban.Door
	for _, d := range s.Doors {
		if d.Bind.Port == (monban.Port{Num: ssh, Proto: monban.TCP}) && d.State == monban.Listen && public([]monban.Door{d}) != nil {
			doors = append(doors, d)
		}
	}
	if len(doors) == 0 {
		return nil
	}
	return []monban.Finding{{Kind: monban.AdminDoor, Severity: monban.Low, Bind: doors[0].Bind, Doors: doors, Service: "ssh",
		Evidence: []monban.Evidence{evidence(public(doors))}, Fix: []monban.Fix{{Code: fixLimitSources, Args: []string{"22"}}}}}
}
