package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"nginx: master process":  "nginx: master process",
		"日本語のプロセス":               "日本語のプロセス",
		"\x1b[31mred\x1b[0m":     `\x1b[31mred\x1b[0m`,
		"a\nb\tc\rd":             `a\nb\tc\rd`,
		"\u202egnp.exe":          `\u202egnp.exe`,
		"\u009b31m":              `\x9b31m`,
		"bad\xff\xfeutf8":        `bad\xff\xfeutf8`,
		"\x7f":                   `\x7f`,
		"zero\u200bwidth\ufeff":  `zero\u200bwidth\ufeff`,
		"line\u2028sep\u2029end": `line\u2028sep\u2029end`,
		"tag\U000e0041":          `tag\U000e0041`,
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("\x1b]0;title\a")
	f.Add("\xed\xa0\x80 surrogate")
	f.Fuzz(func(t *testing.T, s string) {
		out := safe(s)
		for _, r := range out {
			if !unicode.IsPrint(r) {
				t.Fatalf("safe(%q) lets %U through", s, r)
			}
		}
		if safe(out) != out {
			t.Fatalf("safe is not idempotent on %q", s)
		}
	})
}

// FuzzJSONWriter checks that escaping changes no value and lets no control
// character through.
func FuzzJSONWriter(f *testing.F) {
	f.Add("\x1b[2J\u009b\u202e\U000e0041 ok")
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		enc := json.NewEncoder(&jsonWriter{w: &b})
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		for _, r := range strings.TrimSuffix(b.String(), "\n") {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q: %U in the JSON", s, r)
			}
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatalf("%q: %v in %q", s, err, b.String())
		}
		if utf8.ValidString(s) && back != s {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}
