package identify

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// networkDatagrams are what a network needs to run.
func networkDatagrams() []signature {
	return []signature{
		{name: "ntp", ports: []uint16{123}, ask: askNTP, read: readNTP},
		{name: "snmp", ports: []uint16{161}, ask: askSNMP, read: readSNMP},
		{name: "tftp", ports: []uint16{69}, ask: askTFTP, read: readTFTP, anyPort: true},
		{name: "mdns", ports: []uint16{5353}, ask: askMDNS, read: readMDNS},
		{name: "ssdp", ports: []uint16{1900}, ask: func(question) []byte { return askSSDP() }, read: readSSDP, anyPort: true},
	}
}

// askNTP is a client's packet of version 4: RFC 5905 section 7.3. The time in it
// is random, as RFC 9109's draft for privacy has it; the server repeats it.
func askNTP(q question) []byte {
	b := make([]byte, 40, 48)
	b[0] = 4<<3 | 3
	return be32s(be32s(b, q.id), ^q.id)
}

func readNTP(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	mode := c.u8()
	stratum := c.u8()
	c.bytes(22)
	if a, b := c.be32(), c.be32(); c.failed || len(said) < 48 || mode&7 != 4 || mode>>3&7 < 1 || mode>>3&7 > 4 || stratum > 16 || a != q.id || b != ^q.id {
		return none(no)
	}
	return is("ntp", said), yes
}

// askSNMP asks an agent for its engine, which is told to everybody: RFC 3414
// section 4. No community is guessed.
func askSNMP(q question) []byte {
	empty := asBER(4)
	security := asBER(4, asBER(0x30, empty, asBER(2, []byte{0}), asBER(2, []byte{0}), empty, empty, empty))
	header := asBER(0x30, number3(q.id), asBER(2, []byte{0, 0xff, 0xe3}), asBER(4, []byte{4}), asBER(2, []byte{3}))
	scoped := asBER(0x30, empty, empty, asBER(0xa0, number3(q.id), asBER(2, []byte{0}), asBER(2, []byte{0}), asBER(0x30)))
	return asBER(0x30, asBER(2, []byte{3}), header, security, scoped)
}

// readSNMP takes the report: version 3, our number, an engine's id.
func readSNMP(q question, said []byte) (monban.Service, match) {
	outer, m := parseBER(said)
	if m != yes || outer.tag != 0x30 {
		return none(no)
	}
	list, ok := values(outer.content)
	if !ok || len(list) < 4 || !bytes.Equal(list[0].content, []byte{3}) || !bytes.HasPrefix(list[1].content, number3(q.id)) {
		return none(no)
	}
	security, m := parseBER(list[2].content)
	if m != yes {
		return none(no)
	}
	fields, ok := values(security.content)
	if !ok || len(fields) != 6 || len(fields[0].content) < 5 {
		return none(no)
	}
	s := is("snmp", said)
	// The engine's id begins with the enterprise's number, RFC 3411 section 5.
	if engine := fields[0].content; bytes.HasPrefix(engine, []byte{0x80, 0, 0x1f, 0x88}) {
		s.Product = "Net-SNMP"
	}
	return s, yes
}

// askTFTP asks for a file that there is not: RFC 1350.
func askTFTP(q question) []byte { return fmt.Appendf(nil, "\x00\x01monban-%08x\x00octet\x00", q.id) }

// readTFTP takes the error, which comes from another port.
func readTFTP(_ question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	op, code := c.be16(), c.be16()
	text := c.text()
	if c.failed || len(c.b) > 0 || op != 5 || code > 8 || !printable([]byte(text)) {
		return none(no)
	}
	return is("tftp", []byte(text)), yes
}

const mdnsServices = "\x09_services\x07_dns-sd\x04_udp\x05local\x00\x00\x0c\x00\x01"

// askMDNS asks which services there are: RFC 6762 section 6.7, RFC 6763 section
// 9.
func askMDNS(q question) []byte {
	return append(append(be16s(nil, int(q.id&0xffff)), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0), mdnsServices...)
}

func readMDNS(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	id, flags, _, answers := c.be16(), c.be16(), c.be16(), c.be16()
	if c.failed || id != int(q.id&0xffff) || flags&0xfbff != 0x8000 || answers == 0 || !bytes.Contains(said, []byte(mdnsServices[:24])) {
		return none(no)
	}
	return is("mdns", said), yes
}

// askSSDP is the search of UPnP Device Architecture 1.1 section 1.3.2, sent to
// one host.
func askSSDP() []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n")
}

func readSSDP(_ question, said []byte) (monban.Service, match) {
	a, m := parseHTTP(said, "HTTP")
	if m != yes || a.status != 200 || a.get("st") == "" || a.get("usn") == "" {
		return none(no)
	}
	s := is("ssdp", said)
	// "Linux/5.10 UPnP/1.1 MiniDLNA/1.3.0": the product is the last.
	if words := strings.Fields(a.get("server")); len(words) > 0 {
		s.Product, s.Version, _ = strings.Cut(words[len(words)-1], "/")
	}
	return s, yes
}
