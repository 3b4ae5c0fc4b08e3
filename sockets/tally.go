package sockets

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// The bounds of what Traffic keeps, whatever the number of sockets.
const (
	maxShownPeers = 5
	maxLocals     = 64
	// maxPeers is how many different peers are counted at once, over all
	// ports: about 5 MB.
	maxPeers = 1 << 15
)

// tally counts connections by port.
type tally struct {
	ports   portSet
	traffic map[monban.Port]*monban.Traffic
	peers   map[peerKey]int
	// short is by how much the count of a peer may be too small.
	short int
	// manyLocals reports that a port has more local addresses than are kept.
	manyLocals bool
}

type peerKey struct {
	port monban.Port
	addr netip.Addr
}

func newTally(ports portSet) *tally {
	return &tally{
		ports:   ports,
		traffic: make(map[monban.Port]*monban.Traffic),
		peers:   make(map[peerKey]int),
	}
}

// add counts the row if it is a connection of a port that is looked for, and
// reports that.
func (t *tally) add(r *row) bool {
	if r.stage < established {
		return false
	}
	port := monban.Port{Num: r.local.Port(), Proto: r.proto}
	if port.Num == 0 || !t.ports.contains(port.Proto, port.Num) {
		return false
	}
	tr := t.traffic[port]
	if tr == nil {
		tr = &monban.Traffic{Port: port}
		t.traffic[port] = tr
	}
	switch r.stage {
	case established:
		tr.Established++
	case timeWait:
		tr.TimeWait++
	default:
		tr.Other++
	}
	t.addLocal(tr, r.local.Addr().Unmap())
	t.addPeer(peerKey{port, r.remote.Addr().Unmap()})
	return true
}

func (t *tally) addLocal(tr *monban.Traffic, addr netip.Addr) {
	if slices.Contains(tr.Locals, addr) {
		return
	}
	if len(tr.Locals) == maxLocals {
		t.manyLocals = true
		return
	}
	tr.Locals = append(tr.Locals, addr)
}

// addPeer counts a peer by the algorithm of Misra and Gries: when there is no
// room for another one, everybody loses one count and those without any go. A
// peer with more than 1/maxPeers of all connections cannot be lost that way, and
// nobody is ever given too many.
func (t *tally) addPeer(k peerKey) {
	if _, ok := t.peers[k]; ok || len(t.peers) < maxPeers {
		t.peers[k]++
		return
	}
	t.short++
	for k, n := range t.peers {
		if n == 1 {
			delete(t.peers, k)
		} else {
			t.peers[k] = n - 1
		}
	}
}

// result returns what was counted, in the order of port and transport, and the
// gaps that the bounds have left.
func (t *tally) result() ([]monban.Traffic, []monban.Gap) {
	for k, n := range t.peers {
		tr := t.traffic[k.port]
		tr.Peers = insertPeer(tr.Peers, monban.Peer{Addr: k.addr, Count: n})
	}
	list := make([]monban.Traffic, 0, len(t.traffic))
	for _, tr := range t.traffic {
		slices.SortFunc(tr.Locals, netip.Addr.Compare)
		list = append(list, *tr)
	}
	slices.SortFunc(list, compareTraffic)
	return list, t.gaps()
}

// compareTraffic is the order of port and transport.
func compareTraffic(a, b monban.Traffic) int {
	return cmp.Or(cmp.Compare(a.Port.Num, b.Port.Num), cmp.Compare(a.Port.Proto, b.Port.Proto))
}

func (t *tally) gaps() (gaps []monban.Gap) {
	if t.short > 0 {
		gaps = append(gaps, monban.Gap{Source: "sockets", Hides: monban.HidesTraffic,
			Err: fmt.Sprintf("more than %d peers: each count may be up to %d too small", maxPeers, t.short)})
	}
	if t.manyLocals {
		gaps = append(gaps, monban.Gap{Source: "sockets", Hides: monban.HidesTraffic,
			Err: fmt.Sprintf("only %d local addresses of a port are kept", maxLocals)})
	}
	return gaps
}

// insertPeer puts p in its place among the most frequent peers. Peers of the
// same count are in the order of their addresses.
func insertPeer(peers []monban.Peer, p monban.Peer) []monban.Peer {
	i, _ := slices.BinarySearchFunc(peers, p, func(a, b monban.Peer) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Addr.Compare(b.Addr))
	})
	if i == maxShownPeers {
		return peers
	}
	peers = slices.Insert(peers, i, p)
	return peers[:min(len(peers), maxShownPeers)]
}
