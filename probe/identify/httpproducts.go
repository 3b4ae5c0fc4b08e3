package identify

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// talkHTTP finds the product where the field Server does not name it: first in
// the answer to /, then where that leads to, then at the paths where servers
// without such a field state it. All are read only.
func talkHTTP(c *conn, s monban.Service) monban.Service {
	a := c.httpRest()
	if strings.Contains(a.get("server"), " IPP/") {
		return c.confirmIPP(s)
	}
	if product, version := c.httpProduct(&a); product != "" {
		s.Product, s.Version = product, version
	}
	if s.Product != "" && !isToolkit(s.Product) || s.Protocol != "http" {
		return s
	}
	for range 2 { // Jupyter's leads to its list, and that to its login
		path := redirect(&a, c.authority())
		if path == "" {
			break
		}
		next, ok := c.httpAgain(httpGet(c.question, path))
		if !ok {
			break
		}
		if product, version := c.httpProduct(&next); product != "" {
			s.Product, s.Version = product, version
			return s
		}
		a = next
	}
	if s.Product != "" {
		return s
	}
	for _, path := range []string{"/version", "/metrics", "/v2/", "/json/version"} {
		a, ok := c.httpAgain(httpGet(c.question, path))
		if !ok {
			break
		}
		if product, version := httpEvidence(&a); product != "" {
			s.Product, s.Version = product, version
			break
		}
	}
	return s
}

// redirect returns the path on the same server that an answer leads to, or "".
func redirect(a *httpAnswer, authority string) string {
	switch a.status {
	case 301, 302, 303, 307, 308:
	default:
		return ""
	}
	path := a.get("location")
	if rest, ok := strings.CutPrefix(path, "http://"+authority); ok {
		path = rest
	} else if rest, ok := strings.CutPrefix(path, "https://"+authority); ok {
		path = rest
	}
	path, _, _ = strings.Cut(path, "#")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || len(path) > 512 || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return path
}

// maxBody is how much of an answer's body is read.
const maxBody = 32 << 10

// httpRest reads the rest of an answer, to its end or as far as is read of one.
func (c *conn) httpRest() httpAnswer {
	var a httpAnswer
	c.hearUntil(func(said []byte) bool {
		var m match
		a, m = parseHTTP(said, "HTTP")
		return m == no || m == yes && (len(a.body) >= maxBody || a.whole())
	})
	a, _ = parseHTTP(c.said, "HTTP")
	if strings.EqualFold(a.get("transfer-encoding"), "chunked") {
		a.body = joinChunks(a.body)
	}
	return a
}

// joinChunks takes the sizes out of a body in chunks, RFC 9112 section 7.1, as
// far as it has come.
func joinChunks(body []byte) (whole []byte) {
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		digits, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(digits), 16, 31)
		if !ok || err != nil || n == 0 {
			return whole
		}
		whole = append(whole, rest[:min(int(n), len(rest))]...)
		if len(rest) < int(n)+2 {
			return whole
		}
		body = rest[n+2:]
	}
}

// whole reports whether the body is all there, where its length is told.
func (a *httpAnswer) whole() bool {
	if a.status == 204 || a.status == 304 {
		return true
	}
	n, err := strconv.ParseUint(a.get("content-length"), 10, 31)
	return err == nil && uint64(len(a.body)) >= n
}

// httpAgain makes one more request, on a connection of its own.
func (c *conn) httpAgain(request []byte) (httpAnswer, bool) {
	k := c.again()
	if k == nil {
		return httpAnswer{}, false
	}
	defer k.Close()
	k.say(request)
	a := k.httpRest()
	return a, a.status != 0
}

// confirmIPP asks CUPS for its default printer, in IPP: RFC 8011, and
// "CUPS-Get-Default" in its notes. It knows itself by few names; localhost is
// always one.
func (c *conn) confirmIPP(s monban.Service) monban.Service {
	body := []byte{1, 1, 0x40, 1}
	body = be32s(body, c.id)
	body = append(body, 1)
	for _, attribute := range [][3]string{{"\x47", "attributes-charset", "utf-8"}, {"\x48", "attributes-natural-language", "en"}} {
		body = append(body, attribute[0]...)
		for _, text := range attribute[1:] {
			body = append(be16s(body, len(text)), text...)
		}
	}
	body = append(body, 3)
	request := append([]byte("POST / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: monban\r\nContent-Type: application/ipp\r\nConnection: close\r\nContent-Length: "+
		strconv.Itoa(len(body))+"\r\n\r\n"), body...)
	a, ok := c.httpAgain(request)
	if !ok || !strings.HasPrefix(a.get("content-type"), "application/ipp") || len(a.body) < 8 || !bytes.Equal(a.body[4:8], be32s(nil, c.id)) {
		return s
	}
	s.Protocol = "ipp"
	return s
}
