package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netnstest"
)

// freed is the data of `monban free --json`, declared here once more from its
// contract.
type freed struct {
	Outcome, Reason, Why string
	Doors, Left, Others  []door
	Choices              []struct{ Command []string }
	Steps                []struct {
		Action, Name, Supervisor, Output, Error string
		Command                                 []string
		Processes                               []owner
		Also                                    []door
		Done                                    bool
		Signals                                 []struct {
			PID          int
			Name, Signal string
		}
	}
	Refused []struct {
		Reason, Name, Why string
		PID               int
	}
	Fix []struct {
		Text    string
		Command []string
	}
}

// free runs `monban free … --json` in the room and checks the exit code.
func (r *room) free(as string, code int, args ...string) freed {
	r.t.Helper()
	var wrong string
	said := r.asked(func() (out []byte) {
		out, wrong = run(r.t, r.command(as, program(r.t, "monban"), append([]string{"free", "--json"}, args...)...), code)
		return out
	})
	if wrong != "" {
		r.t.Error(wrong)
	}
	return decodeFreed(r.t, said)
}

func answer(t testing.TB, cmd *exec.Cmd, code int) freed {
	t.Helper()
	out, wrong := run(t, cmd, code)
	if wrong != "" {
		t.Error(wrong)
	}
	return decodeFreed(t, out)
}

// run runs a program that ought to exit with a code, and says what is wrong if it
// does not.
func run(t testing.TB, cmd *exec.Cmd, code int) (out []byte, wrong string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if got := cmd.ProcessState.ExitCode(); got != code {
		wrong = fmt.Sprintf("%s: exit %d (%v), want %d\n%s%s", cmd, got, exit, code, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), wrong
}

func decodeFreed(t testing.TB, text []byte) freed {
	t.Helper()
	validate(t, "free", text)
	var e struct{ Data freed }
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return e.Data
}

func (f freed) signals() (list []string) {
	for _, s := range f.Steps {
		for _, sent := range s.Signals {
			list = append(list, fmt.Sprintf("%s %d", sent.Signal, sent.PID))
		}
	}
	return list
}

// start starts a fixture that says when it is ready and is not told to end by
// its standard input. Its pid is that of the room.
func (r *room) start(as string, args ...string) (*exec.Cmd, int) {
	r.t.Helper()
	cmd := r.command(as, program(r.t, "fixture"), args...)
	startReady(r.t, cmd)
	r.t.Cleanup(func() {
		cmd.Process.Kill() // an error means that it has ended
		cmd.Wait()
	})
	return cmd, r.inside(cmd.Process.Pid)
}

// inside returns the pid that a process has in the room. nsenter has put itself
// between when it enters a process namespace: then it is its only child.
func (r *room) inside(pid int) int {
	r.t.Helper()
	if !r.own {
		return pid
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if child := strings.Fields(string(children)); err == nil && len(child) == 1 {
		pid, _ = strconv.Atoi(child[0])
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(rest)
			n, _ := strconv.Atoi(f[len(f)-1])
			return n
		}
	}
	r.t.Fatalf("process %d has no pid in the room", pid)
	return 0
}

// closed checks with ss that nobody has the doors.
func (r *room) closed(doors ...string) {
	r.t.Helper()
	if missing := r.missing(doors); !slices.Equal(missing, doors) {
		r.t.Errorf("of %v, only %v are closed", doors, missing)
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *room){
		"plain":          freePlain,
		"stubborn":       freeStubborn,
		"stopped":        freeStopped,
		"master":         freeMaster,
		"orphan":         freeOrphan,
		"respawn":        freeRespawn,
		"two loopbacks":  freeTwoLoopbacks,
		"udp":            freeUDP,
		"bound":          freeBound,
		"not permitted":  freeNotPermitted,
		"hidden":         freeHidden,
		"rule":           freeRule,
		"ancestor":       freeAncestor,
		"ssh session":    freeSession,
		"dry run":        freeDryRun,
		"at a terminal":  freeAtTerminal,
		"changed":        freeChanged,
		"reuseport":      freeReusePort,
		"kernel":         freeKernel,
		"runit":          freeRunit,
		"supervisord":    freeSupervisord,
		"time wait":      freeTimeWait,
		"closes as well": freeAlso,
		"covered":        freeCovered,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRoom(t, true))
		})
	}
}

