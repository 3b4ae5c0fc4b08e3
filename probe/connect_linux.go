package probe

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// engine chooses how to ask.
func (s *session) engine() (Engine, error) {
	if s.q.Engine != Auto {
		return s.q.Engine, nil
	}
	if s.q.Host.Caps.NetRaw == monban.On {
		return Raw, nil
	}
	return Connect, nil
}

// connector asks by connect(2): non-blocking sockets, watched by epoll, on one
// thread. Most answers on loopback come from connect itself.
//
// It asks UDP doors too, where "connected" means that the socket is told of ICMP
// errors, and hears nobody else.
type connector struct {
	s     *session
	lock  *sync.Mutex // of the flows
	flows []*flow
	udp   bool
	epoll int
	// window is how many sockets may be open; it follows RLIMIT_NOFILE, and
	// shrinks when the system says that it has no more.
	window, most int
	open         int
	slots        []call // by descriptor
	// queue has the descriptors in the order of their deadlines, nearly: the
	// deadlines of different targets differ.
	queue []waiting
	later []retry
	turn  int

	zone   string // looked up last
	zoneID uint32

	asked   []retry
	heard   []flowAnswer
	nowhere []*flow // there is no route
}

// flowAnswer is an answer and whose.
type flowAnswer struct {
	flow *flow
	answer
}

// call is a connection attempt under way.
type call struct {
	flow  *flow
	q     question
	id    uint32 // tells a descriptor from its earlier uses; 0 is none
	since time.Duration
}

type waiting struct {
	fd  int
	id  uint32
	due time.Duration
}

// retry is a question that the system had no room for.
type retry struct {
	flow  *flow
	q     question
	wait  time.Duration // for an answer
	tries int
}

const (
	// spare descriptors are left to the rest of the program.
	spare       = 32
	mostSockets = 8192
	mostRetries = 2000
)

// connect asks by connections. On loopback the time goes into the system calls, so
// that a second thread helps; but a thread that the runtime makes is in the
// process's network namespace, and the caller's may be in another.
func (s *session) connect(ctx context.Context, flows []*flow) error {
	threads := 1
	if s.q.Rate == 0 || s.q.Rate > busyRate {
		threads = min(runtime.GOMAXPROCS(0), 4)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if own, err := os.Readlink("/proc/thread-self/ns/net"); err != nil {
		threads = 1
	} else if first, err := os.Readlink("/proc/self/ns/net"); err != nil || own != first {
		threads = 1
	}
	most := descriptors()
	if most < 64 {
		threads = 1
	}
	if slices.ContainsFunc(flows, func(f *flow) bool { return f.sweep }) {
		// Who is not there would be asked at every door, and each question waits for
		// the kernel to give up on him. A sandbox may forbid to look.
		if err := s.look(ctx, flows); err != nil {
			s.gap("rtnetlink", err.Error(), 0)
		}
	}
	for ; len(flows) > 0; flows = s.further(ctx, flows) {
		if err := s.connectors(ctx, flows, threads, most); err != nil {
			return err
		}
	}
	return nil
}

// look finds out which hosts there is no way to, unless that is known.
func (s *session) look(ctx context.Context, flows []*flow) error {
	if s.looked {
		s.spare(flows)
		return nil
	}
	_, err := s.ways(ctx, flows, false)
	return err
}

// connectors asks by several threads until the flows are over, with at most so many
// descriptors.
func (s *session) connectors(ctx context.Context, flows []*flow, threads, most int) error {
	var group sync.WaitGroup
	var lock sync.Mutex
	failed := make([]error, threads)
	connectors := make([]*connector, threads)
	for i := range connectors {
		connectors[i] = &connector{s: s, lock: &lock, flows: flows, udp: flows[0].grid.proto == monban.UDP, most: most / threads, window: most / threads}
	}
	for i := 1; i < threads; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			failed[i] = connectors[i].run(ctx)
		}()
	}
	failed[0] = connectors[0].run(ctx)
	group.Wait()
	return errors.Join(failed...)
}

// descriptors is how many sockets may be open at once. The Go runtime has raised
// the soft limit to the hard one at start.
func descriptors() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 256
	}
	used := 16
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		used = len(entries)
	}
	return max(4, min(int(min(lim.Cur, mostSockets)), int(min(lim.Cur, 1<<20))-used-spare))
}

func (c *connector) run(ctx context.Context) (err error) {
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) //nolint:errcheck // a thread without it sleeps 50 µs longer
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer c.close()
	events := make([]unix.EpollEvent, 256)
	for ctx.Err() == nil {
		now := c.s.now()
		c.expire(now)
		wait, over := c.take(now)
		if over && len(c.later) == 0 {
			return nil
		}
		for _, r := range c.asked {
			c.dial(r, now)
		}
		c.asked = c.asked[:0]
		c.again(now)
		if c.open == 0 && wait == 0 {
			continue
		}
		if len(c.heard) > 0 {
			wait = 0
		}
		if len(c.queue) > 0 {
			wait = min(wait, max(0, c.queue[0].due-now))
		}
		if err := c.collect(events, wait); err != nil {
			return err
		}
	}
	return nil
}

// take gives the flows the answers that have come in, and gets the questions that
// may be asked now. It returns how long there are none, and whether all is over.
func (c *connector) take(now time.Duration) (wait time.Duration, over bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for _, a := range c.heard {
		c.s.heard(a.flow, a.answer, now)
	}
	c.heard = c.heard[:0]
	for _, f := range c.nowhere {
		if !f.sweep {
			f.over, f.lost = true, f.news > 0
		}
	}
	c.nowhere = c.nowhere[:0]
	wait = 50 * time.Millisecond
	for i := range c.flows {
		f := c.flows[(c.turn+i)%len(c.flows)]
		f.earn(now)
		wait = min(wait, c.ask(f, now))
	}
	c.turn++
	c.s.tick(now)
	for _, f := range c.flows {
		if !f.over {
			return wait, false
		}
	}
	return 0, true
}

// ask takes what a flow may ask now, and returns how long it then has nothing.
func (c *connector) ask(f *flow, now time.Duration) time.Duration {
	few := 32
	if f.pace.rate >= busyRate {
		few = 256 // the threads meet at the lock less often
	}
	for range few {
		if c.open+len(c.asked) >= c.window || len(c.later) > 0 {
			return 5 * time.Millisecond // an answer wakes us before
		}
		if c.s.budget.take(1, now) == 0 {
			return quantum
		}
		q, wait, ok := f.next(now)
		if !ok {
			c.s.budget.give(1)
			if f.over {
				return time.Hour
			}
			return wait
		}
		c.asked = append(c.asked, retry{flow: f, q: q, wait: f.pace.rto() * 3 / 2})
	}
	return 0
}

// again asks what there was no room for.
func (c *connector) again(now time.Duration) {
	later := c.later
	c.later = nil
	for i, r := range later {
		if c.open >= c.window {
			c.later = append(c.later, later[i:]...)
			return
		}
		c.dial(r, now)
	}
}

// full notes that the system had no room: fewer at once, and the question again
// later. It is never an answer.
func (c *connector) full(r retry) {
	c.window = max(4, min(c.window, c.open)*7/8)
	if r.tries++; r.tries < mostRetries {
		c.later = append(c.later, r)
	} else {
		c.s.gap("connect", "no room", 1)
	}
}

func (c *connector) close() {
	unix.Close(c.epoll)
	for fd := range c.slots {
		if c.slots[fd].flow != nil {
			unix.Close(fd)
		}
	}
}
