package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The raw engine. Each thread sends in batches (sendmmsg) and reads what has come
// back in between (recvmmsg): on two processors that was half as fast again as one
// thread for sending and one for receiving (measured on a veth pair, Linux 6.18),
// and TX_RING gained nothing.
//
// The threads share the flows, which they lock to take a batch of questions; the
// sending takes fifty times as long.

// batch is how many packets go out with one system call.
const batch = 64

// most is how many questions are taken at once where there is no limit to the
// rate: enough that the threads rarely meet at the lock.
const most = 8 * batch

// busyRate is what one thread can send to a target that answers; a second one
// works only beyond.
const busyRate = 100_000

// urgentRate is up to which a thread sleeps more than it works.
const urgentRate = 50_000

// raw asks with packets of our own making.
func (s *session) raw(ctx context.Context, flows []*flow) error {
	ways, err := s.ways(ctx, flows, true)
	if err != nil {
		return err
	}
	threads := 1
	if s.q.Rate == 0 || s.q.Rate > busyRate {
		threads = min(runtime.GOMAXPROCS(0), mostThreads)
	}
	eph := s.q.Host.Ephemeral
	ports, ok := sourcePorts(eph.First, eph.Last)
	if !ok {
		return errors.New("the range of ephemeral ports leaves no source ports")
	}
	e := &rawEngine{s: s, hops: ways, key: cookie{rand.Uint64(), rand.Uint64()}, stamp: rand.Uint32(), ports: ports, flows: flows}
	defer e.close()
	if err := e.open(threads); err != nil {
		return err
	}
	s.start(s.flows[0].grid)
	for ; len(e.flows) > 0; e.flows = s.further(ctx, e.flows) {
		if err := e.run(ctx, threads); err != nil {
			if !slices.ContainsFunc(s.flows, func(f *flow) bool { return f.answers > 0 }) {
				return err
			}
			s.gap("raw", err.Error(), 0) // what is known by now is worth telling
			return nil
		}
	}
	return nil
}

// run asks until the flows are over.
func (e *rawEngine) run(ctx context.Context, threads int) error {
	e.helps.Store(false)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all := make([]*rawThread, threads)
	for i := range all {
		r := &rawThread{rawEngine: e, number: i, in: newReceiver(), ended: make(chan struct{})}
		for n := range e.ways {
			w := &e.ways[n]
			r.links = append(r.links, &link{way: w, out: w.sender(i), syn: newTemplate(w.source, e.stamp)})
		}
		all[i] = r
		go func() {
			defer close(r.ended)
			r.failed = r.run(ctx)
			stop()
		}()
	}
	<-ctx.Done()
	var failed error
	for _, r := range all {
		if !r.resting.Load() {
			<-r.ended
			failed = errors.Join(failed, r.failed)
		}
		// One that rests has nothing that is missed here, and finds that all is over
		// when it wakes. On a busy machine that was waited for as long as 0.15 s.
		for _, l := range r.links {
			if l.refused > 0 {
				e.s.gap(e.s.deviceName(l.device), NotSent, l.refused)
			}
		}
	}
	return failed
}

// deviceName returns the name of an interface of this machine.
func (s *session) deviceName(index int) string {
	for _, i := range s.q.Host.Interfaces {
		if i.Index == index {
			return i.Name
		}
	}
	return fmt.Sprintf("interface %d", index)
}

// ways looks up how to reach every target, and ends the flows of those that cannot
// be reached.
func (s *session) ways(ctx context.Context, flows []*flow, allowed bool) (*hops, error) {
	r, err := openRTNL()
	if err != nil {
		return nil, err
	}
	defer r.close()
	hs, err := r.findHops(s.q.Targets, &s.q.Host)
	if err != nil {
		return nil, err
	}
	if err := s.census(ctx, r, hs, allowed); err != nil || ctx.Err() != nil {
		return hs, err
	}
	s.unreachable(hs)
	s.looked = true
	s.spare(flows)
	return hs, nil
}

// unreachable notes the hosts that there is no way to.
func (s *session) unreachable(hs *hops) {
	missing := make(map[string]int)
	for i := range hs.runs {
		h := &hs.runs[i]
		switch {
		case h.ok:
			continue
		case h.exit < 0:
			first, last := s.q.Targets.At(h.from), s.q.Targets.At(h.from+h.n-1)
			s.gap(span{first, last}.String(), NoRoute, int(h.n))
		case h.gateway.IsValid():
			missing[h.gateway.String()] += int(h.n)
		default:
			missing["link"]++
		}
		if s.unreached == nil {
			s.unreached = newBitmap(s.q.Targets.Len())
		}
		for n := range h.n {
			s.unreached.set(h.from + n)
		}
	}
	for source, n := range missing {
		s.gap(source, NoNeighbour, n)
	}
}

// spare spares flows what cannot be asked.
func (s *session) spare(flows []*flow) {
	for _, f := range flows {
		f.unreachable = s.unreached
		if !f.sweep && f.unreachable.has(f.from/uint64(len(f.grid.ports))) {
			f.over = true
		}
	}
}

// rawEngine is what the threads share.
type rawEngine struct {
	s     *session
	hops  *hops
	key   cookie
	ports uint16 // first of sliceCount source ports
	stamp uint32 // of the timestamp option
	ways  []way
	zones map[int][]string // names of the devices in targets: "eth0", or "2"
	fds   []int
	xdp   []*xdpSocket

	helps  atomic.Bool // there is work for more than one thread
	places places

	mu    sync.Mutex // of what follows
	flows []*flow
	turn  int
}

