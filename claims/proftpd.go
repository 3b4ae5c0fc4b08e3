package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readProFTPD reads proftpd.conf and what it includes.
func readProFTPD(s *scan) {
	p := proftpd{s: s, v6: true, main: &ftpServer{}, global: &ftpServer{}}
	s.open(monban.Pos{}, s.main, p.read)
	p.claim()
}

type proftpd struct {
	s       *scan
	v6      bool
	inetd   bool
	tight   bool
	main    *ftpServer
	global  *ftpServer // <Global>: for those that do not say otherwise
	hosts   []*ftpServer
	defines []string
	modules []string // loaded, without "mod_" and ".c"
}

// ftpServer is the main server or a VirtualHost.
type ftpServer struct {
	port  located // of the first Port, which wins (measured with 1.3.8)
	addrs []netip.Addr
}

func (p *proftpd) read(f file) {
	var open []string // sections, the outermost first; "-" is one left out
	server := p.main
	for l := range lines(f.data, lineStyle{comment: "#", joined: true}) {
		words := l.words("")
		name := lower(words[0].text)
		switch {
		case strings.HasPrefix(name, "</"):
			if n := len(open); n > 0 {
				if open[n-1] == "virtualhost" || open[n-1] == "global" {
					server = p.main
				}
				open = open[:n-1]
			}
			continue
		case strings.HasPrefix(name, "<"):
			section := p.section(strings.Trim(name, "<>"), words[1:])
			if slices.Contains(open, "-") {
				section = "-"
			}
			open = append(open, section)
			switch section {
			case "global":
				server = p.global
			case "virtualhost":
				server = &ftpServer{}
				p.hosts = append(p.hosts, server)
				for _, w := range words[1:] {
					w.text = strings.TrimSuffix(w.text, ">")
					server.addrs = append(server.addrs, p.s.names.host(w.text)...)
				}
			}
			continue
		}
		if slices.Contains(open, "-") || len(words) < 2 {
			continue
		}
		p.directive(f, name, words[1:], server)
	}
}

// section returns the section's name, or "-" when its condition does not hold.
func (p *proftpd) section(name string, args []word) string {
	if len(args) == 0 {
		return name
	}
	text, negated := strings.CutPrefix(strings.TrimSuffix(args[0].text, ">"), "!")
	switch name {
	case "ifmodule":
		if p.hasModule(text) == negated {
			return "-"
		}
	case "ifdefine":
		if slices.Contains(p.defines, text) == negated {
			return "-"
		}
	}
	return name
}

// hasModule answers for "mod_tls.c". Where no LoadModule line has been seen every
// module may be built in, and is taken to be; else those are that Debian builds in.
func (p *proftpd) hasModule(name string) bool {
	name = moduleName(name)
	return len(p.modules) == 0 || slices.Contains(p.modules, name) || slices.Contains([]string{"core", "xfer", "rlimit", "auth_unix", "auth_file",
		"auth", "ls", "log", "site", "delay", "facts", "dso", "auth_pam", "cap", "ctrls", "lang"}, name)
}

func moduleName(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(lower(name), "mod_"), ".c")
}

func (p *proftpd) directive(f file, name string, args []word, server *ftpServer) {
	arg := args[0]
	on, _ := yesNo(arg.text)
	switch name {
	case "include":
		p.include(f, arg)
	case "port":
		if server.port.text == "" {
			server.port = located{arg.text, arg.pos(f)}
		}
	case "useipv6":
		p.v6 = on
	case "servertype":
		p.inetd = arg.is("inetd")
	case "socketbindtight":
		p.tight = on
	case "loadmodule":
		p.modules = append(p.modules, moduleName(arg.text))
	case "define":
		p.defines = append(p.defines, arg.text)
	case "defaultaddress":
		if server != p.main {
			return
		}
		for _, w := range args {
			server.addrs = append(server.addrs, p.s.hostOf(f, w, w.text)...)
		}
	}
}

// include reads a file, or all files of a directory.
func (p *proftpd) include(f file, arg word) {
	rule := includeRule{dir: path.Dir(p.s.main), home: "/etc/proftpd", here: path.Dir(p.s.main)}
	pattern := strings.TrimSuffix(arg.text, "/")
	if found, err := p.s.find(rule.dir, pattern, rule.home, rule.here); err == nil && len(found) == 1 {
		if _, ok := p.s.dir(found[0]); ok {
			pattern += "/*"
		}
	}
	p.s.include(arg.pos(f), rule, pattern, p.read)
}

// claim makes the sockets. Unless SocketBindTight is on, every port is bound on
// all addresses, whatever the DefaultAddress or VirtualHost says. A server without
// a port has the one of <Global>, or else 21, whatever the main server has
// (measured with 1.3.8).
func (p *proftpd) claim() {
	if p.inetd {
		return
	}
	who := p.s.daemon("proftpd", []string{"proftpd"}, "proftpd.service")
	for _, server := range append([]*ftpServer{p.main}, p.hosts...) {
		port, absent := server.port, false
		if port.text == "" {
			port = p.global.port
		}
		if port.text == "" {
			port.text, absent = "21", true
		}
		num, err := monban.ParsePort(port.text)
		if err != nil {
			p.s.gap(port.pos, BadPort, port.text)
			continue
		}
		if num.Num == 0 {
			continue
		}
		for _, addr := range p.addresses(server) {
			sock := tcp(addr, num.Num, port.pos)
			sock.absent = absent
			if addr == any6() {
				sock.v6only, sock.orIPv4 = monban.Off, true
			}
			p.s.claim(who, sock)
		}
	}
	p.s.once()
}

func (p *proftpd) addresses(server *ftpServer) []netip.Addr {
	switch {
	case p.tight && len(server.addrs) > 0:
		return server.addrs
	case p.v6:
		return []netip.Addr{any6()}
	}
	return []netip.Addr{any4()}
}
