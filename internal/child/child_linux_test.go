package child

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test program plays all parts: monban, its stage, and the commands.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == StageArg {
		os.Exit(Stage(os.Args[2:]))
	}
	if len(os.Args) > 1 {
		if role, ok := strings.CutPrefix(os.Args[1], "role:"); ok {
			os.Exit(play(role, os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

func play(role string, args []string) int {
	switch role {
	case "run": // monban: a file for the result, then the command
		return playRun(args)
	case "exit":
		n, _ := strconv.Atoi(args[0])
		return n
	case "signals": // says which signals come, until "end" is read
		return playSignals()
	case "die":
		n, _ := strconv.Atoi(args[0])
		_ = unix.Kill(os.Getpid(), unix.Signal(n))
		time.Sleep(time.Minute) // it has not been delivered yet
	case "say": // a complaint in pieces
		for _, piece := range args {
			fmt.Fprint(os.Stderr, piece)
			time.Sleep(20 * time.Millisecond)
		}
		return 1
	case "mixed":
		for i := range 200 {
			fmt.Fprintf([]*os.File{os.Stdout, os.Stderr}[i%2], "%d\n", i)
		}
	case "shell":
		return playShell(args)
	case "typed":
		return playTyped()
	case "describe":
		return playDescribe()
	case "fork": // leaves a process behind that goes on writing
		cmd := exec.Command(os.Args[0], "role:late", args[0])
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return 9
		}
		fmt.Fprintln(os.Stderr, "first")
		return 3
	case "late": // writes when a file is there
		for _, err := os.Stat(args[0]); err != nil; _, err = os.Stat(args[0]) {
			time.Sleep(10 * time.Millisecond)
		}
		for i := range 5 {
			if _, err := fmt.Fprintln(os.Stderr, "late", i); err != nil {
				return 1
			}
		}
	case "flood":
		for {
			if _, err := os.Stderr.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
				return 8
			}
		}
	}
	return 0
}

func playRun(args []string) int {
	c := &Command{Path: args[1], Args: args[1:], Env: SetEnv(os.Environ(), "PORT", "61234"), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if os.Getenv("TEST_LISTEN") != "" {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 99
		}
		if c.Listen, err = l.(*net.TCPListener).File(); err != nil {
			return 99
		}
	}
	r, err := Run(c)
	var bad *StartError
	if errors.As(err, &bad) {
		r.Status = 127
		r.Said = []byte(err.Error())
	}
	b, _ := json.Marshal(r)
	if err := os.WriteFile(args[0], b, 0o600); err != nil {
		return 98
	}
	return r.Status
}

func playSignals() int {
	c := make(chan os.Signal, 100)
	signal.Notify(c)
	fmt.Println("ready", os.Getpid())
	lines := make(chan string)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			lines <- in.Text()
		}
		close(lines)
	}()
	for {
		select {
		case sig := <-c:
			if sig != unix.SIGURG {
				fmt.Println("got", int(sig.(syscall.Signal)))
			}
		case line, ok := <-lines:
			if !ok || line == "end" {
				time.Sleep(100 * time.Millisecond) // for signals on their way
				for len(c) > 0 {
					if sig := <-c; sig != unix.SIGURG {
						fmt.Println("got", int(sig.(syscall.Signal)))
					}
				}
				return 5
			}
			fmt.Println("read", line)
		}
	}
}

// playDescribe says everything about itself that a parent may have changed.
func playDescribe() int {
	var fds []string
	for fd := range 64 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil {
				fds = append(fds, fmt.Sprintf("%d:%o", fd, st.Mode&unix.S_IFMT))
			}
		}
	}
	fmt.Println("fds", strings.Join(fds, " "))
	status, _ := os.ReadFile("/proc/thread-self/status")
	for line := range strings.Lines(string(status)) {
		for _, key := range []string{"SigBlk", "SigIgn", "NoNewPrivs", "Seccomp:", "TracerPid", "CapBnd", "CapEff"} {
			if strings.HasPrefix(line, key) {
				fmt.Print(line)
			}
		}
	}
	var lim unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &lim)
	fmt.Println("pgrp", unix.Getpgrp() == os.Getpid(), "core", lim.Cur, "port", os.Getenv("PORT"))
	var env []string
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); name != "_" && name != "PORT" {
			env = append(env, kv)
		}
	}
	slices.Sort(env)
	fmt.Println(strings.Join(env, "\n"))
	pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID"))
	fmt.Println("listen", pid == os.Getpid(), os.Getenv("LISTEN_FDS"))
	return 0
}

