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
		{name: "oracle", ports: []uint16{1521, 1526}, ask: func(question) []byte { return askOracle() }, read: readOracle},
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
// of six bytes.
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
	s.Product, s.Version = "Microsoft SQL Server", fmt.Sprintf("%d.%d.%d", v.u8(), v.u8(), v.be16())
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

// readOracle takes ACCEPT, REFUSE or RESEND.
func readOracle(_ question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	length, sum, kind := c.be16(), c.be16(), c.u8()
	c.bytes(3)
	if len(said) >= 2 && (length < 8 || length > 4096) || len(said) >= 5 && (sum != 0 || kind != 2 && kind != 4 && kind != 11) {
		return none(no)
	}
	body := c.bytes(length - 8)
	if c.failed {
		return none(more)
	}
	text := string(body)
	switch {
	case kind == 11 && length == 8, kind == 2 && length >= 24:
		return seems("oracle", said), yes
	case kind == 4 && strings.Contains(text, "(DESCRIPTION="):
	default:
		return none(no)
	}
	s := is("oracle", body)
	s.Product = "Oracle TNS listener"
	if _, rest, ok := strings.Cut(text, "VSNNUM="); ok {
		digits, _, _ := strings.Cut(rest, ")")
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil {
			s.Version = fmt.Sprintf("%d.%d.%d.%d", n>>24, n>>20&15, n>>12&255, n>>8&15)
		}
	}
	return s, yes
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