func freePlain(t *testing.T, r *room) {
	_, pid := r.start("root", "serve", "tcp:0.0.0.0:8080", "tcp,v6only:[::]:8080")
	f := r.free("root", 0, "8080", "--yes")
	if f.Outcome != "freed" || len(f.Steps) != 1 || f.Steps[0].Action != "signal" ||
		!slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", pid)}) {
		t.Errorf("%+v, want SIGTERM to %d alone", f, pid)
	}
	r.closed("tcp 8080")
	if again := r.free("root", 0, "8080", "--yes"); again.Outcome != "nobody" {
		t.Errorf("the second time: %+v", again)
	}
}

func freeStubborn(t *testing.T, r *room) {
	_, pid := r.start("root", "stubborn", "tcp:127.0.0.1:8080")
	began := time.Now()
	f := r.free("root", 0, "8080", "--yes", "--grace", "700ms")
	if want := []string{fmt.Sprintf("SIGTERM %d", pid), fmt.Sprintf("SIGKILL %d", pid)}; f.Outcome != "freed" || !slices.Equal(f.signals(), want) {
		t.Errorf("%+v, want %v", f, want)
	}
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("it was given only %v", took)
	}
	r.closed("tcp 8080")
}

// freeStopped ends a process that is stopped: it can hear SIGTERM only when it
// goes on.
func freeStopped(t *testing.T, r *room) {
	cmd, pid := r.start("root", "serve", "tcp:127.0.0.1:8080")
	real := cmd.Process.Pid
	if children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", real)); len(children) > 0 {
		real, _ = strconv.Atoi(strings.Fields(string(children))[0])
	}
	if err := unix.Kill(real, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f := r.free("root", 0, "8080", "--yes")
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", pid)}) {
		t.Errorf("%+v", f)
	}
}

// freeMaster signals the master alone; the workers, which it would replace, are
// its own to end.
func freeMaster(t *testing.T, r *room) {
	_, pid := r.start("root", "master", "3", "tcp:127.0.0.1:8080")
	f := r.free("root", 0, "8080", "--yes")
	if len(f.Steps) != 1 || len(f.Steps[0].Processes) != 4 || f.Steps[0].Processes[0].PID != pid {
		t.Fatalf("%+v, want the master %d and three workers", f.Steps, pid)
	}
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", pid)}) {
		t.Errorf("%+v, want SIGTERM to %d alone", f, pid)
	}
	r.closed("tcp 8080")
}

func freeOrphan(t *testing.T, r *room) {
	cmd := r.command("root", program(t, "fixture"), "orphan", "tcp:127.0.0.1:8080") // which ends when it is ready
	startReady(t, cmd)
	cmd.Wait()
	f := r.free("root", 0, "8080", "--yes")
	if f.Outcome != "freed" || len(f.signals()) != 1 {
		t.Errorf("%+v", f)
	}
	r.closed("tcp 8080")
}

// freeRespawn meets a supervisor that nobody knows: it is named, and the answer
// is not that the door is free.
func freeRespawn(t *testing.T, r *room) {
	_, pid := r.start("root", "keep-up", "tcp:127.0.0.1:8080")
	r.waitFor("tcp 8080")
	f := r.free("root", 4, "8080", "--yes")
	if f.Outcome != "failed" || f.Reason != "came-back" || len(f.Left) != 1 {
		t.Fatalf("%+v", f)
	}
	if len(f.Fix) != 1 || !slices.Equal(f.Fix[0].Command, []string{"kill", strconv.Itoa(pid)}) {
		t.Errorf("%+v, want to end %d", f.Fix, pid)
	}
	r.run("kill", strconv.Itoa(pid))
}

