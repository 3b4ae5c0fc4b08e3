package conflict

import (
	"flag"
	"fmt"
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

// TestMostComplaints: what a text says beyond the bound is not returned, and a
// caller can tell.
func TestMostComplaints(t *testing.T) {
	var text strings.Builder
	for i := range MostComplaints + 3 {
		fmt.Fprintf(&text, "listen tcp :%d: bind: address already in use\n", 8001+i)
	}
	list := ReadComplaint(text.String())
	if len(list) != MostComplaints || list[0].Port != 8001 {
		t.Errorf("%d complaints, want the first %d", len(list), MostComplaints)
	}
}

// TestReadComplaintPositions checks what the corpus does not show: the line as
// it stands in the text, and where.
func TestReadComplaintPositions(t *testing.T) {
	text := "first\r\n\x1b[31mlisten tcp :8080: bind: address already in use\x1b[0m\r\nlast\r\n"
	list := ReadComplaint(text)
	if len(list) != 1 {
		t.Fatalf("%d complaints, want 1", len(list))
	}
	c := list[0]
	if want := "listen tcp :8080: bind: address already in use"; c.Text != want {
		t.Errorf("Text = %q, want %q", c.Text, want)
	}
	if want := len("first\r\n"); c.Pos != want {
		t.Errorf("Pos = %d, want %d", c.Pos, want)
	}
}

// TestReadComplaintNumbers puts numbers that are no ports where a port might
// be expected.
func TestReadComplaintNumbers(t *testing.T) {
	for _, text := range []string{
		"21:10:54.854 main.go:3000: bind: address already in use",
		"2026-11-23T21:10:54 app[3000]: bind: address already in use",
		"[3000] bind: address already in use",
		"server.js:3000:12 listen EADDRINUSE",
		"app 3.0.0:8080-rc1 pid 3000 bind failed: Address already in use",
		"pid:3000 bind: Address already in use",
		"line 3000: bind: Address already in use",
		"transport 3000 bind: Address already in use",
		"bind: Address already in use (after 3000 ms)",
		"00:1a:2b:3c:4d:5e bind: Address already in use",
		`{"level":"error","ts":1795468455,"pid":3000,"msg":"bind: address already in use"}`,
	} {
		list := ReadComplaint(text)
		if len(list) != 1 || list[0].Errno != "EADDRINUSE" {
			t.Errorf("%q: %+v, want one EADDRINUSE", text, list)
			continue
		}
		if list[0].HasPort {
			t.Errorf("%q: port %d, want none", text, list[0].Port)
		}
	}
}

// TestReadComplaintWritings reads one address in the ways in which people and
// programs write it.
func TestReadComplaintWritings(t *testing.T) {
	tests := []struct {
		text string
		addr string // "" is none
		host string
		port uint16
	}{
		{":::3000", "::", "", 3000},
		{"::1:3000", "::1", "", 3000},
		{"[::]:80", "::", "", 80},
		{"[fe80::1%eth0]:80", "fe80::1%eth0", "", 80},
		{"0.0.0.0:80", "0.0.0.0", "", 80},
		{"127.0.0.1:65535", "127.0.0.1", "", 65535},
		{"*:8080", "", "*", 8080},
		{":8080", "", "*", 8080},
		{"localhost:8080", "", "localhost", 8080},
		{"tcp4 0.0.0.0:80", "0.0.0.0", "", 80},
		{"tcp://0.0.0.0:2375", "0.0.0.0", "", 2375},
		{"http://localhost:8080/path", "", "localhost", 8080},
		{"http://[::1]:8080", "::1", "", 8080},
		{"('0.0.0.0', 8000)", "0.0.0.0", "", 8000},
		{`("", 8000)`, "", "*", 8000},
		{"('::', 8000, 0, 0)", "::", "", 8000},
		{"127.0.0.1#53", "127.0.0.1", "", 53},
		{"/0.0.0.0:25565", "0.0.0.0", "", 25565},
		{"localhost/127.0.0.1:9092", "127.0.0.1", "", 9092},
		{"[/0:0:0:0:0:0:0:0:8080]", "::", "", 8080},
		{"Port 80", "", "", 80},
		{"port: 8080", "", "", 8080},
		{"PORT=3000", "", "", 3000},
		{"port 5432?", "", "", 5432},
		{"port '3306'", "", "", 3306},
		{`"port":27017`, "", "", 27017},
		{"ports [80]", "", "", 80},
		{"ポート番号 8080", "", "", 8080},
		{"ポート:8080", "", "", 8080},
		{"8080番ポート", "", "", 8080},
		{"80/tcp", "", "*", 80},
		{"198.51.100.7:443", "198.51.100.7", "", 443},
	}
	for _, tt := range tests {
		for _, frame := range []string{"bind: Address already in use %s", "bind %s: Address already in use", "%s bind: Address already in use"} {
			text := strings.Replace(frame, "%s", tt.text, 1)
			list := ReadComplaint(text)
			if len(list) != 1 {
				t.Errorf("%q: %d complaints, want 1", text, len(list))
				continue
			}
			c := list[0]
			addr := ""
			if c.Addr.IsValid() {
				addr = c.Addr.String()
			}
			if addr != tt.addr || c.Host != tt.host || c.Port != tt.port || !c.HasPort {
				t.Errorf("%q: addr %q, host %q, port %d %t; want %q, %q, %d", text, addr, c.Host, c.Port, c.HasPort, tt.addr, tt.host, tt.port)
			}
		}
	}
}

func FuzzReadComplaint(f *testing.F) {
	files, err := filepath.Glob("testdata/complaints/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := ReadComplaint(text)
		if len(list) > MostComplaints {
			t.Errorf("%d complaints, want at most %d", len(list), MostComplaints)
		}
		for i, c := range list {
			if c.Pos < 0 || c.Pos > len(text) || i > 0 && c.Pos < list[i-1].Pos {
				t.Errorf("position %d of complaint %d is out of the text or of order", c.Pos, i)
			}
			if !c.HasPort && c.Port != 0 {
				t.Errorf("port %d without HasPort", c.Port)
			}
			if c.Holder.PID < 0 || c.Line < 0 {
				t.Errorf("negative pid or line: %+v", c)
			}
			for _, cause := range c.Causes {
				if !known(cause) {
					t.Errorf("cause %q is not in Causes", cause)
				}
			}
		}
	})
}

func known(c Cause) bool {
	for _, info := range Causes() {
		if info.ID == c {
			return true
		}
	}
	return false
}

// TestReadComplaintHostile feeds a megabyte of what costs most. The bound is
// generous, for a loaded machine: a quadratic step would take minutes.
func TestReadComplaintHostile(t *testing.T) {
	for _, unit := range []string{
		"a", "\n", "1,", ": ", "port ", "(", "1:", "[", "::", "('',1),", "\x1b[", "\x1b]", "permission denied ",
		"listen tcp :80: bind: address already in use\n", "bind: address already in use\n", "in use port ", "\xff", "ポート",
		"errno: ", "0.0.0.0:80 ", "port: 80\n",
	} {
		text := strings.Repeat(unit, 1<<20/len(unit))
		start := time.Now()
		ReadComplaint(text)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("1 MiB of %q took %v", unit, took)
		} else {
			t.Logf("1 MiB of %q took %v", unit, took)
		}
	}
}
