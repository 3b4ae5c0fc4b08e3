package identify

import (
	"context"
	"net"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/probe/identify/internal/tlspeek"
)

// tlsQuestions has only a place in the order: [race.handshake] asks.
func tlsQuestions() []signature {
	return []signature{{
		name: "tls",
		ports: []uint16{443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2376, 2484, 3269, 4433, 5061, 5223, 5349, 5671, 6443, 6514, 6697,
			8243, 8443, 8883, 9443, 10250},
		resembles: func(said []byte) bool {
			// An alert: of a server that was told something else.
			return len(said) >= 3 && said[0] == 21 && said[1] == 3 && said[2] <= 4 || refusesPlain(monban.Service{Evidence: string(said)})
		},
	}}
}

// A session is what is known of a server's TLS, and a connection inside it, on
// which nothing was said yet; nil where it could not be entered.
type session struct {
	net.Conn
	peer tlspeek.Peer
	late bool // the time was over in the middle of the handshake
}

// Close closes the connection, if there is one.
func (s *session) Close() {
	if s.Conn != nil {
		s.Conn.Close()
	}
}

// describe adds what the handshake showed to a service.
func (s *session) describe(service monban.Service) monban.Service {
	service.TLS = true
	// A certificate that cannot be read is none: TLS was spoken all the same.
	service.Certificate, _ = tlspeek.Leaf(s.peer.Certificate)
	if service.Grade == monban.GradeUnknown && service.Evidence == "" {
		service.Evidence = s.peer.Version
	}
	return service
}

// handshake asks a server for TLS. It keeps raw for the session, or closes it.
func (x *race) handshake(until time.Time, raw net.Conn) result {
	c, peer, said := enter(x.ctx, raw, until)
	if !peer.Spoke {
		if said != "" { // the head of a record was read of it, and the rest is mostly here
			_ = raw.SetReadDeadline(time.Now().Add(quiet))
			rest := make([]byte, maxHead)
			n, _ := raw.Read(rest)
			said += string(rest[:n])
		}
		raw.Close()
		return result{said: said}
	}
	s := &session{peer: peer}
	if c == nil {
		raw.Close()
		s.late = !time.Now().Before(until)
	} else {
		s.Conn = c
	}
	return result{within: s}
}

// enter goes inside TLS over raw. said is what the server said, if that is no
// TLS.
func enter(ctx context.Context, raw net.Conn, until time.Time) (c net.Conn, peer tlspeek.Peer, said string) {
	_ = raw.SetDeadline(until) // without deadlines, ctx ends it
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	heard := &overheard{Conn: raw}
	inner, peer, err := tlspeek.Client(heard)
	heard.deaf = true
	if err != nil {
		return nil, peer, string(heard.said)
	}
	return inner, peer, ""
}

// overheard keeps the beginning of what a server says.
type overheard struct {
	net.Conn
	said []byte
	deaf bool
}

func (o *overheard) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	if !o.deaf && len(o.said) < evidenceLen {
		o.said = append(o.said, b[:n]...)
	}
	return n, err
}

// inside identifies what is spoken inside TLS.
func (r *run) inside(ctx context.Context, first *session) monban.Service {
	dial := func(ctx context.Context) (net.Conn, error) {
		raw, err := r.connect(ctx)
		if err != nil {
			return nil, err
		}
		c, _, _ := enter(ctx, raw, time.Now().Add(r.patience))
		if c == nil {
			raw.Close()
			return nil, net.ErrClosed
		}
		return c, nil
	}
	if first.Conn == nil && first.late {
		// A server that takes one connection at a time answers at the very end of
		// the patience, when the connection that listened is closed.
		if c, err := dial(ctx); err == nil {
			first.Conn = c
		}
	}
	if first.Conn == nil {
		return first.describe(monban.Service{})
	}
	return first.describe(r.race(ctx, first.Conn, dial, true))
}

// startTLS goes inside after the server has agreed to it, for the certificate.
func (c *conn) startTLS(s monban.Service) monban.Service {
	if len(c.said) > 0 {
		return s // said after it agreed, and before TLS: not to be mixed with it
	}
	inner, peer, _ := enter(c.ctx, c.Conn, c.until)
	if !peer.Spoke {
		return s
	}
	if inner != nil {
		c.Conn, c.inside = inner, true
	}
	return (&session{peer: peer}).describe(s)
}