// way is how packets from one address go out of one device. Its sockets are
// opened by whoever called [Scan], whose thread may be in a network namespace of
// its own; that of a thread which the runtime makes is the process's.
type way struct {
	device   int
	source   netip.Addr
	loopback bool
	own      []byte // as in linkKind
	in       int    // descriptors
	out      []int  // one for each thread
	// xdp are the sockets of the first threads, where AF_XDP was asked for: as
	// many as the device has queues. The other threads send as always.
	xdp []*xdpSocket
}

// outlet is how one thread sends on a link.
type outlet interface {
	// slot returns room for a packet, from the network header on, to a neighbour,
	// or to a host on loopback; the outlet must not be full.
	slot(hardware []byte, host netip.Addr) []byte
	full() bool
	// flush sends what is there, and returns how many packets a rule of this
	// machine held back; what the system has no room for waits.
	flush() (refused int, err error)
	// waiting is how many packets have not been sent.
	waiting() int
	// drop gives up what waits, and returns how many packets that were.
	drop() (int, error)
}

// sender returns the outlet of a thread.
func (w *way) sender(thread int) outlet {
	if thread < len(w.xdp) {
		return newXDPSender(w.xdp[thread], w.source.Is6())
	}
	return newSender(w, w.out[thread])
}

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

// link is a way with the buffers of one thread.
type link struct {
	*way
	out outlet
	syn template
	// refused are the packets that did not leave. since is when the system first
	// had no room for those that wait, shut that it was for too long.
	refused int
	since   time.Duration
	shut    bool
}

// patience is how long the system may have no room at all. A queue that is full
// has some after the time of a few packets; where a rule at egress drops
// everything, or nothing leaves the device, there is never any.
const patience = 100 * time.Millisecond

// flush sends what is there.
func (l *link) flush(now time.Duration) error {
	before := l.out.waiting()
	n, err := l.out.flush()
	l.refused += n
	left := l.out.waiting()
	if left+n < before {
		l.since, l.shut = 0, false
	}
	if err != nil || left == 0 {
		return err
	}
	if l.since == 0 {
		l.since = max(now, 1)
	}
	if l.shut || now-l.since > patience {
		l.shut, l.since = true, 0
		n, err = l.out.drop()
		l.refused += n
	}
	return err
}

// open opens the sockets for every way that the hops need.
func (e *rawEngine) open(threads int) error {
	for _, x := range e.hops.exits {
		w := way{device: x.device, source: x.source, loopback: x.loopback, own: x.own, in: -1}
		for _, other := range e.ways {
			if other.device == w.device {
				w.xdp = other.xdp // a queue has room for one
				if other.source.Is6() == w.source.Is6() {
					w.in, w.out = other.in, other.out
				}
			}
		}
		if w.in < 0 {
			if err := e.sockets(&w, threads); err != nil {
				return fmt.Errorf("%s: %w", e.s.deviceName(w.device), err)
			}
		}
		e.ways = append(e.ways, w)
	}
	e.zones = make(map[int][]string)
	for _, a := range e.s.q.Targets.Zoned() {
		if id := int(zoneID(a.Zone())); !slices.Contains(e.zones[id], a.Zone()) {
			e.zones[id] = append(e.zones[id], a.Zone())
		}
	}
	return nil
}

// sockets opens one to hear by, and those to send by. Threads that send frames
// have one each: two on one get in each other's way at its counters.
func (e *rawEngine) sockets(w *way, threads int) (err error) {
	keep := func(fd int, err error) (int, error) {
		if err == nil {
			e.fds = append(e.fds, fd)
		}
		return fd, err
	}
	if w.in, err = keep(newPackets(w.device, w.source.Is6(), e.ports)); err != nil {
		return err
	}
	fd := w.in
	for i := range threads {
		switch {
		case w.own != nil:
			fd, err = keep(newFrameSocket(w.device))
		case w.loopback && i == 0:
			fd, err = keep(newIPSocket(w.source.Is6()))
		}
		if err != nil {
			return err
		}
		w.out = append(w.out, fd)
	}
	if e.s.q.Engine == XDP && w.xdp == nil {
		return e.openXDP(w, threads)
	}
	return nil
}

// openXDP opens AF_XDP sockets for as many threads as the device has queues.
func (e *rawEngine) openXDP(w *way, threads int) error {
	if w.own == nil {
		return errors.New("AF_XDP sends on an Ethernet only, and this is none")
	}
	for i := range threads {
		x, err := newXDP(w.device, i, w.own)
		if errors.Is(err, errNoQueue) {
			return nil
		}
		if err != nil {
			return err
		}
		e.xdp = append(e.xdp, x)
		w.xdp = append(w.xdp, x)
	}
	return nil
}

// close closes the sockets, all at the same time where that has to be waited for.
func (e *rawEngine) close() {
	var group sync.WaitGroup
	if !abandon(e.s.q.Host.Kernel, e.fds) {
		for _, fd := range e.fds {
			group.Go(func() { unix.Close(fd) })
		}
	}
	for _, x := range e.xdp {
		group.Go(x.close)
	}
	group.Wait()
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
