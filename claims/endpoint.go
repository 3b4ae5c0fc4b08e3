package claims

import (
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
)

// hostPort takes apart "host:port", "[v6]:port", ":port", "port", "host" and
// "v6"; a port may be a range. Host is "" when absent; a port that is absent has no text.
func hostPort(w word) (host string, port word) {
	text := w.text
	if strings.HasPrefix(text, "[") {
		end := strings.IndexByte(text, ']')
		if end < 0 {
			return text, word{}
		}
		if rest := text[end+1:]; strings.HasPrefix(rest, ":") {
			port = w.sub(end+2, len(text))
		}
		return text[1:end], port
	}
	colon := strings.LastIndexByte(text, ':')
	switch {
	case colon < 0 && digits(strings.Replace(text, "-", "", 1)):
		return "", w
	case colon < 0:
		return text, word{}
	case strings.IndexByte(text, ':') != colon:
		if _, err := netip.ParseAddr(text); err == nil {
			return text, word{}
		}
	}
	return text[:colon], w.sub(colon+1, len(text))
}

// digits reports whether s is a number.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// portOf reads a port, or records why it is none.
func (s *scan) portOf(f file, w word, proto monban.Proto) (uint16, bool) {
	num, ok := s.names.port(w.text, proto)
	if !ok {
		s.gap(w.pos(f), BadPort, w.text)
	}
	return num, ok
}

// portsOf reads a port or a range N-M.
func (s *scan) portsOf(f file, w word) (first, last uint16, ok bool) {
	r, err := monban.ParsePortRange(w.text)
	if err != nil || r.Proto != monban.AnyProto {
		s.gap(w.pos(f), BadPort, w.text)
		return 0, 0, false
	}
	return r.First, r.Last, true
}

// hostOf returns the addresses a host stands for, or records why there are none.
func (s *scan) hostOf(f file, w word, host string) []netip.Addr {
	addrs := s.names.host(host)
	if len(addrs) == 0 {
		s.gap(w.pos(f), Unresolved, host)
	}
	return addrs
}
