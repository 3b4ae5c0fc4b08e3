package owners

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/owners/internal/bpfiter"
)

// helperMode is the environment variable that turns this binary into one of the
// helpers below: real processes for the tests to look at.
const helperMode = "MONBAN_OWNERS_HELPER"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(helperMode); mode {
	case "":
		os.Exit(m.Run())
	default:
		if err := help(mode, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, mode, err)
			os.Exit(1)
		}
	}
}

// help is a helper process. It says on standard output what it has done, a line
// of words, and ends when its standard input does.
func help(mode string, args []string) error {
	switch mode {
	case "hold": // what it inherited
		fmt.Println("holds")
	case "secret": // a listener of a process that nobody may look into
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return err
		}
		l, inode, err := listenOne("127.0.0.1:0")
		if err != nil {
			return err
		}
		kept = append(kept, l)
		fmt.Println(inode)
	case "listen": // as many sockets as the argument says
		count := 1
		if len(args) > 0 {
			count, _ = strconv.Atoi(args[0])
		}
		inodes, err := listenMany(count)
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(inodes, " "))
	case "scatter": // a socket with a number far from the others
		l, inode, err := listenOne("127.0.0.1:0")
		if err != nil {
			return err
		}
		file, err := l.File()
		if err != nil {
			return err
		}
		at, _ := strconv.Atoi(args[0])
		if err := unix.Dup3(int(file.Fd()), at, unix.O_CLOEXEC); err != nil {
			return err
		}
		file.Close()
		l.Close()
		fmt.Println(inode)
	case "serve": // a socket shared with two workers
		l, inode, err := listenOne("127.0.0.1:0")
		if err != nil {
			return err
		}
		file, err := l.File()
		if err != nil {
			return err
		}
		line := inode
		for range 2 {
			worker, err := startHelper("hold", []*os.File{file}, nil, os.Stdin)
			if err != nil {
				return err
			}
			line += " " + strconv.Itoa(worker.Process.Pid)
		}
		fmt.Println(line)
	case "shell": // leads a session, starts a listener in it, and goes
		job, err := startHelper("listen", nil, func(c *exec.Cmd) {
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: args[0] == "job"}
			c.Stdout = os.Stdout
		}, os.Stdin)
		if err != nil {
			return err
		}
		fmt.Println(job.Process.Pid)
		return nil
	case "storm": // an address and a port, which its command line tells, for a moment
		l, _, err := listenOne(args[0])
		if err != nil {
			return err
		}
		defer l.Close()
		fmt.Println("listens")
		_, err = os.Stdin.Read(make([]byte, 1))
		return ignoreEOF(err)
	case "unix": // listens on a unix socket and says who comes
		l, err := net.Listen("unix", args[0])
		if err != nil {
			return err
		}
		if len(args) > 1 { // as a service manager, that has started the daemon
			file, err := l.(*net.UnixListener).File()
			if err != nil {
				return err
			}
			if _, err := startHelper("engine", []*os.File{file}, func(c *exec.Cmd) { c.Path = args[1] }, os.Stdin); err != nil {
				return err
			}
			fmt.Println("listens")
			break
		}
		fmt.Println("listens")
		go func() {
			for count := 1; ; count++ {
				c, err := l.Accept()
				if err != nil {
					return
				}
				who, _ := io.ReadAll(io.LimitReader(c, 4)) // whatever came is shown
				fmt.Println(count, string(who))
				c.Close()
			}
		}()
	case "engine": // a daemon on the socket it inherited
		l, err := net.FileListener(os.NewFile(3, "socket"))
		if err != nil {
			return err
		}
		go serveEngine(l, head+answerOf)
	case "ask": // asks an engine, and says what the gaps are
		_, gaps := askAll(context.Background(), []engine{{"docker", args[0], os.Geteuid()}}, awake)()
		return json.NewEncoder(os.Stdout).Encode(gaps)
	case "nest": // in a process namespace of its own, who holds its socket
		if err := mountProc(); err != nil {
			return err
		}
		l, inode, err := listenOne("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		n, err := strconv.ParseUint(inode, 10, 64)
		if err != nil {
			return err
		}
		it, err := bpfiter.Open()
		if err != nil {
			return err
		}
		defer it.Close()
		list, err := it.Sockets(func(inode uint64) bool { return inode == n })
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(list)
	case "thread": // a thread with a file table of its own holds the socket
		return holdInThread()
	case "name": // says who is behind the inodes, as JSON
		if len(args) > 0 && args[0] == "mount" {
			args = args[1:]
			if err := mountProc(); err != nil {
				return err
			}
		}
		var view view
		var o Options
		if len(args) > 0 && args[0] == "many" {
			args, o.many = args[1:], 1
		}
		for _, arg := range args {
			inode, err := strconv.ParseUint(arg, 10, 64)
			if err != nil {
				return err
			}
			view.Doors = append(view.Doors, monban.Door{Inode: inode, State: monban.Listen,
				Bind: monban.Bind{Port: monban.Port{Proto: monban.TCP}}})
		}
		view.Gaps = Name(context.Background(), view.Doors, o)
		return json.NewEncoder(os.Stdout).Encode(view)
	default:
		return fmt.Errorf("unknown mode")
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// serveEngine gives everybody who asks the same answer.
func serveEngine(l net.Listener, answer string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				io.WriteString(c, answer) // who asked may be gone
			}
		}()
	}
}