func freeTwoLoopbacks(t *testing.T, r *room) {
	_, four := r.start("root", "serve", "tcp:127.0.0.1:5173")
	_, six := r.start("nobody", "serve", "tcp:[::1]:5173")
	f := r.free("root", 2, "5173", "--yes")
	if f.Outcome != "choose" || len(f.Choices) != 2 || len(f.signals()) != 0 {
		t.Fatalf("%+v", f)
	}
	if want := []string{"monban", "free", "5173", "--address", "::1"}; !slices.Equal(f.Choices[1].Command, want) {
		t.Errorf("the second choice is %v, want %v", f.Choices[1].Command, want)
	}
	f = r.free("root", 0, "5173", "--yes", "--address", "::1")
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", six)}) || len(f.Others) != 1 {
		t.Errorf("%+v", f)
	}
	f = r.free("root", 0, "5173", "--yes", "--pid", strconv.Itoa(four))
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", four)}) {
		t.Errorf("%+v", f)
	}
	r.closed("tcp 5173")
}

// freeUDP frees one transport of a number, and a bare number is TCP.
func freeUDP(t *testing.T, r *room) {
	_, tcp := r.start("root", "serve", "tcp:127.0.0.1:5300")
	_, udp := r.start("nobody", "serve", "udp:127.0.0.1:5300")
	if f := r.free("root", 0, "5300/udp", "--yes"); f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", udp)}) {
		t.Errorf("%+v", f)
	}
	r.waitFor("tcp 5300")
	if f := r.free("root", 0, "5300", "--yes"); f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", tcp)}) {
		t.Errorf("%+v", f)
	}
}

// freeBound frees a port that is held without listening, which ss does not show.
func freeBound(t *testing.T, r *room) {
	_, pid := r.start("root", "serve", "bound:127.0.0.1:5432")
	f := r.free("root", 0, "5432", "--yes")
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", pid)}) {
		t.Errorf("%+v", f)
	}
}

func freeNotPermitted(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:127.0.0.1:8080")
	f := r.free("nobody", 4, "8080", "--yes")
	if f.Outcome != "refused" || f.Reason != "privilege" || len(f.signals()) != 0 {
		t.Fatalf("%+v", f)
	}
	if want := []string{"sudo", "monban", "free", "8080"}; len(f.Fix) == 0 || !slices.Equal(f.Fix[0].Command, want) {
		t.Errorf("%+v, want %v", f.Fix, want)
	}
	r.waitFor("tcp 8080")
}

// freeHidden asks about a door of the same user's name, whose files may be looked
// at; and is allowed to end it.
func freeHidden(t *testing.T, r *room) {
	_, pid := r.start("nobody", "serve", "tcp:127.0.0.1:8080")
	f := r.free("nobody", 0, "8080", "--yes")
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", pid)}) {
		t.Errorf("%+v", f)
	}
}

// freeAncestor runs monban below a shell that holds the port.
func freeAncestor(t *testing.T, r *room) {
	// The shell keeps what the fixture's socket is, by inheriting it.
	cmd := r.command("root", program(t, "fixture"), "with", "tcp:127.0.0.1:8080", "--",
		program(t, "monban"), "free", "--json", "8080", "--yes")
	f := answer(t, cmd, 4)
	if f.Outcome != "refused" || f.Reason != "ancestor" || len(f.signals()) != 0 {
		t.Errorf("%+v", f)
	}
}

func freeSession(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:127.0.0.1:2222")
	cmd := r.command("root", program(t, "monban"), "free", "--json", "2222", "--yes")
	cmd.Env = append(cmd.Env, "SSH_CONNECTION=127.0.0.1 50000 127.0.0.1 2222")
	if f := answer(t, cmd, 4); f.Reason != "session" {
		t.Errorf("%+v", f)
	}
	r.waitFor("tcp 2222")
}

func freeDryRun(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:127.0.0.1:8080")
	if f := r.free("root", 0, "8080", "--dry-run"); f.Outcome != "planned" || len(f.Steps) != 1 || f.Steps[0].Done {
		t.Errorf("%+v", f)
	}
	if f := r.free("root", 2, "8080"); f.Reason != "not-confirmed" || len(f.signals()) != 0 {
		t.Errorf("without a terminal: %+v", f)
	}
	r.waitFor("tcp 8080")
}

