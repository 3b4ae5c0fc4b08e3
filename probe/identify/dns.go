package identify

import (
	"strings"

	"github.com/monban-dev/monban"
)

// dnsDatagrams: RFC 1035, and version.bind, which BIND began and others answer
// (RFC 4892).
func dnsDatagrams() []signature {
	return []signature{{name: "dns", ports: []uint16{53, 5353}, ask: askDNS, read: readDNS}}
}

// dnsQuestions is DNS over TCP: RFC 7766, each message behind its length.
func dnsQuestions() []signature {
	return []signature{{
		name: "dns", ports: []uint16{53, 853},
		ask: func(q question) []byte {
			message := askDNS(q)
			return append(be16s(nil, len(message)), message...)
		},
		read: func(q question, said []byte) (monban.Service, match) {
			c := cursor{b: said}
			n := c.be16()
			if len(said) >= 2 && n < 12 || len(said) >= 4 && said[2] != byte(q.id>>8) {
				return none(no)
			}
			message := c.bytes(n)
			if c.failed {
				return none(more)
			}
			return readDNS(q, message)
		},
	}}
}

const versionBind = "\x07version\x04bind\x00\x00\x10\x00\x03" // TXT, CHAOS

// askDNS asks for version.bind TXT CH.
func askDNS(q question) []byte {
	b := be16s(nil, int(q.id&0xffff))
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) // a query, no recursion, one question
	return append(b, versionBind...)
}

// readDNS takes a response to that query: the id is ours, the QR bit says
// response, and the question, where it is repeated, is the one asked. A server
// that refuses to tell its version has answered all the same; only one that does
// not understand leaves the question out, and says nothing more.
func readDNS(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	id, flags, questions, answers, more := c.be16(), c.be16(), c.be16(), c.be16(), c.be32()
	if c.failed || id != int(q.id&0xffff) || flags&0x8000 == 0 || flags&0x7840 != 0 || questions > 1 {
		return none(no) // opcode other than query, or the reserved bit
	}
	rcode := flags & 15
	if rcode > 5 || questions == 0 && (rcode == 0 || answers != 0) {
		return none(no)
	}
	if questions == 1 && string(c.bytes(len(versionBind))) != versionBind {
		return none(no)
	}
	s := is("dns", said)
	if answers == 0 {
		if more == 0 && len(c.b) > 0 {
			return none(no)
		}
		return s, yes
	}
	c.name()
	kind, class := c.be16(), c.be16()
	c.be32()
	data := cursor{b: c.bytes(c.be16())}
	text := string(data.bytes(data.u8()))
	if !c.failed && !data.failed && kind == 16 && class == 3 {
		s.Product, s.Version = dnsProduct(text)
	}
	return s, yes
}

// name skips a domain name: RFC 1035 section 4.1.4.
func (c *cursor) name() {
	for range 128 {
		switch n := c.u8(); {
		case n == 0:
			return
		case n >= 0xc0:
			c.u8()
			return
		default:
			c.bytes(n)
		}
	}
	c.failed = true
}

// dnsProduct reads what servers say of themselves: "unbound 1.17.1",
// "dnsmasq-2.90", "Knot DNS 3.2.6"; BIND says its version alone.
func dnsProduct(text string) (product, version string) {
	for _, p := range []struct{ says, product string }{
		{"unbound", "Unbound"}, {"dnsmasq", "dnsmasq"}, {"Knot DNS", "Knot DNS"}, {"Knot Resolver", "Knot Resolver"},
		{"PowerDNS Recursor", "PowerDNS Recursor"}, {"PowerDNS Authoritative Server", "PowerDNS"}, {"NSD", "NSD"}, {"CoreDNS", "CoreDNS"},
		{"Microsoft DNS", "Microsoft DNS"}, {"BIND", "BIND"},
	} {
		if strings.HasPrefix(text, p.says) {
			return p.product, versionAfter(text, p.says)
		}
	}
	if v := leadingVersion(text); strings.HasPrefix(v, "9.") {
		return "BIND", v
	}
	return "", ""
}
