package probe_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe"
)

// TestSlowHost sweeps a network of which one host takes far fewer SYNs a second
// than the others: its open doors have to be found too.
func TestSlowHost(t *testing.T) {
	netnstest.Need(t, "nft")
	p := newPair(t)
	const slow = "10.77.0.140"
	var want []uint16
	p.far.Do(func() {
		for port := uint16(1003); port < 1600; port += 29 {
			l, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			want = append(want, port)
		}
	})
	p.rules(t, "table inet t {\nchain in { type filter hook input priority 0; ip daddr "+slow+" tcp flags syn limit rate over 400/second burst 5 packets drop; }\n}\n")
	for i := range 70 {
		p.far.AddAddr("far", fmt.Sprintf("10.77.0.%d/24", 100+i))
	}
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.77.0.96/27"), netip.MustParsePrefix("10.77.0.128/26")}, nil)
	r := scan(t, p.near, probe.Question{Targets: targets, TCP: all()[1000:1600], Engine: probe.Raw})
	found := make(map[string][]uint16)
	for s := range r.Sightings(false) {
		found[s.Target.String()] = append(found[s.Target.String()], s.Port.Num)
	}
	if len(found) != 70 {
		t.Errorf("%d hosts have open doors, want 70", len(found))
	}
	for host, ports := range found {
		slices.Sort(ports)
		if d := cmp.Diff(want, ports); d != "" {
			t.Errorf("%s (-want +got):\n%s", host, d)
		}
	}
}
