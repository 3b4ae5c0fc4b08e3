package probe

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/monban-dev/monban"
)

// TestPermutation wants every number once, in an order that is not the natural
// one and differs from seed to seed.
func TestPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 70_000).Draw(t, "n")
		p := newPermutation(n, rapid.Uint64().Draw(t, "seed"))
		seen := make([]bool, n)
		inPlace := 0
		for i := range n {
			at := p.at(i)
			if at >= n || seen[at] {
				t.Fatalf("place %d: %d is out of range or there already", i, at)
			}
			seen[at] = true
			if at == i {
				inPlace++
			}
		}
		if n > 1000 && inPlace > 20 {
			t.Errorf("%d of %d numbers stay in their place", inPlace, n)
		}
	})
	a, b := newPermutation(1<<20, 1), newPermutation(1<<20, 2)
	same := 0
	for i := range uint64(1000) {
		if a.at(i) == b.at(i) {
			same++
		}
	}
	if same > 5 {
		t.Errorf("two seeds agree at %d of 1000 places", same)
	}
	big := newPermutation(1<<34+12345, 7)
	for range 1000 {
		if at := big.at(rand.Uint64N(big.n)); at >= big.n {
			t.Fatalf("%d is not below %d", at, big.n)
		}
	}
}

// TestTargets compares sets of addresses with lists of them.
func TestTargets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefixes := func(name string, n int) []netip.Prefix {
			return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
				b := byte(rapid.IntRange(0, 255).Draw(t, "b"))
				if rapid.Bool().Draw(t, "v6") {
					a := netip.MustParseAddr("fd00::ffff:ffff:ffff:ff00").As16()
					a[15] = b
					return netip.PrefixFrom(netip.AddrFrom16(a), rapid.IntRange(118, 128).Draw(t, "bits")).Masked()
				}
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 2).Draw(t, "a")), b}), rapid.IntRange(22, 32).Draw(t, "bits")).Masked()
			}), 0, n).Draw(t, name)
		}
		in, out := prefixes("in", 5), prefixes("out", 3)
		var want []netip.Addr
		for _, p := range in {
			for a := p.Addr(); p.Contains(a); a = a.Next() {
				if !slices.ContainsFunc(out, func(o netip.Prefix) bool { return o.Contains(a) }) {
					want = append(want, a)
				}
			}
		}
		slices.SortFunc(want, netip.Addr.Compare)
		want = slices.Compact(want)
		set, ok := NewTargets(in, out)
		if !ok || set.Len() != uint64(len(want)) {
			t.Fatalf("%v without %v has %d addresses, want %d", in, out, set.Len(), len(want))
		}
		for i, a := range want {
			if got := set.At(uint64(i)); got != a {
				t.Fatalf("address %d is %s, want %s", i, got, a)
			}
			if got, ok := set.Index(a); !ok || got != uint64(i) {
				t.Fatalf("%s is number %d (%v), want %d", a, got, ok, i)
			}
		}
		if _, ok := set.Index(netip.MustParseAddr("192.0.2.1")); ok {
			t.Fatal("a stranger is in the set")
		}
		again, _ := NewTargets(set.Prefixes(), nil)
		if again.Len() != set.Len() {
			t.Fatalf("its prefixes %v have %d addresses, want %d", set.Prefixes(), again.Len(), set.Len())
		}
	})
}

func TestGrid(t *testing.T) {
	targets, _ := NewTargets([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}, nil)
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	g := newGrid(targets, all, monban.TCP)
	want := make(map[uint64]uint64)
	for range 20_000 {
		i := rand.Uint64N(g.len())
		state := 1 + rand.Uint64N(3)
		if was, there := want[i]; !there || was == prohibited && state == open {
			want[i] = state
		}
		g.set(i, state)
		host, port := g.door(i)
		if back, ok := g.index(host, port); !ok || back != i {
			t.Fatalf("door %d is %s:%d, which is door %d", i, host, port, back)
		}
	}
	other := newGrid(targets, all, monban.TCP)
	if !other.load(g.save()) {
		t.Fatal("a saved grid is refused")
	}
	for i := range g.len() {
		if g.get(i) != want[i] || other.get(i) != want[i] {
			t.Fatalf("door %d is %d, and after saving %d; want %d", i, g.get(i), other.get(i), want[i])
		}
	}
	if g.answered() != uint64(len(want)) {
		t.Errorf("%d doors have answered, want %d", g.answered(), len(want))
	}
}

