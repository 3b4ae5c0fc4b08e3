// Package boottime tells when the machine started, which the start times of
// processes are counted from. Who names a process and who ends it ask here, so that
// the same process has the same date for both.
package boottime

import "time"

// Tick is the unit of a process's start time in /proc/PID/stat, on every
// architecture that Go knows.
const Tick = time.Second / 100

// Read returns when the machine started, to a [Tick]; zero where that is not known.
// Two answers differ where somebody has set the clock between them, and else at
// most by a tick.
func Read() time.Time {
	between, ok := difference(boot, wall)
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, between).Round(Tick)
}

// soon is how long three readings take at most of a process that keeps its
// processor, in ns. They take a tenth of a microsecond.
const soon = int64(100 * time.Microsecond)

// difference returns by how much two clocks that run at one rate are apart, in ns.
// The first is read before and after the second: a process that lost its processor
// in between, which on a busy machine takes as long as several ticks, sees that it
// did, and reads them again.
func difference(first, second func() (int64, bool)) (between int64, ok bool) {
	least := int64(-1)
	for range 10 {
		before, ok1 := first()
		at, ok2 := second()
		after, ok3 := first()
		if !ok1 || !ok2 || !ok3 {
			return 0, false
		}
		if took := after - before; least < 0 || took < least {
			least, between = took, at-before-took/2
		}
		if least <= soon {
			break
		}
	}
	return between, true
}
