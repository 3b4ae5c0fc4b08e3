package conflict

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
)

// A set is a random sequence of steps that several processes take. It runs on
// the model and on a real kernel alike. A step whose socket does not exist, or
// that makes no sense for it, is skipped by both, so that a failing set can be
// cut down step by step.
type set struct {
	actors []actor
	steps  []step
}

// actor is a process of a set.
type actor struct {
	UID                 uint32
	BindService, NetRaw bool
}

func (a actor) String() string {
	s := fmt.Sprintf("uid %d", a.UID)
	if a.BindService {
		s += "+bind"
	}
	if a.NetRaw {
		s += "+raw"
	}
	return s
}

type op uint8

const (
	opSocket op = iota
	opReuseAddr
	opReusePort
	opV6Only
	opFreebind
	opDevice
	opBind
	opListen
	opAccept   // somebody connects to the socket, and it accepts
	opTimeWait // the accepted connection is closed from this side
	opLend     // the socket connects from a port that is handed to it
	opInherit  // the process gets a descriptor of its own
	opClose
	opExit
	opCount
)

var opNames = [opCount]string{"socket", "SO_REUSEADDR", "SO_REUSEPORT", "IPV6_V6ONLY", "IP_FREEBIND",
	"SO_BINDTODEVICE", "bind", "listen", "accept", "time-wait", "lend", "inherit", "close", "exit"}

// step is one step. Sock names the socket it acts on; for opAccept, New names
// the socket of the connection.
type step struct {
	Op     op
	Actor  int
	Sock   int
	New    int
	On     bool
	Proto  monban.Proto
	MPTCP  bool
	Family Family
	Addr   netip.Addr
	Port   uint16
	Device string
}

func (s step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "p%d s%d %s", s.Actor, s.Sock, opNames[s.Op])
	switch s.Op {
	case opSocket:
		fmt.Fprintf(&b, " %s IPv%d", s.Proto, s.Family)
		if s.MPTCP {
			b.WriteString(" MPTCP")
		}
	case opReuseAddr, opReusePort, opV6Only, opFreebind:
		fmt.Fprintf(&b, " %v", s.On)
	case opDevice:
		fmt.Fprintf(&b, " %q", s.Device)
	case opBind, opLend:
		fmt.Fprintf(&b, " %s port %d", s.Addr, s.Port)
	case opAccept:
		fmt.Fprintf(&b, " → s%d", s.New)
	}
	return b.String()
}

// skipped is the outcome of a step that was not taken.
const skipped Errno = "skipped"

// modelRun is a set on the model.
type modelRun struct {
	l     *Linux
	procs []*Process
	socks map[int]*Socket
	mptcp map[int]bool
}

func (s set) newModelRun(net Net) modelRun {
	m := modelRun{l: NewLinux(net), socks: map[int]*Socket{}, mptcp: map[int]bool{}}
	for _, a := range s.actors {
		m.procs = append(m.procs, &Process{UID: a.UID, BindService: a.BindService, NetRaw: a.NetRaw})
	}
	return m
}

func (s set) runModel(net Net) []Errno {
	m := s.newModelRun(net)
	out := make([]Errno, len(s.steps))
	for i, st := range s.steps {
		out[i] = m.step(st)
	}
	return out
}

func (m *modelRun) holds(st step) bool {
	s := m.socks[st.Sock]
	for _, h := range m.procs[st.Actor].holds {
		if h == s {
			return true
		}
	}
	return false
}

func (m *modelRun) step(st step) Errno {
	p, s := m.procs[st.Actor], m.socks[st.Sock]
	switch st.Op {
	case opSocket:
		if s != nil {
			return skipped
		}
		s, err := m.l.Socket(p, st.Proto, st.Family)
		m.socks[st.Sock], m.mptcp[st.Sock] = s, st.MPTCP
		return err
	case opExit:
		m.l.Exit(p)
		return NoError
	case opInherit:
		if s == nil || s.refs == 0 || m.holds(st) {
			return skipped
		}
		m.l.Inherit(p, s)
		return NoError
	}
	if s == nil || !m.holds(st) {
		return skipped
	}
	switch st.Op {
	case opReuseAddr:
		s.SetReuseAddr(st.On)
	case opReusePort:
		s.SetReusePort(st.On)
	case opV6Only:
		return s.SetV6Only(st.On)
	case opFreebind:
		s.SetFreebind(st.On)
	case opDevice:
		return m.l.SetDevice(p, s, st.Device)
	case opBind:
		if s.state == connected {
			return skipped
		}
		return m.l.Bind(p, s, st.Addr, st.Port)
	case opListen:
		if s.state == connected {
			return skipped
		}
		return m.l.Listen(s)
	case opAccept:
		to, ok := reachable(s)
		if m.socks[st.New] != nil || !ok {
			return skipped
		}
		// Another listener may be the one that gets the connection.
		if b := m.l.tcp[s.port]; countListening(b) != 1 {
			return skipped
		}
		m.socks[st.New] = m.l.Accept(p, s, to)
	case opTimeWait:
		if s.state != connected || s.lent || s.refs != 1 {
			return skipped
		}
		s.state = timeWait
		m.forget(p, s)
		delete(m.socks, st.Sock)
	case opLend:
		if s.proto == monban.UDP || m.mptcp[st.Sock] || s.state != closed || s.bound() || s.device != 0 ||
			m.l.tcp[st.Port] != nil {
			return skipped
		}
		m.l.Connect(s, netip.AddrPortFrom(st.Addr, st.Port))
	case opClose:
		m.l.Close(p, s)
		if s.refs == 0 {
			delete(m.socks, st.Sock)
		}
	}
	return NoError
}

