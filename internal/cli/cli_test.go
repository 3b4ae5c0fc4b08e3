package cli

import (
	"bytes"
	"context"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// atOnce has a program with the race detector fail at a race, and not wait a second
// before it ends.
const atOnce = "halt_on_error=1 atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	time.Local = time.UTC // absolute times in the output
	testscript.Main(m, map[string]func(){"monban": func() { os.Exit(Main(os.Args[1:])) }})
}

// TestScripts runs a transcript for each verb.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			dir, err := filepath.Abs("testdata")
			env.Setenv("TESTDATA", dir)
			env.Setenv("LANG", "C")
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", atOnce)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			return err
		},
	})
}

const officeFile = "testdata/office.json"

// TestGolden shows a saved machine in both languages, in a pipe and on
// terminals of two widths.
func TestGolden(t *testing.T) {
	if *update {
		saveSnapshot(t, officeFile, office())
		saveSnapshot(t, "testdata/before.json", before())
	}
	verbs := map[string]string{
		"status":  "--load " + officeFile,
		"wide":    "--wide --load " + officeFile,
		"by-user": "--sort user --user root --load " + officeFile,
		"http":    "http --load " + officeFile,
		"5173":    "5173/tcp --load " + officeFile,
		"6379":    "6379 --load " + officeFile,
		"several": "5432/tcp 9000/tcp 4789/udp 0 --load " + officeFile,
		"range":   "5000-5500/tcp --load " + officeFile,
		"search":  "ports elasticsearch",
		// Refused for want of a privilege, and the port is taken besides.
		"explain-denied": "explain --load " + officeFile + " listen_tcp_:80:_bind:_permission_denied",
		"explain":        "explain --load " + officeFile + " Error:_listen_EADDRINUSE:_address_already_in_use_127.0.0.1:5173",
		"diff":           "--load " + officeFile + " --diff testdata/before.json",
		"reach":          "--load testdata/firewall.json",
		"reach-port":     "22 5432 8000 8080 --load testdata/firewall.json",
		"help":           "--help",
		"help-ports":     "ports update --help",
	}
	screens := map[string]System{"pipe": {}, "narrow": {Terminal: true, Width: 80}, "broad": {Terminal: true, Width: 140}}
	for name, line := range verbs {
		for screen, sys := range screens {
			for _, lang := range []string{"en", "ja"} {
				file := name + "." + screen + "." + lang + ".txt"
				t.Run(file, func(t *testing.T) {
					got := run(t, sys, append(fields(line), "--lang", lang)...)
					golden(t, filepath.Join("testdata", "golden", file), got)
				})
			}
		}
	}
}

// fields cuts a command line; "_" stands for a space inside an argument.
func fields(line string) []string {
	out := strings.Fields(line)
	for i := range out {
		if strings.Contains(out[i], ":_") {
			out[i] = strings.ReplaceAll(out[i], "_", " ")
		}
	}
	return out
}

