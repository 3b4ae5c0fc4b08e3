package exposure

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Inspect returns findings with what the doors' Reach, which [Judge] made, says of
// them: a service that is open everywhere is worse where people beyond this network
// get to it, less bad where only those do whom a rule names, and no finding where
// nobody does; and what only the rules show is added. Doors that were not judged
// change nothing.
func Inspect(s *monban.Snapshot, book *portbook.Book, found []monban.Finding) []monban.Finding {
	out := make([]monban.Finding, 0, len(found))
	var shares monban.Shares
	for _, f := range found {
		if f.Kind == monban.WideService {
			var keep bool
			if f, keep = weigh(f, &s.Host, &shares); !keep {
				continue
			}
		}
		out = append(out, f)
	}
	out = append(out, pastFirewall(s, &shares)...)
	out = append(out, otherFamily(s, &shares)...)
	out = append(out, adminDoors(s, book, &shares)...)
	out = append(out, overlays(s)...)
	slices.SortStableFunc(out, func(a, b monban.Finding) int { return int(b.Severity) - int(a.Severity) })
	return out
}

// public returns an entry of the doors' reach by which most addresses get in. Whoever
// is in a tunnel is not everybody.
func public(h *monban.Host, doors []monban.Door, shares *monban.Shares) *monban.Reach {
	for i := range doors {
		for k := range doors[i].Reach {
			if r := &doors[i].Reach[k]; shares.Public(r) && !h.Overlay(r.Device) {
				return r
			}
		}
	}
	return nil
}

// weigh judges a service that is bound to every address by who gets to it.
func weigh(f monban.Finding, h *monban.Host, shares *monban.Shares) (monban.Finding, bool) {
	nobody, decided := true, true
	var far, near *monban.Reach
	for i := range f.Doors {
		d := &f.Doors[i]
		if d.Reach == nil {
			return f, true
		}
		for k := range d.Reach {
			r := &d.Reach[k]
			nobody = nobody && r.Verdict == monban.VerdictClosed
			decided = decided && r.Verdict != monban.VerdictUnknown
			switch {
			case r.Verdict == monban.VerdictClosed || r.Verdict == monban.VerdictUnknown:
			case far == nil && beyond(r, h):
				far = r
			case near == nil:
				near = r
			}
		}
	}
	switch r := public(h, f.Doors, shares); {
	case nobody:
		return f, false
	case r != nil:
		far = r
	}
	switch {
	case far != nil:
		f.Kind = monban.ExposedService
		f.Evidence = append(slices.Clip(f.Evidence), evidence(far))
		if !shares.Public(far) {
			f.Evidence = append(f.Evidence, monban.Evidence{Source: "sources", Text: rangesText(far.Sources)})
		}
	case near != nil && decided:
		// Those whom a rule names, or this network: what such a service is for.
		f.Severity = min(f.Severity, monban.Low)
		f.Evidence = append(slices.Clip(f.Evidence), evidence(near))
	}
	return f, true
}

// many is how many addresses are no list of computers: a /16 of IPv4. Of IPv6 it
// is a /32, what a provider gets.
const many = 1 << 16

// beyond reports whether more of the world comes in than this network, private
// networks and computers that somebody has named.
func beyond(r *monban.Reach, h *monban.Host) bool {
	switch {
	case h.Overlay(r.Device):
		return false
	case r.Verdict == monban.VerdictOpen:
		return true
	}
	share := monban.Share(r.Sources)
	for _, p := range private() {
		if monban.FamilyOf(p.Addr()) != r.Family {
			continue
		}
		share -= monban.Share(common(r.Sources, monban.RangeOf(p)))
	}
	for _, i := range h.Interfaces {
		for _, p := range i.Addrs {
			if p = p.Masked(); monban.FamilyOf(p.Addr()) == r.Family && !inPrivate(p.Addr()) {
				share -= monban.Share(common(r.Sources, monban.RangeOf(p)))
			}
		}
	}
	if r.Family == monban.IPv6 {
		return share > 1.0/(1<<29) // of 2000::/3
	}
	return share > many/float64(1<<32)
}

// private are the networks that nobody on the internet is in (RFC 1918, 6598, 3927,
// 4193, 4291).
func private() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16}), 12),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfc}), 7),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 10),
	}
}

