package claims

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readLighttpd reads lighttpd.conf and what it includes.
func readLighttpd(s *scan) {
	l := lighttpd{s: s, vars: map[string]string{}}
	s.open(monban.Pos{}, s.main, l.read)
	l.claim()
}

type lighttpd struct {
	s       *scan
	vars    map[string]string
	port    located
	bind    *located
	v6      bool
	tls     bool
	sockets []located
	both    bool // Debian's script has been included
	depth   int  // of blocks
	v6only  monban.Flag
}

func (l *lighttpd) read(f file) {
	for row := range lines(f.data, lineStyle{comment: "#", inline: "#"}) {
		if !l.conditions(f, row) && l.depth == 0 {
			l.setting(f, row)
		}
		l.depth = max(0, l.depth+strings.Count(row.text, "{")-strings.Count(row.text, "}"))
	}
}

// conditions finds the addresses in: $SERVER["socket"] == "addr:port" {
// There may be several in one line, behind "else".
func (l *lighttpd) conditions(f file, row line) (any bool) {
	for at := 0; ; {
		from := strings.Index(row.text[at:], `$SERVER["socket"]`)
		if from < 0 {
			return any
		}
		at += from + len(`$SERVER["socket"]`)
		rest := row.text[at:]
		value, equal := strings.CutPrefix(strings.TrimLeft(rest, blanks), "==")
		value = strings.TrimLeft(value, blanks)
		if !equal {
			continue
		}
		any = true
		start := len(row.text) - len(value) + 1
		end := -1
		if strings.HasPrefix(value, `"`) {
			end = strings.IndexByte(row.text[start:], '"')
		}
		if end < 0 || strings.HasPrefix(strings.TrimLeft(row.text[start+end+1:], blanks), "+") {
			l.s.gap(row.pos(f), NotFollowed, row.text)
			continue
		}
		socket := row.word(start, start+end)
		l.sockets = append(l.sockets, located{text: socket.text, pos: socket.pos(f)})
	}
}

func (l *lighttpd) setting(f file, row line) {
	key, value := row.keyValue('=')
	for _, sign := range [...]string{":=", "="} { // "key := value" replaces
		if strings.HasPrefix(value.text, sign) {
			value = value.sub(len(sign), len(value.text)).trim()
		}
	}
	text, known := l.evaluate(value.text)
	at := located{text: text, pos: value.unquote().pos(f)}
	if text != value.unquote().text { // computed: it stands nowhere
		at.pos.Len = 0
	}
	switch name := key.text; name {
	case "server.port", "server.bind", "server.use-ipv6", "ssl.engine", "server.v4mapped", "server.set-v6only":
		if !known {
			l.s.gap(value.pos(f), NotFollowed, row.text)
			return
		}
		on := text == "enable"
		switch name {
		case "server.port":
			l.port = at
		case "server.bind":
			l.bind = &at
		case "server.use-ipv6":
			l.v6 = on
		case "ssl.engine":
			l.tls = on
		case "server.set-v6only":
			l.v6only = monban.FlagOf(on)
		}
	case "include":
		if !known {
			l.s.gap(value.pos(f), NotFollowed, row.text)
			return
		}
		dir := path.Dir(l.s.main)
		l.s.include(at.pos, includeRule{dir: dir, home: "/etc/lighttpd", here: dir}, text, l.read)
	case "include_shell":
		l.script(value.pos(f), row.text)
	default:
		if strings.HasPrefix(name, "var.") && known {
			l.vars[name], l.vars[name[len("var."):]] = text, text
		}
	}
}

// script knows the scripts that Debian's configuration includes; no script is
// ever run.
func (l *lighttpd) script(pos monban.Pos, text string) {
	switch {
	case strings.Contains(text, "/create-mime.conf.pl"):
	case strings.Contains(text, "/use-ipv6.pl"):
		l.both = true
	default:
		l.s.gap(pos, NotFollowed, text)
	}
}

// evaluate reads strings and numbers joined by "+", with variables. Numbers
// alone are added.
func (l *lighttpd) evaluate(text string) (string, bool) {
	var b strings.Builder
	sum, numbers := 0, true
	for _, piece := range strings.Split(text, "+") {
		piece = strings.TrimSpace(piece)
		value, ok := l.vars[piece]
		switch {
		case len(piece) > 1 && piece[0] == '"' && piece[len(piece)-1] == '"':
			value, numbers = piece[1:len(piece)-1], false
		case digits(piece):
			value = piece
		case !ok:
			return "", false
		}
		b.WriteString(value)
		n, isNumber := number(value)
		sum += n
		numbers = numbers && isNumber
	}
	if numbers {
		return strconv.Itoa(sum), true
	}
	return b.String(), true
}

// claim makes the sockets: the server's own, and one for each condition on
// another. IPv6 sockets are IPv6 only.
func (l *lighttpd) claim() {
	who := l.s.daemon("lighttpd", []string{"lighttpd", "lighttpd-angel"}, "lighttpd.service")
	own := located{text: "80", pos: l.port.pos}
	if l.tls {
		own.text = "443"
	}
	absent := l.port.text == ""
	if !absent {
		own.text = l.port.text
	}
	host := ""
	if l.bind != nil {
		host = l.bind.text
	}
	l.socket(who, host, own, absent, monban.ToleratesNothing)
	if l.both {
		l.socket(who, "[::]", own, absent, monban.ToleratesAddress)
	}
	for _, sock := range l.sockets {
		host, port := hostPort(word{text: sock.text, line: sock.pos.Line, col: sock.pos.Col})
		if port.text == "" {
			sock.pos.Len = 0 // the port is the server's own
			l.socket(who, host, located{text: own.text, pos: sock.pos}, true, monban.ToleratesNothing)
			continue
		}
		at := located{text: port.text, pos: sock.pos}
		at.pos.Col, at.pos.Len = port.col, len(port.text)
		l.socket(who, host, at, false, monban.ToleratesNothing)
	}
	l.s.once()
}

func (l *lighttpd) socket(who asker, host string, port located, absent bool, tolerates monban.Tolerance) {
	if strings.HasPrefix(host, "/") {
		return
	}
	num, err := monban.ParsePort(port.text)
	if err != nil {
		l.s.gap(port.pos, BadPort, port.text)
		return
	}
	addrs := []netip.Addr{any4()}
	switch {
	case (host == "" || host == "*") && l.v6:
		addrs[0] = any6()
	case host != "" && host != "*":
		if addrs = l.s.names.host(host); len(addrs) == 0 {
			l.s.gap(port.pos, Unresolved, host)
			return
		}
	}
	sock := tcp(addrs[0], num.Num, port.pos)
	sock.v6only, sock.absent, sock.tolerates = monban.On, absent, tolerates
	if l.v6only == monban.Off {
		sock.v6only = monban.Off
	}
	l.s.claim(who, sock)
}