// TestGridPorts numbers the doors of port lists that are a row, that are none, and
// that have all ports in any order.
func TestGridPorts(t *testing.T) {
	targets, _ := NewTargets([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}, nil)
	lists := map[string][]uint16{"row": {1023, 1024, 1025}, "one": {65535}, "sparse": {22, 80, 443}, "backwards": {3, 2, 1}}
	for _, p := range rand.Perm(1 << 16) {
		lists["all, shuffled"] = append(lists["all, shuffled"], uint16(p))
	}
	for name, ports := range lists {
		g := newGrid(targets, ports, monban.TCP)
		has := make(map[uint16]bool)
		for i := range g.len() {
			host, port := g.door(i)
			has[port] = true
			if back, ok := g.index(host, port); !ok || back != i || port != ports[i%uint64(len(ports))] {
				t.Fatalf("%s: door %d is %s:%d, which is door %d", name, i, host, port, back)
			}
		}
		for port := range 1 << 16 {
			if _, ok := g.index(targets.At(0), uint16(port)); ok != has[uint16(port)] {
				t.Fatalf("%s: that it has port %d is %v", name, port, ok)
			}
		}
	}
}

// TestBudget takes from a budget by two threads, of which one comes with a time that
// is long past: together they get the rate, no more and no less.
func TestBudget(t *testing.T) {
	const rate, seconds = 250_000, 2
	b := newBudget(rate)
	got := 0
	for now := time.Duration(0); now < seconds*time.Second; now += 20 * time.Microsecond {
		n := b.take(64, now-time.Duration(rand.Int64N(int64(time.Millisecond))))
		if n < 0 || n > 64 {
			t.Fatalf("%d of 64 at %s", n, now)
		}
		used := rand.IntN(n + 1)
		b.give(n - used)
		got += used
	}
	if want := rate * seconds; float64(got) < 0.99*float64(want) || float64(got) > float64(want)+2*allowance(rate) {
		t.Errorf("%d in %d s at %d a second", got, seconds, rate)
	}
}

// TestReach is the table of who needs whose leave.
func TestReach(t *testing.T) {
	h := &monban.Host{Interfaces: []monban.Interface{
		{Name: "lo", Up: true, Loopback: true, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}},
		{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/20"), netip.MustParsePrefix("198.51.100.7/24"), netip.MustParsePrefix("2001:db8::7/64"), netip.MustParsePrefix("fd00:1::5/64")}},
	}}
	for _, tt := range []struct {
		prefix string
		want   Reach
	}{
		{"127.0.0.1/32", Near}, {"127.0.0.0/8", Near}, {"::1/128", Near}, {"169.254.3.0/24", Near}, {"fe80::1/128", Near},
		{"10.1.2.9/32", Near}, {"10.1.0.0/20", Near}, {"10.1.0.0/16", Wide}, {"10.9.9.0/24", Near}, {"10.9.8.0/23", Wide},
		{"10.0.0.0/8", Wide}, {"10.0.0.0/7", Far}, {"192.168.7.7/32", Near}, {"172.16.0.0/12", Wide}, {"172.32.0.1/32", Far},
		{"fd00:1::/112", Near}, {"fd00:2::/120", Near}, {"fd00:2::/112", Wide},
		{"198.51.100.7/32", Near}, {"2001:db8::7/128", Near}, // its own
		{"198.51.100.8/32", Far}, {"198.51.100.0/24", Far}, {"2001:db8::8/128", Far}, // on the link, and not private
		{"8.8.8.8/32", Far}, {"100.64.0.1/32", Far}, {"0.0.0.0/1", Never}, {"::/0", Never},
		{"224.0.0.1/32", Never}, {"239.255.255.250/32", Never}, {"ff02::1/128", Never}, {"255.255.255.255/32", Never}, {"240.0.0.1/32", Never},
		{"0.0.0.0/32", Never}, {"::/128", Never}, {"10.1.15.255/32", Never}, {"10.1.0.0/32", Never}, {"10.1.15.254/32", Near},
	} {
		if got := ReachOf(netip.MustParsePrefix(tt.prefix), h); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.prefix, got, tt.want)
		}
	}
}

