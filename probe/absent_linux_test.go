package probe_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe"
)

// TestLinkOfFew sweeps links on which a few of very many addresses are somebody's:
// those are asked at every door, the others not at all.
func TestLinkOfFew(t *testing.T) {
	p := newPair(t)
	p.near.AddAddr("near", "10.99.0.1/16", "fd99::1/64")
	var want []string
	for i := range 8 {
		p.far.AddAddr("far", fmt.Sprintf("10.99.%d.77/16", i), fmt.Sprintf("fd99::%x/64", 256*i+77))
		want = append(want, fmt.Sprintf("10.99.%d.77:7001", i), fmt.Sprintf("[fd99::%x]:7001", 256*i+77))
	}
	slices.Sort(want)
	doorAt(t, p.far, "[::]:7001")
	ports := []uint16{7000, 7001, 7002}
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.99.0.0/21"), netip.MustParsePrefix("fd99::/117")}, nil)
	// By connections only the kernel can ask, which takes 3 s for 512 addresses.
	few, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.99.2.0/24"), netip.MustParsePrefix("fd99::200/120")}, nil)
	for _, tt := range []struct {
		engine  probe.Engine
		targets *probe.Targets
		want    []string
		own     int // addresses of our own
	}{
		{probe.Raw, targets, want, 2},
		{probe.Connect, few, []string{"10.99.2.77:7001", "[fd99::24d]:7001"}, 0},
	} {
		r := scan(t, p.near, probe.Question{Targets: tt.targets, TCP: ports, Engine: tt.engine})
		if d := cmp.Diff(tt.want, openDoors(r)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.engine, d)
		}
		there := uint64(len(tt.want) + tt.own)
		nobody := monban.Gap{Source: "link", Err: probe.NoNeighbour, Hides: monban.HidesSightings, Count: int(tt.targets.Len() - there)}
		if d := cmp.Diff([]monban.Gap{nobody}, r.Gaps); d != "" {
			t.Errorf("%s: gaps (-want +got):\n%s", tt.engine, d)
		}
		if most := there * uint64(len(ports)) * 4; r.Probes > most {
			t.Errorf("%s: %d probes for %d hosts", tt.engine, r.Probes, there)
		}
	}
}

// TestUnreachable sweeps a network of which a router says that most hosts cannot be
// reached: they are not asked at every door, and what one that can be reached says
// counts.
func TestUnreachable(t *testing.T) {
	netnstest.Need(t, "nft")
	p := newPair(t)
	for _, prefix := range []string{"10.91.0.0/22", "fd91::/118"} {
		v, via, there, with := "-4", "10.77.0.2", "ip daddr 10.91.0.0/22 ip daddr != 10.91.1.0/28", "icmp type host-unreachable"
		if prefix[0] == 'f' {
			v, via, there, with = "-6", "fd77::2", "ip6 daddr fd91::/118 ip6 daddr != fd91::100/124", "icmpv6 type addr-unreachable"
		}
		p.near.Run("ip", v, "route", "add", prefix, "via", via)
		p.far.Run("ip", v, "route", "add", "local", prefix, "dev", "lo")
		// A router that says so each time; Linux has limits for each peer and for all.
		for limit, n := range map[string]int{"4/icmp_ratelimit": 0, "6/icmp/ratelimit": 0, "4/icmp_msgs_per_sec": 1_000_000, "4/icmp_msgs_burst": 10_000} {
			p.far.Run("sh", "-c", fmt.Sprintf("echo %d >/proc/sys/net/ipv%s", n, limit))
		}
		p.rules(t, "flush ruleset\ntable inet t {\nchain in { type filter hook input priority 0; "+there+" tcp flags syn reject with "+with+"; }\n}\n")
		targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix(prefix)}, nil)
		for _, engine := range []probe.Engine{probe.Raw, probe.Connect} {
			r := scan(t, p.near, probe.Question{Targets: targets, TCP: all()[:50], Engine: engine})
			if got := states(r)[monban.SightClosed]; got != 16*50 {
				t.Errorf("%s by %s: %d closed doors, want %d", prefix, engine, got, 16*50)
			}
			// If nobody listened to the router it would be twice as many.
			if r.Probes > targets.Len()*50 {
				t.Errorf("%s by %s: %d probes", prefix, engine, r.Probes)
			}
		}
	}
}
