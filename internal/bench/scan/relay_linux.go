package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The relay is a cable of a certain length: it forwards frames between two links
// after 20 ± 5 ms. The kernel's netem is not in every kernel.
const (
	oneWay = 20 * time.Millisecond
	jitter = 5 * time.Millisecond
	frame  = 1514
	many   = 64
)

func forward(ctx context.Context) error {
	failed := make(chan error, 4)
	for _, way := range [][2]string{{"left", "right"}, {"right", "left"}} {
		out, err := packetSocket(way[1], 0)
		if err != nil {
			return err
		}
		// Two protocols, because a socket for all would hear what the loss at
		// ingress drops.
		for _, protocol := range []uint16{unix.ETH_P_IP, unix.ETH_P_ARP} {
			in, err := packetSocket(way[0], protocol)
			if err != nil {
				return err
			}
			go func() { failed <- carry(in, out) }()
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func packetSocket(device string, protocol uint16) (int, error) {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return -1, err
	}
	big := protocol<<8 | protocol>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 128<<20); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	return fd, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: big, Ifindex: link.Index}))
}

type mmsg struct {
	header unix.Msghdr
	n      uint32
	_      uint32
}

// packet is a frame under way.
type packet struct {
	due time.Duration
	n   int
	b   [128]byte
}

// carry forwards from one socket to another. Jitter reorders: frames wait in
// slots of a quarter of a millisecond.
func carry(in, out int) error {
	runtime.LockOSThread()
	var buffers [many][frame]byte
	var vectors [many]unix.Iovec
	var headers [many]mmsg
	for i := range headers {
		vectors[i].Base = &buffers[i][0]
		vectors[i].SetLen(frame)
		headers[i].header.Iov = &vectors[i]
		headers[i].header.SetIovlen(1)
	}
	const slot = 250 * time.Microsecond
	var wheel [512][]packet
	began := time.Now()
	sent := time.Duration(0) // everything due before is on its way
	for {
		now := time.Since(began)
		for ; sent+slot <= now; sent += slot {
			at := int(sent/slot) % len(wheel)
			if err := emit(out, wheel[at]); err != nil {
				return err
			}
			wheel[at] = wheel[at][:0]
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(in), uintptr(unsafe.Pointer(&headers[0])), many, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		if errno != 0 {
			return os.NewSyscallError("recvmmsg", errno)
		}
		for i := range int(n) {
			if int(headers[i].n) > len(packet{}.b) {
				return fmt.Errorf("a frame of %d bytes: the bench sends none", headers[i].n)
			}
			due := now + oneWay + time.Duration((rand.Float64()*2-1)*float64(jitter))
			at := int(due/slot) % len(wheel)
			p := packet{due: due, n: int(headers[i].n)}
			copy(p.b[:], buffers[i][:p.n])
			wheel[at] = append(wheel[at], p)
		}
	}
}

func emit(out int, packets []packet) error {
	var vectors [many]unix.Iovec
	var headers [many]mmsg
	for len(packets) > 0 {
		n := min(many, len(packets))
		for i := range n {
			vectors[i].Base = &packets[i].b[0]
			vectors[i].SetLen(packets[i].n)
			headers[i].header.Iov = &vectors[i]
			headers[i].header.SetIovlen(1)
		}
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(out), uintptr(unsafe.Pointer(&headers[0])), uintptr(n), 0, 0, 0)
		if errno != 0 && !errors.Is(errno, unix.ENOBUFS) {
			return os.NewSyscallError("sendmmsg", errno)
		}
		packets = packets[max(1, int(sent)):]
	}
	return nil
}