// TestCookie wants every part of a question in its cookie, and reads our own
// packets back as the answers they would get.
func TestCookie(t *testing.T) {
	c := cookie{1, 2}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	seen := make(map[uint32]bool)
	for _, host := range []netip.Addr{a, b, a.Next(), b.Next()} {
		for port := uint16(1); port < 100; port++ {
			for from := uint16(61000); from < 61010; from++ {
				seen[c.of(host, port, from)] = true
			}
		}
	}
	if len(seen) < 4*99*10-2 {
		t.Errorf("%d cookies for %d questions", len(seen), 4*99*10)
	}
	if c.of(a, 1, 2) == (cookie{1, 3}).of(a, 1, 2) {
		t.Error("the key does not matter")
	}
}

// TestSyn checks the checksums of what is sent, as a receiver does.
func TestSyn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := netip.MustParseAddr("10.0.0.1"), netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "to")))
		if rapid.Bool().Draw(t, "v6") {
			from, to = netip.MustParseAddr("fd00::1"), netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "to6")))
		}
		syn := newTemplate(from, rapid.Uint32().Draw(t, "stamp"))
		b := make([]byte, syn.len())
		syn.put(b, to, rapid.Uint16().Draw(t, "port"), rapid.Uint16().Draw(t, "from"), rapid.Uint32().Draw(t, "seq"))
		pseudo := sum16(from.AsSlice()) + sum16(to.AsSlice()) + 6 + tcpLen
		if sum := fold(pseudo + sum16(b[syn.tcp:])); sum != 0xffff {
			t.Errorf("TCP checksum: %#x", sum)
		}
		if from.Is4() {
			if sum := fold(sum16(b[:ip4Len])); sum != 0xffff {
				t.Errorf("IP checksum: %#x", sum)
			}
		}
		if _, ok := parseReply(b); ok {
			t.Error("a SYN is taken for an answer")
		}
	})
}

func FuzzParseReply(f *testing.F) {
	syn := newTemplate(netip.MustParseAddr("10.0.0.1"), 1)
	b := make([]byte, syn.len())
	syn.put(b, netip.MustParseAddr("10.0.0.2"), 80, 61000, 5)
	f.Add(b)
	f.Add(append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 3, 10, 0, 0, 1, 3, 13, 0, 0, 0, 0, 0, 0}, b...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseReply(b); ok && (r.state < open || r.state > nobody || !r.host.IsValid()) {
			t.Errorf("%x: %+v", b, r)
		}
	})
}

// TestPayloads wants requests that their own protocols can read: lengths that
// agree with what follows.
func TestPayloads(t *testing.T) {
	if n := len(UDPPorts()); n < 40 {
		t.Errorf("%d UDP ports have a request", n)
	}
	for _, port := range []uint16{88, 161, 389} {
		b := payload(port)
		if int(b[1])+2 != len(b) {
			t.Errorf("port %d: the length of its BER is %d of %d bytes", port, b[1], len(b))
		}
	}
	if b := payload(443); len(b) != 1200 {
		t.Errorf("QUIC: %d bytes", len(b))
	}
	if b := payload(1812); int(b[3]) != len(b) {
		t.Errorf("RADIUS: %d of %d bytes", b[3], len(b))
	}
}
