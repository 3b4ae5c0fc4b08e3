package policyfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func parse(text string) (*monban.Policy, error) {
	return Read([]byte(text), "monban.yaml", portbook.Builtin(), noon())
}

const example = `# Doors of the web server.
monban: 1
doors:
  # Everybody.
  - {port: 443/tcp, to: any, for: website}
  - {port: 22/tcp, to: [192.0.2.0/24, "2001:db8::/32", "name:bastion.example", "if:wg0"], limit: 10/minute, for: administrators}

  - port: 5432/tcp   # the database
    to: local
  - {port: 8443/tcp, to: any, until: 2027-01-31T00:00:00Z, for: a demo}
  - {port: https/udp, to: this-network}
  - {proto: ESP, to: 198.51.100.7, for: IPsec}
  - {proto: 253, to: local}
default: closed
`

func TestRead(t *testing.T) {
	p, err := parse(example)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range p.Doors {
		got = append(got, Entry(&p.Doors[i]))
	}
	want := []string{
		"{port: 443/tcp, to: any, for: website}",
		`{port: 22/tcp, to: [192.0.2.0/24, "2001:db8::/32", "name:bastion.example", "if:wg0"], limit: 10/minute, for: administrators}`,
		"{port: 5432/tcp, to: local}",
		"{port: 8443/tcp, to: any, until: 2027-01-31T00:00:00Z, for: a demo}",
		"{port: 443/udp, to: this-network}",
		"{proto: esp, to: 198.51.100.7, for: IPsec}",
		"{proto: 253, to: local}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if pos := p.Doors[2].Pos; pos.Line != 8 || pos.File != "monban.yaml" {
		t.Errorf("the database is at %+v, want line 8", pos)
	}
}

