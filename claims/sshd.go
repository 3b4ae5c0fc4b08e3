package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readSSHD reads sshd_config and what it includes.
func readSSHD(s *scan) {
	d := sshd{s: s, family: "any"}
	// Where systemd listens for sshd, sshd opens nothing itself.
	if s.place.machine() && s.exists("etc/systemd/system/sockets.target.wants/ssh.socket") {
		return
	}
	s.open(monban.Pos{}, s.main, func(f file) { d.read(f, false) })
	d.claim()
}

type sshd struct {
	s         *scan
	family    string
	familySet bool
	ports     []located
	listens   []sshdListen
}

// sshdListen is one ListenAddress: without a port it takes every Port of the
// configuration, those below it too.
type sshdListen struct {
	addrs []netip.Addr
	port  word
	pos   monban.Pos
	all   bool
}

// read reads one file. A Match block goes to the end of its file, so an
// included file cannot begin one for the file that includes it; but it begins
// inside one where the Include line does.
func (d *sshd) read(f file, matching bool) {
	for l := range lines(f.data, lineStyle{comment: "#"}) {
		words := l.words("=")
		if len(words) < 2 {
			continue
		}
		arg := words[1]
		switch name := lower(words[0].text); name {
		case "match":
			matching = !(len(words) == 2 && arg.is("all"))
		case "include":
			d.include(f, words[1:], matching)
		case "port", "listenaddress", "addressfamily":
			if matching {
				d.s.gap(l.pos(f), BadSyntax, l.text) // not allowed here: sshd refuses to start
				continue
			}
			d.keyword(f, name, arg)
		}
	}
}

func (d *sshd) keyword(f file, name string, arg word) {
	switch name {
	case "port":
		d.ports = append(d.ports, located{text: arg.text, pos: arg.pos(f)})
	case "addressfamily":
		if !d.familySet { // the first one wins
			d.family, d.familySet = lower(arg.text), true
		}
	case "listenaddress":
		host, port := hostPort(arg)
		l := sshdListen{port: port, pos: arg.pos(f)}
		if port.text != "" {
			l.pos = port.pos(f)
		}
		if host == "" { // ListenAddress 2222 is an address to sshd, and a wrong one
			d.s.gap(arg.pos(f), BadAddress, arg.text)
			return
		}
		if host == "*" {
			l.all = true
		} else if l.addrs = d.s.hostOf(f, arg, host); l.addrs == nil {
			return
		}
		d.listens = append(d.listens, l)
	}
}

// include follows one line, whose patterns are relative to /etc/ssh.
func (d *sshd) include(f file, patterns []word, matching bool) {
	home := path.Dir(d.s.main)
	for _, w := range patterns {
		d.s.include(w.pos(f), includeRule{dir: home, home: "/etc/ssh", here: home, optional: true}, w.text,
			func(f file) { d.read(f, matching) })
	}
}

// claim makes the sockets. sshd tries all and needs one (server_listen); its
// IPv6 sockets are IPv6 only.
func (d *sshd) claim() {
	who := d.s.daemon("sshd", []string{"sshd", "sshd.exe"}, "ssh.service", "sshd.service", "ssh.socket", "sshd.socket")
	ports := d.ports
	absent := len(ports) == 0
	if absent {
		ports = []located{{text: "22"}}
	}
	listens := d.listens
	if len(listens) == 0 {
		listens = []sshdListen{{all: true}}
	}
	for _, l := range listens {
		if l.port.text != "" {
			d.sockets(who, l, located{text: l.port.text, pos: l.pos}, false)
			continue
		}
		for _, port := range ports {
			d.sockets(who, l, port, absent)
		}
	}
	if len(d.s.claims) > 1 {
		for i := range d.s.claims {
			d.s.claims[i].Tolerates = monban.ToleratesAny
		}
	}
}

func (d *sshd) sockets(who asker, l sshdListen, port located, absent bool) {
	num, ok := d.s.names.port(port.text, monban.TCP)
	if !ok || num == 0 {
		d.s.gap(port.pos, BadPort, port.text)
		return
	}
	addrs := l.addrs
	if l.all {
		addrs = []netip.Addr{any4(), any6()}
	}
	pos := port.pos
	if absent && l.pos.File != "" {
		pos = l.pos
		pos.Len = 0
	}
	for _, addr := range addrs {
		if d.family == "inet" && !addr.Is4() || d.family == "inet6" && !addr.Is6() {
			continue
		}
		sock := tcp(addr, num, pos)
		sock.v6only, sock.absent = monban.On, absent
		d.s.claim(who, sock)
	}
}

// looksLikeSSHD recognises sshd's keywords, for copies of other names.
func looksLikeSSHD(data []byte) bool {
	text := string(data)
	return strings.Contains(text, "\nHostKey ") || strings.Contains(text, "\nPermitRootLogin ") ||
		strings.Contains(text, "\nListenAddress ")
}
