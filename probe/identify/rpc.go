package identify

import "github.com/monban-dev/monban"

// The programs of ONC RPC that are asked for, by their numbers (RFC 1833, RFC
// 1813, and the registry).
const (
	rpcPortmapper = 100000
	rpcNFS        = 100003
	rpcMount      = 100005
	rpcLock       = 100021
	rpcStatus     = 100024
)

// rpcQuestions: RFC 5531, over TCP behind a record mark, section 11. Procedure 0
// of every program does nothing.
func rpcQuestions() []signature {
	return []signature{{
		name: "rpcbind", ports: []uint16{111, 2049, 20048},
		ask: func(q question) []byte { return rpcRecord(rpcCall(q.id, rpcPortmapper, 2)) },
		read: func(q question, said []byte) (monban.Service, match) {
			message, m := rpcMessage(said)
			if m != yes {
				return none(m)
			}
			return readRPC(q, message)
		},
		talk: talkRPC,
	}}
}

func rpcDatagrams() []signature {
	rows := []signature{{name: "rpcbind", ports: []uint16{111}, ask: func(q question) []byte { return rpcCall(q.id, rpcPortmapper, 2) }, read: readRPC}}
	rows = append(rows, signature{name: "nfs", ports: []uint16{2049}, ask: func(q question) []byte { return rpcCall(q.id, rpcNFS, 3) },
		read: func(q question, said []byte) (monban.Service, match) {
			if status, ok := rpcReply(q.id, said); ok && (status == 0 || status == 2) {
				return is("nfs", said), yes
			}
			return none(no)
		}})
	return rows
}

func rpcCall(id, program, version uint32) []byte {
	b := be32s(be32s(nil, id), 0)
	b = be32s(be32s(b, 2), program)
	b = be32s(be32s(b, version), 0)
	return append(b, make([]byte, 16)...) // no credentials
}

func rpcRecord(message []byte) []byte {
	return append(be32s(nil, 1<<31|uint32(len(message))), message...)
}

// rpcMessage takes a message out of its record.
func rpcMessage(said []byte) (message []byte, m match) {
	c := cursor{b: said}
	mark := c.be32()
	if len(said) >= 4 && (mark>>31 != 1 || mark&0x7fffffff < 12 || mark&0x7fffffff > 400) {
		return nil, no
	}
	message = c.bytes(int(mark & 0x7fffffff))
	if c.failed {
		return nil, more
	}
	return message, yes
}

// rpcReply returns how a call went: 0 is done, 1 no such program, 2 no such
// version of it. A refusal is -1.
func rpcReply(id uint32, message []byte) (status int, ok bool) {
	c := cursor{b: message}
	if c.be32() != id || c.be32() != 1 || c.failed {
		return 0, false
	}
	if rejected := c.be32(); rejected == 1 {
		return -1, !c.failed && c.be32() <= 1
	} else if rejected != 0 {
		return 0, false
	}
	c.be32()
	c.bytes(int(min(c.be32(), 400)))
	status = int(c.be32())
	return status, !c.failed && status <= 5
}

// readRPC takes any reply to our call: it is RPC. Whose program, talk finds out.
func readRPC(q question, message []byte) (monban.Service, match) {
	status, ok := rpcReply(q.id, message)
	if !ok {
		return none(no)
	}
	if status == 0 || status == 2 {
		return is("rpcbind", message), yes
	}
	return is("rpc", message), yes
}

func talkRPC(c *conn, s monban.Service) monban.Service {
	if s.Protocol != "rpc" {
		return s
	}
	for i, p := range []struct {
		program, version uint32
		name             string
	}{{rpcNFS, 3, "nfs"}, {rpcMount, 3, "mountd"}, {rpcLock, 4, "nlockmgr"}, {rpcStatus, 1, "status"}} {
		id := c.id + uint32(i) + 1
		status, ok := -1, false
		c.ask(rpcRecord(rpcCall(id, p.program, p.version)), func(said []byte) int {
			message, m := rpcMessage(said)
			if m == no {
				return -1
			} else if m == more {
				return 0
			}
			status, ok = rpcReply(id, message)
			return 4 + len(message)
		})
		if ok && (status == 0 || status == 2) {
			s.Protocol = p.name
			return s
		}
	}
	return s
}
