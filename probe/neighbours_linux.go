package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

type neighbour struct {
	device int
	addr   netip.Addr
}

// neighbours is what the kernel says about who is where.
type neighbours struct {
	known  map[neighbour][]byte // link addresses
	stale  map[neighbour]bool   // of those, which were right some time ago
	failed map[neighbour]bool   // those it has given up on
}

// neighbours reads the kernel's table.
func (r *rtnl) neighbours() (neighbours, error) {
	t := neighbours{make(map[neighbour][]byte), make(map[neighbour]bool), make(map[neighbour]bool)}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		body := make([]byte, 12)
		body[0] = family
		if err := r.ask(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, body, t.add); err != nil {
			return t, fmt.Errorf("neighbours: %w", err)
		}
	}
	return t, nil
}

// add reads a row of the table.
func (t *neighbours) add(p []byte) {
	if len(p) < 12 {
		return
	}
	n := neighbour{device: int(int32(binary.NativeEndian.Uint32(p[4:])))}
	state := binary.NativeEndian.Uint16(p[8:])
	var hardware []byte
	attributes(p[12:], func(kind uint16, v []byte) {
		switch kind {
		case unix.NDA_DST:
			n.addr, _ = netip.AddrFromSlice(v)
		case unix.NDA_LLADDR:
			hardware = append([]byte(nil), v...)
		}
	})
	const (
		sure  = unix.NUD_REACHABLE | unix.NUD_PERMANENT
		stale = unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	)
	switch {
	case state&(sure|stale) != 0 && len(hardware) > 0:
		t.known[n], t.stale[n] = hardware, state&sure == 0
	case state&unix.NUD_FAILED != 0:
		t.failed[n] = true
	}
}

// fewNeighbours is how many hosts of this machine's links are looked for in the
// kernel's way, which keeps what it has found out for later. Its table has room for
// a thousand, and whom it asked in vain has a place for three seconds.
const fewNeighbours = 256

