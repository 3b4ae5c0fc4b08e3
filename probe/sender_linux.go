package probe

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender sends packets from the network header on, many with one system call.
//
// On loopback it does so by a raw IP socket: what a packet socket puts there is
// dropped as a martian, because it comes in with a local source and without the
// route that the kernel's own packets carry along (net/ipv4/route.c,
// ip_route_input_slow).
type sender struct {
	fd      int
	size    int
	n, sent int // slots filled, and of those already sent
	packets []byte
	names   [batch]name
	vectors [batch]unix.Iovec
	headers [batch]message
	blank   name
	byIP    bool
	v6      bool
}

// name has room for each of the three kinds of address: sockaddr_ll, sockaddr_in
// and sockaddr_in6.
type name [28]byte

// message is struct mmsghdr.
type message struct {
	header unix.Msghdr
	n      uint32
	_      uint32
}

// newIPSocket opens a socket that sends packets with headers of our own.
func newIPSocket(v6 bool) (int, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	return fd, os.NewSyscallError("socket", err)
}

func newSender(w way) *sender {
	size := ip4Len + tcpLen
	s := &sender{fd: w.out, byIP: w.loopback, v6: w.source.Is6()}
	nameLen := uint32(unix.SizeofSockaddrLinklayer)
	switch {
	case s.byIP && s.v6:
		nameLen = unix.SizeofSockaddrInet6
		native.PutUint16(s.blank[:], unix.AF_INET6)
	case s.byIP:
		nameLen = unix.SizeofSockaddrInet4
		native.PutUint16(s.blank[:], unix.AF_INET)
	default:
		native.PutUint16(s.blank[:], unix.AF_PACKET)
		binary.BigEndian.PutUint16(s.blank[2:], etherType(s.v6))
		native.PutUint32(s.blank[4:], uint32(w.device))
	}
	if s.v6 {
		size = ip6Len + tcpLen
	}
	s.size = size
	s.packets = make([]byte, batch*size)
	for i := range s.headers {
		s.vectors[i].Base = &s.packets[i*size]
		s.vectors[i].SetLen(size)
		m := &s.headers[i].header
		m.Iov, m.Name, m.Namelen = &s.vectors[i], &s.names[i][0], nameLen
		m.SetIovlen(1)
	}
	return s
}

// slot returns room for a packet to a neighbour, or to a host on loopback; the
// sender must not be full.
func (s *sender) slot(hardware []byte, host netip.Addr) []byte {
	name := &s.names[s.n]
	*name = s.blank
	switch {
	case s.byIP && s.v6:
		a := host.As16()
		copy(name[8:], a[:])
	case s.byIP:
		a := host.As4()
		copy(name[4:], a[:])
	default:
		name[11] = byte(min(len(hardware), 8))
		copy(name[12:20], hardware)
	}
	s.n++
	return s.packets[(s.n-1)*s.size : s.n*s.size]
}

// flush sends what is there. Where the system has no room the rest waits: that
// is back-pressure, not loss.
func (s *sender) flush() error {
	for s.sent < s.n {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.headers[s.sent])), uintptr(s.n-s.sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			s.sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
			return nil
		case unix.EPERM, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ECONNREFUSED:
			s.sent++ // a rule of this machine, or an answer to an earlier packet: this one is lost
		default:
			return os.NewSyscallError("sendmmsg", errors.Join(errno))
		}
	}
	s.n, s.sent = 0, 0
	return nil
}

// full reports whether there is no slot left.
func (s *sender) full() bool { return s.n == batch }

// waiting reports whether packets are waiting for room.
func (s *sender) waiting() bool { return s.sent < s.n }
