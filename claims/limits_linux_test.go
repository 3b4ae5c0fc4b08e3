package claims

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// writer returns what writes files below dir.
func writer(t *testing.T, dir string) func(name, text string) {
	return func(name, text string) {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHostileTree reads a tree made to hang, to loop and to fill the memory.
func TestHostileTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := writer(t, dir)
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

	for _, tree := range []fs.FS{os.DirFS(dir), Files(dir)} {
		started := time.Now()
		found, gaps, err := Read(Place{FS: tree})
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
			found, gaps, err := Read(Place{FS: tree}, name)
			var problem *Error
			if !errors.As(err, &problem) || problem.Problem != want || found != nil || gaps != nil {
				t.Errorf("%s: %v, want problem %d and nothing else", name, err, want)
			}
		}
		if _, _, err := Read(Place{FS: tree}, "absent.conf"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("absent.conf: %v", err)
		}
	}
}

// TestNamesOfOneFile reads daemons' files that have several names: each is asked
// once, by the name that is its own where that was met. The instances of a
// systemd template and a project's files count by their names.
func TestNamesOfOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := writer(t, dir)
	link := func(target, name string) {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, full); err != nil {
			t.Fatal(err)
		}
	}
	write("tree/mysql/mariadb.cnf", "[mysqld]\nport=3307\n")
	link("../mysql/mariadb.cnf", "tree/alternatives/my.cnf")
	link("../alternatives/my.cnf", "tree/mysql/my.cnf")
	write("elsewhere/redis.conf", "port 7100\n")
	link("../../elsewhere/redis.conf", "tree/one/redis.conf")
	link("../../elsewhere/redis.conf", "tree/two/redis.conf")
	write("tree/three/redis.conf", "port 7100\n") // alike, and another file
	write("tree/units/x@.service", "[Service]\nExecStart=/usr/bin/memcached -p 1121%i -l 127.0.0.1\n")
	link("x@.service", "tree/units/x@1.service")
	link("x@.service", "tree/units/x@2.service")
	write("elsewhere/compose.yaml", "services: {a: {image: x, ports: ['${P}:80']}}\n")
	link("../../elsewhere/compose.yaml", "tree/p1/compose.yaml")
	write("tree/p1/.env", "P=7201\n")
	link("../../elsewhere/compose.yaml", "tree/p2/compose.yaml")
	write("tree/p2/.env", "P=7202\n")

	found, gaps, err := Read(Place{FS: os.DirFS(dir), Dir: "tree"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, c := range found {
		got[fmt.Sprintf("%s %d %s", c.By, c.Bind.Port.Num, c.Pos.File)]++
	}
	want := map[string]int{
		"mariadb 3307 mysql/mariadb.cnf":    2, // both families
		"redis 7100 one/redis.conf":         2, // both families
		"redis 7100 three/redis.conf":       2,
		"compose 7201 p1/compose.yaml":      1,
		"compose 7202 p2/compose.yaml":      1,
		"memcached 11211 units/x@1.service": 1,
		"memcached 11212 units/x@2.service": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, show(found, gaps))
	}

	write("machine/usr/lib/systemd/system/x@.service", "[Service]\nExecStart=/usr/bin/memcached -p 1121%i -l 127.0.0.1\n")
	for _, instance := range []string{"1", "2"} {
		link("../../../../usr/lib/systemd/system/x@.service", "machine/etc/systemd/system/multi-user.target.wants/x@"+instance+".service")
	}
	found, gaps = System(Place{FS: os.DirFS(filepath.Join(dir, "machine")), Root: "/"})
	if len(found) != 2 || len(gaps) != 0 || found[0].Bind.Port.Num != 11211 || found[1].Bind.Port.Num != 11212 {
		t.Errorf("instances of a template:\n%s", show(found, gaps))
	}
}

