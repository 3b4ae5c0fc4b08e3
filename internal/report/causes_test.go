package report

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// causeIDs lists the causes of package conflict, which report may not import.
func causeIDs() []string {
	var ids []string
	for _, family := range []struct {
		letter string
		last   int
	}{{"L", 26}, {"M", 10}, {"W", 14}, {"D", 15}, {"B", 3}} {
		for i := 1; i <= family.last; i++ {
			ids = append(ids, family.letter+strconv.Itoa(i))
		}
	}
	return ids
}

func TestCauseText(t *testing.T) {
	titles := map[string]string{}
	for _, id := range causeIDs() {
		enTitle, enWhy, enFixes := causeText(id, EN)
		jaTitle, jaWhy, jaFixes := causeText(id, JA)
		if len(enFixes) == 0 || len(enFixes) != len(jaFixes) {
			t.Errorf("%s: %d fixes in English, %d in Japanese; want the same number, at least one", id, len(enFixes), len(jaFixes))
		}
		for _, s := range append([]string{enTitle, enWhy}, enFixes...) {
			checkText(t, id, s)
			if strings.ContainsFunc(s, japanese) {
				t.Errorf("%s: Japanese in an English text: %q", id, s)
			}
		}
		for _, s := range append([]string{jaTitle, jaWhy}, jaFixes...) {
			checkText(t, id, s)
			if !strings.ContainsFunc(s, japanese) {
				t.Errorf("%s: no Japanese in %q", id, s)
			}
		}
		// Titles are headings without a full stop; the rest are sentences.
		for _, s := range append([]string{enWhy}, enFixes...) {
			if !strings.HasSuffix(s, ".") {
				t.Errorf("%s: no full stop: %q", id, s)
			}
		}
		for _, s := range append([]string{jaWhy}, jaFixes...) {
			if !strings.HasSuffix(s, "。") {
				t.Errorf("%s: no full stop: %q", id, s)
			}
		}
		if strings.HasSuffix(enTitle, ".") || strings.HasSuffix(jaTitle, "。") {
			t.Errorf("%s: full stop after a title: %q %q", id, enTitle, jaTitle)
		}
		if n := strings.Count(enWhy, ". "); n < 1 || n > 3 {
			t.Errorf("%s: %d sentences, want 2 to 4: %q", id, n+1, enWhy)
		}
		if !strings.Contains(jaWhy, "です") && !strings.Contains(jaWhy, "ます") && !strings.Contains(jaWhy, "ません") {
			t.Errorf("%s: not in です・ます: %q", id, jaWhy)
		}
		// W1 is L1 on Windows, and W6 is L8: the same heading is right there.
		if other := titles[enTitle]; other != "" && id != "W1" && id != "W6" {
			t.Errorf("%s and %s have the same title %q", other, id, enTitle)
		}
		titles[enTitle] = id
	}
}

func checkText(t *testing.T, id, s string) {
	t.Helper()
	if s == "" || s != strings.TrimSpace(s) || strings.Contains(s, "  ") || strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("%s: empty, or stray spaces or control characters: %q", id, s)
	}
}

func japanese(r rune) bool {
	return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef
}

// TestCauseTextUnknown: an unknown id has no words, and no entry is unknown to
// the list of ids.
func TestCauseTextUnknown(t *testing.T) {
	for _, id := range []string{"", "L", "L0", "L27", "l1", "X1"} {
		if title, why, fixes := causeText(id, EN); title != "" || why != "" || fixes != nil {
			t.Errorf("causeText(%q) = %q", id, title)
		}
	}
	n := len(generalCauses) + len(macCauses) + len(winCauses) + len(containerCauses) + len(quietCauses)
	if want := len(causeIDs()); n != want {
		t.Errorf("%d entries, want %d", n, want)
	}
}

func TestFillPort(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"monban N. If NAME", "monban 80. If NAME"},
		{"http://127.0.0.1:N or http://[::1]:N", "http://127.0.0.1:80 or http://[::1]:80"},
		{"monban N で確認", "monban 80 で確認"},
		{`"N:80"`, `"80:80"`},
		{"N", "80"},
		{"", ""},
	} {
		if got := fillPort(tt.text, 80); got != tt.want {
			t.Errorf("fillPort(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
