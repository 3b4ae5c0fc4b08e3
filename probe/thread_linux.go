package probe

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// most is how many questions are taken at once where there is no limit to the
// rate: enough that the threads rarely meet at the lock.
const most = 8 * batch

// urgentRate is up to which a thread sleeps more than it works.
const urgentRate = 50_000

// rawThread is one thread of the engine.
type rawThread struct {
	*rawEngine
	number int     // the first one, 0, always works
	rate   float64 // that the flows have together
	last   int
	in     *receiver
	links  []*link

	asked []asked
	heard []answer

	resting atomic.Bool // it sleeps and holds nothing; awake, it looks first whether all is over
	ended   chan struct{}
	failed  error // when it has
}

type asked struct {
	flow *flow
	question
}

func (r *rawThread) run(ctx context.Context) error {
	runtime.LockOSThread() // for good: the thread ends with what prompt has changed
	defer r.tell()
	var turn *prompt
	if r.s.q.Rate > 0 || !r.s.q.Pinned {
		turn = newPrompt()
	}
	for ctx.Err() == nil {
		switch helps := r.helps.Load(); {
		case helps:
			r.places.settle(r.number)
		case r.number > 0 && !r.holds():
			r.places.leave(r.number)
			r.rest(longestRest)
			continue
		}
		now := r.s.now()
		r.receive()
		wait, over := r.take(now)
		turn.hurry(r.rate < urgentRate && (wait > 0 || len(r.asked) > 0))
		if err := r.send(); err != nil {
			return err
		}
		if over {
			return nil
		}
		r.rest(wait)
	}
	return nil
}

// holds reports whether the thread has something that it must not keep.
func (r *rawThread) holds() bool {
	return len(r.heard)+len(r.asked) > 0 || slices.ContainsFunc(r.links, func(l *link) bool { return l.out.waiting() > 0 })
}

// take gives the flows the answers that have come in, and gets the questions that
// may be sent now. It returns how long there are none, and whether all is over.
func (r *rawThread) take(now time.Duration) (wait time.Duration, over bool) {
	for _, l := range r.links {
		if l.out.waiting() > 0 {
			return quantum, false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hear(now)
	over, wait = true, 50*time.Millisecond
	r.rate = 0
	for _, f := range r.flows {
		over = over && f.over
		if !f.over {
			r.rate += f.pace.rate
		}
	}
	if r.helps.Store(r.rate >= busyRate && !over); over {
		return 0, true
	}
	now = r.s.now() // the lock may have been waited for, and the other thread asked since
	for i := range r.flows {
		f := r.flows[(r.turn+i)%len(r.flows)]
		f.earn(now)
		w := r.ask(f, now)
		wait = min(wait, w)
		if len(r.asked) >= batch {
			break
		}
	}
	r.turn++
	r.s.tick(now)
	for _, f := range r.flows {
		if !f.over {
			return wait, false
		}
	}
	return 0, true
}

// hear gives the flows the answers that have come in; the thread has the lock.
func (r *rawThread) hear(now time.Duration) {
	for _, a := range r.heard {
		if f := r.flowOf(a.door); f != nil {
			r.s.heard(f, a, now)
		}
	}
	r.heard = r.heard[:0]
}

// tell is the last thing that a thread does: what it has heard must not be lost.
func (r *rawThread) tell() {
	if len(r.heard) == 0 {
		return // it may be the end of a thread that nobody waits for
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hear(r.s.now())
}

// ask takes what a flow may send now, and returns how long it then has nothing.
func (r *rawThread) ask(f *flow, now time.Duration) time.Duration {
	limit := batch
	if f.pace.rate > 10_000_000 {
		limit = most
	}
	for n := r.s.budget.take(limit-len(r.asked), now); n > 0; n-- {
		q, wait, ok := f.next(now)
		if !ok {
			r.s.budget.give(n)
			if f.over {
				return time.Hour
			}
			return wait
		}
		r.asked = append(r.asked, asked{f, q})
	}
	if len(r.asked) < limit {
		return quantum
	}
	return 0
}

// send makes packets of the questions, and sends them.
func (r *rawThread) send() error {
	for _, q := range r.asked {
		ports := uint64(len(q.flow.grid.ports))
		way := r.hops.find(q.door/ports, &r.last)
		if !way.ok {
			continue
		}
		l := r.links[way.exit]
		for l.out.full() {
			if err := l.flush(r.s.now()); err != nil {
				return err
			}
			if l.out.full() { // the device has no room
				r.rest(quantum) // and holds what is to be sent
			}
		}
		host, port := q.flow.grid.door(q.door)
		from := r.ports + q.slice
		l.syn.put(l.out.slot(way.hardware[:], host), host, port, from, r.key.of(host, port, from))
	}
	r.asked = r.asked[:0]
	for _, l := range r.links {
		if err := l.flush(r.s.now()); err != nil {
			return err
		}
	}
	return nil
}

// receive reads everything that has come in, and keeps what answers a question of
// this scan.
func (r *rawThread) receive() {
	for i, l := range r.links {
		if slices.ContainsFunc(r.links[:i], func(o *link) bool { return o.in == l.in }) {
			continue
		}
		r.in.drain(l.in, func(b []byte) {
			a, ok := parseReply(b)
			if !ok || a.from-r.ports >= sliceCount || a.seq != r.key.of(a.host, a.port, a.from) {
				return // a stranger's, or a forger's
			}
			door, ok := r.flows[0].grid.index(a.host, a.port)
			if !ok && a.host.Is6() && a.host.IsLinkLocalUnicast() {
				door, ok = r.zoned(a, l.device)
			}
			if ok {
				r.heard = append(r.heard, answer{door, a.from - r.ports, a.state, a.stack})
			}
		})
	}
}

// zoned finds the door of a link-local address, which packets name without its
// link: it is the one that the packet came by.
func (r *rawThread) zoned(a reply, device int) (uint64, bool) {
	for _, zone := range r.zones[device] {
		if door, ok := r.flows[0].grid.index(a.host.WithZone(zone), a.port); ok {
			return door, true
		}
	}
	return 0, false
}

func (r *rawThread) flowOf(door uint64) *flow {
	i, found := slices.BinarySearchFunc(r.flows, door, func(f *flow, door uint64) int {
		switch {
		case f.from+f.n <= door:
			return -1
		case f.from > door:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return r.flows[i]
}

// longestRest is that of a thread which is not alone.
const longestRest = time.Millisecond

// rest sleeps. For a short while nothing wakes it, so that answers are read
// together, and the runtime is not told: what it had given away meanwhile would
// have to be got back from a thread that waits for its own turn.
func (r *rawThread) rest(wait time.Duration) {
	if wait <= 0 {
		return
	}
	if r.number > 0 || r.helps.Load() {
		wait = min(wait, longestRest) // what the other one hears does not wake it
	}
	r.resting.Store(!r.holds())
	defer r.resting.Store(false)
	ts := unix.NsecToTimespec(int64(wait))
	// Woken early, it looks and sleeps again.
	switch {
	case wait < time.Millisecond:
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		return
	case r.number > 0 || len(r.links) == 0:
		_ = unix.Nanosleep(&ts, nil)
		return
	}
	fds := make([]unix.PollFd, 0, 4)
	for _, l := range r.links {
		fds = append(fds, unix.PollFd{Fd: int32(l.in), Events: unix.POLLIN})
	}
	_, _ = unix.Ppoll(fds, &ts, nil) // the same
}
