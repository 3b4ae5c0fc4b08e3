package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// A room is where one test's daemons live: a network and a mount namespace, and
// a process namespace if asked for, with a /run of its own. Whatever runs in it
// ends with the test.
type room struct {
	t   testing.TB
	ns  *netnstest.NS
	dir string // for configuration and data; every user can enter it
	pid int    // the process that keeps the room
	own bool   // the room has a process namespace of its own
	// running are the daemons, which end with the room.
	running []*exec.Cmd
	engine  bool // a container engine runs, which monban asks
}

// newRoom makes a room. With ownPIDs its processes see only each other.
func newRoom(t testing.TB, ownPIDs bool) *room {
	t.Helper()
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root: it makes namespaces and starts daemons")
	}
	r := &room{t: t, ns: netnstest.New(t), dir: openDir(t), own: ownPIDs}
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	keeper := exec.Command(program(t, "fixture"), "hold", outside)
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if ownPIDs {
		keeper.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID
	}
	in, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.ns.Do(func() { startReady(t, keeper) })
	r.pid = keeper.Process.Pid
	t.Cleanup(func() {
		in.Close()
		// Before the keeper, because the end of a process namespace waits for
		// all its processes to be waited for.
		for _, cmd := range r.running {
			cmd.Wait() // its status is that of the kill
		}
		if err := keeper.Wait(); err != nil {
			t.Errorf("closing the room: %v", err)
		}
	})
	return r
}

// openDir returns a directory for the test that other users can enter too.
func openDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := noteRoom(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startReady starts a fixture and waits until it says that it is ready. What it writes
// to standard error goes to a file: a pipe would not end before all that it starts.
func startReady(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		cmd.Process.Kill()
		cmd.Wait()
		said, _ := os.ReadFile(stderr.Name())
		t.Fatalf("%s: said %q (%v), %s", cmd, line, err, said)
	}
}

// command prepares a program to run in the room as the named user.
func (r *room) command(as, name string, args ...string) *exec.Cmd {
	r.t.Helper()
	target := strconv.Itoa(r.pid)
	enter := []string{"--target=" + target, "--net", "--mount"}
	if r.own {
		enter = append(enter, "--pid")
	}
	if as != "root" {
		u, err := user.Lookup(as)
		if err != nil {
			r.t.Fatalf("%v: its package is not installed", err)
		}
		enter = append(enter, "--setuid="+u.Uid, "--setgid="+u.Gid)
	}
	enter = append(append(enter, "--", name), args...)
	// Without a context: what it starts is only ended with the room, never
	// orphaned by the end of nsenter.
	cmd := exec.Command("nsenter", enter...)
	cmd.WaitDelay = patient // what it started may keep its output open
	// A monban with the race detector fails at a race, and does not wait a
	// second before it ends.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	return cmd
}

// run runs a program in the room as root and returns its standard output.
func (r *room) run(name string, args ...string) string {
	r.t.Helper()
	return r.runAs("root", name, args...)
}

func (r *room) runAs(as, name string, args ...string) string {
	r.t.Helper()
	cmd := r.command(as, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// daemon starts a program in the room and leaves it running. What it prints is
// shown if the test fails.
func (r *room) daemon(as, name string, args ...string) {
	r.t.Helper()
	cmd := r.command(as, name, args...)
	log, err := os.Create(filepath.Join(r.dir, filepath.Base(name)+".out"))
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.running = append(r.running, cmd)
	log.Close()
	r.t.Cleanup(func() {
		if r.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			r.t.Logf("%s said: …%s", name, text[max(0, len(text)-1500):])
		}
	})
}

// fixture starts the fixture in the room as the named user, ready when it
// returns, and returns its process id.
func (r *room) fixture(as string, args ...string) (pid int) {
	r.t.Helper()
	cmd := r.command(as, program(r.t, "fixture"), args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	startReady(r.t, cmd)
	r.t.Cleanup(func() {
		in.Close()
		cmd.Wait() // its own failure shows in what the test sees
	})
	return cmd.Process.Pid
}

// file writes a file into the room's directory and returns its path.
func (r *room) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// subdir makes a directory in the room's, belonging to the named user.
func (r *room) subdir(name, owner string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		r.t.Fatal(err)
	}
	u, err := user.Lookup(owner)
	if err != nil {
		r.t.Fatalf("%v: its package is not installed", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// How long a test waits for what it knows will come. Where it comes, nothing is
// waited for; where it does not, the test fails: so it may be far more than a machine
// with much else to do ever takes.
const (
	patient = 90 * time.Second // an answer to one packet
	enough  = 4 * time.Minute  // the start of a daemon, the end of a trial
)

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(enough); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", enough, what)
		}
	}
}

// chance returns the seed of a test with random cases: another one each time, and how
// to have it again is said where the test fails. MONBAN_TEST_SEED is that of all.
func chance(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("MONBAN_TEST_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to have these cases again: MONBAN_TEST_SEED=%d", seed)
		}
	})
	return seed
}

// during does something that has to come within a time, beginning with first, after
// which all is as before: try says what was wrong. Where that time was over when it
// was seen, it says nothing; over waits until the time is over for certain, and there
// is another try with twice the time, which during returns in the end.
func during(t testing.TB, first time.Duration, try func(limit time.Duration) (wrong string), over func(limit time.Duration)) time.Duration {
	t.Helper()
	for limit := first; ; limit *= 2 {
		began := time.Now()
		wrong := try(limit)
		if wrong == "" {
			return limit
		}
		if took := time.Since(began); took < limit || limit > enough {
			t.Fatalf("within %v of %v: %s", took, limit, wrong)
		}
		over(limit)
	}
}

// waitFor waits until ss shows a socket on each of the ports, at any address or at
// that one: "tcp 80", "tcp [::]:80".
func (r *room) waitFor(doors ...string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprint("somebody opens ", doors), func() bool { return len(r.missing(doors)) == 0 })
}

func (r *room) missing(doors []string) (missing []string) {
	open := map[string]bool{}
	for _, row := range r.ss() {
		open[fmt.Sprintf("%s %d", row.Proto, row.Port)] = true
		open[row.Proto+" "+net.JoinHostPort(row.Address, strconv.Itoa(row.Port))] = true
	}
	for _, d := range doors {
		if !open[d] {
			missing = append(missing, d)
		}
	}
	return missing
}

// monban runs monban in the room as the named user. It must exit with 0 and
// write nothing to standard error.
func (r *room) monban(as string, args ...string) []byte {
	r.t.Helper()
	return r.asked(func() []byte { return output(r.t, r.command(as, program(r.t, "monban"), args...)) })
}

// asked returns what a monban says, which is run again as long as it says that the
// room's container engine was too busy to answer it: monban gives that 2 s, and
// leaves a gap.
func (r *room) asked(run func() []byte) (said []byte) {
	r.t.Helper()
	if !r.engine {
		return run()
	}
	eventually(r.t, "the container engine answers in time", func() bool {
		said = run()
		return !bytes.Contains(said, []byte("no answer within"))
	})
	return said
}

// output runs a monban to its end: status 0, and nothing on standard error.
func output(t testing.TB, cmd *exec.Cmd) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, stdout.Bytes(), stderr.Bytes())
	}
	if stderr.Len() > 0 {
		t.Errorf("%s wrote to standard error: %s", cmd, stderr.Bytes())
	}
	return stdout.Bytes()
}
