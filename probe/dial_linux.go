package probe

import (
	"errors"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
