package conflict

import (
	"net/netip"

	"github.com/monban-dev/monban"
)

// Net is what the kernel knows about addresses and rules when it judges a bind.
type Net struct {
	// Interfaces have the addresses. Those of an interface that is down do not
	// count: its local routes are gone.
	Interfaces []monban.Interface
	// Unprivileged is net.ipv4.ip_unprivileged_port_start.
	Unprivileged uint16
	// V6Only is net.ipv6.bindv6only, the value IPV6_V6ONLY starts with.
	V6Only bool
	// NoIPv6 is a kernel without IPv6 (ipv6.disable=1). A machine on which every
	// interface has disable_ipv6=1 still has IPv6 sockets, and [::] still opens.
	NoIPv6 bool
	// Nonlocal4 and Nonlocal6 are net.ipv{4,6}.ip_nonlocal_bind.
	Nonlocal4, Nonlocal6 bool
}

// index returns the interface's index, or 0.
func (n *Net) index(name string) int {
	for i := range n.Interfaces {
		if n.Interfaces[i].Name == name {
			return n.Interfaces[i].Index
		}
	}
	return 0
}

// valid4 is inet_addr_valid_or_nonlocal without the sysctl: the wildcard, an
// address of this machine, a multicast or a broadcast address. On which device
// the address is does not matter, even to a socket bound to another one
// (inet_addr_type_dev_table takes the device only for its VRF).
func (n *Net) valid4(addr netip.Addr) bool {
	if addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast() {
		return true
	}
	for i := range n.Interfaces {
		ifc := &n.Interfaces[i]
		if !ifc.Up {
			continue
		}
		for _, p := range ifc.Addrs {
			if p.Addr().Is4() && owns4(ifc, p, addr) {
				return true
			}
		}
	}
	return false
}

func broadcast() netip.Addr { return netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// owns4 reports whether an address given to an interface makes addr local or
// broadcast (fib_add_ifaddr): the address itself, the broadcast address of its
// network, and on a loopback interface the whole network.
func owns4(ifc *monban.Interface, p netip.Prefix, addr netip.Addr) bool {
	if p.Addr() == addr {
		return true
	}
	if !p.Contains(addr) {
		return false
	}
	return ifc.Loopback || p.Bits() < 31 && addr == lastOf(p)
}

func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

// has6 is ipv6_chk_addr. The device is asked for only where the address has a
// meaning on one link or one host alone.
func (n *Net) has6(addr netip.Addr, device int) bool {
	narrow := addr.IsLinkLocalUnicast() || addr.IsLoopback()
	for i := range n.Interfaces {
		ifc := &n.Interfaces[i]
		if !ifc.Up || narrow && device != 0 && ifc.Index != device {
			continue
		}
		for _, p := range ifc.Addrs {
			if p.Addr().WithZone("") == addr {
				return true
			}
		}
	}
	return false
}

// linkLocal is __ipv6_addr_needs_scope_id.
func linkLocal(addr netip.Addr) bool {
	return addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsInterfaceLocalMulticast()
}

// rcvAddr is where a socket stands in the tables: sk_family, sk_v6_rcv_saddr and
// sk_ipv6only. An IPv4 address is kept IPv4-mapped, as the kernel keeps it in
// its second table.
type rcvAddr struct {
	v6     bool
	v6only bool
	addr   netip.Addr
}

func unbound(f Family) rcvAddr {
	if f == IPv6 {
		return rcvAddr{v6: true, addr: netip.IPv6Unspecified()}
	}
	return rcvAddr{addr: wildcard4()}
}

// wildcard4 is 0.0.0.0 as an rcvAddr has it.
func wildcard4() netip.Addr { return to16(netip.IPv4Unspecified()) }

// loopback4IPv6 is LOOPBACK4_IPV6, which the kernel gives as an IPv4 address to
// a socket with a specific IPv6 address.
func loopback4IPv6() netip.Addr { return to16(netip.AddrFrom4([4]byte{127, 0, 0, 6})) }

func to16(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }

func (p rcvAddr) any() bool    { return p.addr.IsUnspecified() } // IPV6_ADDR_ANY
func (p rcvAddr) mapped() bool { return p.addr.Is4In6() }        // IPV6_ADDR_MAPPED

// rcv4 is sk_rcv_saddr.
func (p rcvAddr) rcv4() netip.Addr {
	switch {
	case p.mapped():
		return p.addr
	case p.any():
		return wildcard4()
	default:
		return loopback4IPv6()
	}
}

// wildcard reports whether p is not specific (the reverse of
// inet_use_hash2_on_bind).
func (p rcvAddr) wildcard() bool { return p.rcv4() == wildcard4() }

// overlaps is inet_rcv_saddr_equal: does a packet exist that is meant for both?
// With wild1 and wild2 a wildcard of the first or second address stands for every
// address. The rule is not symmetric.
func (p rcvAddr) overlaps(o rcvAddr, wild1, wild2 bool) bool {
	if !p.v6 || p.mapped() && o.mapped() { // ipv4_rcv_saddr_equal
		a, b := p.rcv4(), o.rcv4()
		return !o.v6only && (a == b || wild1 && a == wildcard4() || wild2 && b == wildcard4())
	}
	switch { // ipv6_rcv_saddr_equal
	case p.any() && o.any():
		return true
	case o.any() && wild2 && !(o.v6only && p.mapped()):
		return true
	case p.any() && wild1 && !(p.v6only && o.mapped()):
		return true
	}
	return p.addr == o.addr
}
