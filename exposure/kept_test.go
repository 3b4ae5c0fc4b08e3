package exposure

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// dropper sends the packet through a chain, as nft_do_chain does, and returns what becomes of it, and the
// rule that decides.
func (p *packet) dropper(t *monban.Table, name string) (monban.ActionKind, monban.RuleRef) {
rules:
	for _, r := range t.Chain(name).Rules {
		for i := range r.Steps {
			s := &r.Steps[i]
			if s.Op != monban.OpDecide {
				if !p.passes(t, s) {
					continue rules
				}
				continue
			}
			switch k := s.Action.Kind; k {
			case monban.ActAccept, monban.ActDrop, monban.ActReturn:
				return k, monban.RuleRef{Family: t.Family, Table: t.Name, Chain: name, Handle: r.Handle, Text: r.Text(t)}
			case monban.ActJump, monban.ActGoto:
				if k2, ref := p.dropper(t, s.Action.Chain); k2 == monban.ActAccept || k2 == monban.ActDrop || k == monban.ActGoto {
					return k2, ref
				}
			}
		}
	}
	return monban.ActContinue, monban.RuleRef{}
}

// TestKeptOut compares who is said to be kept out of a door, and by which rule, with
// what becomes of single packets.
func TestKeptOut(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 9))
	out, probes := 0, 0
	for range 8 {
		s := invented(rng)
		table := &s.Rules.Tables[0]
		kept := KeptOut(s, func(d *monban.Door) bool { return d.Bind.Port.Num > 20 })
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
			kind, rule := p.dropper(table, "c0")
			if kind != monban.ActAccept && kind != monban.ActDrop {
				kind = table.Chains[0].Policy.Kind
				rule = monban.RuleRef{Family: table.Family, Table: "t", Chain: "c0", Text: "policy " + kind.String()}
			}
			k := slices.IndexFunc(kept[i], func(r monban.Reach) bool {
				return r.Device == p.device.Name && slices.ContainsFunc(r.Sources, func(a monban.AddrRange) bool { return a.Contains(p.source) })
			})
			if s.Doors[i].Bind.Port.Num <= 20 {
				if len(kept[i]) > 0 {
					t.Fatal("a door that nobody wanted to know about has an answer")
				}
				continue
			}
			if probes++; kind == monban.ActDrop {
				out++
			}
			switch {
			case (k >= 0) != (kind == monban.ActDrop):
				t.Fatalf("seed %d: %v meets %v by %v; kept out: %v", seed, p, kind, rule, k >= 0)
			case k >= 0 && (kept[i][k].Rule != rule || kept[i][k].Verdict != monban.VerdictClosed):
				t.Fatalf("seed %d: %v is kept out by %v, not by %v", seed, p, rule, kept[i][k].Rule)
			}
		}
	}
	if out*10 < probes || out*10 > probes*9 {
		t.Errorf("seed %d: %d of %d are kept out: a proof needs both", seed, out, probes)
	}
}