// forget takes the descriptor away but leaves the connection in the table.
func (m *modelRun) forget(p *Process, s *Socket) {
	for i, h := range p.holds {
		if h == s {
			p.holds = append(p.holds[:i], p.holds[i+1:]...)
			return
		}
	}
}

func countListening(b *bucket) int {
	n := 0
	for _, o := range b.socks {
		if o.state == listening {
			n++
		}
	}
	return n
}

// reachable returns the loopback address at which the test can connect to s.
func reachable(s *Socket) (netip.Addr, bool) {
	if s.state != listening || s.port == 0 || s.device != 0 {
		return netip.Addr{}, false
	}
	lo4, lo6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	switch a := s.at.addr.Unmap(); {
	case a == lo4 || a == netip.IPv4Unspecified():
		return lo4, true
	case a == lo6:
		return lo6, true
	case a.IsUnspecified() && s.port%2 == 0 && !s.at.v6only:
		return lo4, true
	case a.IsUnspecified():
		return lo6, true
	}
	return netip.Addr{}, false
}

// moved returns the set with its unprivileged ports moved to start at port.
func (s set) moved(port uint16) set {
	low := uint16(0)
	for _, st := range s.steps {
		if st.Port >= 1024 && (low == 0 || st.Port < low) {
			low = st.Port &^ 1
		}
	}
	steps := append([]step(nil), s.steps...)
	for i := range steps {
		if steps[i].Port >= 1024 {
			steps[i].Port += port - low
		}
	}
	return set{s.actors, steps}
}

// generator makes random sets. Its choices are uneven on purpose: a set in which
// nothing meets proves nothing.
type generator struct {
	*rand.Rand
	// port is where the set's ports start.
	port uint16
	// traffic allows connections; such a set never asks for any free port.
	traffic bool
}

// serverPort is where the far end of outgoing connections listens; no set uses it.
const serverPort = 900

// ports is how many ports a set takes from the generator.
const ports = 2

func (g generator) set() set {
	all := []actor{
		{UID: 0, BindService: true, NetRaw: true},
		{UID: 1000},
		{UID: 1000, BindService: true},
		{UID: 1000, NetRaw: true},
		{UID: 1001},
		{UID: 0},
	}
	var s set
	for range 1 + g.IntN(4) {
		s.actors = append(s.actors, all[g.IntN(len(all))])
	}
	udp := g.IntN(3) == 0 && !g.traffic
	many := g.IntN(20) == 0 // enough sockets for the long chains of UDP
	socks := 2 + g.IntN(6)
	if many {
		socks = 14 + g.IntN(8)
	}
	reuse := g.IntN(4) // how popular the options are in this set
	devices := g.IntN(4) == 0
	next := socks
	if g.traffic && g.IntN(3) == 0 {
		// Before the first bind: a port in use is not lent.
		lend := step{Op: opLend, Sock: next, Actor: g.IntN(len(s.actors)), Port: g.port}
		s.steps = append(s.steps, step{Op: opSocket, Sock: next, Actor: lend.Actor, Proto: monban.TCP,
			Family: []Family{IPv4, IPv6}[g.IntN(2)]}, lend)
		next++
	}
	for i := range socks {
		s.steps = append(s.steps, g.open(i, len(s.actors), udp)...)
		s.steps = append(s.steps, g.options(i, len(s.actors), reuse, devices)...)
		for range g.IntN(3) {
			s.steps = append(s.steps, g.more(g.IntN(i+1), len(s.actors), &next, devices)...)
		}
	}
	for range g.IntN(3 * socks) {
		s.steps = append(s.steps, g.more(g.IntN(next), len(s.actors), &next, devices)...)
	}
	g.settle(&s)
	return s
}

// settle makes most steps ones that can do something: the process that holds the
// socket takes them, and binds are to addresses of the socket's family.
func (g generator) settle(s *set) {
	owner, family := map[int]int{}, map[int]Family{}
	for i := range s.steps {
		st := &s.steps[i]
		if st.Op == opBind && g.IntN(32) > 0 {
			for st.Addr.Is4() != (family[st.Sock] == IPv4) {
				st.Addr = g.addr()
			}
		}
		if st.Op == opLend {
			st.Addr = netip.MustParseAddr("127.0.0.1")
			if family[st.Sock] == IPv6 {
				st.Addr = netip.IPv6Loopback()
			}
		}
		switch st.Op {
		case opSocket:
			owner[st.Sock], family[st.Sock] = st.Actor, st.Family
		case opInherit, opExit:
		case opAccept:
			st.Actor = owner[st.Sock]
			owner[st.New] = st.Actor
		default:
			if g.IntN(8) > 0 {
				st.Actor = owner[st.Sock]
			}
		}
	}
}

