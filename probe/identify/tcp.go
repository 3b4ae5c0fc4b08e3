package identify

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/monban-dev/monban"
)

type dialer func(ctx context.Context) (net.Conn, error)

// tcp identifies a TCP door.
func (r *run) tcp(ctx context.Context) (monban.Service, error) {
	first, err := r.connect(ctx)
	if err != nil {
		return monban.Service{}, err
	}
	s := r.race(ctx, first, r.connect, false)
	if s.Grade == monban.GradeUnknown && ctx.Err() != nil {
		return s, ctx.Err()
	}
	return s, nil
}

// connect opens a connection to the target when the host has a place for it.
func (r *run) connect(ctx context.Context) (net.Conn, error) {
	if err := acquire(ctx, r.host.slots); err != nil {
		return nil, err
	}
	dial := r.id.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	var start time.Time
	c, err := whenThereIsRoom(ctx, func() (net.Conn, error) {
		start = time.Now()
		return dial(ctx, "tcp", r.target.String())
	})
	if err != nil {
		release(r.host.slots)
		return nil, err
	}
	r.rtt.CompareAndSwap(0, int64(min(time.Since(start), time.Second)))
	return &placed{Conn: c, release: sync.OnceFunc(func() { release(r.host.slots) })}, nil
}

// whenThereIsRoom opens a socket, and waits where this machine has none to give:
// no descriptor, no port, no memory. That says nothing of the door.
func whenThereIsRoom[S any](ctx context.Context, open func() (S, error)) (S, error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		s, err := open()
		if err == nil || !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) && !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.ENOBUFS) {
			return s, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return s, err
		}
	}
}

// placed is a connection that gives its place on the host back.
type placed struct {
	net.Conn
	release func()
}

func (c *placed) Close() error {
	defer c.release()
	return c.Conn.Close()
}