// view is what the helper "name" prints.
type view struct {
	Doors []monban.Door
	Gaps  []monban.Gap
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// mountProc makes /proc show the process namespace the helper is in.
func mountProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// holdInThread opens a listener that only one thread of the process holds.
func holdInThread() error {
	failed := make(chan error)
	var hold func()
	hold = func() {
		runtime.LockOSThread() // the thread is never given back
		if unix.Gettid() == os.Getpid() {
			// The first thread is the one that the process shows. It is kept
			// busy here, so the next goroutine gets another.
			go hold()
			select {}
		}
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			failed <- err
			return
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		}
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		var st unix.Stat_t
		if err == nil {
			err = unix.Fstat(fd, &st)
		}
		if err != nil {
			failed <- err
			return
		}
		line := strconv.FormatUint(st.Ino, 10) + "\n"
		if _, err := unix.Write(1, []byte(line)); err != nil {
			failed <- err
			return
		}
		_, err = unix.Read(0, make([]byte, 1)) // until the end
		failed <- err
	}
	go hold()
	return <-failed
}

// listenOne opens a TCP listener and returns its inode.
func listenOne(addr string) (*net.TCPListener, string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", err
	}
	tcp := l.(*net.TCPListener)
	inode, err := inodeOf(tcp)
	return tcp, strconv.FormatUint(inode, 10), err
}

func listenMany(count int) ([]string, error) {
	var inodes []string
	for range count {
		l, inode, err := listenOne("127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		kept = append(kept, l)
		inodes = append(inodes, inode)
	}
	return inodes, nil
}

// kept keeps the helper's listeners from being collected.
var kept []*net.TCPListener

func inodeOf(c syscall.Conn) (inode uint64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if e := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); e != nil {
		return 0, e
	}
	return st.Ino, err
}

// startHelper starts this binary as a helper.
func startHelper(mode string, files []*os.File, set func(*exec.Cmd), stdin *os.File, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = mode
	cmd.Env = append(os.Environ(), helperMode+"="+mode, "GOCOVERDIR="+os.TempDir(),
		"GORACE=atexit_sleep_ms=0") // or each helper takes a second to end
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	if stdin != nil {
		cmd.Stdin = stdin
	}
	if set != nil {
		set(cmd)
	}
	return cmd, cmd.Start()
}

// helper is a running helper of a test.
type helper struct {
	t    testing.TB
	cmd  *exec.Cmd
	pid  int
	out  *bufio.Reader
	stop func()
}

// start starts a helper that ends with the test.
func start(t testing.TB, mode string, set func(*exec.Cmd), args ...string) *helper {
	t.Helper()
	stdin, stdinWriter, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stdoutWriter, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := startHelper(mode, nil, func(c *exec.Cmd) {
		c.Stdout = stdoutWriter
		if set != nil {
			set(c)
		}
	}, stdin, args...)
	stdin.Close()
	stdoutWriter.Close()
	if err != nil {
		t.Fatal(err)
	}
	h := &helper{t: t, cmd: cmd, pid: cmd.Process.Pid, out: bufio.NewReader(stdout)}
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		stdinWriter.Close()
		cmd.Wait() // a helper that was meant to fail says so on standard error
		stdout.Close()
	}
	t.Cleanup(h.stop)
	return h
}

// words returns the next line that the helper says.
func (h *helper) words() []string {
	h.t.Helper()
	line, err := h.out.ReadString('\n')
	if err != nil {
		h.t.Fatalf("the helper said nothing more: %q, %v", line, err)
	}
	return strings.Fields(line)
}

// inode returns the next line as the inode of a socket.
func (h *helper) inode() uint64 {
	h.t.Helper()
	return number(h.t, h.words()[0])
}

func number(t testing.TB, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// nameOne is Name for one door.
func nameOne(t testing.TB, inode uint64) monban.Door {
	t.Helper()
	doors := []monban.Door{{Inode: inode, State: monban.Listen}}
	Name(t.Context(), doors, Options{})
	return doors[0]
}

// sole returns the only owner of a door.
func sole(t testing.TB, inode uint64) monban.Owner {
	t.Helper()
	d := nameOne(t, inode)
	if len(d.Owners) != 1 {
		t.Fatalf("%d owners, want 1: %+v (%v)", len(d.Owners), d.Owners, d.Unnamed)
	}
	return d.Owners[0]
}

// copySelf copies this binary to dir/name, for everybody to run.
func copySelf(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	// The directories above a test's own are closed to other users.
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