func (g generator) open(sock, actors int, udp bool) []step {
	st := step{Op: opSocket, Sock: sock, Actor: g.IntN(actors), Proto: monban.TCP, Family: IPv4}
	if udp != (g.IntN(8) == 0) {
		st.Proto = monban.UDP
	}
	if g.IntN(2) == 0 {
		st.Family = IPv6
	}
	st.MPTCP = st.Proto == monban.TCP && g.IntN(4) == 0
	return []step{st}
}

func (g generator) options(sock, actors, reuse int, devices bool) []step {
	var out []step
	add := func(o op, odds int, st step) {
		if odds > 0 && g.IntN(odds) == 0 {
			st.Op, st.Sock, st.Actor = o, sock, g.IntN(actors)
			out = append(out, st)
		}
	}
	if reuse&1 != 0 {
		add(opReuseAddr, 1+g.IntN(2), step{On: true})
	}
	if reuse&2 != 0 {
		add(opReusePort, 1+g.IntN(2), step{On: true})
	}
	add(opReuseAddr, 8, step{On: true})
	add(opReusePort, 8, step{On: true})
	add(opV6Only, 3, step{On: g.IntN(3) > 0})
	add(opFreebind, 30, step{On: true})
	if devices {
		add(opDevice, 2, step{Device: g.device()})
	}
	add(opBind, 1, step{Addr: g.addr(), Port: g.aport()})
	if !g.traffic {
		add(opBind, 40, step{Addr: g.addr()})
	}
	add(opListen, 2, step{})
	return out
}

// more returns one random step, or two that belong together.
func (g generator) more(sock, actors int, next *int, devices bool) []step {
	st := g.step(sock, actors, next, devices)
	switch {
	case st.Op == opAccept && g.IntN(2) == 0:
		return []step{st, {Op: opTimeWait, Actor: st.Actor, Sock: st.New}}
	case st.Op == opLend: // a socket made for it: one that is bound cannot
		st.Sock = *next
		*next++
		family := IPv4
		if g.IntN(2) == 0 {
			family = IPv6
		}
		return []step{{Op: opSocket, Actor: st.Actor, Sock: st.Sock, Proto: monban.TCP, Family: family}, st}
	}
	return []step{st}
}

func (g generator) step(sock, actors int, next *int, devices bool) step {
	st := step{Sock: sock, Actor: g.IntN(actors), On: g.IntN(3) > 0, Addr: g.addr(), Port: g.aport()}
	switch n := g.IntN(100); {
	case n < 25:
		st.Op = opBind
	case n < 45:
		st.Op = opListen
	case n < 60:
		st.Op = opClose
	case n < 67:
		st.Op = opReuseAddr
	case n < 74:
		st.Op = opReusePort
	case n < 76:
		st.Op = opV6Only
	case n < 79:
		st.Op = opInherit
	case n < 82:
		st.Op = opExit
	case n < 85 && devices:
		st.Op, st.Device = opDevice, g.device()
	case n < 95 && g.traffic:
		st.Op, st.New = opAccept, *next
		*next++
	case n < 98 && g.traffic:
		st.Op = opLend
	default:
		st.Op = opListen
	}
	if g.traffic && st.Op == opListen {
		// A listen without a bind would take any free port, perhaps ours.
		st.Op = opBind
		if g.IntN(2) == 0 {
			st.Op = opListen
		}
	}
	return st
}

func (g generator) aport() uint16 {
	switch n := g.IntN(40); {
	case n == 0 && !g.traffic:
		return uint16(1 + g.IntN(serverPort-1)) // privileged
	case n < 10:
		return g.port + 1
	default:
		return g.port
	}
}

func (g generator) device() string {
	return []string{"lo", "va", "vb", "", "va", "nosuch"}[g.IntN(6)]
}

// addr returns an address; the frequent ones are those that meet.
func (g generator) addr() netip.Addr {
	often := []string{"0.0.0.0", "127.0.0.1", "192.0.2.1", "::", "::1", "2001:db8::1", "::ffff:0.0.0.0",
		"::ffff:127.0.0.1", "::ffff:192.0.2.1"}
	seldom := []string{"127.0.0.2", "127.0.0.6", "127.255.255.255", "10.9.0.77", "192.0.2.255", "203.0.113.9",
		"255.255.255.255", "0.0.0.7", "224.0.0.251", "fe80::a%va", "fe80::b%vb", "fe80::a%vb", "fe80::a", "fe80::a%gone",
		"2001:db8::dead", "2001:db8:1::1", "::ffff:203.0.113.9", "::ffff:127.0.0.6", "::ffff:224.0.0.251",
		"ff02::fb%va", "ff02::fb", "ff0e::1", "::ffff:198.51.100.1", "198.51.100.1"}
	if g.IntN(8) == 0 {
		return netip.MustParseAddr(seldom[g.IntN(len(seldom))])
	}
	return netip.MustParseAddr(often[g.IntN(len(often))])
}
