package conflict

import (
	"net/netip"

	"github.com/monban-dev/monban"
)

// Errno is the symbolic name of an error number; "" is success.
type Errno string

// The errors of the modelled calls.
const (
	NoError       Errno = ""
	EACCES        Errno = "EACCES"
	EADDRINUSE    Errno = "EADDRINUSE"
	EADDRNOTAVAIL Errno = "EADDRNOTAVAIL"
	EAFNOSUPPORT  Errno = "EAFNOSUPPORT"
	EINVAL        Errno = "EINVAL"
	ENODEV        Errno = "ENODEV"
	ENOPROTOOPT   Errno = "ENOPROTOOPT"
	EOPNOTSUPP    Errno = "EOPNOTSUPP"
	EPERM         Errno = "EPERM"
)

// Linux models one network namespace: its sockets, and the tables in which the
// kernel looks when a program asks for a port. Make one with [NewLinux].
//
// The model is of Linux 6.18, whose source the comments cite by function. It
// covers TCP (and MPTCP, whose first subflow obeys the same code) and UDP over
// IPv4 and IPv6. Outside it are: VRFs, which give each L3 domain its own table;
// TCP_REPAIR, which forces its way in; SO_ATTACH_REUSEPORT_EBPF before bind;
// shutdown(2) of a listener followed by another listen; and whatever a security
// module or a cgroup BPF program forbids on its own account.
//
// A Linux is not safe for concurrent use.
type Linux struct {
	net Net
	tcp map[uint16]*bucket
	// udp holds each port's hash chain in the kernel's order, head first. For
	// UDP the order decides: see udpInUse.
	udp map[uint16][]*Socket
}

// NewLinux returns a namespace without sockets.
func NewLinux(net Net) *Linux {
	return &Linux{net: net, tcp: map[uint16]*bucket{}, udp: map[uint16][]*Socket{}}
}

// Process makes system calls and holds sockets.
type Process struct {
	UID uint32
	// BindService and NetRaw are CAP_NET_BIND_SERVICE and CAP_NET_RAW in the
	// user namespace that owns the network namespace.
	BindService, NetRaw bool

	holds []*Socket
}

// Family is an address family.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Socket is one socket of a [Linux].
type Socket struct {
	proto monban.Proto
	uid   uint32
	at    rcvAddr
	port  uint16 // inet_num; 0 is unbound
	auto  bool   // bound to a port of the kernel's choice, which is not modelled
	state state
	// device is sk_bound_dev_if, an interface index; 0 is none.
	device int

	reuseAddr, reusePort, freebind bool
	// grouped says that the socket is in a reuseport group (sk_reuseport_cb).
	grouped bool
	// lent says that connect(2) chose the port (SOCK_CONNECT_BIND).
	lent bool
	refs int
}

// goneDevice is the index of an interface that does not exist.
const goneDevice = -1

type state uint8

const (
	closed state = iota // made, perhaps bound
	listening
	connected
	timeWait
)

// Socket is socket(2). The socket belongs to the user who makes it: sk_uid is
// the file system uid at this moment, and stays so when the socket is handed on.
func (l *Linux) Socket(p *Process, proto monban.Proto, family Family) (*Socket, Errno) {
	if family == IPv6 && l.net.NoIPv6 {
		return nil, EAFNOSUPPORT
	}
	s := &Socket{proto: proto, uid: p.UID, at: unbound(family)}
	if family == IPv6 {
		s.at.v6only = l.net.V6Only // inet6_create
	}
	l.Inherit(p, s)
	return s, NoError
}

// Inherit gives p another descriptor of s, as fork(2), dup(2) and SCM_RIGHTS do.
func (l *Linux) Inherit(p *Process, s *Socket) {
	p.holds = append(p.holds, s)
	s.refs++
}

// SetReuseAddr is SO_REUSEADDR. It may change at any time.
func (s *Socket) SetReuseAddr(on bool) { s.reuseAddr = on }

