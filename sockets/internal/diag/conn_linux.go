package diag

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netlink"
)

// Conn is a connection to the kernel's socket tables. It stays with the network
// namespace of the thread that made it. It is not safe for concurrent use.
type Conn struct {
	conn  *netlink.Conn
	busy  bool // an answer was not read to its end
	seq   uint32
	names map[uint32]string
}

// Dial connects to the kernel.
func Dial() (*Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: c}, nil
}

// Busy reports whether the last answer was given up before its end. The kernel
// then answers every further question with EBUSY.
func (c *Conn) Busy() bool { return c.busy }

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

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
	if err := c.conn.Send(msg); err != nil {
		return false, err
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
		b, err := c.conn.Receive()
		if errors.Is(err, netlink.ErrInterrupted) {
			err = ErrInterrupted
		}
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
	if unix.IoctlIfreq(c.conn.FD(), unix.SIOCGIFNAME, ifr) != nil {
		return ""
	}
	return ifr.Name()
}
