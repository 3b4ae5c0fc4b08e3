//go:build unix

package child

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Run starts a command and returns when it has ended. Signals that reach this
// process in the meantime are the command's. The error is a *StartError, and then
// nothing was started.
func Run(c *Command) (Result, error) {
	l := listen(c.Stderr)
	stderr, stdout := c.Stderr, c.Stdout
	if l.w != nil {
		if same(stdout, stderr) {
			stdout = l.w
		}
		stderr = l.w
	}
	// Before the start: a command may end at once.
	signals := catch()
	defer signal.Stop(signals)
	p, err := start(c, []*os.File{c.Stdin, stdout, stderr})
	if err != nil {
		return Result{}, &StartError{c.Path, err}
	}
	defer func() { _ = p.Release() }() // it has been waited for
	l.started()
	k := keeper{pid: p.Pid}
	for !k.ended {
		if sig := (<-signals).(unix.Signal); sig == unix.SIGCHLD {
			k.reap()
		} else {
			k.pass(sig)
		}
	}
	k.result.Said, k.result.Heard = l.ended(), l.heard()
	return k.result, nil
}

func start(c *Command, files []*os.File) (*os.Process, error) {
	if c.Listen != nil {
		return startListening(c, files)
	}
	p, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{Env: c.Env, Files: files})
	if errors.Is(err, unix.ENOEXEC) {
		return os.StartProcess(shell, script(c.Path, c.Args), &os.ProcAttr{Env: c.Env, Files: files})
	}
	return p, err
}

// shell runs a script without a first line that names its interpreter, as
// execvp(3) has it.
const shell = "/bin/sh"

func script(path string, argv []string) []string {
	return append([]string{"sh", path}, argv[1:]...)
}

// startListening starts the command by way of the stage, and returns when it has
// become the command.
func startListening(c *Command, files []*os.File) (*os.Process, error) {
	self, err := self()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// The pipe has the same number in the child, out of the way: the command may
	// expect descriptors of its parent's there, such as make's.
	const high = 100
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, high)
	w.Close()
	if err != nil {
		return nil, err
	}
	if err = unix.SetNonblock(int(c.Listen.Fd()), false); err == nil {
		stage := []string{os.Args[0], StageArg, strconv.Itoa(fd), c.Path, "--"}
		var p *os.Process
		p, err = os.StartProcess(self, append(stage, c.Args...), &os.ProcAttr{Env: c.Env, Files: append(files, c.Listen)})
		unix.Close(fd)
		if err == nil {
			return p, staged(p, r)
		}
		return nil, err
	}
	unix.Close(fd)
	return nil, err
}

// staged reads from the stage why it could not become the command; the end of
// the pipe says that it did.
func staged(p *os.Process, r *os.File) error {
	var b [16]byte
	n, _ := r.Read(b[:])
	if n == 0 {
		return nil
	}
	_, _ = p.Wait() // it ends by itself
	errno, err := strconv.Atoi(string(b[:n]))
	if err != nil {
		return errors.New("the stage failed")
	}
	return syscall.Errno(errno)
}

// keeper stands between the command and everybody else.
type keeper struct {
	pid int
	// asked: the command was sent a SIGTSTP by us, and so it needs a SIGCONT
	// from us. Otherwise the terminal stopped it, and whoever continues us
	// continues the whole group: resumed is one SIGCONT to keep to ourselves. A
	// second one, late, would undo the next Ctrl-Z (seen in 1 of 4 runs).
	asked, resumed bool
	ended          bool
	result         Result
}

// pass gives the command what was meant for it.
func (k *keeper) pass(sig unix.Signal) {
	switch sig {
	case unix.SIGTTIN, unix.SIGTTOU:
		return // about the terminal and the group; the command has its own
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP:
		k.result.Interrupted = true
	}
	if sig == unix.SIGCONT && k.resumed {
		k.resumed = false
		return
	}
	if !shared(sig) {
		k.asked = sig == unix.SIGTSTP || k.asked && sig != unix.SIGCONT
		// The command has not been waited for, so the number is still its own.
		_ = unix.Kill(k.pid, sig) // it may have changed its user
	}
}

