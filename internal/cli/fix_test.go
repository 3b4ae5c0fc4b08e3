package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
	"golang.org/x/tools/txtar"
)

// fixer runs monban with a state directory of its own.
type fixer struct {
	t     testing.TB
	state string
}

func (f fixer) run(sys System, args ...string) (out, errs string, code int) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	if sys.Stdin == nil {
		sys.Stdin = strings.NewReader("")
	}
	sys.Stdout, sys.Stderr = &stdout, &stderr
	sys.Getenv = func(name string) string {
		switch name {
		case "XDG_STATE_HOME", "HOME", "LocalAppData":
			return f.state
		}
		return ""
	}
	code = Run(context.Background(), sys, args)
	return stdout.String(), stderr.String(), code
}

// TestFixGolden shows a plan in both languages, in a pipe and on a terminal.
func TestFixGolden(t *testing.T) {
	f := fixer{t, t.TempDir()}
	screens := map[string]System{"pipe": {}, "narrow": {Terminal: true, Width: 80}}
	for screen, sys := range screens {
		for _, lang := range []string{"en", "ja"} {
			file := "fix." + screen + "." + lang + ".txt"
			t.Run(file, func(t *testing.T) {
				got, errs, code := f.run(sys, "fix", "testdata/shop", "--load", officeFile, "--lang", lang, "--dry-run")
				if code != exitFailed || errs != "" { // one conflict stays
					t.Errorf("exit %d, %s", code, errs)
				}
				golden(t, filepath.Join("testdata", "golden", file), got)
			})
		}
	}
}

// fixData is the data of verb fix, as far as tests look at it.
type fixData struct {
	Data struct {
		Outcome, Reason, Backup string
		Moves                   []fixMove
		Edits                   []struct {
			File, Target, Before, After string
			Line                        int
		}
		Left []struct {
			Name, Reason, File string
			Port               int
		}
		Applied bool
	}
}

type fixMove struct {
	Name, By, Kind, Reason, File string
	From, To, Line               int
	Stay                         []string
}

func (f fixer) json(args ...string) (fixData, int) {
	f.t.Helper()
	out, errs, code := f.run(System{}, append(append([]string{"fix"}, args...), "--json")...)
	if errs != "" {
		f.t.Fatalf("%v: %s", args, errs)
	}
	if t, ok := f.t.(*testing.T); ok {
		validate(t, out)
	}
	var d fixData
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		f.t.Fatal(err, out)
	}
	return d, code
}

// quietFile saves a machine on which nothing is open.
func quietFile(t testing.TB) string {
	snap := office()
	snap.Doors, snap.Containers, snap.Traffic, snap.Gaps = nil, nil, nil, nil
	snap.TrafficOf = []monban.PortRange{{First: 0, Last: 65535}}
	snap.Host.UID, snap.Host.User, snap.Host.Caps.BindService = 0, "root", monban.On
	var b bytes.Buffer
	if err := report.SaveSnapshot(&b, snap, true); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "quiet.json")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpack writes the files of an archive below dir.
