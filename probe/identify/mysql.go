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
	s.Product, s.Version = "MySQL", h.version
	// MariaDB puts 5.5.5- before its version, for the sake of old replicas.
	if i := strings.Index(h.version, "-MariaDB"); i >= 0 {
		s.Product, s.Version = "MariaDB", strings.TrimPrefix(h.version[:i], "5.5.5-")
	}
	return s, yes
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
	if strings.Contains(s.Evidence, "MariaDB") {
		s.Product = "MariaDB"
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
	case 0:
		s.Grade = monban.GradeIdentified // an account for everybody: it is left at once
		c.say(mysqlPacket(0, []byte{1}))
	}
	return s
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
