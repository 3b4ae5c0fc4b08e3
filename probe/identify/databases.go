package identify

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// databaseQuestions are databases that are met less often.
func databaseQuestions() []signature {
	return []signature{
		{name: "mssql", ports: []uint16{1433}, ask: func(question) []byte { return preLogin() }, read: readMSSQL},
		{name: "oracle", ports: []uint16{1521, 1526}, ask: func(question) []byte { return askOracle() }, read: readOracle, talk: talkOracle},
		{name: "cassandra", ports: []uint16{9042}, ask: askCassandra, read: readCassandra},
	}
}

// preLogin is the first message of TDS: MS-TDS section 2.2.6.5. Version and
// encryption are offered, each by its place in what follows.
func preLogin() []byte {
	return []byte{
		0x12, 1, 0, 26, 0, 0, 1, 0,
		0, 0, 11, 0, 6,
		1, 0, 17, 0, 1,
		0xff,
		9, 0, 0, 0, 0, 0,
		2, // encryption is not supported here
	}
}

// readMSSQL takes the answer: a tabular result whose first option is a version
// of six bytes, that of the server. Whose it is nobody says: others speak TDS, too,
// such as Babelfish, and give a version of SQL Server's.
func readMSSQL(_ question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	kind, status, length := c.u8(), c.u8(), c.be16()
	c.bytes(4)
	if len(said) >= 1 && kind != 4 || len(said) >= 2 && status != 1 || len(said) >= 4 && (length < 19 || length > 4096) {
		return none(no)
	}
	body := c.bytes(length - 8)
	if c.failed {
		return none(more)
	}
	options := cursor{b: body}
	token, at, n := options.u8(), options.be16(), options.be16()
	if options.failed || token != 0 || n != 6 || at+n > len(body) || !bytes.Contains(body[:at], []byte{0xff}) {
		return none(no)
	}
	v := cursor{b: body[at : at+n]}
	s := is("mssql", said)
	s.Version = fmt.Sprintf("%d.%d.%d", v.u8(), v.u8(), v.be16())
	return s, yes
}

// askOracle is a CONNECT of the transparent network substrate with the command
// VERSION, as its listener takes it.
func askOracle() []byte {
	data := "(CONNECT_DATA=(COMMAND=VERSION))"
	b := be16s(nil, 58+len(data))
	b = append(b, 0, 0, 1, 0, 0, 0)       // CONNECT
	b = append(b, 1, 0x36, 1, 0x2c)       // version 310, compatible down to 300
	b = append(b, 0, 0, 8, 0, 0x7f, 0xff) // options, units
	b = append(b, 0x7f, 0x08, 0, 0, 0, 1) // characteristics
	b = be16s(be16s(b, len(data)), 58)    // length and place of the data
	b = append(b, make([]byte, 58-len(b))...)
	return append(b, data...)
}

// readOracle takes ACCEPT, REFUSE or RESEND: the first two with a description
// behind their heads, of 24 and more bytes and of 12.
func readOracle(_ question, said []byte) (monban.Service, match) {
	const accept, refuse, resend = 2, 4, 11
	c := cursor{b: said}
	length, sum, kind := c.be16(), c.be16(), c.u8()
	c.bytes(3)
	if len(said) >= 2 && (length < 8 || length > 4096) || len(said) >= 5 && (sum != 0 || kind != accept && kind != refuse && kind != resend) {
		return none(no)
	}
	body := c.bytes(length - 8)
	if c.failed {
		return none(more)
	}
	var text []byte
	head := cursor{b: body}
	switch kind {
	case accept: // the version, options, units and byte order; and where the description is in the packet
		version := head.be16()
		head.bytes(8)
		n, at := head.be16(), head.be16()
		if head.failed || version < 300 || version > 399 || at < 24 || at+n != length {
			return none(no)
		}
		text = body[at-8:]
	case refuse: // by whom, and the description's length
		head.bytes(2)
		if n := head.be16(); head.failed || n != len(head.b) {
			return none(no)
		}
		text = head.b
	case resend:
		if length != 8 {
			return none(no)
		}
	}
	switch {
	case bytes.HasPrefix(text, []byte("(DESCRIPTION=")):
	case kind != refuse && len(text) == 0:
		return seems("oracle", said), yes
	default:
		return none(no)
	}
	s := is("oracle", text)
	s.Product, s.Version = "Oracle TNS listener", oracleVersion(string(text))
	return s, yes
}

// talkOracle asks again where that was what the listener wanted.
func talkOracle(c *conn, s monban.Service) monban.Service {
	if s.Grade == monban.GradeIdentified {
		return s
	}
	better := s
	c.ask(askOracle(), func(said []byte) int {
		again, m := readOracle(c.question, said)
		if m == no {
			return -1
		}
		if m == yes && again.Grade > s.Grade {
			better = again
		}
		return int(m) / int(yes) * len(said)
	})
	return better
}

// oracleVersion reads VSNNUM, a number of 32 bits. Its parts have other widths
// since version 18, which its first 8 bits tell.
func oracleVersion(description string) string {
	_, rest, _ := strings.Cut(description, "(VSNNUM=")
	digits, _, _ := strings.Cut(rest, ")")
	n, err := strconv.ParseUint(digits, 10, 32)
	switch {
	case err != nil || n == 0:
		return ""
	case n>>24 >= 18:
		return fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>16&255, n>>12&15, n>>4&255)
	}
	return fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>20&15, n>>12&255, n>>8&15)
}

// askCassandra is OPTIONS of the native protocol, version 4: its specification,
// section 4.1.3. It needs no login.
func askCassandra(q question) []byte {
	return []byte{4, 0, byte(q.id), byte(q.id>>8) & 0x7f, 5, 0, 0, 0, 0}
}

// readCassandra takes SUPPORTED, or the ERROR of a server that has only other
// versions.
func readCassandra(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	version, _ := c.u8(), c.u8()
	stream, op, length := c.be16(), c.u8(), int(c.be32())
	if len(said) >= 1 && (version&0x80 == 0 || version&0x7f > 6 || version&0x7f < 3) || len(said) >= 9 && (op != 6 && op != 0 || length < 2 || length > 1<<16) {
		return none(no)
	}
	body := c.bytes(length)
	if c.failed {
		return none(more)
	}
	if op == 6 && stream == int(byte(q.id))<<8|int(byte(q.id>>8)&0x7f) && bytes.Contains(body, []byte("CQL_VERSION")) {
		return is("cassandra", body), yes
	}
	if op == 0 && bytes.Contains(body, []byte("protocol version")) {
		return is("cassandra", body), yes
	}
	return none(no)
}
