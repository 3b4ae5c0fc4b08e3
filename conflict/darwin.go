package conflict

import (
	"net/netip"

	"github.com/monban-dev/monban"
)

// darwin models who may have a port on macOS, for TCP and UDP over IPv4 and IPv6.
//
// The comments cite XNU 10002 (macOS 14), bsd/netinet/in_pcb.c and
// bsd/netinet6/in6_pcb.c, by function. Unlike on Linux listen(2) asks for
// nothing once more, nothing is remembered of sockets that are closed, and of the
// options of the socket that is there only SO_REUSEPORT counts. Outside the model
// are the ports that the kernel restricts to Apple's own programs, Skywalk's
// reservations, and SO_REUSESHAREUID.
type darwin struct {
	interfaces []monban.Interface
	// open are the sockets of the port, the newest first: the order in which the
	// kernel finds them (LIST_INSERT_HEAD in in_pcbinshash).
	open []*Socket
}

// bind is bind(2). It returns the error and the socket that is to blame.
func (d *darwin) bind(s *Socket, root bool, addr netip.Addr, port uint16) (Errno, *Socket) {
	v4 := addr.Is4() || addr.Is4In6() && !s.at.v6only // tcp6_usr_bind, udp6_bind
	if v4 {
		addr = addr.Unmap()
	}
	switch {
	case addr.IsMulticast() && s.proto == monban.TCP:
		return EAFNOSUPPORT, nil // tcp_usr_bind
	case !addr.IsUnspecified() && !addr.IsMulticast() && !d.owns(addr):
		return EADDRNOTAVAIL, nil
	case port < 1024 && !addr.IsUnspecified() && !root:
		return EACCES, nil // since macOS 10.14 every address is free for everybody
	}
	blame := d.in6(s, addr)
	if v4 {
		blame = d.in4(s, addr)
	}
	if blame != nil {
		return EADDRINUSE, blame
	}
	return NoError, nil
}

// owns is ifa_ifwithaddr: an address or broadcast address that an interface has.
// Of 127.0.0.0/8 only 127.0.0.1 is there, and a link-local address is only with
// its interface.
func (d *darwin) owns(addr netip.Addr) bool {
	for i := range d.interfaces {
		ifc := &d.interfaces[i]
		for _, p := range ifc.Addrs {
			switch {
			case p.Addr() == addr.WithZone(""):
				if !addr.Is6() || !addr.IsLinkLocalUnicast() || addr.Zone() == ifc.Name {
					return true
				}
			case p.Addr().Is4() && addr.Is4() && !ifc.Loopback && p.Bits() < 31 && addr == lastOf(p):
				return true
			}
		}
	}
	return false
}

// in4 is the part of in_pcbbind that looks for others.
func (d *darwin) in4(s *Socket, addr netip.Addr) *Socket {
	any := addr.IsUnspecified()
	if s.uid != 0 && !addr.IsMulticast() {
		if t := d.lookup(addr, inpcb4, true); t != nil && t.uid != s.uid && !(any && t.at.rcv4() == wildcard4()) {
			return t
		}
	}
	t := d.lookup(addr, inpcb4, !s.reuseAddr && !s.reusePort)
	if t == nil || s.bsdShares(t, addr) || any && t.at.rcv4() == wildcard4() && s.at.v6 && t.at.v6 {
		return nil
	}
	return t
}

// in6 is the part of in6_pcbbind that looks for others. A socket on [::] that
// takes IPv4 too stands aside for those on an IPv4 address, but not for one on
// 0.0.0.0, which is left to have what comes over IPv4.
func (d *darwin) in6(s *Socket, addr netip.Addr) *Socket {
	any := addr.IsUnspecified()
	dual := any && !s.at.v6only
	all4 := netip.IPv4Unspecified()
	beside := func(t *Socket) bool { return t == nil || t.at.rcv4() == wildcard4() && !t.at.v6 }
	if s.uid != 0 && !addr.IsMulticast() {
		if t := d.lookup(addr, inpcb6, true); t != nil && t.uid != s.uid && !(any && t.at.any() && t.reusePort) {
			return t
		}
		if dual {
			if t := d.lookup(all4, inpcb4, true); !beside(t) && t.uid != s.uid && !t.reusePort {
				return t
			}
		}
	}
	wild := !s.reuseAddr && !s.reusePort
	if t := d.lookup(addr, inpcb6, wild); t != nil && !s.bsdShares(t, addr) {
		return t
	}
	if dual {
		if t := d.lookup(all4, inpcb4, wild); !beside(t) && !s.bsdShares(t, addr) {
			return t
		}
	}
	return nil
}

// bsdShares reports whether both sockets have the option that lets them share.
// For a multicast address either will do.
func (s *Socket) bsdShares(t *Socket, addr netip.Addr) bool {
	if addr.IsMulticast() && s.reuseAddr {
		return t.reuseAddr || t.reusePort
	}
	return s.reusePort && t.reusePort
}

// inpcb4 is where a socket stands among those of IPv4 (INP_IPV4), if it does.
func inpcb4(s *Socket) (netip.Addr, bool) {
	switch {
	case !s.at.v6 || s.at.mapped():
		return s.at.addr.Unmap(), true
	case s.at.any() && !s.at.v6only:
		return netip.IPv4Unspecified(), true
	}
	return netip.Addr{}, false
}

// inpcb6 is where a socket stands among those of IPv6 (INP_IPV6), if it does.
func inpcb6(s *Socket) (netip.Addr, bool) { return s.at.addr, s.at.v6 && !s.at.mapped() }

// lookup is in_pcblookup_local and in6_pcblookup_local: without wild the socket
// at the very address that is not connected, with it the one that fits best. A
// connection, also in TIME_WAIT, fits worse than a server.
func (d *darwin) lookup(addr netip.Addr, place func(*Socket) (netip.Addr, bool), wild bool) *Socket {
	var best *Socket
	least := 3
	for _, o := range d.open {
		at, ok := place(o)
		if !ok {
			continue
		}
		connection := o.state == connected || o.state == timeWait
		misfit := 0
		switch {
		case at == addr:
		case !wild, !at.IsUnspecified() && !addr.IsUnspecified():
			continue
		default:
			misfit++
		}
		if connection {
			if misfit++; !wild {
				continue
			}
		}
		if misfit < least {
			best, least = o, misfit
		}
	}
	return best
}
