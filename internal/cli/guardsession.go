package cli

import (
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
)

// session is a connection that somebody works over, and what rules are asked about:
// who knocked and where. A rule of this machine's may have led it on from there.
// unsure: it may be somebody else's.
type session struct {
	over            guard.Session
	unsure          bool
	client, knocked netip.AddrPort
}

// sessions finds those who work here.
func (g *guarding) sessions() (out []session) {
	sure, perhaps := guard.Sessions(g.app.sys.Getenv)
	for i, s := range slices.Concat(sure, perhaps) {
		client, knocked := g.origin(s)
		out = append(out, session{s, i >= len(sure), client, knocked})
	}
	return out
}

// cuts looks whether the policy lets in whoever is working here: by its entries,
// and by all the rules as they would be with it.
func (g *guarding) cuts(p *planned) {
	for _, s := range p.sessions {
		client, knocked := s.client, s.knocked
		port := monban.Port{Num: knocked.Port(), Proto: monban.TCP}
		from, to := client.Addr().String(), port.String()
		if client.Addr().IsLoopback() || g.snap.Host.HasAddr(client.Addr()) {
			if !s.unsure {
				g.note("session", from, to)
			}
			continue
		}
		one := monban.PortRange{First: port.Num, Last: port.Num, Proto: port.Proto}
		lets := policy.Admits(g.out.Policy, one, g.app.now()).Lets(client.Addr(), arrival(&g.snap.Host, client.Addr(), knocked.Addr()))
		before, after := g.knock(g.snap, client.Addr(), knocked), g.knock(g.then, client.Addr(), knocked)
		cuts := !lets || after.Computed == monban.VerdictClosed && before.Computed != monban.VerdictClosed
		switch {
		case cuts && g.o.allowCut:
			g.note("cut-allowed")
		case cuts && s.unsure:
			g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "may-cut-session", Args: []string{from, to}})
		case s.unsure:
		case cuts:
			g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "cuts-session", Args: []string{from, to}})
		case after.Computed == monban.VerdictClosed:
			g.note("session-closed", from, to, after.Rule.String())
		default:
			g.note("session", from, to)
		}
	}
}

// origin returns who knocked and where, which connection tracking knows.
func (g *guarding) origin(s guard.Session) (client, knocked netip.AddrPort) {
	plain := func(a netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	}
	client, knocked = plain(s.From), plain(s.To)
	if g.snap.Rules.Translates() {
		if c, k, err := firewall.Origin(client, knocked); err == nil {
			return plain(c), plain(k)
		}
	}
	return client, knocked
}

// knock says what somebody meets who knocks again; unknown where it cannot be judged.
func (g *guarding) knock(snap *monban.Snapshot, client netip.Addr, knocked netip.AddrPort) monban.Comparison {
	c := monban.Comparison{Target: knocked.Addr(), From: client, Port: monban.Port{Num: knocked.Port(), Proto: monban.TCP}}
	if snap == nil || snap.Rules == nil {
		return c
	}
	return exposure.Compare(snap, []monban.Comparison{c})[0]
}

// arrival returns the interface that a client's packets most likely come in by: that
// in whose network it is, or else the one that has the address it knocks at.
func arrival(h *monban.Host, client, target netip.Addr) (device string) {
	for _, i := range h.Interfaces {
		if !i.Up || i.Loopback {
			continue
		}
		for _, a := range i.Addrs {
			if a.Contains(client) && !client.IsLinkLocalUnicast() {
				return i.Name
			}
			if a.Addr().Unmap().WithZone("") == target {
				device = i.Name
			}
		}
	}
	return device
}
