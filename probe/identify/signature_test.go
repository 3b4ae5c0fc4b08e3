package identify

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/monban-dev/monban"
)

// An answer is what a real server once said: testdata/answers.txt, which
// TestRecord writes.
type answer struct {
	list, name, daemon string
	q                  question
	want               string // protocol|grade|product|version
	said               []byte
}

func (a answer) String() string {
	return strings.Join([]string{a.list, a.name, a.daemon, fmt.Sprintf("%08x", a.q.id), a.q.target.String(), a.want, strconv.QuoteToASCII(string(a.said))}, "\t")
}

func summary(s monban.Service) string {
	return strings.Join([]string{s.Protocol, s.Grade.String(), s.Product, s.Version}, "|")
}

// lists are the signatures by how they are asked.
func lists() map[string][]signature {
	return map[string][]signature{"greeting": greetings(), "tcp": without(questions(), "tls"), "udp": datagrams()}
}

func answers(t testing.TB) (all []answer) {
	t.Helper()
	for _, file := range []string{"testdata/answers.txt", "testdata/witnesses.txt", "testdata/specified.txt"} {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		scan := bufio.NewScanner(f)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			if strings.HasPrefix(scan.Text(), "#") {
				continue
			}
			f := strings.Split(scan.Text(), "\t")
			if len(f) != 7 {
				t.Fatalf("%s: %d fields in %q", file, len(f), scan.Text())
			}
			id, err := strconv.ParseUint(f[3], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			said, err := strconv.Unquote(f[6])
			if err != nil {
				t.Fatalf("%s: %q: %v", file, f[6], err)
			}
			all = append(all, answer{f[0], f[1], f[2], question{uint32(id), netip.MustParseAddrPort(f[4])}, f[5], []byte(said)})
		}
		if err := scan.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// dated reports a signature that reads the present time.
func dated(name string) bool { return name == "daytime" || name == "time" }

// TestAnswers reads what real servers said, whole and in every part of it that a
// network might deliver first; and lets every other protocol read it, which must
// not take it for its own.
func TestAnswers(t *testing.T) {
	covered := make(map[string]bool)
	for _, a := range answers(t) {
		covered[a.list+" "+a.name] = true
		for _, sig := range lists()[a.list] {
			s, m := sig.read(a.q, a.said)
			switch {
			case sig.name != a.name:
				// A rpcbind and a nfs are told apart by their own questions.
				if m == yes && s.Protocol != "" && s.Protocol != strings.Split(a.want, "|")[0] && sig.ask == nil {
					t.Errorf("%s of %s is taken for %s", a.name, a.daemon, s.Protocol)
				}
				continue
			case dated(a.name):
				continue
			case m != yes || summary(s) != a.want:
				t.Errorf("%s of %s: %v %s, want %s", a.name, a.daemon, m, summary(s), a.want)
			}
			for n := range a.said {
				if _, m := sig.read(a.q, a.said[:n]); m == no && a.list != "udp" {
					t.Errorf("%s of %s: its first %d bytes are refused: %q", a.name, a.daemon, n, a.said[:n])
					break
				}
			}
		}
		if a.list == "tcp" {
			if s, _, m := greet(a.q, a.said); m == yes && s.Protocol != strings.Split(a.want, "|")[0] {
				t.Errorf("the answer %s of %s is taken for the greeting of %s", a.name, a.daemon, s.Protocol)
			}
			for _, sig := range lists()["tcp"] {
				if s, m := sig.read(a.q, a.said); sig.name != a.name && m == yes && s.Grade != monban.GradeUnknown && s.Protocol != strings.Split(a.want, "|")[0] {
					t.Errorf("%s of %s is taken for %s", a.name, a.daemon, s.Protocol)
				}
			}
		}
	}
	for list, signatures := range lists() {
		for _, sig := range signatures {
			if !covered[list+" "+sig.name] {
				t.Errorf("no answer for %s %s", list, sig.name)
			}
		}
	}
}

// TestOwnWords wants no protocol to take its own question for an answer.
func TestOwnWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := question{rapid.Uint32().Draw(t, "id"), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), rapid.Uint16().Draw(t, "port"))}
		for list, signatures := range lists() {
			for _, sig := range signatures {
				if sig.ask == nil {
					continue
				}
				asked := sig.ask(q)
				for _, said := range [][]byte{asked, slices.Concat(asked, asked), asked[1:]} {
					if s, m := sig.read(q, said); m == yes {
						t.Errorf("%s %s takes its own %q for %s", list, sig.name, said, summary(s))
					}
				}
			}
		}
	})
}

// TestOtherQuestions wants an answer that repeats a number to repeat ours.
func TestOtherQuestions(t *testing.T) {
	repeats := []string{"dns", "mdns", "ntp", "snmp", "ldap", "sip", "rtsp", "stun", "rpcbind", "nfs", "kafka", "mongodb", "openvpn", "modbus", "jdwp", "netbios-ns"}
	for _, a := range answers(t) {
		if !slices.Contains(repeats, a.name) {
			continue
		}
		for _, sig := range lists()[a.list] {
			other := a.q
			other.id ^= 0x01010101
			if s, m := sig.read(other, a.said); sig.name == a.name && m == yes {
				t.Errorf("%s of %s answers another question: %s", a.name, a.daemon, summary(s))
			}
		}
	}
}

// FuzzRead lets every protocol read anything.
func FuzzRead(f *testing.F) {
	for _, a := range answers(f) {
		f.Add(a.q.id, a.q.target.Port(), a.said)
	}
	f.Fuzz(func(t *testing.T, id uint32, port uint16, said []byte) {
		q := question{id, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)}
		for list, signatures := range lists() {
			for _, sig := range signatures {
				s, m := sig.read(q, said)
				switch {
				case m != yes && summary(s) != "|unknown||":
					t.Errorf("%s %s: no answer, and %s", list, sig.name, summary(s))
				case m == yes && (s.Protocol == "") != (s.Grade == monban.GradeUnknown):
					t.Errorf("%s %s: %s", list, sig.name, summary(s))
				case len(s.Evidence) > evidenceLen:
					t.Errorf("%s %s: evidence of %d bytes", list, sig.name, len(s.Evidence))
				case m == more && len(said) >= readBudget:
					t.Errorf("%s %s: wants more than is ever read", list, sig.name)
				}
			}
		}
	})
}
