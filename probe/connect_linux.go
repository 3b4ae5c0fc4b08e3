package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

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

func (c *connector) dial(r retry, now time.Duration) {
	host, port := r.flow.grid.door(r.q.door)
	family := unix.AF_INET
	if host.Is6() {
		family = unix.AF_INET6
	}
	kind := unix.SOCK_STREAM
	if c.udp {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		if noRoom(err) {
			c.full(r)
			return
		}
		c.s.gap("socket", err.Error(), 1)
		return
	}
	if c.open+1 > c.window/2 && c.window < c.most {
		c.window++ // it went well: a little more
	}
	// An ICMP error ends the attempt at once, and is told from a RST.
	if family == unix.AF_INET {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	if err != nil {
		c.s.gap("setsockopt", err.Error(), 1)
	}
	err = unix.Connect(fd, c.sockaddr(host, port))
	if c.udp && err == nil {
		if err = unix.Send(fd, payload(port), 0); err == nil {
			err = unix.EINPROGRESS
		}
	}
	switch {
	case err == nil:
		c.finish(fd, r.flow, r.q, nil)
	case errors.Is(err, unix.EINPROGRESS):
		c.watch(fd, r, now)
	case noRoom(err):
		unix.Close(fd)
		c.full(r)
	default:
		c.finish(fd, r.flow, r.q, err)
	}
}

func (c *connector) watch(fd int, r retry, now time.Duration) {
	for fd >= len(c.slots) {
		c.slots = append(c.slots, make([]call, len(c.slots)+256)...)
	}
	id := c.slots[fd].id + 1
	if id == 0 {
		id = 1
	}
	c.slots[fd] = call{r.flow, r.q, id, now}
	events := uint32(unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP)
	if c.udp {
		events = unix.EPOLLIN | unix.EPOLLERR
	}
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(id)}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		unix.Close(fd)
		c.slots[fd].flow = nil
		c.full(r)
		return
	}
	c.open++
	c.queue = append(c.queue, waiting{fd, id, now + r.wait})
}

// expire gives up attempts whose answer is overdue: the flow asks again.
func (c *connector) expire(now time.Duration) {
	n := 0
	for n < len(c.queue) && c.queue[n].due <= now {
		if w := c.queue[n]; c.slots[w.fd].id == w.id && c.slots[w.fd].flow != nil {
			c.slots[w.fd].flow = nil
			c.open--
			unix.Close(w.fd)
		}
		n++
	}
	if n > 0 {
		c.queue = append(c.queue[:0], c.queue[n:]...)
	}
}

// collect waits for answers.
func (c *connector) collect(events []unix.EpollEvent, wait time.Duration) error {
	ts := unix.NsecToTimespec(int64(wait))
	n, err := epollPwait2(c.epoll, events, &ts)
	if err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, ev := range events[:n] {
		fd := int(ev.Fd)
		slot := &c.slots[fd]
		if slot.flow == nil || slot.id != uint32(ev.Pad) {
			continue
		}
		f, q := slot.flow, slot.q
		slot.flow = nil
		c.open--
		var failed error
		if errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
			failed = err
		} else if errno != 0 {
			failed = unix.Errno(errno)
		}
		c.finish(fd, f, q, failed)
	}
	return nil
}

// epollPwait2 is epoll_wait with a timeout of nanoseconds (Linux 5.11), or of
// milliseconds before.
func epollPwait2(epoll int, events []unix.EpollEvent, ts *unix.Timespec) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.ENOSYS, unix.EPERM: // EPERM: a container's filter that does not know it
		return unix.EpollWait(epoll, events, int((ts.Nano()+999_999)/1_000_000))
	default:
		return 0, errno
	}
}

