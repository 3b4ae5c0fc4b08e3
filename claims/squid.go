package claims

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readSquid reads squid.conf and what it includes.
func readSquid(s *scan) {
	q := squid{s: s, who: s.daemon("squid", []string{"squid"}, "squid.service")}
	s.open(monban.Pos{}, s.main, q.read)
	for _, p := range q.ports {
		q.listen(p)
	}
}

type squid struct {
	s     *scan
	who   asker
	ports []squidPort
	// The addresses of "udp_incoming_address", for ICP and HTCP, and of
	// "snmp_incoming_address"; they may stand below the ports.
	udp, snmp *squidPort
}

// squidPort is an argument and the file it stands in.
type squidPort struct {
	name string
	f    file
	w    word
}

func (q *squid) read(f file) {
	var skip []bool // the conditions that the line stands in: those that do not hold
	for l := range lines(f.data, lineStyle{comment: "#", inline: "#", joined: true}) {
		words := l.words("")
		name := words[0].text
		switch n := len(skip); {
		case name == "if":
			holds, known := squidCondition(strings.TrimSpace(l.text[len(name):]))
			if !known {
				q.s.gap(l.pos(f), NotFollowed, l.text)
			}
			skip = append(skip, !holds || n > 0 && skip[n-1])
			continue
		case name == "else" && n > 0:
			skip[n-1] = !skip[n-1] || n > 1 && skip[n-2]
			continue
		case name == "endif" && n > 0:
			skip = skip[:n-1]
			continue
		case n > 0 && skip[n-1], len(words) < 2:
			continue
		}
		switch arg := (squidPort{name, f, words[1]}); name {
		case "http_port", "https_port", "ftp_port", "icp_port", "udp_port", "htcp_port", "snmp_port":
			q.ports = append(q.ports, arg)
		case "udp_incoming_address":
			q.udp = &arg
		case "snmp_incoming_address":
			q.snmp = &arg
		case "include":
			dir := path.Dir(q.s.main)
			for _, w := range words[1:] {
				q.s.include(w.pos(f), includeRule{dir: dir, home: "/etc/squid", here: dir}, w.text, q.read)
			}
		}
	}
}

// squidCondition decides the conditions of numbers alone, "true" and "false";
// the others are about the process.
func squidCondition(text string) (holds, known bool) {
	switch text {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	left, right, compared := strings.Cut(text, "=")
	a, err := strconv.Atoi(strings.TrimSpace(left))
	if err != nil {
		return false, false
	}
	if !compared {
		return a != 0, true
	}
	b, err := strconv.Atoi(strings.TrimSpace(right))
	return a == b, err == nil
}

// listen is one port. Squid's wildcard takes both families in one socket; of a
// name that has both it takes IPv6 (measured with 5.7).
func (q *squid) listen(p squidPort) {
	proto, incoming := monban.UDP, q.udp
	switch p.name {
	case "http_port", "https_port", "ftp_port":
		proto, incoming = monban.TCP, nil
	case "snmp_port":
		incoming = q.snmp
	}
	host, port := hostPort(p.w)
	num, ok := q.s.portOf(p.f, port, proto)
	if !ok || num == 0 {
		return
	}
	if host == "" && incoming != nil {
		host, p.f, p.w = incoming.w.text, incoming.f, incoming.w
	}
	q.who.name = "squid " + strings.TrimSuffix(p.name, "_port")
	addrs := []netip.Addr{any6()}
	if host != "" {
		if addrs = q.s.hostOf(p.f, p.w, host); addrs == nil {
			return
		}
	}
	sock := socket{at: netip.AddrPortFrom(addrs[len(addrs)-1], num), proto: proto, pos: port.pos(p.f)}
	if addrs[len(addrs)-1] == any6() {
		sock.v6only, sock.orIPv4 = monban.Off, true
	}
	who := q.who
	if proto == monban.UDP {
		who.reuseAddr = monban.FlagUnknown
	}
	q.s.claim(who, sock)
}
