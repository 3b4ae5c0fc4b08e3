package free

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// childEnv makes this test binary a program that holds a door.
const childEnv = "MONBAN_FREE_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		child(mode)
		return
	}
	os.Exit(m.Run())
}

// child opens a door, says its inode, and lets go of it when it reads a line.
func child(mode string) {
	if strings.Contains(mode, "stubborn") {
		signal.Ignore(syscall.SIGTERM)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := l.(*net.TCPListener).File() // both descriptors are one socket
	if err != nil {
		fmt.Println(err)
		return
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(st.Ino)
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err == nil {
		l.Close()
		file.Close()
		fmt.Println("let go")
	}
	io.Copy(io.Discard, in)
}

// holder is a running child.
type holder struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	owner monban.Owner
	inode uint64
}

func startHolder(t *testing.T, mode string) *holder {
	t.Helper()
	h := &holder{cmd: exec.CommandContext(t.Context(), "/proc/self/exe")}
	h.cmd.Env = append(os.Environ(), childEnv+"="+mode)
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.cmd.Process.Kill() // an error means that it has ended
		h.cmd.Wait()
	})
	h.out = bufio.NewReader(out)
	if _, err := fmt.Fscan(h.out, &h.inode); err != nil {
		t.Fatal(err)
	}
	st, err := readStat(h.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	h.owner = monban.Owner{PID: h.cmd.Process.Pid, Name: "child", Started: startTime(st.start)}
	return h
}

// planFor is a plan to end the holders, as Make makes it.
func planFor(holders ...*holder) *Plan {
	s := Step{Action: Signal, Name: "child", Grace: time.Minute}
	for _, h := range holders {
		s.Processes = append(s.Processes, h.owner)
		s.Doors = append(s.Doors, monban.Door{Inode: h.inode, Owners: []monban.Owner{h.owner}})
	}
	return &Plan{Programs: [][]monban.Door{s.Doors}, Steps: []Step{s}}
}

func (h *holder) alive() bool { return h.cmd.Process.Signal(syscall.Signal(0)) == nil }

func prepared(t *testing.T, p *Plan) *Plan {
	t.Helper()
	p.Prepare(t.Context(), Self{})
	t.Cleanup(p.Close)
	return p
}

func (r Result) told() string {
	var list []string
	for _, s := range r.Sent {
		list = append(list, s.Signal)
	}
	return strings.Join(list, " ")
}

func TestActEndsThem(t *testing.T) {
	for mode, want := range map[string]string{"plain": "SIGTERM", "stubborn": "SIGTERM SIGKILL"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := startHolder(t, mode)
			p := prepared(t, planFor(h))
			if mode == "stubborn" {
				p.Steps[0].Grace = 500 * time.Millisecond
			}
			if !p.Ready() {
				t.Fatalf("%+v", p.Refused)
			}
			r := p.Act(t.Context(), 0)
			if r.Err != nil || r.told() != want {
				t.Errorf("%+v, want %s", r, want)
			}
			// Its files are closed, and the door is free, before the end can be seen.
			if _, err := h.out.ReadString(0); err != io.EOF {
				t.Error(err)
			}
			h.cmd.Wait() // says that a signal ended it
			if !h.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
				t.Error(h.cmd.ProcessState)
			}
		})
	}
}

// TestWhoHasLetGoIsLeftAlone is the race between the plan and the act: the holder
// still exists, and does not hold the door any more.
func TestWhoHasLetGoIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := startHolder(t, "plain")
	p := prepared(t, planFor(h))
	fmt.Fprintln(h.in)
	if line, err := h.out.ReadString('\n'); strings.TrimSpace(line) != "" { // the end of the inode's line
		t.Fatal(line, err)
	}
	if line, err := h.out.ReadString('\n'); line != "let go\n" {
		t.Fatal(line, err)
	}
	if r := p.Act(t.Context(), 0); r.Err != nil || len(r.Sent) > 0 {
		t.Errorf("%+v, want nothing", r)
	}
	if !h.alive() {
		t.Error("it was ended")
	}
	again := prepared(t, planFor(h))
	if again.Ready() || again.Refused[0].Reason != IsChanged {
		t.Errorf("a plan against it: %+v", again.Refused)
	}
}

// TestAnEndedProcess must not be hit by its number, which may be another's by
// then.
func TestAnEndedProcess(t *testing.T) {
	t.Parallel()
	h := startHolder(t, "plain")
	p := prepared(t, planFor(h))
	h.cmd.Process.Kill()
	h.cmd.Wait()
	held := p.Steps[0].held[0]
	if err := held.kill(); !errors.Is(err, errGone) {
		t.Errorf("a signal to it: %v, want %v", err, errGone)
	}
	if held.holds([]uint64{h.inode}) {
		t.Error("it still holds the door")
	}
	if r := p.Act(t.Context(), 0); r.Err != nil || len(r.Sent) > 0 {
		t.Errorf("%+v, want nothing", r)
	}
	if again := prepared(t, planFor(h)); again.Ready() || again.Refused[0].Reason != IsChanged {
		t.Errorf("a plan against it: %+v", again)
	}
}

