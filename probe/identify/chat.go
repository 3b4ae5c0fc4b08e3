package identify

import (
	"bytes"
	"strings"

	"github.com/monban-dev/monban"
)

// chatQuestions: XMPP (RFC 6120) and IRC (RFC 2812).
func chatQuestions() []signature {
	return []signature{
		{
			name: "xmpp", ports: []uint16{5222, 5269, 5223}, ask: func(question) []byte { return xmppStream("monban.invalid") }, read: readXMPP, talk: talkXMPP,
			resembles: func(said []byte) bool { return bytes.Contains(said, []byte("http://etherx.jabber.org/streams")) },
		},
		{
			name: "irc", ports: []uint16{6667, 6697}, ask: func(question) []byte { return []byte("VERSION\r\n") }, read: readIRC, talk: talkIRC,
			resembles: func(said []byte) bool {
				return bytes.HasPrefix(said, []byte(":")) && bytes.Contains(said, []byte(" 451 "))
			},
		},
	}
}

// xmppStream opens a stream to a domain. The server names its own in its
// answer.
func xmppStream(domain string) []byte {
	return []byte("<?xml version='1.0'?><stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
}

// readXMPP takes the server's side of the stream: it has an id or says from
// whom it is, which ours has and does not.
func readXMPP(_ question, said []byte) (monban.Service, match) {
	if begins(said, "<?xml ") == no && begins(said, "<stream:stream") == no {
		return none(no)
	}
	_, rest, ok := bytes.Cut(said, []byte("<stream:stream"))
	tag, _, whole := bytes.Cut(rest, []byte(">"))
	if !ok || !whole {
		if len(said) > 4096 {
			return none(no)
		}
		return none(more)
	}
	if !bytes.Contains(tag, []byte("http://etherx.jabber.org/streams")) || attributeOf(tag, "id") == "" && attributeOf(tag, "from") == "" {
		return none(no)
	}
	s := is("xmpp", said)
	return s, yes
}

// attributeOf returns an attribute of an XML tag.
func attributeOf(tag []byte, name string) string {
	for _, quote := range []string{"'", `"`} {
		if _, rest, ok := bytes.Cut(tag, []byte(" "+name+"="+quote)); ok {
			value, _, _ := bytes.Cut(rest, []byte(quote))
			return string(value)
		}
	}
	return ""
}

// talkXMPP asks for TLS where the stream was accepted: RFC 6120 section 5.
func talkXMPP(c *conn, s monban.Service) monban.Service {
	ended := func(said []byte) bool {
		return bytes.Contains(said, []byte("</stream:features>")) || bytes.Contains(said, []byte("<stream:error"))
	}
	c.hearUntil(ended)
	if !bytes.Contains(c.said, []byte("urn:ietf:params:xml:ns:xmpp-tls")) || bytes.Contains(c.said, []byte("<stream:error")) {
		return s
	}
	proceed := c.ask([]byte("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), func(said []byte) int {
		return bytes.IndexByte(said, '>') + 1
	})
	if bytes.HasPrefix(proceed, []byte("<proceed")) {
		s = c.startTLS(s)
	}
	return s
}

// readIRC takes the refusal of a command before registration, numeric 451, or
// the answer to it: 351 with the version. Nobody is registered.
func readIRC(_ question, said []byte) (monban.Service, match) {
	if len(said) > 0 && said[0] != ':' && begins(said, "NOTICE ") == no && begins(said, "ERROR :") == no {
		return none(no)
	}
	for line := range strings.Lines(string(said)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		words := strings.Fields(line)
		if !strings.HasPrefix(line, ":") || len(words) < 3 || !printable([]byte(line)) {
			continue
		}
		switch words[1] {
		case "451":
			return is("irc", []byte(line)), yes
		case "351":
			s := is("irc", []byte(line))
			if len(words) > 3 {
				s.Product, s.Version, _ = strings.Cut(words[3], "-")
			}
			return s, yes
		}
	}
	if len(said) > 4096 || !printable(said) {
		return none(no)
	}
	return none(more)
}

func talkIRC(c *conn, s monban.Service) monban.Service {
	c.say([]byte("QUIT\r\n"))
	return s
}
