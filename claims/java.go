package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// javaSocket claims what Java opens for a host: its sockets are IPv6 ones for
// both families, so an IPv4 address is bound IPv4-mapped, and 0.0.0.0 is "::"
// (java.base, NET_InetAddressToSockaddr). host "" is every address.
func (s *scan) javaSocket(f file, who asker, host string, at word, sock socket) {
	addr := any6()
	if host != "" && host != "*" {
		addrs := s.names.host(host)
		if len(addrs) == 0 {
			s.gap(at.pos(f), Unresolved, host)
			return
		}
		addr = addrs[0] // InetAddress.getByName prefers IPv4
	}
	switch {
	case addr.IsUnspecified():
		addr, sock.v6only, sock.orIPv4 = any6(), monban.Off, true
	case addr.Is4():
		addr, sock.v6only = netip.AddrFrom16(addr.As16()), monban.Off
	}
	sock.at, sock.proto = netip.AddrPortFrom(addr, sock.at.Port()), monban.TCP
	s.claim(who, sock)
}

// property is a "key = value" of a Java properties file: "=", ":" or a blank
// between them.
func properties(f file) map[string]setting {
	set := map[string]setting{}
	for l := range lines(f.data, lineStyle{comment: "#!", joined: true}) {
		end := strings.IndexAny(l.text, "=: \t")
		if end < 0 {
			continue
		}
		value := l.word(end, len(l.text)).trim()
		if value.text != "" && (value.text[0] == '=' || value.text[0] == ':') {
			value = value.sub(1, len(value.text)).trim()
		}
		set[l.text[:end]] = setting{key: l.word(0, end), value: value}
	}
	return set
}

// readKafka reads server.properties: the sockets are those of "listeners".
func readKafka(s *scan) {
	who := s.daemon("kafka", []string{"java"}, "kafka.service")
	s.open(monban.Pos{}, s.main, func(f file) {
		set := properties(f)
		if set["broker.id"].key.line == 0 && set["node.id"].key.line == 0 && set["log.dirs"].key.line == 0 && set["listeners"].key.line == 0 {
			s.decline() // many programs have a server.properties
			return
		}
		listeners, ok := set["listeners"]
		if !ok {
			s.javaSocket(f, who, "", word{}, socket{at: netip.AddrPortFrom(any6(), 9092), absent: true})
			return
		}
		for _, w := range listeners.value.split(", ") {
			name, rest, ok := w.cut("://")
			if !ok {
				s.gap(w.pos(f), BadSyntax, w.text)
				continue
			}
			host, port := hostPort(rest)
			num, ok := s.portOf(f, port, monban.TCP)
			if !ok || num == 0 {
				continue
			}
			who.name = "kafka " + lower(name.text)
			s.javaSocket(f, who, host, w, tcp(any6(), num, port.pos(f)))
		}
	})
}

// readZooKeeper reads zoo.cfg.
func readZooKeeper(s *scan) {
	who := s.daemon("zookeeper", []string{"java"}, "zookeeper.service")
	s.open(monban.Pos{}, s.main, func(f file) {
		set := properties(f)
		one := func(key, name, hostKey string, usual uint16) {
			who.name = name
			sock := socket{at: netip.AddrPortFrom(any6(), usual), absent: true}
			if at, ok := set[key]; ok {
				num, ok := s.portOf(f, at.value, monban.TCP)
				if !ok {
					return
				}
				sock = tcp(any6(), num, at.value.pos(f))
			}
			if sock.at.Port() != 0 {
				s.javaSocket(f, who, set[hostKey].value.text, set[hostKey].value, sock)
			}
		}
		one("clientPort", "zookeeper", "clientPortAddress", 0)
		one("secureClientPort", "zookeeper tls", "secureClientPortAddress", 0)
		if enabled, known := yesNo(set["admin.enableServer"].value.text); enabled || !known {
			one("admin.serverPort", "zookeeper admin", "admin.serverAddress", 8080)
		}
		// The ports of server.N are opened by the one of them that runs here,
		// which its myid file decides.
		for key, at := range set {
			if strings.HasPrefix(key, "server.") {
				s.gap(at.value.pos(f), NotFollowed, key+"="+at.value.text)
			}
		}
	})
	slices.SortFunc(s.gaps, func(a, b monban.Gap) int { return strings.Compare(a.Source, b.Source) })
}

// placeIn is the place of a text inside a word, or the word without a length
// where it does not stand there.
func placeIn(w word, text string) word {
	if i := strings.LastIndex(w.text, text); i >= 0 && text != "" {
		return w.sub(i, i+len(text))
	}
	return word{text: "", line: w.line, col: w.col}
}

// readElastic reads elasticsearch.yml and opensearch.yml. A port that is absent
// is the first free one of a range of a hundred.
func readElastic(s *scan) {
	name := strings.TrimSuffix(path.Base(s.main), ".yml")
	who := s.daemon(name, []string{"java"}, name+".service")
	if who.uid == 0 {
		who.uid = s.user(name)
	}
	s.open(monban.Pos{}, s.main, func(f file) {
		var doc *value
		if docs := s.documents(f); len(docs) > 0 {
			doc = docs[0]
		}
		for _, one := range [...]struct {
			key, old    string
			first, last uint16
		}{{"http", "http", 9200, 9300}, {"transport", "transport.tcp", 9300, 9400}} {
			who.name = name + " " + one.key
			sock := socket{at: netip.AddrPortFrom(any6(), one.first), upTo: one.last, absent: true}
			at := doc.find(one.key + ".port")
			if at == nil {
				at = doc.find(one.old + ".port")
			}
			if at.is(scalar) {
				first, last, ok := s.portsOf(f, at.at)
				if !ok {
					continue
				}
				sock = tcp(any6(), first, at.at.pos(f))
				if last != first {
					sock.upTo = last
				}
			}
			s.elasticHosts(f, who, doc, one.key, sock)
		}
	})
}

// elasticHosts claims a port on each address of the most special host setting.
func (s *scan) elasticHosts(f file, who asker, doc *value, key string, sock socket) {
	var hosts *value
	for _, name := range [...]string{key + ".bind_host", key + ".host", "network.bind_host", "network.host"} {
		if hosts = doc.find(name); hosts != nil {
			break
		}
	}
	if hosts == nil {
		hosts = &value{kind: scalar, at: word{text: "_local_"}}
	}
	for _, item := range hosts.list() {
		switch host := item.text(); host {
		case "_local_": // both loopback addresses
			for _, loop := range [...]string{"127.0.0.1", "::1"} {
				s.javaSocket(f, who, loop, item.at, sock)
			}
		case "_site_", "_global_":
			s.gap(item.at.pos(f), Unresolved, host)
		default:
			if strings.HasPrefix(host, "_") {
				s.gap(item.at.pos(f), Unresolved, host)
				continue
			}
			s.javaSocket(f, who, host, item.at, sock)
		}
	}
}
