package conflict

import (
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
)

// endpoint is an address and a port as a text writes them, or half of one.
type endpoint struct {
	addr    netip.Addr
	host    string
	num     int // may be more than 65535: that, too, is something to explain
	hasPort bool
	proto   monban.Proto
	at      int  // offset in the line
	ranged  bool // the first of a range of ports
}

func (p endpoint) hasAddr() bool { return p.addr.IsValid() || p.host != "" }

// sameAs reports whether p and q can be one place: equal ports, and addresses
// that do not contradict each other.
func (p endpoint) sameAs(q endpoint) bool {
	if p.num != q.num {
		return false
	}
	return !p.hasAddr() || !q.hasAddr() || p.host == "*" || q.host == "*" || p.addr == q.addr && p.host == q.host
}

// take fills in the half that p lacks.
func (p *endpoint) take(q endpoint) {
	if !p.hasPort && q.hasPort {
		p.num, p.hasPort = q.num, true
	}
	if !p.hasAddr() || p.host == "*" && q.addr.IsValid() {
		if q.hasAddr() && (!q.hasPort || q.num == p.num) {
			p.addr, p.host = q.addr, q.host
		}
	}
}

// endpointOf picks the place that the message on l is about: the address and port
// that stand together, else the word port with a number and a lone address.
func endpointOf(l line, s sign) endpoint {
	var best endpoint
	for _, p := range endpointsOf(l.plain) {
		switch {
		case !best.hasPort && p.hasPort && best.hasAddr() && !p.hasAddr():
			p.addr, p.host = best.addr, best.host // "on 0.0.0.0, port 21"
			best = p
		case !best.hasPort && p.hasPort:
			best = p
		case best.hasPort && !best.hasAddr() && p.hasAddr() && (!p.hasPort || p.num == best.num):
			best.addr, best.host = p.addr, p.host // "port 22 on 0.0.0.0"
		case !best.hasPort && !best.hasAddr():
			best = p
		}
	}
	if s.cause == D11 && !best.hasPort {
		if _, rest, ok := strings.Cut(l.low, "invalid value: "); ok {
			best.num, best.hasPort = number(rest)
		}
	}
	if _, rest, ok := strings.Cut(l.low, " src="); ok && s.cause == L11 {
		best = endpoint{}
		best.num, best.hasPort = number(rest)
	}
	if s.cause == L25 && s.errno == "EINVAL" && !best.hasPort {
		best.num, best.hasPort = oddNumber(l.low[s.end:])
	}
	return best
}

// endpointsOf lists every place in s, in order, and leaves out what only looks
// like one: times, versions, pids, line numbers, stack frames.
func endpointsOf(s string) []endpoint {
	var list []endpoint
	prev := ""
	for _, t := range tokensOf(s) {
		word := lowerASCII(t.text)
		p, ok := endpoint{}, false
		if !isValue(s, t) {
			p, ok = parseEndpoint(word, prev)
		}
		if !ok {
			if p, ok = parseTuple(s, t); !ok {
				p, ok = portWord(s, t)
			}
		}
		if ok {
			p.at = t.at
			list = append(list, p)
		}
		prev = word
		if len(list) == maxEndpoints {
			break
		}
	}
	return list
}

// maxEndpoints bounds what is read from one line.
const maxEndpoints = 16

// token is a run of bytes between spaces, quotes and brackets.
type token struct {
	text string
	at   int
}

// isValue reports whether t is the value of a key, {"id":20568} or ポート:8080:
// not an address that begins with a colon, ":8080".
func isValue(s string, t token) bool {
	if t.text[0] != ':' || t.at < 2 {
		return false
	}
	quoted := s[t.at-1] == '"' || s[t.at-1] == '\''
	return quoted && !isDelim(s[t.at-2]) || s[t.at-1] >= 0x80 && endsWithPort(s[:t.at])
}

// isDelim reports whether c ends a token. Square brackets, colons, slashes and
// the like belong to addresses and stay.
func isDelim(c byte) bool {
	return c <= ' ' || c >= 0x80 || strings.IndexByte("\"'`(){}<>,;=|!?&+\\", c) >= 0
}

func tokensOf(s string) []token {
	var list []token
	start := -1
	for i := 0; i <= len(s); i++ {
		if i == len(s) || isDelim(s[i]) && !plusHost(s, i) {
			if start >= 0 {
				list = append(list, token{s[start:i], start})
			}
			start = -1
		} else if start < 0 {
			start = i
		}
	}
	return list
}

// plusHost reports whether s[i] is the strong wildcard of http.sys: http://+:80/.
func plusHost(s string, i int) bool {
	return strings.HasPrefix(s[i:], "+:") && strings.HasSuffix(s[:i], "://")
}

