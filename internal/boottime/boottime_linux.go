package boottime

import "golang.org/x/sys/unix"

// boot is the time since the machine started, with the time it slept.
func boot() (int64, bool) { return read(unix.CLOCK_BOOTTIME) }

// wall is the time since 1970.
func wall() (int64, bool) { return read(unix.CLOCK_REALTIME) }

func read(clock int32) (int64, bool) {
	var t unix.Timespec
	err := unix.ClockGettime(clock, &t)
	return t.Nano(), err == nil
}
