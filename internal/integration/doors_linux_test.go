package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestDoors opens every kind of door that a program can.
func TestDoors(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	pid := r.fixture("nobody", "doors",
		"tcp:0.0.0.0:7001", "tcp,v6only:[::]:7001", "tcp:[::]:7002", "tcp:127.0.0.2:7003", "mptcp:[::1]:7004",
		"udp:0.0.0.0:7005", "udp:[::1]:7005", "udp:127.0.0.1:50000",
		"bound:0.0.0.0:7006", "bound:[::1]:7006", "tcp,reuse:127.0.0.1:7007")
	device := r.fixture("root", "doors", "tcp,dev=lo:0.0.0.0:7008", "udp,dev=lo:0.0.0.0:7008")
	second := r.fixture("nobody", "doors", "tcp,reuse:127.0.0.1:7007")

	e := r.sameAsPeers()
	for _, want := range []struct {
		door string
		pid  int
	}{
		{"tcp 0.0.0.0:7001 listen", pid},
		{"tcp :::7001 listen", pid},
		{"tcp :::7002 listen", pid},
		{"tcp 127.0.0.2:7003 listen", pid},
		{"tcp ::1:7004 listen", pid},
		{"udp 0.0.0.0:7005 bound", pid},
		{"udp ::1:7005 bound", pid},
		{"udp 127.0.0.1:50000 bound", pid},
		{"tcp 0.0.0.0:7006 bound", pid},
		{"tcp ::1:7006 bound", pid},
		{"tcp 0.0.0.0:7008 listen", device},
		{"udp 0.0.0.0:7008 bound", device},
	} {
		i := slices.IndexFunc(e.Data.Doors, func(d door) bool { return d.String() == want.door })
		if i < 0 {
			t.Errorf("no door %s", want.door)
			continue
		}
		d := e.Data.Doors[i]
		if len(d.Owners) != 1 || d.Owners[0].PID != want.pid {
			t.Errorf("%s: %+v, want process %d", d, d.Owners, want.pid)
		}
		if d.Port == 7008 != (d.Device == "lo") {
			t.Errorf("%s: device %q", d, d.Device)
		}
		// The kernel makes every socket with a single IPv6 address IPv6-only.
		if six := strings.Contains(d.Address, ":"); d.V6Only != (six && d.Port != 7002) {
			t.Errorf("%s: v6only %t", d, d.V6Only)
		}
	}
	var sharers []int
	for _, d := range e.find("tcp", 7007) {
		for _, o := range d.Owners {
			sharers = append(sharers, o.PID)
		}
	}
	slices.Sort(sharers)
	if want := []int{min(pid, second), max(pid, second)}; !slices.Equal(sharers, want) {
		t.Errorf("127.0.0.1:7007 is shared by %v, want %v", sharers, want)
	}
}

// TestKernelDoor makes a VXLAN link, whose door belongs to no process.
func TestKernelDoor(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	r.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1")
	r.run("ip", "link", "set", "vx0", "up")
	r.waitFor("udp 4789")
	e := r.sameAsPeers()
	doors := e.find("udp", 4789)
	if len(doors) == 0 || len(doors[0].Owners) != 0 {
		t.Fatalf("4789/udp: %+v, want a door without owner", doors)
	}
	if doors[0].Assigned != "vxlan" {
		t.Errorf("4789/udp is assigned to %q", doors[0].Assigned)
	}
	text := string(r.monban("root", "4789/udp"))
	if !strings.Contains(strings.ToLower(text), "kernel") {
		t.Errorf("monban does not say that the kernel itself is behind 4789/udp:\n%s", text)
	}
	if !slices.ContainsFunc(e.Findings, func(f finding) bool {
		return f.Kind == "unnamed-owner" && f.Port == 4789 && strings.Contains(f.Why, "kernel itself (vxlan")
	}) {
		t.Errorf("no finding says whose 4789/udp is: %+v", e.Findings)
	}
}

// TestHostileNames lets a program with the worst name and arguments listen.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	const evil = "\x1b[31mred\x1b]0;title\a\nINJECTED\r\t\u202egnp\u2066\u200f\u009b31m\xff\xc3\x28\x7f"
	exe, err := os.ReadFile(program(t, "fixture"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.dir, evil)
	if err := os.WriteFile(path, exe, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := r.command("nobody", path, "doors", "tcp:0.0.0.0:7001", "udp:[::1]:7001", "--",
		evil, strings.Repeat(evil, 131071/len(evil)), "--password="+"hunter2", "https://me:hunter2@example.org/")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	startReady(t, cmd)
	t.Cleanup(func() { in.Close(); cmd.Wait() })

	e := r.view()
	if d := e.find("tcp", 7001); len(d) != 1 || len(d[0].Owners) != 1 || d[0].Owners[0].PID != cmd.Process.Pid {
		t.Errorf("the hostile program is not seen: %+v", d)
	}
	for _, args := range [][]string{
		{}, {"--wide"}, {"7001"}, {"--lang", "ja"}, {"7001", "--lang", "ja"}, {"--json"}, {"7001", "--json"},
	} {
		out := r.monban("root", args...)
		if slices.Contains(args, "--json") {
			parse(t, out)
		}
		checkHarmless(t, fmt.Sprintf("monban %s", strings.Join(args, " ")), out)
	}
}

// checkHarmless checks that text can be shown on any terminal.
func checkHarmless(t *testing.T, what string, text []byte) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%s: not UTF-8", what)
	}
	bad := map[rune]bool{}
	for _, c := range string(text) {
		if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) {
			bad[c] = true
		}
	}
	for c := range bad {
		t.Errorf("%s: prints %U", what, c)
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("INJECTED")) {
			t.Errorf("%s: a name has made a line of its own: %q", what, line)
		}
	}
	if bytes.Contains(text, []byte("hunter2")) {
		t.Errorf("%s: shows a password", what)
	}
}