// parseEndpoint reads one token that has an address in it. word is in lower case;
// prev is the token before it.
func parseEndpoint(word, prev string) (endpoint, bool) {
	var p endpoint
	if scheme, rest, ok := strings.Cut(word, "://"); ok {
		if i := strings.LastIndexByte(rest, '@'); i >= 0 && !strings.ContainsAny(rest[:i], "/#") {
			rest = rest[i+1:] // user information
		}
		host, _, _ := strings.Cut(rest, "/")
		p, ok = hostPort(strings.TrimRight(host, ".:,"), true)
		p.proto = protoWord(strings.TrimLeft(scheme, "["))
		return p, ok && p.hasPort
	}
	word, p.proto = cutProto(word)
	if i := strings.LastIndexByte(word, '/'); i >= 0 {
		word = word[i+1:] // Java: "localhost/127.0.0.1:8080"
	}
	for {
		trimmed := strings.TrimRight(word, ".")
		if strings.HasSuffix(trimmed, ":") && !strings.HasSuffix(trimmed, "::") {
			trimmed = trimmed[:len(trimmed)-1]
		}
		if strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]") {
			if inner := trimmed[1 : len(trimmed)-1]; strings.Contains(inner, ".") || strings.Contains(inner, "]") || strings.Contains(inner, ":") {
				trimmed = inner
			}
		}
		if opens := strings.Count(trimmed, "["); opens != strings.Count(trimmed, "]") {
			trimmed = strings.TrimPrefix(trimmed, "[")
			if opens == 0 {
				trimmed = strings.TrimSuffix(trimmed, "]")
			}
		}
		if trimmed == word {
			break
		}
		word = trimmed
	}
	proto := p.proto
	p, ok := hostPort(word, leadsToHost(prev))
	p.proto = proto
	if ok && !p.hasPort && strings.HasPrefix(prev, "version") {
		return endpoint{}, false
	}
	return p, ok
}

// hostPort reads "addr", "addr:port", "[addr]:port", ":port", "*:port",
// "addr#port", "addr@port" and Node's "::1:3000". A name instead of an address
// counts if named is set, or if it is localhost.
func hostPort(s string, named bool) (endpoint, bool) {
	if s == "" {
		return endpoint{}, false
	}
	if addr, err := netip.ParseAddr(s); err == nil && strings.Count(s, ":") != 1 {
		if p, ok := gluedPort(s); ok {
			return p, true
		}
		return endpoint{addr: addr}, strings.Contains(s, ":") || !softVersion(addr)
	}
	sep := strings.LastIndexAny(s, ":#@")
	if sep < 0 {
		return endpoint{}, false
	}
	host, digits := s[:sep], s[sep+1:]
	var p endpoint
	if p.num, p.hasPort, p.ranged = portDigits(digits); !p.hasPort {
		return endpoint{}, false
	}
	if s[sep] != ':' {
		addr, err := netip.ParseAddr(host)
		p.addr = addr
		return p, err == nil
	}
	if ok := p.setHost(host, named); ok {
		return p, true
	}
	return dockerPair(s)
}

// setHost reads what stands before the colon.
func (p *endpoint) setHost(host string, named bool) bool {
	inner := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(inner); err == nil {
		p.addr = addr
		return true
	}
	switch host {
	case "", "*", "+", "null", "undefined":
		p.host = "*"
		if host == "null" || host == "undefined" {
			p.host = ""
		}
		return true
	case "localhost":
		p.host = host
		return true
	}
	if named && isHostName(host) {
		p.host = host
		return true
	}
	return false
}

// gluedPort reads an IPv6 address with a port glued to it, as Node prints it:
// ":::3000", "::1:3000". Of an ambiguous text only these two prefixes count: no
// interface is called ::3000.
func gluedPort(s string) (endpoint, bool) {
	for _, host := range []string{"::1", "::"} {
		rest, ok := strings.CutPrefix(s, host+":")
		if !ok {
			continue
		}
		if n, ok, _ := portDigits(rest); ok && len(rest) > 1 {
			return endpoint{addr: netip.MustParseAddr(host), num: n, hasPort: true}, true
		}
	}
	return endpoint{}, false
}

// dockerPair reads the host's half of "0.0.0.0:8080:172.17.0.2:80".
func dockerPair(s string) (endpoint, bool) {
	i := strings.IndexByte(s, ':')
	addr, err := netip.ParseAddr(s[:max(i, 0)])
	if err != nil {
		return endpoint{}, false
	}
	n, width := leadingNumber(s[i+1:])
	if width == 0 || !strings.HasPrefix(s[i+1+width:], ":") {
		return endpoint{}, false
	}
	return endpoint{addr: addr, num: n, hasPort: true}, true
}

// portDigits reads "80", "[80]", "9200-9300" and "[9200-9300]".
func portDigits(s string) (n int, ok, isRange bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	n, width := leadingNumber(s)
	if width == 0 {
		return 0, false, false
	}
	if s = s[width:]; s == "" {
		return n, true, false
	}
	last, ok := strings.CutPrefix(s, "-")
	if _, width = leadingNumber(last); !ok || width == 0 || width != len(last) {
		return 0, false, false
	}
	return n, true, true
}

// softVersion reports whether an IPv4 address is more likely a version: 0.4.9.11.
func softVersion(a netip.Addr) bool { return a.Is4() && a.As4()[0] == 0 && !a.IsUnspecified() }

// isHostName reports whether s can be the name of a host: letters among its
// bytes, and not the name of a source file, whose number is that of a line.
func isHostName(s string) bool {
	letter := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z':
			letter = true
		case '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	if !letter {
		return false
	}
	switch s {
	case "pid", "tid", "line", "code", "errno", "port", "id":
		return false
	}
	switch s[strings.LastIndexByte(s, '.')+1:] {
	case "go", "js", "mjs", "cjs", "ts", "tsx", "jsx", "py", "rb", "java", "kt", "scala", "clj", "rs", "c", "cc", "cpp",
		"h", "php", "cs", "ex", "exs", "erl", "conf", "cfg", "cnf", "ini", "yml", "yaml", "xml", "json", "toml", "lua", "pl":
		return strings.IndexByte(s, '.') < 0 && len(s) > 4
	}
	return true
}

// leadsToHost reports whether a word is one that an address follows.
func leadsToHost(prev string) bool {
	switch strings.TrimRight(prev, ":") {
	case "on", "to", "for", "address", "listen", "listening", "bind", "bound", "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6",
		"connect", "host", "binding", "socket", "host:":
		return true
	}
	return false
}
