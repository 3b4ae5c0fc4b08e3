package owners

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// statLine writes a line of /proc/PID/stat.
func statLine(pid int, comm string, state byte, ppid, pgrp, session, tty int, flags, start uint64) string {
	return fmt.Sprintf("%d (%s) %c %d %d %d %d -1 %d 100 0 0 0 5 3 0 0 20 0 9 0 %d 1234567 890 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n",
		pid, comm, state, ppid, pgrp, session, tty, flags, start)
}

func TestParseStat(t *testing.T) {
	for _, comm := range []string{"nginx", "a b", ") R 1 1 1", "(sd-pam)", "((((", "))))", "\xff\x00\x1b[31m", "", "1 (x) S 0"} {
		got, ok := parseStat([]byte(statLine(812, comm, 'S', 1, 800, 700, 34816, 0x400040, 99887766)))
		want := procStat{comm: comm, state: 'S', ppid: 1, pgrp: 800, session: 700, tty: 34816, flags: 0x400040, start: 99887766}
		if !ok || got != want {
			t.Errorf("comm %q: got %+v, %v", comm, got, ok)
		}
	}
	for _, bad := range []string{"", "1 (x", "1 x) S", ")(", "1 (x) S 1 2 3", "1 (x) SS " + strings.Repeat("1 ", 30),
		"1 (x) S " + strings.Repeat("y ", 30), "1 (x) S 99999999999 " + strings.Repeat("1 ", 30)} {
		if got, ok := parseStat([]byte(bad)); ok || got != (procStat{}) {
			t.Errorf("%q: got %+v, %v", bad, got, ok)
		}
	}
}