// reap asks what has become of the command. Everything that happens to it happens
// here or in pass, one after the other, so that no signal goes to a number that
// is somebody else's by now.
func (k *keeper) reap() {
	which := k.pid
	if os.Getpid() == 1 {
		which = -1 // orphans are ours to bury
	}
	stopped := false
	for !k.ended {
		var status unix.WaitStatus
		pid, err := unix.Wait4(which, &status, unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid == 0 {
			break
		}
		if pid != k.pid {
			continue
		}
		switch {
		case status.Exited():
			k.ended, k.result.Status = true, status.ExitStatus()
		case status.Signaled():
			k.ended, k.result.Signal, k.result.Status = true, int(status.Signal()), 128+int(status.Signal())
		case status.Continued():
			stopped = false
		case status.Stopped():
			stopped = jobControl(status.StopSignal())
		}
	}
	if stopped && !k.ended {
		// So that the shell sees its job stopped. It continues the whole group.
		k.resumed = !k.asked
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	}
}

// jobControl tells a stop that the shell has to learn of from one that somebody
// does to the command alone and will undo: if we stopped then, nobody would
// continue us.
func jobControl(sig unix.Signal) bool {
	return sig == unix.SIGTSTP || sig == unix.SIGTTIN || sig == unix.SIGTTOU
}

// Stage is what the child does before it becomes the command; args follow
// [StageArg]. It only returns when that fails.
func Stage(args []string) int {
	const usage = 2
	if len(args) == 1 && args[0] == pumpArg {
		return pump()
	}
	if len(args) < 4 || args[2] != "--" {
		return usage
	}
	fd, err := strconv.Atoi(args[0])
	if err != nil {
		return usage
	}
	unix.CloseOnExec(fd)
	env := listenEnv(os.Environ(), os.Getpid())
	path, argv := args[1], args[3:]
	err = unix.Exec(path, argv, env)
	if errors.Is(err, unix.ENOEXEC) {
		err = unix.Exec(shell, script(path, argv), env)
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = unix.EINVAL
	}
	_, _ = unix.Write(fd, []byte(strconv.Itoa(int(errno)))) // who reads it is waiting
	const cannot = 126
	return cannot
}

// listenEnv sets the variables of sd_listen_fds(3) for one descriptor.
func listenEnv(env []string, pid int) []string {
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		env = SetEnv(env, name, "")
	}
	return append(env, "LISTEN_PID="+strconv.Itoa(pid), "LISTEN_FDS=1")
}

func duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// pumpArg makes the stage a pump instead.
const pumpArg = "pump"

// rest passes on what is in the pipe still, as much as one holds. On a busy machine
// the time to linger may be over before it was read, and then a read by way of
// the runtime tells of the time and not of what is there.
func (l *listener) rest() {
	raw, err := l.r.SyscallConn()
	if err != nil || l.r.SetReadDeadline(time.Time{}) != nil {
		return // closed: all has been read
	}
	buf := make([]byte, maxSaid)
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		n, _ = unix.Read(int(fd), buf) // does not block
		return true
	})
	if err == nil && n > 0 {
		l.tail.add(buf[:n])
		_, _ = l.out.Write(buf[:n]) // whoever has stopped listening is no reason to fail
	}
}

// leave goes away from the pipe and lets a process of its own pass on what
// others still have to say.
func (l *listener) leave() {
	if _, err := l.r.Stat(); err != nil {
		return // closed: nobody is left
	}
	defer l.r.Close()
	self, err := self()
	if err != nil {
		return
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer null.Close()
	p, err := os.StartProcess(self, []string{os.Args[0], StageArg, pumpArg}, &os.ProcAttr{
		Files: []*os.File{l.r, l.out, null}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err == nil {
		_ = p.Release()
	}
}

// pump copies descriptor 0 to descriptor 1 until one of them ends.
func pump() int {
	signal.Ignore(unix.SIGHUP)
	if _, err := io.Copy(os.NewFile(1, "stderr of the command"), os.NewFile(0, "pipe")); err != nil {
		return 1
	}
	return 0
}

// self is the file of this program, on Linux also when it was replaced meanwhile.
func self() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// openFile reads what the command writes into a file from the file. A descriptor
// for writing cannot be read, and only Linux opens it a second time.
func (l *listener) openFile(stderr *os.File, size int64) {
	if runtime.GOOS != "linux" {
		return
	}
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(int(stderr.Fd())))
	if err == nil {
		l.file, l.from = f, size
	}
}
