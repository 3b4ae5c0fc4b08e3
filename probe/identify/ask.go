package identify

import (
	"net"
	"time"

	"github.com/monban-dev/monban"
)

// put asks one question on a connection of its own.
func (x *race) put(until time.Time, s signature) result {
	raw, err := x.dial(x.ctx)
	if err != nil {
		return result{refused: true}
	}
	if s.name == "tls" {
		return x.handshake(until, raw)
	}
	c := newConn(x.ctx, raw, newQuestion(x.target), until)
	defer c.Close()
	c.dial = x.dial
	asked := s.ask(c.question)
	c.say(asked)
	for c.hear() {
		if !s.repeats && echoed(asked, c.said) {
			if len(c.said) >= len(asked) && len(asked) >= 16 {
				return result{said: string(c.said), echo: true}
			}
			continue
		}
		answer, m := s.read(c.question, c.said)
		switch m {
		case yes:
			if s.talk != nil {
				c.extend(x.talking())
				answer = s.talk(c, answer)
			}
			return result{s: answer, found: true}
		case no:
			c.hearOut(quiet + x.roundTrip())
			return result{said: string(c.said)}
		}
	}
	return result{said: string(c.said)}
}

// listen waits for a server that speaks first.
func (x *race) listen(raw net.Conn) result {
	c := newConn(x.ctx, raw, newQuestion(x.target), x.until)
	defer c.Close()
	greeted := func() {
		select {
		case x.greeted <- struct{}{}:
		default:
		}
	}
	for c.hear() {
		s, sig, m := greet(c.question, c.said)
		switch m {
		case yes:
			greeted()
			if sig.talk != nil && !silentPort(x.target.Port()) {
				c.extend(x.talking())
				s = sig.talk(c, s)
			}
			if s.Grade == monban.GradeUnknown {
				return result{said: s.Evidence}
			}
			return result{s: s, found: true}
		case no:
			greeted()
			c.hearOut(quiet + x.roundTrip())
			return result{said: string(c.said)}
		}
	}
	return result{said: string(c.said)}
}

// greet finds the greeting that fits. It is more where one might still.
func greet(q question, said []byte) (monban.Service, signature, match) {
	best := no
	for _, sig := range greetings() {
		s, m := sig.read(q, said)
		if m == yes {
			return s, sig, yes
		}
		best = max(best, m)
	}
	return monban.Service{}, signature{}, best
}

func without(list []signature, name string) []signature {
	kept := list[:0]
	for _, s := range list {
		if s.name != name {
			kept = append(kept, s)
		}
	}
	return kept
}
