package identify

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// protocolOf is what an answer is of; "" where its first reading has no name yet.
func (a answer) protocolOf() string { return strings.Split(a.want, "|")[0] }

// family are the protocols one of which another signature may rightly name: its
// question was of the same protocol, and talking tells them apart.
func family(protocol string) string {
	switch protocol {
	case "rpcbind", "nfs", "rpc":
		return "rpc"
	case "http", "http-proxy", "ipp", "ssdp":
		return "http"
	case "smtp", "ftp", "lmtp", "nntp", "":
		return "220"
	}
	return protocol
}

// variants are what becomes of an answer on bad ways: it is cut at either end,
// said twice, has bits turned, or something before or behind it.
func variants(said []byte, r *rand.Rand) [][]byte {
	all := [][]byte{said, slices.Concat(said, said), slices.Concat(said, []byte("\r\n")), slices.Concat([]byte("\r\n"), said), slices.Concat(said, make([]byte, 64))}
	for n := range min(len(said), 80) {
		all = append(all, said[:n], said[n:])
	}
	for range 200 {
		turned := slices.Clone(said)
		for range 1 + r.IntN(3) {
			turned[r.IntN(min(len(turned), 48))] ^= 1 << r.IntN(8)
		}
		all = append(all, turned)
	}
	return all
}

// TestCross lets every protocol read what every real server of another one said,
// whatever it had been asked, whole and damaged. None may take it for its own.
func TestCross(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	read := 0
	all := lists()
	for _, a := range answers(t) {
		for _, said := range variants(a.said, r) {
			q := a.q
			if r.IntN(2) == 0 {
				q.id = r.Uint32()
			}
			for list, signatures := range all {
				for _, sig := range signatures {
					if sig.name == a.name || sig.ask != nil && echoed(sig.ask(q), said) {
						continue
					}
					read++
					s, m := sig.read(q, said)
					if sig.name == "daytime" && len(said) < len(a.said) {
						continue // the line with the date, cut out of a head, is all there is to this protocol
					}
					if m != yes || s.Grade == monban.GradeUnknown || family(s.Protocol) == family(a.protocolOf()) {
						continue
					}
					t.Errorf("%s of %s is taken for %s by %s %s: %q", a.name, a.daemon, summary(s), list, sig.name, said[:min(len(said), 80)])
				}
			}
		}
	}
	if read < 1e6 {
		t.Errorf("only %d readings", read)
	}
}

// TestNoise lets every protocol read what no server says: random bytes, runs of
// one byte, text, counters, pages of HTTP, and its own question in disguise.
func TestNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	words := []string{"OK", "ERROR", "220", "250", "+OK", "-ERR", "*", "<html>", "login:", "password:", "Welcome", "\x00", "\xff", ":", "VERSION", "hello", "\r\n", " ", "1", "{", "}", "=", "bye"}
	all := lists()
	for round := range 4000 {
		q := question{r.Uint32(), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(r.Uint32()))}
		var said []byte
		switch round % 5 {
		case 0:
			said = random(r.IntN(100))
		case 1:
			said = bytes.Repeat(random(1), r.IntN(200))
		case 2:
			for range 1 + r.IntN(8) {
				said = append(said, words[r.IntN(len(words))]...)
			}
			said = append(said, "\r\n"...)
		case 3: // a length and so many bytes, in either order
			body := random(r.IntN(60))
			said = slices.Concat(be32s(nil, uint32(len(body))), body)
			if r.IntN(2) == 0 {
				said = slices.Concat(be16s(nil, len(body)), body)
			}
		case 4:
			said = fmt.Appendf(nil, "%d %s %x\r\n", r.IntN(1000), words[r.IntN(len(words))], random(8))
		}
		for list, signatures := range all {
			for _, sig := range signatures {
				if s, m := sig.read(q, said); m == yes && s.Grade == monban.GradeIdentified {
					t.Errorf("%q is %s by %s %s", said, summary(s), list, sig.name)
				}
				if sig.ask == nil {
					continue
				}
				for how, disguised := range disguises(sig.ask(q), r) {
					if echoed(sig.ask(q), disguised) {
						continue
					}
					if s, m := sig.read(q, disguised); m == yes && s.Grade == monban.GradeIdentified {
						t.Errorf("its own question %s, %q, is %s by %s %s", how, disguised, summary(s), list, sig.name)
					}
				}
			}
		}
		if t.Failed() {
			break
		}
	}
}

// disguises are what servers that mean to echo make of a question.
func disguises(asked []byte, r *rand.Rand) map[string][]byte {
	reversed := slices.Clone(asked)
	slices.Reverse(reversed)
	turned := slices.Clone(asked)
	turned[r.IntN(len(turned))] ^= 1 << r.IntN(7) // the highest makes a response of a question in DNS, and a good one
	return map[string][]byte{
		"in capitals": bytes.ToUpper(asked), "in small letters": bytes.ToLower(asked), "reversed": reversed, "with a bit turned": turned,
		"from its middle": asked[len(asked)/2:], "quoted": fmt.Appendf(nil, "you said: %q\r\n", asked), "behind a prompt": append([]byte("> "), asked...),
		"behind its length": append(be32s(nil, uint32(len(asked))), asked...), "with a newline": append(bytes.Clone(asked), "\r\n"...),
	}
}

// TestReplay asks servers that say what a real one once said, to whatever they
// are asked, over and over or once: with all that is done to find out more. They
// may be taken for the real one, or for nothing. What has to repeat our number
// cannot be taken for the real one.
func TestReplay(t *testing.T) {
	numbered := []string{"ldap", "sip", "stun", "rpcbind", "kafka", "mongodb", "openvpn", "jdwp"}
	places := make(chan struct{}, 24)
	var wg sync.WaitGroup
	for i, a := range answers(t) {
		if a.list == "udp" || dated(a.name) {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			switch s, err := replayed(t, a, i%2 == 0); {
			case err != nil:
				t.Errorf("%s of %s: %v", a.name, a.daemon, err)
			case s.Grade == monban.GradeUnknown:
			case slices.Contains(numbered, a.name):
				t.Errorf("%s of %s is taken for %s, though it does not know our number", a.name, a.daemon, summary(s))
			case family(s.Protocol) != family(a.protocolOf()):
				t.Errorf("%s of %s is taken for %s", a.name, a.daemon, summary(s))
			}
		})
	}
	wg.Wait()
}

// replayed identifies a server that says an answer to everything, or once.
func replayed(t *testing.T, a answer, once bool) (monban.Service, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return monban.Service{}, err
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for first := true; first || !once; first = false {
					if a.list == "tcp" || !first {
						if _, err := c.Read(buf); err != nil {
							return
						}
					}
					if _, err := c.Write(a.said); err != nil {
						return
					}
				}
				_, _ = c.Read(buf)
			}()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	id := &Identifier{Patience: time.Second}
	return id.Identify(ctx, l.Addr().(*net.TCPAddr).AddrPort(), monban.TCP)
}