// SetReusePort is SO_REUSEPORT. It may change at any time.
func (s *Socket) SetReusePort(on bool) { s.reusePort = on }

// SetFreebind is IP_FREEBIND: an address that is not here is good enough.
func (s *Socket) SetFreebind(on bool) { s.freebind = on }

// SetV6Only is IPV6_V6ONLY, which cannot change once the socket has a port
// (do_ipv6_setsockopt).
func (s *Socket) SetV6Only(on bool) Errno {
	switch {
	case !s.at.v6:
		return ENOPROTOOPT
	case s.bound():
		return EINVAL
	}
	s.at.v6only = on
	return NoError
}

// SetDevice is SO_BINDTODEVICE; "" takes the device away. Anybody may choose a
// device, but only CAP_NET_RAW may change it (sock_bindtoindex_locked).
func (l *Linux) SetDevice(p *Process, s *Socket, name string) Errno {
	index := 0
	if name != "" {
		if index = l.net.index(name); index == 0 {
			return ENODEV
		}
	}
	if s.device != 0 && !p.NetRaw {
		return EPERM
	}
	s.device = index
	return NoError
}

// Bind is bind(2). An IPv4 address on an IPv6 socket is given IPv4-mapped; the
// zone of a link-local address is its interface's name. Port 0 succeeds with a
// port of the kernel's choice, which takes no further part in the model.
func (l *Linux) Bind(p *Process, s *Socket, addr netip.Addr, port uint16) Errno {
	if s.at.v6 {
		return l.bind6(p, s, addr, port)
	}
	return l.bind4(p, s, addr, port)
}

// bind4 is __inet_bind: first the address, then the privilege.
func (l *Linux) bind4(p *Process, s *Socket, addr netip.Addr, port uint16) Errno {
	switch {
	case !addr.Is4():
		return EAFNOSUPPORT
	case !l.net.valid4(addr) && !s.freebind && !l.net.Nonlocal4:
		return EADDRNOTAVAIL
	case l.forbidden(p, port):
		return EACCES
	case s.state != closed || s.bound():
		return EINVAL
	}
	return l.take(s, rcvAddr{addr: to16(addr)}, port)
}

// bind6 is __inet6_bind: first the privilege, then the address.
func (l *Linux) bind6(p *Process, s *Socket, addr netip.Addr, port uint16) Errno {
	switch {
	case !addr.Is6():
		return EINVAL // a sockaddr_in is too short
	case !addr.Is4In6() && addr.IsMulticast() && s.proto == monban.TCP:
		return EINVAL
	case l.forbidden(p, port):
		return EACCES
	case s.state != closed || s.bound():
		return EINVAL
	}
	if err := l.checkAddr6(s, addr); err != NoError {
		return err
	}
	at := rcvAddr{v6: true, addr: addr.WithZone(""), v6only: s.at.v6only}
	if !at.any() && !at.mapped() {
		at.v6only = true
	}
	return l.take(s, at, port)
}

// checkAddr6 is the part of __inet6_bind that asks whether the address belongs
// to the host. The zone of a link-local address becomes the socket's device, and
// stays so even if the bind then fails.
func (l *Linux) checkAddr6(s *Socket, addr netip.Addr) Errno {
	switch {
	case addr.Is4In6():
		switch {
		case s.at.v6only:
			return EINVAL
		case s.device == goneDevice:
			return ENODEV
		case !l.net.valid4(addr.Unmap()) && !s.freebind && !l.net.Nonlocal4:
			return EADDRNOTAVAIL
		}
		return NoError
	case addr.IsUnspecified():
		return NoError
	}
	if linkLocal(addr) {
		if addr.Zone() != "" {
			if s.device = l.net.index(addr.Zone()); s.device == 0 {
				s.device = goneDevice
			}
		}
		if s.device == 0 {
			return EINVAL
		}
	}
	if s.device == goneDevice {
		return ENODEV
	}
	if !addr.IsMulticast() && !s.freebind && !l.net.Nonlocal6 && !l.net.has6(addr.WithZone(""), s.device) {
		return EADDRNOTAVAIL
	}
	return NoError
}

