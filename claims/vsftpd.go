package claims

import (
	"net/netip"

	"github.com/monban-dev/monban"
)

// readVsftpd reads vsftpd.conf, which allows no blanks around "=". Without
// listen or listen_ipv6 the server expects to be started by inetd and opens
// nothing.
func readVsftpd(s *scan) {
	set := map[string]located{}
	s.open(monban.Pos{}, s.main, func(f file) {
		for st := range settings(f, lineStyle{comment: "#"}, '=') {
			set[lower(st.key.text)] = located{text: st.value.text, pos: st.value.pos(f)}
		}
	})
	on4, _ := yesNo(set["listen"].text)
	on6, _ := yesNo(set["listen_ipv6"].text)
	if !on4 && !on6 {
		return
	}
	if on4 && on6 { // "run two copies of vsftpd for IPv4 and IPv6"
		s.gap(set["listen_ipv6"].pos, BadSyntax, "listen=YES and listen_ipv6=YES")
		return
	}
	sock := socket{at: netip.AddrPortFrom(any4(), 21), proto: monban.TCP, v6only: monban.Off, absent: true}
	address := set["listen_address"]
	if on6 {
		sock.at, address = netip.AddrPortFrom(any6(), 21), set["listen_address6"]
	}
	if port, ok := set["listen_port"]; ok {
		num, err := monban.ParsePort(port.text)
		if err != nil {
			s.gap(port.pos, BadPort, port.text)
			return
		}
		sock.at, sock.pos, sock.absent = netip.AddrPortFrom(sock.at.Addr(), num.Num), port.pos, false
	}
	if address.text != "" {
		addr, err := netip.ParseAddr(address.text)
		if err != nil {
			s.gap(address.pos, BadAddress, address.text)
			return
		}
		sock.at = netip.AddrPortFrom(addr, sock.at.Port())
	}
	s.claim(s.daemon("vsftpd", []string{"vsftpd"}, "vsftpd.service"), sock)
}
