package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// FromCommand returns what a program's command line and environment ask for.
// argv is the argument vector, env its environment as NAME=VALUE, of which only
// the variables of ports are looked at. A command line that says nothing about
// ports is no claim and no gap. Only programs whose port is on the command line
// are known here; what others read from their files is [System]'s business.
//
// Of a host name only localhost is known, as both loopback addresses;
// [Place.FromCommand] asks the hosts file of a machine.
func FromCommand(argv, env []string) ([]monban.Claim, []monban.Gap) {
	return Place{}.FromCommand(argv, env)
}

// FromCommand is [FromCommand] for a program that runs, or would, on the machine
// whose files p has.
func (p Place) FromCommand(argv, env []string) ([]monban.Claim, []monban.Gap) {
	s := &scan{files: &files{place: p}, names: newNames(p)}
	s.commandAt(file{}, argv, nil, env)
	return s.claims, s.gaps
}

// commandAt reads a command line; at are the places of its words in f, if it
// stands in a file.
func (s *scan) commandAt(f file, argv []string, at []word, env []string) {
	c := commandLine{s: s, f: f, argv: argv, at: at, env: env}
	// What stands before the program itself.
	for len(c.argv) > 1 && isWrapper(programName(c.argv[0])) {
		c.shift(1)
		for len(c.argv) > 1 && (strings.HasPrefix(c.argv[0], "-") || strings.Contains(c.argv[0], "=")) {
			if strings.Contains(c.argv[0], "=") && !strings.HasPrefix(c.argv[0], "-") {
				c.env = append(c.env[:len(c.env):len(c.env)], c.argv[0])
			}
			c.shift(1)
		}
	}
	if len(c.argv) == 0 {
		return
	}
	c.read(programName(c.argv[0]))
}

// isWrapper reports whether a program only starts the one named after it.
func isWrapper(program string) bool {
	switch program {
	case "env", "exec", "nohup", "sudo", "nice", "ionice", "setsid", "stdbuf", "cross-env", "dotenv", "npx", "pnpx", "bunx":
		return true
	}
	return false
}

// programName is the base name of an executable, without ".exe".
func programName(exe string) string {
	return strings.TrimSuffix(path.Base(slashes(exe)), ".exe")
}

// commandLine is one program's arguments and environment.
type commandLine struct {
	s    *scan
	f    file
	argv []string
	at   []word
	env  []string
	// runtime is the executable that runs a program which is a script or a module.
	runtime string
}

func (c *commandLine) shift(n int) {
	c.argv = c.argv[n:]
	if len(c.at) >= n {
		c.at = c.at[n:]
	}
}

// argument is a value on the command line and its place.
type argument struct {
	word
	ok bool
}

// arg returns the i-th word from its byte from on.
func (c *commandLine) arg(i, from int) argument {
	w := word{text: c.argv[i][from:]}
	if i < len(c.at) && c.at[i].line > 0 && c.at[i].text == c.argv[i] {
		w = c.at[i].sub(from, len(c.argv[i]))
	}
	return argument{w, true}
}

// flag returns the last value of any of some flags, in all their forms:
// "--port 1", "--port=1", "-p1". Names are with their dashes; one dash and two
// are the same for long names, as Go's programs have it.
func (c *commandLine) flag(names ...string) (found argument) {
	for i := 1; i < len(c.argv); i++ {
		for _, name := range names {
			arg := c.argv[i]
			if len(name) > 2 && strings.HasPrefix(name, "--") && strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") {
				name = name[1:]
			}
			switch {
			case arg == name && i+1 < len(c.argv):
				found = c.arg(i+1, 0)
			case strings.HasPrefix(arg, name+"="):
				found = c.arg(i, len(name)+1)
			case len(name) == 2 && len(arg) > 2 && strings.HasPrefix(arg, name) && digits(arg[2:]):
				found = c.arg(i, 2)
			}
		}
	}
	return found
}

// has reports whether a word stands on the command line.
func (c *commandLine) has(texts ...string) bool {
	for _, arg := range c.argv {
		for _, text := range texts {
			if arg == text {
				return true
			}
		}
	}
	return false
}

// getenv returns a variable.
func (c *commandLine) getenv(name string) argument {
	text := lookup(c.env, name)
	return argument{word{text: text}, text != ""}
}