// freeAtTerminal answers the questions at a real terminal, which script(1) makes.
func freeAtTerminal(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:127.0.0.1:8080")
	r.start("nobody", "serve", "tcp:[::1]:8080")
	ask := func(answers string) (string, int) {
		cmd := r.command("root", "script", "--quiet", "--return", "--echo=never", "--command", program(t, "monban")+" free 8080 --no-color", "/dev/null")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(in, answers)
		defer in.Close()
		cmd.Wait()
		return out.String(), cmd.ProcessState.ExitCode()
	}
	for _, test := range []struct {
		answers string
		code    int
		says    string
	}{
		{"\n", 4, "Nothing was done."},
		{"7\n", 4, "Nothing was done."},
		{"1\nn\n", 4, "Nothing was done."},
		{"1\n\n", 4, "Nothing was done."},
		{"2\ny\n", 0, "[::1]:8080/tcp is free."},
	} {
		if out, code := ask(test.answers); code != test.code || !strings.Contains(out, test.says) || !strings.Contains(out, "Which one?") {
			t.Errorf("%q: exit %d, want %d and %q:\n%s", test.answers, code, test.code, test.says, out)
		}
	}
	if rows := r.ss(); len(rows) != 1 || rows[0].Port != 8080 {
		t.Errorf("left open: %+v", rows)
	}
}

// freeChanged ends the holder while monban waits for an answer, and lets another
// program take its place: that is not the one that was shown.
func freeChanged(t *testing.T, r *room) {
	old, _ := r.start("root", "serve", "tcp:127.0.0.1:8080")
	cmd := r.command("root", "script", "--quiet", "--return", "--echo=never", "--command", program(t, "monban")+" free 8080 --no-color", "/dev/null")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(said.String(), "[y/N]") {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("no question: %v\n%s", err, &said)
		}
	}
	r.run("pkill", "-KILL", "-f", "fixture serve tcp:127.0.0.1:8080")
	old.Wait()
	_, young := r.start("nobody", "serve", "tcp:127.0.0.1:8080")
	fmt.Fprint(in, "y\n")
	for {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			break
		}
	}
	in.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(said.String(), "changed hands") {
		t.Errorf("exit %d:\n%s", code, &said)
	}
	f := r.free("root", 0, "8080", "--dry-run")
	if len(f.Steps) != 1 || f.Steps[0].Processes[0].PID != young {
		t.Errorf("the new holder %d was hit: %+v", young, f)
	}
}

// freeReusePort shares one address among programs that have nothing to do with
// each other: only --pid can tell which is meant.
func freeReusePort(t *testing.T, r *room) {
	_, a := r.start("root", "serve", "tcp,reuse:127.0.0.1:8080")
	_, b := r.start("root", "serve", "tcp,reuse:127.0.0.1:8080")
	f := r.free("root", 2, "8080", "--yes")
	if f.Outcome != "choose" || len(f.Choices) != 2 {
		t.Fatalf("%+v", f)
	}
	for _, c := range f.Choices {
		if c.Command[3] != "--pid" {
			t.Errorf("%v does not tell them apart", c.Command)
		}
	}
	f = r.free("root", 0, "8080", "--yes", "--pid", strconv.Itoa(b))
	if f.Outcome != "freed" || !slices.Equal(f.signals(), []string{fmt.Sprintf("SIGTERM %d", b)}) || len(f.Others) != 1 {
		t.Errorf("%+v", f)
	}
	if len(f.Others) == 1 && f.Others[0].Owners[0].PID != a {
		t.Errorf("%+v is left, want %d", f.Others, a)
	}
}

func freeKernel(t *testing.T, r *room) {
	r.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1")
	r.run("ip", "link", "set", "vx0", "up")
	f := r.free("root", 4, "4789/udp", "--yes")
	if f.Outcome != "refused" || f.Reason != "kernel" || len(f.Steps) != 0 {
		t.Errorf("%+v", f)
	}
}

