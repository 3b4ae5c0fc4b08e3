package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netlink"
)

// This file decodes the messages of rtnetlink(7). The numbers are those of
// include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,ip,ipv6}.h. Every length
// is checked before use; what the kernel adds in a later release is skipped.

var (
	errShort = errors.New("rtnetlink: message too short")
	// errChanged is what is left of netlink.ErrInterrupted after some attempts.
	errChanged = errors.New("rtnetlink: the table kept changing while it was read")
)

// link is an interface and its switches of the two protocols.
type link struct {
	monban.Interface
	forwards4 bool
	has6      bool // IPv6 is enabled on it
	parent    int  // index of the interface below it; 0 is none
	forwards6 bool // by net.ipv6.conf.IFACE.force_forwarding (Linux 6.17)
	master    int  // index of the interface it is a part of; 0 is none
	// The interface's own settings of net.ipv4.conf, before those of "all".
	rpFilter                              uint32
	acceptLocal, routeLocalnet, validMark bool
}

// parseLink decodes the payload of RTM_NEWLINK.
func parseLink(b []byte) (link, error) {
	const (
		iffUp       = 0x1
		iffLoopback = 0x8

		iflaName     = 3
		iflaLink     = 5
		iflaMaster   = 10
		iflaLinkInfo = 18
		iflaAFSpec   = 26
		iflaXDP      = 43
	)
	if len(b) < 16 { // struct ifinfomsg
		return link{}, errShort
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	l := link{Interface: monban.Interface{
		Index:    int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Up:       flags&iffUp != 0,
		Loopback: flags&iffLoopback != 0,
	}}
	l.IPv6 = monban.Off
	err := netlink.Attrs(b[16:], func(kind uint16, value []byte) error {
		switch kind {
		case iflaName:
			l.Name = cString(value)
		case iflaLink:
			l.parent = int(int32(element(value, 0)))
		case iflaMaster:
			l.master = int(int32(element(value, 0)))
		case iflaXDP:
			return netlink.Attrs(value, l.xdp)
		case iflaLinkInfo:
			return netlink.Attrs(value, l.linkInfo)
		case iflaAFSpec:
			return netlink.Attrs(value, l.family)
		}
		return nil
	})
	if err != nil {
		return link{}, err
	}
	return l, nil
}

func (l *link) linkInfo(kind uint16, value []byte) error {
	const infoKind = 1
	if kind == infoKind {
		l.Kind = cString(value)
	}
	return nil
}

func (l *link) xdp(kind uint16, value []byte) error {
	const attached = 2 // IFLA_XDP_ATTACHED; 0 is no program
	if kind == attached && len(value) > 0 && value[0] != 0 {
		l.Program = "xdp"
	}
	return nil
}

// family decodes one member of IFLA_AF_SPEC: the arrays of the switches that are
// below /proc/sys/net/ipv{4,6}/conf/IFACE. An interface without IPv6 has no member
// for it.
func (l *link) family(family uint16, value []byte) error {
	const (
		conf4 = 1 // IFLA_INET_CONF
		conf6 = 2 // IFLA_INET6_CONF

		// IPV4_DEVCONF_* - 1
		forwarding4    = 0
		rpFilter4      = 7
		acceptLocal4   = 22
		validMark4     = 23
		routeLocalnet4 = 25

		disable6         = 26
		forceForwarding6 = 59
	)
	return netlink.Attrs(value, func(kind uint16, conf []byte) error {
		switch {
		case family == afInet && kind == conf4:
			l.forwards4 = element(conf, forwarding4) != 0
			l.rpFilter = element(conf, rpFilter4)
			l.acceptLocal = element(conf, acceptLocal4) != 0
			l.validMark = element(conf, validMark4) != 0
			l.routeLocalnet = element(conf, routeLocalnet4) != 0
		case family == afInet6 && kind == conf6:
			l.has6 = len(conf) > 4*disable6 && element(conf, disable6) == 0
			l.IPv6 = monban.FlagOf(l.has6)
			l.forwards6 = element(conf, forceForwarding6) != 0
		}
		return nil
	})
}

// AF_INET and AF_INET6 of Linux.
const (
	afInet  = 2
	afInet6 = 10
)

// element returns the i-th number of an array, 0 beyond its end.
func element(array []byte, i int) uint32 {
	if len(array) < 4*(i+1) {
		return 0
	}
	return binary.NativeEndian.Uint32(array[4*i:])
}

// address is an address of the interface with the given index.
type address struct {
	index  int
	prefix netip.Prefix
	// usable is false while duplicate address detection has not let the address
	// through, or has found the duplicate: bind(2) refuses it (IFA_F_TENTATIVE
	// in the kernel's ipv6_chk_addr).
	usable bool
}

// parseAddress decodes the payload of RTM_NEWADDR.
func parseAddress(b []byte) (address, error) {
	const (
		ifaAddress = 1 // the peer's, on a point-to-point link
		ifaLocal   = 2
		ifaFlags   = 8

		optimistic = 0x04
		tentative  = 0x40
	)
	if len(b) < 8 { // struct ifaddrmsg
		return address{}, errShort
	}
	bits, flags := int(b[1]), uint32(b[2])
	a := address{index: int(int32(binary.NativeEndian.Uint32(b[4:])))}
	var local, other netip.Addr
	err := netlink.Attrs(b[8:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case ifaLocal:
			local, err = ip(value)
		case ifaAddress:
			other, err = ip(value)
		case ifaFlags:
			flags = element(value, 0)
		}
		return err
	})
	if err != nil {
		return address{}, err
	}
	if !local.IsValid() {
		local = other
	}
	a.prefix = netip.PrefixFrom(local, bits)
	if !a.prefix.IsValid() {
		return address{}, fmt.Errorf("rtnetlink: address %s with a prefix of %d bits", local, bits)
	}
	a.usable = flags&tentative == 0 || flags&optimistic != 0
	return a, nil
}

