package monban

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// TestCompareDoors sorts random doors by their order and by one long key, and
// wants the same.
func TestCompareDoors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	addrs := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified(), netip.MustParseAddr("127.0.0.1"),
		netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:192.0.2.1")}
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	doors := make([]Door, 500)
	for i := range doors {
		doors[i] = Door{Inode: rng.Uint64N(3), Bind: Bind{NetNS: pick("", "net:[1]"), Device: pick("", "eth0", "lo"),
			Port: Port{Num: uint16(rng.IntN(4)), Proto: Proto(rng.IntN(5))}, Addr: addrs[rng.IntN(len(addrs))]}}
	}
	slices.SortFunc(doors, func(a, b Door) int { return a.Compare(&b) })
	for i := range doors[1:] {
		a, b := &doors[i], &doors[i+1]
		before := []int{compareStrings(a.Bind.NetNS, b.Bind.NetNS), int(a.Bind.Port.Num) - int(b.Bind.Port.Num),
			int(a.Bind.Port.Proto) - int(b.Bind.Port.Proto), a.Bind.Addr.Compare(b.Bind.Addr),
			compareStrings(a.Bind.Device, b.Bind.Device), int(a.Inode) - int(b.Inode)}
		decides := slices.IndexFunc(before, func(n int) bool { return n != 0 })
		if decides >= 0 && before[decides] > 0 {
			t.Fatalf("%+v stands before %+v", a, b)
		}
		if x, y := a.Compare(b), b.Compare(a); x > 0 || x != -y || (x == 0) != (decides < 0) {
			t.Fatalf("%+v and %+v: %d and %d", a, b, x, y)
		}
	}
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
