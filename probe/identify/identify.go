// Package identify names what is behind a door by talking to it.
//
// What it says follows from what the server said: the number of a port decides
// only what is asked first. A [monban.Service] is identified when the server
// gave a valid answer of its protocol to a question of ours, likely when it
// only showed a banner like the protocol's, and unknown otherwise; then its
// first bytes are the evidence. A server that answers with our own words is
// known as an echo.
//
// How a TCP door is asked: one connection listens, because in many protocols
// the server speaks first. If it stays silent for a moment, the protocols whose
// client speaks first are tried on connections of their own, one shortly after
// the other, without waiting for the end of the one before. The first that gets
// a valid answer ends it. TLS is one of them: inside it, everything is done once
// more. A server that was silent to all of that may be one that serves a
// connection at a time: it is asked again with no other open. A UDP door is
// asked in all its protocols, a datagram each.
//
// What it does to a server is bounded: a few connections at a time, a few
// kilobytes sent, at most 64 KiB read on each connection, nothing changed,
// nobody logged in. Ports 9100 to 9107, where printers print whatever they are
// sent, are only listened to.
package identify

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monban-dev/monban"
)

// Identifier names what is behind doors. The zero value is ready for use, by
// many goroutines at the same time. It must not be copied.
type Identifier struct {
	// Dial opens a TCP connection; nil is that of a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ListenPacket opens a UDP socket; nil is that of a [net.ListenConfig].
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	// PerHost bounds the sockets that are open to one address at the same time;
	// 0 is 128. A sixteenth as many doors of a host are asked at a time, and at
	// least one: the others wait, which does not count as their slowness. With
	// fewer than 16 a door that is not at a usual port may stay unknown.
	PerHost int
	// Patience is how long a server may take for its first byte; 0 is 5 s. To
	// identify a door that never answers takes as long and two or three seconds
	// more, in which it is asked with no other connection open; and inside TLS as
	// long again.
	Patience time.Duration

	mu    sync.Mutex
	hosts map[netip.Addr]*host
}

// The budgets of one door.
const (
	defaultPerHost  = 128
	perDoor         = 16 // sockets at a time
	defaultPatience = 5 * time.Second
	readBudget      = 64 << 10 // bytes of one connection
	evidenceLen     = 128      // bytes of Service.Evidence
)

// Identify asks one door what it is. proto is TCP or UDP; another has no
// questions, and the zero Service comes back.
//
// An error means that the door could not be asked, or not to the end: no
// connection was accepted, or ctx was done before anything was known. It is nil
// where the server accepted and said nothing of sense; the Service is then
// unknown.
func (id *Identifier) Identify(ctx context.Context, target netip.AddrPort, proto monban.Proto) (monban.Service, error) {
	r := &run{id: id, target: target, patience: id.Patience}
	if r.patience <= 0 {
		r.patience = defaultPatience
	}
	r.host = id.enter(target.Addr())
	defer id.leave(target.Addr())
	r.sockets = min(perDoor, cap(r.host.slots))
	if err := acquire(ctx, r.host.doors); err != nil {
		return monban.Service{}, fmt.Errorf("identify %s/%s: %w", target, proto, err)
	}
	defer release(r.host.doors)
	var (
		s   monban.Service
		err error
	)
	switch proto {
	case monban.TCP:
		s, err = r.tcp(ctx)
	case monban.UDP:
		s, err = r.udp(ctx)
	default:
		return monban.Service{}, nil
	}
	if err != nil {
		return monban.Service{}, fmt.Errorf("identify %s/%s: %w", target, proto, err)
	}
	s.Evidence = cut(s.Evidence)
	return s, nil
}

// A run is one call of Identify.
type run struct {
	id       *Identifier
	target   netip.AddrPort
	host     *host
	sockets  int // of this door at a time
	patience time.Duration
	rtt      atomic.Int64 // nanoseconds the first connection took, at most a second
}

func (r *run) roundTrip() time.Duration { return time.Duration(r.rtt.Load()) }

// A host counts what is going on at one address. Doors are counted apart from
// sockets because a door that only half got its sockets would keep them without
// coming to an end.
type host struct {
	slots chan struct{} // sockets
	doors chan struct{}
	users int // calls of Identify, under Identifier.mu
}

// enter returns the host of an address. It is forgotten when the last user
// leaves, so a scan of a large network keeps only what it is working on.
func (id *Identifier) enter(a netip.Addr) *host {
	id.mu.Lock()
	defer id.mu.Unlock()
	h := id.hosts[a]
	if h == nil {
		n := id.PerHost
		if n <= 0 {
			n = defaultPerHost
		}
		n = max(n, 2) // one listens while one asks
		h = &host{slots: make(chan struct{}, n), doors: make(chan struct{}, max(1, n/perDoor))}
		if id.hosts == nil {
			id.hosts = make(map[netip.Addr]*host)
		}
		id.hosts[a] = h
	}
	h.users++
	return h
}

func (id *Identifier) leave(a netip.Addr) {
	id.mu.Lock()
	defer id.mu.Unlock()
	if h := id.hosts[a]; h != nil {
		if h.users--; h.users == 0 {
			delete(id.hosts, a)
		}
	}
}

// acquire waits for a place.
func acquire(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func release(places chan struct{}) { <-places }

// silentPort reports whether a port is one that is never sent anything:
// printers take every byte there for something to print.
func silentPort(port uint16) bool { return port >= 9100 && port <= 9107 }

// cut returns the beginning of what a server said.
func cut(said string) string {
	if len(said) > evidenceLen {
		return said[:evidenceLen]
	}
	return said
}
