package probe

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	snap = 160 // bytes: an answer with all options, and an ICMP error's quotation
	// receiveBuffer is what the kernel may keep while no thread runs; without
	// CAP_NET_ADMIN it is net.core.rmem_max.
	receiveBuffer = 32 << 20
)

// newPackets opens a packet socket that hears the answers to sliceCount source
// ports on a device, and nothing else. The filter is in place before the first
// packet can come.
//
// All threads read from it.
func newPackets(device int, v6 bool, ports uint16) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	program := answersTo(v6, uint32(ports), uint32(ports)+sliceCount-1)
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // what there is has to do
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(etherType(v6)), Ifindex: device}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// receiver reads packets, many with one system call.
type receiver struct {
	buffers [batch][snap]byte
	vectors [batch]unix.Iovec
	headers [batch]message
}

func newReceiver() *receiver {
	r := new(receiver)
	for i := range r.headers {
		r.vectors[i].Base = &r.buffers[i][0]
		r.vectors[i].SetLen(snap)
		m := &r.headers[i].header
		m.Iov = &r.vectors[i]
		m.SetIovlen(1)
	}
	return r
}

// drain calls each with the packets that have come, from the network header on.
func (r *receiver) drain(fd int, each func([]byte)) {
	const rounds = 64 // then there is something to send again
	for range rounds {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.headers[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return // EAGAIN: that was all. ENETDOWN: the flows will see that nothing answers.
		}
		for i := range int(n) {
			each(r.buffers[i][:min(int(r.headers[i].n), snap)])
		}
		if n < batch {
			return
		}
	}
}

func etherType(v6 bool) uint16 {
	if v6 {
		return unix.ETH_P_IPV6
	}
	return unix.ETH_P_IP
}

func networkOrder(n uint16) uint16 {
	b := [2]byte{byte(n >> 8), byte(n)}
	return binary.NativeEndian.Uint16(b[:])
}

// answersTo is a filter (classic BPF) for what answers SYNs from some source
// ports, so that nothing else is copied to us: TCP with ACK to one of the ports,
// and ICMP errors that quote one.
func answersTo(v6 bool, low, high uint32) []unix.SockFilter {
	const (
		ldb  = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		ldh  = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		ldbx = unix.BPF_LD | unix.BPF_B | unix.BPF_IND
		ldhx = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
		ihl  = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jge  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		jgt  = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		jset = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
	)
	if v6 {
		return []unix.SockFilter{
			{Code: ldb, K: 6}, // next header
			{Code: jeq, K: 6, Jf: 5},
			{Code: ldh, K: ip6Len + 2}, // destination port
			{Code: jge, K: low, Jf: 10},
			{Code: jgt, K: high, Jt: 9},
			{Code: ldb, K: ip6Len + 13}, // flags
			{Code: jset, K: 16, Jt: 6, Jf: 7},
			{Code: jeq, K: 58, Jf: 6},
			{Code: ldb, K: ip6Len}, // ICMPv6 type
			{Code: jeq, K: 1, Jf: 4},
			{Code: ldh, K: ip6Len + 8 + ip6Len}, // quoted source port
			{Code: jge, K: low, Jf: 2},
			{Code: jgt, K: high, Jt: 1},
			{Code: ret, K: snap},
			{Code: ret, K: 0},
		}
	}
	return []unix.SockFilter{
		{Code: ldb, K: 9}, // protocol
		{Code: ihl, K: 0},
		{Code: jeq, K: 6, Jf: 5},
		{Code: ldhx, K: 2},
		{Code: jge, K: low, Jf: 10},
		{Code: jgt, K: high, Jt: 9},
		{Code: ldbx, K: 13},
		{Code: jset, K: 16, Jt: 6, Jf: 7},
		{Code: jeq, K: 1, Jf: 6},
		{Code: ldbx, K: 0}, // ICMP type
		{Code: jeq, K: 3, Jf: 4},
		{Code: ldhx, K: 8 + ip4Len},
		{Code: jge, K: low, Jf: 2},
		{Code: jgt, K: high, Jt: 1},
		{Code: ret, K: snap},
		{Code: ret, K: 0},
	}
}
