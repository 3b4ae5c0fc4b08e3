package owners

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// socketUnit is what a .socket unit asks for (systemd.socket(5)), as far as it
// tells one unit's sockets from another's.
type socketUnit struct {
	name     string
	listen   []listenLine
	v6only   string // BindIPv6Only=
	device   string // BindToDevice=
	protocol string // SocketProtocol=
}

// listenLine is one ListenStream=, ListenDatagram= or ListenSequentialPacket=
// with an Internet address.
type listenLine struct {
	kind string
	// addr is not valid for a bare port number, which is every IPv6 address,
	// and IPv4 with it, or every IPv4 address on a machine without IPv6.
	addr netip.Addr
	port uint16
}

// read adds what a unit file, or a drop-in that comes after it, says. An empty
// assignment of any Listen…= takes back all of them, of whatever kind.
func (u *socketUnit) read(b []byte) {
	section := ""
	for _, line := range unitLines(b) {
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "[Socket]" {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenSpecial",
			"ListenNetlink", "ListenMessageQueue", "ListenUSBFunction":
			if value == "" {
				u.listen = nil
			} else if l, ok := parseListen(key, value); ok {
				u.listen = append(u.listen, l)
			}
		case "BindIPv6Only":
			u.v6only = value
		case "BindToDevice":
			u.device = value
		case "SocketProtocol":
			u.protocol = value
		}
	}
}

// unitLines returns the lines of a unit file, joined where they end in "\",
// without comments and empty ones.
func unitLines(b []byte) []string {
	var lines []string
	joined := ""
	for raw := range bytes.Lines(b) {
		line := strings.TrimSpace(string(raw))
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue // also between joined lines
		}
		if rest, more := strings.CutSuffix(line, `\`); more {
			joined += rest + " "
			continue
		}
		if line = strings.TrimSpace(joined + line); line != "" {
			lines = append(lines, line)
		}
		joined = ""
	}
	if joined = strings.TrimSpace(joined); joined != "" {
		lines = append(lines, joined)
	}
	return lines
}

// parseListen reads an Internet address: "22", "127.0.0.1:53", "[::1]:631",
// "[fe80::1%eth0]:80". Paths, vsock addresses and specifiers are none.
func parseListen(kind, value string) (listenLine, bool) {
	if kind != "ListenStream" && kind != "ListenDatagram" && kind != "ListenSequentialPacket" {
		return listenLine{}, false
	}
	if port, err := strconv.ParseUint(value, 10, 16); err == nil && port != 0 {
		return listenLine{kind: kind, port: uint16(port)}, true
	}
	at, err := netip.ParseAddrPort(value)
	if err != nil || at.Port() == 0 {
		return listenLine{}, false
	}
	return listenLine{kind: kind, addr: at.Addr(), port: at.Port()}, true
}

// proto returns the transport of l in u.
func (u *socketUnit) proto(l listenLine) monban.Proto {
	switch {
	case u.protocol == "sctp" || l.kind == "ListenSequentialPacket":
		return monban.SCTP
	case u.protocol == "udplite":
		return monban.AnyProto // not one that monban knows
	case l.kind == "ListenDatagram":
		return monban.UDP
	default:
		return monban.TCP
	}
}

// asksFor reports whether u asks for a socket bound to b. plain is set for the
// weaker match: a bare port number, and b has every IPv4 address alone.
func (u *socketUnit) asksFor(b monban.Bind) (ok, plain bool) {
	if u.device != "" && b.Device != "" && u.device != b.Device {
		return false, false
	}
	for _, l := range u.listen {
		if l.port != b.Port.Num || u.proto(l) != b.Port.Proto {
			continue
		}
		switch {
		case l.addr == b.Addr || !l.addr.IsValid() && b.Addr == netip.IPv6Unspecified():
			if l.addr.Is4() || u.sameV6Only(b.V6Only) {
				return true, false
			}
		case !l.addr.IsValid() && b.Addr == netip.IPv4Unspecified():
			plain = true
		}
	}
	return plain, plain
}

// sameV6Only reports whether BindIPv6Only= allows the socket option to be v.
func (u *socketUnit) sameV6Only(v monban.Flag) bool {
	switch u.v6only {
	case "both":
		return v != monban.On
	case "ipv6-only":
		return v != monban.Off
	default:
		return true // the kernel's own default decides
	}
}
