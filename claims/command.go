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
