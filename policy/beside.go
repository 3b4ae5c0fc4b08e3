package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Opening is what to tell the front end of another firewall, so that doors which its
// rules keep closed are open there, too.
type Opening struct {
	FrontEnd string // "firewalld" or "ufw"
	// Own: the doors are kept closed by a rule that somebody has made there on
	// purpose. Commands then only show it.
	Own      bool
	Commands [][]string
}

// Openings returns the commands for what [BarredBy] has found, as far as firewalld
// or, where ufw is set, ufw keeps it closed. They let in whom the policy does.
func Openings(p *monban.Policy, barred []Barred, ufw bool, now time.Time) []Opening {
	var out []Opening
	for i := range barred {
		b := &barred[i]
		o, ok := opening(p, b, ufw, now)
		if !ok {
			continue
		}
		k := slices.IndexFunc(out, func(e Opening) bool { return e.FrontEnd == o.FrontEnd && e.Own == o.Own })
		if k < 0 {
			k = len(out)
			out = append(out, Opening{FrontEnd: o.FrontEnd, Own: o.Own})
		}
		for _, c := range o.Commands {
			if !slices.ContainsFunc(out[k].Commands, func(e []string) bool { return slices.Equal(e, c) }) {
				out[k].Commands = append(out[k].Commands, c)
			}
		}
	}
	return out
}

// opening finds out by its chain whose rule it is that keeps a door closed.
func opening(p *monban.Policy, b *Barred, ufw bool, now time.Time) (Opening, bool) {
	if zone, ok := strings.CutPrefix(b.Rule.Chain, "filter_IN_"); ok && b.Rule.Table == "firewalld" {
		// What a zone does with all that nothing lets in stands in the chain of its
		// name alone; people's rules in chains beside it (firewalld.richlanguage(5)).
		for _, part := range [...]string{"_pre", "_deny", "_allow", "_post"} {
			if zone, ok := strings.CutSuffix(zone, part); ok {
				return Opening{"firewalld", true, [][]string{{"firewall-cmd", "--zone=" + zone, "--list-all"}}}, true
			}
		}
		return Opening{FrontEnd: "firewalld", Commands: firewalldOpens(p, b.Ports, zone, now)}, true
	}
	if !ufw || b.Rule.Table != "filter" {
		return Opening{}, false
	}
	switch chain := strings.TrimPrefix(strings.TrimPrefix(b.Rule.Chain, "ufw6-"), "ufw-"); chain {
	case "user-input":
		return Opening{"ufw", true, [][]string{{"ufw", "status", "numbered"}}}, true
	case "INPUT", "reject-input", "skip-to-policy-input": // the policy for what comes in
		commands := ufwOpens(p, b.Ports, now)
		return Opening{FrontEnd: "ufw", Commands: commands}, len(commands) > 0
	}
	return Opening{}, false
}

// guests are whom the entries about a port let in: everybody, where the list is empty.
// Whoever comes by an interface, and more than a few networks, are everybody to the
// other firewall: monban's own rules keep the others out.
func guests(p *monban.Policy, port monban.PortRange, now time.Time) (networks []monban.AddrRange) {
	const few = 8
	for i := range p.Doors {
		d := &p.Doors[i]
		if d.Protocol != 0 || !covers(d.Ports, port) || ended(d, now) {
			continue
		}
		for _, a := range d.To {
			if a.Kind == monban.Anybody || a.Kind == monban.ByInterface {
				return nil
			}
			networks = append(networks, a.Ranges...)
		}
	}
	networks = Join(networks, nil)
	if len(networks) > few || slices.ContainsFunc(networks, func(r monban.AddrRange) bool { _, ok := r.Prefix(); return !ok }) {
		return nil
	}
	return networks
}

// firewalldOpens opens a port in a zone, now and at boot.
func firewalldOpens(p *monban.Policy, port monban.PortRange, zone string, now time.Time) (out [][]string) {
	add := func(what string) {
		out = append(out, []string{"firewall-cmd", "--zone=" + zone, what}, []string{"firewall-cmd", "--permanent", "--zone=" + zone, what})
	}
	who := guests(p, port, now)
	if len(who) == 0 {
		add("--add-port=" + numbers(port, "-") + "/" + port.Proto.String())
	}
	for _, r := range who {
		family := "ipv4"
		if monban.FamilyOf(r.First) == monban.IPv6 {
			family = "ipv6"
		}
		add(`--add-rich-rule=rule family="` + family + `" source address="` + r.String() + `" port port="` + numbers(port, "-") + `" protocol="` + port.Proto.String() + `" accept`)
	}
	return out
}

// ufwOpens opens a port, now and at boot. ufw knows TCP and UDP.
func ufwOpens(p *monban.Policy, port monban.PortRange, now time.Time) (out [][]string) {
	if port.Proto != monban.TCP && port.Proto != monban.UDP {
		return nil
	}
	who := guests(p, port, now)
	if len(who) == 0 {
		return [][]string{{"ufw", "allow", numbers(port, ":") + "/" + port.Proto.String()}}
	}
	for _, r := range who {
		out = append(out, []string{"ufw", "allow", "proto", port.Proto.String(), "from", r.String(), "to", "any", "port", numbers(port, ":")})
	}
	return out
}
