package claims

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHostileTree reads a tree made to hang, to loop and to fill the memory.
func TestHostileTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write("good/redis.conf", "port 7000\n")
	// A pipe nobody writes to, met by walking and by an include.
	check(os.MkdirAll(filepath.Join(dir, "pipe"), 0o755))
	check(syscall.Mkfifo(filepath.Join(dir, "pipe", "nginx.conf"), 0o644))
	check(syscall.Mkfifo(filepath.Join(dir, "pipe", "more.conf"), 0o644))
	write("pipe/redis.conf", "include ./more.conf\nport 7001\n")
	// A link to a device that never ends, a loop of links, a link to a parent.
	check(os.MkdirAll(filepath.Join(dir, "links"), 0o755))
	check(os.Symlink("/dev/zero", filepath.Join(dir, "links", "httpd.conf")))
	check(os.Symlink("loop", filepath.Join(dir, "links", "loop")))
	check(os.Symlink("redis.conf", filepath.Join(dir, "links", "redis.conf")))
	check(os.Symlink("..", filepath.Join(dir, "links", "up")))
	// Files that include one another, and themselves by another name.
	write("cycle/nginx.conf", "http { include a.conf; }\n")
	write("cycle/a.conf", "include b.conf;\nserver { listen 7002; }\n")
	write("cycle/b.conf", "include a.conf;\n")
	deep := "deep/d0.conf"
	write("deep/redis.conf", "include ./d0.conf\nport 7003\n")
	for i := range 40 {
		write(deep, fmt.Sprintf("include ./d%d.conf\n", i+1))
		deep = fmt.Sprintf("deep/d%d.conf", i+1)
	}
	// A file that is too large, and a great many brackets.
	write("large/haproxy.cfg", strings.Repeat("# nothing\n", maxFile/10+1))
	write("brackets/claims.yaml", "claims: "+strings.Repeat("[", 100_000))
	write("brackets/named.conf", strings.Repeat("a {", 100_000))
	write("brackets/launchSettings.json", strings.Repeat("[", 100_000))
	write("brackets/server.xml", strings.Repeat("<a>", 100_000))

	started := time.Now()
	found, gaps, err := Read(Place{FS: os.DirFS(dir)})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	text := show(found, gaps)
	for _, want := range []string{":7000 ", ":7001 ", ":7002 ", ":7003 ",
		"gap pipe/more.conf: not a regular file",
		"gap cycle/b.conf:1: includes itself",
		"includes nested more than",
		"gap large/haproxy.cfg: larger than",
		"gap brackets/claims.yaml", "gap brackets/named.conf", "gap brackets/launchSettings.json"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}

	for name, want := range map[string]Problem{"pipe/nginx.conf": NotRegular, "links/httpd.conf": NotRegular, "large/haproxy.cfg": TooLarge} {
		found, gaps, err := Read(Place{FS: os.DirFS(dir)}, name)
		var problem *Error
		if !errors.As(err, &problem) || problem.Problem != want || found != nil || gaps != nil {
			t.Errorf("%s: %v, want problem %d and nothing else", name, err, want)
		}
	}
	if _, _, err := Read(Place{FS: os.DirFS(dir)}, "absent.conf"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent.conf: %v", err)
	}
}
