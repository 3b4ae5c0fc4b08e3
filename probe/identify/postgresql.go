package identify

import (
	"strings"

	"github.com/monban-dev/monban"
)

// postgresQuestions: "Message Flow" and "Message Formats" in the manual of
// PostgreSQL. It begins with SSLRequest, which is answered by one letter.
func postgresQuestions() []signature {
	return []signature{{
		name: "postgresql", ports: []uint16{5432, 5433, 6432},
		ask:  func(question) []byte { return []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f} },
		read: readPostgres, talk: talkPostgres,
	}}
}

// readPostgres takes the letter, which is not enough for a name, or an error.
func readPostgres(_ question, said []byte) (monban.Service, match) {
	if len(said) == 1 && (said[0] == 'S' || said[0] == 'N') {
		return monban.Service{Evidence: string(said)}, yes
	}
	return postgresError(said)
}

// postgresError takes an ErrorResponse: its fields are severity S, code C of
// five characters, message M and others, each ended by NUL.
func postgresError(said []byte) (monban.Service, match) {
	c := cursor{b: said}
	if len(said) > 0 && said[0] != 'E' {
		return none(no)
	}
	c.u8()
	length := int(c.be32())
	if len(said) >= 5 && (length < 12 || length > 8192) {
		return none(no)
	}
	body := cursor{b: c.bytes(length - 4)}
	if c.failed {
		return none(more)
	}
	fields := make(map[byte]string)
	for !body.failed {
		kind := byte(body.u8())
		if kind == 0 {
			break
		}
		fields[kind] = body.text()
	}
	if body.failed || len(fields['C']) != 5 || fields['S'] == "" || fields['M'] == "" {
		return none(no)
	}
	s := is("postgresql", []byte(fields['S']+": "+fields['M']))
	// The file of the source where the error was raised.
	if strings.HasPrefix(fields['R'], "ProcessStartupPacket") || fields['F'] == "postmaster.c" || fields['F'] == "backend_startup.c" {
		s.Product = "PostgreSQL"
	}
	return s, yes
}

// talkPostgres goes inside TLS if that is offered, and asks for a protocol that
// there is not: the refusal is a valid answer, and nobody has tried to log in.
func talkPostgres(c *conn, s monban.Service) monban.Service {
	if s.Grade == monban.GradeIdentified {
		return s
	}
	encrypted := s.Evidence == "S"
	c.said = nil
	if encrypted {
		if s = c.startTLS(s); !s.TLS {
			return s
		}
	}
	startup := be32s(be32s(nil, 14), 255<<16)
	var refusal monban.Service
	c.ask(append(startup, "user\x00\x00"...), func(said []byte) int {
		var m match
		if refusal, m = postgresError(said); m == yes {
			return len(said)
		} else if m == no {
			return -1
		}
		return 0
	})
	if refusal.Protocol == "" {
		if encrypted && s.TLS {
			s.Protocol, s.Grade = "postgresql", monban.GradeLikely // it knew SSLRequest
		}
		return s
	}
	refusal.TLS, refusal.Certificate = s.TLS, s.Certificate
	return refusal
}
