package identify

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/monban-dev/monban"
)

// messagingQuestions are brokers and coordinators.
func messagingQuestions() []signature {
	return []signature{
		{
			name: "amqp", ports: []uint16{5672, 5671},
			ask: func(question) []byte { return []byte(amqpHeader) }, read: readAMQP,
			resembles: func(said []byte) bool { return bytes.HasPrefix(said, []byte("AMQP")) },
		},
		{name: "mqtt", ports: []uint16{1883, 8883}, ask: func(question) []byte { return askMQTTVersion() }, read: readMQTT, talk: talkMQTT},
		{name: "kafka", ports: []uint16{9092, 9093}, ask: askKafka, read: readKafka},
		{name: "zookeeper", ports: []uint16{2181, 2182}, ask: func(question) []byte { return []byte("srvr") }, read: readZooKeeper},
		{name: "mqtt", ports: []uint16{1883, 8883}, ask: func(question) []byte { return askMQTTMethod() }, read: readMQTT, talk: talkMQTT},
		// Not at a usual port: what answers to the other question says more of itself.
		{name: "amqp behind sasl", ask: func(question) []byte { return []byte(saslHeader) }, read: readSASL, repeats: true},
	}
}

// saslHeader asks for AMQP 1.0 behind a login, which is not begun: its specification,
// part 5 section 3.1. A server of 1.0 alone may hang up on any other header.
const saslHeader = "AMQP\x03\x01\x00\x00"

// readSASL takes the same header and the frame that has to follow it, with the ways to
// log in that there are (part 5 section 3.3.1). The header alone may be an echo.
func readSASL(_ question, said []byte) (monban.Service, match) {
	if m := begins(said, saslHeader); m != yes {
		return none(m)
	}
	c := cursor{b: said[len(saslHeader):]}
	size, offset, kind, _ := int(c.be32()), int(c.u8()), c.u8(), c.be16()
	if c.failed {
		return none(more)
	}
	if size < 12 || size > 4096 || offset < 2 || 4*offset > size-4 || kind != 1 {
		return none(no)
	}
	c.bytes(4 * (offset - 2)) // an extended header
	descriptor := string(c.bytes(3))
	c.bytes(size - 4*offset - 3)
	switch {
	case c.failed:
		return none(more)
	case descriptor != "\x00\x53\x40": // sasl-mechanisms
		return none(no)
	}
	return is("amqp", said), yes
}

// amqpHeader asks for AMQP 0-9-1: its specification, section 4.2.2.
const amqpHeader = "AMQP\x00\x00\x09\x01"

// readAMQP takes Connection.Start, or the header of the version that the server
// has instead.
func readAMQP(_ question, said []byte) (monban.Service, match) {
	if m := begins(said, "AMQP"); m != no {
		if len(said) < 8 {
			return none(more)
		}
		// 1.0, plain, within TLS, behind a login; 0-10, 0-9 and 0-8.
		switch string(said[4:]) {
		case "\x00\x01\x00\x00", "\x02\x01\x00\x00", "\x03\x01\x00\x00", "\x01\x01\x00\x0a", "\x01\x01\x00\x09", "\x01\x01\x08\x00":
			return is("amqp", said), yes
		}
		return none(no)
	}
	c := cursor{b: said}
	kind, channel, size := c.u8(), c.be16(), c.be32()
	if len(said) >= 1 && kind != 1 || len(said) >= 3 && channel != 0 || len(said) >= 7 && (size < 8 || size > 32<<10) {
		return none(no)
	}
	frame := cursor{b: c.bytes(int(size))}
	end := c.u8()
	if c.failed {
		return none(more)
	}
	class, method, major, _ := frame.be16(), frame.be16(), frame.u8(), frame.u8()
	properties := frame.bytes(int(frame.be32()))
	if frame.failed || end != 0xce || class != 10 || method != 10 || major != 0 {
		return none(no)
	}
	s := is("amqp", properties)
	s.Product, s.Version = amqpText(properties, "product"), amqpText(properties, "version")
	return s, yes
}

// amqpText finds a long string of a field table by its name.
func amqpText(table []byte, name string) string {
	_, rest, ok := bytes.Cut(table, append([]byte{byte(len(name))}, name+"S"...))
	if !ok {
		return ""
	}
	c := cursor{b: rest}
	return string(c.bytes(int(c.be32())))
}

// askMQTTVersion is a CONNECT of a protocol version that there is not, so that
// nobody is connected: MQTT 3.1.1 section 3.1.2.2.
func askMQTTVersion() []byte {
	return []byte("\x10\x12\x00\x04MQTT\x7f\x02\x00\x3c\x00\x06monban")
}

// askMQTTMethod is for servers that hang up on that without a word, as Aedes
// does: a CONNECT of version 5 that wants to log in by a method that there is
// not, which connects nobody either: MQTT 5 section 4.12. A server of version
// 3.1.1 refuses the version.
func askMQTTMethod() []byte {
	return []byte("\x10\x1c\x00\x04MQTT\x05\x02\x00\x3c\x09\x15\x00\x06monban\x00\x06monban")
}