// hop is one way to a destination.
type hop struct {
	dst     netip.Prefix
	from    netip.Prefix // the zero Prefix is any
	tos     uint8
	gateway netip.Addr
	index   int // of the interface; 0 is none
	kind    string
	metric  uint32
	table   uint32
}

const typeLocal = 2 // RTN_LOCAL

// parseRoute decodes the payload of RTM_NEWROUTE. A route with several next hops
// is several hops. What the kernel itself has put into the table local for addresses
// that many hear (broadcast, anycast and multicast) is none.
func parseRoute(b []byte) ([]hop, error) {
	const (
		rtaDst       = 1
		rtaSrc       = 2
		rtaOIF       = 4
		rtaGateway   = 5
		rtaPriority  = 6
		rtaMultipath = 9
		rtaTable     = 15
		rtaVia       = 18

		unicast     = 1
		broadcast   = 3
		anycast     = 4
		multicast   = 5
		blackhole   = 6
		unreachable = 7
		prohibit    = 8
		throw       = 9
		cloned      = 0x200 // a cached copy of another route
		byKernel    = 2     // RTPROT_KERNEL
	)
	if len(b) < 12 { // struct rtmsg
		return nil, errShort
	}
	family, bits, fromBits, tos, table, maker, kind, flags := b[0], int(b[1]), int(b[2]), b[3], uint32(b[4]), b[5], b[7], binary.NativeEndian.Uint32(b[8:])
	dst := netip.IPv4Unspecified()
	if family == afInet6 {
		dst = netip.IPv6Unspecified()
	}
	var hops []hop
	var single hop
	var metric uint32
	var src netip.Addr
	nextHop := func(h *hop) func(uint16, []byte) error {
		return func(kind uint16, value []byte) (err error) {
			switch kind {
			case rtaGateway:
				h.gateway, err = ip(value)
			case rtaVia: // the family, then an address of it
				if len(value) < 2 {
					return errShort
				}
				h.gateway, err = ip(value[2:])
			case rtaOIF:
				h.index = int(int32(element(value, 0)))
			}
			return err
		}
	}
	err := netlink.Attrs(b[12:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case rtaDst:
			dst, err = ip(value)
		case rtaSrc:
			src, err = ip(value)
		case rtaTable:
			table = element(value, 0)
		case rtaPriority:
			metric = element(value, 0)
		case rtaMultipath:
			for len(value) > 0 && err == nil { // struct rtnexthop
				length := 0
				if len(value) >= 8 {
					length = int(binary.NativeEndian.Uint16(value))
				}
				if length < 8 || length > len(value) {
					return errShort
				}
				h := hop{index: int(int32(binary.NativeEndian.Uint32(value[4:])))}
				err = netlink.Attrs(value[8:length], nextHop(&h))
				hops = append(hops, h)
				value = value[min((length+3)&^3, len(value)):]
			}
		default:
			err = nextHop(&single)(kind, value)
		}
		return err
	})
	prefix := netip.PrefixFrom(dst, bits)
	what := ""
	switch kind {
	case blackhole, unreachable, prohibit:
		what = monban.RouteNowhere
	case throw:
		what = monban.RouteThrow
	case typeLocal:
		what = monban.RouteLocal
	case unicast:
	default:
		what = monban.RouteOther
	}
	var from netip.Prefix
	if fromBits > 0 {
		from = netip.PrefixFrom(src, fromBits)
	}
	switch {
	case err != nil:
		return nil, err
	case table == monban.TableLocal && maker == byKernel && (kind == broadcast || kind == anycast || kind == multicast) || flags&cloned != 0:
		return nil, nil
	case !prefix.IsValid():
		return nil, fmt.Errorf("rtnetlink: route to %s with a prefix of %d bits", dst, bits)
	case fromBits > 0 && !from.IsValid():
		return nil, fmt.Errorf("rtnetlink: route from %s with a prefix of %d bits", src, fromBits)
	}
	if len(hops) == 0 {
		hops = []hop{single}
	}
	for i := range hops {
		hops[i].dst, hops[i].from, hops[i].tos, hops[i].kind, hops[i].metric, hops[i].table = prefix, from, tos, what, metric, table
	}
	return hops, nil
}

