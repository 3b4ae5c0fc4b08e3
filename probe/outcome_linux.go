package probe

import (
	"errors"

	"golang.org/x/sys/unix"
)

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
	switch {
	case errors.Is(failed, unix.ECONNREFUSED):
		return closed
	case errors.Is(failed, unix.ECONNRESET), errors.Is(failed, unix.EPIPE):
		// The connection stood, and was reset before anybody looked: a RST that
		// answers the SYN is ECONNREFUSED (net/ipv4/tcp_input.c, tcp_reset).
		return open
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
