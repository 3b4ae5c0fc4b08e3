package identify

import (
	"bytes"

	"github.com/monban-dev/monban"
)

// A ber value of the basic encoding rules, X.690, with a definite length.
type ber struct {
	tag     byte
	content []byte
	size    int // with its head
}

// parseBER takes the first value. It is more where it is not whole.
func parseBER(b []byte) (v ber, m match) {
	c := cursor{b: b}
	v.tag = byte(c.u8())
	length := c.u8()
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 4 {
			if len(b) < 2 {
				return v, more
			}
			return v, no
		}
		length = 0
		for _, d := range c.bytes(n) {
			length = length<<8 | int(d)
		}
	}
	if !c.failed && length > readBudget {
		return v, no
	}
	v.content = c.bytes(length)
	if c.failed {
		return v, more
	}
	v.size = len(b) - len(c.b)
	return v, yes
}

// values takes a sequence of values; ok is false where one is broken.
func values(b []byte) (list []ber, ok bool) {
	for len(b) > 0 && len(list) < 64 {
		v, m := parseBER(b)
		if m != yes {
			return list, false
		}
		list = append(list, v)
		b = b[v.size:]
	}
	return list, true
}

// asBER encodes one value.
func asBER(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	b := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		b = append(b, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, content...)
}

// ldapQuestions: RFC 4511. The root entry may be read by everybody.
func ldapQuestions() []signature {
	return []signature{{name: "ldap", ports: []uint16{389, 636, 3268, 3269}, ask: askLDAP, read: readLDAP, talk: talkLDAP}}
}

// number3 is an INTEGER of three bytes, whose first is not negative.
func number3(id uint32) []byte {
	return asBER(2, []byte{byte(id>>16)&0x3f | 0x40, byte(id >> 8), byte(id)})
}

func askLDAP(q question) []byte {
	return asBER(0x30, number3(q.id), asBER(0x63, // searchRequest
		asBER(4), asBER(10, []byte{0}), asBER(10, []byte{0}), // the root, itself alone
		asBER(2, []byte{1}), asBER(2, []byte{3}), asBER(1, []byte{0}), // one entry, three seconds
		asBER(0x87, []byte("objectClass")),
		asBER(0x30, asBER(4, []byte("vendorName")), asBER(4, []byte("vendorVersion")), asBER(4, []byte("objectClass")),
			asBER(4, []byte("supportedExtension")), asBER(4, []byte("structuralObjectClass")), asBER(4, []byte("supportedLDAPVersion")), asBER(4, []byte("forestFunctionality")))))
}

// ldapAnswer returns the operation of a message with our number.
func ldapAnswer(q question, said []byte) (op ber, size int, m match) {
	if len(said) > 0 && said[0] != 0x30 {
		return op, 0, no
	}
	message, m := parseBER(said)
	if m != yes {
		return op, 0, m
	}
	list, ok := values(message.content)
	if !ok || len(list) < 2 || !bytes.Equal(message.content[:list[0].size], number3(q.id)) {
		return op, 0, no
	}
	return list[1], message.size, yes
}

// readLDAP takes an entry, or the result of a search.
func readLDAP(q question, said []byte) (monban.Service, match) {
	op, _, m := ldapAnswer(q, said)
	if m != yes {
		return none(m)
	}
	if list, ok := values(op.content); !ok || op.tag == 0x65 && (len(list) < 3 || list[0].tag != 10) || op.tag == 0x64 && (len(list) != 2 || list[0].tag != 4) || op.tag != 0x64 && op.tag != 0x65 {
		return none(no)
	}
	s := is("ldap", op.content)
	entry := op.content
	switch {
	case bytes.Contains(entry, []byte("OpenLDAProotDSE")):
		s.Product = "OpenLDAP"
	case bytes.Contains(entry, []byte("forestFunctionality")):
		s.Product = "Active Directory"
	default:
		s.Product = ldapValue(entry, "vendorName")
	}
	s.Version = ldapValue(entry, "vendorVersion")
	return s, yes
}

// ldapValue finds the first value of an attribute of an entry.
func ldapValue(entry []byte, name string) string {
	_, rest, ok := bytes.Cut(entry, asBER(4, []byte(name)))
	if !ok {
		return ""
	}
	set, m := parseBER(rest)
	if m != yes || set.tag != 0x31 {
		return ""
	}
	if list, ok := values(set.content); ok && len(list) > 0 {
		return string(list[0].content)
	}
	return ""
}

