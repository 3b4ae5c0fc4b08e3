package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/monban-dev/monban"
)

// This file decodes the messages of rtnetlink(7). The numbers are those of
// include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,ip,ipv6}.h. Every length
// is checked before use; what the kernel adds in a later release is skipped.

var (
	errShort = errors.New("rtnetlink: message too short")
	// errChanged is NLM_F_DUMP_INTR: the table changed while it was read.
	errChanged = errors.New("rtnetlink: the table kept changing while it was read")
)

// kernelError is the errno of an answer that is an error.
type kernelError int32

func (e kernelError) Error() string { return fmt.Sprintf("rtnetlink: errno %d", int32(e)) }

const (
	nlmsgError = 2
	nlmsgDone  = 3

	nlmFlagDumpInterrupted = 0x10
)

// messages calls each with the payload of every message in a datagram. It
// reports whether the answer ends with it.
func messages(datagram []byte, each func(payload []byte) error) (done bool, err error) {
	for len(datagram) > 0 {
		length := 0
		if len(datagram) >= 16 {
			length = int(native.Uint32(datagram))
		}
		if length < 16 || length > len(datagram) {
			return false, errShort
		}
		kind, flags, payload := native.Uint16(datagram[4:]), native.Uint16(datagram[6:]), datagram[16:length]
		switch {
		case flags&nlmFlagDumpInterrupted != 0:
			return false, errChanged
		case kind == nlmsgDone || kind == nlmsgError:
			// Both begin with an errno, negative; 0 is success.
			if len(payload) >= 4 {
				if errno := int32(native.Uint32(payload)); errno != 0 {
					return true, kernelError(-errno)
				}
			}
			return true, nil
		}
		if err := each(payload); err != nil {
			return false, err
		}
		datagram = datagram[min(align(length), len(datagram)):]
	}
	return false, nil
}

var native = binary.NativeEndian

func align(n int) int { return (n + 3) &^ 3 }

// attributes calls each with every attribute in b.
func attributes(b []byte, each func(kind uint16, value []byte) error) error {
	for len(b) >= 4 {
		length := int(native.Uint16(b))
		if length < 4 || length > len(b) {
			return errShort
		}
		const flags = 0xc000 // NLA_F_NESTED, NLA_F_NET_BYTEORDER
		if err := each(native.Uint16(b[2:])&^flags, b[4:length]); err != nil {
			return err
		}
		b = b[min(align(length), len(b)):]
	}
	return nil
}

