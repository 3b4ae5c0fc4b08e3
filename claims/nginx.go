package claims

import (
	"bytes"
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readNginx reads nginx.conf and what it includes.
func readNginx(s *scan) {
	n := newNginx(s)
	s.open(monban.Pos{}, s.main, func(f file) { n.read(f, "main") })
	n.claim()
}

// readNginxPiece reads a file that some nginx.conf elsewhere includes.
func readNginxPiece(s *scan) {
	n := newNginx(s)
	context := "http"
	if strings.Contains(s.main, "stream") {
		context = "stream"
	}
	s.open(monban.Pos{}, s.main, func(f file) { n.read(f, context) })
	n.claim()
}

// looksLikeNginx recognises nginx's blocks in a file of any name.
func looksLikeNginx(data []byte) bool {
	for _, block := range [...]string{"server", "http", "stream"} {
		for rest := data; ; {
			i := bytes.Index(rest, []byte(block))
			if i < 0 {
				break
			}
			after := bytes.TrimLeft(rest[i+len(block):], blanks+"\n")
			if (i == 0 || rest[i-1] == '\n' || rest[i-1] == ' ' || rest[i-1] == '\t') && bytes.HasPrefix(after, []byte("{")) {
				return true
			}
			rest = rest[i+len(block):]
		}
	}
	return false
}

func newNginx(s *scan) *nginx { return &nginx{s: s, dir: path.Dir(s.main)} }

// nginx is the reading of one server's configuration. Includes are relative to
// the directory of nginx.conf, inside included files too.
type nginx struct {
	s       *scan
	dir     string
	servers int
	listens []nginxListen
}

// nginxListen is one address of a listen line.
type nginxListen struct {
	module string // "http", "stream", "mail": each merges its own
	at     netip.AddrPort
	proto  monban.Proto
	pos    monban.Pos
	// own says that an option forces a socket of its own, beside a wildcard.
	own               bool
	v6only, reusePort bool
	absent            bool
	server            int // which server it is of
}

func (n *nginx) read(f file, context string) {
	style := blockStyle{raw: func(name string) bool { return strings.HasSuffix(name, "_by_lua_block") }}
	n.block(f, n.s.statements(f, style), context)
}

// block reads the statements of a context: "main", "http", "stream" or "mail".
func (n *nginx) block(f file, statements []statement, context string) {
	for _, st := range statements {
		switch name := st.name(); {
		case name == "include":
			n.include(f, st, func(f file) { n.read(f, context) })
		case context == "main" && (name == "http" || name == "stream" || name == "mail"):
			n.block(f, st.body, name)
		case context != "main" && name == "server" && st.block:
			n.server(f, st, context)
		}
	}
}

// server reads one server. One without a listen line has port 80 in the http
// module; elsewhere it is an error.
func (n *nginx) server(f file, st statement, module string) {
	before := len(n.listens)
	n.servers++
	n.serverBody(f, st.body, module)
	if len(n.listens) == before && module == "http" && !n.unixOnly(st) {
		pos := st.words[0].pos(f)
		pos.Len = 0
		n.listens = append(n.listens, nginxListen{module: module, at: netip.AddrPortFrom(any4(), 80), proto: monban.TCP, pos: pos, absent: true})
	}
}

func (n *nginx) unixOnly(st statement) bool { return len(st.find("listen")) > 0 }

func (n *nginx) serverBody(f file, body []statement, module string) {
	for _, st := range body {
		switch st.name() {
		case "listen":
			n.listen(f, st, module)
		case "include":
			n.include(f, st, func(f file) {
				n.serverBody(f, n.s.statements(f, blockStyle{}), module)
			})
		}
	}
}

func (n *nginx) include(f file, st statement, read func(file)) {
	arg := st.arg(0)
	// Tables of types and of parameters open nothing; in a copied tree they
	// are often left out.
	switch base := path.Base(arg.text); {
	case base == "mime.types", strings.HasSuffix(base, "_params"), base == "fastcgi.conf":
		return
	}
	n.s.include(arg.pos(f), includeRule{dir: n.dir, home: "/etc/nginx", here: n.dir}, arg.text, read)
}

func (n *nginx) listen(f file, st statement, module string) {
	arg := st.arg(0)
	if strings.HasPrefix(arg.text, "unix:") {
		return
	}
	l := nginxListen{module: module, proto: monban.TCP, v6only: true, pos: arg.pos(f)}
	for _, option := range st.args()[min(1, len(st.args())):] {
		switch key, value, _ := strings.Cut(option.text, "="); key {
		case "udp", "quic":
			l.proto = monban.UDP
		case "reuseport":
			l.reusePort, l.own = true, true
		case "ipv6only":
			l.v6only, l.own = value != "off", true
		case "bind", "setfib", "fastopen", "backlog", "rcvbuf", "sndbuf", "accept_filter", "deferred", "so_keepalive":
			l.own = true
		}
	}
	host, port := hostPort(arg)
	first, last := uint16(80), uint16(80)
	switch {
	case port.text != "":
		var ok bool
		if first, last, ok = n.s.portsOf(f, port); !ok {
			return
		}
		l.pos = port.pos(f)
	case host != "" && module == "http":
		l.pos.Len = 0 // the port is not written
	default:
		n.s.gap(arg.pos(f), BadPort, arg.text)
		return
	}
	addrs := []netip.Addr{any4()}
	if host != "" && host != "*" {
		if addrs = n.s.hostOf(f, arg, host); addrs == nil {
			return
		}
	}
	for num := int(first); num <= int(last); num++ {
		for _, addr := range addrs {
			l.at, l.server = netip.AddrPortFrom(addr, uint16(num)), n.servers
			n.listens = append(n.listens, l)
		}
	}
}

// claim makes the sockets. Servers share those of equal addresses; beside a
// wildcard of the same port and family, only addresses with socket options of
// their own get a socket (ngx_http_init_listening).
func (n *nginx) claim() {
	who := asker{by: "nginx", uid: n.s.rootUID(), reuseAddr: monban.On, program: monban.Program{Exes: []string{"nginx", "nginx.exe"},
		Units: []string{"nginx.service"}, Config: n.s.place.abs(n.s.main)}}
	sockets := n.sockets()
	seen := map[nginxServer]bool{}
	var again []nginxListen
	for _, l := range n.listens {
		// A server that asks for an address twice is refused ("a duplicate listen").
		once := nginxServer{l.server, l.at, l.proto}
		if seen[once] {
			again = append(again, l)
			continue
		}
		seen[once] = true
		if !l.at.Addr().IsUnspecified() && !l.alone(sockets) {
			n.s.mention("nginx", n.s.main, l.at.Port(), l.pos)
			continue
		}
		sock := sockets[l.socket()]
		who.reusePort = monban.FlagOf(sock.reusePort)
		n.s.claim(who, socket{at: l.at, proto: l.proto, v6only: monban.FlagOf(!sock.both), pos: l.pos, absent: l.absent})
	}
	n.s.once()
	for _, l := range again {
		n.s.claim(who, socket{at: l.at, proto: l.proto, v6only: monban.FlagOf(l.v6only), pos: l.pos})
	}
}

// nginxServer is an address that one server asks for.
type nginxServer struct {
	server int
	at     netip.AddrPort
	proto  monban.Proto
}

// nginxSocket is what tells the sockets of one nginx apart.
type nginxSocket struct {
	module string
	at     netip.AddrPort
	proto  monban.Proto
}

// nginxOptions are the options of a socket, which any line for it may set.
type nginxOptions struct{ own, reusePort, both bool }

func (l nginxListen) socket() nginxSocket { return nginxSocket{l.module, l.at, l.proto} }

// sockets joins the options of all lines for one socket. A panel writes thousands of
// servers into one file: to ask every line about every other took half a second
// for 4,000.
func (n *nginx) sockets() map[nginxSocket]nginxOptions {
	all := make(map[nginxSocket]nginxOptions)
	for _, l := range n.listens {
		o := all[l.socket()]
		all[l.socket()] = nginxOptions{own: o.own || l.own, reusePort: o.reusePort || l.reusePort, both: o.both || !l.v6only}
	}
	return all
}

// alone reports whether a specific address gets a socket.
func (l nginxListen) alone(sockets map[nginxSocket]nginxOptions) bool {
	if sockets[l.socket()].own {
		return true
	}
	wild := l.socket()
	wild.at = netip.AddrPortFrom(any4(), l.at.Port())
	if l.at.Addr().Is6() {
		wild.at = netip.AddrPortFrom(any6(), l.at.Port())
	}
	_, ok := sockets[wild]
	return !ok
}
