package identify

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"
)

// errBudget ends the reading of a server that does not stop talking.
var errBudget = errors.New("the server said more than is read of it")

// A conn is a connection with bounds: it reads so many bytes and no more, and
// is closed when its context is done.
type conn struct {
	net.Conn
	question
	ctx context.Context
	// said is everything that was read and not yet taken.
	said []byte
	// left is how many bytes may still be read.
	left int
	// inside is set when it went inside TLS by agreement.
	inside bool
	// dial opens another connection to the same, inside TLS if this is.
	dial dialer
	// err is why reading ended.
	err   error
	until time.Time // its deadline
	// stop ends the watch over ctx.
	stop func() bool
}

// newConn takes over c.
func newConn(ctx context.Context, c net.Conn, q question, until time.Time) *conn {
	k := &conn{Conn: c, question: q, ctx: ctx, left: readBudget, until: until}
	_ = c.SetDeadline(until) // a connection without deadlines is still closed with ctx
	k.stop = context.AfterFunc(ctx, func() { c.Close() })
	return k
}

// Close ends the connection and frees what watches over it.
func (c *conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// say sends a message. Whether it arrived is seen in the answer.
func (c *conn) say(message []byte) {
	if _, err := c.Write(message); err != nil && c.err == nil {
		c.err = err
	}
}

// hear reads once, whatever there is, and reports whether anything came.
func (c *conn) hear() bool {
	if c.left <= 0 {
		c.err = errBudget
		return false
	}
	buf := make([]byte, min(4096, c.left))
	n, err := c.Read(buf)
	c.said = append(c.said, buf[:n]...)
	c.left -= n
	if err != nil {
		c.err = err
	}
	return n > 0
}

// hearOut hears a server out that says nothing of sense, for as much as evidence
// takes, until it pauses: its first words may come in pieces, and one letter of them
// shows little.
func (c *conn) hearOut(pause time.Duration) {
	for len(c.said) < evidenceLen {
		if soon := time.Now().Add(pause); soon.Before(c.until) {
			_ = c.SetReadDeadline(soon) // a connection without deadlines is closed with ctx
		}
		if !c.hear() {
			return
		}
	}
}

// hearUntil reads until done is satisfied with what was said, and reports
// whether it is.
func (c *conn) hearUntil(done func(said []byte) bool) bool {
	for !done(c.said) {
		if !c.hear() {
			return false
		}
	}
	return true
}

// ask forgets what was said, sends a message and reads until the answer is
// whole by the judgement of done, which returns its length, 0 for "not whole
// yet" and a negative number for "this is none". It returns the answer, or nil.
func (c *conn) ask(message []byte, done func(said []byte) int) []byte {
	c.said = nil
	c.say(message)
	for {
		switch n := done(c.said); {
		case n < 0:
			return nil
		case n > 0:
			answer := c.said[:n]
			c.said = c.said[n:]
			return answer
		}
		if !c.hear() {
			return nil
		}
	}
}

// again opens another connection to the same server, with the time that is left
// for this one. It is nil if there is none.
func (c *conn) again() *conn {
	if c.dial == nil {
		return nil
	}
	raw, err := c.dial(c.ctx)
	if err != nil {
		return nil
	}
	return newConn(c.ctx, raw, c.question, c.until)
}

// extend gives the connection so much time from now on.
func (c *conn) extend(d time.Duration) {
	c.until = time.Now().Add(d)
	_ = c.SetDeadline(c.until)
}

// aLine is a judgement for [conn.ask]: one line.
func aLine(said []byte) int { return bytes.IndexByte(said, '\n') + 1 }
