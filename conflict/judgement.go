package conflict

import "github.com/monban-dev/monban"

// The stages of a [monban.Judgement]. A stream socket can pass bind(2) and fail
// at listen(2), where the kernel asks again; that needs somebody else to listen
// in between, and so a judgement of one attempt never has it.
const (
	StageSocket = "socket"
	StageBind   = "bind"
	StageListen = "listen"
)

// The reasons of a [monban.Judgement] whose outcome is unknown.
const (
	// ReasonSystem: the rules of this operating system or transport are not
	// modelled.
	ReasonSystem = "system"
	// ReasonDoors: whole sockets could not be seen.
	ReasonDoors = "doors"
	// ReasonTraffic: the connections of this port were not counted.
	ReasonTraffic = "traffic"
	// ReasonOptions: options of the sockets in the way, or the order in which
	// they were opened, decide; the kernel does not tell them.
	ReasonOptions = "options"
	// ReasonHost: a fact about the machine is missing: its addresses, its
	// privileged range, what this user may do.
	ReasonHost = "host"
	// ReasonNamespace: the door is wanted in another network namespace than the
	// one that was looked at.
	ReasonNamespace = "namespace"
)

// CanBind judges bind(2) and, for TCP, listen(2) of want by the user who made
// the snapshot, against the doors and traffic in it. An option of want that is
// FlagUnknown counts as Off, except V6Only, which falls back to the machine's
// default (net.ipv6.bindv6only). AnyProto counts as TCP.
//
// With Starts the Cause may be set all the same: the door opens, and yet will
// not do what people expect of it. D8 and L24: what arrives is led elsewhere
// before it reaches the door. L4: the other loopback address of the same port
// belongs to somebody else. D5: an engine will start a container that takes it. With EACCES, Against has the doors that would be in
// the way even of somebody who may.
func CanBind(want monban.Bind, snap *monban.Snapshot) monban.Judgement {
	h := &snap.Host
	_, j := judge(want, asker{uid: uint32(h.UID), bindService: h.Caps.BindService, netRaw: h.Caps.NetRaw}, snap, new(openPorts))
	return j
}

// asker is who asks for a door.
type asker struct {
	uid                 uint32
	bindService, netRaw monban.Flag
	freebind            bool
	// own reports whether a container is the one that asks; nil is none.
	own func(*monban.Container) bool
	// move says what to do for another port; nil is [FixOtherPort].
	move func(want monban.Bind) monban.Fix
}

// judge puts one wanted bind to what is open. The attempt is nil where there is
// nothing to attempt. The ports of snap's doors are added to open, which says
// what other port is free.
func judge(want monban.Bind, who asker, snap *monban.Snapshot, open *openPorts) (*attempt, monban.Judgement) {
	if want.Port.Proto == monban.AnyProto {
		want.Port.Proto = monban.TCP
	}
	j := monban.Judgement{Bind: want}
	switch {
	case snap.Host.OS != "linux" && !modelled(&snap.Host), !judgeable(want):
		j.Reason = ReasonSystem
		return nil, j
	case !sameNetNS(want.NetNS, snap.Host.NetNS, snap.Host.NetNS):
		j.Reason = ReasonNamespace
		return nil, j
	case want.Port.Num == 0:
		j.Outcome = monban.Starts
		return nil, j
	case modelled(&snap.Host):
		j, _ = newForeign(want, who, snap, open).judge()
		return nil, j
	}
	a := newAttempt(want, who, snap, open)
	stage, errno := a.alone()
	a.meetDoors()
	a.meetTraffic()
	switch {
	case errno != NoError:
		a.refused(&j, stage, errno)
	case len(a.must) > 0:
		a.inUse(&j)
	case a.traffic == fails:
		a.busy(&j)
	default:
		a.free(&j)
	}
	return a, j
}

// judgeable reports whether any rules here are about such a bind.
func judgeable(want monban.Bind) bool {
	return (want.Port.Proto == monban.TCP || want.Port.Proto == monban.UDP) && want.Addr.IsValid()
}

func sameNetNS(a, b, own string) bool {
	if a == "" {
		a = own
	}
	if b == "" {
		b = own
	}
	return a == b
}

// chance is what may come of two sockets meeting when not all is known of them.
type chance uint8

const (
	passes  chance = iota // whatever the hidden options are
	depends               // the hidden options decide
	fails                 // whatever the hidden options are
)

