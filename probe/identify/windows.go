package identify

import (
	"bytes"
	"encoding/binary"

	"github.com/monban-dev/monban"
)

// windowsQuestions are protocols that came from Microsoft.
func windowsQuestions() []signature {
	return []signature{
		{name: "smb", ports: []uint16{445, 139}, ask: askSMB, read: readSMB},
		{name: "rdp", ports: []uint16{3389}, ask: func(question) []byte { return askRDP() }, read: readRDP, talk: talkRDP},
	}
}

// askSMB is the negotiation that servers of all versions answer: SMB 1 with the
// dialects of 1 and 2, MS-SMB2 section 2.2.3 and 3.2.4.2.2.1.
func askSMB(q question) []byte {
	b := []byte("\xffSMB\x72\x00\x00\x00\x00\x18\x53\xc8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(q.id)) // process
	b = append(b, 0, 0, 0, 0, 0)                          // user, multiplex, no words
	dialects := "\x02NT LM 0.12\x00\x02SMB 2.002\x00\x02SMB 2.???\x00"
	b = binary.LittleEndian.AppendUint16(b, uint16(len(dialects)))
	b = append(b, dialects...)
	return append(be32s(nil, uint32(len(b))), b...)
}

// readSMB takes a response to that, of SMB 1 or 2.
func readSMB(_ question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	length := c.be32()
	if len(said) >= 4 && (length < 32 || length > 0xffff) {
		return none(no)
	}
	if c.failed {
		return none(more)
	}
	if m := begins(c.b, "\xfeSMB"); m == no && begins(c.b, "\xffSMB\x72") == no {
		return none(no)
	}
	message := c.bytes(int(length))
	if c.failed {
		return none(more)
	}
	switch {
	case message[0] == 0xff && len(message) > 9 && message[9]&0x80 != 0: // SMB 1: the reply flag
	case message[0] == 0xfe && len(message) >= 70 && binary.LittleEndian.Uint16(message[4:]) == 64 &&
		binary.LittleEndian.Uint16(message[12:]) == 0 && message[16]&1 != 0:
	default:
		return none(no)
	}
	return is("smb", message), yes
}

// askRDP is a connection request of X.224 that offers TLS: MS-RDPBCGR section
// 2.2.1.1.
func askRDP() []byte {
	return []byte{3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0}
}

// readRDP takes the confirmation, section 2.2.1.2: with the choice, with a
// refusal of it, or of a server too old for either.
func readRDP(_ question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	version, zero, length := c.u8(), c.u8(), c.be16()
	if len(said) >= 1 && version != 3 || len(said) >= 2 && zero != 0 || len(said) >= 4 && length != 11 && length != 19 {
		return none(no)
	}
	body := c.bytes(length - 4)
	if c.failed {
		return none(more)
	}
	if int(body[0]) != length-5 || body[1] != 0xd0 || body[6] != 0 {
		return none(no)
	}
	if length == 19 && (body[7] != 2 && body[7] != 3 || body[9] != 8 || body[10] != 0) {
		return none(no)
	}
	return is("rdp", said), yes
}

// talkRDP goes inside TLS if that was chosen.
func talkRDP(c *conn, s monban.Service) monban.Service {
	if len(c.said) != 19 || c.said[11] != 2 || binary.LittleEndian.Uint32(c.said[15:]) == 0 {
		return s
	}
	c.said = nil
	return c.startTLS(s)
}

// netbiosDatagrams asks a NetBIOS name service for its names: RFC 1002 section
// 4.2.17.
func netbiosDatagrams() []signature {
	const name = "\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01"
	return []signature{{
		name: "netbios-ns", ports: []uint16{137},
		ask: func(q question) []byte {
			return append(append(be16s(nil, int(q.id&0xffff)), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0), name...)
		},
		read: func(q question, said []byte) (monban.Service, match) {
			c := cursor{b: said}
			id, flags, questions, answers := c.be16(), c.be16(), c.be16(), c.be16()
			c.bytes(4)
			if c.failed || id != int(q.id&0xffff) || flags&0xf800 != 0x8000 || questions != 0 || answers != 1 || !bytes.HasPrefix(c.b, []byte(name[:34])) {
				return none(no)
			}
			c.bytes(34)
			if kind := c.be16(); c.failed || kind != 0x21 {
				return none(no)
			}
			return is("netbios-ns", said), yes
		},
	}}
}
