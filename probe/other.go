//go:build !linux

package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Without epoll a goroutine makes each connection; there are never more than
// this many.
const mostDialers = 128

func (s *session) engine() (Engine, error) {
	if s.q.Engine == Raw || s.q.Engine == XDP {
		return s.q.Engine, errors.ErrUnsupported
	}
	return Connect, nil
}

func (s *session) raw(context.Context, []*flow) error { return errors.ErrUnsupported }

// heardAs is what came of a question.
type heardAs struct {
	f     *flow
	q     question
	state uint64
}

func (s *session) connect(ctx context.Context, flows []*flow) error {
	for ; len(flows) > 0; flows = s.further(ctx, flows) {
		if err := s.dialAll(ctx, flows); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) dialAll(ctx context.Context, flows []*flow) error {
	return s.workers(ctx, flows, func(ctx context.Context, to netip.AddrPort) uint64 {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
		switch {
		case err == nil:
			self := conn.LocalAddr().String() == conn.RemoteAddr().String()
			conn.Close()
			if self {
				return closed
			}
			return open
		case errors.Is(err, syscall.ECONNRESET): // the connection stood, and was reset at once
			return open
		case refused(err):
			return closed
		default:
			return silent
		}
	})
}

func (s *session) udp(ctx context.Context, r *Report) error {
	g := s.newGrid(r, s.q.UDP, udpProto)
	flows := s.planUDP(g)
	r.flows = append(r.flows, flows...)
	s.flows = r.flows
	return s.workers(ctx, flows, func(ctx context.Context, to netip.AddrPort) uint64 {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
		if err != nil {
			return silent
		}
		defer conn.Close()
		if until, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(until); err != nil {
				return silent
			}
		}
		if _, err := conn.Write(payload(to.Port())); err != nil {
			return silent
		}
		_, err = conn.Read(make([]byte, 1))
		switch {
		case err == nil:
			return open
		case refused(err), errors.Is(err, wsaECONNRESET): // what Windows makes of "port unreachable"
			return closed
		default:
			return silent
		}
	})
}

const (
	wsaECONNRESET   = syscall.Errno(10054)
	wsaECONNREFUSED = syscall.Errno(10061)
)

// refused reports whether the error is ECONNREFUSED, or what Windows calls so.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaECONNREFUSED) || strings.Contains(err.Error(), "refused")
}

// workers asks by goroutines, and keeps the flows on one.
func (s *session) workers(ctx context.Context, flows []*flow, ask func(context.Context, netip.AddrPort) uint64) error {
	answers := make(chan heardAs, mostDialers)
	busy := 0
	hear := func(h heardAs) {
		busy--
		if h.state != silent {
			s.heard(h.f, answer{door: h.q.door, slice: h.q.slice, state: h.state}, s.now())
		}
	}
	for ctx.Err() == nil {
		now := s.now()
		over := true
		wait := 50 * time.Millisecond
		for _, f := range flows {
			f.earn(now)
			for busy < mostDialers && s.budget.take(1, now) == 1 {
				q, w, ok := f.next(now)
				if !ok {
					s.budget.give(1)
					if !f.over {
						wait = min(wait, w)
					}
					break
				}
				busy++
				host, port := f.grid.door(q.door)
				timeout := f.pace.rto() * 3 / 2
				go func() {
					ctx, cancel := context.WithTimeout(ctx, timeout)
					defer cancel()
					answers <- heardAs{f, q, ask(ctx, netip.AddrPortFrom(host, port))}
				}()
			}
			over = over && f.over
		}
		s.tick(now)
		if over && busy == 0 {
			return nil
		}
		timer := time.NewTimer(max(wait, quantum))
		select {
		case h := <-answers:
			hear(h)
		case <-timer.C:
		}
		timer.Stop()
	}
	for busy > 0 {
		hear(<-answers)
	}
	return nil
}
