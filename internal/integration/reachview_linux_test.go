package integration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/portbook"
)

// TestReachFindings provokes what only the rules show.
func TestReachFindings(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "iptables-nft")
	r := newShootingRange(t, 4)
	r.open(r.server, monban.TCP, "0.0.0.0", 22)
	r.open(r.server, monban.TCP, "0.0.0.0", 80)
	r.open(r.server, monban.TCP, "::", 80)
	if err := r.nft(""); err != nil {
		t.Fatal(err)
	}
	script := "set -e\n" + dockerRules(true, false) + `iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT
`
	if out, err := r.server.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	snap := r.snapshot()
	snap.Containers = []monban.Container{{ID: strings.Repeat("a", 64), Name: "web"}}
	snap.Doors = append(slices.Clone(r.doors), monban.Door{State: monban.Forwarded,
		Bind: monban.Bind{Port: monban.Port{Num: 8080, Proto: monban.TCP}, Addr: netip.IPv4Unspecified()},
		To:   monban.Target{Addr: netip.MustParseAddr(containerV4), Port: 80, Container: strings.Repeat("a", 64)}})
	made, gaps := exposure.Forwarded(snap)
	if len(gaps) > 0 || len(made) != 1 || made[0].Bind.Addr != netip.IPv6Unspecified() || made[0].Bind.Port.Num != 8080 || made[0].To.Addr != netip.MustParseAddr(containerV6) {
		t.Errorf("doors that rules make: %+v", made)
	}
	for i, reach := range exposure.Judge(snap) {
		snap.Doors[i].Reach = reach
	}
	var kinds []string
	for _, f := range exposure.Inspect(snap, portbook.Builtin(), nil) {
		kinds = append(kinds, string(f.Kind)+" "+f.Bind.Port.String())
	}
	want := []string{"past-firewall 8080/tcp", "ipv6-open 80/tcp", "admin-door 22/tcp"}
	if !slices.Equal(kinds, want) {
		t.Errorf("%q, want %q", kinds, want)
	}
}

// TestReachMaps proves doors that only maps make, as kube-proxy's: by verdict maps of
// concatenations to chains that draw an endpoint by chance; and that a rule for many
// ports is told of.
func TestReachMaps(t *testing.T) {
	t.Parallel()
	r := newShootingRange(t, 5)
	r.open(r.container, monban.TCP, containerV4, 80)
	r.open(r.container, monban.UDP, containerV4, 80)
	text := fmt.Sprintf(`table ip kube-proxy {
	set nodeport-ips { type ipv4_addr; elements = { %s }; }
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.10 . udp . 53 : goto service-dns, 10.96.0.1 . tcp . 443 : goto service-web }; }
	map service-nodeports { type inet_proto . inet_service : verdict; elements = { tcp . 30080 : goto external-web, udp . 30053 : goto service-dns }; }
	map plain { type inet_service : ipv4_addr . inet_service; elements = { 9001 : %s . 80, 9002 : %s . 80 }; }
	chain endpoint-a { meta l4proto tcp dnat to %s:80
	}
	chain endpoint-b { ip saddr 203.0.113.0/24 meta l4proto tcp dnat to %s:80
		meta l4proto tcp dnat to %s:80
	}
	chain service-web { numgen random mod 2 vmap { 0 : goto endpoint-a, 1 : goto endpoint-b }
	}
	chain service-dns { meta l4proto udp dnat to %s:80
	}
	chain external-web { ip saddr 198.51.100.0/24 drop
		goto service-web
	}
	chain services { ip daddr . meta l4proto . th dport vmap @service-ips
		ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
	}
	chain nat-prerouting { type nat hook prerouting priority dstnat;
		jump services
		tcp dport 20000-29999 dnat to %s:80
		dnat to tcp dport map @plain
	}
}
`, serverV4a, containerV4, containerV4, containerV4, containerV4, containerV4, containerV4, containerV4)
	if err := r.nft(text); err != nil {
		t.Fatal(err)
	}
	snap := r.snapshot()
	doors, gaps := exposure.Forwarded(snap)
	var got []string
	for _, d := range doors {
		got = append(got, fmt.Sprintf("%s to %s:%d", d.Bind.Port, d.To.Addr, d.To.Port))
	}
	slices.Sort(got)
	want := []string{"30053/udp to 172.17.0.2:80", "30080/tcp to 172.17.0.2:80", "9001/tcp to 172.17.0.2:80", "9002/tcp to 172.17.0.2:80"}
	if !slices.Equal(got, want) {
		t.Errorf("doors\n%q, want\n%q", got, want)
	}
	if len(gaps) != 1 || gaps[0].Count != 10_000 || !strings.Contains(gaps[0].Source, "29999") {
		t.Errorf("gaps %+v", gaps)
	}
	var ports []monban.Port
	for _, d := range doors {
		ports = append(ports, d.Bind.Port)
	}
	sources := []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.9")}
	r.check("maps", text, sources, append(ports, monban.Port{Num: 25_000, Proto: monban.TCP}), 200)
	r.decided(t)
}
