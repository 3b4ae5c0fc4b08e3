package claims

import (
	"net/netip"
	"path"

	"github.com/monban-dev/monban"
)

// readMosquitto reads mosquitto.conf and the files of its include_dir. Without
// any listener, version 2 listens on 1883 of the loopback addresses.
func readMosquitto(s *scan) {
	m := mosquitto{s: s}
	s.open(monban.Pos{}, s.main, m.read)
	who := s.daemon("mosquitto", []string{"mosquitto"}, "mosquitto.service")
	listeners := m.listeners
	if m.own != nil {
		listeners = append(listeners, *m.own)
	}
	if len(listeners) == 0 {
		for _, addr := range [...]netip.Addr{loop4(), loop6()} {
			s.claim(who, socket{at: netip.AddrPortFrom(addr, 1883), proto: monban.TCP, v6only: monban.On, absent: true, tolerates: monban.ToleratesAny})
		}
		return
	}
	for _, l := range listeners {
		m.claim(who, l)
	}
}

type mosquitto struct {
	s         *scan
	own       *mosquittoListener // of the old "port" and "bind_address"
	listeners []mosquittoListener
}

type mosquittoListener struct {
	port   located
	host   string
	domain string // socket_domain
	device string
	// websockets are served by a library of their own, which takes both
	// families in one socket (measured with 2.0.11).
	websockets bool
}

func (m *mosquitto) read(f file) {
	for l := range lines(f.data, lineStyle{comment: "#"}) {
		words := l.words("")
		if len(words) < 2 {
			continue
		}
		arg := words[1]
		switch words[0].text {
		case "listener":
			next := mosquittoListener{port: located{arg.text, arg.pos(f)}}
			if len(words) > 2 {
				next.host = words[2].text
			}
			m.listeners = append(m.listeners, next)
		case "port":
			m.old().port = located{arg.text, arg.pos(f)}
		case "bind_address":
			m.old().host = arg.text
		case "socket_domain":
			m.current().domain = arg.text
		case "protocol":
			m.current().websockets = arg.text == "websockets"
		case "bind_interface":
			m.current().device = arg.text
		case "include_dir":
			// Relative to the directory the server is started in.
			dir := path.Dir(m.s.main)
			m.s.include(arg.pos(f), includeRule{dir: dir, home: "/etc/mosquitto", here: dir}, arg.text+"/*.conf", m.read)
		}
	}
}

func (m *mosquitto) old() *mosquittoListener {
	if m.own == nil {
		m.own = &mosquittoListener{}
	}
	return m.own
}

// current is the listener that an option is about: the last one, or the old.
func (m *mosquitto) current() *mosquittoListener {
	if n := len(m.listeners); n > 0 {
		return &m.listeners[n-1]
	}
	return m.old()
}

// claim makes the sockets of one listener: without an address one for each
// family (net__socket_listen_tcp).
func (m *mosquitto) claim(who asker, l mosquittoListener) {
	sock := tcp(any4(), 1883, l.port.pos)
	sock.absent = l.port.text == ""
	if !sock.absent {
		num, err := monban.ParsePort(l.port.text)
		if err != nil {
			m.s.gap(l.port.pos, BadPort, l.port.text)
			return
		}
		if num.Num == 0 {
			return // a unix socket
		}
		sock.at = netip.AddrPortFrom(any4(), num.Num)
	}
	addrs := []netip.Addr{any4(), any6()}
	if l.host != "" {
		if addrs = m.s.names.host(l.host); len(addrs) == 0 {
			m.s.gap(l.port.pos, Unresolved, l.host)
		}
	}
	if l.websockets && l.host == "" && l.domain == "" {
		sock.at, sock.v6only, sock.orIPv4 = netip.AddrPortFrom(any6(), sock.at.Port()), monban.Off, true
		m.s.claim(who, sock).Bind.Device = l.device
		return
	}
	for _, addr := range addrs {
		if l.domain == "ipv4" && !addr.Is4() || l.domain == "ipv6" && !addr.Is6() {
			continue
		}
		sock.at, sock.v6only = netip.AddrPortFrom(addr, sock.at.Port()), monban.On
		if len(addrs) > 1 {
			sock.tolerates = monban.ToleratesAny
		}
		m.s.claim(who, sock).Bind.Device = l.device
	}
}
