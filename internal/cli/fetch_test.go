package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/portbook"
)

// registryCSV is the registry as IANA would publish it now.
func registryCSV(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open("../../portbook/data/registry.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	csv, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return csv
}

// TestUpdate replaces the registry from a file and from a server, by curl and by
// wget, and keeps it whatever comes that is no registry.
func TestUpdate(t *testing.T) {
	// Looked for before PATH is changed.
	programs := map[string]string{"curl": netnstest.Need(t, "curl"), "wget": netnstest.Need(t, "wget")}
	csv := registryCSV(t)
	newer := bytes.Replace(csv, []byte("\nhttp,80,tcp,World Wide Web HTTP"), []byte("\nhttp,80,tcp,The newer text"), 1)
	if bytes.Equal(newer, csv) {
		t.Fatal("the registry has no row to change")
	}
	// The server answers in goroutines of its own.
	type answer struct {
		status int
		body   []byte
	}
	var next atomic.Pointer[answer]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := next.Load()
		w.WriteHeader(a.status)
		w.Write(a.body)
	}))
	defer server.Close()

	home := t.TempDir()
	registry := filepath.Join(home, "monban", "registry")
	// update runs the verb as an ordinary user would, with only the named
	// program to fetch with, and returns the exit code and what it said.
	older := false
	update := func(program string, args ...string) (int, string) {
		t.Helper()
		bin := t.TempDir()
		if program != "" {
			if err := os.Symlink(programs[program], filepath.Join(bin, program)); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", bin)
		var out bytes.Buffer
		a := newApp(System{Stdout: &out, Stderr: &out, Getenv: func(name string) string {
			if name == "XDG_DATA_HOME" {
				return home
			}
			return ""
		}}, nil)
		a.registryAt = registry
		from := ianaCSV
		if len(args) > 0 {
			from = args[0]
		}
		if err := a.update(context.Background(), from, older); err != nil {
			if isUsage(err) {
				return exitUsage, err.Error()
			}
			return exitFailed, err.Error()
		}
		return exitOK, out.String()
	}
	described := func(text string) bool {
		t.Helper()
		a := newApp(System{Getenv: func(string) string { return "" }}, nil)
		a.registryAt = registry
		book, gaps := a.book()
		if len(gaps) > 0 {
			t.Fatal(gaps)
		}
		return book.Assigned(monban.Port{Num: 80, Proto: monban.TCP})[0].Description == text
	}

	file := filepath.Join(t.TempDir(), "new.csv")
	if err := os.WriteFile(file, newer, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, said := update("", file); code != exitOK || !described("The newer text") {
		t.Fatalf("from a file: exit %d, %s", code, said)
	}
	next.Store(&answer{http.StatusOK, csv})
	if code, said := update("curl", server.URL); code != exitOK || !described("World Wide Web HTTP") {
		t.Fatalf("by curl: exit %d, %s", code, said)
	}
	next.Store(&answer{http.StatusOK, newer})
	if code, said := update("wget", server.URL); code != exitOK || !described("The newer text") {
		t.Fatalf("by wget: exit %d, %s", code, said)
	}

	next.Store(&answer{http.StatusOK, []byte("<html>Please log in to this network</html>")})
	if code, said := update("curl", server.URL); code != exitUsage || !strings.Contains(said, "was kept") {
		t.Errorf("a captive portal: exit %d, %s", code, said)
	}
	next.Store(&answer{http.StatusOK, newer[:len(newer)/2]})
	if code, said := update("wget", server.URL); code != exitUsage {
		t.Errorf("half a registry: exit %d, %s", code, said)
	}
	next.Store(&answer{http.StatusOK, bytes.Repeat([]byte("x"), maxRegistry+1<<20)})
	if code, said := update("curl", server.URL); code != exitUsage {
		t.Errorf("an endless answer: exit %d, %.200s", code, said)
	}
	next.Store(&answer{http.StatusNotFound, nil})
	for _, program := range []string{"curl", "wget"} {
		if code, said := update(program, server.URL); code != exitFailed || !strings.Contains(said, "was kept") {
			t.Errorf("404 by %s: exit %d, %s", program, code, said)
		}
	}
	if code, said := update("", server.URL); code != exitFailed || !strings.Contains(said, "neither curl nor wget") {
		t.Errorf("nothing to fetch with: exit %d, %s", code, said)
	}
	if code, said := update("curl", "http://192.0.2.1/x.csv"); code != exitUsage {
		t.Errorf("plain http from elsewhere: exit %d, %s", code, said)
	}
	if !described("The newer text") {
		t.Error("the registry in use was lost")
	}

	// A mirror that lags behind takes nothing away, unless the user says so.
	date := portbook.Builtin().Version()
	aged := regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b`).ReplaceAll(csv, []byte("2019-05-04"))
	if err := os.WriteFile(file, aged, 0o644); err != nil {
		t.Fatal(err)
	}
	code, said := update("", file)
	if code != exitUsage || !strings.Contains(said, "of 2019-05-04, older than the one in use ("+date+"), which was kept; --older") {
		t.Errorf("an older registry: exit %d, %s", code, said)
	}
	if !described("The newer text") {
		t.Error("an older registry took the place of the newer one")
	}
	older = true
	if code, said := update("", file); code != exitOK || !described("World Wide Web HTTP") {
		t.Errorf("an older registry, wanted: exit %d, %s", code, said)
	}
	older = false
	if code, said := update("", file); code != exitOK {
		t.Errorf("the same registry again: exit %d, %s", code, said)
	}
	if left, _ := filepath.Glob(filepath.Join(home, "monban", "*")); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

func TestLimited(t *testing.T) {
	var b bytes.Buffer
	cmd := exec.Command("/bin/sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo 0123456789; i=$((i+1)); done")
	cmd.Stdout = &limited{&b, 25}
	if err := cmd.Run(); err != nil || b.Len() != 25 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}