// TestNamesOtherThanUTF8 reads a directory whose name is of EUC-JP, and where package
// fs refuses that says what is wrong.
func TestNamesOtherThanUTF8(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := "\xc6\xfc\xcb\xdc"
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name, "redis.conf"), []byte("bind 127.0.0.1\nport 7000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := Files(dir)
	for _, p := range []Place{{FS: tree}, {FS: tree, Dir: name}} {
		found, gaps, err := Read(p)
		if len(found) != 1 || len(gaps) != 0 || err != nil || found[0].Pos.File != path.Join(strings.Repeat(name, 1-len(p.Dir)/len(name)), "redis.conf") {
			t.Errorf("%q: %+v %v %v", p.Dir, found, gaps, err)
		}
	}
	for _, bad := range []string{"../x", "/x", name + "/../x", name + "/", name + "//x", ""} {
		if _, err := fs.Stat(tree, bad); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	found, gaps, err := Read(Place{FS: os.DirFS(dir)})
	if len(found) != 0 || len(gaps) != 1 || err != nil || !strings.Contains(gaps[0].Err, "not in UTF-8") {
		t.Errorf("met: %v %v %v", found, gaps, err)
	}
	for _, p := range []Place{{FS: os.DirFS(dir)}, {FS: os.DirFS(dir), Dir: name}} {
		var problem *Error
		if _, _, err := Read(p, map[bool]string{true: name, false: "."}[p.Dir == ""]); !errors.As(err, &problem) || problem.Problem != BadName {
			t.Errorf("%q: %v", p.Dir, err)
		}
	}
}

// TestUTF16 meets the files that old Windows editors write: not read is not the
// same as nothing there, and no default is claimed in their place.
func TestUTF16(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{}
	for i, name := range []string{"my.ini", "httpd.conf", "sshd_config", ".env", "launchSettings.json", "xampp-control.ini"} {
		tree[name] = &fstest.MapFile{Data: wide("port=1\r\nListen 2\r\n", i%2 == 1)}
	}
	found, gaps, err := Read(Place{FS: tree})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 0 || len(gaps) != len(tree) {
		t.Errorf("%d claims and %d gaps of %d files:\n%s", len(found), len(gaps), len(tree), show(found, gaps))
	}
	for _, g := range gaps {
		if !strings.Contains(g.Err, "UTF-16") {
			t.Errorf("%s: %s", g.Source, g.Err)
		}
	}
	var problem *Error
	if _, _, err := Read(Place{FS: tree}, "my.ini"); !errors.As(err, &problem) || problem.Problem != UTF16 {
		t.Errorf("named: %v", err)
	}
}

// TestUTF16Read: what has to be readable in UTF-16 is, with the places that an
// editor shows.
func TestUTF16Read(t *testing.T) {
	t.Parallel()
	for _, big := range []bool{false, true} {
		tree := fstest.MapFS{
			"compose.yaml": {Data: wide("# 日本語 𩸽\r\nservices:\r\n  web:\r\n    image: x\r\n    ports: [\"8081:80\"]\r\n", big)},
			"server.xml":   {Data: wide(`<?xml version="1.0" encoding="UTF-16"?><Server port="-1"><Service name="Catalina"><Connector port="8082"/><Engine/></Service></Server>`, big)},
		}
		found, gaps, err := Read(Place{FS: tree})
		if err != nil || len(gaps) != 0 || len(found) != 2 || found[0].Bind.Port.Num != 8081 || found[0].Pos.Line != 5 || found[0].Pos.Col != 14 || found[1].Bind.Port.Num != 8082 {
			t.Errorf("%v\n%s", err, show(found, gaps))
		}
	}
}

// wide is a text in UTF-16 with its byte order mark.
func wide(text string, big bool) []byte {
	order, data := binary.AppendByteOrder(binary.LittleEndian), []byte{0xff, 0xfe}
	if big {
		order, data = binary.BigEndian, []byte{0xfe, 0xff}
	}
	for _, u := range utf16.Encode([]rune(text)) {
		data = order.AppendUint16(data, u)
	}
	return data
}

// TestLoadMet reads what was a regular file when it was met, and may be something
// else by now.
func TestLoadMet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, size := range map[string]int{"empty": 0, "small": 10, "full": maxFile, "large": maxFile + 1} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "utf16"), []byte("\xff\xfea\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := files{place: Place{FS: Files(dir)}}
	for name, want := range map[string]Problem{"empty": 0, "small": 0, "full": 0, "large": TooLarge, "pipe": NotRegular, "dir": NotRegular, "absent": Missing, "utf16": UTF16} {
		met, problem := f.load(name, true)
		asked, asProblem := f.load(name, false)
		if string(met) != string(asked) || problem == nil != (want == 0) || problem != nil && (problem.Problem != want || *problem != *asProblem) {
			t.Errorf("%s: %d bytes, %v; asked for first: %d bytes, %v; want problem %d", name, len(met), problem, len(asked), asProblem, want)
		}
	}
	// The size of this file is 0, and its text is not.
	f.place.FS = Files("/proc/self")
	if data, problem := f.load("status", true); problem != nil || !strings.Contains(string(data), "VmRSS:") {
		t.Errorf("status: %d bytes, %v", len(data), problem)
	}
}
