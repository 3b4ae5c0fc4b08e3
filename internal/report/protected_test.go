package report

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// TestProtectedOwnProgram: a program of one's own that may not be looked into, an
// ssh-agent for example, is not said to be another user's.
func TestProtectedOwnProgram(t *testing.T) {
	closed := func(num uint16, uid uint32) monban.Door {
		return monban.Door{Bind: monban.Bind{Port: monban.Port{Num: num, Proto: monban.TCP}, Addr: netip.MustParseAddr("127.0.0.1")},
			State: monban.Listen, UID: uid, Unnamed: monban.HiddenPrivilege}
	}
	text := func(lang Lang, doors ...monban.Door) string {
		var b bytes.Buffer
		snap := &monban.Snapshot{Host: monban.Host{OS: "linux", UID: 1000}, Doors: doors,
			Gaps: []monban.Gap{{Source: "/proc", Hides: monban.HidesOwners, Reason: monban.HiddenPrivilege, Count: len(doors)}}}
		r := Result{Verb: "status", Snapshot: snap, Book: portbook.Builtin(), Data: Status{Doors: doors},
			Findings: []monban.Finding{{Kind: monban.UnnamedOwner, Severity: monban.Info, Bind: doors[0].Bind, Doors: doors[:1]}}}
		if err := Write(&b, r, Style{Format: Text, Lang: lang}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for lang, words := range map[Lang][2]string{EN: {"another user", "one of your own"}, JA: {"別のユーザー", "自分のプログラム"}} {
		if got := text(lang, closed(4000, 1000)); strings.Contains(got, words[0]) || strings.Contains(got, "他ユーザー") || strings.Count(got, words[1]) == 0 {
			t.Errorf("one's own:\n%s", got)
		}
		if got := text(lang, closed(4000, 0)); !strings.Contains(got, words[0]) || strings.Contains(got, words[1]) {
			t.Errorf("root's:\n%s", got)
		}
	}
	both := text(EN, closed(4000, 0), closed(4001, 1000))
	if !strings.Contains(both, "1 door belongs to another user; with sudo its program is named. 1 door belongs to a program of your own") {
		t.Errorf("both:\n%s", both)
	}
}
