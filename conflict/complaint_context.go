package conflict

import (
	"strings"

	"github.com/monban-dev/monban"
)

// borrow looks for the port of a complaint in the lines around it, where the
// line itself has none. A wrong port is worse than none, so only lines that
// speak of listening are asked, and never stack frames.
func (d *draft) borrow(lines []line) {
	if d.sign.unix || d.sign.cause == L11 || d.sign.cause == L21 || d.sign.cause == D10 {
		return
	}
	if d.hasPort() {
		d.readDump(lines, d.where.num)
		return
	}
	if d.readDump(lines, -1) {
		return
	}
	const before, after = 6, 4
	for step := 1; step <= before; step++ {
		if step <= after {
			d.borrowFrom(lines, d.at+step)
		}
		if d.borrowFrom(lines, d.at-step); d.hasPort() && d.where.hasAddr() {
			return
		}
	}
	if d.hasPort() {
		return
	}
	for i := d.at - 1; i >= 0 && i >= d.at-near; i-- {
		if p, proto, ok := commandPort(lines[i]); ok {
			d.where.take(p)
			if d.proto == monban.AnyProto {
				d.proto = proto
			}
			return
		}
	}
}

// readDump reads the properties of an error object that Node, Bun and Deno
// print after it: "port: 3000", "address: '::'", "errno: -98".
func (d *draft) readDump(lines []line, want int) bool {
	var p endpoint
	for i := d.at + 1; i < len(lines) && i <= d.at+30; i++ {
		key, value, ok := strings.Cut(strings.TrimLeft(lines[i].low, " \t\"'"), ":")
		if !ok {
			continue
		}
		value = strings.Trim(value, " ,'\"")
		switch strings.Trim(key, "\"' ") {
		case "port":
			if n, width := leadingNumber(value); width > 0 && width == len(value) {
				p.num, p.hasPort = n, true
			}
		case "address":
			p.setHost(value, true)
			if value == "" {
				p.host = ""
			}
		case "syscall":
			if value == "listen" && d.proto == monban.AnyProto {
				d.proto = monban.TCP
			}
		case "at node":
			if strings.HasPrefix(value, "dgram") && d.proto == monban.AnyProto {
				d.proto = monban.UDP
			}
		case "errno":
			if errno, os := errnoNumber(lines[i].low, d.sign.errno); d.sign.errno == "" || sameErrno(errno, d.sign.errno) {
				d.sign.os = firstOf(d.sign.os, os)
			}
		}
	}
	if !p.hasPort || want >= 0 && p.num != want {
		return false
	}
	d.where.take(p)
	return true
}

// borrowFrom takes the place from lines[i] if that line speaks of listening.
func (d *draft) borrowFrom(lines []line, i int) {
	if i < 0 || i >= len(lines) || isFrame(lines[i].low) {
		return
	}
	l := lines[i]
	s, isSign := signOf(lines, i)
	if isSign && (!sameErrno(s.errno, d.sign.errno) || s.remote != d.sign.remote || s.unix) {
		return
	}
	if !isSign && d.sign.cause != B1 && !hasAny(l.low, []string{"port", "listen", "bind", "server at", "server on", "ポート", "待ち受け",
		"starting", "connector", "protocolhandler"}) {
		return
	}
	p := endpointOf(l, s)
	if !p.hasPort || p.ranged || d.hasPort() && d.where.num != p.num {
		return
	}
	if d.where.hasAddr() && p.hasAddr() && (d.where.addr != p.addr || d.where.host != p.host) {
		p.addr, p.host = d.where.addr, d.where.host
	}
	d.where.take(p)
	if d.proto == monban.AnyProto {
		d.proto = protoOf(l, p)
	}
	d.last = max(d.last, i)
}

// isFrame reports whether a line is a frame of a stack trace, where a number
// after a colon is a line in a source file.
func isFrame(low string) bool {
	low = strings.TrimLeft(low, " \t")
	return strings.HasPrefix(low, "at ") || strings.HasPrefix(low, "file \"") || strings.HasPrefix(low, "from ") ||
		strings.HasPrefix(low, "in ") || strings.HasPrefix(low, "#")
}

