package nfnl

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection to the kernel's packet filter. It stays with the network
// namespace of the thread that made it. It is not safe for concurrent use.
type Conn struct {
	fd  int
	seq uint32
	buf []byte
}

// bufSize holds the largest datagram of a dump: netlink_dump makes them no larger
// than the reader's buffer and 32 KiB, except that a single object may need more.
const bufSize = 64 << 10

// patience is how long a single datagram may take.
const patience = 10 * time.Second

// Dial connects to the kernel.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	timeout := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return &Conn{fd: fd, buf: make([]byte, bufSize)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// Generation returns the kernel's count of changes to the ruleset.
func (c *Conn) Generation() (id uint32, err error) {
	err = c.ask(gen, 0, nil, func(_ uint8, attrs []byte) error {
		return Attrs(attrs, func(kind uint16, value []byte) error {
			if kind == 1 { // NFTA_GEN_ID
				id = Uint32(value)
			}
			return nil
		})
	})
	return id, err
}

// Dump calls f for every object of the kind, of every family where family is 0.
// The attributes are only valid during the call. An error of the kernel is a
// syscall.Errno: EPERM without CAP_NET_ADMIN. After [ErrChanged] what f was told
// is worth nothing.
func (c *Conn) Dump(k Kind, family uint8, attrs []byte, f func(family uint8, attrs []byte) error) error {
	return c.ask(k, family, attrs, f)
}

func (c *Conn) ask(k Kind, family uint8, attrs []byte, f func(uint8, []byte) error) error {
	c.seq++
	msg := appendRequest(nil, k, family, c.seq, attrs)
	if err := c.send(msg); err != nil {
		return os.NewSyscallError("send", err)
	}
	for {
		b, err := c.receive()
		if err != nil {
			return err
		}
		if done, err := parse(b, k, c.seq, f); err != nil || done {
			return err
		}
	}
}

func (c *Conn) send(msg []byte) error {
	for {
		err := unix.Sendto(c.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return err
		}
	}
}

func (c *Conn) receive() ([]byte, error) {
	for {
		// The real length, so that a larger object is read in full the next time.
		n, _, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_PEEK|unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("recvfrom", err)
		case n > len(c.buf):
			c.buf = make([]byte, n)
		}
		n, _, flags, from, err := unix.Recvmsg(c.fd, c.buf, nil, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("recvmsg", err)
		case flags&unix.MSG_TRUNC != 0:
			return nil, fmt.Errorf("%w: longer than %d bytes", errFormat, len(c.buf))
		case n == 0:
			return nil, fmt.Errorf("%w: empty", errFormat)
		}
		// Only the kernel has port id 0; a privileged process may send, too.
		if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid == 0 {
			return c.buf[:n], nil
		}
	}
}
