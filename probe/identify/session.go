package identify

import (
	"context"
	"net"

	"github.com/monban-dev/monban"
)

// A session is a connection inside TLS.
type session struct {
	net.Conn
	certificate monban.Certificate
}

// startTLS goes on inside TLS after the server has agreed to it.
func (c *conn) startTLS(s monban.Service) monban.Service {
	s.TLS = true
	return s
}

// handshake asks a server for TLS.
func (x *race) handshake(_ context.Context, raw net.Conn) result {
	raw.Close()
	return result{}
}

// inside identifies what is spoken inside TLS.
func (r *run) inside(ctx context.Context, first *session) monban.Service {
	s := r.race(ctx, first, r.connect, true)
	s.TLS, s.Certificate = true, first.certificate
	return s
}
