package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

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

// deviceName returns the name of an interface of this machine.
func (s *session) deviceName(index int) string {
	for _, i := range s.q.Host.Interfaces {
		if i.Index == index {
			return i.Name
		}
	}
	return fmt.Sprintf("interface %d", index)
}