// read knows the programs whose port is on the command line.
func (c *commandLine) read(program string) {
	if usual, name, ok := goServer(program); ok {
		c.goServer(program, name, usual)
		return
	}
	switch {
	case program == "php":
		if at := c.flag("-S"); at.ok {
			c.listen("php", at, "", 0)
		}
	case strings.HasPrefix(program, "python"):
		c.python()
	case program == "java":
		c.java()
	case program == "ollama":
		if c.has("serve") {
			c.listen("ollama", c.getenv("OLLAMA_HOST"), "127.0.0.1", 11434)
		}
	case program == "uvicorn", program == "hypercorn":
		c.hostPort(program, c.flag("--host"), c.flag("--port", "-p"), "127.0.0.1", 8000)
	case program == "gunicorn":
		if at := c.flag("--bind", "-b"); at.ok {
			c.listen(program, at, "", 8000)
		} else {
			c.hostPort(program, argument{}, c.getenv("PORT"), map[bool]string{true: "0.0.0.0", false: "127.0.0.1"}[c.getenv("PORT").ok], 8000)
		}
	case program == "flask":
		if c.has("run") {
			c.hostPort(program, or(c.flag("--host", "-h"), c.getenv("FLASK_RUN_HOST")), or(c.flag("--port", "-p"), c.getenv("FLASK_RUN_PORT")), "127.0.0.1", 5000)
		}
	case program == "memcached":
		c.memcached()
	case program == "kubectl":
		c.portForward()
	case program == "ssh":
		c.sshForward()
	default:
		c.javascript(program)
	}
}

func or(a, b argument) argument {
	if a.ok {
		return a
	}
	return b
}

// goServer returns the flag and the usual address of programs written in Go
// that take theirs from one flag.
func goServer(program string) (usual, name string, ok bool) {
	const web = "--web.listen-address"
	switch program {
	case "prometheus", "prometheus-server":
		return "0.0.0.0:9090", web, true
	case "alertmanager", "prometheus-alertmanager":
		return ":9093", web, true
	case "pushgateway", "prometheus-pushgateway":
		return ":9091", web, true
	case "node_exporter", "prometheus-node-exporter":
		return ":9100", web, true
	case "blackbox_exporter", "prometheus-blackbox-exporter":
		return ":9115", web, true
	case "snmp_exporter", "prometheus-snmp-exporter":
		return ":9116", web, true
	case "mysqld_exporter", "prometheus-mysqld-exporter":
		return ":9104", web, true
	case "postgres_exporter", "prometheus-postgres-exporter":
		return ":9187", web, true
	case "redis_exporter", "prometheus-redis-exporter":
		return ":9121", web, true
	case "process-exporter", "prometheus-process-exporter":
		return ":9256", web, true
	case "nginx-prometheus-exporter", "prometheus-nginx-exporter":
		return ":9113", web, true
	case "apache_exporter", "prometheus-apache-exporter":
		return ":9117", web, true
	case "haproxy_exporter", "prometheus-haproxy-exporter":
		return ":9101", web, true
	case "etcd":
		return "127.0.0.1:2379", "--listen-client-urls", true
	case "minio":
		return ":9000", "--address", true
	}
	return "", "", false
}

// systemOrder reports whether a program takes the first address that
// getaddrinfo(3) finds, where IPv6 comes first (measured). Go, Java and the other
// servers in Python take IPv4 first.
func (c *commandLine) systemOrder(by string) bool {
	if by == "php" || by == "python" {
		return true
	}
	_, ok := devServer(by, []string{"dev"})
	if !ok {
		_, ok = devServer(by, nil)
	}
	return ok
}

// isGo reports whether the program is one of those written in Go.
func (c *commandLine) isGo() bool {
	program := programName(c.argv[0])
	_, _, ok := goServer(program)
	return ok || program == "ollama" || program == "caddy" || program == "kubectl"
}

// goServer claims what Go's net.Listen opens. Its sockets have SO_REUSEADDR, and
// an address without a host is one socket of both families.
func (c *commandLine) goServer(program, name, usual string) {
	name, _, _ = strings.Cut(name, " ")
	at := c.flag(name)
	absent := !at.ok
	if absent {
		at.text = usual
	}
	before := len(c.s.claims)
	for _, one := range at.split(",") {
		c.listen(program, argument{stripScheme(one), true}, "", 0)
	}
	for i := range c.s.claims[before:] {
		c.s.claims[before+i].Default = absent
	}
	if program == "alertmanager" || program == "prometheus-alertmanager" {
		cluster := c.flag("--cluster.listen-address")
		if !cluster.ok {
			cluster = argument{word{text: "0.0.0.0:9094"}, true}
		}
		before := len(c.s.claims)
		if cluster.text != "" {
			c.listen(program, cluster, "", 9094)
		}
		for _, again := range c.s.claims[before:] {
			again.Bind.Port.Proto, again.Listen, again.Bind.ReuseAddr = monban.UDP, false, monban.Off
			c.s.claims = append(c.s.claims, again)
		}
	}
}

// stripScheme drops "http://" and the like.
func stripScheme(w word) word {
	if i := strings.Index(w.text, "://"); i >= 0 {
		w = w.sub(i+3, len(w.text))
	}
	before, _, _ := w.cut("/")
	return before
}

