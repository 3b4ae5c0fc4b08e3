package conflict

import (
	"strings"
	"unicode/utf8"

	"github.com/monban-dev/monban"
)

// cutProto cuts "/tcp" and the like off a token.
func cutProto(word string) (string, monban.Proto) {
	i := strings.LastIndexByte(word, '/')
	if i < 0 {
		return word, monban.AnyProto
	}
	if p := protoWord(strings.TrimRight(word[i+1:], ".:]")); p != monban.AnyProto {
		if n, width := leadingNumber(word[:i]); width == i {
			_ = n
			return ":" + word[:i], p // "80/tcp"
		}
		return word[:i], p
	}
	return word, monban.AnyProto
}

func protoWord(word string) monban.Proto {
	switch word {
	case "tcp", "tcp4", "tcp6", "http", "https", "ws", "wss", "redis", "mysql", "postgres", "postgresql", "amqp", "mongodb":
		return monban.TCP
	case "udp", "udp4", "udp6":
		return monban.UDP
	case "sctp":
		return monban.SCTP
	case "dccp":
		return monban.DCCP
	}
	return monban.AnyProto
}

// parseTuple reads Python's ('0.0.0.0', 8000): t is the address inside the
// quotes, or the empty string that stands for every address.
func parseTuple(s string, t token) (endpoint, bool) {
	n, width := leadingNumber(t.text)
	if width == 0 || width != len(t.text) {
		return endpoint{}, false
	}
	left := strings.TrimRight(s[max(0, t.at-260):t.at], " ") // the longest host name has 253 bytes
	left, ok := strings.CutSuffix(left, ",")
	if !ok || left == "" {
		return endpoint{}, false
	}
	if i := strings.LastIndexAny(left, "( "); i > 0 && (strings.HasSuffix(left[:i], "bind") || strings.HasSuffix(left[:i], "listen")) {
		p := endpoint{num: n, hasPort: true} // Dovecot: bind(0.0.0.0, 143)
		return p, p.setHost(left[i+1:], false)
	}
	q := left[len(left)-1]
	open := strings.LastIndexByte(left[:len(left)-1], q)
	if q != '\'' && q != '"' || open < 1 || left[open-1] != '(' {
		return endpoint{}, false
	}
	p := endpoint{num: n, hasPort: true}
	return p, p.setHost(lowerASCII(left[open+1:len(left)-1]), true)
}

// portWord reads a number that a word makes a port: "port 80", "port: 80",
// "PORT=80", "ports 80", "http-nio-8080", "ポート番号 80", "80番ポート".
func portWord(s string, t token) (endpoint, bool) {
	word := lowerASCII(t.text)
	if n, ok := connectorPort(word); ok {
		return endpoint{num: n, hasPort: true, proto: monban.TCP}, true
	}
	digits := strings.TrimRight(strings.TrimLeft(word, "[:#"), ".:]")
	if i := strings.LastIndexAny(digits, ":#"); i >= 0 && endsWithPort(digits[:i]) {
		digits = digits[i+1:] // port:80
	}
	n, ok, isRange := portDigits(digits)
	if !ok {
		return endpoint{}, false
	}
	end := t.at + len(t.text)
	if after := strings.TrimLeft(s[end:], " "); strings.HasPrefix(after, "番ポート") || strings.HasPrefix(after, "番のポート") ||
		strings.HasPrefix(after, "号端口") {
		return endpoint{num: n, hasPort: true}, true
	}
	start := t.at + strings.LastIndex(word, digits)
	if !portBefore(s[:start]) {
		return endpoint{}, false
	}
	return endpoint{num: n, hasPort: true, ranged: isRange}, true
}

// portBefore reports whether s ends with the word port and nothing but
// punctuation and a filler after it.
func portBefore(s string) bool {
	s = lowerASCII(s[max(0, len(s)-96):])
	for i := 0; i < 6; i++ {
		if hasSuffix(strings.TrimRight(s, " [("), "bind to", "bound to", "binding to", "listen on", "listening on", "{port,") {
			return true
		}
		trimmed := strings.TrimRight(s, " \t:='\"[(#<*`.")
		for _, filler := range []string{"番号", "：", "「", "は", " number", "port(s)", " no", " nr", " numéro", " tcp", " udp", " tcp/ip", "/tcp", "/udp",
			" to", " already in use", " in use", " already bound"} {
			if filler == "port(s)" {
				trimmed = replaceSuffix(trimmed, filler, "port")
			} else {
				trimmed = strings.TrimSuffix(trimmed, filler)
			}
		}
		if trimmed == s {
			break
		}
		s = trimmed
	}
	return endsWithPort(s)
}

func hasSuffix(s string, ends ...string) bool {
	for _, e := range ends {
		if strings.HasSuffix(s, e) {
			return true
		}
	}
	return false
}

// hasPortWord reports whether low speaks of a port by that word.
func hasPortWord(low string) bool {
	if hasAny(low, []string{"ポート", "端口", "puerto", "포트"}) {
		return true
	}
	for from := 0; ; {
		i := strings.Index(low[from:], "port")
		if i < 0 {
			return false
		}
		from += i + len("port")
		if endsWithPort(low[max(0, from-24):from]) {
			return true
		}
	}
}

func replaceSuffix(s, old, new string) string {
	if t, ok := strings.CutSuffix(s, old); ok {
		return t + new
	}
	return s
}

// endsWithPort reports whether s, in lower case, ends with the word port, alone
// or as the end of a setting's name, and not of words like support.
func endsWithPort(s string) bool {
	if hasSuffix(s, "ポート", "端口", "puerto", "포트") {
		return true
	}
	s = strings.TrimSuffix(s, "s")
	s, ok := strings.CutSuffix(s, "port")
	if !ok {
		return false
	}
	if s == "" {
		return true
	}
	if r, _ := utf8.DecodeLastRuneInString(s); !('a' <= r && r <= 'z') {
		return true
	}
	return hasSuffix(s, "host", "node", "listen", "http", "https", "server", "local", "bind", "tcp", "udp", "container",
		"published", "client")
}

// connectorPort reads the names of Tomcat's connectors: "http-nio-8080",
// "HTTP/1.1-8080", "ajp-nio-127.0.0.1-8009".
func connectorPort(word string) (int, bool) {
	word = strings.Trim(word, "[]")
	i := strings.LastIndexByte(word, '-')
	if i < 0 || !hasAny(word[:i+1], []string{"-nio-", "-nio2-", "-bio-", "-apr-", "http/1.1-", "ajp/1.3-"}) {
		return 0, false
	}
	n, width := leadingNumber(word[i+1:])
	return n, width > 0 && width == len(word)-i-1
}

// leadingNumber reads the decimal number that s starts with: at most six
// digits, for a longer one is no port, not even a wrong one.
func leadingNumber(s string) (n, width int) {
	for width < len(s) && '0' <= s[width] && s[width] <= '9' {
		if width == 6 {
			return 0, 0
		}
		n = n*10 + int(s[width]-'0')
		width++
	}
	return n, width
}

func number(s string) (int, bool) {
	n, width := leadingNumber(s)
	return n, width > 0
}

// oddNumber finds the number that somebody took for a port: the first of more
// than four digits.
func oddNumber(s string) (int, bool) {
	for _, t := range tokensOf(s) {
		if n, width := leadingNumber(strings.TrimLeft(t.text, "[:-")); n > 65536 && width >= 5 {
			return n, true
		}
	}
	return 0, false
}
