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

// TestFallsSilent wants the silence of a host that stopped answering told from that
// of a filter: at any time, of one host and among many, and by both engines.
func TestFallsSilent(t *testing.T) {
	netnstest.Need(t, "nft")
	const ports, gone, filtered = 200, "10.77.0.140", 37 // a port
	for _, tt := range []struct {
		name   string
		engine probe.Engine
		hosts  int // beside it
		after  int // SYNs that it takes
	}{
		{"early", probe.Raw, 0, 20},
		{"at the end", probe.Raw, 0, 190},
		{"early, by connections", probe.Connect, 0, 20},
		{"early among many", probe.Raw, 70, 20},
		{"at the end among many", probe.Raw, 70, 190},
		{"among many, by connections", probe.Connect, 70, 100},
		{"never, among many", probe.Raw, 70, 1 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			const size = 60 // bytes of a SYN; a quota forgets nothing
			p.rules(t, fmt.Sprintf("table inet t {\nchain in { type filter hook input priority 0; tcp dport %d drop; ip daddr %s tcp flags syn quota over %d bytes drop; }\n}\n",
				filtered, gone, tt.after*size))
			prefixes := []netip.Prefix{netip.MustParsePrefix(gone + "/32")}
			p.far.AddAddr("far", gone+"/24")
			for i := range tt.hosts {
				a := fmt.Sprintf("10.77.0.%d", 20+i)
				p.far.AddAddr("far", a+"/24")
				prefixes = append(prefixes, netip.MustParsePrefix(a+"/32"))
			}
			for port := 101; port <= 120; port++ {
				doorAt(t, p.far, fmt.Sprintf("0.0.0.0:%d", port))
			}
			targets, _ := probe.NewTargets(prefixes, nil)
			r := scan(t, p.near, probe.Question{Targets: targets, TCP: all()[:ports], Engine: tt.engine})
			silent := func(g monban.Gap) bool { return g.Err == probe.StoppedAnswering && g.Source == gone }
			if is := slices.ContainsFunc(r.Gaps, silent); is != (tt.after < ports) {
				t.Errorf("gaps %v", r.Gaps)
			}
			stopped := slices.ContainsFunc(r.Stopped, func(l probe.LastAnswer) bool {
				// By itself it was sent about as many probes as it took.
				return l.Target.String() == gone && l.After > 0 && l.After < r.Elapsed && (l.Probes >= uint64(tt.after)) == (tt.hosts == 0)
			})
			if stopped != (tt.after < ports) || len(r.Stopped) > 1 {
				t.Errorf("stopped %+v", r.Stopped)
			}
			if len(r.Gaps) > 1 {
				t.Errorf("more is said: %v", r.Gaps)
			}
			for s := range r.Sightings(true) {
				is, want := s.State, monban.SightClosed
				switch {
				case s.Target.String() == gone && tt.after < ports && is != monban.SightClosed && is != monban.SightOpen:
					want = monban.SightUnknown
				case s.Port.Num > 100 && s.Port.Num <= 120:
					want = monban.SightOpen
				case s.Port.Num == filtered:
					want = monban.SightFiltered
				}
				if is != want {
					t.Fatalf("%s:%d is %s, want %s", s.Target, s.Port.Num, is, want)
				}
			}
			// Nearly all have answered, and a tenth of them is open.
			if tt.after == 190 && r.Missed < 0.1 {
				t.Errorf("missed %v", r.Missed)
			}
			if !r.State().Valid() {
				t.Error("its state is not valid")
			}
		})
	}
}

// TestLinkDown takes this machine's own link away in the middle of a scan: what was
// seen until then is told, and if it comes back nothing is missed.
func TestLinkDown(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(p pair)
		back bool
	}{
		{"for a while", func(p pair) {
			p.near.Run("ip", "link", "set", "near", "down")
			p.near.Run("ip", "link", "set", "near", "up")
		}, true},
		{"for good, with its device", func(p pair) { p.near.Run("ip", "link", "delete", "near") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			want := p.listen(t, 60)
			// In the middle: after the tenth of sixty doors. The scan waits for it, or
			// it might be over before.
			found := 0
			r := scan(t, p.near, probe.Question{TCP: all(), Engine: probe.Raw, Rate: 20_000, Found: func(monban.Sighting) {
				if found++; found == 10 {
					tt.cut(p)
				}
			}}, "10.77.0.2")
			got := openPorts(r)
			if tt.back {
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				return
			}
			if len(got) == 0 {
				t.Error("what was seen before is not told")
			}
			if n := states(r); n[monban.SightFiltered] > 0 || n[monban.SightUnknown] == 0 {
				t.Errorf("silence is taken for a filter: %v", n)
			}
			for _, err := range []string{probe.NotSent, probe.StoppedAnswering} {
				if !slices.ContainsFunc(r.Gaps, func(g monban.Gap) bool { return g.Err == err }) {
					t.Errorf("gaps %v: not %q", r.Gaps, err)
				}
			}
		})
	}
}
