package boottime

import (
	"runtime"
	"testing"
	"time"
)

// TestDifference reads two clocks that are a known time apart, in a process that
// loses its processor before readings of the test's choice.
func TestDifference(t *testing.T) {
	const apart = int64(1_700_000_000_123_456_789)
	ms := func(n int64) int64 { return n * int64(time.Millisecond) }
	for name, pauses := range map[string]map[int]int64{
		"none":                    {},
		"between the clocks":      {1: ms(80)},
		"before the third":        {2: ms(80)},
		"three times":             {1: ms(30), 5: ms(500), 7: ms(30)},
		"before a try":            {0: ms(80), 3: ms(80)},
		"in nine of ten":          {1: ms(9), 4: ms(9), 7: ms(9), 10: ms(9), 13: ms(9), 16: ms(9), 19: ms(9), 22: ms(9), 25: ms(9)},
		"a short one in each try": {1: 300_000, 4: 300_000, 7: 300_000, 10: 300_000, 13: 300_000, 16: 300_000, 19: 300_000, 22: 300_000, 25: 300_000, 28: 300_000},
	} {
		now, readings := int64(0), 0
		pass := func() int64 {
			now += pauses[readings] + 30
			readings++
			return now
		}
		got, ok := difference(func() (int64, bool) { return pass(), true }, func() (int64, bool) { return pass() + apart, true })
		if off := time.Duration(got - apart).Abs(); !ok || off > 200*time.Microsecond {
			t.Errorf("%s: off by %v after %d readings", name, off, readings)
		}
	}
	if _, ok := difference(func() (int64, bool) { return 1, true }, func() (int64, bool) { return 0, false }); ok {
		t.Error("a clock that cannot be read has told something")
	}
}

// TestRead: the kernel's clocks say the same again and again.
func TestRead(t *testing.T) {
	first := Read()
	if runtime.GOOS != "linux" {
		if !first.IsZero() {
			t.Errorf("%v on %s", first, runtime.GOOS)
		}
		return
	}
	if first.IsZero() || first.After(time.Now()) {
		t.Fatalf("the machine started at %v", first)
	}
	for range 10_000 {
		if now := Read(); now.Sub(first).Abs() > Tick {
			t.Fatalf("the machine started at %v, and then at %v", first, now)
		}
	}
}
