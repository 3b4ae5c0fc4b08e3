package probe

import "golang.org/x/sys/unix"

// prompt makes the system wake a thread when it wants to be woken.
//
// A thread that keeps a pace sleeps ten thousand times a second, for most of the
// time. On a busy machine it then waits for its turn, for milliseconds, and a limit
// that lets five packets pass at once forgives no pause: what is not asked in a
// quarter of a millisecond is not made up for. Beside four busy loops on two
// processors (Linux 6.18) a thread that sleeps for 100 µs at a time lost 15 to 25 %
// of its time in pauses beyond that, with ten nice levels more 2 to 6 %, of the
// real-time class 0.2 %; and behind a limit of 20,000 a second, which takes 3.3 s
// at best, the scan took 7 to 9 s, 4.4 s and 3.5 s.
type prompt struct {
	nice    int  // of the thread, with ten levels more
	urgent  bool // it is of the real-time class
	refused bool // it may not be
}

// newPrompt makes the thread that calls it prompt, as far as is allowed to it. The
// thread has to be locked, and to end with what has changed.
func newPrompt() *prompt {
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) //nolint:errcheck // a thread without it sleeps 50 µs longer
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		n = 20
	}
	p := &prompt{nice: max(20-n-10, -20)} // the system call returns 20 minus the nice level
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, p.nice)
	return p
}

// hurry puts the thread before all others, or back. Only one that sleeps may be
// there: one that works all the time would leave nothing to them.
func (p *prompt) hurry(on bool) {
	if p == nil || on == p.urgent || p.refused {
		return
	}
	attr := unix.SchedAttr{Policy: unix.SCHED_NORMAL, Flags: unix.SCHED_FLAG_RESET_ON_FORK, Nice: int32(p.nice)}
	if on {
		attr = unix.SchedAttr{Policy: unix.SCHED_RR, Flags: unix.SCHED_FLAG_RESET_ON_FORK, Priority: 1}
	}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		p.refused = true
		return
	}
	p.urgent = on
}
