package identify

import (
	"bytes"
	"strings"

	"github.com/monban-dev/monban"
)

// memcachedQuestions: doc/protocol.txt of memcached.
func memcachedQuestions() []signature {
	return []signature{{
		name: "memcached", ports: []uint16{11211},
		ask:       func(question) []byte { return []byte("version\r\n") },
		read:      readMemcached,
		resembles: func(said []byte) bool { return bytes.HasPrefix(said, []byte("ERROR\r\n")) },
	}}
}

func readMemcached(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes {
		return none(min(m, begins(said, "VERSION ")))
	}
	version, ok := strings.CutPrefix(line, "VERSION ")
	if !ok || leadingVersion(version) != version {
		return none(no)
	}
	s := is("memcached", []byte(line))
	s.Product, s.Version = "memcached", version
	return s, yes
}

// memcachedDatagrams is the same behind a frame: the request's number, which of
// how many datagrams, nothing.
func memcachedDatagrams() []signature {
	return []signature{{
		name: "memcached", ports: []uint16{11211},
		ask: func(q question) []byte {
			return append(be16s(nil, int(q.id&0xffff)), "\x00\x00\x00\x01\x00\x00version\r\n"...)
		},
		read: func(q question, said []byte) (monban.Service, match) {
			c := cursor{b: said}
			if id, part, parts, zero := c.be16(), c.be16(), c.be16(), c.be16(); c.failed || id != int(q.id&0xffff) || part != 0 || parts != 1 || zero != 0 {
				return none(no)
			}
			return readMemcached(q, c.b)
		},
	}}
}
