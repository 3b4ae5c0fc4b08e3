package tlspeek

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// The records, RFC 8446 section 5.1.
const (
	recordChangeCipher = 20
	recordAlert        = 21
	recordHandshake    = 22
	recordData         = 23
)

const (
	maxPlain  = 1 << 14
	maxSealed = maxPlain + 2048 // TLS 1.2; 1.3 allows less
	maxFlight = 128 << 10       // bytes of the server's handshake
)

// ErrNotTLS is an answer that is not a record of TLS.
var ErrNotTLS = errors.New("not TLS")

// AlertError is a server's refusal, by the number of RFC 8446 section 6.
type AlertError struct{ Number byte }

// Error implements error.
func (e *AlertError) Error() string { return fmt.Sprintf("tls: alert %d", e.Number) }

func record(kind byte, version uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind}, version)
	return vector16(b, data)
}

// half is one direction of a connection.
type half struct {
	aead cipher.AEAD // nil is not encrypted yet
	iv   []byte      // 12 bytes in TLS 1.3, 4 in 1.2
	seq  uint64
	v13  bool
}

func (h *half) nonce(explicit []byte) []byte {
	n := make([]byte, 12)
	copy(n, h.iv)
	if !h.v13 {
		copy(n[4:], explicit)
		return n
	}
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], h.seq)
	for i, b := range seq {
		n[4+i] ^= b
	}
	return n
}

// extra is what TLS 1.2 authenticates besides the text: RFC 5246 section 6.2.3.3.
func (h *half) extra(kind byte, length int) []byte {
	b := binary.BigEndian.AppendUint64(nil, h.seq)
	b = append(b, kind)
	b = binary.BigEndian.AppendUint16(b, tls12)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// seal makes a record.
func (h *half) seal(kind byte, data []byte) []byte {
	if h.aead == nil {
		return record(kind, tls12, data)
	}
	defer func() { h.seq++ }()
	if h.v13 {
		inner := append(append([]byte(nil), data...), kind)
		head := binary.BigEndian.AppendUint16([]byte{recordData, 3, 3}, uint16(len(inner)+h.aead.Overhead()))
		return h.aead.Seal(head, h.nonce(nil), inner, head)
	}
	explicit := binary.BigEndian.AppendUint64(nil, h.seq)
	sealed := h.aead.Seal(explicit, h.nonce(explicit), data, h.extra(kind, len(data)))
	return record(kind, tls12, sealed)
}

// open takes a record's text out.
func (h *half) open(kind byte, head, data []byte) (byte, []byte, error) {
	// A TLS 1.3 server sends ChangeCipherSpec in clear for the sake of boxes on
	// the way: RFC 8446 appendix D.4.
	if h.aead == nil || h.v13 && kind == recordChangeCipher {
		return kind, data, nil
	}
	if h.v13 && kind != recordData {
		return kind, data, nil // an alert in clear, of a server that gave up before its keys
	}
	defer func() { h.seq++ }()
	if h.v13 {
		plain, err := h.aead.Open(nil, h.nonce(nil), data, head)
		if err != nil {
			return 0, nil, err
		}
		for len(plain) > 0 && plain[len(plain)-1] == 0 {
			plain = plain[:len(plain)-1]
		}
		if len(plain) == 0 {
			return 0, nil, errMalformed
		}
		return plain[len(plain)-1], plain[:len(plain)-1], nil
	}
	if len(data) < 8+h.aead.Overhead() {
		return 0, nil, errMalformed
	}
	plain, err := h.aead.Open(nil, h.nonce(data[:8]), data[8:], h.extra(kind, len(data)-8-h.aead.Overhead()))
	return kind, plain, err
}

// Conn is a connection inside TLS. It is for one goroutine.
type Conn struct {
	net.Conn
	in, out half
	heard   bool   // a record was read
	flight  int    // handshake bytes read
	pending []byte // handshake bytes that were read and not used
	plain   []byte // the same of application data
	err     error  // what ended reading
	// saying is held while something is sealed and sent: a connection may be
	// closed while it is written to.
	saying sync.Mutex
}

// next reads one record.
func (c *Conn) next() (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.Conn, head[:1]); err != nil {
		return 0, nil, err
	}
	// Judged by its first byte already: one that talks otherwise might never
	// send five.
	if head[0] < recordChangeCipher || head[0] > recordData {
		return 0, nil, c.notTLS()
	}
	if _, err := io.ReadFull(c.Conn, head[1:]); err != nil {
		return 0, nil, err
	}
	length := int(binary.BigEndian.Uint16(head[3:]))
	if head[1] != 3 || head[2] > 4 || length > maxSealed {
		return 0, nil, c.notTLS()
	}
	sealed := make([]byte, length)
	if _, err := io.ReadFull(c.Conn, sealed); err != nil {
		return 0, nil, err
	}
	kind, data, err = c.in.open(head[0], head[:], sealed)
	if err != nil {
		return 0, nil, err
	}
	if kind == recordAlert {
		if len(data) != 2 || data[0] != 1 && data[0] != 2 {
			return 0, nil, c.notTLS()
		}
		c.heard = true
		if data[1] == 0 {
			return 0, nil, io.EOF // close_notify
		}
		return 0, nil, &AlertError{data[1]}
	}
	c.heard = true
	return kind, data, nil
}