// run returns what a command line writes to stdout; it must succeed.
func run(t *testing.T, sys System, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	sys.Stdin, sys.Stdout, sys.Stderr = strings.NewReader(""), &out, &errs
	sys.Getenv = func(name string) string {
		if name == "TERM" {
			return "xterm"
		}
		return ""
	}
	if code := Run(context.Background(), sys, args); code != 0 {
		t.Fatalf("monban %s: exit %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./internal/cli -update writes it anew.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestLanguagesShowTheSame checks that no language drops a number or an address
// that the other has.
func TestLanguagesShowTheSame(t *testing.T) {
	for _, line := range []string{"--load " + officeFile, "http --load " + officeFile, "6379 --load " + officeFile, "5432 --load " + officeFile} {
		en := run(t, System{}, append(fields(line), "--lang", "en")...)
		ja := run(t, System{}, append(fields(line), "--lang", "ja")...)
		for _, word := range []string{"127.0.0.1:5173", "[::1]:5173", "redis-server", "nginx", "mariadbd", "ssh.service", "203.0.113.9"} {
			if strings.Contains(en, word) != strings.Contains(ja, word) {
				t.Errorf("monban %s: %q stands in only one of the languages", line, word)
			}
		}
	}
}

// TestNothingRawReachesATerminal puts hostile text everywhere a stranger can.
func TestNothingRawReachesATerminal(t *testing.T) {
	snap := office()
	evil := "\x1b]0;owned\a\x1b[31m\nnewline\u202egnp\u009b5m\xff"
	snap.Host.Name = evil
	for i := range snap.Doors {
		d := &snap.Doors[i]
		d.Kernel = evil
		for j := range d.Owners {
			o := &d.Owners[j]
			o.Name, o.Exe, o.Dir, o.Project, o.User, o.Unit = evil, evil, evil, evil, evil, evil
			o.Command = []string{evil, strings.Repeat(evil, 500)}
			o.Parents = []monban.Parent{{PID: 1, Name: evil}}
		}
	}
	for i := range snap.Containers {
		c := &snap.Containers[i]
		c.Name, c.Image, c.Project, c.Service = evil, evil, evil, evil
	}
	snap.Gaps = append(snap.Gaps, monban.Gap{Source: evil, Err: evil, Hides: monban.HidesDoors})
	file := filepath.Join(t.TempDir(), "evil.json")
	saveSnapshot(t, file, snap)
	for _, args := range [][]string{{}, {"--wide"}, {"-v"}, {"80"}, {"5173"}, {"1-65535"}, {"explain", evil + " listen tcp :80: bind: address already in use"}} {
		for _, more := range [][]string{{"--lang", "en"}, {"--lang", "ja"}, {"--json"}} {
			line := append(append([]string{}, args...), more...)
			line = append(line, "--load", file)
			for _, sys := range []System{{}, {Terminal: true, Width: 100}} {
				out := run(t, sys, line...)
				out = stripColours(out)
				if i := strings.IndexFunc(out, func(r rune) bool {
					return r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e
				}); i >= 0 {
					t.Fatalf("monban %q lets %q through", line, out[max(0, i-20):min(len(out), i+20)])
				}
			}
		}
	}
}

// stripColours removes the sequences that monban itself writes.
func stripColours(s string) string {
	for _, code := range []string{"0", "1", "2", "1;31", "33", "32", "36"} {
		s = strings.ReplaceAll(s, "\x1b["+code+"m", "")
	}
	return s
}

func saveSnapshot(t *testing.T, path string, snap *monban.Snapshot) {
	t.Helper()
	var b bytes.Buffer
	if err := report.SaveSnapshot(&b, snap, true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// before is the same machine a day earlier: MySQL where MariaDB is now, no
// Redis yet, and a print service that has gone since.
func before() *monban.Snapshot {
	snap := office()
	snap.At = snap.At.Add(-24 * time.Hour)
	snap.Gaps = nil
	snap.Doors = slices.DeleteFunc(snap.Doors, func(d monban.Door) bool { return d.Bind.Port.Num == 6379 || d.Bind.Port.Num == 41234 })
	for i := range snap.Doors {
		if snap.Doors[i].Bind.Port.Num == 3306 {
			snap.Doors[i].Owners[0].Name, snap.Doors[i].Owners[0].Exe, snap.Doors[i].Owners[0].Unit = "mysqld", "/usr/sbin/mysqld", "mysql.service"
		}
	}
	cups := snap.Doors[0]
	cups.Bind.Addr, cups.Bind.Port.Num = netip.MustParseAddr("127.0.0.1"), 631
	cups.Owners = []monban.Owner{{PID: 500, Name: "cupsd", Exe: "/usr/sbin/cupsd", User: "root", Unit: "cups.service"}}
	snap.Doors = append(snap.Doors, cups)
	return snap
}

// office is a machine with one of everything.
func office() *monban.Snapshot {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return at.Add(-d) }
	addr := netip.MustParseAddr
	tcp := func(a string, n uint16) monban.Bind {
		return monban.Bind{Port: monban.Port{Num: n, Proto: monban.TCP}, Addr: addr(a), V6Only: monban.FlagOf(strings.Contains(a, ":"))}
	}
	udp := func(a string, n uint16) monban.Bind {
		b := tcp(a, n)
		b.Port.Proto = monban.UDP
		return b
	}
	init := []monban.Parent{{PID: 1, Name: "systemd"}}
	shell := []monban.Parent{{PID: 3001, Name: "npm"}, {PID: 2900, Name: "bash"}, {PID: 2800, Name: "tmux: server"}, {PID: 1, Name: "systemd"}}
	sshd := []monban.Owner{{PID: 812, Started: ago(72 * time.Hour), Name: "sshd", Exe: "/usr/sbin/sshd", Command: []string{"sshd: /usr/sbin/sshd -D [listener]"}, User: "root", Unit: "ssh.service", Dir: "/", Parents: init}}
	nginx := []monban.Owner{
		{PID: 900, Started: ago(2 * time.Hour), Name: "nginx", Exe: "/usr/sbin/nginx", Command: []string{"nginx: master process /usr/sbin/nginx"}, User: "root", Unit: "nginx.service", Dir: "/", Parents: init},
		{PID: 901, Started: ago(2 * time.Hour), Name: "nginx", Exe: "/usr/sbin/nginx", Command: []string{"nginx: worker process"}, UID: 33, User: "www-data", Unit: "nginx.service", Dir: "/", Parents: []monban.Parent{{PID: 900, Name: "nginx"}, init[0]}},
	}
	one := func(o monban.Owner) []monban.Owner { return []monban.Owner{o} }
	proxy := func(pid int) []monban.Owner {
		return one(monban.Owner{PID: pid, Started: ago(5 * time.Hour), Name: "docker-proxy", Exe: "/usr/sbin/docker-proxy", User: "root", Unit: "docker.service",
			Container: "4f1c2d0000000000000000000000000000000000000000000000000000000000", Dir: "/", Parents: []monban.Parent{{PID: 700, Name: "dockerd"}, init[0]}})
	}
	to := monban.Target{Addr: addr("172.17.0.2"), Port: 80, Container: proxy(1)[0].Container}
	return &monban.Snapshot{
		At: at,
		Host: monban.Host{Name: "office", OS: "linux", Kernel: "6.12.0", Arch: "amd64", UID: 1000, User: "hana", NetNS: "net:[4026531840]", IPv6: monban.On,
			Ephemeral: monban.PortRange{First: 32768, Last: 60999}, Unprivileged: 1024, BindV6Only: monban.Off,
			NonlocalBind4: monban.Off, NonlocalBind6: monban.Off, Forward4: monban.Off, Forward6: monban.Off,
			Reserved:   []monban.PortRange{{First: 50000, Last: 50010}},
			Caps:       monban.Caps{BindService: monban.Off, Ptrace: monban.Off, NetAdmin: monban.Off, NetRaw: monban.Off, SysAdmin: monban.Off},
			Interfaces: []monban.Interface{{Index: 1, Name: "lo", Up: true, Loopback: true, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}}}},
		Doors: []monban.Door{
			{Bind: tcp("0.0.0.0", 22), State: monban.Listen, Inode: 1, Owners: sshd},
			{Bind: tcp("::", 22), State: monban.Listen, Inode: 2, Owners: sshd},
			{Bind: tcp("0.0.0.0", 80), State: monban.Listen, Inode: 3, Owners: nginx},
			{Bind: tcp("::", 80), State: monban.Listen, Inode: 4, Owners: nginx},
			{Bind: udp("127.0.0.53", 53), State: monban.Bound, UID: 102, Inode: 5, Unnamed: monban.HiddenPrivilege},
			{Bind: tcp("127.0.0.1", 3306), State: monban.Listen, UID: 110, Inode: 6, Owners: one(monban.Owner{PID: 1200, Started: ago(30 * 24 * time.Hour), Name: "mariadbd", Exe: "/usr/sbin/mariadbd", Deleted: true, Command: []string{"/usr/sbin/mariadbd"}, UID: 110, User: "mysql", Unit: "mariadb.service", Dir: "/var/lib/mysql", Parents: init})},
			{Bind: tcp("0.0.0.0", 6379), State: monban.Listen, UID: 111, Inode: 7, Owners: one(monban.Owner{PID: 1300, Started: ago(50 * time.Hour), Name: "redis-server", Exe: "/usr/bin/redis-server", Command: []string{"redis-server", "--requirepass", "hunter2", "--port", "6379"}, UID: 111, User: "redis", Unit: "redis-server.service", Dir: "/var/lib/redis", Parents: init})},
			{Bind: tcp("127.0.0.1", 5173), State: monban.Listen, UID: 1000, Inode: 8, Owners: one(monban.Owner{PID: 3002, Started: ago(40 * time.Minute), Name: "node", Exe: "/usr/bin/node", Command: []string{"node", "/home/hana/shop/node_modules/.bin/vite"}, UID: 1000, User: "hana", Dir: "/home/hana/shop", Project: "/home/hana/shop", Parents: shell, TTY: true})},
			{Bind: tcp("::1", 5173), State: monban.Listen, UID: 1000, Inode: 9, Owners: one(monban.Owner{PID: 2400, Started: ago(9 * 24 * time.Hour), Name: "node", Exe: "/usr/bin/node", Command: []string{"node", "/home/hana/old/node_modules/.bin/vite"}, UID: 1000, User: "hana", Dir: "/home/hana/old", Project: "/home/hana/old", Parents: init, Orphan: true})},
			{Bind: tcp("127.0.0.1", 5432), State: monban.Bound, UID: 1000, Inode: 10, Owners: one(monban.Owner{PID: 3100, Started: ago(30 * time.Second), Name: "port-holder", Exe: "/usr/local/bin/port-holder", Command: []string{"port-holder", "5432"}, UID: 1000, User: "hana", Dir: "/home/hana", Parents: shell[1:]})},
			{Bind: tcp("0.0.0.0", 8081), State: monban.Listen, Inode: 11, Owners: proxy(1500), To: to},
			{Bind: tcp("::", 8081), State: monban.Listen, Inode: 12, Owners: proxy(1501), To: to},
			{Bind: tcp("0.0.0.0", 9000), State: monban.Listen, UID: 33, Inode: 13, Unnamed: monban.HiddenPrivilege},
			{Bind: udp("0.0.0.0", 4789), State: monban.Bound, Inode: 14, Unnamed: monban.HiddenKernel, Kernel: "vxlan"},
			{Bind: udp("::", 4789), State: monban.Bound, Inode: 15, Unnamed: monban.HiddenKernel, Kernel: "vxlan"},
			{Bind: tcp("192.0.2.10", 45000), State: monban.Listen, UID: 1000, Inode: 16, Owners: one(monban.Owner{PID: 3300, Started: ago(3 * time.Hour), Name: "java", Exe: "/usr/lib/jvm/bin/java", Command: []string{"java", "-jar", "app.jar"}, UID: 1000, User: "hana", Dir: "/srv/app", Parents: init})},
			{Bind: udp("0.0.0.0", 41234), State: monban.Bound, UID: 1000, Inode: 17, Owners: one(monban.Owner{PID: 4000, Started: ago(time.Minute), Name: "firefox", Exe: "/usr/bin/firefox", Command: []string{"firefox"}, UID: 1000, User: "hana", Dir: "/home/hana", Parents: shell[2:]})},
		},
		Containers: []monban.Container{{ID: to.Container, Name: "shop-web-1", Image: "nginx:1.27", Engine: "docker", Project: "shop", Service: "web"}},
		Traffic: []monban.Traffic{{Port: monban.Port{Num: 80, Proto: monban.TCP}, Established: 12, TimeWait: 3, Other: 1,
			Peers: []monban.Peer{{Addr: addr("203.0.113.9"), Count: 8}, {Addr: addr("198.51.100.4"), Count: 4}}, Locals: []netip.Addr{addr("192.0.2.10")}}},
		TrafficOf: []monban.PortRange{{First: 1, Last: 65535}},
		Gaps:      []monban.Gap{{Source: "/proc", Err: "permission denied", Hides: monban.HidesOwners, Reason: monban.HiddenPrivilege, Count: 2}},
	}
}

// TestHelpIsWhole checks that every command and every flag has words in both
// languages, and that the examples of the help pages are accepted.
func TestHelpIsWhole(t *testing.T) {
	a := newApp(System{Getenv: func(string) string { return "" }}, nil)
	for _, lang := range []report.Lang{report.EN, report.JA} {
		for _, cmd := range allCommands(a.root()) {
			topic, ok := report.Help(cmd.CommandPath(), lang)
			if !ok || topic.Short == "" {
				t.Errorf("%s: no help in %s", cmd.CommandPath(), lang)
			}
			for _, name := range flagNames(cmd) {
				if report.FlagHelp(cmd.CommandPath(), name, lang) == "" {
					t.Errorf("%s --%s: no words in %s", cmd.CommandPath(), name, lang)
				}
			}
		}
	}
}

func TestLanguageChoice(t *testing.T) {
	for _, tt := range []struct {
		env  string
		args []string
		want report.Lang
	}{
		{"LANG=ja_JP.UTF-8", nil, report.JA},
		{"LANG=C", nil, report.EN},
		{"LANG=ja_JP.UTF-8 LC_ALL=C", nil, report.EN},
		{"LC_MESSAGES=ja_JP LANG=en_US", nil, report.JA},
		{"MONBAN_LANG=en LANG=ja_JP", nil, report.EN},
		{"LANG=ja_JP", []string{"--lang", "en"}, report.EN},
		{"LANG=en_US", []string{"80", "--lang=ja"}, report.JA},
		{"LANG=en_US", []string{"--lang", "en", "--lang=ja"}, report.JA},
		{"LANG=fr_FR.UTF-8", nil, report.EN},
		{"LANG=ja_JP.eucJP", nil, report.EN},
		{"LANG=ja_JP.utf8@calendar", nil, report.JA},
		{"LANG=ja_JP.UTF-8 LC_CTYPE=ja_JP.SJIS", nil, report.EN},
		{"LANG=ja_JP.eucJP LC_ALL=ja_JP.UTF-8", nil, report.JA},
		{"LANG=ja_JP.eucJP MONBAN_LANG=ja", nil, report.JA},
		{"LANG=ja_JP.UTF-8 LC_CTYPE=UTF-8", nil, report.JA}, // macOS
	} {
		getenv := func(name string) string {
			for _, kv := range strings.Fields(tt.env) {
				if v, ok := strings.CutPrefix(kv, name+"="); ok {
					return v
				}
			}
			return ""
		}
		if got := newApp(System{Getenv: getenv}, tt.args).lang; got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.env, slices.Concat(tt.args), got, tt.want)
		}
	}
}
