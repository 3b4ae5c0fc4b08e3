package integration

import (
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
	made := exposure.Forwarded(snap)
	if len(made) != 1 || made[0].Bind.Addr != netip.IPv6Unspecified() || made[0].Bind.Port.Num != 8080 || made[0].To.Addr != netip.MustParseAddr(containerV6) {
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
