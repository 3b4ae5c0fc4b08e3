package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readDovecot reads dovecot.conf and what it includes: the 2.x language of one
// setting or brace a line.
func readDovecot(s *scan) {
	d := dovecot{s: s, listen: []string{"*", "::"}, ssl: true, listeners: dovecotListeners()}
	s.open(monban.Pos{}, s.main, func(f file) { d.read(f, nil) })
	d.claim()
}

type dovecot struct {
	s         *scan
	protocols []string
	protoPos  monban.Pos
	listen    []string
	ssl       bool
	listeners []dovecotListener
}

// dovecotListener is an inet_listener of a service.
type dovecotListener struct {
	service, name string
	protocol      string // the one that must be on; "" is none
	port          located
	address       *located
	ssl           bool
	absent        bool
}

// dovecotListeners are those that exist without any configuration (the
// *-login-settings.c of Dovecot 2.3).
func dovecotListeners() []dovecotListener {
	l := func(service, name, protocol, port string, ssl bool) dovecotListener {
		return dovecotListener{service: service, name: name, protocol: protocol, port: located{text: port}, ssl: ssl, absent: true}
	}
	return []dovecotListener{
		l("imap-login", "imap", "imap", "143", false), l("imap-login", "imaps", "imap", "993", true),
		l("pop3-login", "pop3", "pop3", "110", false), l("pop3-login", "pop3s", "pop3", "995", true),
		l("submission-login", "submission", "submission", "587", false),
		l("submission-login", "submissions", "submission", "465", true),
		l("managesieve-login", "sieve", "sieve", "4190", false),
	}
}

// read reads a file; sections are the blocks open around its include line.
func (d *dovecot) read(f file, sections []string) {
	for l := range lines(f.data, lineStyle{comment: "#", inline: "#", joined: true, apart: true}) {
		key, value := l.keyValue('=')
		switch {
		case l.text == "}":
			if len(sections) > 0 {
				sections = sections[:len(sections)-1]
			}
		case strings.HasSuffix(l.text, "{"):
			sections = d.block(f, append(slices.Clip(sections), strings.TrimSpace(strings.TrimSuffix(l.text, "{"))))
		case key.text == "!include" || key.text == "!include_try":
			rule := includeRule{dir: path.Dir(f.name), home: "/etc/dovecot", here: path.Dir(d.s.main), optional: key.text == "!include_try"}
			inside := slices.Clone(sections)
			d.s.include(value.pos(f), rule, value.text, func(f file) { d.read(f, inside) })
		default:
			d.setting(f, sections, lower(key.text), value)
		}
	}
}

// block is called with the sections, of which the last has just been opened,
// and makes a listener that is not known yet.
func (d *dovecot) block(f file, sections []string) []string {
	// "inet_listener imap { port = 0 }" on one line.
	last := sections[len(sections)-1]
	if name, ok := strings.CutPrefix(last, "inet_listener"); ok && len(sections) == 2 {
		service := strings.TrimSpace(strings.TrimPrefix(sections[0], "service"))
		d.find(service, strings.TrimSpace(name))
	}
	return sections
}

// find returns a listener, which is made when there is none.
func (d *dovecot) find(service, name string) *dovecotListener {
	for i := range d.listeners {
		if d.listeners[i].service == service && d.listeners[i].name == name {
			return &d.listeners[i]
		}
	}
	d.listeners = append(d.listeners, dovecotListener{service: service, name: name, protocol: protocolOf(service), port: located{text: "0"}})
	return &d.listeners[len(d.listeners)-1]
}

// protocolOf returns the protocol that a service belongs to, "" for those that
// always run.
func protocolOf(service string) string {
	switch service {
	case "imap-login", "imap":
		return "imap"
	case "pop3-login", "pop3":
		return "pop3"
	case "submission-login", "submission":
		return "submission"
	case "managesieve-login", "managesieve":
		return "sieve"
	case "lmtp":
		return "lmtp"
	}
	return ""
}

func (d *dovecot) setting(f file, sections []string, key string, value word) {
	value = value.unquote()
	at := located{text: value.text, pos: value.pos(f)}
	switch {
	case len(sections) == 0 && key == "protocols":
		text := strings.ReplaceAll(at.text, "$protocols", strings.Join(d.protocols, " "))
		d.protocols, d.protoPos = strings.Fields(text), at.pos
	case len(sections) == 0 && key == "listen":
		d.listen = strings.FieldsFunc(at.text, func(r rune) bool { return r == ',' || r == ' ' })
	case len(sections) == 0 && key == "ssl":
		d.ssl = at.text != "no"
	case len(sections) == 2 && strings.HasPrefix(sections[1], "inet_listener"):
		l := d.find(strings.TrimSpace(strings.TrimPrefix(sections[0], "service")),
			strings.TrimSpace(strings.TrimPrefix(sections[1], "inet_listener")))
		switch key {
		case "port":
			l.port, l.absent = at, false
		case "address":
			l.address = &at
		case "ssl":
			l.ssl, _ = yesNo(at.text)
		}
	}
}

// claim makes the sockets of the listeners whose protocol is on. IPv6 sockets
// are IPv6 only; those with TLS are left out where ssl is "no".
func (d *dovecot) claim() {
	who := d.s.daemon("dovecot", []string{"dovecot"}, "dovecot.service", "dovecot.socket")
	for _, l := range d.listeners {
		if l.protocol != "" && !slices.Contains(d.protocols, l.protocol) || l.ssl && !d.ssl {
			continue
		}
		num, err := monban.ParsePort(l.port.text)
		if err != nil {
			d.s.gap(l.port.pos, BadPort, l.port.text)
			continue
		}
		if num.Num == 0 {
			continue
		}
		hosts := d.listen
		if l.address != nil {
			hosts = strings.FieldsFunc(l.address.text, func(r rune) bool { return r == ',' || r == ' ' })
		}
		who.name = "dovecot " + l.name
		pos := l.port.pos
		if l.absent {
			pos = d.protoPos
			pos.Len = 0
		}
		for _, host := range hosts {
			d.socket(who, host, num.Num, pos, l)
		}
	}
}

func (d *dovecot) socket(who asker, host string, port uint16, pos monban.Pos, l dovecotListener) {
	var addrs []netip.Addr
	switch host {
	case "*":
		addrs = []netip.Addr{any4()}
	default:
		if addrs = d.s.names.host(host); len(addrs) == 0 {
			d.s.gap(pos, Unresolved, host)
		}
	}
	for _, addr := range addrs {
		sock := tcp(addr, port, pos)
		sock.v6only, sock.absent = monban.On, l.absent
		if addr == any6() {
			sock.tolerates = monban.ToleratesAddress
		}
		d.s.claim(who, sock)
	}
}
