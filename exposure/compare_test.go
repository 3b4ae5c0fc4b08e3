package exposure

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

func isValue(f monban.Field, b ...byte) monban.Step {
	return monban.Step{Op: monban.OpTest, Key: []monban.Load{{Field: f, Len: len(b)}}, Within: []monban.Span{{First: b, Last: b}}}
}

// twoCables is a machine with two interfaces and a door on every address, which the
// rules open at one of them, for one of its neighbours.
func twoCables() *monban.Snapshot {
	network := func(name, addr string, index int) monban.Interface {
		return monban.Interface{Index: index, Name: name, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}, Forward4: monban.Off,
			ReversePath: monban.ReversePathOff, RouteLocalnet: monban.Off, AcceptLocal: monban.Off}
	}
	accept := monban.Step{Op: monban.OpDecide, Action: monban.Action{Kind: monban.ActAccept}}
	dport := isValue(monban.FieldDestPort, 0, 22)
	return &monban.Snapshot{
		Host: monban.Host{OS: "linux", PolicyRouting: monban.Off, Interfaces: []monban.Interface{network("eth0", "10.1.0.1/24", 2), network("eth1", "10.2.0.1/24", 3)},
			Routes: []monban.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.1.0.254"), Device: "eth0"},
				{Dst: netip.MustParsePrefix("10.1.0.0/24"), Device: "eth0"}, {Dst: netip.MustParsePrefix("10.2.0.0/24"), Device: "eth1"}}},
		Doors: []monban.Door{{State: monban.Listen, Bind: monban.Bind{Port: monban.Port{Num: 22, Proto: monban.TCP}, Addr: netip.IPv4Unspecified()}}},
		Rules: &monban.Ruleset{Tables: []monban.Table{{Family: monban.TableIP, Name: "f", Chains: []monban.Chain{{Name: "in", Hook: monban.HookInput, Type: "filter",
			Policy: monban.Action{Kind: monban.ActDrop}, Rules: []monban.Rule{
				{Handle: 1, Steps: []monban.Step{isValue(monban.FieldL4Proto, protoTCP), isValue(monban.FieldDest, 10, 1, 0, 1), isValue(monban.FieldSource, 10, 1, 0, 2), dport, accept}},
			}}}}}},
	}
}

// TestCompare keeps what may be called different: what was seen at one address, by
// one observer, and never where something that decides is not known.
func TestCompare(t *testing.T) {
	neighbour, other := netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")
	here, there := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.1")
	blind := func(hides monban.Subject) func(*monban.Snapshot) {
		return func(s *monban.Snapshot) { s.Gaps = append(s.Gaps, monban.Gap{Hides: hides}) }
	}
	for _, c := range []struct {
		what         string
		change       func(*monban.Snapshot)
		target, from netip.Addr
		port         uint16
		seen         monban.SightState
		shut         bool
		computed     monban.Verdict
		differs      monban.Kind
	}{
		{"let in", nil, here, neighbour, 22, monban.SightOpen, false, monban.VerdictOpen, ""},
		{"let in, and something is on the way", nil, here, neighbour, 22, monban.SightFiltered, false, monban.VerdictOpen, monban.SeenShut},
		{"let in, and nobody answers", nil, here, neighbour, 22, monban.SightClosed, false, monban.VerdictOpen, monban.SeenShut},
		{"let in, and not open in some way", nil, here, neighbour, 22, monban.SightUnknown, true, monban.VerdictOpen, monban.SeenShut},
		{"let in, and silence", nil, here, neighbour, 22, monban.SightUnknown, false, monban.VerdictOpen, ""},
		{"another source", nil, here, other, 22, monban.SightOpen, false, monban.VerdictClosed, monban.SeenOpen},
		{"another source, turned away", nil, here, other, 22, monban.SightFiltered, false, monban.VerdictClosed, ""},
		{"another address of the same door", nil, there, neighbour, 22, monban.SightOpen, false, monban.VerdictClosed, monban.SeenOpen},
		{"who looked is not known", nil, here, netip.Addr{}, 22, monban.SightOpen, false, monban.VerdictPartly, ""},
		{"who looked is not known, and nobody is let in", nil, there, netip.Addr{}, 22, monban.SightOpen, false, monban.VerdictClosed, monban.SeenOpen},
		{"nobody listens", nil, here, neighbour, 23, monban.SightOpen, false, monban.VerdictClosed, monban.SeenOpen},
		{"rules unseen", blind(monban.HidesRules), here, other, 22, monban.SightOpen, false, monban.VerdictUnknown, ""},
		{"doors unseen, and none is known", blind(monban.HidesDoors), here, neighbour, 23, monban.SightOpen, false, monban.VerdictUnknown, ""},
		{"the observer is this machine", nil, here, there, 22, monban.SightFiltered, false, monban.VerdictUnknown, ""},
		{"another namespace's door", func(s *monban.Snapshot) { s.Host.NetNS, s.Doors[0].Bind.NetNS = "net:[1]", "net:[2]" }, here, neighbour, 22, monban.SightOpen, false, monban.VerdictClosed, monban.SeenOpen},
	} {
		s := twoCables()
		if c.change != nil {
			c.change(s)
		}
		got := Compare(s, []monban.Comparison{{Target: c.target, From: c.from, Port: monban.Port{Num: c.port, Proto: monban.TCP}, Seen: c.seen, Shut: c.shut}})[0]
		if got.Computed != c.computed || got.Differs != c.differs {
			t.Errorf("%s: computed %s differs %q, want %s %q (%s %s)", c.what, got.Computed, got.Differs, c.computed, c.differs, got.Rule, got.Why)
		}
	}
	found := Contradictions(Compare(twoCables(), []monban.Comparison{
		{Target: here, From: other, Port: monban.Port{Num: 22, Proto: monban.TCP}, Seen: monban.SightOpen},
		{Target: there, From: other, Port: monban.Port{Num: 22, Proto: monban.TCP}, Seen: monban.SightOpen},
		{Target: here, From: neighbour, Port: monban.Port{Num: 22, Proto: monban.TCP}, Seen: monban.SightClosed},
	}))
	if len(found) != 2 || found[0].Kind != monban.SeenOpen || found[0].Severity != monban.Critical || len(found[0].Evidence) != 3 || found[1].Kind != monban.SeenShut || found[1].Severity != monban.Low {
		t.Errorf("%+v", found)
	}
}