// startTLSOID names the extended operation of RFC 4511 section 4.14.
const startTLSOID = "1.3.6.1.4.1.1466.20037"

// talkLDAP asks for TLS if the root entry offers it.
func talkLDAP(c *conn, s monban.Service) monban.Service {
	if !bytes.Contains(c.said, []byte(startTLSOID)) {
		return s
	}
	// The search's result comes before: it may be here already, or not yet.
	done := false
	c.hearUntil(func(said []byte) bool {
		for rest := said; len(rest) > 0; {
			op, size, m := ldapAnswer(c.question, rest)
			if m != yes {
				return m == no
			}
			done = op.tag == 0x65
			rest = rest[size:]
		}
		return done
	})
	if !done {
		return s
	}
	q := question{id: c.id + 1}
	var op ber
	c.ask(asBER(0x30, number3(q.id), asBER(0x77, asBER(0x80, []byte(startTLSOID)))), func(said []byte) int {
		var size int
		var m match
		if op, size, m = ldapAnswer(q, said); m == no {
			return -1
		}
		return size
	})
	if list, ok := values(op.content); ok && op.tag == 0x78 && len(list) > 0 && bytes.Equal(list[0].content, []byte{0}) {
		return c.startTLS(s)
	}
	return s
}

// kerberosQuestions: RFC 4120, over TCP behind a length, section 7.2.2.
func kerberosQuestions() []signature {
	return []signature{{
		name: "kerberos", ports: []uint16{88, 464},
		ask: func(q question) []byte {
			message := askKerberos(q)
			return append(be32s(nil, uint32(len(message))), message...)
		},
		read: func(q question, said []byte) (monban.Service, match) {
			c := cursor{b: said}
			n := c.be32()
			if len(said) >= 4 && (n < 20 || n > 4096) {
				return none(no)
			}
			message := c.bytes(int(n))
			if c.failed {
				return none(more)
			}
			return readKerberos(q, message)
		},
	}}
}

func kerberosDatagrams() []signature {
	return []signature{{name: "kerberos", ports: []uint16{88}, ask: askKerberos, read: readKerberos}}
}

// askKerberos asks for a ticket in a realm that there is not. No key is named,
// so it is no failed login of anybody.
func askKerberos(q question) []byte {
	text := func(s string) []byte { return asBER(0x1b, []byte(s)) }
	number := func(n byte) []byte { return asBER(2, []byte{n}) }
	name := func(kind byte, parts ...string) []byte {
		var list []byte
		for _, p := range parts {
			list = append(list, text(p)...)
		}
		return asBER(0x30, asBER(0xa0, number(kind)), asBER(0xa1, asBER(0x30, list)))
	}
	const realm = "MONBAN.INVALID"
	body := asBER(0x30,
		asBER(0xa0, asBER(3, []byte{0, 0, 0, 0, 0})),
		asBER(0xa1, name(1, "monban")),
		asBER(0xa2, text(realm)),
		asBER(0xa3, name(2, "krbtgt", realm)),
		asBER(0xa5, asBER(0x18, []byte("20370101000000Z"))),
		asBER(0xa7, number3(q.id)),
		asBER(0xa8, asBER(0x30, number(18), number(17), number(23))))
	return asBER(0x6a, asBER(0x30, asBER(0xa1, number(5)), asBER(0xa2, number(10)), asBER(0xa4, body)))
}

// readKerberos takes KRB-ERROR: protocol version 5, type 30.
func readKerberos(_ question, said []byte) (monban.Service, match) {
	outer, m := parseBER(said)
	if m != yes || outer.tag != 0x7e {
		return none(no)
	}
	sequence, m := parseBER(outer.content)
	if m != yes || sequence.tag != 0x30 {
		return none(no)
	}
	if list, ok := values(sequence.content); !ok || len(list) < 5 || !bytes.Equal(list[0].content, []byte{2, 1, 5}) || !bytes.Equal(list[1].content, []byte{2, 1, 30}) {
		return none(no)
	}
	return is("kerberos", said), yes
}
