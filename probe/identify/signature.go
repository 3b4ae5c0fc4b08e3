package identify

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// A signature is how one protocol is asked, and how its answers are read.
type signature struct {
	// name is the protocol's, as in [monban.Service], or tells a second way to ask it
	// from the first.
	name string
	// ports are where it usually is. They decide what is asked first, and
	// nothing else.
	ports []uint16
	// ask returns what a client says first. It is nil for a protocol whose
	// server speaks first.
	ask func(q question) []byte
	// read judges what the server has said so far to that. It is pure, and
	// never takes q's own bytes for an answer.
	read func(q question, said []byte) (monban.Service, match)
	// talk goes on after read said yes, on the same connection, to confirm what
	// is only likely and to learn more. It may be nil.
	talk func(c *conn, s monban.Service) monban.Service
	// resembles reports whether what a server said to something else suggests to
	// ask this next. It may be nil. It is never a verdict.
	resembles func(said []byte) bool
	// repeats reports that a valid answer begins with the question itself. Then read
	// wants more than that.
	repeats bool
	// anyPort reports that a UDP answer may come from another port of the
	// target.
	anyPort bool
}

// A question is what varies between two times of asking the same.
type question struct {
	// id is random: an answer has to repeat it where the protocol has a place
	// for it, so that nothing but an answer to this question is one.
	id     uint32
	target netip.AddrPort
}

func newQuestion(target netip.AddrPort) question {
	return question{id: rand.Uint32(), target: target}
}

// A match is what bytes are to a signature.
type match uint8

const (
	no   match = iota // not the beginning of a valid answer
	more              // valid so far, and not whole
	yes
)

// is returns a match of the protocol, confirmed by a valid answer.
func is(protocol string, said []byte) monban.Service {
	return monban.Service{Protocol: protocol, Grade: monban.GradeIdentified, Evidence: cut(string(said))}
}

// seems returns a match of a banner.
func seems(protocol string, said []byte) monban.Service {
	return monban.Service{Protocol: protocol, Grade: monban.GradeLikely, Evidence: cut(string(said))}
}

// none is what a read returns beside no and more.
func none(m match) (monban.Service, match) { return monban.Service{}, m }

// greetings are the protocols whose server speaks first, over TCP. The order
// decides between those whose banners are alike: what is strict comes first.
func greetings() []signature {
	return slices.Concat(
		sshGreetings(),
		telnetGreetings(),
		vncGreetings(),
		mysqlGreetings(),
		natsGreetings(),
		redisGreetings(),
		fileGreetings(),
		mailGreetings(),
		smallGreetings(),
	)
}

// questions are the protocols whose client speaks first, over TCP, in the order
// in which a port that is nobody's is asked: what is met most often first, and
// JDWP last, because a program that waits for its debugger goes on after one
// has called.
func questions() []signature {
	return slices.Concat(
		tlsQuestions(),
		httpQuestions(),
		redisQuestions(),
		postgresQuestions(),
		ldapQuestions(),
		memcachedQuestions(),
		windowsQuestions(),
		dnsQuestions(),
		mongoQuestions(),
		messagingQuestions(),
		rpcQuestions(),
		tunnelQuestions(),
		chatQuestions(),
		fileQuestions(),
		x11Questions(),
		voiceQuestions(),
		databaseQuestions(),
		kerberosQuestions(),
		erlangQuestions(),
		scannerQuestions(),
		modbusQuestions(),
		javaQuestions(),
	)
}

// datagrams are the protocols over UDP.
func datagrams() []signature {
	return slices.Concat(
		dnsDatagrams(),
		networkDatagrams(),
		voiceDatagrams(),
		rpcDatagrams(),
		memcachedDatagrams(),
		kerberosDatagrams(),
		netbiosDatagrams(),
		tunnelDatagrams(),
	)
}

// ordered returns the signatures with those first that are usually at a port.
func ordered(list []signature, port uint16) []signature {
	slices.SortStableFunc(list, func(a, b signature) int {
		return cmp.Compare(b.rank(port), a.rank(port))
	})
	return list
}

// rank is higher where the port is nearer to the head of the list.
func (s *signature) rank(port uint16) int {
	if i := slices.Index(s.ports, port); i >= 0 {
		return 1000 - i
	}
	return 0
}

// echoed reports whether a server said nothing but what it was told, from its
// first byte on. Three bytes alike may be chance.
func echoed(asked, said []byte) bool {
	if len(said) < len(asked) {
		return len(said) > 3 && bytes.HasPrefix(asked, said)
	}
	return len(asked) > 0 && bytes.HasPrefix(said, asked)
}