// listen claims "host:port" or "port".
func (c *commandLine) listen(by string, at argument, usualHost string, usualPort int) {
	host, port := hostPort(at.word)
	if port.text == "" && usualPort == 0 {
		return
	}
	hostArg := argument{word{text: host}, host != ""}
	c.hostPort(by, hostArg, argument{port, port.text != ""}, usualHost, usualPort)
}

// hostPort claims a port given apart from its host. Hosts "" and "::" are every
// address of both families.
func (c *commandLine) hostPort(by string, host, port argument, usualHost string, usualPort int) {
	num := usualPort
	if port.ok {
		p, err := monban.ParsePort(port.text)
		if err != nil {
			return // a variable, a template: nothing that is known here
		}
		num = int(p.Num)
	}
	if num == 0 {
		return // of the kernel's choice
	}
	where := usualHost
	if host.ok {
		where = host.text
	}
	sock := socket{proto: monban.TCP, absent: !port.ok}
	if port.line > 0 {
		sock.pos = port.pos(c.f)
	}
	who := asker{by: by, uid: -1, reuseAddr: monban.On, reusePort: monban.Off, program: monban.Program{Exes: []string{programName(c.argv[0])}}}
	switch {
	case c.runtime != "":
		who.program.Exes = append(who.program.Exes, c.runtime)
	case by == "uvicorn", by == "hypercorn", by == "gunicorn", by == "flask":
		who.program.Exes = append(who.program.Exes, "python3")
	}
	var addrs []netip.Addr
	switch where {
	case "", "*", "::", "[::]":
		sock.at, sock.v6only, sock.orIPv4 = netip.AddrPortFrom(any6(), uint16(num)), monban.Off, where != "::"
		c.s.claim(who, sock)
		return
	default:
		addrs = c.s.names.host(where)
	}
	if len(addrs) == 1 && addrs[0] == any4() && c.isGo() {
		addrs[0] = any6() // as wide as no host at all: see goListen
		sock.v6only, sock.orIPv4 = monban.Off, true
	}
	if c.systemOrder(by) {
		addrs = addrs[len(addrs)-1:]
	}
	if by == "java" {
		c.s.javaSocket(c.f, who, where, word{}, socket{at: netip.AddrPortFrom(any6(), uint16(num)), pos: sock.pos})
		return
	}
	if len(addrs) == 0 {
		c.s.gap(sock.pos, Unresolved, where)
		return
	}
	sock.at = netip.AddrPortFrom(addrs[0], uint16(num))
	c.s.claim(who, sock)
}

// python knows http.server, manage.py, and the modules that are servers.
func (c *commandLine) python() {
	for i := 1; i < len(c.argv); i++ {
		arg := c.argv[i]
		switch {
		case arg == "-m" && i+1 < len(c.argv):
			c.runtime = programName(c.argv[0])
			c.shift(i + 1)
			if module := c.argv[0]; module == "http.server" {
				c.httpServer()
			} else {
				c.read(module)
			}
			return
		case path.Base(arg) == "manage.py" && i+1 < len(c.argv) && c.argv[i+1] == "runserver":
			c.runtime = programName(c.argv[0])
			c.shift(i + 1)
			c.runserver()
			return
		case !strings.HasPrefix(arg, "-"):
			return
		}
	}
}

func (c *commandLine) httpServer() {
	port := argument{}
	for i := 1; i < len(c.argv); i++ {
		if digits(c.argv[i]) {
			port = c.arg(i, 0)
		}
	}
	c.hostPort("python", c.flag("--bind", "-b"), port, "0.0.0.0", 8000)
}

func (c *commandLine) runserver() {
	at := argument{}
	for i := 1; i < len(c.argv); i++ {
		if !strings.HasPrefix(c.argv[i], "-") {
			at = c.arg(i, 0)
		}
	}
	c.listen("django", at, "127.0.0.1", 8000)
}

// java knows Spring's property, given either way, and its variable. Java's
// sockets are of both families, also where an IPv4 address is bound.
func (c *commandLine) java() {
	port := or(or(c.flag("--server.port"), c.flag("-Dserver.port")), c.getenv("SERVER_PORT"))
	if port.ok {
		c.hostPort("java", or(c.flag("--server.address"), c.flag("-Dserver.address")), port, "", 0)
		return
	}
	if jenkins := c.flag("--httpPort"); jenkins.ok {
		c.hostPort("java", c.flag("--httpListenAddress"), jenkins, "", 0)
	}
}

