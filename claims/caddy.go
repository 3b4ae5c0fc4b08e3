package claims

import (
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// readCaddyfile reads a Caddyfile and what it imports.
func readCaddyfile(s *scan) {
	c := caddy{s: s, http: 80, https: 443, admin: "localhost:2019", snippets: map[string][]statement{}}
	s.open(monban.Pos{}, s.main, func(f file) { c.top(f, s.statements(f, blockStyle{newlines: true})) })
	c.claim()
}

type caddy struct {
	s           *scan
	http, https uint16
	admin       string
	adminPos    monban.Pos
	redirOff    bool
	noHTTP3     []string // the listeners without it; "" is all
	globalBind  []word
	snippets    map[string][]statement
	sites       []caddySite
	redirects   []caddySite
}

// caddySite is one address of a site.
type caddySite struct {
	at   word
	f    file
	bind []word
	tls  bool // a tls line, other than "tls off"
}

func (c *caddy) top(f file, statements []statement) {
	if len(statements) > 0 && len(statements[0].words) == 0 {
		c.global(f, statements[0].body)
		statements = statements[1:]
	}
	// A file without braces is one site, its first line the addresses.
	if len(statements) > 0 && !slices.ContainsFunc(statements, func(st statement) bool { return st.block && isAddress(st.words) }) &&
		len(statements[0].words) > 0 && !statements[0].block && statements[0].name() != "import" {
		c.site(f, statement{words: statements[0].words, body: statements[1:], block: true})
		return
	}
	for _, st := range statements {
		switch {
		case len(st.words) == 0:
		case st.name() == "import" && !st.block:
			c.include(f, st, c.top)
		case strings.HasPrefix(st.words[0].text, "(") && st.block:
			c.snippets[strings.Trim(st.words[0].text, "()")] = st.body
		case strings.HasPrefix(st.words[0].text, "&("):
		case st.block:
			c.site(f, st)
		default:
			c.s.gap(st.words[0].pos(f), BadSyntax, st.words[0].text)
		}
	}
}

// isAddress reports whether the words before a brace look like a site's.
func isAddress(words []word) bool { return len(words) == 0 || !strings.HasPrefix(words[0].text, "@") }

// include follows import: a snippet's name, or files.
func (c *caddy) include(f file, st statement, read func(file, []statement)) {
	arg := st.arg(0)
	if body, ok := c.snippets[arg.text]; ok {
		if len(c.s.stack) < maxDepth {
			c.s.stack = append(c.s.stack, "("+arg.text+")")
			read(f, body)
			c.s.stack = c.s.stack[:len(c.s.stack)-1]
		}
		return
	}
	c.s.include(arg.pos(f), includeRule{dir: path.Dir(f.name), home: "/etc/caddy", here: path.Dir(c.s.main)}, arg.text,
		func(f file) { read(f, c.s.statements(f, blockStyle{newlines: true})) })
}

func (c *caddy) global(f file, body []statement) {
	for _, st := range body {
		arg := st.arg(0)
		switch st.name() {
		case "http_port", "https_port":
			arg, ok := c.expand(f, arg)
			if !ok {
				continue
			}
			num, ok := c.s.portOf(f, arg, monban.TCP)
			if ok && st.name() == "http_port" {
				c.http = num
			} else if ok {
				c.https = num
			}
		case "admin":
			if arg, ok := c.expand(f, arg); ok {
				c.admin, c.adminPos = arg.text, arg.pos(f)
			}
		case "auto_https":
			c.redirOff = arg.text == "off" || arg.text == "disable_redirects"
		case "default_bind":
			c.globalBind = st.args()
		case "servers":
			for _, inner := range st.body {
				if inner.name() == "protocols" && !slices.ContainsFunc(inner.args(), func(w word) bool { return w.text == "h3" }) {
					c.noHTTP3 = append(c.noHTTP3, arg.text)
				}
			}
		}
	}
}

// site collects the addresses of one site, which stand before its brace,
// separated by commas and blanks.
func (c *caddy) site(f file, st statement) {
	var bind []word
	tls := false
	var look func(f file, body []statement)
	look = func(f file, body []statement) {
		for _, inner := range body {
			switch inner.name() {
			case "bind":
				bind = append(bind, inner.args()...)
			case "tls":
				tls = inner.arg(0).text != "off"
			case "import":
				c.include(f, inner, look)
			}
		}
	}
	look(f, st.body)
	for _, w := range st.words {
		for _, at := range w.split(",") {
			c.sites = append(c.sites, caddySite{at: at, f: f, bind: bind, tls: tls})
		}
	}
}

// claim makes the sockets. The host of an address is what a request asks for,
// and binds nothing. A site that has a certificate is also served by HTTP/3 and
// has a redirect on the port of HTTP at its own addresses, unless some site has
// that port already, whatever its address (hasListenerAddress; measured with 2.6).
func (c *caddy) claim() {
	who := c.s.daemon("caddy", []string{"caddy"}, "caddy.service")
	who.reusePort = monban.On // for a reload without a gap
	if who.uid == 0 {
		who.uid = c.s.user("caddy")
		who.bindService = monban.On // from its unit
		who.program.Units = append(who.program.Units, "caddy-api.service")
	}
	for _, site := range c.sites {
		c.address(who, site)
	}
	if !slices.ContainsFunc(c.s.claims, func(claim monban.Claim) bool { return claim.Bind.Port.Num == c.http }) {
		for _, site := range c.redirects {
			who.name = "caddy " + site.at.text
			pos := site.at.pos(site.f)
			pos.Len = 0
			c.sockets(who, site, c.http, pos, true, false)
		}
	}
	c.adminSocket(who)
	c.s.once()
}

// expand puts in the values of {$NAME} and {$NAME:default}, which Caddy does
// before anything else. It is false where one has no value.
func (c *caddy) expand(f file, w word) (word, bool) {
	text := w.text
	for at := 0; ; {
		from := strings.Index(text[at:], "{$")
		if from < 0 {
			break
		}
		from += at
		end := strings.IndexByte(text[from:], '}')
		if end < 0 {
			break
		}
		name, usual, _ := strings.Cut(text[from+2:from+end], ":")
		value, ok := c.s.place.getenv(name)
		if !ok {
			value = usual
		}
		if value == "" {
			c.s.gap(w.pos(f), Undefined, name)
			return w, false
		}
		text = text[:from] + value + text[from+end+1:]
		at = from + len(value)
	}
	if text != w.text {
		w.text, w.long, w.joined = text, -1, nil // it stands nowhere
	}
	return w, true
}

func (c *caddy) address(who asker, site caddySite) {
	at, ok := c.expand(site.f, site.at)
	if !ok {
		return
	}
	scheme, rest, ok := at.cut("://")
	if !ok {
		scheme, rest = word{}, at
	}
	rest, _, _ = rest.cut("/")
	host, port := hostPort(rest)
	who.name = "caddy " + site.at.text
	num, tls := c.https, scheme.text != "http" // also where auto_https is off (measured)
	pos := site.at.pos(site.f)
	pos.Len = 0
	switch {
	case port.text != "":
		var ok bool
		if num, ok = c.s.portOf(site.f, port, monban.TCP); !ok {
			return
		}
		pos = port.pos(site.f)
		tls = tls && num != c.http && (host != "" || scheme.text == "https") || site.tls
	case scheme.text == "http":
		num = c.http
	case host == "": // ":" alone
		num, tls = c.http, false
	}
	c.sockets(who, site, num, pos, port.text == "", tls)
	if tls && !c.redirOff && host != "" {
		c.redirects = append(c.redirects, site)
	}
}

func (c *caddy) sockets(stream asker, site caddySite, num uint16, pos monban.Pos, absent, tls bool) {
	bind := site.bind
	if len(bind) == 0 {
		bind = c.globalBind
	}
	if len(bind) == 0 {
		bind = []word{{}}
	}
	for _, w := range bind {
		w, ok := c.expand(site.f, w)
		if !ok {
			continue
		}
		host := strings.Trim(strings.TrimPrefix(strings.TrimPrefix(w.text, "tcp4/"), "tcp6/"), "[]")
		if strings.HasPrefix(host, "unix/") || strings.HasPrefix(host, "fd/") {
			continue
		}
		who, addr, v6only := stream, any6(), monban.Off
		if host != "" && host != "::" && host != "0.0.0.0" {
			addrs := c.s.hostOf(site.f, w, host)
			if addrs == nil {
				continue
			}
			addr, v6only = addrs[0], monban.FlagUnknown
		}
		sock := socket{at: netip.AddrPortFrom(addr, num), proto: monban.TCP, v6only: v6only, pos: pos, absent: absent, orIPv4: addr == any6() && host != "::"}
		c.s.claim(who, sock)
		if tls && !slices.Contains(c.noHTTP3, "") && !slices.Contains(c.noHTTP3, net.JoinHostPort(host, strconv.Itoa(int(num)))) {
			sock.proto = monban.UDP
			who.reuseAddr = monban.Off // Go sets it for streams only
			c.s.claim(who, sock)
		}
	}
}

func (c *caddy) adminSocket(who asker) {
	if c.admin == "off" || strings.HasPrefix(c.admin, "unix/") {
		return
	}
	host, port := hostPort(word{text: c.admin})
	num, err := strconv.ParseUint(port.text, 10, 16)
	if err != nil {
		c.s.gap(c.adminPos, BadPort, c.admin)
		return
	}
	who.name = "caddy admin"
	addr := any6()
	if host != "" && host != "0.0.0.0" {
		addrs := c.s.names.host(host)
		if len(addrs) == 0 {
			c.s.gap(c.adminPos, Unresolved, host)
			return
		}
		addr = addrs[0]
	}
	pos := c.adminPos
	pos.Len = 0
	c.s.claim(who, socket{at: netip.AddrPortFrom(addr, uint16(num)), proto: monban.TCP, v6only: monban.Off, pos: pos, absent: c.adminPos.File == ""})
}