// TestErrors gives files with one thing wrong, in the marked line.
func TestErrors(t *testing.T) {
	head := "monban: 1\ndoors:\n"
	for _, test := range []struct {
		text    string
		problem Problem
		line    int
		say     string
	}{
		{"", MissingKey, 0, "monban"},
		{"doors: []\n", MissingKey, 1, "monban"},
		{"monban: 1\n", MissingKey, 1, "doors"},
		{"monban: 2\ndoors: []\n", BadVersion, 1, "2"},
		{"monban: 1\ndoors: []\ndefault: open\n", BadDefault, 3, "open"},
		{"monban: 1\ndoor: []\n", UnknownKey, 2, "door"},
		{"monban: 1\nmonban: 1\ndoors: []\n", TwiceKey, 2, "monban"},
		{"monban: 1\ndoors: {}\n", NotList, 2, ""},
		{"- a\n", NotMapping, 1, ""},
		{"monban: [\n", BadSyntax, 1, ""},
		{head + "  - {port: 80, to: any}\n---\na: b\n", BadSyntax, 0, "---"},
		{head + "  - &a {port: 80, to: any}\n", NoAlias, 3, ""},
		{head + "  - {port: !!str 80, to: any}\n", NoAlias, 3, ""},
		{head + "  - 80/tcp\n", NotMapping, 3, ""},
		{head + "  - {port: 80}\n", MissingKey, 3, "to"},
		{head + "  - {to: any}\n", MissingKey, 3, "port"},
		{head + "  - {prt: 80, to: any}\n", UnknownKey, 3, "prt"},
		{head + "  - {port: 80, to: any}\n  - {port: 99999, to: any}\n", BadPort, 4, "99999"},
		{head + "  - {port: 90-80, to: any}\n", BadPort, 3, "90-80"},
		{head + "  - {port: 80/icmp, to: any}\n", BadPort, 3, "80/icmp"},
		{head + "  - {port: 0, to: any}\n", OpenPort0, 3, "0"},
		{head + "  - {port: htps, to: any}\n", UnknownName, 3, "htps"},
		{head + "  - {port: [80], to: any}\n", NotText, 3, "port"},
		{head + "  - {port: 80, to: }\n", NotText, 3, "to"},
		{head + "  - {port: 80, to: []}\n", EmptyTo, 3, ""},
		{head + "  - {port: 80, to: everyone}\n", BadAudience, 3, "everyone"},
		{head + "  - {port: 80, to: 10.0.0.0/33}\n", BadAudience, 3, "10.0.0.0/33"},
		{head + "  - {port: 80, to: 10.0.0.1/8}\n", HostBits, 3, "10.0.0.1/8"},
		{head + "  - {port: 80, to: \"::ffff:10.0.0.0/104\"}\n", BadAudience, 3, ""},
		{head + "  - {port: 80, to: \"name:-x\"}\n", BadHost, 3, ""},
		{head + "  - {port: 80, to: \"name:10.0.0.1\"}\n", BadHost, 3, ""},
		{head + "  - {port: 80, to: \"if:a-name-much-too-long\"}\n", BadDevice, 3, ""},
		{head + "  - {port: 80, to: [any, 10.0.0.0/8]}\n", AnyAndMore, 3, "any"},
		{head + "  - {port: 80, to: any, limit: 10}\n", BadLimit, 3, "10"},
		{head + "  - {port: 80, to: any, limit: 0/minute}\n", BadLimit, 3, ""},
		{head + "  - {port: 80, to: any, limit: 10/week}\n", BadLimit, 3, ""},
		{head + "  - {port: 80, to: any, until: tomorrow}\n", BadUntil, 3, "tomorrow"},
		{head + "  - {port: 80, to: any, until: 2026-11-25T11:59:59Z}\n", PastUntil, 3, ""},
		{head + "  - {port: 80, to: local, limit: 10/minute}\n", LocalUntil, 3, "limit"},
		{head + "  - {port: 80, to: any}\n\n  - {port: http, to: any}\n", Duplicate, 5, "80/tcp to any"},
		{head + "  - {port: 80, to: [10.0.0.0/8, 10.0.0.0/8]}\n", Duplicate, 3, "80/tcp to 10.0.0.0/8"},
		{head + "  - {port: 80, proto: esp, to: any}\n", PortAndProtocol, 3, ""},
		{head + "  - {proto: esp}\n", MissingKey, 3, "to"},
		{head + "  - {proto: espp, to: any}\n", BadProtocol, 3, "espp"},
		{head + "  - {proto: 256, to: any}\n", BadProtocol, 3, "256"},
		{head + "  - {proto: 0, to: any}\n", BadProtocol, 3, "0"},
		{head + "  - {proto: 44, to: any}\n", BadProtocol, 3, "44"},
		{head + "  - {proto: [esp], to: any}\n", NotText, 3, "proto"},
		{head + "  - {proto: UDP, to: any}\n", PortedProtocol, 3, "UDP"},
		{head + "  - {proto: 6, to: any}\n", PortedProtocol, 3, "6"},
		{head + "  - {proto: icmp, to: local}\n", EverOpen, 3, "icmp"},
		{head + "  - {proto: 58, to: local}\n", EverOpen, 3, "58"},
		{head + "  - {proto: gre, to: any, limit: 10/minute}\n", LimitedProtocol, 3, ""},
		{head + "  - {proto: gre, to: local, until: 2999-01-01T00:00:00Z}\n", LocalUntil, 3, "until"},
		{head + "  - {port: ospf, to: any}\n", UnknownName, 3, "proto: ospf"},
		{head + "  - {proto: esp, to: any}\n  - {proto: 50, to: any}\n", Duplicate, 4, "proto:esp to any"},
		{strings.Repeat("#", MaxSize+1), TooLong, 0, ""},
	} {
		_, err := parse(test.text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if e.Problem != test.problem || test.line != 0 && e.Pos.Line != test.line || !strings.Contains(e.Text+strings.Join(e.Want, " "), test.say) {
			t.Errorf("%q: %s at %d: %q %q, want %s at %d: %q", test.text, e.Problem, e.Pos.Line, e.Text, e.Want, test.problem, test.line, test.say)
		}
	}
}

func TestProblemNames(t *testing.T) {
	for p := BadSyntax; p <= NotEdited; p++ {
		if p.String() == "" {
			t.Errorf("problem %d has no name", p)
		}
	}
}

func door(t testing.TB, text string) monban.PolicyDoor {
	t.Helper()
	p, err := parse("monban: 1\ndoors:\n  - " + text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return p.Doors[0]
}

func TestOpen(t *testing.T) {
	for _, test := range []struct{ before, after string }{
		{example, strings.Replace(example, "default:", "  - {port: 80/tcp, to: any}\ndefault:", 1)},
		{"monban: 1\ndoors: []  # none yet\ndefault: closed\n", "monban: 1\ndoors:   # none yet\n  - {port: 80/tcp, to: any}\ndefault: closed\n"},
		{"monban: 1\ndoors:\n", "monban: 1\ndoors:\n  - {port: 80/tcp, to: any}\n"},
		{"doors:\nmonban: 1", "doors:\n  - {port: 80/tcp, to: any}\nmonban: 1"},
		{"monban: 1\ndoors:\n- port: 22\n  to: any\n# the end", "monban: 1\ndoors:\n- port: 22\n  to: any\n- {port: 80/tcp, to: any}\n# the end"},
		{"monban: 1\ndoors:\n  - {\n    port: 22,\n    to: any\n  }", "monban: 1\ndoors:\n  - {\n    port: 22,\n    to: any\n  }\n  - {port: 80/tcp, to: any}\n"},
	} {
		got, err := Open([]byte(test.before), "monban.yaml", portbook.Builtin(), noon(), door(t, "{port: 80, to: any}"))
		if err != nil {
			t.Errorf("%q: %v", test.before, err)
		} else if diff := cmp.Diff(test.after, string(got)); diff != "" {
			t.Error(diff)
		}
	}
	for _, test := range []struct {
		text    string
		problem Problem
	}{
		{"monban: 1\ndoors: [{port: 22, to: any}]\n", FlowList},
		{"monban: 1\ndoors:\n  - {port: http, to: any}\n", Duplicate},
	} {
		var e *Error
		if _, err := Open([]byte(test.text), "monban.yaml", portbook.Builtin(), noon(), door(t, "{port: 80, to: any}")); !errors.As(err, &e) || e.Problem != test.problem {
			t.Errorf("%q: %v, want %s", test.text, err, test.problem)
		}
	}
}

func TestClose(t *testing.T) {
	ports := func(s string) monban.PortRange {
		r, err := monban.ParsePortRange(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	lines := strings.SplitAfter(example, "\n")
	without := func(from, to int) string {
		return strings.Join(append(append([]string{}, lines[:from-1]...), lines[to:]...), "")
	}
	for _, test := range []struct{ text, port, want string }{
		{example, "443/tcp", without(5, 5)},
		{example, "22/tcp", without(6, 6)},
		{example, "5432/tcp", without(8, 9)},
		{example, "443/udp", without(11, 11)},
		{example, "8000-9000/tcp", without(10, 10)},
		{"monban: 1\ndoors:\n- {port: 1, to: any}\n# end\n", "1", "monban: 1\ndoors:\n# end\n"},
	} {
		got, err := Close([]byte(test.text), "monban.yaml", portbook.Builtin(), noon(), ports(test.port))
		if err != nil {
			t.Errorf("%s: %v", test.port, err)
		} else if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s: %s", test.port, diff)
		}
	}
	for _, test := range []struct {
		text, port string
		problem    Problem
	}{
		{example, "23/tcp", NotThere},
		{"monban: 1\ndoors:\n- {port: 1-9, to: any}\n", "5/tcp", PartOfRange},
		{"monban: 1\ndoors: [{port: 5, to: any}]\n", "5/tcp", FlowList},
	} {
		var e *Error
		if _, err := Close([]byte(test.text), "monban.yaml", portbook.Builtin(), noon(), ports(test.port)); !errors.As(err, &e) || e.Problem != test.problem {
			t.Errorf("%s: %v, want %s", test.port, err, test.problem)
		}
	}
}

// FuzzRead reads anything without panicking, and what it takes can be changed: an
// entry that is added and taken out again leaves the same policy.
func FuzzRead(f *testing.F) {
	f.Add(example)
	f.Add("monban: 1\ndoors: []\n")
	f.Add("doors:\n- {to: [10.0.0.0/8,\n  if:x], port: 1-9/udp}\n- port: 5\n  for: \"\\x01'\"\n  to: local\nmonban: 1")
	book := portbook.Builtin()
	f.Fuzz(func(t *testing.T, text string) {
		before, err := parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Problem.String() == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		d := monban.PolicyDoor{Ports: monban.PortRange{First: 54321, Last: 54321, Proto: monban.SCTP}, To: []monban.Audience{{Kind: monban.Anybody}}, For: text[:min(len(text), 20)]}
		if strings.ToValidUTF8(d.For, "") != d.For {
			d.For = ""
		}
		for _, other := range before.Doors {
			if other.Ports.Contains(monban.Port{Num: 54321, Proto: monban.SCTP}) {
				return
			}
		}
		opened, err := Open([]byte(text), "monban.yaml", book, noon(), d)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Problem != FlowList && e.Problem != NotEdited && e.Problem != TooLong && e.Problem != BadSyntax {
				t.Fatalf("%v", err)
			}
			return
		}
		closed, err := Close(opened, "monban.yaml", book, noon(), d.Ports)
		if err != nil {
			t.Fatalf("%v\n%s", err, opened)
		}
		after, err := Read(closed, "monban.yaml", book, noon())
		if err != nil {
			t.Fatalf("%v\n%s", err, closed)
		}
		if diff := cmp.Diff(plain(before.Doors), plain(after.Doors), cmp.Comparer(func(a, b monban.AddrRange) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
	})
}
