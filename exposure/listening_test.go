package exposure

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

// TestSteering: a program that chooses sockets may lead anything to a door, also to
// one at a loopback address, and what is for the door elsewhere.
func TestSteering(t *testing.T) {
	snap := func(filters ...monban.Filter) *monban.Snapshot {
		s := &monban.Snapshot{Host: monban.Host{PolicyRouting: monban.Off, Interfaces: []monban.Interface{{Index: 2, Name: "eth0", Up: true,
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}, ReversePath: monban.ReversePathOff}},
			Routes: []monban.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Device: "eth0"}}}, Rules: &monban.Ruleset{}}
		for i, addr := range [...]string{"0.0.0.0", "127.0.0.1", "10.1.0.1"} {
			s.Doors = append(s.Doors, monban.Door{State: monban.Listen, Bind: monban.Bind{
				Port: monban.Port{Num: uint16(80 + i), Proto: monban.TCP}, Addr: netip.MustParseAddr(addr)}})
		}
		s.Filters = filters
		return s
	}
	verdicts := func(s *monban.Snapshot) (out []monban.Verdict) {
		for _, reach := range Judge(s) {
			if len(reach) == 0 {
				t.Fatal("no answer")
			}
			out = append(out, reach[0].Verdict)
		}
		return out
	}
	if got := verdicts(snap()); got[0] != monban.VerdictOpen || got[1] != monban.VerdictClosed || got[2] != monban.VerdictOpen {
		t.Errorf("without a program: %v", got)
	}
	s := snap(monban.Filter{Kind: "sk_lookup", Name: "steer"})
	if got := verdicts(s); got[0] != monban.VerdictOpen || got[1] != monban.VerdictUnknown || got[2] != monban.VerdictOpen {
		t.Errorf("with one: %v", got)
	}
	if reach := Judge(s)[0][0]; len(reach.Conditions) != 1 || reach.Conditions[0].Text != "sk_lookup steer" {
		t.Errorf("an open door: %+v", reach)
	}
	if reach := Judge(s)[1][0]; reach.Rule.Text != "sk_lookup steer" {
		t.Errorf("a loopback door: %+v", reach)
	}
	for _, kept := range KeptOut(s, func(*monban.Door) bool { return true }) {
		if len(kept) > 0 {
			t.Errorf("surely kept out: %+v", kept)
		}
	}
}
