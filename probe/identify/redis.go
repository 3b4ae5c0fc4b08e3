package identify

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// redisQuestions: the Redis serialization protocol, redis.io/topics/protocol.
func redisQuestions() []signature {
	return []signature{{
		name: "redis", ports: []uint16{6379, 6380, 26379},
		ask:  func(question) []byte { return []byte("*1\r\n$4\r\nPING\r\n") },
		read: readRedis, talk: talkRedis,
		resembles: func(said []byte) bool {
			return bytes.HasPrefix(said, []byte("-ERR ")) || bytes.HasPrefix(said, []byte("-NOAUTH ")) || bytes.HasPrefix(said, []byte("-DENIED "))
		},
	}}
}

// redisGreetings is how a server without a password refuses strangers: it says
// so at once and hangs up.
func redisGreetings() []signature {
	return []signature{{name: "redis", read: func(_ question, said []byte) (monban.Service, match) {
		m := begins(said, "-DENIED Redis is running in protected mode")
		if m != yes {
			return none(m)
		}
		s := is("redis", said)
		s.Product = "Redis"
		return s, yes
	}}}
}

// readRedis takes the reply to PING. POP3 refuses in words that begin alike, so
// an error has to be one that Redis has a word for.
func readRedis(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes {
		if len(said) > 0 && said[0] != '+' && said[0] != '-' {
			m = no
		}
		return none(m)
	}
	for _, answer := range []string{"+PONG", "-NOAUTH ", "-NOPERM ", "-DENIED ", "-LOADING ", "-MASTERDOWN ", "-MISCONF "} {
		if strings.HasPrefix(line, answer) {
			return is("redis", []byte(line)), yes
		}
	}
	return none(no)
}

// talkRedis asks for the version. INFO changes nothing.
func talkRedis(c *conn, s monban.Service) monban.Service {
	info := c.ask([]byte("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"), redisBulk)
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "valkey_version":
			s.Product, s.Version = "Valkey", value
		case "redis_version":
			if s.Product == "" {
				s.Product, s.Version = "Redis", value
			}
		}
	}
	return s
}

// redisBulk is the length of a bulk string, or of the error instead of one.
func redisBulk(said []byte) int {
	end := bytes.IndexByte(said, '\n') + 1
	if end == 0 {
		return 0
	}
	if said[0] != '$' {
		return end
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(said[1:end])))
	if err != nil || n < 0 || n > readBudget {
		return -1
	}
	if len(said) < end+n {
		return 0
	}
	return end + n
}
