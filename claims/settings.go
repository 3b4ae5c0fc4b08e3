package claims

import (
	"io/fs"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// setting is one "key = value" of a file, and the [section] it stands in.
type setting struct {
	section    string
	key, value word // the value without quotes around it
}

// settings reads the "key = value" family. sep is the byte between key and
// value, beside which blanks may stand; 0 is blanks alone.
func settings(f file, style lineStyle, sep byte) iter.Seq[setting] {
	return func(yield func(setting) bool) {
		section := ""
		for l := range lines(f.data, style) {
			if name, ok := l.section(); ok {
				section = name
				continue
			}
			key, value := l.keyValue(sep)
			if !yield(setting{section: section, key: key, value: value.unquote()}) {
				return
			}
		}
	}
}

// daemon is the asker of a program that runs as a service of the machine: it is
// started as root, has one main configuration file and sets SO_REUSEADDR, as
// nearly all do.
func (s *scan) daemon(by string, exes []string, units ...string) asker {
	return asker{by: by, uid: s.rootUID(), reuseAddr: monban.On, reusePort: monban.Off,
		program: monban.Program{Exes: exes, Units: units, Config: s.place.abs(s.main)}}
}

// tcp is a TCP socket.
func tcp(addr netip.Addr, port uint16, pos monban.Pos) socket {
	return socket{at: netip.AddrPortFrom(addr, port), proto: monban.TCP, pos: pos}
}

// both4and6 claims a port on 0.0.0.0 and, apart from it, on ::.
func (s *scan) both4and6(who asker, sock socket) {
	port := sock.at.Port()
	for _, addr := range [...]netip.Addr{any4(), any6()} {
		sock.at, sock.v6only = netip.AddrPortFrom(addr, port), monban.On
		if addr.Is6() {
			sock.tolerates = max(sock.tolerates, monban.ToleratesAddress)
		}
		s.claim(who, sock)
	}
}

// number reads a number of any size that is not negative.
func number(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// user returns the uid of a user of the machine that the tree is, or -1.
func (s *scan) user(name string) int {
	if uid, ok := number(name); ok {
		return uid
	}
	if !s.place.machine() {
		return -1
	}
	data, err := fs.ReadFile(s.place.FS, "etc/passwd")
	if err != nil {
		return -1
	}
	for row := range strings.Lines(string(data)) {
		fields := strings.SplitN(row, ":", 4)
		if len(fields) == 4 && fields[0] == name {
			if uid, ok := number(fields[2]); ok {
				return uid
			}
		}
	}
	return -1
}
