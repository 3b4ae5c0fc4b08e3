package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readRabbitMQ reads rabbitmq.conf, and the enabled_plugins and
// rabbitmq-env.conf beside it. advanced.config, in Erlang, is a gap.
func readRabbitMQ(s *scan) {
	dir := path.Dir(s.main)
	if path.Base(s.main) == "enabled_plugins" && s.exists(path.Join(dir, "rabbitmq.conf")) {
		s.decline() // read with that one
		return
	}
	r := rabbit{s: s, off: map[string]bool{}, hosts: map[string]string{}, node: 5672}
	r.environment(path.Join(dir, "rabbitmq-env.conf"))
	if path.Base(s.main) == "rabbitmq.conf" {
		s.open(monban.Pos{}, s.main, r.read)
	}
	if advanced := path.Join(dir, "advanced.config"); s.exists(advanced) {
		s.gap(monban.Pos{File: s.place.shown(advanced)}, NotFollowed, "advanced.config")
	}
	r.plugins(path.Join(dir, "enabled_plugins"))
	r.claim()
}

type rabbit struct {
	s       *scan
	sets    []rabbitPort
	off     map[string]bool
	hosts   map[string]string // management.tcp.ip and the like
	enabled []string
	node    int // the port of AMQP when no listener is configured
	dist    located
	nodeAt  monban.Pos
}

// rabbitPort is a line that names a port.
type rabbitPort struct {
	what string // "amqp", "management", …
	at   word
	f    file
	host string
}

func (r *rabbit) environment(name string) {
	if !r.s.exists(name) {
		return
	}
	r.s.open(monban.Pos{}, name, func(f file) {
		for st := range settings(f, lineStyle{comment: "#"}, '=') {
			num, ok := number(st.value.text)
			if !ok || num > 65535 {
				continue
			}
			switch strings.TrimPrefix(strings.TrimPrefix(st.key.text, "export "), "RABBITMQ_") {
			case "NODE_PORT":
				r.node, r.nodeAt = num, st.value.pos(f)
			case "DIST_PORT":
				r.dist = located{st.value.text, st.value.pos(f)}
			}
		}
	})
}

func (r *rabbit) read(f file) {
	for st := range settings(f, lineStyle{comment: "#", inline: "#"}, '=') {
		key := st.key.text
		if st.value.text == "none" {
			r.off[key] = true
			continue
		}
		what := ""
		if web, ok := strings.CutSuffix(key, ".ip"); ok {
			web = strings.TrimSuffix(strings.TrimSuffix(web, ".tcp"), ".listener")
			r.hosts[strings.Replace(web, ".ssl", " tls", 1)] = st.value.text
			continue
		}
		switch {
		case strings.HasPrefix(key, "listeners.tcp."):
			what = "amqp"
		case strings.HasPrefix(key, "listeners.ssl."):
			what = "amqps"
		case key == "management.tcp.port", key == "management.listener.port":
			what = "management"
		case key == "management.ssl.port":
			what = "management tls"
		case strings.HasPrefix(key, "mqtt.listeners.tcp."):
			what = "mqtt"
		case strings.HasPrefix(key, "mqtt.listeners.ssl."):
			what = "mqtt tls"
		case strings.HasPrefix(key, "stomp.listeners.tcp."):
			what = "stomp"
		case strings.HasPrefix(key, "stomp.listeners.ssl."):
			what = "stomp tls"
		case key == "prometheus.tcp.port":
			what = "prometheus"
		case strings.HasPrefix(key, "stream.listeners.tcp."):
			what = "stream"
		default:
			continue
		}
		host, port := hostPort(st.value)
		r.sets = append(r.sets, rabbitPort{what, port, f, host})
	}
}

// plugins reads the Erlang list "[rabbitmq_management,rabbitmq_mqtt]."
func (r *rabbit) plugins(name string) {
	if !r.s.exists(name) {
		return
	}
	r.s.open(monban.Pos{}, name, func(f file) {
		r.enabled = strings.FieldsFunc(string(f.data), func(c rune) bool { return strings.ContainsRune("[],. \t\r\n", c) })
	})
}

func (r *rabbit) has(plugin string) bool {
	for _, p := range r.enabled {
		if p == plugin {
			return true
		}
	}
	return false
}

// claim makes the sockets: those of the configuration, the usual ones of what
// is on without one, and the port on which nodes talk, which is AMQP's and
// twenty thousand.
func (r *rabbit) claim() {
	who := r.s.daemon("rabbitmq", []string{"beam.smp"}, "rabbitmq-server.service")
	if who.uid == 0 {
		who.uid = r.s.user("rabbitmq")
	}
	set := map[string]bool{}
	for _, p := range r.sets {
		set[p.what] = true
		num, ok := r.s.portOf(p.f, p.at, monban.TCP)
		if ok && num != 0 {
			r.socket(who, p.what, p.host, socket{at: netip.AddrPortFrom(any6(), num), pos: p.at.pos(p.f)})
		}
	}
	usual := func(what string, port int, on bool) {
		if on && !set[what] && port > 0 && port <= 65535 {
			r.socket(who, what, "", socket{at: netip.AddrPortFrom(any6(), uint16(port)), pos: r.nodeAt, absent: r.nodeAt.File == "" || what != "amqp"})
		}
	}
	usual("amqp", r.node, !r.off["listeners.tcp"])
	management := r.has("rabbitmq_management")
	usual("management", 15672, management && !set["management tls"])
	usual("mqtt", 1883, r.has("rabbitmq_mqtt") && !r.off["mqtt.listeners.tcp"])
	usual("stomp", 61613, r.has("rabbitmq_stomp") && !r.off["stomp.listeners.tcp"])
	usual("prometheus", 15692, r.has("rabbitmq_prometheus"))
	usual("stream", 5552, r.has("rabbitmq_stream"))
	// Erlang's own name server, which the first node on a machine starts.
	epmd := who
	epmd.program = monban.Program{Exes: []string{"epmd"}, Units: []string{"epmd.service", "epmd.socket"}}
	for _, addr := range [...]netip.Addr{any4(), any6()} {
		r.s.claim(epmd, socket{at: netip.AddrPortFrom(addr, 4369), proto: monban.TCP, name: "epmd", v6only: monban.On, absent: true, tolerates: monban.ToleratesAny})
	}
	if r.dist.text != "" {
		num, _ := number(r.dist.text)
		r.socket(who, "nodes", "0.0.0.0", socket{at: netip.AddrPortFrom(any4(), uint16(num)), pos: r.dist.pos})
	} else if r.node+20000 <= 65535 {
		r.socket(who, "nodes", "0.0.0.0", socket{at: netip.AddrPortFrom(any4(), uint16(r.node+20000)), absent: true})
	}
}

func (r *rabbit) socket(who asker, what, host string, sock socket) {
	who.name = "rabbitmq " + what
	sock.proto = monban.TCP
	if what == "management" || what == "management tls" || what == "prometheus" {
		// The web server has a default of its own, which is IPv4 only
		// (measured with 3.10).
		if host == "" {
			host = "0.0.0.0"
		}
		if at := r.hosts[what]; at != "" {
			host = at
		}
	}
	if host == "" {
		sock.at, sock.v6only, sock.orIPv4 = netip.AddrPortFrom(any6(), sock.at.Port()), monban.Off, true
		r.s.claim(who, sock)
		return
	}
	addrs := r.s.names.host(host)
	if len(addrs) == 0 {
		r.s.gap(sock.pos, Unresolved, host)
		return
	}
	sock.at = netip.AddrPortFrom(addrs[0], sock.at.Port())
	r.s.claim(who, sock)
}
