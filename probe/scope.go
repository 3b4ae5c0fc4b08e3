package probe

import (
	"net/netip"

	"github.com/monban-dev/monban"
)

// Reach is how far away a target is, and so how much care it asks for.
type Reach uint8

// The reaches, from the nearest.
const (
	// Near is loopback, link-local, this machine's own address, or private.
	Near Reach = iota
	// Wide is a private prefix of more than 256 addresses that no interface of
	// this machine is in.
	Wide
	// Far is everybody else's.
	Far
	// Never is what is nobody's own: multicast, broadcast, reserved.
	Never
)

// ReachOf says how far the addresses of a prefix are, seen from h. Of a prefix
// that spans several kinds the farthest counts.
func ReachOf(p netip.Prefix, h *monban.Host) Reach {
	first, last := spanOf(p).first.WithZone(""), spanOf(p).last.WithZone("")
	one := p.Bits() == p.Addr().BitLen()
	if never(first) || never(last) || spans(p, "255.255.255.255/32") || one && broadcast(first, h) {
		return Never
	}
	if one && h.HasAddr(first) {
		return Near
	}
	for _, near := range []string{"127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"} {
		if within(p, netip.MustParsePrefix(near)) {
			return Near
		}
	}
	for _, i := range h.Interfaces {
		for _, a := range i.Addrs {
			if within(p, a) && first.IsPrivate() {
				return Near
			}
		}
	}
	for _, private := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		if within(p, netip.MustParsePrefix(private)) {
			if p.Addr().BitLen()-p.Bits() > 8 {
				return Wide
			}
			return Near
		}
	}
	return Far
}

// never reports whether an address can be no target: nobody has it, or many do.
func never(a netip.Addr) bool {
	a = a.Unmap()
	if a.IsMulticast() || a.IsUnspecified() {
		return true
	}
	if a.Is4() {
		b := a.As4()
		return b[0] == 0 || b[0] >= 240
	}
	return false
}

func spans(p netip.Prefix, other string) bool { return p.Overlaps(netip.MustParsePrefix(other)) }

func within(p, outer netip.Prefix) bool {
	return p.Addr().BitLen() == outer.Addr().BitLen() && p.Bits() >= outer.Bits() && outer.Masked().Contains(p.Addr().WithZone(""))
}

// broadcast reports whether a is the broadcast address, or that of the network
// itself, of a link of h (RFC 919, RFC 3021).
func broadcast(a netip.Addr, h *monban.Host) bool {
	for _, p := range linkEnds(h) {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// linkEnds are the first and last addresses of the IPv4 links of h, which are no
// host's.
func linkEnds(h *monban.Host) (out []netip.Prefix) {
	for _, i := range h.Interfaces {
		for _, a := range i.Addrs {
			if !a.Addr().Is4() || a.Bits() >= 31 || i.Loopback {
				continue
			}
			s := spanOf(a)
			out = append(out, netip.PrefixFrom(s.first, 32), netip.PrefixFrom(s.last, 32))
		}
	}
	return out
}

// LinkEnds returns the addresses inside prefixes that are left out without being
// named: the network and broadcast addresses of this machine's own links.
func LinkEnds(h *monban.Host) []netip.Prefix { return linkEnds(h) }