// memcached opens a socket for each address, and for each family where it is
// given none; for UDP only when it is told to.
func (c *commandLine) memcached() {
	hosts := c.flag("-l", "--listen").split(",")
	if len(hosts) == 0 {
		hosts = []word{{text: "0.0.0.0"}, {text: "::"}}
	}
	before := len(c.s.claims)
	udp := c.flag("-U", "--udp-port")
	on := udp.ok && udp.text != "0"
	port := c.flag("-p", "--port")
	if !port.ok && on {
		port = udp // also the one of TCP then (measured with 1.6)
	}
	for _, host := range hosts {
		c.hostPort("memcached", argument{host, true}, port, "", 11211)
	}
	if on {
		first := len(c.s.claims)
		for _, host := range hosts {
			c.hostPort("memcached", argument{host, true}, udp, "", 0)
		}
		for i := range c.s.claims[first:] {
			c.s.claims[first+i].Bind.Port.Proto, c.s.claims[first+i].Listen = monban.UDP, false
		}
	}
	for i := range c.s.claims[before:] {
		claim := &c.s.claims[before+i]
		if claim.Bind.Addr == any6() {
			claim.Bind.V6Only, claim.Tolerates = monban.On, monban.ToleratesAddress
		}
	}
}

// portForward is: kubectl port-forward NAME LOCAL:REMOTE…
func (c *commandLine) portForward() {
	if !c.has("port-forward") {
		return
	}
	for i := 1; i < len(c.argv); i++ {
		local, remote, ok := strings.Cut(c.argv[i], ":")
		if !ok && digits(c.argv[i]) {
			local, remote = c.argv[i], c.argv[i]
		}
		if !digits(local) || !digits(remote) {
			continue
		}
		port := c.arg(i, 0)
		port.word = port.sub(0, len(local))
		for _, host := range []string{"127.0.0.1", "::1"} {
			if at := c.flag("--address"); at.ok && at.text != "localhost" {
				host = at.text
			}
			c.hostPort("kubectl", argument{word{text: host}, true}, port, "", 0)
			if host == c.flag("--address").text {
				break
			}
		}
	}
}

// sshForward is -L and -D: [bind:]port:host:hostport and [bind:]port. Without a
// bind address both loopback addresses are taken.
func (c *commandLine) sshForward() {
	for _, name := range []string{"-L", "-D"} {
		at := c.flag(name)
		parts := strings.Split(at.text, ":")
		host := "localhost"
		want := map[string]int{"-L": 3, "-D": 1}[name]
		from := 0
		switch {
		case !at.ok || strings.HasPrefix(at.text, "["):
			continue
		case len(parts) == want+1:
			host, from = parts[0], len(parts[0])+1
			parts = parts[1:]
		case len(parts) != want:
			continue
		}
		port := argument{at.sub(from, from+len(parts[0])), true}
		if host != "localhost" {
			c.hostPort("ssh", argument{word{text: host}, true}, port, "", 0)
			continue
		}
		c.hostPort("ssh", argument{word{text: "127.0.0.1"}, true}, port, "", 0)
		c.hostPort("ssh", argument{word{text: "::1"}, true}, port, "", 0)
	}
}

// javascript knows the development servers of Node.js.
func (c *commandLine) javascript(program string) {
	if program == "node" || program == "bun" || program == "deno" || program == "tsx" {
		for i := 1; i < len(c.argv); i++ {
			if strings.HasPrefix(c.argv[i], "-") {
				continue
			}
			// The program of a package, by its path below node_modules/.bin.
			c.shift(i)
			program = strings.TrimSuffix(strings.TrimSuffix(programName(c.argv[0]), ".js"), ".mjs")
			break
		}
	}
	usual, ok := devServer(program, c.argv[1:])
	if !ok {
		return
	}
	port := or(c.flag("--port", "-p"), c.getenv("PORT"))
	if program == "vite" { // reads no variable
		port = c.flag("--port")
	}
	host := ""
	if program == "vite" || program == "astro" || program == "ng" {
		host = "localhost"
	}
	c.hostPort(program, c.flag("--host", "-H", "--hostname"), port, host, usual)
}

// devServer returns the port that a development server has by itself.
func devServer(program string, args []string) (port int, ok bool) {
	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb = args[0]
	}
	switch program + " " + verb {
	case "vite ", "vite dev", "vite serve":
		return 5173, true
	case "vite preview":
		return 4173, true
	case "next dev", "next start", "nuxt dev", "nuxi dev", "react-scripts start", "remix dev", "docusaurus start":
		return 3000, true
	case "ng serve":
		return 4200, true
	case "vue-cli-service serve", "webpack serve", "webpack-dev-server ", "eleventy --serve":
		return 8080, true
	case "astro dev", "astro preview":
		return 4321, true
	case "gatsby develop":
		return 8000, true
	case "storybook dev", "start-storybook ":
		return 6006, true
	case "parcel ", "parcel serve":
		return 1234, true
	case "wrangler dev":
		return 8787, true
	case "expo start":
		return 8081, true
	case "http-server ", "serve ":
		return map[string]int{"http-server": 8080, "serve": 3000}[program], true
	}
	return 0, false
}
