package claims

import (
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
)

// readHAProxy reads haproxy.cfg. Further files are named on the command line
// only; each is read by itself.
func readHAProxy(s *scan) {
	h := haproxy{s: s, who: s.daemon("haproxy", []string{"haproxy"}, "haproxy.service")}
	h.who.reusePort = monban.On // unless "noreuseport", which may stand below
	s.open(monban.Pos{}, s.main, h.read)
	if h.noReusePort {
		for i := range s.claims {
			s.claims[i].Bind.ReusePort = monban.Off
		}
	}
}

type haproxy struct {
	s           *scan
	who         asker
	section     string
	noReusePort bool
	conditions  int // that the line stands in, and that are not decided here
}

func (h *haproxy) read(f file) {
	for l := range lines(f.data, lineStyle{comment: "#", inline: "#"}) {
		words := l.words("")
		if len(words) == 0 {
			continue
		}
		name, args := words[0].text, words[1:]
		switch {
		case name == ".if":
			h.conditions++
			h.s.gap(l.pos(f), NotFollowed, l.text)
		case name == ".endif":
			h.conditions = max(0, h.conditions-1)
		}
		if h.conditions > 0 && strings.HasSuffix(name, "bind") {
			continue // the gap says so
		}
		switch name {
		case "global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "log-forward",
			"userlist", "cache", "program", "mailers", "ring", "http-errors", "fcgi-app", "crt-store", "traces":
			h.section, h.who.name = name, "haproxy"
			if len(args) > 0 && name != "global" && name != "defaults" {
				h.who.name = "haproxy " + args[0].text
			}
		case "bind":
			if h.section == "frontend" || h.section == "listen" || h.section == "peers" || h.section == "log-forward" {
				h.bind(f, args, monban.TCP)
			}
		case "dgram-bind":
			h.bind(f, args, monban.UDP)
		case "stats":
			if h.section == "global" && len(args) > 1 && args[0].text == "socket" {
				h.who.name = "haproxy stats"
				h.bind(f, args[1:], monban.TCP)
			}
		case "noreuseport":
			h.noReusePort = h.section == "global"
		}
	}
}

// bind reads "addr:port-port,… option…".
func (h *haproxy) bind(f file, args []word, proto monban.Proto) {
	if len(args) == 0 {
		return
	}
	v6only, device := monban.FlagUnknown, ""
	for i, option := range args[1:] {
		switch option.text {
		case "v4v6":
			v6only = monban.Off
		case "v6only":
			v6only = monban.On
		case "interface":
			if i+2 < len(args) {
				device = args[i+2].text
			}
		}
	}
	before := len(h.s.claims)
	for _, w := range args[0].split(",") {
		h.address(f, w, proto, v6only)
	}
	for i := range h.s.claims[before:] {
		c := &h.s.claims[before+i]
		c.Bind.Device = device
		for _, option := range args[1:] {
			if option.text == "transparent" {
				c.FreeBind = true // IP_TRANSPARENT allows what IP_FREEBIND does
			}
		}
	}
}

func (h *haproxy) address(f file, w word, proto monban.Proto, v6only monban.Flag) {
	if strings.ContainsRune(w.text, '$') {
		text, ok := h.expand(f, w)
		if !ok {
			return
		}
		w.long = max(len(w.text), w.long)
		w.text = text
	}
	expanded := w.long
	family := 0
	if at := strings.IndexByte(w.text, '@'); at >= 0 {
		kind := w.text[:at]
		w = w.sub(at+1, len(w.text))
		switch {
		case strings.HasPrefix(kind, "quic"), strings.HasPrefix(kind, "udp"):
			proto = monban.UDP
		case !strings.HasPrefix(kind, "ipv") && !strings.HasPrefix(kind, "tcp"):
			return // unix, abns, fd, sockpair
		}
		if strings.HasSuffix(kind, "6") {
			family = 6
		}
	}
	if strings.HasPrefix(w.text, "/") {
		return
	}
	colon := strings.LastIndexByte(w.text, ':')
	if colon < 0 {
		h.s.gap(w.pos(f), BadPort, w.text)
		return
	}
	host, port := strings.Trim(w.text[:colon], "[]"), w.sub(colon+1, len(w.text))
	first, last, ok := h.s.portsOf(f, port)
	if !ok {
		return
	}
	var addrs []netip.Addr
	switch {
	case host == "" && family == 6:
		addrs = []netip.Addr{any6()}
	case host == "" || host == "*":
		addrs = []netip.Addr{any4()}
	default:
		if addrs = h.s.hostOf(f, w, host); addrs == nil {
			return
		}
		// The first that getaddrinfo(3) finds, and IPv6 comes first (measured).
		addrs = addrs[len(addrs)-1:]
	}
	pos := port.pos(f)
	if expanded != 0 {
		pos = w.pos(f)
		pos.Len = 0
	}
	for num := int(first); num <= int(last); num++ {
		sock := tcp(addrs[0], uint16(num), pos)
		sock.proto, sock.v6only = proto, v6only
		h.s.claim(h.who, sock)
	}
}

// expand puts in the values of "$NAME" and "${NAME}", which HAProxy does inside
// double quotes only.
func (h *haproxy) expand(f file, w word) (string, bool) {
	text := w.text
	for range maxDepth {
		before, after, found := strings.Cut(text, "$")
		if !found {
			return text, true
		}
		name, rest := after, ""
		if inner, ok := strings.CutPrefix(after, "{"); ok {
			name, rest, _ = strings.Cut(inner, "}")
			name, _, _ = strings.Cut(name, "[*]")
		} else if end := strings.IndexFunc(after, func(r rune) bool { return !(r == '_' || r >= '0' && r <= '9' || r|32 >= 'a' && r|32 <= 'z') }); end >= 0 {
			name, rest = after[:end], after[end:]
		}
		name, usual, hasUsual := strings.Cut(name, "-")
		value, ok := h.s.place.getenv(name)
		if !ok && hasUsual {
			value, ok = usual, true
		}
		if !ok {
			h.s.gap(w.pos(f), Undefined, name)
			return "", false
		}
		text = before + value + rest
	}
	return text, true
}