// stand is one run of a command by way of the test program as monban.
type stand struct {
	t      *testing.T
	cmd    *exec.Cmd
	result string
}

func self2(t *testing.T) string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func prepare(t *testing.T, args ...string) *stand {
	exe := self2(t)
	s := &stand{t: t, result: filepath.Join(t.TempDir(), "result")}
	line := []string{"role:run", s.result}
	if strings.HasPrefix(args[0], "role:") {
		line = append(line, exe)
	}
	s.cmd = exec.CommandContext(t.Context(), exe, append(line, args...)...)
	return s
}

// end waits, bounded in time, and returns the result and the exit status.
func (s *stand) end() (Result, int) {
	s.t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	if !timer.Stop() {
		s.t.Fatal("it hangs")
	}
	var bad *exec.ExitError
	if err != nil && !errors.As(err, &bad) {
		s.t.Fatal(err)
	}
	var r Result
	b, err := os.ReadFile(s.result)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		s.t.Errorf("no result: %v (%v)", err, s.cmd.ProcessState)
	}
	return r, s.cmd.ProcessState.ExitCode()
}

func (s *stand) run() (Result, int) {
	s.t.Helper()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return s.end()
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
		signal int
	}{
		{[]string{"role:exit", "0"}, 0, 0},
		{[]string{"role:exit", "1"}, 1, 0},
		{[]string{"role:exit", "255"}, 255, 0},
		{[]string{"role:die", "9"}, 137, 9},
		{[]string{"role:die", "15"}, 143, 15},
		{[]string{"/nonexistent/program"}, 127, 0},
		{[]string{"/etc/hostname"}, 127, 0},
	} {
		r, code := prepare(t, tt.args...).run()
		if code != tt.status || r.Status != tt.status || r.Signal != tt.signal {
			t.Errorf("%q: exit %d, %+v; want %d and signal %d", tt.args, code, r, tt.status, tt.signal)
		}
	}
}

// TestScriptWithoutInterpreter is what execvp(3) does.
func TestScriptWithoutInterpreter(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("exit $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, code := prepare(t, script, "7").run(); code != 7 {
		t.Errorf("exit %d, want 7", code)
	}
}

func TestEverySignalIsPassedOnOnce(t *testing.T) {
	s := prepare(t, "role:signals")
	in, out := s.pipes()
	s.expect(out, "ready ")
	var want []string
	for _, sig := range passed() {
		switch sig {
		case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT:
			continue
		}
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		s.expect(out, fmt.Sprintf("got %d", int(sig)))
		want = append(want, sig.String())
	}
	io.WriteString(in, "end\n")
	rest, _ := io.ReadAll(out)
	if len(rest) > 0 {
		t.Errorf("and once more: %q (of %v)", rest, want)
	}
	if r, code := s.end(); code != 5 || !r.Interrupted {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func (s *stand) pipes() (io.WriteCloser, *bufio.Reader) {
	s.t.Helper()
	in, err := s.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return in, bufio.NewReader(out)
}

func (s *stand) expect(out *bufio.Reader, prefix string) string {
	s.t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	line, err := out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, prefix) {
		s.t.Fatalf("%q, %v; want %q", line, err, prefix)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, prefix))
}

// TestNothingIsChanged compares a command with one that was started directly:
// descriptors, signals, limits, privileges, environment.
func TestNothingIsChanged(t *testing.T) {
	describe := func(cmd *exec.Cmd) string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		cmd.Stdin, cmd.ExtraFiles = null, []*os.File{r, w} // make's jobserver
		cmd.Env = append(os.Environ(), "LISTEN_PID=1", "LISTEN_FDS=4")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	alone := exec.CommandContext(t.Context(), self2(t), "role:describe")
	want := strings.Replace(describe(alone), "port \n", "port 61234\n", 1)
	if got := describe(prepare(t, "role:describe").cmd); got != want {
		t.Errorf("got\n%s\nalone\n%s", got, want)
	}
}

func TestListen(t *testing.T) {
	s := prepare(t, "role:describe")
	s.cmd.Env = append(os.Environ(), "TEST_LISTEN=1", "LISTEN_PID=1", "LISTEN_FDS=4", "LISTEN_FDNAMES=a:b")
	out, err := s.cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), fmt.Sprintf(" 3:%o", unix.S_IFSOCK)) || !strings.Contains(string(out), "listen true 1\n") || strings.Contains(string(out), "FDNAMES") {
		t.Errorf("%s", out)
	}
}

