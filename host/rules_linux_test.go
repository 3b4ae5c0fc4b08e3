package host

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// TestRoutingRules makes random routing rules with ip(8) and holds what was read
// against what that says of them.
func TestRoutingRules(t *testing.T) {
	ns := netnstest.New(t)
	if h := look(t, ns, Network); h.PolicyRouting != monban.Off || h.RoutingRules != nil {
		t.Errorf("a new namespace: %v, %v", h.PolicyRouting, h.RoutingRules)
	}
	one := func(of ...string) string { return of[rand.IntN(len(of))] }
	for range 20 {
		var b strings.Builder
		for pref := range 30 {
			fmt.Fprintf(&b, "rule add pref %d", 1000+pref)
			if rand.IntN(4) == 0 {
				b.WriteString(" not")
			}
			parts := []string{"from " + one("10.0.0.0/8", "192.0.2.1", "0.0.0.0/1"), "to " + one("198.51.100.0/25", "203.0.113.8"), "iif " + one("lo", "nonesuch"),
				"oif " + one("lo", "eth9"), "fwmark " + one("0x1", "0xca6c", "0x80000/0xff0000", "0/0x3"), "ipproto " + one("tcp", "udp", "icmp"),
				"sport " + one("22", "80-443"), "dport " + one("53", "1-65534"), "uidrange " + one("0-0", "1000-2000"), "tos 0x10"}
			rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			for _, p := range parts[:rand.IntN(4)] {
				b.WriteString(" " + p)
			}
			b.WriteString(" " + one("lookup 200", "lookup main", "lookup 70000", "lookup main suppress_prefixlength 0", "lookup 201 suppress_prefixlength 24",
				"goto 1040", "nop", "type blackhole", "type unreachable", "type prohibit") + "\n")
		}
		b.WriteString("rule add pref 1040 lookup 253\nroute add 192.0.2.0/24 dev lo table 200\nroute add throw default table 70000\n")
		ns.Run("sh", "-ec", "ip link set lo up\nip rule flush\nip rule add pref 32766 lookup main\nip rule add pref 32767 lookup default\nip route flush table 200 2>/dev/null || true\nip route flush table 70000 2>/dev/null || true\nip -batch - <<END\n"+b.String()+"END\n")
		h := look(t, ns, Network)
		var got, want []string
		for i := range h.RoutingRules {
			got = append(got, h.RoutingRules[i].String())
		}
		for line := range strings.Lines(ns.Run("ip", "rule")) {
			line = strings.NewReplacer(":\t", ": ", "fwmark 0/", "fwmark 0x0/", " [detached]", "").Replace(line)
			want = append(want, "ip rule "+strings.Join(strings.Fields(line), " "))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		var routes []string
		for _, r := range h.Routes {
			if r.Table != 0 {
				routes = append(routes, strings.TrimSpace(fmt.Sprint(r.Table, " ", r.Dst, " ", r.Device, " ", r.Kind)))
			}
		}
		slices.Sort(routes) // the kernel tells tables in the order of their hashes
		if !slices.Equal(routes, []string{"200 192.0.2.0/24 lo", "70000 0.0.0.0/0  throw"}) || h.PolicyRouting != monban.On {
			t.Errorf("routes %q, rules %v", routes, h.PolicyRouting)
		}
	}
	// The table local behind another one is no standard, whatever the rules ask.
	ns.Run("sh", "-ec", "ip rule flush\nip rule add pref 32766 lookup main\nip rule add pref 32767 lookup default\nip rule del pref 0")
	if h := look(t, ns, Network); h.PolicyRouting != monban.On {
		t.Error("without the table local nothing is said of routing rules")
	}
}
