package exposure

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// invented is a machine with random rules: chains that call those behind them, with
// tests of the source, the port and the interface. No rule can be unforeseen.
func invented(rng *rand.Rand) *monban.Snapshot {
	s := &monban.Snapshot{Host: monban.Host{PolicyRouting: monban.Off}, Rules: &monban.Ruleset{}}
	for i := range 3 {
		s.Host.Interfaces = append(s.Host.Interfaces, monban.Interface{Index: i + 1, Name: fmt.Sprintf("eth%d", i), Up: true,
			Addrs:    []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 1}), 24)},
			Forward4: monban.Off, Forward6: monban.Off, RouteLocalnet: monban.Off, ReversePath: monban.ReversePathOff})
	}
	s.Host.Routes = []monban.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Device: "eth0"}}
	t := monban.Table{Family: monban.TableInet, Name: "t"}
	t.Sets = []monban.Set{{Name: "many", Fields: []int{4}, Interval: true}}
	for at := uint32(1 << 24); len(t.Sets[0].Elements) < 3000; at += 1 + rng.Uint32N(2_000_000) {
		last := at + rng.Uint32N(100_000)
		t.Sets[0].Elements = append(t.Sets[0].Elements, monban.Element{First: be32(at), Last: be32(last)})
		at = last
	}
	const chains = 4
	for i := range chains {
		c := monban.Chain{Name: fmt.Sprintf("c%d", i), Handle: uint64(i + 1)}
		if i == 0 {
			c.Hook, c.Type, c.Policy.Kind = monban.HookInput, "filter", []monban.ActionKind{monban.ActAccept, monban.ActDrop}[rng.IntN(2)]
		}
		for n := range 1 + rng.IntN(60) {
			r := monban.Rule{Handle: uint64(n + 1)}
			for range rng.IntN(3) {
				r.Steps = append(r.Steps, randomTest(rng))
			}
			kinds := []monban.ActionKind{monban.ActAccept, monban.ActDrop, monban.ActDrop, monban.ActReturn, monban.ActContinue}
			a := monban.Action{Kind: kinds[rng.IntN(len(kinds))]}
			if len(r.Steps) == 0 {
				a.Kind = monban.ActContinue
			}
			if i+1 < chains && rng.IntN(4) == 0 {
				a = monban.Action{Kind: []monban.ActionKind{monban.ActJump, monban.ActGoto}[rng.IntN(2)], Chain: fmt.Sprintf("c%d", i+1+rng.IntN(chains-i-1))}
			}
			r.Steps = append(r.Steps, monban.Step{Op: monban.OpDecide, Action: a})
			c.Rules = append(c.Rules, r)
		}
		t.Chains = append(t.Chains, c)
	}
	s.Rules.Tables = []monban.Table{t}
	for port := range 200 {
		s.Doors = append(s.Doors, monban.Door{State: monban.Bound, Bind: monban.Bind{Port: monban.Port{Num: uint16(1 + port), Proto: monban.UDP}, Addr: netip.IPv4Unspecified()}})
	}
	return s
}

func randomTest(rng *rand.Rand) monban.Step {
	s := monban.Step{Op: monban.OpTest, Not: rng.IntN(5) == 0}
	switch rng.IntN(4) {
	case 0:
		first := rng.IntN(200)
		s.Key = []monban.Load{{Field: monban.FieldDestPort, Len: 2}}
		s.Within = []monban.Span{{First: be16(uint16(first)), Last: be16(uint16(first + rng.IntN(3)*rng.IntN(50)))}}
	case 1:
		s.Key = []monban.Load{{Field: monban.FieldInName, Len: 16}}
		name := deviceName(&monban.Interface{Name: fmt.Sprintf("eth%d", rng.IntN(3))})
		s.Within = []monban.Span{{First: name, Last: name}}
	case 2:
		s.Op, s.Set = monban.OpLookup, "many"
		s.Key = []monban.Load{{Field: monban.FieldSource, Len: 4}}
	default:
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(1 + rng.IntN(220)), byte(rng.IntN(256)), byte(rng.IntN(256)), 0}), rng.IntN(25)).Masked()
		r := monban.RangeOf(p)
		s.Key = []monban.Load{{Field: monban.FieldSource, Len: 4}}
		s.Within = []monban.Span{{First: r.First.AsSlice(), Last: r.Last.AsSlice()}}
	}
	return s
}

// packet is one packet, for which each rule passes or does not.
type packet struct {
	source netip.Addr
	device *monban.Interface
	port   uint16
}