// attempt is one bind put to the model.
type attempt struct {
	want monban.Bind
	who  asker
	snap *monban.Snapshot
	net  Net
	sock *Socket

	open      *openPorts
	must, may []monban.Door // doors that are, or may be, in the way
	forwarded []monban.Door
	traffic   chance
	conns     monban.Traffic
	counted   bool
}

func newAttempt(want monban.Bind, who asker, snap *monban.Snapshot, open *openPorts) *attempt {
	return &attempt{want: want, who: who, snap: snap, net: netOf(&snap.Host), open: open}
}

// netOf is what the model has to know of a machine.
func netOf(h *monban.Host) Net {
	return Net{
		Interfaces:   h.Interfaces,
		Unprivileged: h.Unprivileged,
		V6Only:       h.BindV6Only == monban.On,
		// The sysctl exists exactly where the kernel has IPv6 at all.
		NoIPv6:    h.IPv6 == monban.Off && h.BindV6Only == monban.FlagUnknown,
		Nonlocal4: h.NonlocalBind4 == monban.On,
		Nonlocal6: h.NonlocalBind6 == monban.On,
	}
}

func (w asker) process() *Process {
	return &Process{UID: w.uid, BindService: w.bindService == monban.On, NetRaw: w.netRaw == monban.On}
}

// alone puts the attempt to an empty machine: privilege, address, family.
func (a *attempt) alone() (stage string, errno Errno) {
	l := NewLinux(a.net)
	p := a.who.process()
	family := IPv6
	if a.want.Addr.Is4() {
		family = IPv4
	}
	s, errno := l.Socket(p, a.want.Port.Proto, family)
	if errno != NoError {
		a.sock = &Socket{proto: a.want.Port.Proto, at: rcvAddr{v6: true, addr: a.want.Addr}}
		return StageSocket, errno
	}
	a.sock = s
	s.SetReuseAddr(a.want.ReuseAddr == monban.On)
	s.SetReusePort(a.want.ReusePort == monban.On)
	s.SetFreebind(a.who.freebind)
	if family == IPv6 && a.want.V6Only != monban.FlagUnknown {
		s.SetV6Only(a.want.V6Only == monban.On)
	}
	if a.want.Device != "" {
		if errno = l.SetDevice(p, s, a.want.Device); errno != NoError {
			return StageSocket, errno
		}
	}
	if errno = l.Bind(p, s, a.want.Addr, a.want.Port.Num); errno != NoError {
		// What it would have been, for whoever may.
		s.at.addr = to16(a.want.Addr.WithZone(""))
		s.at.v6only = s.at.v6only || s.at.v6 && !s.at.any() && !s.at.mapped()
	}
	s.port = 0
	return StageBind, errno
}

// meetDoors compares the attempt with every door of its port.
func (a *attempt) meetDoors() {
	var chain []chanced
	for i := range a.snap.Doors {
		d := &a.snap.Doors[i]
		a.open.add(d.Bind.Port)
		if d.Bind.Port != a.want.Port || !sameNetNS(d.Bind.NetNS, a.want.NetNS, a.snap.Host.NetNS) {
			continue
		}
		if !d.Bind.Addr.IsValid() {
			a.may = append(a.may, *d) // it may be anywhere
			continue
		}
		if d.State == monban.Forwarded {
			if a.sock.at.overlaps(a.socket(d.Bind, 0).at, true, true) {
				a.forwarded = append(a.forwarded, *d)
			}
			continue
		}
		b := d.Bind
		if b.Addr.Is6() && !b.Addr.Is4In6() && !b.Wildcard() {
			b.V6Only = monban.On // __inet6_bind
		}
		if c := a.try(b, d.UID, stateOf(d.State)); c.meets {
			c.door = d
			chain = append(chain, c)
		}
	}
	for _, c := range chain {
		switch {
		case c.sum(a, len(chain)) == fails:
			a.must = append(a.must, *c.door)
		case c.sum(a, len(chain)) == depends:
			a.may = append(a.may, *c.door)
		}
	}
}

func stateOf(s monban.DoorState) state {
	if s == monban.Listen {
		return listening
	}
	return closed
}

// chanced is what trying every hidden option of one socket has shown: whether
// the two meet at all, and whether it can block the attempt, share with it, or
// be passed over.
type chanced struct {
	door                *monban.Door
	meets               bool
	blocks, shares, not bool
	remembered          bool
}