// census finds the link addresses of the neighbours, and so who is there at all:
// the gateways, and the hosts on this machine's own links. allowed says that packets
// may be sent directly.
func (s *session) census(ctx context.Context, r *rtnl, hs *hops, allowed bool) error {
	var wanted []*hopRun
	for i := range hs.runs {
		if h := &hs.runs[i]; h.ok && hs.exits[h.exit].own != nil {
			h.ok = false
			wanted = append(wanted, h)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	table, err := r.neighbours()
	if err != nil {
		return err
	}
	if allowed {
		if err := s.confirm(ctx, r, hs, wanted, &table); err != nil {
			return err
		}
	}
	wanted = s.greet(hs, wanted, table.known)
	if len(wanted) <= fewNeighbours || !allowed {
		return s.waitFor(ctx, r, hs, wanted)
	}
	var few []*hopRun
	byExit := make([][]*hopRun, len(hs.exits))
	for _, h := range wanted {
		if h.gateway.IsValid() || s.q.Targets.At(h.from).Zone() != "" {
			few = append(few, h)
			continue
		}
		byExit[h.exit] = append(byExit[h.exit], h)
	}
	for i, list := range byExit {
		if err := s.askLink(ctx, hs, int32(i), list); err != nil {
			return err
		}
	}
	return s.waitFor(ctx, r, hs, few)
}

// neighbourOf is who gets the packets for a run.
func (s *session) neighbourOf(hs *hops, h *hopRun) neighbour {
	to := h.gateway
	if !to.IsValid() {
		to = s.q.Targets.At(h.from)
	}
	return neighbour{hs.exits[h.exit].device, to.WithZone("")}
}

// greet notes the neighbours that are known, and returns the others.
func (s *session) greet(hs *hops, wanted []*hopRun, known map[neighbour][]byte) (left []*hopRun) {
	for _, h := range wanted {
		if hardware := known[s.neighbourOf(hs, h)]; len(hardware) == macLen {
			copy(h.hardware[:], hardware)
			h.ok = true
			continue
		}
		left = append(left, h)
	}
	return left
}

// confirm asks a link for neighbours of which the kernel was told some time ago, and
// reads its table again: it hears the answers. Another machine may have the address by
// now, or the same one another card. The kernel finds that out five seconds after the
// first packet that it sends there itself, and ours are none of its own. Where nobody
// says anything for a while the old answer has to do.
func (s *session) confirm(ctx context.Context, r *rtnl, hs *hops, wanted []*hopRun, t *neighbours) error {
	const (
		while = 300 * time.Millisecond
		again = 100 * time.Millisecond // a question or its answer may be lost
		most  = 2 * fewNeighbours      // the rest of a network is asked, and answers, in any case
	)
	fds := make(map[int32]int) // by exit
	defer func() {
		for _, fd := range fds {
			if !abandon(s.q.Host.Kernel, []int{fd}) {
				go unix.Close(fd) // which takes a grace period
			}
		}
	}()
	began, next, pause := s.now(), time.Duration(0), 250*time.Microsecond
	for ctx.Err() == nil {
		waited, stale := s.now()-began, 0
		for _, h := range wanted {
			n := s.neighbourOf(hs, h)
			if !t.stale[n] || stale >= most {
				continue
			}
			if stale++; waited < next {
				continue
			}
			x := &hs.exits[h.exit]
			if _, open := fds[h.exit]; !open {
				fd, err := newFrameSocket(x.device)
				if err != nil {
					return err
				}
				fds[h.exit] = fd
			}
			if x.source.Is4() == n.addr.Is4() {
				_ = unix.Sendto(fds[h.exit], whoHas(nil, x, n.addr), unix.MSG_DONTWAIT, &unix.SockaddrLinklayer{Ifindex: x.device}) // or the next time
			}
		}
		if stale == 0 || waited > while {
			return nil
		}
		if waited >= next {
			next = waited + again
		}
		time.Sleep(pause)
		pause = min(pause*2, 50*time.Millisecond)
		var err error
		if *t, err = r.neighbours(); err != nil {
			return err
		}
	}
	return nil
}

// waitFor lets the kernel ask for neighbours, when an empty datagram is sent to
// their discard port. It asks three times, a second apart, and then gives up.
func (s *session) waitFor(ctx context.Context, r *rtnl, hs *hops, wanted []*hopRun) error {
	const (
		patience = 3200 * time.Millisecond
		atOnce   = 512 // of a table of 1,024 (net.ipv4.neigh.default.gc_thresh3)
	)
	type asked struct {
		*hopRun
		at time.Duration
	}
	var waiting []asked
	pause := time.Millisecond
	for len(wanted)+len(waiting) > 0 && ctx.Err() == nil {
		now := s.now()
		for len(wanted) > 0 && len(waiting) < atOnce {
			if !poke(s.neighbourOf(hs, wanted[0])) && len(waiting) > 0 {
				break // there is no room now
			}
			waiting, wanted = append(waiting, asked{wanted[0], now}), wanted[1:]
			pause = time.Millisecond
		}
		time.Sleep(pause)
		pause = min(pause*2, 50*time.Millisecond)
		table, err := r.neighbours()
		if err != nil {
			return err
		}
		left := waiting[:0]
		for _, a := range waiting {
			if len(s.greet(hs, []*hopRun{a.hopRun}, table.known)) == 0 {
				continue
			}
			// One that had failed before is asked again, and that shows a little later.
			old := s.now() - a.at
			if n := s.neighbourOf(hs, a.hopRun); old < patience && (!table.failed[n] || old < 20*time.Millisecond) {
				left = append(left, a)
			}
		}
		waiting = left
		s.tick(s.now())
	}
	return nil
}

// poke sends a datagram that makes the kernel look for a neighbour, and reports
// whether it could.
func poke(n neighbour) bool {
	fd, err := unix.Socket(int(familyOf(n.addr)), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	sa := sockaddr(n.addr, 9)
	if in6, ok := sa.(*unix.SockaddrInet6); ok && n.addr.IsLinkLocalUnicast() {
		in6.ZoneId = uint32(n.device)
	}
	return unix.Sendto(fd, nil, 0, sa) == nil // the answer is looked for in the table
}

// What a link is asked: everybody on it hears a question, and some of them by radio
// at a megabit.
const (
	linkRate   = 4000 // a second
	linkRounds = 3
	// enoughThere is how many hosts make the second round tell that: with 32, and
	// none of them missed by the first, less than a tenth is lost (95 %), and of two
	// questions one in a hundred.
	enoughThere = 32
	// lateAnswer is how long the last answers of a round may take.
	lateAnswer = 500 * time.Millisecond
)

// askLink asks many hosts of a link for their addresses: whoever does not answer
// in any round is not there. Where enough are, and the second round finds no more, so
// little is lost that a third would not either.
func (s *session) askLink(ctx context.Context, hs *hops, exit int32, wanted []*hopRun) error {
	if len(wanted) == 0 {
		return nil
	}
	x := &hs.exits[exit]
	v6 := x.source.Is6()
	fd, err := newLinkSocket(x.device, v6)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	rate := float64(linkRate)
	if s.q.Rate > 0 {
		rate = min(rate, s.q.Rate)
	}
	in := newReceiver()
	var question []byte
	last, there := 0, 0
	listen := func() {
		in.drain(fd, func(b []byte) {
			host, hardware, ok := parseNeighbour(b, v6)
			if !ok {
				return
			}
			n, ok := s.q.Targets.Index(host)
			if !ok {
				return
			}
			if h := hs.find(n, &last); h.exit == exit && h.n == 1 && !h.gateway.IsValid() && !h.ok {
				h.hardware, h.ok = hardware, true
				there++
			}
		})
	}
	for round := range linkRounds {
		began, sent, before := s.now(), 0.0, there
		for _, h := range wanted {
			if ctx.Err() != nil {
				return nil
			}
			if h.ok {
				continue
			}
			question = whoHas(question[:0], x, s.q.Targets.At(h.from).WithZone(""))
			// A device without room loses it: there are more rounds.
			_ = unix.Sendto(fd, question, unix.MSG_DONTWAIT, &unix.SockaddrLinklayer{Ifindex: x.device})
			for sent++; sent > rate*(s.now()-began).Seconds()+8; {
				time.Sleep(time.Millisecond)
				listen()
				s.tick(s.now())
			}
		}
		for until := s.now() + lateAnswer; sent > 0 && s.now() < until; {
			time.Sleep(10 * time.Millisecond)
			listen()
		}
		if round > 0 && there == before && there >= enoughThere {
			break
		}
	}
	return nil
}

// newLinkSocket sends whole frames, and hears what hosts of the link say of
// themselves.
func newLinkSocket(device int, v6 bool) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	kind := uint16(unix.ETH_P_ARP)
	if v6 {
		kind = unix.ETH_P_IPV6
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(kind), Ifindex: device}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

const (
	arpLen = 28
	nsLen  = 32 // a neighbour solicitation with the sender's link address
)

// whoHas appends the frame that asks a link who has an address: an ARP request
// (RFC 826), or a neighbour solicitation to the address's multicast group (RFC 4861
// sections 4.3 and 7.2.2).
func whoHas(f []byte, x *exit, host netip.Addr) []byte {
	if host.Is4() {
		f = append(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		f = append(append(f, x.own...), 0x08, 0x06)
		f = append(f, 0, 1, 8, 0, macLen, 4, 0, 1) // Ethernet, IPv4, a request
		f = append(append(f, x.own...), x.source.AsSlice()...)
		f = append(f, 0, 0, 0, 0, 0, 0)
		return append(f, host.AsSlice()...)
	}
	to, from := host.As16(), x.source.As16()
	group := [16]byte{0xff, 2, 11: 1, 12: 0xff, 13: to[13], 14: to[14], 15: to[15]}
	f = append(f, 0x33, 0x33, 0xff, to[13], to[14], to[15])
	f = append(append(f, x.own...), 0x86, 0xdd)
	f = append(f, 0x60, 0, 0, 0, 0, nsLen, 58, 255)
	f = append(append(f, from[:]...), group[:]...)
	f = append(f, 135, 0, 0, 0, 0, 0, 0, 0)
	f = append(append(f, to[:]...), 1, 1)
	f = append(f, x.own...)
	icmp := f[etherLen+ip6Len:]
	sum := sum16(from[:]) + sum16(group[:]) + nsLen + 58 + sum16(icmp)
	binary.BigEndian.PutUint16(icmp[2:], ^fold(sum))
	return f
}

// parseNeighbour reads a frame in which a host says what its link address is.
func parseNeighbour(b []byte, v6 bool) (host netip.Addr, hardware [macLen]byte, ok bool) {
	if len(b) < etherLen {
		return host, hardware, false
	}
	b = b[etherLen:]
	if !v6 {
		if len(b) < arpLen || [8]byte(b) != [8]byte{0, 1, 8, 0, macLen, 4, 0, 2} {
			return host, hardware, false
		}
		return netip.AddrFrom4([4]byte(b[14:])), [macLen]byte(b[8:]), true
	}
	// RFC 4861 section 7.1.2: hop limit 255, so that it comes from this link.
	if len(b) < ip6Len+24 || b[6] != 58 || b[7] != 255 || b[ip6Len] != 136 || b[ip6Len+1] != 0 {
		return host, hardware, false
	}
	icmp := b[ip6Len:]
	host = netip.AddrFrom16([16]byte(icmp[8:]))
	for options := icmp[24:]; len(options) >= 8 && options[1] > 0 && int(options[1])*8 <= len(options); options = options[int(options[1])*8:] {
		if options[0] == 2 && options[1] == 1 {
			return host, [macLen]byte(options[2:]), true
		}
	}
	return host, hardware, false
}
