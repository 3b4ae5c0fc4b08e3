package identify

import (
	"bytes"
	"strings"

	"github.com/monban-dev/monban"
)

// telnetGreetings: RFC 854.
func telnetGreetings() []signature {
	return []signature{{name: "telnet", ports: []uint16{23, 2323}, read: readTelnet, talk: talkTelnet}}
}

const (
	iac  = 255
	dont = 254
	do   = 253
	wont = 252
	will = 251
	// timingMark is an option that must be answered, RFC 860.
	timingMark = 6
)

// readTelnet takes the offers a server begins with: IAC, one of four verbs, an
// option.
func readTelnet(_ question, said []byte) (monban.Service, match) {
	for i, b := range said[:min(3, len(said))] {
		if i == 0 && b != iac || i == 1 && (b < will || b > dont) || i == 2 && b > 50 && b != 255 {
			return none(no)
		}
	}
	if len(said) < 3 {
		return none(more)
	}
	return seems("telnet", said), yes
}

// talkTelnet asks for a timing mark, which every server takes or refuses, and
// refuses all that was offered, so that a prompt may come.
func talkTelnet(c *conn, s monban.Service) monban.Service {
	c.say([]byte{iac, do, timingMark})
	refused := 0
	c.hearUntil(func(said []byte) bool {
		var answer []byte
		for ; refused+2 < len(said); refused++ {
			if said[refused] != iac || said[refused+2] == timingMark {
				continue
			}
			switch said[refused+1] {
			case do:
				answer = append(answer, iac, wont, said[refused+2])
			case will:
				answer = append(answer, iac, dont, said[refused+2])
			}
		}
		if answer != nil {
			c.say(answer)
		}
		return bytes.Contains(said, []byte{iac, will, timingMark}) || bytes.Contains(said, []byte{iac, wont, timingMark})
	})
	if bytes.Contains(c.said, []byte{iac, will, timingMark}) || bytes.Contains(c.said, []byte{iac, wont, timingMark}) {
		s.Grade = monban.GradeIdentified
	}
	return s
}

// vncGreetings: the remote framebuffer protocol, RFC 6143 section 7.1.
func vncGreetings() []signature {
	return []signature{{name: "vnc", ports: []uint16{5900, 5901}, read: readVNC, talk: talkVNC}}
}

func readVNC(_ question, said []byte) (monban.Service, match) {
	if m := begins(said, "RFB "); m != yes || len(said) < 12 {
		return none(min(m, more))
	}
	for i, b := range said[4:12] {
		if i == 3 && b != '.' || i == 7 && b != '\n' || i != 3 && i != 7 && !isDigit(b) {
			return none(no)
		}
	}
	s := seems("vnc", said[:11])
	return s, yes
}

// talkVNC agrees on version 3.8 or 3.3 and takes the list of ways to log in.
func talkVNC(c *conn, s monban.Service) monban.Service {
	version := "RFB 003.008\n"
	if strings.HasPrefix(s.Evidence, "RFB 003.003") {
		version = "RFB 003.003\n"
	}
	c.said = c.said[12:] // a server that bans us says so without waiting
	c.say([]byte(version))
	if version == "RFB 003.003\n" {
		if c.hearUntil(func(said []byte) bool { return len(said) >= 4 }) && bytes.Equal(c.said[:3], []byte{0, 0, 0}) && c.said[3] <= 2 {
			s.Grade = monban.GradeIdentified
		}
		return s
	}
	// A number of types and as many types; or 0, and why not.
	c.hearUntil(func(said []byte) bool {
		return len(said) >= 1 && len(said) >= 1+int(said[0]) && (said[0] != 0 || len(said) >= 5)
	})
	if n := len(c.said); n >= 2 && (c.said[0] != 0 && n == 1+int(c.said[0]) || c.said[0] == 0 && n >= 5) {
		s.Grade = monban.GradeIdentified
	}
	return s
}
