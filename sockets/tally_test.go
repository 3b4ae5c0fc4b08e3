package sockets

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/sockets/internal/diag"
)

func connection(stage stage, local, remote netip.Addr) *row {
	return &row{proto: monban.TCP, stage: stage, local: netip.AddrPortFrom(local, 443), remote: netip.AddrPortFrom(remote, 50000)}
}

func addr4(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// TestTallyPeers compares with counting everything, on random connections.
func TestTallyPeers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		tl := newTally(nil)
		counts := make(map[netip.Addr]int)
		for range rng.IntN(2000) {
			peer := addr4(rng.IntN(1 + rng.IntN(40)))
			counts[peer]++
			mapped := netip.AddrFrom16(peer.As16()) // the same peer, on an IPv6 socket
			tl.add(connection(established, addr4(1), []netip.Addr{peer, mapped}[rng.IntN(2)]))
		}
		var want []monban.Peer
		for a, n := range counts {
			want = append(want, monban.Peer{Addr: a, Count: n})
		}
		slices.SortFunc(want, func(a, b monban.Peer) int {
			if a.Count != b.Count {
				return b.Count - a.Count
			}
			return a.Addr.Compare(b.Addr)
		})
		want = want[:min(len(want), maxShownPeers)]
		list, gaps := tl.result()
		noGaps(t, gaps)
		if len(counts) == 0 {
			if len(list) != 0 {
				t.Errorf("got %+v", list)
			}
			continue
		}
		if len(list) != 1 || !slices.Equal(list[0].Peers, want) {
			t.Fatalf("got  %+v\nwant %+v", list, want)
		}
	}
}

// TestTallyBounds has more peers and local addresses than there is room for. The
// frequent ones must be there, none with too many, and a gap must tell by how
// much the counts are too small.
func TestTallyBounds(t *testing.T) {
	tl := newTally(nil)
	const frequent, others = 1000, 3 * maxPeers
	for i := range others {
		tl.add(connection(timeWait, addr4(i%100), addr4(1<<24+i)))
		if i < 3*frequent {
			tl.add(connection(established, addr4(0), addr4(i%3)))
		}
	}
	if len(tl.peers) > maxPeers {
		t.Errorf("%d peers are kept", len(tl.peers))
	}
	list, gaps := tl.result()
	if len(gaps) != 2 || gaps[0].Hides != monban.HidesTraffic || gaps[1].Hides != monban.HidesTraffic {
		t.Errorf("gaps %+v", gaps)
	}
	tr := list[0]
	if tr.Established != 3*frequent || tr.TimeWait != others || len(tr.Locals) != maxLocals || len(tr.Peers) != maxShownPeers {
		t.Errorf("got %+v", tr)
	}
	for i := range 3 {
		p := tr.Peers[i]
		if !slices.Contains([]netip.Addr{addr4(0), addr4(1), addr4(2)}, p.Addr) || p.Count > frequent || p.Count < frequent-tl.short {
			t.Errorf("peer %d is %+v, too small by up to %d", i, p, tl.short)
		}
	}
}

// TestPortSet compares both ways of asking, on random ranges.
func TestPortSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var set portSet
		for range 1 + rng.IntN(8) {
			first := uint16(rng.IntN(60))
			if rng.IntN(4) == 0 {
				first = 65535 - first
			}
			last := uint16(min(int(first)+rng.IntN(10), 65535))
			set = append(set, monban.PortRange{First: first, Last: last, Proto: monban.Proto(rng.IntN(5))})
		}
		before := fmt.Sprint(set)
		for _, p := range monban.Protos() {
			spans, wanted := set.spans(p)
			for i, sp := range spans {
				if sp.First > sp.Last || i > 0 && uint32(sp.First) <= uint32(spans[i-1].Last)+1 {
					t.Fatalf("%v: spans %v", set, spans)
				}
			}
			any := false
			for i := range 160 { // where the ranges are: at both ends
				num := i
				if i >= 80 {
					num = 65535 - (i - 80)
				}
				in := slices.ContainsFunc(spans, func(s diag.Span) bool { return int(s.First) <= num && num <= int(s.Last) })
				if in != set.contains(p, uint16(num)) {
					t.Fatalf("%v: port %d/%v: in the spans %v", set, num, p, in)
				}
				any = any || in
			}
			if any != wanted {
				t.Fatalf("%v: %v wanted %v", set, p, wanted)
			}
		}
		if fmt.Sprint(set) != before {
			t.Fatalf("%s has become %v", before, set)
		}
	}
	if spans, wanted := portSet(nil).spans(monban.UDP); len(spans) != 0 || !wanted {
		t.Errorf("no set: %v, %v", spans, wanted)
	}
}

// TestDoorListTwice: a socket that a table shows twice is one door, and two
// sockets of unknown identity are two.
func TestDoorListTwice(t *testing.T) {
	var l doorList
	r := row{proto: monban.TCP, stage: listening, local: netip.MustParseAddrPort("127.0.0.1:80")}
	for i := range 1000 {
		r.identity = uint64(i % 500)
		l.add(&r)
	}
	if got := len(l.doors()); got != 499+2 {
		t.Errorf("%d doors", got)
	}
}

// TestDoorListOrder: whatever the order of the table, no door is lost in putting
// them in order, over several chunks.
func TestDoorListOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var l doorList
	const n = 3 * lastChunk
	for _, i := range rng.Perm(n) {
		l.add(&row{proto: monban.Proto(1 + i%4), stage: listening, inode: uint64(i + 1), identity: uint64(i + 1),
			local: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(i % 7)}), uint16(1+i%1000))})
	}
	doors := l.doors()
	if !slices.IsSortedFunc(doors, func(a, b monban.Door) int { return a.Compare(&b) }) {
		t.Error("not in order")
	}
	seen := make(map[uint64]bool)
	for _, d := range doors {
		seen[d.Inode] = true
	}
	if len(doors) != n || len(seen) != n {
		t.Errorf("%d doors, %d different, want %d", len(doors), len(seen), n)
	}
}
