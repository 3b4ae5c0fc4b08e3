package conflict

import (
	"flag"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

var seedFlag = flag.Uint64("seed", 1, "seed of the random sets")

func span(first, last uint16) monban.PortRange { return monban.PortRange{First: first, Last: last} }

func TestFindHaven(t *testing.T) {
	for _, tt := range []struct {
		os        string
		ephemeral monban.PortRange
		want      Haven
	}{
		{"linux", span(32768, 60999), Haven{span(61000, 65535), DynamicHaven}}, // the kernel's default
		{"linux", span(32768, 49151), Haven{span(49152, 65535), DynamicHaven}},
		{"linux", span(50000, 60000), Haven{span(60001, 65535), DynamicHaven}}, // the larger piece
		{"linux", span(60000, 65535), Haven{span(49152, 59999), DynamicHaven}},
		{"linux", span(32768, 65535), Haven{span(10000, 32767), RegisteredHaven}},
		{"linux", span(9000, 65535), Haven{span(1024, 8999), RegisteredHaven}},
		{"linux", span(10100, 65500), Haven{span(1024, 10099), RegisteredHaven}},
		{"linux", span(1024, 65535), Haven{span(49152, 65535), NoHaven}},
		{"linux", span(1, 65535), Haven{span(49152, 65535), NoHaven}},
		{"linux", monban.PortRange{}, Haven{span(61000, 65535), UnknownHaven}},
		{"windows", span(49152, 65535), Haven{span(10000, 49151), RegisteredHaven}},
		{"windows", span(1025, 5000), Haven{span(49152, 65535), DynamicHaven}},
		{"darwin", span(49152, 65535), Haven{span(10000, 49151), RegisteredHaven}},
		{"darwin", monban.PortRange{}, Haven{span(10000, 49151), RegisteredHaven}},
	} {
		if got := FindHaven(&monban.Host{OS: tt.os, Ephemeral: tt.ephemeral}); got != tt.want {
			t.Errorf("%s lending %s: %s %s, want %s %s", tt.os, tt.ephemeral, got.Range, got.Kind, tt.want.Range, tt.want.Kind)
		}
	}
}

// TestHavenIsNotLent tries every kind of range a machine may lend.
func TestHavenIsNotLent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16Range(1, 65534).Draw(t, "first")
		h := monban.Host{OS: "linux", Ephemeral: span(first, rapid.Uint16Range(first, 65535).Draw(t, "last"))}
		got := FindHaven(&h)
		if got.Range.Len() < enough || got.Range.First < 1024 {
			t.Fatalf("%s", got.Range)
		}
		for num := int(got.Range.First); num <= int(got.Range.Last); num++ {
			if lendable(&h, monban.Port{Num: uint16(num)}) != (got.Kind == NoHaven) && got.Kind != NoHaven {
				t.Fatalf("%d of %s %s is lent", num, got.Range, got.Kind)
			}
		}
	})
}

func TestObstacles(t *testing.T) {
	claim := monban.Claim{Bind: monban.Bind{Port: monban.Port{Num: 9300, Proto: monban.TCP}}, UpTo: 9302}
	snap := &monban.Snapshot{
		Host: monban.Host{OS: "linux", Unprivileged: 1024, Reserved: []monban.PortRange{span(61000, 61009)}, Excluded: []monban.PortRange{span(61010, 61019)}},
		Doors: []monban.Door{
			{Bind: monban.Bind{Port: monban.Port{Num: 61500, Proto: monban.TCP}}},
			{Bind: monban.Bind{Port: monban.Port{Num: 61501, Proto: monban.UDP}}},
		},
		Traffic: []monban.Traffic{{Port: monban.Port{Num: 61502, Proto: monban.TCP}, TimeWait: 1}},
	}
	search := monban.Claim{Bind: monban.Bind{Port: monban.Port{Num: 5173, Proto: monban.TCP}}, UpTo: 65535} // Vite
	c := NewChooser(snap, []monban.Claim{claim, search})
	for num, want := range map[uint16]Obstacle{
		61500: PortOpen, 61501: PortOpen, 61502: PortBusy, 61503: NoObstacle, 9299: NoObstacle, 9300: PortClaimed, 9302: PortClaimed, 9303: NoObstacle,
		5173: PortClaimed, 5174: NoObstacle,
		61005: PortReserved, 61010: PortExcluded, 80: PortPrivileged, 1023: PortPrivileged, 6666: PortBlocked, 10080: PortBlocked,
	} {
		if got := c.Obstacle(num, Asked); got != want {
			t.Errorf("%d: %q, want %q", num, got, want)
		}
	}
	if c.Obstacle(27017, Asked) != NoObstacle || c.Obstacle(27017, RegisteredHaven) != PortKnown {
		t.Error("MongoDB's port is offered to strangers, or not to who asks for it")
	}
	snap.Host.Caps.BindService = monban.On
	if c.Obstacle(99, Asked) != NoObstacle {
		t.Error("a privileged user may open 99")
	}
}