// link is an interface and its switches of the two protocols.
type link struct {
	monban.Interface
	forwards4 bool
	has6      bool // IPv6 is enabled on it
	parent    int  // index of the interface below it; 0 is none
	forwards6 bool // by net.ipv6.conf.IFACE.force_forwarding (Linux 6.17)
	master    int  // index of the interface it is a part of; 0 is none
	// The interface's own settings of net.ipv4.conf, before those of "all".
	rpFilter                   uint32
	acceptLocal, routeLocalnet bool
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
	flags := native.Uint32(b[8:])
	l := link{Interface: monban.Interface{
		Index:    int(int32(native.Uint32(b[4:]))),
		Up:       flags&iffUp != 0,
		Loopback: flags&iffLoopback != 0,
	}}
	l.IPv6 = monban.Off
	err := attributes(b[16:], func(kind uint16, value []byte) error {
		switch kind {
		case iflaName:
			l.Name = cString(value)
		case iflaLink:
			l.parent = int(int32(element(value, 0)))
		case iflaMaster:
			l.master = int(int32(element(value, 0)))
		case iflaXDP:
			return attributes(value, l.xdp)
		case iflaLinkInfo:
			return attributes(value, l.linkInfo)
		case iflaAFSpec:
			return attributes(value, l.family)
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
		routeLocalnet4 = 25

		disable6         = 26
		forceForwarding6 = 59
	)
	return attributes(value, func(kind uint16, conf []byte) error {
		switch {
		case family == afInet && kind == conf4:
			l.forwards4 = element(conf, forwarding4) != 0
			l.rpFilter = element(conf, rpFilter4)
			l.acceptLocal = element(conf, acceptLocal4) != 0
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
	return native.Uint32(array[4*i:])
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
	a := address{index: int(int32(native.Uint32(b[4:])))}
	var local, other netip.Addr
	err := attributes(b[8:], func(kind uint16, value []byte) (err error) {
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
	gateway netip.Addr
	index   int // of the interface; 0 is none
	kind    string
	metric  uint32
}

const (
	tableMain  = 254 // RT_TABLE_MAIN
	tableLocal = 255 // RT_TABLE_LOCAL
	typeLocal  = 2   // RTN_LOCAL
)

// parseRoute decodes the payload of RTM_NEWROUTE. A route with several next hops
// is several hops; one of another table than main is none, unless it is one to
// this machine itself.
func parseRoute(b []byte) ([]hop, error) {
	const (
		rtaDst       = 1
		rtaOIF       = 4
		rtaGateway   = 5
		rtaPriority  = 6
		rtaMultipath = 9
		rtaTable     = 15
		rtaVia       = 18

		unicast     = 1
		blackhole   = 6
		unreachable = 7
		prohibit    = 8
		throw       = 9
		cloned      = 0x200 // a cached copy of another route
	)
	if len(b) < 12 { // struct rtmsg
		return nil, errShort
	}
	family, bits, table, kind, flags := b[0], int(b[1]), uint32(b[4]), b[7], native.Uint32(b[8:])
	dst := netip.IPv4Unspecified()
	if family == afInet6 {
		dst = netip.IPv6Unspecified()
	}
	var hops []hop
	var single hop
	var metric uint32
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
	err := attributes(b[12:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case rtaDst:
			dst, err = ip(value)
		case rtaTable:
			table = element(value, 0)
		case rtaPriority:
			metric = element(value, 0)
		case rtaMultipath:
			for len(value) > 0 && err == nil { // struct rtnexthop
				length := 0
				if len(value) >= 8 {
					length = int(native.Uint16(value))
				}
				if length < 8 || length > len(value) {
					return errShort
				}
				h := hop{index: int(int32(native.Uint32(value[4:])))}
				err = attributes(value[8:length], nextHop(&h))
				hops = append(hops, h)
				value = value[min(align(length), len(value)):]
			}
		default:
			err = nextHop(&single)(kind, value)
		}
		return err
	})
	prefix := netip.PrefixFrom(dst, bits)
	what := ""
	switch kind {
	case blackhole, unreachable, prohibit, throw:
		what = monban.RouteNowhere
	case typeLocal:
		what = monban.RouteLocal
	case unicast:
	default:
		table = 0
	}
	switch {
	case err != nil:
		return nil, err
	case table != tableMain && (table != tableLocal || kind != typeLocal) || flags&cloned != 0:
		return nil, nil
	case !prefix.IsValid():
		return nil, fmt.Errorf("rtnetlink: route to %s with a prefix of %d bits", dst, bits)
	}
	if len(hops) == 0 {
		hops = []hop{single}
	}
	for i := range hops {
		hops[i].dst, hops[i].kind, hops[i].metric = prefix, what, metric
	}
	return hops, nil
}

// parseRule reports whether the payload of RTM_NEWRULE is a rule besides those
// that every system has: look in the tables local, main and default for every
// packet; marked, that it is only about packets with a mark.
func parseRule(b []byte) (custom, marked bool, err error) {
	const (
		fraPriority = 6
		fraMark     = 10
		fraTable    = 15
		fraSuppress = 14
		fraMask     = 16
		fraProtocol = 21
		toTable     = 1 // FR_ACT_TO_TBL
		inverted    = 2 // FIB_RULE_INVERT
	)
	if len(b) < 12 { // struct fib_rule_hdr
		return false, false, errShort
	}
	dstLen, srcLen, tos, table, action, flags := b[1], b[2], b[3], uint32(b[4]), b[7], native.Uint32(b[8:])
	plain := dstLen == 0 && srcLen == 0 && tos == 0 && action == toTable && flags&inverted == 0
	mark, mask := uint32(0), ^uint32(0)
	err = attributes(b[12:], func(kind uint16, value []byte) error {
		switch kind {
		case fraTable:
			table = element(value, 0)
		case fraMark:
			mark, plain = element(value, 0), false
		case fraMask:
			mask, plain = element(value, 0), false
		case fraPriority, fraProtocol:
		case fraSuppress: // suppress_prefixlength; -1 is none
			plain = plain && element(value, 0) == 0xffffffff
		default: // an interface, a user: only some packets
			plain = false
		}
		return nil
	})
	custom = !plain || table != 253 && table != tableMain && table != tableLocal
	return custom, mark&mask != 0 && flags&inverted == 0, err
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
