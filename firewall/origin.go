package firewall

import (
	"encoding/binary"
	"net/netip"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netlink"
)

// Origin returns what a TCP connection to this machine was before any rule
// translated it: who knocked, and at which address and port. from and to are its
// ends as its socket has them. It needs CAP_NET_ADMIN; the error of a connection that
// is not tracked, and so not translated, is syscall.ENOENT.
func Origin(from, to netip.AddrPort) (client, knocked netip.AddrPort, err error) {
	return origin(from, to)
}

// Numbers of include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const (
	getConnection = 1<<8 | 1 // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
	newConnection = 1 << 8   // IPCTNL_MSG_CT_NEW, which answers
	nested        = 0x8000

	attrOriginal, attrReply  = 1, 2 // CTA_TUPLE_ORIG, CTA_TUPLE_REPLY
	attrAddrs, attrTransport = 1, 2 // CTA_TUPLE_IP, CTA_TUPLE_PROTO
	attrNumber               = 1    // CTA_PROTO_NUM; the ports are 2 and 3
)

// appendOrigin appends the question for a connection by its answers' direction, which
// begins where its socket is, whatever was translated.
func appendOrigin(b []byte, seq uint32, from, to netip.AddrPort) []byte {
	src, dst, family := uint16(1), uint16(2), byte(2) // CTA_IP_V4_SRC, CTA_IP_V4_DST; AF_INET
	if from.Addr().Is6() {
		src, dst, family = 3, 4, 10
	}
	port := func(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
	addrs := netlink.AppendAttr(nil, src, to.Addr().AsSlice())
	addrs = netlink.AppendAttr(addrs, dst, from.Addr().AsSlice())
	transport := netlink.AppendAttr(nil, attrNumber, []byte{byte(monban.TCP.Number())})
	transport = netlink.AppendAttr(transport, 2, port(to.Port()))
	transport = netlink.AppendAttr(transport, 3, port(from.Port()))
	tuple := netlink.AppendAttr(nil, attrAddrs|nested, addrs)
	tuple = netlink.AppendAttr(tuple, attrTransport|nested, transport)
	body := netlink.AppendAttr([]byte{family, 0, 0, 0}, attrReply|nested, tuple) // struct nfgenmsg
	return append(netlink.AppendHeader(b, getConnection, netlink.Request, seq, len(body)), body...)
}

// parseOrigin reads an answer: both ends of the connection's first packet.
func parseOrigin(body []byte) (client, knocked netip.AddrPort, err error) {
	if len(body) < 4 {
		return client, knocked, netlink.ErrFormat
	}
	var ends [2]netip.Addr
	var ports [2]uint16
	err = netlink.Attrs(body[4:], func(kind uint16, tuple []byte) error {
		if kind != attrOriginal {
			return nil
		}
		return netlink.Attrs(tuple, func(part uint16, list []byte) error {
			return netlink.Attrs(list, func(kind uint16, value []byte) error {
				switch {
				case part == attrAddrs && kind >= 1 && kind <= 4:
					ends[(kind-1)%2], _ = netip.AddrFromSlice(value)
				case part == attrTransport && (kind == 2 || kind == 3) && len(value) == 2:
					ports[kind-2] = binary.BigEndian.Uint16(value)
				}
				return nil
			})
		})
	})
	if err == nil && (!ends[0].IsValid() || !ends[1].IsValid()) {
		err = netlink.ErrFormat
	}
	return netip.AddrPortFrom(ends[0], ports[0]), netip.AddrPortFrom(ends[1], ports[1]), err
}