// TestChoose checks random machines: what is chosen has no obstacle, and a range
// is called full only when every port of it has one.
func TestChoose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16Range(1, 65535).Draw(t, "first")
		in := Haven{Range: span(first, rapid.Uint16Range(first, min(first, 65500)+35).Draw(t, "last"))}
		snap := &monban.Snapshot{Host: monban.Host{Unprivileged: 1024}}
		used := make(map[uint16]bool)
		for _, num := range rapid.SliceOf(rapid.Uint16Range(in.Range.First, in.Range.Last)).Draw(t, "open") {
			snap.Doors = append(snap.Doors, monban.Door{Bind: monban.Bind{Port: monban.Port{Num: num, Proto: monban.TCP}}})
			used[num] = true
		}
		given := rapid.Uint16().Draw(t, "given")
		num, why, ok := NewChooser(snap, nil).Choose(in, rapid.Uint32().Draw(t, "start"), func(n uint16) bool { return n == given })
		free := 0
		for n := int(in.Range.First); n <= int(in.Range.Last); n++ {
			if !used[uint16(n)] && n != int(given) && n >= 1024 && !portbook.BrowserBlocked(uint16(n)) {
				free++
			}
		}
		sum := 0
		for _, n := range why {
			sum += n
		}
		switch {
		case ok != (free > 0):
			t.Fatalf("%v with %d free of %s", ok, free, in.Range)
		case ok && (used[num] || num == given || num < 1024 || !in.Range.Contains(monban.Port{Num: num})):
			t.Fatalf("chose %d of %s", num, in.Range)
		case !ok && sum != in.Range.Len():
			t.Fatalf("%v tells of %d ports, not %d", why, sum, in.Range.Len())
		}
	})
}

// TestOpenPorts compares the search in words with one by one, and ports that were
// added together with those added alone.
func TestOpenPorts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(*seedFlag, 6))
	protos := []monban.Proto{monban.TCP, monban.UDP, monban.SCTP}
	for range 200 {
		var doors []monban.Door
		for num := rnd.IntN(200); num < 1<<16; num += 1 + rnd.IntN(1+rnd.IntN(300)) {
			doors = append(doors, monban.Door{Bind: monban.Bind{Port: monban.Port{Num: uint16(num), Proto: protos[rnd.IntN(3)]}}})
		}
		if rnd.IntN(2) == 0 {
			rnd.Shuffle(len(doors), func(i, k int) { doors[i], doors[k] = doors[k], doors[i] })
		}
		one, together := new(openPorts), new(openPorts)
		for _, d := range doors {
			one.set(d.Bind.Port)
		}
		together.addDoors(doors)
		for _, proto := range protos {
			want := 1 << 16
			for num := 1<<16 - 1; num >= 0; num-- {
				p := monban.Port{Num: uint16(num), Proto: proto}
				if one.has(p) != together.has(p) {
					t.Fatalf("%s: %v alone, %v together", p, one.has(p), together.has(p))
				}
				if !one.has(p) {
					want = num
				}
				if got := together.gap(proto, num); got != want {
					t.Fatalf("the first free from %s: %d, want %d", p, got, want)
				}
			}
		}
	}
}
