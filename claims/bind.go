package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readBIND reads named.conf and what it includes.
func readBIND(s *scan) {
	b := bind{s: s, port: 53, acls: map[string]statement{}}
	s.open(monban.Pos{}, s.main, b.read)
	b.claim()
}

type bind struct {
	s        *scan
	port     uint16
	acls     map[string]statement
	listens  []bindListen
	controls bool
	channels []bindChannel
	unknown  bool // the gap about the machine's addresses is recorded
}

// bindListen is a listen-on or listen-on-v6 statement.
type bindListen struct {
	statement
	f  file
	v6 bool
}

// bindChannel is an inet statement of controls or statistics-channels.
type bindChannel struct {
	statement
	f     file
	name  string
	usual uint16
}

func (b *bind) read(f file) {
	b.block(f, b.s.statements(f, blockStyle{slashes: true}))
}

func (b *bind) block(f file, statements []statement) {
	for _, st := range statements {
		switch st.name() {
		case "include":
			// Relative to the directory option; in practice always absolute.
			dir := path.Dir(b.s.main)
			b.s.include(st.arg(0).pos(f), includeRule{dir: dir, home: "/etc/bind", here: dir}, st.arg(0).text, b.read)
		case "options":
			b.options(f, st.body)
		case "acl":
			b.acls[st.arg(0).text] = st
		case "controls":
			b.controls = true
			b.inet(f, st, "control", 953)
		case "statistics-channels":
			b.inet(f, st, "statistics", 80)
		}
	}
}

func (b *bind) options(f file, statements []statement) {
	for _, st := range statements {
		switch st.name() {
		case "port":
			if num, ok := b.s.portOf(f, st.arg(0), monban.UDP); ok {
				b.port = num
			}
		case "listen-on", "listen-on-v6":
			b.listens = append(b.listens, bindListen{st, f, st.name() == "listen-on-v6"})
		case "include":
			dir := path.Dir(b.s.main)
			b.s.include(st.arg(0).pos(f), includeRule{dir: dir, home: "/etc/bind", here: dir}, st.arg(0).text,
				func(f file) { b.options(f, b.s.statements(f, blockStyle{slashes: true})) })
		}
	}
}

func (b *bind) inet(f file, st statement, name string, usual uint16) {
	for _, inner := range st.find("inet") {
		b.channels = append(b.channels, bindChannel{inner, f, name, usual})
	}
}

// claim makes the sockets: for every address of the machine that a listen-on
// accepts, one of UDP and one of TCP. There is no wildcard; an address that is
// not here is passed over. Without a controls statement the control channel is
// on 953 of both loopback addresses (measured with 9.18).
func (b *bind) claim() {
	who := b.s.daemon("named", []string{"named"}, "named.service", "bind9.service")
	who.reusePort = monban.On
	for _, v6 := range [...]bool{false, true} {
		own := slices.DeleteFunc(slices.Clone(b.listens), func(l bindListen) bool { return l.v6 != v6 })
		if len(own) == 0 {
			b.everywhere(who, v6)
		}
		for _, l := range own {
			b.listen(who, l)
		}
	}
	who.reusePort = monban.Off
	for _, c := range b.channels {
		b.channel(who, c)
	}
	if !b.controls {
		for _, addr := range [...]netip.Addr{loop4(), loop6()} {
			sock := tcp(addr, 953, monban.Pos{})
			sock.absent, sock.name, sock.tolerates = true, "named control", monban.ToleratesAny
			b.s.claim(who, sock)
		}
	}
	b.s.once()
}

// everywhere is the default: any address of a family.
func (b *bind) everywhere(who asker, v6 bool) {
	for _, addr := range b.addrs() {
		if addr.Is6() == v6 {
			b.sockets(who, netip.AddrPortFrom(addr, b.port), monban.Pos{}, true, true)
		}
	}
}

// addrs are the addresses of the machine; loopback alone when they are not known.
func (b *bind) addrs() []netip.Addr {
	if b.s.place.Addrs != nil {
		return b.s.place.Addrs
	}
	if !b.unknown {
		b.unknown = true
		b.s.gap(monban.Pos{File: b.s.place.shown(b.s.main)}, NotFollowed, "the addresses of this machine")
	}
	return []netip.Addr{loop4(), loop6()}
}

func (b *bind) listen(who asker, l bindListen) {
	port, pos, encrypted := b.port, l.words[0].pos(l.f), false
	pos.Len = 0
	for i, w := range l.words {
		switch {
		case w.is("port") && i+1 < len(l.words):
			num, ok := b.s.portOf(l.f, l.words[i+1], monban.UDP)
			if !ok {
				return
			}
			port, pos = num, l.words[i+1].pos(l.f)
		case w.is("tls"), w.is("http"):
			encrypted = true
		}
	}
	for _, addr := range b.addrs() {
		if addr.Is6() == l.v6 && b.matches(l.statement, addr, 0) == accepts {
			b.sockets(who, netip.AddrPortFrom(addr, port), pos, false, !encrypted)
		}
	}
}

func (b *bind) sockets(who asker, at netip.AddrPort, pos monban.Pos, absent, udp bool) {
	sock := socket{at: at, proto: monban.TCP, pos: pos, absent: absent, tolerates: monban.ToleratesAny}
	b.s.claim(who, sock)
	if udp {
		sock.proto = monban.UDP
		b.s.claim(who, sock)
	}
}

// match is the answer of an address match list; the first element decides.
type match uint8

const (
	passes match = iota
	accepts
	rejects
)

func (b *bind) matches(list statement, addr netip.Addr, depth int) match {
	for _, element := range list.body {
		var m match
		name, negated := "", false
		if len(element.words) > 0 {
			name, negated = strings.CutPrefix(element.words[0].text, "!")
			if name == "" && len(element.words) > 1 { // "! addr"
				name = element.words[1].text
			}
		}
		if element.block && depth < maxDepth {
			m = b.matches(element, addr, depth+1)
		} else {
			m = b.element(name, addr, depth)
		}
		switch {
		case m == accepts && negated, m == rejects:
			return rejects
		case m == accepts:
			return accepts
		}
	}
	return passes
}

func (b *bind) element(name string, addr netip.Addr, depth int) match {
	switch lower(name) {
	case "any", "localhost", "localnets":
		return accepts
	case "none":
		return rejects
	}
	if acl, ok := b.acls[name]; ok && depth < maxDepth {
		return b.matches(acl, addr, depth+1)
	}
	if one, err := netip.ParseAddr(name); err == nil && one == addr {
		return accepts
	}
	if prefix, err := netip.ParsePrefix(name); err == nil && prefix.Contains(addr) {
		return accepts
	}
	return passes
}

// channel is: inet ADDR [port N] [allow {…}] …
func (b *bind) channel(who asker, c bindChannel) {
	port, pos := c.usual, c.words[0].pos(c.f)
	pos.Len = 0
	for i, w := range c.words {
		if w.is("port") && i+1 < len(c.words) {
			num, ok := b.s.portOf(c.f, c.words[i+1], monban.TCP)
			if !ok {
				return
			}
			port, pos = num, c.words[i+1].pos(c.f)
		}
	}
	addr := any4()
	if text := c.arg(0).text; text != "*" {
		found := b.s.hostOf(c.f, c.arg(0), text)
		if found == nil {
			return
		}
		addr = found[0]
	}
	sock := tcp(addr, port, pos)
	sock.name, sock.v6only, sock.tolerates = "named "+c.name, monban.On, monban.ToleratesAny
	b.s.claim(who, sock)
}