func inPrivate(a netip.Addr) bool {
	return slices.ContainsFunc(private(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// rangesText lists ranges.
func rangesText(ranges []monban.AddrRange) string {
	var out []string
	for _, r := range ranges {
		out = append(out, r.String())
	}
	return strings.Join(out, ", ")
}

// common returns the parts of ranges that are in one.
func common(ranges []monban.AddrRange, in monban.AddrRange) (out []monban.AddrRange) {
	for _, r := range ranges {
		if r.First.BitLen() != in.First.BitLen() || r.Last.Less(in.First) || in.Last.Less(r.First) {
			continue
		}
		if r.First.Less(in.First) {
			r.First = in.First
		}
		if in.Last.Less(r.Last) {
			r.Last = in.Last
		}
		out = append(out, r)
	}
	return out
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
func pastFirewall(s *monban.Snapshot, shares *monban.Shares) (out []monban.Finding) {
	var j *judge
	for i := range s.Doors {
		d := &s.Doors[i]
		if d.To.Container == "" && d.State != monban.Forwarded {
			continue
		}
		r := public(&s.Host, []monban.Door{*d}, shares)
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
			w := p.follow(j.machine, j.divisions, nil, nil, dev, &wayKey{proto: byte(d.Bind.Port.Proto.Number())}, place{addrOf(e.addr), d.Bind.Port.Num})
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
		port := strconv.Itoa(int(d.Bind.Port.Num))
		f := monban.Finding{Kind: monban.PastFirewall, Severity: monban.Medium, Bind: d.Bind, Doors: []monban.Door{*d},
			Evidence: []monban.Evidence{evidence(r), {Source: "firewall", Text: own.String()}}}
		if d.To.Container != "" { // an engine wrote the rule, and not somebody on purpose
			f.Severity = monban.High
			f.Fix = append(f.Fix, monban.Fix{Code: fixPublishLoopback, Args: []string{containerName(s, d), "127.0.0.1:" + port + ":" + strconv.Itoa(int(d.To.Port))}})
		}
		f.Fix = append(f.Fix, monban.Fix{Code: fixLimitForwarded, Args: []string{port, d.To.Container}})
		out = append(out, f)
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
	fixLimitOverlay    = "limit-overlay"
	fixCloseRule       = "close-rule"
	fixDeadRule        = "dead-rule"
	fixRuleOrder       = "rule-order"
	fixWhoAnswers      = "who-answers"
	fixScanAnew        = "scan-anew"
	fixLookAtPath      = "look-at-path"
)

func containerName(s *monban.Snapshot, d *monban.Door) string {
	if c := s.Container(d.To.Container); c != nil && c.Name != "" {
		return c.Name
	}
	return d.To.Container
}

// otherFamily finds ports that rules close for IPv4 and that IPv6 leaves open.
func otherFamily(s *monban.Snapshot, shares *monban.Shares) (out []monban.Finding) {
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
		// Where no rule closes a port, 10,000 doors need no place in the map.
		d := &s.Doors[i]
		k := port{d.Bind.Port, d.Bind.NetNS}
		if ports[k] == nil && slices.ContainsFunc(d.Reach, closed4) {
			ports[k], order = &seen{}, append(order, k)
		}
	}
	if len(order) == 0 {
		return nil
	}
	for i := range s.Doors {
		d := &s.Doors[i]
		v := ports[port{d.Bind.Port, d.Bind.NetNS}]
		if v == nil {
			continue
		}
		for n := range d.Reach {
			r := &d.Reach[n]
			switch {
			case r.Family == monban.IPv4 && r.Verdict != monban.VerdictClosed:
				if !s.Host.Overlay(r.Device) { // a VPN that gets in everywhere says nothing of the others
					v.open4 = r
				}
			case closed4(*r):
				v.closed4 = r
			case r.Family == monban.IPv6 && shares.Public(r) && !s.Host.Overlay(r.Device):
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

// closed4 reports whether a rule closes a door for IPv4.
func closed4(r monban.Reach) bool {
	return r.Family == monban.IPv4 && r.Verdict == monban.VerdictClosed && r.Rule != (monban.RuleRef{})
}

// adminDoors finds the doors for administrators that stand where everybody tries
// them first: shells and desktops from afar.
func adminDoors(s *monban.Snapshot, book *portbook.Book, shares *monban.Shares) (out []monban.Finding) {
	for i := range s.Doors {
		d := &s.Doors[i]
		if d.State != monban.Listen && (d.State != monban.Bound || d.Bind.Port.Proto != monban.UDP) || d.To != (monban.Target{}) {
			continue
		}
		use, likely, ok := adminUse(d, book, s.Host.OS)
		if !ok {
			continue
		}
		// After the question whose port it is: a list of sources may be long.
		r := public(&s.Host, s.Doors[i:i+1], shares)
		if r == nil {
			continue
		}
		if k := slices.IndexFunc(out, func(f monban.Finding) bool { return f.Bind.Port == d.Bind.Port && f.Service == use.Name }); k >= 0 {
			out[k].Doors = append(out[k].Doors, *d)
			continue
		}
		severity := monban.Low // as SSH: made for this, and yet tried all day
		if risks := book.RisksOf(use); len(risks) > 0 && !likely {
			severity = risks[0].Severity
		}
		out = append(out, monban.Finding{Kind: monban.AdminDoor, Severity: severity, Bind: d.Bind, Doors: []monban.Door{*d}, Service: use.Name, Likely: likely,
			Evidence: []monban.Evidence{evidence(r)}, Fix: []monban.Fix{{Code: fixLimitSources, Args: []string{strconv.Itoa(int(d.Bind.Port.Num))}}}})
	}
	return out
}

// adminUse is the remote access that has its usual port at a door: by the program,
// or by the number where nobody can see that. A program that is known to be
// something else is never accused.
func adminUse(d *monban.Door, book *portbook.Book, os string) (use portbook.Use, likely, ok bool) {
	for _, u := range book.Practice(d.Bind.Port) {
		if u.Kind != portbook.Remote || !u.MetOn(os) || u.Name != ssh && len(book.RisksOf(u)) == 0 {
			continue
		}
		if len(d.Owners) == 0 {
			return u, true, d.Unnamed != monban.HiddenKernel
		}
		for _, o := range d.Owners {
			// systemd holds the socket of ssh.socket until somebody comes.
			if u.RunBy(o.Name, o.Command) || u.Name == ssh && (o.Unit == "ssh.socket" || o.Unit == "sshd.socket") {
				return u, false, true
			}
		}
	}
	return portbook.Use{}, false, false
}

// ssh is the port book's name; it has no row of risks, being the remedy of others.
const ssh = "SSH"
