package identify

import (
	"context"
	"net"
	"time"

	"github.com/monban-dev/monban"
)

// What paces the questions over UDP.
const (
	datagramStagger = 20 * time.Millisecond
	// again is when an unanswered datagram is sent once more: it, or the answer,
	// may have been lost. Before the third time it is twice as long.
	again       = 800 * time.Millisecond
	maxDatagram = 4096
)

// udp identifies a UDP door: a datagram in every protocol, each from a socket of
// its own, so that an answer belongs to one question.
func (r *run) udp(outer context.Context) (monban.Service, error) {
	if silentPort(r.target.Port()) {
		return monban.Service{}, nil
	}
	ctx, cancel := context.WithTimeout(outer, r.patience)
	list := ordered(datagrams(), r.target.Port())
	results := make(chan result)
	running := 0
	defer func() {
		cancel()
		for ; running > 0; running-- {
			<-results
		}
	}()
	pace := time.NewTimer(0)
	defer pace.Stop()
	var (
		best  monban.Service
		first error
	)
	for running > 0 || len(list) > 0 {
		select {
		case <-ctx.Done():
			list = nil
			for ; running > 0; running-- {
				best, first = better(best, first, <-results)
			}
		case <-pace.C:
			if len(list) > 0 {
				s := list[0]
				list = list[1:]
				running++
				go func() { results <- r.send(ctx, s) }()
				pace.Reset(datagramStagger)
			}
		case res := <-results:
			running--
			if best, first = better(best, first, res); best.Grade == monban.GradeIdentified {
				return best, nil
			}
		}
	}
	switch {
	case best.Evidence != "":
		return best, nil
	case outer.Err() != nil:
		return best, outer.Err()
	}
	return best, first
}

// better keeps the better of what is known and a result.
func better(best monban.Service, first error, res result) (monban.Service, error) {
	switch {
	case res.found && res.s.Grade > best.Grade:
		best = res.s
	case res.echo && best.Grade < monban.GradeIdentified:
		best = is("echo", []byte(res.said))
	case res.said != "" && best.Evidence == "":
		best.Evidence = res.said
	}
	if first == nil {
		first = res.err
	}
	return best, first
}

// send asks one question, at most three times.
func (r *run) send(ctx context.Context, s signature) result {
	if err := acquire(ctx, r.host.slots); err != nil {
		return result{}
	}
	defer release(r.host.slots)
	listen := r.id.ListenPacket
	if listen == nil {
		listen = new(net.ListenConfig).ListenPacket
	}
	// Not connected: an answer from another port has to be seen too.
	c, err := whenThereIsRoom(ctx, func() (net.PacketConn, error) { return listen(ctx, "udp", ":0") })
	if err != nil {
		return result{err: err}
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	q := newQuestion(r.target)
	asked := s.ask(q)
	to := net.UDPAddrFromAddrPort(r.target)
	buf := make([]byte, maxDatagram)
	for attempt := range 3 {
		if _, err := c.WriteTo(asked, to); err != nil {
			if ctx.Err() != nil {
				err = nil
			}
			return result{err: err}
		}
		_ = c.SetReadDeadline(time.Now().Add(again << attempt))
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				break
			}
			if !r.answers(from, s.anyPort) || n == 0 {
				continue
			}
			said := buf[:n]
			if echoed(asked, said) {
				return result{said: string(said), echo: n == len(asked) && n >= 16}
			}
			if answer, m := s.read(q, said); m == yes {
				return result{s: answer, found: true}
			}
			return result{said: string(said)}
		}
	}
	return result{}
}

// answers reports whether a datagram is from the target.
func (r *run) answers(from net.Addr, anyPort bool) bool {
	a, ok := from.(*net.UDPAddr)
	if !ok {
		return false
	}
	ap := a.AddrPort()
	return ap.Addr().Unmap().WithZone("") == r.target.Addr().Unmap().WithZone("") && (anyPort || ap.Port() == r.target.Port())
}