func (p *packet) passes(t *monban.Table, s *monban.Step) bool {
	var v []byte
	switch s.Key[0].Field {
	case monban.FieldDestPort:
		v = be16(p.port)
	case monban.FieldInName:
		v = deviceName(p.device)
	default:
		v = p.source.AsSlice()
	}
	in := inSpans(v, s.Within)
	if s.Op == monban.OpLookup {
		_, in = slices.BinarySearchFunc(t.Set(s.Set).Elements, v, func(e monban.Element, v []byte) int {
			if bytes.Compare(e.First, v) <= 0 && bytes.Compare(v, e.Last) <= 0 {
				return 0
			}
			return bytes.Compare(e.First, v)
		})
	}
	return in != s.Not
}

// chain sends the packet through a chain.
func (p *packet) chain(t *monban.Table, name string) monban.ActionKind {
	k, _ := p.dropper(t, name)
	return k
}

// TestJudge compares what is computed for all sources of a door at once with what
// becomes of single packets, and what is computed for many doors at once, side by
// side, with what is computed for each.
func TestJudge(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 8))
	in, probes := 0, 0
	for range 30 {
		s := invented(rng)
		table := &s.Rules.Tables[0]
		reach := Judge(s)
		for range 5 {
			i := rng.IntN(len(s.Doors))
			alone := *s
			alone.Doors = s.Doors[i : i+1]
			if one := Judge(&alone); !reflect.DeepEqual(one[0], reach[i]) {
				t.Fatalf("seed %d: alone %v is %+v, and among others %+v", seed, s.Doors[i].Bind, one[0], reach[i])
			}
		}
		for range 1000 {
			i := rng.IntN(len(s.Doors))
			p := packet{device: &s.Host.Interfaces[rng.IntN(3)], port: s.Doors[i].Bind.Port.Num}
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], rng.Uint32N(223<<24))
			if e := table.Sets[0].Elements; rng.IntN(2) == 0 {
				copy(b[:], e[rng.IntN(len(e))].First)
			}
			p.source = netip.AddrFrom4(b)
			if b[0] == 0 || b[0] == 10 || b[0] == 127 || b[0] >= 224 {
				continue
			}
			want := p.chain(table, "c0")
			if want != monban.ActAccept && want != monban.ActDrop {
				want = table.Chains[0].Policy.Kind
			}
			got := monban.ActDrop
			for _, r := range reach[i] {
				if r.Device == p.device.Name && (r.Verdict == monban.VerdictOpen || r.Verdict == monban.VerdictPartly &&
					slices.ContainsFunc(r.Sources, func(a monban.AddrRange) bool { return a.Contains(p.source) })) {
					got = monban.ActAccept
				}
				if r.Verdict == monban.VerdictUnknown || len(r.Conditions) > 0 {
					t.Fatalf("seed %d: %+v", seed, r)
				}
			}
			if probes++; want == monban.ActAccept {
				in++
			}
			if got != want {
				t.Fatalf("seed %d: %v is computed %v, and a packet meets %v", seed, p, got, want)
			}
		}
	}
	if in*10 < probes || in*10 > probes*9 {
		t.Errorf("seed %d: %d of %d come in: a proof needs both", seed, in, probes)
	}
}

// TestSources lists who may send at all: IPv6 addresses that stand for IPv4 ones do
// not, and nobody else is taken with them.
func TestSources(t *testing.T) {
	h := monban.Host{Interfaces: []monban.Interface{{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("2a01:db8::1/64")}}}}
	m := newMachine(&h)
	p := compile(nil, monban.IPv6, m.cut(monban.IPv6))
	want := "[::2-::fffe:ffff:ffff ::1:0:0:0-2a01:db8:: 2a01:db8::2-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"
	if got := fmt.Sprint(p.space.ranges(m.sources(p, &h.Interfaces[0]))); got != want {
		t.Errorf("%s may send, want %s", got, want)
	}
}

