package identify

import (
	"bytes"
	"net"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// httpQuestions: RFC 9112.
func httpQuestions() []signature {
	return []signature{{
		name: "http",
		ports: []uint16{80, 8080, 8000, 8888, 5000, 3000, 631, 2375, 2379, 9090, 9200, 8086, 3128, 8118, 8008, 8081,
			443, 8443, 2376, 6443, 10250, 10255, 9093, 9091, 8222, 6081, 5601, 8500, 15672, 5984, 8983, 9000, 7474},
		ask:  func(q question) []byte { return httpGet(q, "/") },
		read: readHTTP, talk: talkHTTP,
		resembles: func(said []byte) bool { return bytes.HasPrefix(said, []byte("HTTP/1.")) },
	}}
}

// httpGet is a request that asks for one answer and the end.
func httpGet(q question, path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + q.authority() + "\r\nUser-Agent: monban\r\nAccept: */*\r\nConnection: close\r\n\r\n")
}

// authority is the target as a URL has it.
func (q question) authority() string {
	return net.JoinHostPort(q.target.Addr().WithZone("").String(), strconv.Itoa(int(q.target.Port())))
}

// An httpAnswer is the head of an HTTP answer and the beginning of its body.
type httpAnswer struct {
	proto  string // "HTTP/1.1", "RTSP/1.0", "SIP/2.0"
	status int
	reason string
	header []httpField
	body   []byte
}

type httpField struct{ name, value string } // name is in lower case

// get returns a field's value, or "".
func (a *httpAnswer) get(name string) string {
	for _, f := range a.header {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// maxHead is how long the head of an answer may be.
const maxHead = 16 << 10

// parseHTTP reads an answer of HTTP, or of a protocol with the same form of
// head, RFC 9112 section 4. It is more while the head has no end.
func parseHTTP(said []byte, protocol string) (httpAnswer, match) {
	var a httpAnswer
	if m := begins(said, protocol+"/"); m != yes {
		return a, m
	}
	line, m := firstLine(said)
	if m != yes {
		return a, m
	}
	version, rest, _ := strings.Cut(line, " ")
	number, reason, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(number)
	digits := strings.TrimPrefix(version, protocol+"/")
	if err != nil || len(number) != 3 || status < 100 || len(digits) != 3 || !isDigit(digits[0]) || digits[1] != '.' || !isDigit(digits[2]) {
		return a, no
	}
	a.proto, a.status, a.reason = version, status, reason
	head, body, ok := cutHead(said)
	if !ok {
		if len(said) > maxHead {
			return a, no
		}
		return a, more
	}
	if !printable(head) {
		return a, no
	}
	a.body = body
	for field := range bytes.Lines(head[bytes.IndexByte(head, '\n')+1:]) {
		name, value, ok := bytes.Cut(bytes.TrimRight(field, "\r\n"), []byte(":"))
		if ok {
			a.header = append(a.header, httpField{strings.ToLower(string(name)), string(bytes.TrimSpace(value))})
		}
	}
	return a, yes
}

// cutHead splits an answer at the first empty line.
func cutHead(said []byte) (head, body []byte, ok bool) {
	for at := 0; ; {
		i := bytes.IndexByte(said[at:], '\n')
		if i < 0 {
			return nil, nil, false
		}
		line := said[at : at+i]
		at += i + 1
		if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
			return said[:at], said[at:], true
		}
	}
}

// readHTTP takes an answer whose head is whole. Some servers of other protocols
// answer a browser in HTTP to tell its user that he is wrong.
func readHTTP(_ question, said []byte) (monban.Service, match) {
	a, m := parseHTTP(said, "HTTP")
	if m != yes {
		return none(m)
	}
	if bytes.Contains(a.body, []byte("access MongoDB over HTTP")) || strings.Contains(a.reason, "Tor is not an HTTP Proxy") {
		return none(no)
	}
	s := is("http", said[:len(said)-len(a.body)])
	s.Product, s.Version = httpServer(a.get("server"))
	if a.reason == privoxyRefusal {
		s.Product = "Privoxy"
	}
	if isProxy(&a) {
		s.Protocol = "http-proxy"
	}
	return s, yes
}

// httpServer reads a Server field: "nginx/1.22.1", "CUPS/2.4 IPP/2.1",
// "Apache/2.4.62 (Debian)", "Icecast 2.4.4", "Jetty(9.4.50.v20221201)",
// "Python/3.11 aiohttp/3.8.4".
func httpServer(field string) (product, version string) {
	word, rest, _ := strings.Cut(field, " ")
	if language, _, ok := strings.Cut(word, "/"); ok && (language == "Python" || language == "CPython") && strings.Contains(rest, "/") {
		return httpServer(rest) // what runs, and then what serves
	}
	if product, version, ok := strings.Cut(word, "/"); ok {
		return product, leadingVersion(version)
	}
	if product, version, ok := strings.Cut(word, "("); ok && product != "" && leadingVersion(version) != "" {
		return product, leadingVersion(version)
	}
	if v := leadingVersion(rest); v != "" && v == rest {
		return word, v
	}
	return field, ""
}

// privoxyRefusal is what Privoxy says to a request that names no host.
const privoxyRefusal = "Invalid header received from client"

// isProxy reports whether an answer is a proxy's own, to a request that was not
// for a proxy.
func isProxy(a *httpAnswer) bool {
	server := a.get("server")
	return a.status == 407 || a.get("proxy-agent") != "" || a.get("x-squid-error") != "" || strings.HasPrefix(server, "tinyproxy/") || a.reason == privoxyRefusal
}

// refusesPlain reports whether an HTTP answer may be that of a server which
// expects TLS and says so in plain text: they all do it with status 400, and so
// do others for other reasons.
func refusesPlain(s monban.Service) bool {
	_, rest, ok := strings.Cut(s.Evidence, " ")
	return ok && strings.HasPrefix(s.Evidence, "HTTP/1.") && strings.HasPrefix(rest, "400")
}