// commandPort reads the port from a command line that was pasted along:
// "$ python3 -m http.server 8000", "python manage.py runserver 0.0.0.0:8000".
func commandPort(l line) (p endpoint, proto monban.Proto, ok bool) {
	if !hasAny(l.low, []string{"$ ", "# ", "> ", "% ", "http.server", "runserver"}) {
		return endpoint{}, 0, false
	}
	prev := ""
	for _, t := range tokensOf(l.plain) {
		word := lowerASCII(t.text)
		switch prev {
		case "http.server", "simplehttpserver", "runserver", "-p", "--port", "-port", "-l", "-s", "-b", "--bind", "--listen":
			if n, width := leadingNumber(word); width > 0 && width == len(word) {
				return endpoint{num: n, hasPort: true}, monban.TCP, true
			}
			if p, ok = hostPort(word, false); ok && p.hasPort {
				return p, monban.TCP, true
			}
		}
		prev = word
	}
	return endpoint{}, 0, false
}

// protoOf reads the transport that a line speaks of.
func protoOf(l line, p endpoint) monban.Proto {
	if p.proto != monban.AnyProto {
		return p.proto
	}
	for _, t := range tokensOf(l.low) {
		switch word := strings.Trim(t.text, "[]:.,"); word {
		case "tcp_socket":
			return monban.TCP
		case "udp_socket":
			return monban.UDP
		case "udp", "udp4", "udp6", "udp4-recv", "dgram", "datagram":
			return monban.UDP
		case "tcp", "tcp4", "tcp6", "tcp/ip", "http", "https":
			return monban.TCP
		case "sctp":
			return monban.SCTP
		}
	}
	// Only stream sockets listen, and these programs have no other.
	if hasAny(l.low, []string{"listen eaddr", "listen eacces", "listen(2)", "make_sock", "bindexception", "web server", "http server",
		"serversocket", "connector", "rmi", "panel", "apache", "failed to listen on", "http-nio"}) {
		return monban.TCP
	}
	return monban.AnyProto
}

// configOf reads the place in a configuration file that a line names:
// "in /etc/nginx/nginx.conf:12", "Syntax error on line 7 of FILE:".
func configOf(l line) (file string, lineNo int) {
	if _, rest, ok := strings.Cut(l.low, "error on line "); ok {
		n, width := leadingNumber(rest)
		if path, ok := strings.CutPrefix(rest[width:], " of "); ok && width > 0 {
			at := len(l.low) - len(path)
			return strings.TrimRight(l.plain[at:], ": "), n
		}
	}
	for _, t := range tokensOf(l.plain) {
		text := strings.TrimRight(strings.Trim(t.text, "[]"), ":.,")
		i := strings.LastIndexByte(text, ':')
		if i < 2 {
			continue
		}
		n, width := leadingNumber(text[i+1:])
		if width == 0 || width != len(text)-i-1 || !isConfig(lowerASCII(text[:i])) {
			continue
		}
		return text[:i], n
	}
	return "", 0
}

func isConfig(path string) bool {
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "conf", "cfg", "cnf", "ini", "yml", "yaml", "xml", "toml", "service", "socket":
		return true
	}
	return strings.Contains(path, "/sites-enabled/") || strings.HasSuffix(path, "_config") || strings.HasSuffix(path, "caddyfile")
}

// socketPath reads the path of a Unix socket.
func socketPath(l line) string {
	for _, t := range tokensOf(l.plain) {
		text := strings.TrimRight(t.text, ":.,")
		if i := strings.Index(text, "unix:"); i >= 0 {
			text = strings.TrimPrefix(text[i+len("unix:"):], "//")
		}
		if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "@") {
			return text
		}
	}
	return ""
}

