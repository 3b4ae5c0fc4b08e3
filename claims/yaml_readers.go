package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readMongo reads mongod.conf.
func readMongo(s *scan) {
	who := s.daemon("mongodb", []string{"mongod", "mongos"}, "mongod.service", "mongos.service")
	if who.uid == 0 {
		who.uid = s.user("mongodb")
	}
	s.open(monban.Pos{}, s.main, func(f file) {
		docs := s.documents(f)
		if len(docs) == 0 {
			return
		}
		doc := docs[0]
		usual := uint16(27017)
		switch doc.get("sharding", "clusterRole").text() {
		case "shardsvr":
			usual = 27018
		case "configsvr":
			usual = 27019
		}
		sock := socket{at: netip.AddrPortFrom(loop4(), usual), proto: monban.TCP, absent: true}
		if at := doc.get("net", "port"); at.is(scalar) {
			num, ok := s.portOf(f, at.at, monban.TCP)
			if !ok || num == 0 {
				return
			}
			sock = tcp(loop4(), num, at.at.pos(f))
		}
		on6, _ := yesNo(doc.get("net", "ipv6").text())
		hosts := "localhost"
		hostAt := doc.get("net", "bindIp")
		if hostAt.is(scalar) {
			hosts = hostAt.text()
		}
		if all, _ := yesNo(doc.get("net", "bindIpAll").text()); all {
			hosts = "*"
		}
		for _, host := range strings.Split(hosts, ",") {
			s.mongoHost(f, who, strings.TrimSpace(host), hostAt, on6, sock)
		}
	})
	s.once()
}

// mongoHost is one entry of net.bindIp. IPv6 addresses count only where
// net.ipv6 is on.
func (s *scan) mongoHost(f file, who asker, host string, at *value, on6 bool, sock socket) {
	var addrs []netip.Addr
	switch {
	case host == "" || strings.HasPrefix(host, "/"):
		return
	case host == "*":
		addrs = []netip.Addr{any4(), any6()}
	default:
		if addrs = s.names.host(host); len(addrs) == 0 && at != nil {
			s.gap(at.at.pos(f), Unresolved, host)
		}
	}
	for _, addr := range addrs {
		if addr.Is4() || on6 {
			sock.at, sock.v6only = netip.AddrPortFrom(addr, sock.at.Port()), monban.On
			s.claim(who, sock)
		}
	}
}

// readKibana reads kibana.yml.
func readKibana(s *scan) {
	who := s.daemon("kibana", []string{"node"}, "kibana.service")
	s.open(monban.Pos{}, s.main, func(f file) {
		var doc *value
		if docs := s.documents(f); len(docs) > 0 {
			doc = docs[0]
		}
		sock := socket{at: netip.AddrPortFrom(loop4(), 5601), proto: monban.TCP, absent: true}
		if at := doc.find("server.port"); at.is(scalar) {
			num, ok := s.portOf(f, at.at, monban.TCP)
			if !ok {
				return
			}
			sock = tcp(loop4(), num, at.at.pos(f))
		}
		host := "localhost"
		at := doc.find("server.host")
		if at.is(scalar) {
			host = at.text()
		}
		addrs := s.names.host(host)
		if len(addrs) == 0 {
			s.gap(at.at.pos(f), Unresolved, host)
			return
		}
		sock.at = netip.AddrPortFrom(addrs[0], sock.at.Port())
		if addrs[0] == any6() {
			sock.v6only = monban.Off
		}
		s.claim(who, sock)
	})
}

// readTraefik reads traefik.yml: the static configuration has entryPoints; a
// file without them is the dynamic one, and asks for nothing.
func readTraefik(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		if strings.HasSuffix(s.main, ".toml") {
			s.traefik(f, tomlDocument(f))
			return
		}
		for _, doc := range s.documents(f) {
			s.traefik(f, doc)
		}
	})
}

func (s *scan) traefik(f file, doc *value) {
	who := s.daemon("traefik", []string{"traefik"}, "traefik.service")
	points := doc.get("entryPoints")
	for _, point := range points.table() {
		at := point.value.get("address")
		if !at.is(scalar) {
			continue
		}
		who.name = "traefik " + point.key.text
		proto := monban.TCP
		address, suffix, ok := at.at.cut("/")
		if ok && lower(suffix.text) == "udp" {
			proto = monban.UDP
		}
		s.goListen(f, who, address, proto)
		if point.value.get("http3") != nil && proto == monban.TCP {
			s.goListen(f, who, address, monban.UDP)
		}
	}
	static := len(points.table()) > 0 || doc.get("providers") != nil
	if insecure, _ := yesNo(doc.get("api", "insecure").text()); insecure && points.get("traefik") == nil {
		who.name = "traefik api"
		at := doc.get("api", "insecure").at
		at.text = ""
		s.claim(who, socket{at: netip.AddrPortFrom(any6(), 8080), proto: monban.TCP, pos: at.pos(f), v6only: monban.Off, orIPv4: true, absent: true})
	}
	if static && len(points.table()) == 0 {
		who.name = "traefik http"
		s.claim(who, socket{at: netip.AddrPortFrom(any6(), 80), proto: monban.TCP, v6only: monban.Off, orIPv4: true, absent: true})
	}
}