// parseRule decodes the payload of RTM_NEWRULE.
func parseRule(b []byte) (r monban.RoutingRule, err error) {
	const (
		fraDst           = 1
		fraSrc           = 2
		fraIn            = 3
		fraGoto          = 4
		fraPriority      = 6
		fraMark          = 10
		fraFlow          = 11 // a realm that the route gets: nobody asks for it
		fraTunnel        = 12
		fraSuppressGroup = 13
		fraSuppress      = 14
		fraTable         = 15
		fraMask          = 16
		fraOut           = 17
		fraL3Mdev        = 19
		fraUIDs          = 20
		fraProtocol      = 21 // who made the rule
		fraIPProto       = 22
		fraSourcePorts   = 23
		fraDestPorts     = 24
		fraSourceMask    = 28
		fraDestMask      = 29

		toTable     = 1 // FR_ACT_*
		toRule      = 2
		nop         = 3
		blackhole   = 6
		unreachable = 7
		prohibit    = 8

		inverted = 2 // FIB_RULE_INVERT
		none     = ^uint32(0)
	)
	if len(b) < 12 { // struct fib_rule_hdr
		return r, errShort
	}
	family, dstLen, srcLen, action, flags := b[0], int(b[1]), int(b[2]), b[7], binary.NativeEndian.Uint32(b[8:])
	r = monban.RoutingRule{Family: monban.IPv4, TOS: b[3], Table: uint32(b[4]), Not: flags&inverted != 0}
	if family == afInet6 {
		r.Family = monban.IPv6
	}
	var dst, src netip.Addr
	err = netlink.Attrs(b[12:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case fraDst:
			dst, err = ip(value)
		case fraSrc:
			src, err = ip(value)
		case fraIn:
			r.In = cString(value)
		case fraOut:
			r.Out = cString(value)
		case fraGoto:
			r.Goto = element(value, 0)
		case fraPriority:
			r.Priority = element(value, 0)
		case fraMark:
			r.Mark = element(value, 0)
		case fraMask:
			r.Mask = element(value, 0)
		case fraTable:
			r.Table = element(value, 0)
		case fraSuppress: // -1 is none, and so 0 here
			r.Suppress = element(value, 0) + 1
		case fraSuppressGroup:
			r.SuppressGroup = element(value, 0) != none
		case fraL3Mdev:
			r.L3Mdev = len(value) > 0 && value[0] != 0
		case fraUIDs:
			if len(value) < 8 {
				return errShort
			}
			if u := (monban.UIDRange{First: binary.NativeEndian.Uint32(value), Last: binary.NativeEndian.Uint32(value[4:])}); u.First != 0 || u.Last != none {
				r.UIDs = &u
			}
		case fraIPProto:
			if len(value) > 0 {
				r.Proto = value[0]
			}
		case fraSourcePorts:
			r.SourcePorts, err = portsOf(value)
		case fraDestPorts:
			r.DestPorts, err = portsOf(value)
		case fraTunnel:
			r.Other = "tun_id"
		case fraSourceMask, fraDestMask: // told of every single port
			if len(value) < 2 || binary.NativeEndian.Uint16(value) != 0xffff {
				r.Other = "port mask"
			}
		case fraProtocol, fraFlow:
		default:
			r.Other = fmt.Sprintf("selector %d", kind)
		}
		return err
	})
	switch action {
	case toTable:
		r.Action = monban.RouteLookup
	case toRule:
		r.Action = monban.RouteGoto
	case nop:
		r.Action = monban.RouteNop
	case unreachable:
		r.Action = monban.RouteUnreachable
	case prohibit:
		r.Action = monban.RouteProhibit
	default: // the kernel drops whatever it does not know (fib4_rule_action)
		r.Action = monban.RouteBlackhole
	}
	if r.Action != monban.RouteLookup || r.L3Mdev {
		r.Table = 0
	}
	for _, end := range [...]struct {
		to   *netip.Prefix
		addr netip.Addr
		bits int
	}{{&r.To, dst, dstLen}, {&r.From, src, srcLen}} {
		if end.bits == 0 || err != nil {
			continue
		}
		if *end.to = netip.PrefixFrom(end.addr, end.bits); !end.to.IsValid() {
			return r, fmt.Errorf("rtnetlink: rule for %s with a prefix of %d bits", end.addr, end.bits)
		}
	}
	return r, err
}

// portsOf decodes struct fib_rule_port_range.
func portsOf(value []byte) (monban.PortRange, error) {
	if len(value) < 4 {
		return monban.PortRange{}, errShort
	}
	return monban.PortRange{First: binary.NativeEndian.Uint16(value), Last: binary.NativeEndian.Uint16(value[2:])}, nil
}

func ip(b []byte) (netip.Addr, error) {
	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.Addr{}, fmt.Errorf("rtnetlink: an address of %d bytes", len(b))
	}
	return addr, nil
}

// cString returns b up to its first NUL.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
