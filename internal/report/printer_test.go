package report

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"the quick brown fox jumps over the lazy dog", 20, "the quick brown fox|jumps over the lazy|dog"},
		{"すべてのアドレスで待ち受けています。ファイアウォールは考慮していません。", 24, "すべてのアドレスで待ち受|けています。ファイアウォー|ルは考慮していません。"},
		{"short", 20, "short"},
		{"narrow terminals are left alone", 10, "narrow terminals are left alone"},
		{strings.Repeat("x", 50), 20, strings.Repeat("x", 50)},
	} {
		got := wrap(tt.text, tt.n)
		if s := strings.Join(got, "|"); s != tt.want && tt.text[0] < 0x80 {
			t.Errorf("wrap(%q, %d) = %q, want %q", tt.text, tt.n, s, tt.want)
		}
		for _, line := range got {
			if cells(line) > tt.n && strings.ContainsAny(line, " ") && tt.n >= 20 {
				t.Errorf("wrap(%q, %d): %q is %d cells wide", tt.text, tt.n, line, cells(line))
			}
		}
		if strings.Join(strings.Fields(strings.Join(got, " ")), "") != strings.Join(strings.Fields(tt.text), "") {
			t.Errorf("wrap(%q, %d) lost text: %q", tt.text, tt.n, got)
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("番号、番号。word word 番号", 21)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n > 500 {
			return
		}
		s = safe(s)
		got := wrap(s, n)
		if a, b := strings.ReplaceAll(strings.Join(got, ""), " ", ""), strings.ReplaceAll(s, " ", ""); a != b {
			t.Fatalf("wrap(%q, %d) = %q", s, n, got)
		}
	})
}

func TestTableFits(t *testing.T) {
	cols := []column{{title: "PORT"}, {title: "ADDRESS", min: 9}, {title: "PROGRAM", min: 8}, {title: "EXTRA", rank: 5}, {title: "用途", min: 6, rank: 1}}
	rows := []group{{title: "heading", rows: [][]cell{
		{{bold, "80/tcp"}, {plain, "127.0.0.1 +3"}, {plain, "a very long program name indeed"}, {dim, "extra"}, {plain, "長い日本語の用途の説明"}},
		{{bold, "65535/udp"}, {plain, "*"}, {plain, "x"}, {dim, "-"}, {plain, "短い"}},
	}}}
	for width := 30; width < 120; width++ {
		var b bytes.Buffer
		p := newPrinter(&b, Style{Width: width})
		left := p.table(cols, rows)
		p.w.Flush()
		for line := range strings.Lines(b.String()) {
			if n := cells(strings.TrimRight(line, "\n ")); n > width {
				t.Fatalf("width %d: %q takes %d cells", width, line, n)
			}
		}
		if !strings.Contains(b.String(), "65535/udp") {
			t.Fatalf("width %d: the port was cut:\n%s", width, b.String())
		}
		if wide := width >= 95; wide != (left == 0) && wide {
			t.Errorf("width %d: %d columns left out", width, left)
		}
	}
}

func TestShellLine(t *testing.T) {
	got := shellLine([]string{"systemctl", "stop", "my app.service", "it's", "", "a$b"})
	if want := `systemctl stop 'my app.service' 'it'\''s' '' 'a$b'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