// TestFilter is not sure of who comes in past what nobody can look into, and stays
// sure of who does not.
func TestFilter(t *testing.T) {
	s := invented(rand.New(rand.NewPCG(1, 1)))
	s.Rules.Tables[0].Chains = []monban.Chain{{Name: "in", Hook: monban.HookInput, Type: "filter", Policy: monban.Action{Kind: monban.ActDrop},
		Rules: []monban.Rule{{Handle: 1, Steps: []monban.Step{
			{Op: monban.OpTest, Key: []monban.Load{{Field: monban.FieldDestPort, Len: 2}}, Within: []monban.Span{{First: be16(1), Last: be16(2)}}},
			{Op: monban.OpDecide, Action: monban.Action{Kind: monban.ActAccept}}}}}}}
	s.Doors = s.Doors[:3] // 1, 2, and 3, which is closed
	s.Doors[1].Owners = []monban.Owner{{PID: 7}}
	s.Filters = []monban.Filter{{Kind: "tc", Name: "bpf", Device: "eth1"}, {Kind: "cgroup", Name: "gate", PIDs: []int{7}}}
	var got []string
	for i, reach := range Judge(s) {
		for _, r := range reach {
			text := fmt.Sprintf("%d %s %s", i+1, r.Device, r.Verdict)
			for _, c := range r.Conditions {
				text += fmt.Sprint(" ", c.Kind, " ", c.Text)
			}
			got = append(got, text)
		}
	}
	want := []string{"1 eth0 open", "1 eth1 unknown opaque tc bpf on eth1", "1 eth2 open",
		"2 eth0 open filter cgroup gate", "2 eth1 unknown opaque tc bpf on eth1", "2 eth2 open filter cgroup gate",
		"3 eth0 closed", "3 eth1 closed", "3 eth2 closed"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// within returns a packet that a rule's tests let pass, where it finds one.
func (p *packet) within(rng *rand.Rand, s *monban.Snapshot, r *monban.Rule) bool {
	t := &s.Rules.Tables[0]
	for range 50 {
		p.device, p.port = &s.Host.Interfaces[rng.IntN(3)], uint16(rng.IntN(400))
		p.source = netip.AddrFrom4([4]byte(be32(rng.Uint32())))
		for i := range r.Steps {
			switch k := &r.Steps[i]; {
			case k.Op == monban.OpLookup:
				p.source, _ = netip.AddrFromSlice(t.Sets[0].Elements[rng.IntN(len(t.Sets[0].Elements))].First)
			case k.Op == monban.OpTest && k.Key[0].Field == monban.FieldDestPort && !k.Not:
				first, last := binary.BigEndian.Uint16(k.Within[0].First), binary.BigEndian.Uint16(k.Within[0].Last)
				p.port = first + uint16(rng.IntN(int(last-first)+1))
			case k.Op == monban.OpTest && k.Key[0].Field == monban.FieldSource && !k.Not:
				first, last := binary.BigEndian.Uint32(k.Within[0].First), binary.BigEndian.Uint32(k.Within[0].Last)
				p.source = netip.AddrFrom4([4]byte(be32(first + uint32(rng.Uint64N(uint64(last-first)+1)))))
			}
		}
		ok := true
		for i := range r.Steps {
			ok = ok && (r.Steps[i].Op == monban.OpDecide || p.passes(t, &r.Steps[i]))
		}
		if ok {
			return true
		}
	}
	return false
}

// TestDead sends packets that dead rules are about: none of them comes to one.
func TestDead(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 9))
	dead, sent := 0, 0
	for range 300 {
		s := invented(rng)
		table := &s.Rules.Tables[0]
		for _, f := range Dead(s) {
			var chain string
			var handle uint64
			if _, err := fmt.Sscanf(f.Evidence[0].Text, "inet t %s handle %d:", &chain, &handle); err != nil {
				t.Fatalf("%q: %v", f.Evidence[0].Text, err)
			}
			dead++
			r := table.Chain(chain).Rules[handle-1]
			for range 20 {
				p := packet{}
				if !p.within(rng, s, &r) {
					break
				}
				sent++
				// Where the packet is made to fall into the rule, it is
				// somebody else's before.
				if p.comesTo(table, chain, handle) {
					t.Fatalf("seed %d: %+v comes to %s, by %v", seed, p, f.Evidence[0].Text, f.Evidence[1:])
				}
			}
		}
	}
	if dead < 100 || sent < 1000 {
		t.Errorf("seed %d: only %d dead rules and %d packets", seed, dead, sent)
	}
}

// comesTo reports whether a packet that is sent into a chain passes the tests of one
// of its rules.
func (p *packet) comesTo(t *monban.Table, chain string, handle uint64) bool {
rules:
	for _, r := range t.Chain(chain).Rules {
		for i := range r.Steps {
			s := &r.Steps[i]
			if s.Op != monban.OpDecide {
				if !p.passes(t, s) {
					continue rules
				}
				continue
			}
			if r.Handle == handle {
				return true
			}
			switch k := s.Action.Kind; k {
			case monban.ActAccept, monban.ActDrop, monban.ActReturn, monban.ActGoto:
				return false
			case monban.ActJump:
				if v := p.chain(t, s.Action.Chain); v == monban.ActAccept || v == monban.ActDrop {
					return false
				}
			}
		}
	}
	return false
}
