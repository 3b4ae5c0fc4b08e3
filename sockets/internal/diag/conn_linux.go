package diag

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection to the kernel's socket tables. It stays with the network
// namespace of the thread that made it. It is not safe for concurrent use.
type Conn struct {
	fd    int
	busy  bool // an answer was not read to its end
	seq   uint32
	buf   []byte
	names map[uint32]string
}

// bufSize is the largest datagram that the kernel makes for a dump
// (netlink_recvmsg limits it to 32 KiB), so that an answer takes the fewest
// system calls.
const bufSize = 32 << 10

// patience is how long a single answer may take. The kernel makes it while it is
// being read, so anything near this means that something else is in the way.
const patience = 10 * time.Second

// Dial connects to the kernel.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
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

// Busy reports whether the last answer was given up before its end. The kernel
// then answers every further question with EBUSY.
func (c *Conn) Busy() bool { return c.busy }

// Close ends the connection.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// Dump calls f for every socket that r asks for. The Socket is only valid during
// the call. An error of the kernel is a syscall.Errno: ENOENT means that it has
// no such transport. After [ErrInterrupted] or ENOBUFS, what f was told is worth
// nothing and asking again helps.
//
// The kernel makes the answer datagram by datagram and counts its way back to
// the socket of a hash chain where it was. If one before that was closed in the
// meantime, another is left out. Sockets of one port and address are in one
// chain: split reports that an answer was cut between two of the same port.
func (c *Conn) Dump(r Request, f func(*Socket)) (split bool, err error) {
	c.seq++
	msg := r.appendTo(make([]byte, 0, 128), c.seq)
	c.busy = true
	if err := c.send(msg); err != nil {
		return false, os.NewSyscallError("send", err)
	}
	var (
		s     Socket
		port  uint16 // of the socket before; 0 is none
		first bool   // of its datagram
	)
	take := func(s *Socket) {
		split = split || first && port != 0 && port == s.Local.Port()
		first, port = false, s.Local.Port()
		f(s)
	}
	for {
		b, err := c.receive()
		if err != nil {
			return split, err
		}
		first = true
		done, err := parse(b, c.seq, &s, take)
		if c.busy = !done; err != nil || done {
			return split, err
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

// InterfaceName returns the name of the interface with the given index in the
// connection's namespace, or the index as a decimal number where there is no
// such interface any more.
func (c *Conn) InterfaceName(index uint32) string {
	name, ok := c.names[index]
	if !ok {
		if name = c.askName(index); name == "" {
			name = strconv.FormatUint(uint64(index), 10)
		}
		if c.names == nil {
			c.names = make(map[uint32]string)
		}
		c.names[index] = name
	}
	return name
}

// askName returns "" where the kernel knows no name. Any socket will do for the
// question, a netlink one too.
func (c *Conn) askName(index uint32) string {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(index)
	if unix.IoctlIfreq(c.fd, unix.SIOCGIFNAME, ifr) != nil {
		return ""
	}
	return ifr.Name()
}
