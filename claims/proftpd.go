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
	p := proftpd{s: s, v6: true, port: "21"}
	s.open(monban.Pos{}, s.main, p.read)
	p.claim()
}

type proftpd struct {
	s       *scan
	v6      bool
	inetd   bool
	tight   bool
	port    string
	at      monban.Pos // of the server's own Port line
	set     bool
	address []netip.Addr
	hosts   []located // the Port lines of VirtualHosts
	defines []string
}

func (p *proftpd) read(f file) {
	var open []string // sections, the outermost first; "-" is one left out
	for l := range lines(f.data, lineStyle{comment: "#", joined: true}) {
		words := l.words("")
		name := lower(words[0].text)
		switch {
		case strings.HasPrefix(name, "</"):
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
			continue
		case strings.HasPrefix(name, "<"):
			open = append(open, p.section(strings.Trim(name, "<>"), words[1:]))
			continue
		}
		if slices.Contains(open, "-") || len(words) < 2 {
			continue
		}
		p.directive(f, name, words[1:], slices.Contains(open, "virtualhost"))
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
		// Which modules are built in cannot be seen; that of TLS and the
		// like only add sections that open nothing.
		if negated {
			return "-"
		}
	case "ifdefine":
		if slices.Contains(p.defines, text) == negated {
			return "-"
		}
	}
	return name
}

func (p *proftpd) directive(f file, name string, args []word, virtual bool) {
	arg := args[0]
	on, _ := yesNo(arg.text)
	switch name {
	case "include":
		p.include(f, arg)
	case "port":
		if virtual {
			p.hosts = append(p.hosts, located{arg.text, arg.pos(f)})
		} else {
			p.port, p.at, p.set = arg.text, arg.pos(f), true
		}
	case "useipv6":
		p.v6 = on
	case "servertype":
		p.inetd = arg.is("inetd")
	case "socketbindtight":
		p.tight = on
	case "define":
		p.defines = append(p.defines, arg.text)
	case "defaultaddress":
		if virtual {
			return
		}
		for _, w := range args {
			p.address = append(p.address, p.s.hostOf(f, w, w.text)...)
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
// all addresses, whatever the DefaultAddress or VirtualHost says (measured).
func (p *proftpd) claim() {
	if p.inetd {
		return
	}
	who := p.s.daemon("proftpd", []string{"proftpd"}, "proftpd.service")
	ports := append([]located{{p.port, p.at}}, p.hosts...)
	for i, port := range ports {
		num, err := monban.ParsePort(port.text)
		if err != nil {
			p.s.gap(port.pos, BadPort, port.text)
			continue
		}
		if num.Num == 0 {
			continue
		}
		for _, addr := range p.addresses() {
			sock := tcp(addr, num.Num, port.pos)
			sock.absent = i == 0 && !p.set
			if addr == any6() {
				sock.v6only, sock.orIPv4 = monban.Off, true
			}
			p.s.claim(who, sock)
		}
	}
	p.s.once()
}

func (p *proftpd) addresses() []netip.Addr {
	switch {
	case p.tight && len(p.address) > 0:
		return p.address
	case p.v6:
		return []netip.Addr{any6()}
	}
	return []netip.Addr{any4()}
}
