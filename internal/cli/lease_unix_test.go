//go:build unix

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// program prepares a process of the program, in a project and with leases of its
// own.
func program(t *testing.T, state string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Args = append([]string{"monban"}, args...) // see TestMain
	cmd.Dir = state
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(state, "home"), "XDG_STATE_HOME=" + state, "LANG=C", "GORACE=" + atOnce}
	return cmd
}

// finish returns what a process wrote to stdout and stderr, and its exit status.
func finish(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var bad *exec.ExitError
	if err != nil && !errors.As(err, &bad) {
		t.Error(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestCallersGetDifferentPorts has 64 processes pick at once, a third of them
// with a name of their own.
func TestCallersGetDifferentPorts(t *testing.T) {
	const callers = 64
	state := t.TempDir()
	ports := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			cmd := program(t, state, "pick")
			if i%3 == 0 {
				cmd = program(t, state, "pick", "--for", fmt.Sprint("n", i))
			}
			out, errs, status := finish(t, cmd)
			if status != 0 || errs != "" {
				t.Errorf("exit %d: %s", status, errs)
			}
			ports[i] = out
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, p := range ports {
		n, err := strconv.Atoi(strings.TrimSuffix(p, "\n"))
		if err != nil || n < 1024 || n > 65535 || seen[p] {
			t.Errorf("%q: no port, or a second time", p)
		}
		seen[p] = true
	}
	for i := 0; i < callers; i += 3 {
		if out, _, _ := finish(t, program(t, state, "pick", "--for", fmt.Sprint("n", i))); out != ports[i] {
			t.Errorf("n%d had %q and now has %q", i, ports[i], out)
		}
	}
}

// TestOpenPortsAreNotPicked fills all of a range but one.
func TestOpenPortsAreNotPicked(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, 0)
		return
	}
	state := t.TempDir()
	const first, last = 7400, 7409
	for port := first; port <= last; port++ {
		if port == 7406 {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if port%2 == 0 {
			c, err := net.ListenPacket("udp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	within := fmt.Sprintf("--range=%d-%d", first, last)
	if out, errs, status := finish(t, program(t, state, "pick", within)); out != "7406\n" || status != 0 {
		t.Errorf("%q %q %d", out, errs, status)
	}
	out, errs, status := finish(t, program(t, state, "pick", within))
	if out != "" || status != exitFailed || !strings.Contains(errs, "9 open, 1 leased") {
		t.Errorf("%q %q %d", out, errs, status)
	}

	// A port of a connection that has ended is not free either.
	l, err := net.Listen("tcp", "127.0.0.1:7500")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:7500")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer.Close() // first, so that TIME_WAIT is on this side
	l.Close()
	_, _ = c.Read(make([]byte, 1))
	c.Close()
	_, errs, status = finish(t, program(t, state, "pick", "--range=7500-7500"))
	if status != exitFailed || !strings.Contains(errs, "1 used by connections") {
		t.Errorf("%q %d", errs, status)
	}
}

// TestElsewhereItSaysWhatItChose runs pick where the dynamic ports are lent.
func TestElsewhereItSaysWhatItChose(t *testing.T) {
	ns := netnstest.New(t)
	for lent, want := range map[string][2]string{
		"32768 60999": {"", "6"},
		"32768 65535": {"10000–32767", ""},
		"1024 65535":  {"not safe", ""},
		"50000 65535": {"49152–49999", "49"},
	} {
		ns.SetSysctl("net.ipv4.ip_local_port_range", lent)
		state := t.TempDir()
		var out, errs string
		var status int
		ns.Do(func() { out, errs, status = finish(t, program(t, state, "pick")) })
		if status != 0 || !strings.HasPrefix(out, want[1]) || (errs == "") != (want[0] == "") || !strings.Contains(errs, want[0]) {
			t.Errorf("lent %s: %q %q %d", lent, out, errs, status)
		}
	}
}

// TestSudo runs pick as root for another user, whose leases they are then.
func TestSudo(t *testing.T) {
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root")
	}
	nobody, err := user.LookupId(strconv.Itoa(netnstest.Nobody))
	if err != nil {
		netnstest.Skip(t, "needs the user nobody: %v", err)
	}
	state, err := os.MkdirTemp("", "monban-sudo")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, netnstest.Nobody, gid); err != nil {
		t.Fatal(err)
	}
	root := program(t, state, "pick", "--for", "web")
	root.Env = append(root.Env, "SUDO_UID="+nobody.Uid, "SUDO_GID="+nobody.Gid)
	first, errs, status := finish(t, root)
	if status != 0 {
		t.Fatalf("%s, exit %d", errs, status)
	}
	file := filepath.Join(state, "monban", "leases")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != netnstest.Nobody || info.Mode().Perm() != 0o600 {
		t.Errorf("belongs to %d, mode %v", st.Uid, info.Mode())
	}
	// The root that sudo makes sees the leases; so does the user, by the rights
	// of the file (the test program itself is where nobody may not look).
	root = program(t, state, "pick", "--list")
	root.Env = append(root.Env, "SUDO_UID="+nobody.Uid)
	if out, _, _ := finish(t, root); !strings.Contains(out, strings.TrimSpace(first)) {
		t.Errorf("%q is not in %s", first, out)
	}
	// Plain root does not use what is a user's.
	if out, errs, status := finish(t, program(t, state, "pick", "--list")); strings.Contains(out, strings.TrimSpace(first)) {
		t.Errorf("%q %q %d", out, errs, status)
	}
}

// TestLeaseSchemas validates what pick and run print for programs.
func TestLeaseSchemas(t *testing.T) {
	state := t.TempDir()
	for _, line := range []string{"pick", "pick --for web -n 2", "pick --for web --lang ja", "pick --list", "pick --release web"} {
		out, errs, status := finish(t, program(t, state, append(strings.Fields(line), "--json")...))
		if status != 0 {
			t.Fatalf("%s: %s", line, errs)
		}
		validate(t, out)
	}
	for _, line := range []string{
		"run --json -- true", "run --json -- false", "run --json --listen=198.51.100.7 -- true",
		"run --json -- sh -c kill_-9_$$", "run --json -- sh -c echo_Error:_listen_EADDRINUSE:_address_already_in_use_127.0.0.1:61_>&2;exit_1",
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		_, errs, _ := finish(t, program(t, state, args...))
		i := strings.Index(errs, `{"monban"`)
		if i < 0 {
			t.Fatalf("%s: %q", line, errs)
		}
		end := strings.IndexByte(errs[i:], '\n')
		validate(t, errs[i:i+end])
	}
}

// TestRunSuspects has a command fail without a word about a port: somebody at its
// port may be why, but not what the command itself has left there.
func TestRunSuspects(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, 0)
		return
	}
	state := t.TempDir()
	port, _, _ := finish(t, program(t, state, "pick", "--for", "web"))
	port = strings.TrimSpace(port)
	silent := func(args ...string) string {
		t.Helper()
		out, errs, status := finish(t, program(t, state, append([]string{"run", "--for", "web"}, args...)...))
		if out != "" || status != 1 {
			t.Errorf("%q, %q, exit %d", out, errs, status)
		}
		return errs
	}
	if errs := silent("--", "sh", "-c", "exit 1"); errs != "" {
		t.Errorf("the port is free, and yet: %s", errs)
	}
	left := filepath.Join(state, "left")
	if errs := silent("--listen", "--", "sh", "-c", "sleep 600 >&- 2>&- & echo $! >"+left+"; exit 1"); errs != "" {
		t.Errorf("the port is the command's, and yet: %s", errs)
	}
	text, err := os.ReadFile(left)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	for until := time.Now().Add(time.Minute); err != nil; l, err = net.Listen("tcp", "127.0.0.1:"+port) {
		if time.Now().After(until) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	defer l.Close()
	time.Sleep(1100 * time.Millisecond) // the start of a process is known to the second
	errs := silent("--", "sh", "-c", "exit 1")
	for _, want := range []string{"monban: web ended with status 1. This port cannot be opened now, which may be why:", "[::]:" + port + "/tcp  EADDRINUSE", "127.0.0.1:" + port, "[L"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q is not in\n%s", want, errs)
		}
	}
	out, errs, status := finish(t, program(t, state, "run", "--for", "web", "--listen", "--", "echo", "started"))
	if out != "" || status != exitFailed || !strings.Contains(errs, "the command was not started") || !strings.Contains(errs, "[L1]") {
		t.Errorf("%q, %q, exit %d", out, errs, status)
	}
}
