package owners

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// feature is a part of the kernel that has opened a port for itself.
type feature struct {
	name string
	port monban.Port
	// exact: it was seen that it has this very port, not only that it is there.
	exact bool
}

// Numbers of netlink messages and attributes, from include/uapi/linux/netlink.h,
// rtnetlink.h, if_link.h, genetlink.h and wireguard.h.
const (
	nlmsgHeader = 16
	nlmsgError  = 2
	nlmsgDone   = 3
	rtmNewLink  = 16
	ifinfomsg   = 16
	genlHeader  = 4

	iflaIfname      = 3
	iflaLinkinfo    = 18
	iflaInfoKind    = 1
	iflaInfoData    = 2
	iflaVxlanPort   = 15
	iflaGenevePort  = 5
	iflaBareudpPort = 1

	ctrlAttrFamilyID    = 1
	wgDeviceIfname      = 2
	wgDeviceListenPort  = 6
	attributeTypeMask   = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	attributeHeaderSize = 4
)

// messages iterates over the netlink messages in b: type and body. It ends at
// the first that is not whole.
func messages(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= nlmsgHeader {
			size := binary.NativeEndian.Uint32(b)
			if size < nlmsgHeader || uint64(size) > uint64(len(b)) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[4:]), b[nlmsgHeader:size]) {
				return
			}
			b = b[min(align4(int(size)), len(b)):]
		}
	}
}

// attributes iterates over netlink attributes: type and value. It ends at the
// first that is not whole.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= attributeHeaderSize {
			size := int(binary.NativeEndian.Uint16(b))
			if size < attributeHeaderSize || size > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&attributeTypeMask, b[attributeHeaderSize:size]) {
				return
			}
			b = b[min(align4(size), len(b)):]
		}
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// attribute returns the value of one attribute, nil if it is not there.
func attribute(b []byte, kind uint16) []byte {
	for k, v := range attributes(b) {
		if k == kind {
			return v
		}
	}
	return nil
}

// tunnel is a network interface that has a port.
type tunnel struct {
	kind, ifname string
	port         uint16 // 0 where the link does not say it
}

// parseLinks returns the tunnels that are up in an answer to RTM_GETLINK.
func parseLinks(b []byte) []tunnel {
	var list []tunnel
	for kind, body := range messages(b) {
		if kind != rtmNewLink || len(body) < ifinfomsg {
			continue
		}
		const up = 0x1 // IFF_UP: before, the interface has no socket
		if binary.NativeEndian.Uint32(body[8:])&up == 0 {
			continue
		}
		info := attribute(body[ifinfomsg:], iflaLinkinfo)
		t := tunnel{
			kind:   cString(attribute(info, iflaInfoKind)),
			ifname: cString(attribute(body[ifinfomsg:], iflaIfname)),
		}
		var port []byte
		switch data := attribute(info, iflaInfoData); t.kind {
		case "vxlan":
			port = attribute(data, iflaVxlanPort)
		case "geneve":
			port = attribute(data, iflaGenevePort)
		case "bareudp":
			port = attribute(data, iflaBareudpPort)
		case "wireguard":
		default:
			continue
		}
		if len(port) == 2 {
			t.port = binary.BigEndian.Uint16(port)
		}
		list = append(list, t)
	}
	return list
}

// parseFamilyID returns the number of a generic netlink family from an answer to
// CTRL_CMD_GETFAMILY; 0 is none.
func parseFamilyID(b []byte) uint16 {
	for kind, body := range messages(b) {
		if kind == nlmsgError || len(body) < genlHeader {
			continue
		}
		if id := attribute(body[genlHeader:], ctrlAttrFamilyID); len(id) == 2 {
			return binary.NativeEndian.Uint16(id)
		}
	}
	return 0
}

// parseWireguardPort returns the listen port in an answer to WG_CMD_GET_DEVICE;
// 0 is none.
func parseWireguardPort(b []byte, family uint16) uint16 {
	for kind, body := range messages(b) {
		if kind != family || len(body) < genlHeader {
			continue
		}
		if port := attribute(body[genlHeader:], wgDeviceListenPort); len(port) == 2 {
			return binary.NativeEndian.Uint16(port)
		}
	}
	return 0
}

// cString returns the text before the first NUL.
func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// parsePortlist reads /proc/fs/nfsd/portlist, lines like "tcp 2049".
func parsePortlist(b []byte) []feature {
	var list []feature
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) != 2 {
			continue
		}
		proto, err := monban.ParseProto(f[0])
		if err != nil {
			continue // rdma
		}
		if port := parsePort(f[1]); port != 0 {
			list = append(list, feature{"nfsd", monban.Port{Num: port, Proto: proto}, true})
		}
	}
	return list
}

// parsePort reads a decimal port number with white space around it; 0 is none.
func parsePort(s string) uint16 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
