package identify

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// voiceQuestions are SIP (RFC 3261), RTSP (RFC 7826, RFC 2326) and STUN (RFC
// 8489).
func voiceQuestions() []signature {
	return []signature{
		{name: "rtsp", ports: []uint16{554, 8554}, ask: askRTSP, read: readRTSP,
			resembles: func(said []byte) bool { return bytes.HasPrefix(said, []byte("RTSP/1.0 ")) }},
		{name: "sip", ports: []uint16{5060, 5061}, ask: func(q question) []byte { return askSIP(q, "TCP") }, read: readSIP,
			resembles: func(said []byte) bool { return bytes.HasPrefix(said, []byte("SIP/2.0 ")) }},
		{name: "stun", ports: []uint16{3478, 5349}, ask: askSTUN, read: readSTUN},
	}
}

func voiceDatagrams() []signature {
	return []signature{
		{name: "sip", ports: []uint16{5060}, ask: func(q question) []byte { return askSIP(q, "UDP") }, read: readSIP},
		{name: "stun", ports: []uint16{3478}, ask: askSTUN, read: readSTUN},
	}
}

func askRTSP(q question) []byte {
	return fmt.Appendf(nil, "OPTIONS * RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: monban\r\n\r\n", q.id&0xffff)
}

func readRTSP(q question, said []byte) (monban.Service, match) {
	a, m := parseHTTP(said, "RTSP")
	if m != yes {
		return none(m)
	}
	if a.get("cseq") != fmt.Sprint(q.id&0xffff) {
		return none(no)
	}
	s := is("rtsp", said)
	s.Product, s.Version = httpServer(a.get("server"))
	return s, yes
}

func askSIP(q question, transport string) []byte {
	to := q.authority()
	return fmt.Appendf(nil, "OPTIONS sip:monban@%s SIP/2.0\r\nVia: SIP/2.0/%s monban.invalid;branch=z9hG4bK%08x;rport\r\n"+
		"Max-Forwards: 5\r\nFrom: <sip:monban@monban.invalid>;tag=%08x\r\nTo: <sip:monban@%s>\r\nCall-ID: %08x@monban.invalid\r\n"+
		"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", to, transport, q.id, q.id, to, q.id)
}

// readSIP takes a final answer to our call, whatever it is.
func readSIP(q question, said []byte) (monban.Service, match) {
	a, m := parseHTTP(said, "SIP")
	if m != yes {
		return none(m)
	}
	id := a.get("call-id") + a.get("i") // the compact form, RFC 3261 section 7.3.3
	if !strings.HasPrefix(id, fmt.Sprintf("%08x@", q.id)) {
		return none(no)
	}
	s := is("sip", said)
	server := a.get("server")
	if server == "" {
		server = a.get("user-agent")
	}
	if product, rest, ok := strings.Cut(server, " ("); ok { // kamailio (5.6.3 (x86_64/linux))
		s.Product, s.Version = product, leadingVersion(rest)
	} else {
		s.Product, s.Version = productSlashVersion(server)
	}
	return s, yes
}

const stunCookie = "\x21\x12\xa4\x42"

func stunID(q question) []byte { return fmt.Appendf(nil, "monb%08x", q.id) }

func askSTUN(q question) []byte {
	return append([]byte("\x00\x01\x00\x00"+stunCookie), stunID(q)...)
}

// readSTUN takes a success or an error to our request, with the attribute that
// each must have: the address it came from, or the number of the error.
func readSTUN(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	kind, length := c.be16(), c.be16()
	if len(said) >= 2 && kind != 0x0101 && kind != 0x0111 || len(said) >= 4 && (length > 2048 || length%4 != 0) {
		return none(no)
	}
	cookie, id := c.bytes(4), c.bytes(12)
	body := cursor{b: c.bytes(length)}
	if c.failed {
		return none(more)
	}
	if string(cookie) != stunCookie || !bytes.Equal(id, stunID(q)) {
		return none(no)
	}
	s, proven := is("stun", said), false
	for len(body.b) > 0 && !body.failed {
		attribute, n := body.be16(), body.be16()
		value := body.bytes(n)
		body.bytes(-n & 3)
		switch attribute {
		case 0x0001, 0x0020: // MAPPED-ADDRESS, XOR-MAPPED-ADDRESS
			proven = proven || kind == 0x0101
		case 0x0009: // ERROR-CODE
			proven = proven || kind == 0x0111
		}
		if attribute == 0x8022 && len(value) > 0 { // SOFTWARE: "Coturn-4.6.1 'Gorst'"
			text := strings.TrimRight(string(value), "\x00")
			if product, version, ok := strings.Cut(text, "-"); ok {
				s.Product, s.Version = product, leadingVersion(version)
			} else {
				s.Product = text
			}
		}
	}
	if !proven || body.failed {
		return none(no)
	}
	return s, yes
}
