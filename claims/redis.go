package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readRedis reads redis.conf, valkey.conf and sentinel.conf. The last line wins.
func readRedis(s *scan) {
	r := redis{s: s, sentinel: strings.Contains(path.Base(s.main), "sentinel")}
	s.open(monban.Pos{}, s.main, r.read)
	r.claim()
}

type redis struct {
	s                  *scan
	sentinel           bool
	bind               []word
	bindIn             file
	port, tlsPort, bus *located
	cluster            bool
}

func (r *redis) read(f file) {
	for l := range lines(f.data, lineStyle{comment: "#"}) {
		words := l.words("")
		if len(words) == 0 {
			continue
		}
		name, args := lower(words[0].text), words[1:]
		if len(args) == 0 {
			continue
		}
		at := &located{text: args[0].text, pos: args[0].pos(f)}
		switch name {
		case "bind":
			r.bind, r.bindIn = args, f
		case "port":
			r.port = at
		case "tls-port":
			r.tlsPort = at
		case "cluster-port":
			r.bus = at
		case "cluster-enabled":
			r.cluster = lower(at.text) == "yes"
		case "include":
			// Relative to the directory the server is started in: with the
			// units of all distributions an absolute path.
			r.s.include(at.pos, includeRule{dir: path.Dir(r.s.main), home: "/etc/redis", here: path.Dir(r.s.main)}, at.text, r.read)
		}
	}
}

func (r *redis) claim() {
	name, usual := "redis", uint16(6379)
	units := []string{"redis-server.service", "redis.service", "valkey-server.service", "valkey.service", "redis-server@*.service"}
	if r.sentinel {
		usual, units = 26379, []string{"redis-sentinel.service"}
	}
	who := r.s.daemon(name, []string{"redis-server", "redis-check-rdb", "valkey-server", "redis-sentinel"}, units...)
	if who.uid == 0 {
		who.uid = r.s.user("redis")
	}
	client := r.port
	r.sockets(who, r.port, usual)
	if r.tlsPort != nil {
		r.sockets(who, r.tlsPort, 0)
		if r.port != nil && r.port.text == "0" {
			client = r.tlsPort
		}
	}
	if r.cluster {
		r.clusterBus(who, client)
	}
}

// clusterBus is the client's port and ten thousand, unless it is set.
func (r *redis) clusterBus(who asker, client *located) {
	who.name = "redis cluster bus"
	if r.bus != nil && r.bus.text != "0" {
		r.sockets(who, r.bus, 0)
		return
	}
	num := 6379
	if client != nil {
		num, _ = number(client.text)
	}
	if num > 0 && num+10000 <= 65535 {
		r.listen(who, socket{at: netip.AddrPortFrom(any4(), uint16(num+10000)), proto: monban.TCP, absent: true})
	}
}

// sockets claims a port on every bind address; 0 is off.
func (r *redis) sockets(who asker, port *located, usual uint16) {
	sock := socket{at: netip.AddrPortFrom(any4(), usual), proto: monban.TCP, absent: port == nil}
	if port != nil {
		p, err := monban.ParsePort(port.text)
		if err != nil {
			r.s.gap(port.pos, BadPort, port.text)
			return
		}
		if p.Num == 0 {
			return
		}
		sock = tcp(any4(), p.Num, port.pos)
	}
	r.listen(who, sock)
}

// listen goes through the bind addresses; without any they are "* -::*". A "-"
// forgives an address that is not there, and a family that is not there is
// always forgiven (listenToPort).
func (r *redis) listen(who asker, sock socket) {
	if len(r.bind) == 0 {
		r.s.both4and6(who, sock)
		return
	}
	for _, w := range r.bind {
		host, optional := strings.CutPrefix(w.text, "-")
		var addrs []netip.Addr
		switch host {
		case "*":
			addrs = []netip.Addr{any4()}
		case "::*":
			addrs = []netip.Addr{any6()}
		case "":
			continue
		default:
			if addrs = r.s.names.host(host); len(addrs) == 0 {
				r.s.gap(w.pos(r.bindIn), Unresolved, host)
				continue
			}
		}
		one := sock
		one.at, one.v6only = netip.AddrPortFrom(addrs[0], sock.at.Port()), monban.On
		if optional {
			one.tolerates = monban.ToleratesAddress
		}
		r.s.claim(who, one)
	}
}
