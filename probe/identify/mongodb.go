package identify

import (
	"bytes"

	"github.com/monban-dev/monban"
)

// mongoQuestions: "MongoDB Wire Protocol" in its manual. isMaster as OP_QUERY is
// the oldest hello, and the one that all versions still take.
func mongoQuestions() []signature {
	return []signature{{
		name: "mongodb", ports: []uint16{27017, 27018, 27019},
		ask: askMongo, read: readMongo, talk: talkMongo,
		resembles: func(said []byte) bool { return bytes.Contains(said, []byte("access MongoDB over HTTP")) },
	}}
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// bsonOne is the document {name: 1}.
func bsonOne(name string) []byte {
	b := append([]byte{0x10}, name...)
	b = append(b, 0, 1, 0, 0, 0, 0)
	return append(le32s(nil, uint32(len(b)+4)), b...)
}

func mongoMessage(id uint32, op uint32, body []byte) []byte {
	b := le32s(nil, uint32(16+len(body)))
	b = le32s(b, id)
	b = le32s(b, 0)
	return append(le32s(b, op), body...)
}

func askMongo(q question) []byte { return mongoQuery(q.id, "isMaster") }

func mongoQuery(id uint32, command string) []byte {
	body := append(make([]byte, 4), "admin.$cmd\x00"...)
	body = le32s(le32s(body, 0), 0xffffffff) // skip none, return one and close
	return mongoMessage(id, opQuery, append(body, bsonOne(command)...))
}

// mongoReply returns the document of an OP_REPLY or OP_MSG to a request.
func mongoReply(id uint32, said []byte) (document []byte, m match) {
	c := cursor{b: said}
	length := c.le32()
	c.le32()
	to, op := c.le32(), c.le32()
	if len(said) >= 16 && (to != id || op != opReply && op != opMsg) || len(said) >= 4 && (length < 26 || length > readBudget) {
		return nil, no
	}
	body := cursor{b: c.bytes(int(length) - 16)}
	if c.failed {
		return nil, more
	}
	if op == opReply {
		body.bytes(4 + 8 + 4)
		if body.le32() != 1 {
			return nil, no
		}
	} else if body.le32(); body.u8() != 0 {
		return nil, no
	}
	if n := (&cursor{b: body.b}).le32(); body.failed || n < 5 || int64(n) > int64(len(body.b)) {
		return nil, no
	}
	return body.b, yes
}

func readMongo(q question, said []byte) (monban.Service, match) {
	document, m := mongoReply(q.id, said)
	if m != yes {
		return none(m)
	}
	if !bytes.Contains(document, []byte("maxBsonObjectSize\x00")) && !bytes.Contains(document, []byte("ismaster\x00")) && !bytes.Contains(document, []byte("errmsg\x00")) {
		return none(no)
	}
	return is("mongodb", document), yes
}

// talkMongo asks for buildInfo, which needs no login.
func talkMongo(c *conn, s monban.Service) monban.Service {
	body := append([]byte{0, 0, 0, 0, 0}, mongoCommand("buildInfo")...)
	id := c.id + 1
	var document []byte
	c.ask(mongoMessage(id, opMsg, body), func(said []byte) int {
		var m match
		if document, m = mongoReply(id, said); m == no {
			return -1
		}
		return len(document)
	})
	s.Product, s.Version = mongoBuild(document)
	return s
}

// mongoBuild reads a buildInfo. FerretDB states the version of MongoDB that it
// stands in for, and its own beside it; others stand in without a word, and so
// only the parts that mongod and mongos are built of, their allocator and their
// JavaScript engine, make a MongoDB.
func mongoBuild(document []byte) (product, version string) {
	if v := bsonString(document, "ferretdbVersion"); v != "" {
		return "FerretDB", leadingVersion(v)
	}
	if bsonString(document, "allocator") != "" || bsonString(document, "javascriptEngine") != "" {
		product = "MongoDB"
	}
	return product, bsonString(document, "version")
}

// mongoCommand is {name: 1, $db: "admin"}.
func mongoCommand(name string) []byte {
	b := append([]byte{0x10}, name...)
	b = append(b, "\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"...)
	return append(le32s(nil, uint32(len(b)+4)), b...)
}

// bsonString finds a string of a document by its name: type 2, the name, the
// length, the text.
func bsonString(document []byte, name string) string {
	_, rest, ok := bytes.Cut(document, []byte("\x02"+name+"\x00"))
	if !ok {
		return ""
	}
	c := cursor{b: rest}
	text := c.bytes(int(c.le32()))
	if c.failed || len(text) == 0 || text[len(text)-1] != 0 {
		return ""
	}
	return string(text[:len(text)-1])
}