// goListen claims what Go's net.Listen("tcp", address) opens: for 0.0.0.0 as for
// no host it is one socket of both families (net.favoriteAddrFamily; measured).
func (s *scan) goListen(f file, who asker, address word, proto monban.Proto) {
	host, port := hostPort(address)
	num, ok := s.portOf(f, port, proto)
	if !ok || num == 0 {
		return
	}
	if proto == monban.UDP {
		who.reuseAddr = monban.Off // Go sets it for streams only
	}
	sock := socket{at: netip.AddrPortFrom(any6(), num), proto: proto, pos: port.pos(f), v6only: monban.Off}
	if host == "" || host == "::" || host == "0.0.0.0" {
		sock.orIPv4 = host != "::"
	} else {
		addrs := s.hostOf(f, address, host)
		if addrs == nil {
			return
		}
		sock.at, sock.v6only = netip.AddrPortFrom(addrs[0], num), monban.FlagUnknown
	}
	s.claim(who, sock)
}

// tomlDocument reads the TOML that configurations have: tables, dotted keys and
// scalars. Arrays of tables and values over several lines are left out.
func tomlDocument(f file) *value {
	root := &value{kind: table}
	style := lineStyle{comment: "#", inline: "#"}
	for l := range lines(f.data, style) { // a table may be empty, and mean something by being there
		if name, ok := l.section(); ok {
			at := root
			for _, key := range splitKeys(name) {
				at = at.child(key)
			}
		}
	}
	for st := range settings(f, style, '=') {
		at := root
		for _, key := range append(splitKeys(st.section), splitKeys(st.key.text)...) {
			at = at.child(key)
		}
		if at != root {
			at.kind, at.at = scalar, st.value
		}
	}
	return root
}

func splitKeys(dotted string) []string {
	if dotted == "" {
		return nil
	}
	keys := strings.Split(dotted, ".")
	for i := range keys {
		keys[i] = strings.Trim(strings.TrimSpace(keys[i]), `"'[]`)
	}
	return keys
}

// child returns the entry of a table, which is made when there is none.
func (v *value) child(key string) *value {
	for _, p := range v.pairs {
		if p.key.text == key {
			return p.value
		}
	}
	child := &value{kind: table}
	v.kind = table
	v.pairs = append(v.pairs, pair{key: word{text: key}, value: child})
	return child
}

// readLaunchSettings reads launchSettings.json: of a project's profiles only
// one runs at a time, "dotnet run" takes the first.
func readLaunchSettings(s *scan) {
	who := asker{by: "aspnet", uid: -1, reuseAddr: monban.On, reusePort: monban.Off,
		program: monban.Program{Exes: []string{"dotnet"}, Dir: s.place.abs(path.Dir(path.Dir(s.main)))}}
	s.open(monban.Pos{}, s.main, func(f file) {
		root := s.json(f)
		for _, profile := range root.get("profiles").table() {
			if profile.value.get("commandName").text() != "Project" {
				continue
			}
			who.name = "aspnet " + profile.key.text
			for _, url := range profile.value.get("applicationUrl").urls() {
				s.kestrel(f, who, url)
			}
			break
		}
	})
}

// urls takes "http://a:1;https://b:2" apart.
func (v *value) urls() []word {
	if !v.is(scalar) {
		return nil
	}
	return v.at.split("; ")
}

// kestrel claims one URL. Any host that is no address is every address;
// localhost is both loopback addresses, of which one will do.
func (s *scan) kestrel(f file, who asker, url word) {
	scheme, rest, ok := url.cut("://")
	if !ok {
		return
	}
	rest, _, _ = rest.cut("/")
	host, port := hostPort(rest)
	num := uint16(80)
	if scheme.text == "https" {
		num = 443
	}
	pos := url.pos(f)
	pos.Len = 0
	if port.text != "" {
		if num, ok = s.portOf(f, port, monban.TCP); !ok || num == 0 {
			return
		}
		pos = port.pos(f)
	}
	sock := tcp(any6(), num, pos)
	addr, err := netip.ParseAddr(host)
	switch {
	case lower(host) == "localhost":
		for _, loop := range [...]netip.Addr{loop4(), loop6()} {
			sock.at, sock.v6only, sock.tolerates = netip.AddrPortFrom(loop, num), monban.On, monban.ToleratesAddress
			s.claim(who, sock)
		}
		return
	case err == nil:
		sock.at = netip.AddrPortFrom(addr, num)
		if addr == any6() {
			sock.v6only = monban.Off
		}
	default:
		sock.v6only, sock.orIPv4 = monban.Off, true
	}
	s.claim(who, sock)
}