// TestAnotherWithTheNumber gives the number of a holder to a process of another
// start time, as the reuse of a pid does.
func TestAnotherWithTheNumber(t *testing.T) {
	t.Parallel()
	h := startHolder(t, "plain")
	h.owner.Started = h.owner.Started.Add(-time.Minute)
	if p := prepared(t, planFor(h)); p.Ready() || p.Refused[0].Reason != IsChanged {
		t.Errorf("%+v", p)
	}
	if !h.alive() {
		t.Error("it was ended")
	}
}

// TestOnlyHoldersAreSignalled has one that holds the door and one that does not.
func TestOnlyHoldersAreSignalled(t *testing.T) {
	t.Parallel()
	a, b := startHolder(t, "plain"), startHolder(t, "plain")
	p := planFor(a, b)
	p.Steps[0].Doors = p.Steps[0].Doors[:1]
	prepared(t, p)
	if len(p.Steps[0].Processes) != 1 || p.Steps[0].Processes[0].PID != a.owner.PID {
		t.Fatalf("%+v", p.Steps[0].Processes)
	}
	if r := p.Act(t.Context(), 0); len(r.Sent) != 1 || r.Sent[0].PID != a.owner.PID {
		t.Errorf("%+v", r)
	}
	if !b.alive() {
		t.Error("the other was ended")
	}
}

func TestBrokenOff(t *testing.T) {
	t.Parallel()
	h := startHolder(t, "stubborn")
	p := prepared(t, planFor(h))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if r := p.Act(ctx, 0); !errors.Is(r.Err, context.DeadlineExceeded) || r.told() != "SIGTERM" {
		t.Errorf("%+v", r)
	}
	if !h.alive() {
		t.Error("it was killed after the call was broken off")
	}
}

func TestMyself(t *testing.T) {
	self, err := Myself(func(name string) string {
		if name == "SSH_CONNECTION" {
			return "192.0.2.1 50000 192.0.2.2 2222"
		}
		return ""
	})
	if err != nil || self.UID != os.Geteuid() || self.SSHPort != 2222 {
		t.Fatalf("%+v %v", self, err)
	}
	if len(self.Ancestors) < 2 || self.Ancestors[0] != os.Getpid() || self.Ancestors[1] != os.Getppid() {
		t.Errorf("%v", self.Ancestors)
	}
	if len(family(os.Getpid())) == 0 || family(os.Getpid())[0].uid != os.Geteuid() {
		t.Errorf("%+v", family(os.Getpid()))
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	out, err := run(t.Context(), 10*time.Minute, 100, []string{"sh", "-c", "yes | head -c 100000; echo end >&2; exit 3"})
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
		t.Errorf("error %v", err)
	}
	if len(out) != 100 || !strings.HasSuffix(string(out), "end\n") {
		t.Errorf("%d bytes: %q", len(out), out)
	}
	began := time.Now()
	if _, err := run(t.Context(), 200*time.Millisecond, 100, []string{"sleep", "600"}); err == nil || !strings.Contains(err.Error(), "no end after") {
		t.Errorf("error %v", err)
	}
	// A child that goes on with the pipe in its hands.
	out, err = run(t.Context(), 10*time.Minute, 100, []string{"sh", "-c", "sleep 600 & echo $!"})
	if err != nil {
		t.Error(err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Errorf("the child is not there any more: %q, %v", out, err)
	}
	if took := time.Since(began); took > 5*time.Minute {
		t.Errorf("it took %v", took)
	}
	// Outside text is an argument and nothing else.
	if out, err := run(t.Context(), 10*time.Minute, 100, []string{"printf", "%s", "$(id); `id` | id\n"}); err != nil || string(out) != "$(id); `id` | id\n" {
		t.Errorf("%q %v", out, err)
	}
}

func TestWatch(t *testing.T) { synctest.Test(t, testWatch) }

func testWatch(t *testing.T) {
	old, young := monban.Door{Inode: 1}, monban.Door{Inode: 2}
	for _, test := range []struct {
		name  string
		looks [][]monban.Door // the last is repeated
		want  []monban.Door
	}{
		{"free at once", [][]monban.Door{nil}, nil},
		{"free soon", [][]monban.Door{{old}, {old}, nil}, nil},
		{"never free", [][]monban.Door{{old}}, []monban.Door{old}},
		{"opened again", [][]monban.Door{{old}, nil, nil, {young}}, []monban.Door{young}},
		{"opened again between two looks", [][]monban.Door{{old}, {young}}, []monban.Door{young}},
	} {
		n := 0
		got := Watch(t.Context(), []monban.Door{old}, time.Second, 2*time.Second, func() []monban.Door {
			n++
			return test.looks[min(n, len(test.looks))-1]
		})
		if !slices.EqualFunc(got, test.want, func(a, b monban.Door) bool { return a.Inode == b.Inode }) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}