// readMQTT takes a CONNACK: MQTT 3.1.1 section 3.2, MQTT 5 section 3.2. A
// refusal has a code from 1 to 5, or one of version 5 from 0x80; who does not
// refuse what there is not is asked once more by [talkMQTT].
func readMQTT(_ question, said []byte) (monban.Service, match) {
	if len(said) < 4 {
		return none(min(more, begins(said, "\x20")))
	}
	length, code := int(said[1]), said[3]
	if said[0] != 0x20 || length < 2 || length > 127 || said[2] != 0 || code > 5 && (code < 0x80 || code > 0x9f) {
		return none(no)
	}
	if len(said) < 2+length {
		return none(more)
	}
	// Behind the code of version 5 are properties, with their length before them.
	if len(said) > 2+length || length > 2 && int(said[4]) != length-3 {
		return none(no)
	}
	if code == 0 {
		return seems("mqtt", said), yes
	}
	return is("mqtt", said), yes
}

// talkMQTT pings where it was connected after all, and takes leave.
func talkMQTT(c *conn, s monban.Service) monban.Service {
	if s.Grade == monban.GradeIdentified {
		return s
	}
	answer := c.ask([]byte{0xc0, 0}, func(said []byte) int { return len(said) / 2 * 2 })
	if string(answer) == "\xd0\x00" {
		s.Grade = monban.GradeIdentified
	}
	c.say([]byte{0xe0, 0})
	return s
}

// askKafka is ApiVersions, version 0: the protocol guide of Kafka.
func askKafka(q question) []byte {
	body := be16s(be16s(nil, 18), 0)
	body = be32s(body, q.id&0x7fffffff)
	body = append(be16s(body, 6), "monban"...)
	return append(be32s(nil, uint32(len(body))), body...)
}

// readKafka takes a list of kinds of request with their versions, and nothing
// behind it.
func readKafka(q question, said []byte) (monban.Service, match) {
	c := cursor{b: said}
	length, id := c.be32(), c.be32()
	if len(said) >= 8 && id != q.id&0x7fffffff || len(said) >= 4 && (length < 10 || length > 16<<10) {
		return none(no)
	}
	body := cursor{b: c.bytes(int(length) - 4)}
	if c.failed {
		return none(more)
	}
	problem, n := body.be16(), int(body.be32())
	if body.failed || problem != 0 && problem != 35 || len(body.b) != 6*n || problem == 0 && n == 0 {
		return none(no)
	}
	return is("kafka", said), yes
}

// readZooKeeper takes the answer to the four letters "srvr": the administrator's
// guide of ZooKeeper. One where they are switched off says so.
func readZooKeeper(_ question, said []byte) (monban.Service, match) {
	for _, refusal := range []string{"srvr is not executed because it is not in the whitelist.", "This ZooKeeper instance is not currently serving requests"} {
		switch begins(said, refusal) {
		case yes:
			return is("zookeeper", said), yes
		case more:
			return none(more)
		}
	}
	line, m := firstLine(said)
	if m != yes {
		return none(min(m, begins(said, "Zookeeper version: ")))
	}
	version, ok := strings.CutPrefix(line, "Zookeeper version: ")
	if !ok {
		return none(no)
	}
	s := is("zookeeper", []byte(line))
	version, _, _ = strings.Cut(version, ",")
	version, _, _ = strings.Cut(leadingVersion(version), "-")
	s.Product, s.Version = "ZooKeeper", version
	return s, yes
}

// natsGreetings: "Client Protocol" in the documentation of NATS.
func natsGreetings() []signature {
	return []signature{{name: "nats", ports: []uint16{4222}, read: readNATS, talk: talkNATS}}
}

type natsInfo struct {
	ID          string `json:"server_id"`
	Version     string `json:"version"`
	TLSRequired bool   `json:"tls_required"`
}

func parseNATS(said []byte) (info natsInfo, m match) {
	if m := begins(said, "INFO {"); m != yes {
		return info, m
	}
	end := bytes.IndexByte(said, '\n')
	if end < 0 {
		if len(said) > 32<<10 {
			return info, no
		}
		return info, more
	}
	if json.Unmarshal(said[5:end], &info) != nil || info.ID == "" {
		return info, no
	}
	return info, yes
}

func readNATS(_ question, said []byte) (monban.Service, match) {
	info, m := parseNATS(said)
	if m != yes {
		return none(m)
	}
	s := seems("nats", said)
	s.Product, s.Version = "NATS", info.Version
	return s, yes
}

// talkNATS pings. A server that wants to know who asks refuses in words of the
// protocol.
func talkNATS(c *conn, s monban.Service) monban.Service {
	if info, _ := parseNATS(c.said); info.TLSRequired {
		c.said = nil
		if s = c.startTLS(s); !c.inside {
			return s
		}
	}
	answer := c.ask([]byte("PING\r\n"), aLine)
	if bytes.HasPrefix(answer, []byte("PONG")) || bytes.HasPrefix(answer, []byte("-ERR '")) {
		s.Grade = monban.GradeIdentified
	}
	return s
}
