package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// late answers a question after it has done something else.
type late struct {
	first func()
	io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	if l.first != nil {
		l.first()
		l.first = nil
	}
	return l.Reader.Read(p)
}

// TestFixChangedWhileAsking changes a file, or the number of conflicts, while
// the question stands on the screen: what is done is what was shown, or nothing.
func TestFixChangedWhileAsking(t *testing.T) {
	if !applies() {
		t.Skip("changing files is for Linux so far")
	}
	const text = "claims:\n- {name: a, port: 80}\n- {name: b, port: 80}\n"
	for name, meanwhile := range map[string]struct{ file, text string }{
		"the file":           {"claims.yaml", text + "# and a note\n"},
		"the port":           {"claims.yaml", strings.ReplaceAll(text, "80", "81")},
		"a file that claims": {"p/claims.yaml", "claims:\n- {name: c, port: 8080}\n"},
	} {
		f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
		unpack(t, dir, "-- claims.yaml --\n"+text, same)
		stdin := &late{func() {
			path := filepath.Join(dir, meanwhile.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(meanwhile.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}, strings.NewReader("y\n")}
		out, errs, code := f.run(System{StdinTerminal: true, Stdin: stdin}, "fix", dir, "--load", quiet)
		if code != exitFailed || !strings.Contains(out, "not what was shown") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
		want := text
		if meanwhile.file == "claims.yaml" {
			want = meanwhile.text
		}
		if got := contents(t, dir)["claims.yaml"]; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestFixLinks is the layout of Debian's Apache: the site that is changed is the
// one that the link leads to, and the link stays one.
func TestFixLinks(t *testing.T) {
	if !applies() {
		t.Skip("changing files is for Linux so far")
	}
	f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
	unpack(t, dir, `-- a/claims.yaml --
# do not edit
claims:
- {name: first, port: 80}
-- apache2/apache2.conf --
Include ports.conf
IncludeOptional sites-enabled/*.conf
-- apache2/ports.conf --
Listen 80
-- apache2/sites-available/000-default.conf --
<VirtualHost *:80>
</VirtualHost>
`, same)
	if err := os.Mkdir(filepath.Join(dir, "apache2/sites-enabled"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "apache2/sites-enabled/000-default.conf")
	if err := os.Symlink("../sites-available/000-default.conf", link); err != nil {
		t.Fatal(err)
	}
	d, code := f.json(dir, "--load", quiet, "--yes")
	if code != exitOK || len(d.Data.Edits) != 2 {
		t.Fatalf("exit %d, %+v", code, d)
	}
	for _, e := range d.Data.Edits {
		if linked := strings.Contains(e.File, "sites-enabled"); linked != strings.HasSuffix(e.Target, "sites-available/000-default.conf") {
			t.Errorf("%+v", e)
		}
	}
	if target, err := os.Readlink(link); err != nil || target != "../sites-available/000-default.conf" {
		t.Errorf("the link is %q, %v", target, err)
	}
	got := contents(t, dir)
	if got["apache2/sites-available/000-default.conf"] != "<VirtualHost *:8080>\n</VirtualHost>\n" || got["apache2/ports.conf"] != "Listen 8080\n" {
		t.Errorf("%q", got)
	}
}

// TestFixLeft is about what no edit ends, and what is said of it.
func TestFixLeft(t *testing.T) {
	const first = "-- a/claims.yaml --\n# do not edit\nclaims:\n- {name: first, port: 6379}\n- {name: dns, port: 53, proto: udp}\n- {name: ssh, port: 22}\n"
	for name, c := range map[string]struct{ tree, reason, says string }{
		"default":   {first + "-- b/redis.conf --\nbind 0.0.0.0\n", "default", "Add the line that sets it"},
		"variable":  {first + "-- b/compose.yaml --\nservices:\n  a:\n    image: x\n    ports: [\"${NUM:-6379}:80\"]\n", "", ""},
		"range":     {first + "-- b/compose.yaml --\nservices:\n  a:\n    image: x\n    ports: [\"6378-6379:78-79\"]\n", "computed", "a variable or a range"},
		"generated": {first + "-- b/redis.conf --\n# Ansible managed\nbind 0.0.0.0\nport 6379\n", "generated", "a program writes it"},
		"twice":     {first + "-- b/httpd.conf --\nListen 7100\nListen 127.0.0.1:7100\n", "twice", "asks for it twice"},
		"DNS":       {first + "-- b/claims.yaml --\nclaims:\n- {name: mine, port: 53, proto: udp}\n", "expected", "by its number alone"},
		"SSH":       {first + "-- b/sshd_config --\nPort 22\n", "lifeline", "only way into this machine"},
	} {
		f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
		unpack(t, dir, c.tree, same)
		before := contents(t, dir)
		d, code := f.json(dir, "--load", quiet, "--yes")
		if c.reason == "" {
			if code != exitOK && applies() {
				t.Errorf("%s: exit %d, %+v", name, code, d)
			}
			continue
		}
		reason := ""
		for _, l := range d.Data.Left {
			reason = l.Reason
		}
		if code != exitFailed || reason != c.reason || d.Data.Outcome != "refused" {
			t.Errorf("%s: exit %d, %+v", name, code, d.Data)
		}
		if out, _, _ := f.run(System{}, "fix", dir, "--load", quiet); !strings.Contains(out, c.says) {
			t.Errorf("%s: %s", name, out)
		}
		out, _, _ := f.run(System{}, "fix", dir, "--load", quiet, "--lang", "ja")
		if !strings.Contains(out, "修正不可") || strings.Contains(out, c.reason+"\n") {
			t.Errorf("%s: %s", name, out)
		}
		for file, text := range contents(t, dir) {
			if text != before[file] {
				t.Errorf("%s: %s is changed", name, file)
			}
		}
	}
}

// TestFixHostile wants no control character of a file or of its name to reach a
// terminal, and no secret.
func TestFixHostile(t *testing.T) {
	f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
	unpack(t, dir, "-- p\x1b[31m\u202e/redis.conf --\n# \x1b]0;owned\a \x9b5m \xff\nrequirepass hunter2\nport 6379\n\x1b[2J\n-- q/redis.conf --\nmasterauth \"hunter2\"\nport 6379\nuser x on >hunter2 ~*\n", same)
	for _, more := range [][]string{{"--lang", "en"}, {"--lang", "ja"}, {"--json"}} {
		for _, sys := range []System{{}, {Terminal: true, Width: 100}} {
			out, _, _ := f.run(sys, append([]string{"fix", dir, "--load", quiet, "--dry-run"}, more...)...)
			if i := strings.IndexFunc(stripColours(out), func(r rune) bool {
				return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e
			}); i >= 0 {
				t.Errorf("%v lets %q through", more, stripColours(out)[max(0, i-20):])
			}
			if strings.Count(out, "6379") < 2 {
				t.Errorf("nothing is moved:\n%s", out)
			}
			if strings.Contains(out, "hunter2") {
				t.Errorf("a password is shown:\n%s", out)
			}
		}
	}
}
