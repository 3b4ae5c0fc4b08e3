package netlink

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection to the kernel. It stays with the network namespace of the
// thread that made it. It is not safe for concurrent use.
type Conn struct {
	family, fd int
	buf        []byte
}

// bufSize is the largest datagram that the kernel makes for a dump (netlink_recvmsg
// limits it to 32 KiB), so that an answer takes the fewest system calls.
const bufSize = 32 << 10

// patience is how long a single datagram may take. The kernel makes it while it is
// being read, so anything near this means that something else is in the way.
const patience = 10 * time.Second

// Dial connects to a family of netlink, such as unix.NETLINK_NETFILTER.
func Dial(family int) (*Conn, error) {
	fd, err := open(family)
	if err != nil {
		return nil, err
	}
	return &Conn{family, fd, make([]byte, bufSize)}, nil
}

func open(family int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	timeout := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return 0, os.NewSyscallError("setsockopt", err)
	}
	return fd, nil
}

// Again connects anew. After an answer that was given up before its end the kernel
// would refuse every further question for a dump with EBUSY.
func (c *Conn) Again() error {
	fd, err := open(c.family)
	if err != nil {
		return err
	}
	unix.Close(c.fd)
	c.fd = fd
	return nil
}

// Close ends the connection.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// FD is the socket, for what else it can be asked.
func (c *Conn) FD() int { return c.fd }

// Send sends a message, or several.
func (c *Conn) Send(msg []byte) error {
	for {
		err := unix.Sendto(c.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return os.NewSyscallError("send", err)
		}
	}
}

// Receive returns the next datagram, which is valid until the next call. One that
// is larger than any before is [ErrInterrupted]: it is lost, and there will be
// room for it when it is asked for again.
func (c *Conn) Receive() ([]byte, error) {
	for {
		n, _, flags, from, err := unix.Recvmsg(c.fd, c.buf, nil, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("recvmsg", err)
		case n == 0:
			return nil, fmt.Errorf("%w: empty", ErrFormat)
		}
		// Only the kernel has port id 0; a privileged process may send, too.
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue
		}
		if flags&unix.MSG_TRUNC != 0 {
			c.buf = make([]byte, n)
			return nil, ErrInterrupted
		}
		return c.buf[:n], nil
	}
}