func unpack(t testing.TB, dir, text string, edit func(string) string) {
	t.Helper()
	for _, f := range txtar.Parse([]byte(text)).Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(edit(string(f.Data))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func same(s string) string { return s }
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// contents returns every file below dir.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// applies reports whether files can be changed here.
func applies() bool { return runtime.GOOS == "linux" }

const xamppWindows = `-- xampp/apache/conf/httpd.conf --
Define SRVROOT "/xampp/apache"
ServerRoot "C:/xampp/apache"
Listen 80
LoadModule ssl_module modules/mod_ssl.so
ServerName localhost:80
<IfModule ssl_module>
Include "conf/extra/httpd-ssl.conf"
</IfModule>
Include "conf/extra/httpd-vhosts.conf"
-- xampp/apache/conf/extra/httpd-ssl.conf --
Listen 443
<VirtualHost _default_:443>
ServerName www.example.com:443
SSLCertificateFile "conf/ssl.crt/server.crt"
</VirtualHost>
-- xampp/apache/conf/extra/httpd-vhosts.conf --
<VirtualHost *:80>
ServerName shop.example
RewriteRule ^/80/443$ /3306
</VirtualHost>
-- xampp/mysql/bin/my.ini --
# Port 3306 is the usual one
[client]
port=3306
socket="C:/xampp/mysql/mysql.sock"
[mysqld]
port=3306
max_connections=3306
-- xampp/phpMyAdmin/config.inc.php --
<?php
$cfg['Servers'][$i]['password'] = 'hunter2';
$cfg['Servers'][$i]['port'] = '3306';
-- xampp/php/php.ini --
[MySQLi]
mysqli.default_port=3306
-- xampp/xampp-control.ini --
[Common]
Edition=
[ServicePorts]
Apache=80
ApacheSSL=443
MySQL=3306
FileZilla=21
-- other/nginx/nginx.conf --
# Generated by deploy. Do not edit.
events {}
http {
	server {
		listen 80;
		listen 443 ssl;
	}
}
-- other/mariadb/my.cnf --
# automatically generated by provisioning
[mysqld]
port=3306
`

// TestFixXAMPPOnWindows moves both programs of a copy of C:\xampp, whose files
// end their lines as Windows does, in every file that has to agree.
func TestFixXAMPPOnWindows(t *testing.T) {
	f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
	unpack(t, dir, xamppWindows, crlf)
	before := contents(t, dir)
	d, code := f.json(dir, "--load", quiet, "--dry-run")
	if code != exitOK || len(d.Data.Moves) != 3 || len(d.Data.Left) != 0 {
		t.Fatalf("exit %d, %+v", code, d)
	}
	for _, m := range d.Data.Moves {
		if m.Reason != "only-editable" || m.Kind != "customary" {
			t.Errorf("%+v", m)
		}
	}
	if out, _, _ := f.run(System{}, "fix", dir, "--load", quiet, "--dry-run"); strings.Contains(out, "hunter2") {
		t.Error("a password is shown")
	}
	if !applies() {
		return
	}
	if d, code = f.json(dir, "--load", quiet, "--yes"); code != exitOK || !d.Data.Applied {
		t.Fatalf("exit %d, %+v", code, d)
	}
	want := map[string]string{}
	for name, text := range before {
		if strings.HasPrefix(name, "xampp/") {
			for _, r := range [][2]string{
				{"Listen 80\r", "Listen 8080\r"}, {"localhost:80\r", "localhost:8080\r"}, {"Listen 443", "Listen 8443"}, {"_:443>", "_:8443>"},
				{".com:443\r", ".com:8443\r"}, {"*:80>", "*:8080>"}, {"\nport=3306", "\nport=3307"}, {"'3306'", "'3307'"}, {"_port=3306", "_port=3307"},
				{"Apache=80\r", "Apache=8080\r"}, {"ApacheSSL=443", "ApacheSSL=8443"}, {"MySQL=3306", "MySQL=3307"},
			} {
				text = strings.ReplaceAll(text, r[0], r[1])
			}
		}
		want[name] = text
	}
	for name, text := range contents(t, dir) {
		if text != want[name] {
			t.Errorf("%s is\n%q\nnot\n%q", name, text, want[name])
		}
	}
	if out, errs, code := check(t, System{}, dir, "--load", quiet); code != exitOK {
		t.Errorf("check: exit %d\n%s%s", code, out, errs)
	}
}

// TestFixXAMPPOnLinux is the tree of /opt/lampp, beside programs that come first.
func TestFixXAMPPOnLinux(t *testing.T) {
	f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
	unpack(t, dir, `-- a/claims.yaml --
# Managed by ansible
claims:
  - {name: web, port: 80}
  - {name: tls, port: 443}
  - {name: db, port: 3306}
-- opt/lampp/etc/httpd.conf --
ServerRoot "/opt/lampp"
Listen 80
LoadModule ssl_module modules/mod_ssl.so
ServerName localhost:80
Include etc/extra/httpd-ssl.conf
Include etc/extra/httpd-vhosts.conf
-- opt/lampp/etc/extra/httpd-ssl.conf --
Listen 443
<VirtualHost _default_:443>
</VirtualHost>
-- opt/lampp/etc/extra/httpd-vhosts.conf --
<VirtualHost *:80>
</VirtualHost>
-- opt/lampp/etc/my.cnf --
[client]
port		=3306
[mysqld]
user=mysql
port=3306
-- opt/lampp/etc/php.ini --
mysqli.default_port = 3306
-- opt/lampp/phpmyadmin/config.inc.php --
<?php
$cfg['Servers'][$i]['port']          = '3306';
`, same)
	d, code := f.json(dir, "--load", quiet, "--dry-run")
	var got []string
	for _, m := range d.Data.Moves {
		got = append(got, fmt.Sprint(m.By, " ", m.From, " ", m.To, " ", m.Reason))
	}
	slices.Sort(got)
	if code != exitOK || !slices.Equal(got, []string{"apache 443 8443 only-editable", "apache 80 8080 only-editable", "mariadb 3306 3307 only-editable"}) {
		t.Errorf("exit %d, %q, %+v", code, got, d.Data.Left)
	}
	var edits []string
	for _, e := range d.Data.Edits {
		rel, _ := filepath.Rel(dir, e.File)
		edits = append(edits, fmt.Sprintf("%s:%d", filepath.ToSlash(rel), e.Line))
	}
	slices.Sort(edits)
	if want := []string{"opt/lampp/etc/extra/httpd-ssl.conf:1", "opt/lampp/etc/extra/httpd-ssl.conf:2", "opt/lampp/etc/extra/httpd-vhosts.conf:1",
		"opt/lampp/etc/httpd.conf:2", "opt/lampp/etc/httpd.conf:4", "opt/lampp/etc/my.cnf:2", "opt/lampp/etc/my.cnf:5", "opt/lampp/etc/php.ini:1",
		"opt/lampp/phpmyadmin/config.inc.php:2"}; !slices.Equal(edits, want) {
		t.Errorf("edits %q", edits)
	}
}

// TestFixTerminal answers at a terminal: no, nothing, and yes.
func TestFixTerminal(t *testing.T) {
	if !applies() {
		t.Skip("changing files is for Linux so far")
	}
	f, dir, quiet := fixer{t, t.TempDir()}, t.TempDir(), quietFile(t)
	unpack(t, dir, "-- claims.yaml --\nclaims:\n- {name: a, port: 80}\n- {name: b, port: 80}\n", same)
	before := contents(t, dir)
	for answer, want := range map[string]int{"n\n": exitFailed, "": exitFailed, "maybe\n": exitFailed} {
		out, errs, code := f.run(System{Terminal: true, StdinTerminal: true, Width: 80, Stdin: strings.NewReader(answer)}, "fix", dir, "--load", quiet)
		if code != want || !strings.Contains(errs, "[y/N]") || !strings.Contains(out, "Nothing was changed") {
			t.Errorf("%q: exit %d\n%s%s", answer, code, out, errs)
		}
		if got := contents(t, dir); got["claims.yaml"] != before["claims.yaml"] {
			t.Errorf("%q: the file is changed", answer)
		}
	}
	out, errs, code := f.run(System{StdinTerminal: true, Stdin: strings.NewReader("y\n")}, "fix", dir, "--load", quiet)
	if code != exitOK || strings.Count(out, "+++") != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if got := contents(t, dir)["claims.yaml"]; got != strings.Replace(before["claims.yaml"], "b, port: 80", "b, port: 8080", 1) {
		t.Errorf("%q", got)
	}
}

// TestFixOnlyPorts makes random trees of configuration files, with conflicts,
// in any line ending and with bytes that are no text, and has them fixed. Only
// ports may change, no conflict may be left, and undo brings every byte back.
func TestFixOnlyPorts(t *testing.T) {
	if !applies() {
		t.Skip("changing files is for Linux so far")
	}
	quiet := quietFile(t)
	moved, leased := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		f, dir := fixer{t, t.TempDir()}, t.TempDir()
		randomTree(t, r, dir)
		before := contents(t, dir)
		advised := f.advice(dir, "--load", quiet)
		d, code := f.json(dir, "--load", quiet, "--yes")
		if d.Data.Outcome == "nothing" {
			continue
		}
		for _, a := range advised {
			if !slices.ContainsFunc(d.Data.Moves, func(m fixMove) bool { return a == fmt.Sprintf("%s %d", m.File, m.To) }) {
				t.Errorf("seed %d: check advises %s, and fix does %+v", seed, a, d.Data.Moves)
			}
		}
		if code != exitOK || len(d.Data.Left) > 0 {
			t.Errorf("seed %d: exit %d, left %+v", seed, code, d.Data.Left)
		}
		ports := map[string]bool{}
		for _, m := range d.Data.Moves {
			ports[fmt.Sprint(m.From, ">", m.To)] = true
			moved++
			if m.Kind == "leased" {
				leased++
			}
		}
		after := contents(t, dir)
		for name, text := range after {
			for _, change := range digitRuns(t, before[name], text) {
				if !ports[change] {
					t.Errorf("seed %d: %s: changed %s, which is no move of %v\n%q\n%q", seed, name, change, ports, before[name], text)
				}
			}
		}
		if out, _, code := check(t, System{}, dir, "--load", quiet); code != exitOK {
			t.Errorf("seed %d: after it, check exits %d:\n%s", seed, code, out)
		}
		if out, errs, code := f.run(System{}, "fix", "--undo", "--yes", d.Data.Backup); code != exitOK {
			t.Errorf("seed %d: undo: exit %d %s%s", seed, code, out, errs)
		}
		for name, text := range contents(t, dir) {
			if text != before[name] {
				t.Errorf("seed %d: %s is not what it was", seed, name)
			}
		}
		if out, _, _ := f.run(System{}, "pick", "--list", "--json"); !strings.Contains(out, `"leases":[]`) {
			t.Errorf("seed %d: after undo, ports stay leased: %s", seed, out)
		}
		if t.Failed() {
			return
		}
	}
	if moved < 60 || leased < 10 {
		t.Errorf("%d moves, %d to leased ports", moved, leased)
	}
}

// advice is which file check would give which port, "p1/my.cnf 3307".
func (f fixer) advice(args ...string) (list []string) {
	f.t.Helper()
	out, errs, _ := f.run(System{}, append([]string{"check", "--json"}, args...)...)
	var d struct {
		Data struct {
			Claims []struct {
				Outcome string
				Fix     []struct{ Text string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		f.t.Fatal(err, out, errs)
	}
	line := regexp.MustCompile(`^Use another port in (.*):[0-9]+; ([0-9]+) is free now\.$`)
	for _, c := range d.Data.Claims {
		for _, fix := range c.Fix {
			if m := line.FindStringSubmatch(fix.Text); m != nil && c.Outcome == "fails" {
				list = append(list, m[1]+" "+m[2])
			}
		}
	}
	return list
}

// digitRuns compares two texts that may differ in numbers only, and returns the
// differences, "80>8080".
func digitRuns(t *testing.T, before, after string) (changes []string) {
	t.Helper()
	a, b := tokens(before), tokens(after)
	if len(a) != len(b) {
		t.Errorf("the texts differ in more than numbers:\n%q\n%q", before, after)
		return nil
	}
	for i := range a {
		if a[i] != b[i] {
			changes = append(changes, a[i]+">"+b[i])
		}
	}
	return changes
}

// tokens cuts a text into numbers and what stands between them.
func tokens(text string) (out []string) {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for i := 0; i < len(text); {
		j := i + 1
		for j < len(text) && digit(text[j]) == digit(text[i]) {
			j++
		}
		out, i = append(out, text[i:j]), j
	}
	return out
}

// randomTree writes some programs' configuration files that want few ports.
func randomTree(t *testing.T, r *rand.Rand, dir string) {
	t.Helper()
	port := func() int { return []int{80, 443, 3306, 6379, 8000, 5432, 7100}[r.IntN(7)] }
	noise := func() string {
		return []string{"", "# 80 443 3306 6379 8000 5432 7100\n", "# caf\xe9 80\n", "\n\n", "# \xff\xfe\n"}[r.IntN(5)]
	}
	for i := range 3 + r.IntN(5) {
		name, text := "", ""
		switch p := port(); r.IntN(8) {
		case 0:
			name = "httpd.conf"
			text = fmt.Sprintf("Listen %[1]d\nServerName localhost:%[1]d\n%[2]s<VirtualHost *:%[1]d>\n</VirtualHost>\nTimeout %[1]d\n", p, noise())
			if r.IntN(2) == 0 {
				text = fmt.Sprintf("Define PORT %[1]d\nListen ${PORT}\n%[2]s<VirtualHost *:%[1]d>\n</VirtualHost>\n", p, noise())
			}
		case 1:
			name = "nginx.conf"
			text = fmt.Sprintf("events {}\nhttp {\n%[2]s\tserver {\n\t\tlisten %[1]d; listen [::]:%[1]d;\n\t\treturn 301 http://x:%[1]d/;\n\t}\n}\n", p, noise())
		case 2:
			name, text = "redis.conf", fmt.Sprintf("bind 127.0.0.1\n%[2]sport %[1]d\nmaxclients %[1]d\n", p, noise())
		case 3:
			name, text = "my.cnf", fmt.Sprintf("[client]\nport = %[1]d\n%[2]s[mysqld]\nport=%[1]d\nmax_connections=%[1]d\n", p, noise())
		case 4:
			name, text = "lighttpd.conf", fmt.Sprintf("server.port = %[1]d\n%[2]sserver.max-fds = %[1]d\n", p, noise())
		case 5:
			name, text = "postgresql.conf", fmt.Sprintf("%[2]sport = %[1]d # (change requires restart)\nmax_connections = %[1]d\nlisten_addresses = '*'\n", p, noise())
		case 6:
			name, text = "compose.yaml", fmt.Sprintf("services:\n  web:\n    image: x:%[1]d\n    ports: [\"%[1]d:%[1]d\"]\n", p)
		default:
			name, text = "claims.yaml", fmt.Sprintf("claims:\n  - {name: a%[1]d, port: %[1]d}\n", p)
		}
		if r.IntN(2) == 0 {
			text = crlf(text)
		}
		if r.IntN(4) == 0 {
			text = "\ufeff" + text
		}
		if r.IntN(4) == 0 {
			text = strings.TrimRight(text, "\r\n")
		}
		unpack(t, filepath.Join(dir, fmt.Sprint("p", i)), "-- "+name+" --\n", func(string) string { return text })
	}
}
