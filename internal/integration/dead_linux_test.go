package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/internal/netnstest"
)

// silent looks at the kernel's counters: no packet has come to a rule that is said
// to be dead. It returns how many are.
func (r *shootingRange) silent() int {
	r.t.Helper()
	packets := map[string]int64{}
	var listing struct {
		Nftables []struct {
			Rule *struct {
				Family, Table, Chain string
				Handle               int
				Expr                 []map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal([]byte(r.server.Run("nft", "-j", "list", "ruleset")), &listing); err != nil {
		r.t.Fatal(err)
	}
	for _, o := range listing.Nftables {
		if o.Rule == nil {
			continue
		}
		for _, e := range o.Rule.Expr {
			var c struct{ Packets int64 }
			if json.Unmarshal(e["counter"], &c) == nil {
				packets[fmt.Sprintf("%s %s %s handle %d:", o.Rule.Family, o.Rule.Table, o.Rule.Chain, o.Rule.Handle)] = c.Packets
			}
		}
	}
	dead := 0
	for _, f := range exposure.Dead(r.snapshot()) {
		rule, _, _ := strings.Cut(f.Evidence[0].Text, ": ")
		n, counted := packets[rule+":"]
		if counted {
			dead++
		}
		if n > 0 {
			r.t.Errorf("%d packets came to a rule that never matches: %+v", n, f.Evidence)
		}
	}
	return dead
}

// TestDeadRules provokes rules that never match, in the ways in which people write
// them, beside those that only look so.
func TestDeadRules(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "iptables-nft")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	if err := r.nft(`table inet mine {
	set admins { type ipv4_addr; elements = { 192.0.2.1 }; }
	chain in { type filter hook input priority 0; policy accept;
		ct state established,related counter accept
		ip saddr 198.51.100.0/24 counter drop
		ip saddr 198.51.100.7 tcp dport 22 counter accept
		tcp dport { 22, 80 } counter accept
		tcp dport 22 ip saddr 203.0.113.0/24 counter drop
		tcp dport 443 limit rate 1/second counter accept
		tcp dport 443 counter drop
		ip saddr @admins udp dport 53 counter accept
		ip saddr 192.0.2.1 udp dport 53 counter drop
		meta mark 1 counter accept
		meta mark 1 tcp dport 8080 counter drop
		oifname "eth0" counter accept
		tcp dport 10-20 tcp dport 30 counter accept
	}
}
`); err != nil {
		t.Fatal(err)
	}
	// Docker's users append behind its return.
	if out, err := r.server.Command("sh", "-c", "set -e\n"+dockerRules(true, false)+`iptables-nft -A DOCKER-USER -j RETURN
iptables-nft -A DOCKER-USER -s 198.51.100.0/24 -j DROP
`).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for _, f := range exposure.Dead(r.snapshot()) {
		by := "itself"
		if len(f.Evidence) > 1 {
			_, by, _ = strings.Cut(f.Evidence[1].Text, ": ")
		}
		_, rule, _ := strings.Cut(f.Evidence[0].Text, ": ")
		got = append(got, fmt.Sprintf("%s %s | %s", f.Severity, rule, by))
	}
	want := []string{
		`low ip saddr 198.51.100.7 tcp dport 22 counter accept | ip saddr 198.51.100.0/24 counter drop`,
		`medium tcp dport 22 ip saddr 203.0.113.0/24 counter drop | tcp dport { 22, 80 } counter accept`,
		`medium ip saddr 192.0.2.1 udp dport 53 counter drop | ip saddr @admins udp dport 53 counter accept`,
		`info oifname "eth0" counter accept | itself`,
		`info tcp dport 10-20 tcp dport 30 counter accept | itself`,
		`medium ip saddr 198.51.100.0/24 counter drop | counter return`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	g := generator{rng: r.rng}
	g.someNetworks(3)
	r.check("dead rules", "", g.sources, append(ports, monban.Port{Num: 22, Proto: monban.TCP}), 200)
	r.silent()
}

// TestReachIpset wants a rule that asks an ipset, which nobody here reads, to be named
// as what it depends on, and only where it decides.
func TestReachIpset(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ipset")
	netnstest.Need(t, "iptables-nft")
	r := newShootingRange(t, 9)
	r.openDoors()
	if out, err := r.server.Command("sh", "-c", `set -e
ipset create friends hash:ip
ipset add friends 192.0.2.1
iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -m set --match-set friends src -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 80 -j ACCEPT
`).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	snap := r.snapshot()
	for i, reach := range exposure.Judge(snap) {
		d := &snap.Doors[i]
		if !d.Bind.Addr.Is4() || d.Bind.Port.Proto != monban.TCP {
			continue
		}
		for _, e := range reach {
			want := map[uint16]monban.Verdict{22: monban.VerdictUnknown, 80: monban.VerdictOpen, 443: monban.VerdictClosed}[d.Bind.Port.Num]
			if e.Verdict != want || want == monban.VerdictUnknown && !strings.Contains(e.Rule.String(), "ip filter INPUT handle") {
				t.Errorf("%s by %s: %s, %s", d.Bind.Port, e.Device, e.Verdict, e.Rule)
			}
		}
	}
}