// holderOf reads who has the port, where the message itself says so, as XAMPP's
// panel and Next.js do.
func holderOf(l line) Holder {
	var h Holder
	if !hasAny(l.low, []string{"in use by", "used by", "already running", "held by", "occupied by", "taken by", "使用", "使われ"}) {
		return h
	}
	if i := strings.Index(l.low, "in use by \""); i >= 0 {
		name := strings.TrimLeft(l.plain[i+len("in use by "):], "\"")
		if name, _, ok := strings.Cut(name, "\""); ok && !strings.EqualFold(name, "Unable to open process") {
			h.Name = name
		}
	}
	for _, lead := range []string{"with pid ", "pid: ", "pid=", "(pid ", "pid ", "process "} {
		if _, rest, ok := strings.Cut(l.low, lead); ok {
			if h.PID = pidAt(rest); h.PID != 0 {
				break
			}
		}
	}
	return h
}

func pidAt(s string) int {
	n := 0
	for i := 0; i < len(s) && i < 9 && '0' <= s[i] && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// provenOS reads the operating system from paths and names that only one has.
func provenOS(lines []line) string {
	for _, l := range lines {
		switch {
		case hasAny(l.low, []string{`:\`, ".exe", "wsaea", "c:/xampp", "microsoft windows", "without the configured ports free",
			"file:///c:/"}):
			return "windows"
		case hasAny(l.low, []string{"/opt/homebrew/", "darwin"}), strings.Contains(l.plain, " /Users/"), strings.Contains(l.plain, "(/Users/"),
			strings.Contains(l.plain, "file:///Users/"), strings.Contains(l.plain, "\"/Users/"):
			return "darwin"
		case hasAny(l.low, []string{"systemd[", ".service: ", ".socket: ", "linux-gnu", "(98)", "(98:", "debian", "ubuntu"}):
			return "linux"
		}
	}
	return ""
}

// programs are the words by which a program is known in its own messages, the
// special before the general.
var programs = [...]struct{ word, name string }{
	{"nginx", "nginx"}, {"[emerg]", "nginx"}, {"make_sock", "apache"}, {"ah00072", "apache"}, {"[apache]", "apache"}, {"multiple listeners on the same", "apache"},
	{"ah00526", "apache"},
	{"gunicorn", "gunicorn"}, {"uvicorn", "uvicorn"}, {"django", "django"}, {"that port is already in use", "django"},
	{"flask", "flask"}, {"is in use by another program. either", "flask"}, {"serverapp", "jupyter"}, {"werkzeug", "flask"}, {"connection in use: (", "gunicorn"}, {"jupyter", "jupyter"},
	{"vite", "vite"}, {"next dev", "next"}, {"next.js", "next"}, {"using available port", "next"}, {"is reserved for", "next"}, {"something is already running on port", "react-scripts"},
	{"webpack", "webpack"}, {"storybook", "storybook"}, {"metro", "metro"},
	{"puma", "puma"}, {"rails", "rails"}, {"webrick", "webrick"}, {"errno::eaddrinuse", "ruby"}, {"bind(2) for", "ruby"},
	{"artisan", "php"}, {"(reason: ", "php"}, {"laravel", "php"}, {"php", "php"}, {"xampp", "xampp"}, {"will not start without the configured ports free", "xampp"},
	{"kubelet", "kubernetes"}, {"kubectl", "kubectl"}, {"listeners failed to create", "kubectl"}, {"requested pod ports", "kubernetes"}, {"nodeport", "kubernetes"},
	{"rootlessport", "podman"}, {"podman", "podman"}, {"pasta failed", "podman"}, {"port(s) already bound", "podman"}, {"cannot listen on the tcp port", "podman"}, {"docker", "docker"}, {"ports are not available", "docker"}, {"userland proxy", "docker"}, {"port is already allocated", "docker"},
	{"programming external connectivity", "docker"},
	{"channel_setup_fwd_listener", "ssh"}, {"could not request local forwarding", "ssh"}, {"remote port forwarding failed", "ssh"},
	{"sshd", "sshd"}, {"cannot bind any address", "sshd"}, {"ssh:", "ssh"},
	{"postmaster", "postgres"}, {"postgres", "postgres"}, {"psql", "psql"}, {"could not bind ipv", "postgres"},
	{"mariadb", "mariadb"}, {"mysqld", "mysql"}, {"mysql", "mysql"},
	{"redis", "redis"}, {"could not create server tcp listening socket", "redis"}, {"mongo", "mongodb"}, {"initandlisten", "mongodb"},
	{"haproxy", "haproxy"}, {"elasticsearch", "elasticsearch"}, {"opensearch", "opensearch"}, {"transport.bind", "elasticsearch"}, {"bindtransportexception", "elasticsearch"},
	{"bindhttpexception", "elasticsearch"}, {"kafka", "kafka"}, {"zookeeper", "zookeeper"}, {"cassandra", "cassandra"}, {"rabbit", "rabbitmq"}, {"minecraft", "minecraft"},
	{"jenkins", "jenkins"}, {"tomcat", "tomcat"}, {"catalina", "tomcat"}, {"spring", "spring"}, {"web server failed to start", "spring"},
	{"netty", "netty"}, {"jetty", "jetty"}, {"kestrel", "kestrel"}, {"aspnetcore", "kestrel"}, {"httplistener", ".net"}, {"system.net.sockets", ".net"},
	{"vsftpd", "vsftpd"}, {"500 oops", "vsftpd"}, {"proftpd", "proftpd"}, {"postfix", "postfix"}, {"dovecot", "dovecot"}, {"named[", "bind"},
	{"starting bind", "bind"}, {"dnsmasq", "dnsmasq"}, {"unbound", "unbound"}, {"caddy", "caddy"}, {"traefik", "traefik"}, {"envoy", "envoy"},
	{"mosquitto", "mosquitto"}, {"memcached", "memcached"}, {"lighttpd", "lighttpd"}, {"(network.c.", "lighttpd"}, {"failed to listen on tcp port", "memcached"}, {"commbind", "squid"}, {"hadoop", "hadoop"}, {"squid", "squid"}, {"rsyncd", "rsync"}, {"[warn] could not bind to", "tor"},
	{"systemd", "systemd"}, {".socket: failed", "systemd"}, {"ollama", "ollama"}, {"grafana", "grafana"}, {"prometheus", "prometheus"}, {"node_exporter", "prometheus"}, {"building entrypoint", "traefik"}, {"deno", "deno"}, {"bun", "bun"},
	{"err_unsafe_port", "browser"}, {"ns_error_", "browser"}, {"err_connection_", "browser"}, {"firefox", "browser"}, {"chrome", "browser"},
	{"curl:", "curl"}, {"socat", "socat"}, {"io::socket", "perl"},
}

// runtimes are the words by which a language's runtime is known. They count
// only where no program is: a Tomcat is more than Java.
var runtimes = [...]struct{ word, name string }{
	{"setuplistenhandle", "node"}, {"node:", "node"}, {"node.js", "node"}, {"listen eaddr", "node"}, {"listen eacces", "node"},
	{"bindexception", "java"}, {"java.", "java"}, {"panicked at", "rust"}, {"os { code", "rust"}, {"os error", "rust"},
	{"traceback (most recent", "python"}, {"oserror:", "python"}, {"[errno ", "python"}, {"listen tcp", "go"}, {"dial tcp", "go"}, {"listen udp", "go"},
}

// programOf names the program that speaks on lines[at]: a program on that line
// before one anywhere in the text, and any program before a mere runtime.
func programOf(lines []line, at int) string {
	// OpenSSH at a terminal does not name itself, and where one address was free
	// its last words, "Cannot bind any address", do not follow.
	if low := strings.TrimPrefix(lines[at].low, "error: "); strings.HasPrefix(low, "bind to port ") && strings.Contains(low, " failed: ") {
		return "sshd"
	}
	here, all := lines[at:at+1], lines[:min(len(lines), 400)]
	for _, table := range [...][]struct{ word, name string }{programs[:], runtimes[:]} {
		for _, part := range [...][]line{here, all} {
			if name := firstWord(part, table); name != "" {
				return name
			}
		}
	}
	return ""
}

func firstWord(lines []line, table []struct{ word, name string }) string {
	for _, l := range lines {
		// The program that is blamed is not the one that speaks.
		said, _, _ := strings.Cut(l.low, ` in use by "`)
		for _, p := range table {
			if strings.Contains(said, p.word) {
				return p.name
			}
		}
	}
	return ""
}