func TestExiting(t *testing.T) {
	for _, test := range []struct {
		state byte
		flags uint64
		want  bool
	}{{'S', 0x400000, false}, {'R', flagExiting, true}, {'Z', flagExiting, false}, {'D', flagExiting | 0x100, true}} {
		if got := (&procStat{state: test.state, flags: test.flags}).exiting(); got != test.want {
			t.Errorf("state %c flags %#x: %v", test.state, test.flags, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statLine(1, "x y) z", 'R', 2, 3, 4, 0, 0, 7)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, ok := parseStat(b); !ok && got != (procStat{}) {
			t.Errorf("not ok, and yet %+v", got)
		}
	})
}

func TestParseUID(t *testing.T) {
	const status = "Name:\tx\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t1000\t33\t1000\t1000\nGid:\t0\t0\t0\t0\n"
	if uid, ok := parseUID([]byte(status)); !ok || uid != 33 {
		t.Errorf("got %d, %v, want the effective user", uid, ok)
	}
	// A name cannot bring in a line of its own: the kernel escapes it. And if
	// it could, the wrong one must not count.
	for _, bad := range []string{"", "Uid:\t1\n", "Uid:\t1\t-2\t3\t4\n", "Uid:\ta\tb\tc\td\n", "Uid:\t1\t4294967296\t1\t1\n"} {
		if uid, ok := parseUID([]byte(bad)); ok {
			t.Errorf("%q: got %d", bad, uid)
		}
	}
}

func TestParseCommand(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"\x00\x00", nil},
		{"nginx\x00-g\x00daemon off;\x00", []string{"nginx", "-g", "daemon off;"}},
		{"a\x00\x00b\x00", []string{"a", "", "b"}},
		{"nginx: master process\x00\x00\x00\x00\x00", []string{"nginx: master process"}},
		{"no end", []string{"no end"}},
		{"\xff\x1b[2J\nnew\x00", []string{"\xff\x1b[2J\nnew"}},
	} {
		if got := parseCommand([]byte(test.in)); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestParseSocketLink(t *testing.T) {
	for in, want := range map[string]uint64{
		"socket:[1]": 1, "socket:[4294967295]": 4294967295, "socket:[0]": 0,
		"socket:[9999999999999999999]": 9999999999999999999,
	} {
		if got, ok := parseSocketLink([]byte(in)); !ok || got != want {
			t.Errorf("%q: got %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "socket:[]", "socket:[", "socket:[1", "socket:[1x]", "socket:[-1]", "pipe:[1]",
		"/tmp/socket:[1]", "socket:[1] ", "socket:[99999999999999999999]", "socket:[1]x"} {
		if got, ok := parseSocketLink([]byte(in)); ok {
			t.Errorf("%q: got %d", in, got)
		}
	}
}

func FuzzParseSocketLink(f *testing.F) {
	f.Add([]byte("socket:[12345]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		inode, ok := parseSocketLink(b)
		if !ok && inode != 0 {
			t.Errorf("%q: not ok, and yet %d", b, inode)
		}
		if again := fmt.Sprintf("socket:[%d]", inode); ok && again != string(b) && !strings.HasPrefix(string(b), "socket:[0") {
			t.Errorf("%q reads as %q", b, again)
		}
	})
}

func TestParsePID(t *testing.T) {
	for in, want := range map[string]int{"1": 1, "4194304": 4194304, "0": 0, "": 0, "self": 0, "1a": 0, "01": 0, "-1": 0, "9999999999": 0} {
		if got := parsePID([]byte(in)); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func TestProgramName(t *testing.T) {
	for _, test := range []struct {
		exe, arg, comm, want string
	}{
		{"/usr/bin/redis-check-rdb", "/usr/bin/redis-server 127.0.0.1:6379", "redis-server", "redis-server"},
		{"/usr/bin/redis-check-rdb", "/usr/bin/redis-other", "redis-other", "redis-check-rdb"},
		{"/usr/bin/python3.11", "python3", "python3", "python3.11"},
		{"", "redis-server 127.0.0.1:6379", "redis-server", "redis-server"},
		{"", "/opt/My App/a-program-with-a-long-name --x y", "a-program-with-", "a-program-with-a-long-name"},
		{"", "/opt/x/serverless", "server", "serverless"},
		{"/usr/bin/node", "node", "MainThread", "node"},
		{"/usr/bin/python3.11", "/usr/bin/gunicorn", "gunicorn", "python3.11"},
		{"/opt/My App/server", "x", "y", "server"},
		{"", "/usr/bin/node", "MainThread", "node"},
		{"", "node", "MainThread", "node"},
		{"", "nginx: worker process", "nginx", "nginx"},
		{"", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", "sshd", "sshd"},
		{"", "postgres: checkpointer ", "postgres", "postgres"},
		{"", "-bash", "bash", "bash"},
		{"", "/opt/My App/server", "server", "server"},
		{"", "/usr/lib/a-program-with-a-long-name", "a-program-with-", "a-program-with-a-long-name"},
		{"", "", "kworker/0:1", "kworker/0:1"},
		{"", "/", "x", "x"},
		{"/", "", "x", "x"},
		{"", "ruby /srv/app", "puma", "ruby"},
	} {
		var argv []string
		if test.arg != "" {
			argv = []string{test.arg, "more"}
		}
		if got := programName(test.exe, argv, test.comm, func(name string) bool {
			return name == "redis-server" || name == "python3"
		}); got != test.want {
			t.Errorf("programName(%q, %q, %q) = %q, want %q", test.exe, test.arg, test.comm, got, test.want)
		}
	}
}

func TestParseUsers(t *testing.T) {
	users := parseUsers([]byte("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n#c:x:5:5:\n+::::::\nbad\nx:y:z:1\nwww:x:33:33::/:\nmax:x:4294967295:1::/:"))
	want := map[uint32]string{0: "root", 33: "www", 4294967295: "max"}
	if len(users) != len(want) {
		t.Errorf("got %v", users)
	}
	for uid, name := range want {
		if users[uid] != name {
			t.Errorf("user %d is %q, want %q", uid, users[uid], name)
		}
	}
}

func TestParseHidepid(t *testing.T) {
	for line, want := range map[string]bool{
		"22 27 0:21 / /proc rw,relatime - proc proc rw":                                 false,
		"22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=2":                       true,
		"22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw,gid=4,hidepid=noaccess": true,
		"22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw,hidepid=ptraceable":     true,
		"22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw,hidepid=0":              false,
		"22 27 0:21 / /mnt/proc rw - proc proc rw,hidepid=2":                            false,
		"22 27 0:21 / /proc rw - tmpfs proc rw,hidepid=2":                               false,
		"":  false,
		"x": false,
	} {
		if got := parseHidepid([]byte(line+"\n"), "/proc"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	// The mount on top counts.
	if parseHidepid([]byte("1 2 0:1 / /proc rw - proc proc rw,hidepid=2\n2 1 0:2 / /proc rw - proc proc rw\n"), "/proc") {
		t.Error("a covered mount decides")
	}
}

func TestSocketTableInode(t *testing.T) {
	tables := socketTables()
	tcp, udp := tables[0], tables[2]
	const (
		heading   = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
		listener  = "   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1077 1 000000009d51136b 100 0 0 10 0"
		connected = "   1: 0100007F:07E8 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 1078 1 000000009d51136b 100 0 0 10 0"
		unbound   = "  420: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 555 2 0000000000000000 0"
	)
	for _, test := range []struct {
		table socketTable
		row   string
		inode uint64
		more  bool
	}{
		{tcp, heading, 0, true}, {tcp, listener, 1077, true}, {tcp, connected, 0, false},
		{udp, unbound, 555, true}, {udp, connected, 1078, true}, {udp, "", 0, true}, {tcp, "x y", 0, true},
		{tables[6], " 0 0 2 10 12 7777 0 4242 127.0.0.1", 4242, true},
	} {
		inode, more := test.table.inode([]byte(test.row))
		if inode != test.inode || more != test.more {
			t.Errorf("%s: %q: got %d, %v", test.table.file, test.row, inode, more)
		}
	}
}
