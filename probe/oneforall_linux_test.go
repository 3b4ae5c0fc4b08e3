package probe_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe"
)

// TestOneForAll wants a system told that answers at a port for a whole network,
// addresses that nobody has included, and not a network all of whose machines offer
// the same.
func TestOneForAll(t *testing.T) {
	netnstest.Need(t, "nft")
	here := func(n int) (list string) { // addresses of machines that are there
		for i := range n {
			list += fmt.Sprintf("10.91.0.%d, ", 3+5*i)
		}
		return list
	}
	absent := func(n int, but string) string {
		return "ip daddr != { " + here(n) + "} tcp dport != { " + but + " } drop;"
	}
	for _, tt := range []struct {
		name   string
		engine probe.Engine
		in     string // rules of the far side
		out    string
		asks   string
		want   []string
		closed int // doors of the machines that are there
	}{
		{"a proxy", probe.Raw, absent(20, "80"), "", "10.91.0.0/24", []string{"10.91.0.0/24 80/tcp"}, 20},
		{"a row of ports", probe.Raw, absent(20, "80"), "", "10.91.0.0/24", []string{"10.91.0.0/24 80/tcp"}, 20},
		{"a proxy, by connections", probe.Connect, absent(20, "80"), "", "10.91.0.0/24", []string{"10.91.0.0/24 80/tcp"}, 20},
		{"a proxy for two ports", probe.Raw, absent(20, "80, 443"), "", "10.91.0.0/23",
			[]string{"10.91.0.0/23 80/tcp", "10.91.0.0/23 443/tcp"}, 20},
		{"a proxy for a part", probe.Raw, absent(20, "80") + "ip daddr 10.91.0.0-10.91.0.127 drop;", "", "10.91.0.0/24", []string{"10.91.0.128/25 80/tcp"}, 0},
		{"a proxy for a quarter", probe.Raw, absent(20, "80") + "ip daddr 10.91.0.64-10.91.0.255 tcp dport 80 reject with tcp reset;", "", "10.91.0.0/24", []string{"10.91.0.0/26 80/tcp"}, 20},
		{"a proxy for a part, by connections", probe.Connect, absent(20, "80") + "ip daddr 10.91.0.0-10.91.0.127 drop;", "", "10.91.0.0/24", []string{"10.91.0.128/25 80/tcp"}, 0},
		// Equal servers that drop everything else fill all that a link has for hosts.
		{"a farm", probe.Raw, "ip daddr != 10.91.0.129-10.91.0.254 drop; tcp dport != 80 drop;", "", "10.91.0.0/24", nil, 0},
		{"a farm in the middle", probe.Raw, "ip daddr != 10.91.0.60-10.91.0.200 drop; tcp dport != 80 drop;", "", "10.91.0.0/24", nil, 0},
		{"machines", probe.Raw, "", "", "10.91.0.0/24", nil, 256},
		{"many stacks", probe.Raw, absent(20, "80"), "ip saddr & 1 == 1 ip ttl set 50;", "10.91.0.0/24", nil, 20},
		{"few machines that drop the rest", probe.Raw, absent(1, "80"), "", "10.91.0.32/28", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			p.near.Run("ip", "route", "add", "10.91.0.0/16", "via", "10.77.0.2")
			p.far.Run("ip", "route", "add", "local", "10.91.0.0/16", "dev", "lo")
			doorAt(t, p.far, "0.0.0.0:80")
			doorAt(t, p.far, "0.0.0.0:443")
			rest := "tcp dport 443 reject with tcp reset;"
			if len(tt.want) == 2 {
				rest = ""
			}
			p.rules(t, "table inet t {\nchain in { type filter hook input priority 0; "+tt.in+rest+" }\nchain out { type filter hook output priority 0; "+tt.out+" }\n}\n")
			targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix(tt.asks)}, nil)
			q := probe.Question{Targets: targets, TCP: []uint16{22, 80, 443}, Engine: tt.engine}
			if tt.name == "a row of ports" {
				q.TCP = []uint16{79, 80, 81}
			}
			r := scan(t, p.near, q)
			var got []string
			for _, g := range r.Gaps {
				if g.Err == probe.OneForAll {
					got = append(got, g.Source)
				}
			}
			if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("one answers for all (-want +got):\n%s", d)
			}
			for s := range r.Sightings(true) {
				in := len(tt.want) > 0
				if in {
					net, _, _ := strings.Cut(tt.want[0], " ")
					in = netip.MustParsePrefix(net).Contains(s.Target)
				}
				if s.Port.Num == 80 && s.State == monban.SightOpen && r.Doubtful(s.Target, s.Port) != in {
					t.Fatalf("%s is doubtful: %v", s.Target, r.Doubtful(s.Target, s.Port))
				}
				// Whoever answers at 80 only is nobody's proof that 22 is shut by a filter.
				if s.Port.Num == 22 && in {
					is := slices.Contains(machines(20), s.Target)
					if want := map[bool]monban.SightState{true: monban.SightClosed, false: monban.SightUnknown}[is]; s.State != want {
						t.Fatalf("%s:22 is %s, want %s", s.Target, s.State, want)
					}
				}
			}
			if got := states(r)[monban.SightClosed]; got < tt.closed {
				t.Errorf("%d closed doors, want %d", got, tt.closed)
			}
			q.Resume = r.State()
			if again := scan(t, p.near, q); len(tt.want) > 0 && !again.Doubtful(netip.MustParsePrefix(strings.Fields(tt.want[0])[0]).Addr(), monban.Port{Num: 80, Proto: monban.TCP}) {
				t.Errorf("gaps after it was continued: %v", again.Gaps)
			}
		})
	}
}

func machines(n int) (list []netip.Addr) {
	for i := range n {
		list = append(list, netip.AddrFrom4([4]byte{10, 91, 0, byte(3 + 5*i)}))
	}
	return list
}
