package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// story is the tree of the story that everybody with XAMPP knows: its Apache and
// a second web server on one machine, and its MariaDB beside an older one.
type story struct {
	*room
	dir string
}

// newStory writes the files, with everything that the real programs need.
func newStory(t *testing.T) *story {
	t.Helper()
	for _, name := range []string{"apache2", "nginx", "mariadbd", "mariadb-install-db", "mariadb", "curl"} {
		netnstest.Need(t, name)
	}
	s := &story{room: newRoom(t, true)}
	s.ownMachine()
	// The machine's own daemons are not a part of the story.
	s.run("sh", "-c", "rm -rf /etc/systemd/system/*.wants")
	s.dir = s.subdir("story", "root")
	write := func(name, text string) {
		path := filepath.Join(s.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(strings.ReplaceAll(text, "@", s.dir)), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("xampp/htdocs/index.html", "It works: XAMPP\n")
	write("xampp/apache/conf/httpd.conf", `# The main server of XAMPP
ServerRoot "@/xampp/apache"
PidFile "@/httpd.pid"
ErrorLog "@/httpd.log"
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so

# Where it listens
#Listen 12.34.56.78:80
Listen 80

ServerName localhost:80
AddDefaultCharset utf-8
Timeout 80

Include conf/extra/httpd-vhosts.conf
`)
	write("xampp/apache/conf/extra/httpd-vhosts.conf", `<VirtualHost *:80>
    DocumentRoot "@/xampp/htdocs"
</VirtualHost>
`)
	database := `[client]
port=3306

[mysqld]
port=3306
datadir=@/data-NAME
socket=@/data-NAME/sock
pid-file=@/data-NAME/pid
user=mysql
skip-grant-tables
innodb_buffer_pool_size=8M
innodb_log_file_size=4M
`
	write("xampp/mysql/bin/my.ini", strings.ReplaceAll(database, "NAME", "xampp"))
	write("xampp/php/php.ini", "[MySQLi]\nmysqli.default_port=3306\n")
	write("xampp/phpMyAdmin/config.inc.php", "<?php\n$cfg['Servers'][$i]['host'] = '127.0.0.1';\n$cfg['Servers'][$i]['port'] = '3306';\n")
	write("xampp/xampp-control.ini", "[ServicePorts]\nApache=80\nMySQL=3306\nFileZilla=21\n")
	write("old/mariadb/my.cnf", strings.ReplaceAll(database, "NAME", "old"))
	write("shop/htdocs/index.html", "It works: the shop\n")
	write("shop/nginx.conf", `daemon off;
pid @/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    server {
        listen 80;
        root @/shop/htdocs;
    }
}
`)
	return s
}

// databases makes the data of both.
func (s *story) databases() {
	s.t.Helper()
	s.run("sh", "-ec", `cd "$1"; install -d -o mysql data-xampp
mariadb-install-db --no-defaults --user=mysql --datadir="$1/data-xampp" --skip-test-db --auth-root-authentication-method=normal > /dev/null
cp -a data-xampp data-old`, "sh", s.dir)
}

// monbanHere runs monban in the story's directory.
func (s *story) monbanHere(args ...string) (out string, code int) {
	s.t.Helper()
	cmd := s.command("root", "sh", append([]string{"-c", `cd "$1"; shift; exec "$@"`, "sh", s.dir, program(s.t, "monban")}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		failed, ended := errors.AsType[*exec.ExitError](err)
		if !ended {
			s.t.Fatal(err)
		}
		code = failed.ExitCode()
	}
	if stderr.Len() > 0 {
		s.t.Errorf("monban %q wrote to standard error: %s", args, stderr.Bytes())
	}
	return stdout.String(), code
}

func (s *story) checkHere() (checked, int) {
	s.t.Helper()
	out, code := s.monbanHere("check", "--json")
	validate(s.t, "check", []byte(out))
	var c checked
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		s.t.Fatal(err)
	}
	return c, code
}

// files returns the configuration files' contents.
func (s *story) files() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for _, name := range []string{"xampp/apache/conf/httpd.conf", "xampp/apache/conf/extra/httpd-vhosts.conf", "xampp/mysql/bin/my.ini", "xampp/php/php.ini",
		"xampp/phpMyAdmin/config.inc.php", "xampp/xampp-control.ini", "old/mariadb/my.cnf", "shop/nginx.conf"} {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

// answers wants a web server to serve a page, and a database to say its port to
// the client that reads the same file.
func (s *story) answers(port int, page string) {
	s.t.Helper()
	if got := s.run("curl", "-sS", "--noproxy", "*", fmt.Sprintf("http://127.0.0.1:%d/", port)); got != "It works: "+page+"\n" {
		s.t.Errorf("port %d answers %q", port, got)
	}
}

func (s *story) queries(file, want string) {
	s.t.Helper()
	got := s.run("mariadb", "--defaults-file="+filepath.Join(s.dir, file), "--protocol=tcp", "--host=127.0.0.1", "--skip-column-names", "--batch",
		"--execute=select @@port, @@datadir")
	if !strings.HasPrefix(got, want) {
		s.t.Errorf("%s leads to %q, not %q", file, got, want)
	}
}

// tell compares what the READMEs say at this point of the story with what
// monban says now: the commands of the block behind "<!-- story: STAGE -->" and
// their output, in which "…" stands for any lines. Process ids differ.
func (s *story) tell(stage string) {
	s.t.Helper()
	for file, lang := range map[string]string{"README.md": "en", "README.ja.md": "ja"} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			s.t.Fatal(err)
		}
		_, after, found := strings.Cut(string(text), "<!-- story: "+stage+" -->\n```console\n")
		block, _, ends := strings.Cut(after, "\n```")
		if !found || !ends {
			s.t.Errorf("%s does not tell what happens when %s", file, stage)
			continue
		}
		for i, part := range strings.Split("\n"+block, "\n$ monban ") {
			line, want, _ := strings.Cut(part, "\n")
			if i == 0 {
				continue
			}
			got, _ := s.monbanHere(append(strings.Fields(line), "--lang", lang)...)
			if at := missingLine(strings.Split(noPIDs(got), "\n"), strings.Split(noPIDs(want), "\n")); at != "" {
				s.t.Errorf("%s, $ monban %s: the line %q is not there:\n%s", file, line, at, got)
			}
			if strings.HasPrefix(line, "fix --yes") {
				s.monbanHere("fix", "--undo", "--yes")
			}
		}
	}
}

func noPIDs(text string) string {
	return regexp.MustCompile(`pid \d+|kill \d+`).ReplaceAllString(text, "pid N")
}

// missingLine returns the first line of a shortened text that the whole one does
// not have at its place.
func missingLine(whole, short []string) string {
	skip := false
	for _, line := range short {
		if line == "…" {
			skip = true
			continue
		}
		at := 0
		if skip {
			at = slices.Index(whole, line)
		}
		if at < 0 || at >= len(whole) || whole[at] != line {
			return line
		}
		whole, skip = whole[at+1:], false
	}
	return ""
}

// TestXAMPPStory tells the story from end to end with the real programs: what
// check predicts before anything runs, who has the port when one does, what fix
// changes, and that all four run side by side then.
func TestXAMPPStory(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.databases()
	before := s.files()

	// Before anything runs.
	s.tell("predicted")
	c, code := s.checkHere()
	if code != 1 {
		t.Errorf("before anything runs: exit %d", code)
	}
	if got := c.with("apache", 80); len(got) != 1 || got[0].Outcome != "fails" || got[0].File != "xampp/apache/conf/httpd.conf" || got[0].Line != 13 ||
		!slices.Equal(got[0].Against, []string{"shop/nginx.conf:8"}) {
		t.Errorf("Apache beside nginx: %v", got)
	}
	fails := 0
	for _, claim := range c.with("mariadb", 3306) {
		if claim.Outcome == "fails" && claim.File == "xampp/mysql/bin/my.ini" && slices.Equal(claim.Against, []string{"old/mariadb/my.cnf:5"}) {
			fails++
		}
	}
	if fails != 2 { // IPv4 and IPv6
		t.Errorf("MariaDB twice: %v", c.with("mariadb", 3306))
	}

	// One of each is started.
	s.daemon("root", "nginx", "-c", filepath.Join(s.dir, "shop/nginx.conf"))
	s.daemon("root", "mariadbd", "--defaults-file="+filepath.Join(s.dir, "old/mariadb/my.cnf"))
	s.waitFor("tcp 80", "tcp 3306")
	nginx := strings.TrimSpace(s.run("sh", "-c", "pgrep -o -x nginx"))
	mariadb := strings.TrimSpace(s.run("sh", "-c", "pgrep -o -x mariadbd"))
	s.tell("one of each runs")
	c, code = s.checkHere()
	for by, pid := range map[string]string{"apache": nginx, "mariadb": mariadb} {
		for _, claim := range c.with(by, map[string]int{"apache": 80, "mariadb": 3306}[by]) {
			own := claim.File == "old/mariadb/my.cnf"
			if own && claim.Outcome != "running" || !own && (claim.Outcome != "fails" || !slices.Contains(claim.Against, pid)) {
				t.Errorf("with %s %s running: %s: %s", by, pid, claim, claim.Why)
			}
		}
	}
	if code != 1 {
		t.Errorf("with one of each running: exit %d", code)
	}
	if out, code := s.monbanHere("80"); code != 0 || !strings.Contains(out, "nginx (pid "+nginx) || !strings.Contains(out, "EADDRINUSE") {
		t.Errorf("monban 80: exit %d\n%s", code, out)
	}
	// Apache itself says what monban explains.
	said, _ := s.command("root", "apache2", "-X", "-f", filepath.Join(s.dir, "xampp/apache/conf/httpd.conf")).CombinedOutput()
	if !bytes.Contains(said, []byte("Address already in use")) {
		t.Errorf("Apache beside a running nginx says %q", said)
	}
	if out, code := s.monbanHere("explain", string(said)); code != 0 || !strings.Contains(out, "nginx (pid "+nginx) {
		t.Errorf("monban explain: exit %d\n%s", code, out)
	}

	// The right lines move, and no others.
	s.tell("fixed")
	out, code := s.monbanHere("fix", "--yes", "--json")
	validate(t, "fix", []byte(out))
	if code != 0 {
		t.Fatalf("fix: exit %d\n%s", code, out)
	}
	want := map[string]string{}
	for name, text := range before {
		if strings.HasPrefix(name, "xampp/") {
			for _, r := range []string{"\nListen 80\n", "localhost:80\n", "*:80>", "\nApache=80\n"} {
				text = strings.Replace(text, r, strings.Replace(r, "80", "8080", 1), 1)
			}
			for _, r := range []string{"\nport=3306\n", "_port=3306\n", "'3306'", "MySQL=3306\n"} {
				text = strings.ReplaceAll(text, r, strings.Replace(r, "3306", "3307", 1))
			}
		}
		want[name] = text
	}
	for name, text := range s.files() {
		if text != want[name] {
			t.Errorf("%s is now\n%s\nnot\n%s", name, text, want[name])
		}
	}

	// Both start, and each answers.
	s.daemon("root", "apache2", "-X", "-f", filepath.Join(s.dir, "xampp/apache/conf/httpd.conf"))
	s.daemon("root", "mariadbd", "--defaults-file="+filepath.Join(s.dir, "xampp/mysql/bin/my.ini"))
	s.waitFor("tcp 8080", "tcp 3307")
	s.answers(80, "the shop")
	s.answers(8080, "XAMPP")
	s.queries("old/mariadb/my.cnf", "3306\t"+s.dir+"/data-old/")
	s.queries("xampp/mysql/bin/my.ini", "3307\t"+s.dir+"/data-xampp/")
	s.tell("all run")
	c, code = s.checkHere()
	for _, claim := range c.Data.Claims {
		if claim.Outcome != "running" {
			t.Errorf("in the end: %s: %s", claim, claim.Why)
		}
	}
	if code != 0 || len(c.Data.Claims) != 6 {
		t.Errorf("in the end: exit %d, %d claims", code, len(c.Data.Claims))
	}
	if out, code := s.monbanHere("fix", "--undo", "--yes"); code != 0 {
		t.Errorf("undo: exit %d\n%s", code, out)
	}
	for name, text := range s.files() {
		if text != before[name] {
			t.Errorf("after undo, %s is\n%s", name, text)
		}
	}
}

// TestFixUnderSudo keeps the old contents with the invoking user where all files
// are that user's own, and with root where they are not: a user must neither
// read what root alone may, nor have root write what the user has prepared.
func TestFixUnderSudo(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	r.ownMachine()
	home := r.subdir("home", "nobody")
	dir := r.subdir("home/shop", "nobody")
	const text = "claims:\n- {name: a, port: 7001}\n- {name: b, port: 7001}\n"
	path := r.file("home/shop/claims.yaml", text)
	fix := func(as string, env []string, args ...string) (string, int) {
		t.Helper()
		cmd := r.command(as, "sh", append([]string{"-c", `cd "$1"; shift; exec "$@"`, "sh", dir, program(t, "monban"), "fix"}, args...)...)
		cmd.Env = append(append(cmd.Env, "XDG_STATE_HOME="+home+"/state", "HOME="+home), env...)
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	sudo := []string{"SUDO_UID=65534", "SUDO_GID=65534", "SUDO_USER=nobody"}
	owner := func(path string) string {
		return strings.TrimSpace(r.run("stat", "-c", "%U %a", path))
	}
	records := func(dir string) string { return r.run("sh", "-c", "ls "+dir+" 2>/dev/null | tr '\\n' ' '") }

	// Root's file: root's record.
	if out, code := fix("root", sudo, "--yes"); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if got := owner(path); got != "root 644" {
		t.Error(got)
	}
	if got := records(home + "/state/monban/fixes"); got != "" {
		t.Errorf("the user has %s", got)
	}
	if got := records("/var/lib/monban/fixes"); !strings.HasSuffix(got, ".fix ") {
		t.Errorf("root has %q", got)
	}
	if out, code := fix("nobody", nil, "--undo", "--yes"); code != 4 || !strings.Contains(out, "sudo") {
		t.Errorf("the user takes root's change back: exit %d\n%s", code, out)
	}
	if out, code := fix("root", sudo, "--undo", "--yes"); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}

	// The user without sudo is told what to do.
	if out, code := fix("nobody", nil, "--yes"); code != 4 || !strings.Contains(out, "sudo monban fix --yes") || !strings.Contains(out, "You may not write to claims.yaml") {
		t.Errorf("exit %d\n%s", code, out)
	}

	// The user's own file: the user's record, which the user can take back alone.
	r.run("chown", "nobody:nogroup", path)
	if out, code := fix("root", sudo, "--yes"); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	got := records(home + "/state/monban/fixes")
	if !strings.HasSuffix(got, ".fix ") {
		t.Errorf("the user has %q", got)
	}
	for _, name := range []string{"claims.yaml", "../state/monban/fixes/" + strings.TrimSpace(got), "../state/monban/fixes", "../state/monban"} {
		if who := owner(filepath.Join(dir, name)); !strings.HasPrefix(who, "nobody ") || name != "claims.yaml" && who != "nobody 600" && who != "nobody 700" {
			t.Errorf("%s: %s", name, who)
		}
	}
	if out, code := fix("nobody", nil, "--undo", "--yes"); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != text {
		t.Errorf("%v: %q", err, now)
	}

	// A record that the user has prepared for a file of root's.
	if out, code := fix("nobody", nil, "--yes"); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	secret := r.file("secret", text)
	name := strings.TrimSpace(records(home + "/state/monban/fixes"))
	r.run("sh", "-ec", `cd "$1"; sed -n 3p "$2" | sed "s|$3|$4|" > t; (echo 'monban fix 1'; printf %s "$(cat t)" | sha256sum | cut -d' ' -f1; printf %s "$(cat t)") > n
cp "$5" "$4"; sed -n 's/.*"after":"\([^"]*\)".*/\1/p' t | base64 -d > "$4"; cat n > "$2"; rm t n`, "sh", home+"/state/monban/fixes", name, path, secret, path)
	before, _ := os.ReadFile(secret)
	out, code := fix("root", sudo, "--undo", "--yes")
	if now, err := os.ReadFile(secret); code != 4 || err != nil || !bytes.Equal(now, before) || !strings.Contains(out, "secret") {
		t.Errorf("root does what a user's record says: exit %d, %v\n%s", code, err, out)
	}
}
