package claims

import (
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

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
