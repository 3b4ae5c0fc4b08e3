package identify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// smallGreetings are the services that inetd has of its own, and the
// administration of Varnish.
func smallGreetings() []signature {
	return []signature{
		{name: "varnish-cli", ports: []uint16{6082}, read: readVarnish, talk: talkVarnish},
		{name: "chargen", ports: []uint16{19}, read: readChargen},
		{name: "daytime", ports: []uint16{13}, read: readDaytime, talk: talkLast},
		{name: "time", ports: []uint16{37}, read: readTime, talk: talkLast},
	}
}

// readChargen takes two lines of the pattern that RFC 864 suggests: 72
// characters in their order, each line one further.
func readChargen(_ question, said []byte) (monban.Service, match) {
	next := func(b byte) byte {
		if b >= '~' {
			return ' '
		}
		return b + 1
	}
	for i, b := range said[:min(len(said), 146)] {
		switch line, column := i/74, i%74; {
		case column == 72 && b != '\r', column == 73 && b != '\n':
			return none(no)
		case column >= 72:
		case b < ' ' || b > '~':
			return none(no)
		case column > 0 && b != next(said[i-1]), column == 0 && line > 0 && b != next(said[i-74]):
			return none(no)
		}
	}
	if len(said) < 146 {
		return none(more)
	}
	return is("chargen", said[:74]), yes
}

// readDaytime takes a date in one of the usual forms that is about now: RFC 867.
// Nothing else is said in this protocol.
func readDaytime(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes || len(line) > 60 {
		return none(min(m, more))
	}
	if said[len(said)-1] != '\n' || bytes.Count(said, []byte("\n")) > 1 {
		return none(no)
	}
	for _, layout := range []string{time.ANSIC, "02 Jan 2006 15:04:05 MST", time.UnixDate, "Monday, January 2, 2006 15:04:05-MST", time.RFC1123Z} {
		if t, err := time.Parse(layout, strings.TrimSpace(line)); err == nil && time.Since(t).Abs() < 48*time.Hour {
			return is("daytime", []byte(line)), yes
		}
	}
	return none(no)
}

// readTime takes four bytes that are the seconds since 1900, about now: RFC 868.
func readTime(_ question, said []byte) (monban.Service, match) {
	if len(said) < 4 {
		return none(more)
	}
	const since1900 = 2208988800
	if len(said) > 4 || time.Since(time.Unix(int64(binary.BigEndian.Uint32(said))-since1900, 0)).Abs() > time.Hour {
		return none(no)
	}
	return is("time", said), yes
}

// talkLast waits for the end of the connection: what is said in these protocols
// is said once, and the server hangs up.
func talkLast(c *conn, s monban.Service) monban.Service {
	var late net.Error
	if c.hear() || errors.As(c.err, &late) && late.Timeout() {
		return monban.Service{Evidence: s.Evidence}
	}
	return s
}

// readVarnish takes a status and a length in 13 bytes, "107 59      \n", and so
// much text: varnish-cli(7).
func readVarnish(_ question, said []byte) (monban.Service, match) {
	n := varnishEnd(said)
	if n == 0 {
		return none(more)
	}
	if n < 0 || begins(said, "107 ") != yes && begins(said, "200 ") != yes {
		return none(no)
	}
	s := seems("varnish-cli", said[:n])
	s.Product = "Varnish"
	if _, rest, ok := strings.Cut(string(said[:n]), "\nvarnish-"); ok {
		s.Version = leadingVersion(rest)
	}
	return s, yes
}

func varnishEnd(said []byte) int {
	if len(said) < 13 {
		for i, b := range said {
			if i < 3 && !isDigit(b) || i == 3 && b != ' ' {
				return -1
			}
		}
		return 0
	}
	length, err := strconv.Atoi(strings.TrimRight(string(said[4:12]), " "))
	if err != nil || said[3] != ' ' || said[12] != '\n' || length < 0 || length > 8192 {
		return -1
	}
	if len(said) < 14+length {
		return 0
	}
	return 14 + length
}

// talkVarnish asks for help, which is given to everybody.
func talkVarnish(c *conn, s monban.Service) monban.Service {
	if answer := c.ask([]byte("help\n"), varnishEnd); strings.HasPrefix(string(answer), "200 ") || strings.HasPrefix(string(answer), "107 ") {
		s.Grade = monban.GradeIdentified
	}
	return s
}
