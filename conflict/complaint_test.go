package conflict

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/complaints")

// TestReadComplaint reads every text of the corpus. A file has a comment that
// tells where its text comes from, the text, and one line for each complaint.
func TestReadComplaint(t *testing.T) {
	files, err := filepath.Glob("testdata/complaints/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 90 {
		t.Fatalf("%d texts in the corpus, want at least 90", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			head, text, want := readGolden(t, file)
			got := describe(text, ReadComplaint(text))
			if *update {
				err := os.WriteFile(file, []byte(head+textMark+text+wantMark+got), 0o666)
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("complaints:\n%swant:\n%s", got, want)
			}
		})
	}
}

const textMark, wantMark = "-- text --\n", "-- want --\n"

func readGolden(t *testing.T, file string) (head, text, want string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(b), textMark)
	text, want, ok2 := strings.Cut(rest, wantMark)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks a line %q or %q", file, textMark, wantMark)
	}
	return head, text, want
}

// describe writes one line for each complaint.
func describe(text string, list []Complaint) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%d: %s %s os=%s program=%s", 1+strings.Count(text[:c.Pos], "\n"), dash(c.Errno), where(c), dash(c.OS), dash(c.Program))
		if c.Remote {
			b.WriteString(" remote")
		}
		if c.Holder != (Holder{}) {
			fmt.Fprintf(&b, " holder=%q(%d)", c.Holder.Name, c.Holder.PID)
		}
		if c.File != "" {
			fmt.Fprintf(&b, " file=%s:%d", c.File, c.Line)
		}
		b.WriteString(" causes=")
		for i, cause := range c.Causes {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(string(cause))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func where(c Complaint) string {
	host := c.Host
	if c.Addr.IsValid() {
		host = c.Addr.String()
		if c.Addr.Is6() {
			host = "[" + host + "]"
		}
	}
	if c.HasPort {
		host += ":" + strconv.Itoa(int(c.Port))
	}
	if host == "" {
		host = "-"
	}
	if c.Proto != monban.AnyProto {
		host += "/" + c.Proto.String()
	}
	return host
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

var _ = netip.Addr{}
var _ = time.Now