// finish reads what an attempt came to, and ends it.
func (c *connector) finish(fd int, f *flow, q question, failed error) {
	tell := outcome
	if c.udp {
		tell = outcomeUDP
	}
	switch state := tell(fd, failed); {
	case state != silent:
		c.heard = append(c.heard, flowAnswer{f, answer{door: q.door, slice: q.slice, state: state}})
	case errors.Is(failed, unix.ENETUNREACH):
		source := "network"
		if host, _ := f.grid.door(q.door); !f.sweep {
			source = host.String()
		}
		c.s.gap(source, NoRoute, 1)
		c.nowhere = append(c.nowhere, f)
	case errors.Is(failed, unix.EPERM), errors.Is(failed, unix.EACCES):
		c.s.gap("connect", failed.Error(), 1)
	}
	if failed == nil && !c.udp {
		// A RST instead of a FIN leaves no TIME_WAIT behind.
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // then there is one
	}
	unix.Close(fd)
}

// outcome tells what a finished attempt says about the door.
func outcome(fd int, failed error) uint64 {
	switch {
	case failed == nil && selfConnected(fd):
		// The kernel chose the very port that was asked for, on loopback, and the
		// socket is connected to itself (RFC 9293 section 3.5, simultaneous open).
		// It could because nobody listens.
		return closed
	case failed == nil:
		return open
	}
	if icmp, code := icmpError(fd); icmp {
		switch {
		case forbids(code):
			return prohibited
		case nobodyThere(code):
			return nobody
		}
		return silent
	}
	if errors.Is(failed, unix.ECONNREFUSED) || errors.Is(failed, unix.ECONNRESET) {
		return closed
	}
	return silent
}

// outcomeUDP tells what came back to a datagram. Only an answer is open; "port
// unreachable" is what a host says of a closed door (RFC 1122 section 4.1.3.1).
func outcomeUDP(fd int, failed error) uint64 {
	if icmp, code := icmpError(fd); icmp {
		switch {
		case !code.v6 && code.kind == 3 && code.code == 3, code.v6 && code.kind == 1 && code.code == 4:
			return closed
		case forbids(code):
			return prohibited
		case nobodyThere(code):
			return nobody
		}
		return silent
	}
	if failed != nil {
		return silent
	}
	var first [1]byte
	if _, _, err := unix.Recvfrom(fd, first[:], unix.MSG_DONTWAIT); err != nil || selfConnected(fd) {
		return silent
	}
	return open
}

func selfConnected(fd int) bool {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return false
	}
	switch l := local.(type) {
	case *unix.SockaddrInet4:
		p, ok := peer.(*unix.SockaddrInet4)
		return ok && l.Port == p.Port && l.Addr == p.Addr
	case *unix.SockaddrInet6:
		p, ok := peer.(*unix.SockaddrInet6)
		return ok && l.Port == p.Port && l.Addr == p.Addr
	}
	return false
}

// icmpError reads the socket's error queue: whether the error came by ICMP.
func icmpError(fd int) (bool, icmpCode) {
	var control [256]byte
	var data [1]byte
	_, n, _, _, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil || n == 0 {
		return false, icmpCode{}
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return false, icmpCode{}
	}
	for _, m := range messages {
		// struct sock_extended_err: errno u32, origin, type, code.
		if len(m.Data) < 16 {
			continue
		}
		origin, kind, code := m.Data[4], m.Data[5], m.Data[6]
		switch origin {
		case unix.SO_EE_ORIGIN_ICMP:
			return true, icmpCode{false, kind, code}
		case unix.SO_EE_ORIGIN_ICMP6:
			return true, icmpCode{true, kind, code}
		}
	}
	return false, icmpCode{}
}

func noRoom(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL, unix.EAGAIN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// sockaddr is [sockaddr], without looking the same zone up for every door.
func (c *connector) sockaddr(host netip.Addr, port uint16) unix.Sockaddr {
	zone := host.Zone()
	if zone == "" {
		return sockaddr(host, port)
	}
	if zone != c.zone {
		c.zone, c.zoneID = zone, zoneID(zone)
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: host.As16(), ZoneId: c.zoneID}
}

func sockaddr(host netip.Addr, port uint16) unix.Sockaddr {
	if host.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: host.As4()}
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: host.As16(), ZoneId: zoneID(host.Zone())}
}

func (c *connector) close() {
	unix.Close(c.epoll)
	for fd := range c.slots {
		if c.slots[fd].flow != nil {
			unix.Close(fd)
		}
	}
}
