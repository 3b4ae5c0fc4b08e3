package probe_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe"
)

// TestXDP scans by AF_XDP, both families over one queue, and proves that it is
// AF_XDP: those frames go past the egress hook, which drops everything here.
func TestXDP(t *testing.T) {
	netnstest.Need(t, "nft")
	for _, queues := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d queues", queues), func(t *testing.T) {
			p := pair{netnstest.New(t), netnstest.New(t)}
			n := fmt.Sprint(queues)
			p.near.Run("ip", "link", "add", "near", "numtxqueues", n, "numrxqueues", n, "type", "veth", "peer", "name", "far", "netns", p.far.Path())
			p.near.Run("ip", "link", "set", "near", "up")
			p.far.Run("ip", "link", "set", "far", "up")
			p.near.AddAddr("near", "10.77.0.1/24", "fd77::1/64")
			p.far.AddAddr("far", "10.77.0.2/24", "fd77::2/64")
			want := p.listen(t, 30)
			// The kernel's own packets go on, or it would find no neighbour.
			p.load(t, p.near, "table netdev t {\nchain out { type filter hook egress device near priority 0; tcp flags syn drop; }\n}\n")
			q := probe.Question{TCP: all(), Engine: probe.XDP, Rate: 90_000}
			if queues > 1 {
				q.Rate = 250_000 // both threads
			}
			r := scan(t, p.near, q, "10.77.0.2", "fd77::2")
			got := openPorts(r)
			if len(got) != 2*len(want) {
				t.Fatalf("%d doors, want %d for each family", len(got), len(want))
			}
			for i, family := range []string{"IPv4", "IPv6"} {
				if d := cmp.Diff(want, got[i*len(want):][:len(want)]); d != "" {
					t.Errorf("%s: open doors (-want +got):\n%s", family, d)
				}
			}
			if r.Engine != probe.XDP || r.Engine.String() != "xdp" {
				t.Errorf("engine %s", r.Engine)
			}
			// The raw engine meets the hook: it says so, and ends.
			r = scan(t, p.near, probe.Question{TCP: all()[:2000], Engine: probe.Raw}, "10.77.0.2")
			if len(openPorts(r)) > 0 || !slices.ContainsFunc(r.Gaps, func(g monban.Gap) bool { return g.Err == probe.NotSent && g.Count >= 2000 }) {
				t.Errorf("behind a rule at egress: open %v, gaps %v", openPorts(r), r.Gaps)
			}
		})
	}
}

// TestXDPRefused wants a reason where AF_XDP cannot send, and no other way taken
// in silence.
func TestXDPRefused(t *testing.T) {
	ns := netnstest.New(t)
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, nil)
	ns.Do(func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r, err := probe.Scan(t.Context(), probe.Question{Targets: targets, TCP: []uint16{1, 2}, Engine: probe.XDP, Rate: 1000,
			Host: monban.Host{Ephemeral: monban.PortRange{First: 32768, Last: 60999}}})
		if err == nil || !strings.Contains(err.Error(), "AF_XDP sends on an Ethernet only") {
			t.Errorf("%+v, error %v", r, err)
		}
	})
}