// TestHeard has the command complain in pieces into a pipe and into a file.
func TestHeard(t *testing.T) {
	say := []string{"role:say", "Error: listen EADDR", "INUSE: address already in use ", ":::3000", "\n"}
	want := strings.Join(say[1:], "")
	var b bytes.Buffer
	s := prepare(t, say...)
	s.cmd.Stderr = &b // a pipe
	if r, code := s.run(); code != 1 || !r.Heard || string(r.Said) != want || b.String() != want {
		t.Errorf("pipe: exit %d, %+v, %q went through", code, r, b.String())
	}
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "before")
	s = prepare(t, say...)
	s.cmd.Stderr = f
	r, code := s.run()
	if got, _ := os.ReadFile(f.Name()); code != 1 || string(got) != "before\n"+want {
		t.Errorf("file: exit %d, %q in the file", code, got)
	}
	if r.Heard && string(r.Said) != want || !r.Heard && runtime.GOOS == "linux" {
		t.Errorf("file: heard %v %q", r.Heard, r.Said)
	}
	s = prepare(t, say...) // /dev/null
	if r, _ := s.run(); r.Heard || r.Said != nil {
		t.Errorf("device: %+v", r)
	}
}

// TestOrder wants what goes to one pipe by stdout and stderr to stay in order.
func TestOrder(t *testing.T) {
	s := prepare(t, "role:mixed")
	var b bytes.Buffer
	s.cmd.Stdout = &b
	s.cmd.Stderr = &b
	if _, code := s.run(); code != 0 {
		t.Errorf("exit %d", code)
	}
	var want strings.Builder
	for i := range 200 {
		fmt.Fprintln(&want, i)
	}
	if b.String() != want.String() {
		t.Errorf("%s", b.String())
	}
}

// TestProcessesLeftBehind go on writing, and nobody waits for them.
func TestProcessesLeftBehind(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	late := filepath.Join(t.TempDir(), "late")
	s := prepare(t, "role:fork", late)
	s.cmd.Stderr = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	res, code := s.end() // while the other waits
	if code != 3 {
		t.Errorf("exit %d", code)
	}
	if err := os.WriteFile(late, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if string(res.Said) != "first\n" {
		t.Errorf("heard %q", res.Said)
	}
	all, err := io.ReadAll(r)
	if want := "first\nlate 0\nlate 1\nlate 2\nlate 3\nlate 4\n"; err != nil || string(all) != want {
		t.Errorf("%q, %v; want %q", all, err, want)
	}
}

// TestNobodyListens ends the command as if it had the pipe itself.
func TestNobodyListens(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := prepare(t, "role:flood")
	s.cmd.Stderr = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	io.CopyN(io.Discard, r, 1<<20)
	r.Close()
	if res, _ := s.end(); res.Signal != int(unix.SIGPIPE) || len(res.Said) != maxSaid {
		t.Errorf("signal %d, %d bytes heard", res.Signal, len(res.Said))
	}
}

// TestRest: what the command said is heard also where nobody came to read it before
// the time was over.
func TestRest(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // as somebody who was left behind has it
	passed, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{r: r, out: out, done: make(chan struct{})}
	close(l.done)
	for _, said := range []string{"address already in use\n", ""} {
		io.WriteString(w, said)
		if err := r.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		l.tail.buf = nil
		if l.rest(); string(l.tail.bytes()) != said {
			t.Errorf("heard %q, want %q", l.tail.bytes(), said)
		}
	}
	r.Close()
	l.rest()
	out.Close()
	if b, err := io.ReadAll(passed); string(b) != "address already in use\n" {
		t.Errorf("passed on %q, %v", b, err)
	}
}

func TestTailIsBounded(t *testing.T) {
	var l tail
	var all []byte
	for i := range 5000 {
		p := bytes.Repeat([]byte{byte(i)}, i%100)
		l.add(p)
		all = append(all, p...)
	}
	if !bytes.Equal(l.bytes(), all[len(all)-maxSaid:]) || cap(l.buf) > 8*maxSaid {
		t.Errorf("%d bytes, %d kept", len(l.bytes()), cap(l.buf))
	}
}
