package report

import (
	"bytes"
	"strings"
	"testing"
)

// TestBreakable looks where a line of a Japanese manual page may end: not within a
// word of Latin letters, not before what may not begin a line, and the text stays
// what it was.
func TestBreakable(t *testing.T) {
	ja := roff{lang: JA}
	for text, want := range map[string]string{
		"設定を読む":            `設\:定\:を\:読\:む`,
		"設定(Apache、nginx)": `設\:定\:(Apache、\:nginx)`,
		"既定は 1m。":          `既\:定\:は 1m。`,
		"--all ではすべて":      `\-\-all で\:は\:す\:べ\:て`,
		"plain words":      "plain words",
	} {
		if got := ja.breakable(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := (&roff{}).breakable("ポート"); got != "ポート" {
		t.Errorf("an English page has %s", got)
	}
}

// TestExitCodes holds the manual pages against the command contract: the judging
// verbs end with 3 where something that was not seen could change the answer, the
// views never do.
func TestExitCodes(t *testing.T) {
	for command, want := range map[string]string{
		"monban": "0 1 2 4", "monban scan": "0 1 2 4", "monban check": "0 1 2 3 4", "monban audit": "0 1 2 3 4",
		"monban guard plan": "0 1 2 3 4", "monban guard status": "0 1 2 3 4", "monban explain": "0 2 4", "monban free": "0 2 4",
	} {
		var codes []string
		for _, e := range exitCodes(command) {
			codes = append(codes, e.code)
		}
		if got := strings.Join(codes, " "); got != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
		var page bytes.Buffer
		if err := WriteMan(&page, Topic{Command: command}, command, nil, nil, nil, EN); err != nil || !strings.Contains(page.String(), ".TP\n.B 4\n") {
			t.Errorf("%s: the page has no exit status 4 (%v)", command, err)
		}
	}
}