// forbidden is inet_port_requires_bind_service.
func (l *Linux) forbidden(p *Process, port uint16) bool {
	return port != 0 && port < l.net.Unprivileged && !p.BindService
}

// take asks the protocol for the port (sk->sk_prot->get_port).
func (l *Linux) take(s *Socket, at rcvAddr, port uint16) Errno {
	was := s.at
	s.at = at
	switch {
	case port == 0:
		s.auto = true
		return NoError
	case s.proto == monban.UDP:
		if l.udpInUse(s, port) {
			s.at = was
			return EADDRINUSE
		}
		l.udpAdd(s, port)
	default:
		if !l.tcpGetPort(s, port) {
			s.at = was
			return EADDRINUSE
		}
	}
	return NoError
}

// Listen is listen(2). The kernel asks for the port once more, now for a socket
// that listens (inet_csk_listen_start), and so a bind that was fine may turn out
// to be in the way of somebody who listened first.
func (l *Linux) Listen(s *Socket) Errno {
	switch {
	case s.proto == monban.UDP:
		return EOPNOTSUPP
	case s.state == listening:
		return NoError // only the backlog changes
	case s.state != closed:
		return EINVAL
	}
	s.state = listening
	if s.port == 0 {
		s.auto = true // autobind
		return NoError
	}
	if !l.tcpGetPort(s, s.port) {
		s.state = closed
		return EADDRINUSE
	}
	s.grouped = s.reusePort // inet_reuseport_add_sock
	return NoError
}

// Accept adds the socket of a connection that listener accepted at the local
// address to. It shares the listener's port and inherits its options; while it
// lives, and in TIME_WAIT after that, it keeps the port from those who do not
// ask to reuse it (__inet_inherit_port, tcp_v6_syn_recv_sock).
func (l *Linux) Accept(p *Process, listener *Socket, to netip.Addr) *Socket {
	child := *listener
	child.state, child.grouped, child.refs = connected, false, 0
	child.at.addr = to16(to.WithZone(""))
	b := l.tcp[listener.port]
	b.socks = append(b.socks, &child)
	l.Inherit(p, &child)
	return &child
}

// Connect adds the socket of an outgoing connection from a local address and a
// port that the kernel chose (__inet_hash_connect).
func (l *Linux) Connect(s *Socket, from netip.AddrPort) {
	s.state, s.lent, s.port = connected, true, from.Port()
	s.at.addr = to16(from.Addr().WithZone(""))
	b := l.tcp[s.port]
	if b == nil {
		b = &bucket{}
		l.tcp[s.port] = b
	}
	b.socks = append(b.socks, s)
}

// Close is close(2) by p. The port is free when the last descriptor is closed.
func (l *Linux) Close(p *Process, s *Socket) {
	for i, held := range p.holds {
		if held == s {
			p.holds = append(p.holds[:i], p.holds[i+1:]...)
			l.release(s)
			return
		}
	}
}

// Exit ends p and closes all that it holds.
func (l *Linux) Exit(p *Process) {
	for _, s := range p.holds {
		l.release(s)
	}
	p.holds = nil
}

func (l *Linux) release(s *Socket) {
	if s.refs--; s.refs > 0 || s.port == 0 {
		return
	}
	if s.proto == monban.UDP {
		l.udpRemove(s)
	} else {
		l.tcpPutPort(s)
	}
	s.port, s.state = 0, closed
}

func (s *Socket) bound() bool { return s.port != 0 || s.auto }

// sharesDevice reports whether packets of one device could be meant for both.
func (s *Socket) sharesDevice(o *Socket) bool {
	return s.device == 0 || o.device == 0 || s.device == o.device
}