func (c *Conn) notTLS() error {
	if c.heard {
		return errMalformed
	}
	return ErrNotTLS
}

// message reads one handshake message, with its header and without.
func (c *Conn) message() (kind byte, whole, body []byte, err error) {
	for {
		if len(c.pending) >= 4 {
			n := 4 + (int(c.pending[1])<<16 | int(c.pending[2])<<8 | int(c.pending[3]))
			if n > maxFlight {
				return 0, nil, nil, errMalformed
			}
			if len(c.pending) >= n {
				whole = c.pending[:n]
				c.pending = c.pending[n:]
				return whole[0], whole, whole[4:], nil
			}
		}
		kind, data, err := c.next()
		switch {
		case err != nil:
			return 0, nil, nil, err
		case kind == recordChangeCipher && c.in.v13:
			continue
		case kind != recordHandshake || len(data) == 0:
			return 0, nil, nil, errMalformed
		}
		if c.flight += len(data); c.flight > maxFlight {
			return 0, nil, nil, errMalformed
		}
		c.pending = append(c.pending, data...)
	}
}

// Read reads what is spoken inside.
func (c *Conn) Read(b []byte) (int, error) {
	for len(c.plain) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		kind, data, err := c.next()
		switch {
		case err != nil:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return 0, err
			}
			c.err = err
			return 0, err
		case kind == recordData:
			c.plain = data
		case kind == recordHandshake && c.in.v13 && len(data) > 0 && data[0] == typeNewSessionTicket:
			// Not for us: every connection is a new one.
		case kind == recordChangeCipher && c.in.v13:
		default:
			// A renegotiation or a change of keys, before anything was said.
			c.err = errMalformed
		}
	}
	n := copy(b, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// Write says something inside.
func (c *Conn) Write(b []byte) (int, error) {
	c.saying.Lock()
	defer c.saying.Unlock()
	written := 0
	for len(b) > 0 {
		part := b[:min(len(b), maxPlain)]
		if _, err := c.Conn.Write(c.out.seal(recordData, part)); err != nil {
			return written, err
		}
		written += len(part)
		b = b[len(part):]
	}
	return written, nil
}

// Close says good-bye, unless somebody is just writing, and closes the connection.
func (c *Conn) Close() error {
	if c.saying.TryLock() {
		defer c.saying.Unlock()
		if c.out.aead != nil {
			_, _ = c.Conn.Write(c.out.seal(recordAlert, []byte{1, 0})) // it may be closed already
		}
	}
	return c.Conn.Close()
}
