//go:build !linux

package host

import (
	"net"
	"net/netip"

	"github.com/monban-dev/monban"
)

// interfaces reads what the standard library can tell of them.
func (v *view) interfaces() {
	list, err := net.Interfaces()
	if err != nil {
		v.miss("interfaces", err)
		return
	}
	v.IPv6 = monban.Off
	for _, from := range list {
		i := monban.Interface{
			Index:    from.Index,
			Name:     from.Name,
			Up:       from.Flags&net.FlagUp != 0,
			Loopback: from.Flags&net.FlagLoopback != 0,
		}
		addrs, err := from.Addrs()
		if err != nil {
			v.miss("addresses of "+from.Name, err)
		}
		for _, addr := range addrs {
			p, ok := prefixOf(addr)
			if !ok {
				continue
			}
			i.Addrs = append(i.Addrs, p)
			if p.Addr().Is6() {
				v.IPv6 = monban.On
			}
		}
		v.Interfaces = append(v.Interfaces, i)
	}
}

// prefixOf converts an address with its mask.
func prefixOf(addr net.Addr) (netip.Prefix, bool) {
	n, ok := addr.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if !ok || size == 0 {
		return netip.Prefix{}, false
	}
	// A 16-byte form of an IPv4 address has the mask of 4 bytes.
	return netip.PrefixFrom(ip.Unmap(), bits), true
}
