package identify

import (
	"strings"

	"github.com/monban-dev/monban"
)

// mysqlGreetings: the client/server protocol of MySQL and MariaDB, "Connection
// phase" in their manuals.
func mysqlGreetings() []signature {
	return []signature{{name: "mysql", ports: []uint16{3306, 3307}, read: readMySQL, talk: talkMySQL}}
}

// What the server can do, as bits of its greeting.
const (
	mysqlProtocol41 = 1 << 9
	mysqlSSL        = 1 << 11
	mysqlSecure     = 1 << 15
)

// mysqlHello is the server's greeting.
type mysqlHello struct {
	version      string
	capabilities uint32
}

func parseMySQL(said []byte) (h mysqlHello, payload []byte, m match) {
	c := cursor{b: said}
	length := c.le16() | c.u8()<<16
	sequence := c.u8()
	if len(said) >= 4 && (sequence != 0 || length < 10 || length > 4096) || len(said) >= 5 && said[4] != 10 && said[4] != 0xff {
		return h, nil, no
	}
	payload = c.bytes(length)
	if c.failed {
		return h, nil, more
	}
	p := cursor{b: payload}
	if p.u8() != 10 {
		return h, payload, yes
	}
	h.version = p.text()
	p.bytes(4 + 8) // thread, half of the salt
	filler := p.u8()
	h.capabilities = uint32(p.le16())
	if p.failed || filler != 0 || leadingVersion(h.version) == "" || !printable([]byte(h.version)) {
		return h, nil, no
	}
	p.bytes(3)
	h.capabilities |= uint32(p.le16()) << 16
	return h, payload, yes
}

func readMySQL(_ question, said []byte) (monban.Service, match) {
	h, payload, m := parseMySQL(said)
	if m != yes {
		return none(m)
	}
	if payload[0] == 0xff {
		return mysqlRefusal(payload)
	}
	s := seems("mysql", payload)
	s.Product, s.Version = mysqlVersion(h.version)
	return s, yes
}

// mysqlVersion reads the version of a greeting. Others than MySQL begin theirs
// with that of the MySQL which they are like, and most name themselves behind it:
// 5.5.5-10.11.6-MariaDB, where 5.5.5- is for the sake of old replicas;
// 8.0.11-TiDB-v7.5.1, 8.0.30-Vitess, 23.8.1.2992-ClickHouse. Who does not may be
// MySQL or not: [talkMySQL] finds out.
func mysqlVersion(text string) (product, version string) {
	before, rest, named := strings.Cut(text, "-")
	for _, name := range []string{"TiDB", "Vitess", "ClickHouse"} {
		if named && strings.HasPrefix(rest, name) {
			if v := versionAfter(rest, name); v != "" {
				return name, v
			}
			if name == "ClickHouse" {
				return name, before
			}
			return name, ""
		}
	}
	if i := strings.Index(text, "-MariaDB"); i >= 0 {
		return "MariaDB", strings.TrimPrefix(text[:i], "5.5.5-")
	}
	return "", text
}

// mysqlRefusal is an error packet instead of a greeting: too many connections,
// this host is blocked, this host is not allowed.
func mysqlRefusal(payload []byte) (monban.Service, match) {
	c := cursor{b: payload}
	c.u8()
	number := c.le16()
	if c.failed || number != 1040 && number != 1129 && number != 1130 || !printable(c.b) {
		return none(no)
	}
	s := is("mysql", c.b)
	switch {
	case strings.Contains(s.Evidence, "this MariaDB server"):
		s.Product = "MariaDB"
	case strings.Contains(s.Evidence, "this MySQL server"):
		s.Product = "MySQL"
	}
	return s, yes
}

// talkMySQL finishes what the greeting began. A client that leaves without
// answering it is counted by the server, and after max_connect_errors of them
// (100 by default) all from that address are locked out; one whose name is
// unknown is not. So it answers, for a user that there is not, and takes the
// refusal, which also confirms the protocol.
func talkMySQL(c *conn, s monban.Service) monban.Service {
	h, _, m := parseMySQL(c.said)
	if m != yes || s.Grade == monban.GradeIdentified {
		return s
	}
	const wants = mysqlProtocol41 | mysqlSecure
	sequence := byte(1)
	if h.capabilities&mysqlSSL != 0 {
		c.said = nil
		c.say(mysqlPacket(sequence, mysqlAnswer(wants|mysqlSSL)))
		s = c.startTLS(s)
		sequence++
		if !c.inside {
			return s
		}
	}
	body := append(mysqlAnswer(wants), "monban\x00\x00"...) // no password
	answer := c.ask(mysqlPacket(sequence, body), func(said []byte) int {
		k := cursor{b: said}
		length := k.le16() | k.u8()<<16
		if k.failed || len(said) < 4+length {
			return 0
		}
		return 4 + length
	})
	if len(answer) < 5 {
		return s
	}
	switch answer[4] {
	case 0xff, 0xfe:
		s.Grade = monban.GradeIdentified
		if s.Product == "" && mysqlWords(answer) {
			s.Product = "MySQL"
		}
	case 0:
		s.Grade = monban.GradeIdentified // an account for everybody: it is left at once
		c.say(mysqlPacket(0, []byte{1}))
	}
	return s
}

// mysqlWords reports whether a refusal is in the words of MySQL, which programs
// that only speak its protocol shorten: errors 1045 and 1251 of its reference.
func mysqlWords(answer []byte) bool {
	c := cursor{b: answer}
	c.bytes(4 + 1)
	switch number, text := c.le16(), string(c.b); number {
	case 1045:
		return strings.Contains(text, "Access denied for user 'monban'@'") && strings.HasSuffix(text, "' (using password: NO)")
	case 1251:
		return strings.Contains(text, "Client does not support authentication protocol requested by server; consider upgrading MySQL client")
	}
	return false
}

func mysqlPacket(sequence byte, body []byte) []byte {
	return append([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), sequence}, body...)
}

// mysqlAnswer is the head of a HandshakeResponse41, which alone is a request for
// TLS.
func mysqlAnswer(capabilities uint32) []byte {
	b := le32s(nil, capabilities)
	b = le32s(b, 1<<24)
	b = append(b, 45) // utf8mb4
	return append(b, make([]byte, 23)...)
}
