package identify

import (
	"bytes"
	"strings"

	"github.com/monban-dev/monban"
)

// tunnelQuestions are SOCKS (RFC 1928) and OpenVPN ("OpenVPN Wire Protocol").
func tunnelQuestions() []signature {
	return []signature{
		{
			name: "socks", ports: []uint16{1080, 9050, 9150},
			ask:  func(question) []byte { return []byte{5, 2, 0, 2} },
			read: readSOCKS, talk: talkSOCKS,
			resembles: func(said []byte) bool { return bytes.Contains(said, []byte("Tor is not an HTTP Proxy")) },
		},
		{
			name: "openvpn", ports: []uint16{1194, 943},
			ask: func(q question) []byte {
				message := askOpenVPN(q)
				return append(be16s(nil, len(message)), message...)
			},
			read: func(q question, said []byte) (monban.Service, match) {
				c := cursor{b: said}
				n := c.be16()
				if len(said) >= 2 && (n < 14 || n > 200) || len(said) >= 3 && said[2]>>3 != 8 && said[2]>>3 != 5 {
					return none(no)
				}
				message := c.bytes(n)
				if c.failed {
					return none(more)
				}
				return readOpenVPN(q, message)
			},
		},
	}
}

func tunnelDatagrams() []signature {
	return []signature{{name: "openvpn", ports: []uint16{1194}, ask: askOpenVPN, read: readOpenVPN}}
}

// readSOCKS takes the choice of a way to log in, of the two that were offered:
// none, and a password. Two bytes are little proof.
func readSOCKS(_ question, said []byte) (monban.Service, match) {
	if len(said) < 2 {
		return none(min(more, begins(said, "\x05")))
	}
	if len(said) != 2 || said[0] != 5 || said[1] != 0 && said[1] != 2 && said[1] != 0xff {
		return none(no)
	}
	return seems("socks", said), yes
}

// talkSOCKS asks for a connection to no address at all, which is refused in the
// words of the protocol; by Tor, without any. Where a password is wanted, it says
// no more.
func talkSOCKS(c *conn, s monban.Service) monban.Service {
	if c.said[1] != 0 {
		return s
	}
	answer := c.ask([]byte{5, 1, 0, 1, 0, 0, 0, 0, 0, 0}, func(said []byte) int {
		if len(said) < 10 {
			return 0
		}
		return len(said)
	})
	if len(answer) >= 10 && answer[0] == 5 && answer[1] != 0 && answer[1] <= 0xf8 && answer[2] == 0 && (answer[3] == 1 || answer[3] == 3 || answer[3] == 4) {
		s.Grade = monban.GradeIdentified
	}
	return s
}

func openvpnSession(q question) []byte { return append(be32s(nil, q.id), "monb"...) }

// askOpenVPN is a client's reset, P_CONTROL_HARD_RESET_CLIENT_V2, with the key
// 0: the session's id, no acknowledgements, packet 0.
func askOpenVPN(q question) []byte {
	return append(append([]byte{7 << 3}, openvpnSession(q)...), 0, 0, 0, 0, 0)
}

// readOpenVPN takes the server's reset, which acknowledges ours by our session's
// id. A server with tls-auth is silent to strangers.
func readOpenVPN(q question, said []byte) (monban.Service, match) {
	// Or the acknowledgement alone, P_ACK_V1, with the reset to follow.
	if len(said) < 22 || said[0] != 8<<3 && said[0] != 5<<3 {
		return none(no)
	}
	c := cursor{b: said[9:]}
	n := c.u8()
	c.bytes(4 * n)
	if session := c.bytes(8); c.failed || n < 1 || n > 4 || !bytes.Equal(session, openvpnSession(q)) {
		return none(no)
	}
	return is("openvpn", said), yes
}

// scannerQuestions: clamd, in its manual.
func scannerQuestions() []signature {
	return []signature{{
		name: "clamd", ports: []uint16{3310},
		ask:       func(question) []byte { return []byte("zVERSION\x00") },
		resembles: func(said []byte) bool { return bytes.HasPrefix(said, []byte("UNKNOWN COMMAND\n")) },
		read: func(_ question, said []byte) (monban.Service, match) {
			if m := begins(said, "ClamAV "); m != yes {
				return none(m)
			}
			text, _, ok := strings.Cut(string(said), "\x00")
			if !ok {
				return none(more)
			}
			version := leadingVersion(strings.TrimPrefix(text, "ClamAV "))
			if version == "" || !printable([]byte(text)) {
				return none(no)
			}
			s := is("clamd", []byte(text))
			s.Product, s.Version = "ClamAV", version
			return s, yes
		},
	}}
}