// sum sums up. For TCP each socket is asked by itself. For UDP the first in
// the kernel's order decides alone, so one that may share makes the others
// uncertain; a program that does not set SO_REUSEPORT is not concerned.
func (c chanced) sum(a *attempt, all int) chance {
	switch {
	case !c.blocks:
		return passes
	case c.shares || c.not || c.remembered:
		return depends
	case a.want.Port.Proto == monban.UDP && a.sock.reusePort && all > 1:
		return depends
	}
	return fails
}

// try puts a socket whose options may be hidden before the attempt, once for
// every combination they can have.
func (a *attempt) try(b monban.Bind, uid uint32, st state) chanced {
	var c chanced
	for _, v6only := range values(b.V6Only, !b.Addr.Unmap().Is4()) {
		for _, reuseAddr := range values(b.ReuseAddr, a.sock.reuseAddr) {
			for _, reusePort := range values(b.ReusePort, a.sock.reusePort) {
				o := a.socket(b, uid)
				o.at.v6only, o.reuseAddr, o.reusePort, o.state = v6only, reuseAddr, reusePort, st
				a.note(&c, o)
			}
		}
	}
	return c
}

// values are what a flag can be. Where the value cannot matter, one will do.
func values(f monban.Flag, matters bool) []bool {
	switch {
	case f == monban.On:
		return []bool{true}
	case f == monban.Off || !matters:
		return []bool{false}
	}
	return []bool{false, true}
}

func (a *attempt) note(c *chanced, o *Socket) {
	s := a.sock
	switch {
	case s.proto == monban.UDP && !s.udpMeets(o):
		c.not = true
		return
	case s.proto == monban.UDP && s.udpShares(o):
		c.meets, c.shares = true, true
		return
	case s.proto == monban.TCP && !(s.sharesDevice(o) && s.tcpMeets(o)):
		c.not = true
		return
	}
	c.meets = true
	if s.proto == monban.TCP && s.tcpTolerates(o) {
		c.shares = true
		return
	}
	c.blocks = true
	c.remembered = c.remembered || s.proto == monban.TCP && mayRemember(s, o)
}

// mayRemember reports whether a bucket can have been left in a state that lets s
// in although o is in its way (bucket.remembers). For that a third socket of s's
// user with SO_REUSEPORT was let in beside o, at an address that covers that of
// s, and o has not asked for the port since. Beside an o that listens on every
// device that takes an o of the same user, whose SO_REUSEPORT was on at the time;
// or else [::], which the kernel remembers as one place whether or not it takes
// IPv4, and which it takes for the same place as 0.0.0.0 if it does.
func mayRemember(s, o *Socket) bool {
	if !s.reusePort {
		return false
	}
	return o.device != 0 || o.state != listening || o.uid == s.uid || s.at.any() && (o.at.mapped() || o.at.v6only && !s.at.v6only)
}

// socket is a live socket as the model has it.
func (a *attempt) socket(b monban.Bind, uid uint32) *Socket {
	o := &Socket{proto: b.Port.Proto, uid: uid, port: b.Port.Num,
		at: rcvAddr{v6: !b.Addr.Is4(), addr: to16(b.Addr.WithZone("")), v6only: b.V6Only == monban.On}}
	if b.Device != "" {
		if o.device = a.net.index(b.Device); o.device == 0 {
			o.device = goneDevice
		}
	}
	return o
}

// meetTraffic compares the attempt with the connections that use its port.
func (a *attempt) meetTraffic() {
	for _, r := range a.snap.TrafficOf {
		a.counted = a.counted || r.Contains(a.want.Port)
	}
	for _, t := range a.snap.Traffic {
		if t.Port != a.want.Port {
			continue
		}
		a.counted, a.conns = true, t
		if len(t.Locals) == 0 && t.Established+t.TimeWait+t.Other > 0 {
			a.traffic = depends
		}
		st := connected
		if t.Established+t.Other == 0 {
			st = timeWait
		}
		for _, local := range t.Locals {
			// The uid of a connection is not counted with it, and it matters
			// only beside SO_REUSEPORT: take that of the attempt and then
			// another one.
			for _, uid := range []uint32{a.sock.uid, a.sock.uid + 1} {
				// An accepted connection at an IPv6 address counts as
				// IPv4 too unless its listener was IPV6_V6ONLY, and so is
				// in the way of 0.0.0.0 (see rcv4).
				b := monban.Bind{Port: t.Port, Addr: local}
				if c := a.try(b, uid, st); c.meets {
					a.traffic = max(a.traffic, c.sum(a, 2))
				}
			}
		}
	}
}
