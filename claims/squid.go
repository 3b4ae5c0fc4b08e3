package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readSquid reads squid.conf and what it includes.
func readSquid(s *scan) {
	q := squid{s: s, who: s.daemon("squid", []string{"squid"}, "squid.service")}
	s.open(monban.Pos{}, s.main, q.read)
}

type squid struct {
	s   *scan
	who asker
}

func (q *squid) read(f file) {
	for l := range lines(f.data, lineStyle{comment: "#", inline: "#", joined: true}) {
		words := l.words("")
		if len(words) < 2 {
			continue
		}
		switch name := words[0].text; name {
		case "http_port", "https_port", "ftp_port":
			q.listen(f, name, words[1], monban.TCP)
		case "icp_port", "udp_port", "htcp_port", "snmp_port":
			q.listen(f, name, words[1], monban.UDP)
		case "include":
			dir := path.Dir(q.s.main)
			for _, w := range words[1:] {
				q.s.include(w.pos(f), includeRule{dir: dir, home: "/etc/squid", here: dir}, w.text, q.read)
			}
		case "if":
			q.s.gap(l.pos(f), NotFollowed, l.text)
		}
	}
}

// listen is one port. Squid's wildcard takes both families in one socket; of a
// name that has both it takes IPv6 (measured with 5.7).
func (q *squid) listen(f file, name string, w word, proto monban.Proto) {
	host, port := hostPort(w)
	num, ok := q.s.portOf(f, port, proto)
	if !ok || num == 0 {
		return
	}
	q.who.name = "squid " + strings.TrimSuffix(name, "_port")
	addrs := []netip.Addr{any6()}
	if host != "" {
		if addrs = q.s.hostOf(f, w, host); addrs == nil {
			return
		}
	}
	sock := socket{at: netip.AddrPortFrom(addrs[len(addrs)-1], num), proto: proto, pos: port.pos(f)}
	if addrs[len(addrs)-1] == any6() {
		sock.v6only, sock.orIPv4 = monban.Off, true
	}
	who := q.who
	if proto == monban.UDP {
		who.reuseAddr = monban.FlagUnknown
	}
	q.s.claim(who, sock)
}