// freeRunit stops a program that runit's runsv(8) would start again.
func freeRunit(t *testing.T, r *room) {
	netnstest.Need(t, "runsv")
	service := r.subdir("web", "root")
	run := filepath.Join(service, "run")
	if err := os.WriteFile(run, []byte("#!/bin/sh\nexec "+program(t, "fixture")+" serve tcp:127.0.0.1:8080\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.daemon("root", "runsv", service)
	r.waitFor("tcp 8080")
	f := r.free("root", 0, "8080", "--yes")
	if len(f.Steps) != 1 || strings.Join(f.Steps[0].Command, " ") != "sv -w 10 stop "+service || f.Steps[0].Supervisor != "runit" {
		t.Errorf("%+v", f)
	}
	r.closed("tcp 8080")
}

// freeSupervisord stops two programs of supervisord(1), of which one counts as
// being started for an hour: then its status does not name the process. As another
// user it is not done.
func freeSupervisord(t *testing.T, r *room) {
	netnstest.Need(t, "supervisord")
	config := r.file("supervisord.conf", strings.ReplaceAll(`[unix_http_server]
file=/run/supervisor.sock
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile=/run/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix:///run/supervisor.sock
[program:web]
command=FIXTURE serve tcp:127.0.0.1:8080
startsecs=3600
[program:api]
command=FIXTURE serve tcp:127.0.0.1:8081
process_name=%(process_num)s
numprocs=1
`, "FIXTURE", program(t, "fixture")))
	r.daemon("root", "supervisord", "-c", config)
	r.waitFor("tcp 8080", "tcp 8081")
	if f := r.free("nobody", 4, "8080", "--yes"); f.Outcome != "refused" {
		t.Errorf("as nobody: %+v", f)
	}
	for port, name := range map[string]string{"8080": "web", "8081": "api:0"} {
		f := r.free("root", 0, port, "--yes")
		if len(f.Steps) != 1 || strings.Join(f.Steps[0].Command, " ") != "supervisorctl -c "+config+" stop "+name {
			t.Errorf("%+v", f)
		}
	}
	r.closed("tcp 8080", "tcp 8081")
}

// freeTimeWait closes connections from the server's side, so that the port is
// free and yet cannot be opened without SO_REUSEADDR.
func freeTimeWait(t *testing.T, r *room) {
	r.run("python3", "-c", `import socket
s = socket.create_server(("127.0.0.1", 8080))
c = socket.create_connection(("127.0.0.1", 8080))
a, _ = s.accept()
a.close()
c.recv(1)
c.close()
s.close()
while b" 06 " not in open("/proc/self/net/tcp", "rb").read(): pass`)
	text := string(r.monban("root", "free", "8080"))
	if !strings.Contains(text, "Nobody has 8080/tcp") || !strings.Contains(text, "L7") {
		t.Errorf("it does not tell of TIME_WAIT:\n%s", text)
	}
}

// freeAlso says what else closes.
func freeAlso(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:127.0.0.1:8080", "tcp:0.0.0.0:9229", "udp:127.0.0.1:8080")
	f := r.free("root", 0, "8080", "--dry-run")
	if len(f.Steps) != 1 || len(f.Steps[0].Also) != 2 {
		t.Errorf("%+v, want 9229/tcp and 8080/udp to close as well", f.Steps)
	}
}

// freeCovered asks for an address that nobody has by itself, and that is taken all
// the same by the IPv6 wildcard.
func freeCovered(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:[::]:8080")
	text := string(r.monban("root", "free", "8080", "--address", "0.0.0.0"))
	for _, want := range []string{"Nobody has 0.0.0.0:8080/tcp", "L3", "is not touched"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

// freeRule: nobody listens, and what arrives goes elsewhere all the same.
func freeRule(t *testing.T, r *room) {
	netnstest.Need(t, "nft")
	r.run("nft", "-f", r.file("rules.nft", `table inet x {
	chain pre {
		type nat hook prerouting priority dstnat;
		tcp dport 8080 redirect to :8081
	}
}
`))
	f := r.free("root", 4, "8080", "--yes")
	if f.Outcome != "refused" || f.Reason != "rule" || len(f.Refused) != 1 || !strings.Contains(f.Refused[0].Why, "inet x pre") ||
		!strings.Contains(f.Refused[0].Why, ":8081") {
		t.Errorf("%+v", f)
	}
	if f := r.free("root", 0, "8081"); f.Outcome != "nobody" {
		t.Errorf("%+v", f)
	}
	out, err := r.command("nobody", program(t, "monban"), "free", "8080").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("whether a rule leads it elsewhere")) {
		t.Errorf("%v\n%s", err, out)
	}
	r.start("root", "serve", "tcp:0.0.0.0:8080") // then there is a program, and it is what is meant
	if f := r.free("root", 0, "8080", "--dry-run"); f.Outcome != "planned" || len(f.Steps) != 1 {
		t.Errorf("%+v", f)
	}
}
