package nfnl

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netlink"
)

// Conn is a connection to the kernel's packet filter. It stays with the network
// namespace of the thread that made it. It is not safe for concurrent use.
type Conn struct {
	conn *netlink.Conn
	seq  uint32
	busy bool // an answer was not read to its end
	// last is the generation that the last object of the last answer was of;
	// told: there was an object.
	last uint16
	told bool
}

// Dial connects to the kernel.
func Dial() (*Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: c}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

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

// Still reports whether the ruleset is sure to have been of the generation until
// the end of the last [Conn.Dump]: every object says of which it is. Where Still
// does not know, [Conn.Generation] does.
func (c *Conn) Still(generation uint32) bool { return c.told && c.last == uint16(generation) }

// Dump calls f for every object of the kind, of every family where family is 0.
// The attributes are only valid during the call. An error of the kernel is a
// syscall.Errno: EPERM without CAP_NET_ADMIN. After [ErrChanged] what f was told
// is worth nothing.
func (c *Conn) Dump(k Kind, family uint8, attrs []byte, f func(family uint8, attrs []byte) error) error {
	return c.ask(k, family, attrs, f)
}

func (c *Conn) ask(k Kind, family uint8, attrs []byte, f func(uint8, []byte) error) error {
	if c.busy {
		if err := c.conn.Again(); err != nil {
			return err
		}
	}
	c.seq++
	c.told, c.busy = false, true
	if err := c.conn.Send(appendRequest(nil, k, family, c.seq, attrs)); err != nil {
		return err
	}
	take := func(o *object) error {
		c.last, c.told = o.generation, true
		return f(o.family, o.attrs)
	}
	for {
		b, err := c.conn.Receive()
		if errors.Is(err, netlink.ErrInterrupted) {
			return ErrChanged
		}
		if err != nil {
			return err
		}
		done, err := parse(b, k, c.seq, take)
		done = done || k == gen && c.told
		if c.busy = !done; err != nil || done {
			return err
		}
	}
}
