package identify

import (
	"encoding/binary"
	"fmt"

	"github.com/monban-dev/monban"
)

// x11Questions: "X Window System Protocol", Connection Setup.
func x11Questions() []signature {
	return []signature{{
		name: "x11", ports: []uint16{6000, 6001, 6010},
		ask:  func(question) []byte { return []byte{'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0} },
		read: readX11,
	}}
}

// readX11 takes a refusal (0), a success (1) or a demand for authentication (2)
// of protocol version 11.
func readX11(_ question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	status, reason := c.u8(), c.u8()
	major, minor, length := c.le16(), c.le16(), 4*c.le16()
	if len(said) >= 1 && status > 2 {
		return none(no)
	}
	body := cursor{b: c.bytes(length)}
	switch {
	case len(said) < 8:
		return none(more)
	case status != 2 && (major != 11 || minor != 0), length == 0, status == 0 && (reason == 0 || reason > length):
		return none(no)
	case c.failed:
		return none(more)
	case status == 0:
		why := body.bytes(reason)
		if !printable(why) {
			return none(no)
		}
		return is("x11", why), yes
	case status == 2:
		if !printable(body.b) {
			return none(no)
		}
		return seems("x11", body.b), yes
	}
	release := body.le32()
	body.bytes(12)
	n := body.le16()
	body.bytes(14)
	vendor := body.bytes(n)
	if body.failed || !printable(vendor) {
		return none(no)
	}
	s := is("x11", vendor)
	s.Product = string(vendor)
	if s.Product == "The X.Org Foundation" {
		s.Product, s.Version = "X.Org", xorgVersion(release)
	}
	return s, yes
}

// xorgVersion reads the release that the X.Org server states: 12101007 is
// 21.1.7, from 1.21.1.7 (its xorg-server.h).
func xorgVersion(release uint32) string {
	major, minor, patch, snap := release/10000000, release/100000%100, release/1000%100, release%1000
	if major == 1 && minor >= 20 {
		return fmt.Sprintf("%d.%d.%d", minor, patch, snap)
	}
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

// javaQuestions: the Java debug wire protocol, and AJP, by which web servers
// reach Tomcat.
func javaQuestions() []signature {
	return []signature{
		{name: "ajp", ports: []uint16{8009}, ask: func(question) []byte { return []byte{0x12, 0x34, 0, 1, 10} }, read: readAJP},
		{name: "jdwp", ports: []uint16{5005, 8787}, ask: askJDWP, read: readJDWP},
	}
}

// readAJP takes CPong: "The Apache Tomcat Connectors, AJP Protocol Reference".
func readAJP(_ question, said []byte) (monban.Service, match) {
	m := begins(said, "AB\x00\x01\x09")
	if m == yes && len(said) == 5 {
		return is("ajp", said), yes
	}
	return none(min(m, more))
}

const jdwpHandshake = "JDWP-Handshake"

// askJDWP is the handshake, which is answered by itself as an echo does, and
// behind it the command Version, which is not: "Java Debug Wire Protocol".
func askJDWP(q question) []byte {
	b := be32s([]byte(jdwpHandshake), 11)
	return append(be32s(b, q.id), 0, 1, 1)
}

func readJDWP(q question, said []byte) (monban.Service, match) {
	if m := begins(said, jdwpHandshake); m != yes {
		return none(m)
	}
	c := cursor{b: said[len(jdwpHandshake):]}
	length, id := c.be32(), c.be32()
	flags, problem := c.u8(), c.be16()
	if c.failed {
		return none(more)
	}
	if length < 11 || length > 4096 || id != q.id || flags != 0x80 {
		return none(no)
	}
	body := cursor{b: c.bytes(int(length) - 11)}
	if c.failed {
		return none(more)
	}
	s := is("jdwp", said)
	if problem != 0 {
		// Its errors are from 10 to 113 and from 500 to 514.
		if length != 11 || problem < 10 || problem > 514 || problem > 113 && problem < 500 {
			return none(no)
		}
		return s, yes
	}
	text := func() string { return string(body.bytes(int(min(body.be32(), 4096)))) }
	s.Evidence = cut(text())
	body.bytes(8)
	if version, name := text(), text(); !body.failed {
		s.Product, s.Version = name, version
	}
	return s, yes
}

// modbusQuestions: "MODBUS Messaging on TCP/IP", and the function "read device
// identification", which changes nothing.
func modbusQuestions() []signature {
	return []signature{{
		name: "modbus", ports: []uint16{502},
		ask: func(q question) []byte {
			return append(be16s(nil, int(q.id&0xffff)), 0, 0, 0, 5, 0, 0x2b, 0x0e, 1, 0)
		},
		read: readModbus,
	}}
}

// readModbus takes the identification, or an exception: function 0xab with a
// reason.
func readModbus(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	id, protocol, length := c.be16(), c.be16(), c.be16()
	if len(said) >= 2 && id != int(q.id&0xffff) || len(said) >= 4 && protocol != 0 || len(said) >= 6 && (length < 3 || length > 254) {
		return none(no)
	}
	body := cursor{b: c.bytes(length)}
	if c.failed {
		return none(more)
	}
	_, function, kind := body.u8(), body.u8(), body.u8()
	if function == 0xab && length == 3 && kind >= 1 && kind <= 11 {
		return is("modbus", said), yes
	}
	code, conformity, more, _, objects := body.u8(), body.u8(), body.u8(), body.u8(), body.u8()
	if body.failed || function != 0x2b || kind != 0x0e || code != 1 || conformity&0x7f == 0 || conformity&0x7f > 3 || more != 0 && more != 0xff {
		return none(no)
	}
	s := is("modbus", said)
	for range objects {
		object := body.u8()
		value := string(body.bytes(body.u8()))
		switch {
		case body.failed:
		case object == 0:
			s.Product = value
		case object == 1:
			s.Product += " " + value
		case object == 2:
			s.Version = value
		}
	}
	return s, yes
}

// erlangQuestions: "Distribution Protocol" in the manual of ERTS, NAMES_REQ.
func erlangQuestions() []signature {
	return []signature{{name: "epmd", ports: []uint16{4369}, ask: func(question) []byte { return []byte{0, 1, 'n'} }, read: readEPMD}}
}

// readEPMD takes the daemon's own port, which is this one, and a line for each
// node.
func readEPMD(q question, said []byte) (monban.Service, match) {
	if len(said) < 4 {
		return none(more)
	}
	// Or 4369 for a daemon that is reached by another number than its own.
	if port := binary.BigEndian.Uint32(said); port != uint32(q.target.Port()) && port != 4369 {
		return none(no)
	}
	if len(said) > 4 {
		if m := begins(said[4:], "name "); m != yes {
			return none(m)
		}
	}
	return is("epmd", said), yes
}
