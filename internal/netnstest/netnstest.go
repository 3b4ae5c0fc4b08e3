// Package netnstest gives tests throwaway network namespaces.
//
// A test that opens ports, adds links or writes sysctls does it in a namespace
// of its own, made by [New] and gone when the test ends, so that it can neither
// harm the machine nor be disturbed by it:
//
//	ns := netnstest.New(t)
//	ns.Do(func() {
//		l, err := net.Listen("tcp", "127.0.0.1:80")
//		…
//	})
//
// A namespace belongs to a thread, not to a process. What that means for the
// function that runs inside [NS.Do] is said there; a test that needs a whole
// process inside uses [NS.Command] or [NS.Rerun].
package netnstest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// NoSkip is the environment variable that turns a skipped test into a failed
// one. Continuous integration sets it to 1: there, what a test needs is present,
// and a test that did not run proves nothing.
const NoSkip = "MONBAN_NO_SKIP"

// patience is how long is waited for what is known to come: far more than a machine
// with much else to do ever takes.
const patience = 2 * time.Minute

// Nobody is the user and group id of the unprivileged user "nobody".
const Nobody = 65534

// Skip skips the test, saying what it needs and does not have: "needs root".
// Where [NoSkip] is 1 it fails the test instead.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(NoSkip) == "1" {
		t.Fatalf("skipping is forbidden by %s: %s", NoSkip, fmt.Sprintf(format, args...))
	}
	t.Skipf(format, args...)
}

// Need returns the path of a program, and skips the test where it is not
// installed.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Skip(t, "needs the program %s: %v", program, err)
	}
	return path
}

// NS is a network namespace. It has a loopback interface that is up, with
// 127.0.0.1 and ::1, and no other that is.
type NS struct {
	t testing.TB
	// file is the open namespace. It alone keeps the namespace alive while no
	// thread and no process is inside.
	file *os.File
	// id and host are the names of this namespace and of the one it was made in.
	id, host string
}

// New makes a namespace that lives until the test ends, proven to be another
// one than the test's own. It needs CAP_SYS_ADMIN and skips the test without.
func New(t testing.TB) *NS {
	t.Helper()
	ns, err := create(t)
	if err != nil {
		if unprivileged(err) {
			Skip(t, "needs root on Linux: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.file.Close() })
	if ns.id == ns.host {
		t.Fatalf("a new network namespace is the test's own, %s", ns.host)
	}
	return ns
}

// Name returns what the kernel calls the namespace, "net:[4026532201]".
func (ns *NS) Name() string { return ns.id }

// Path returns a file that stands for the namespace, for setns(2) and
// nsenter(1). It is valid until the test ends, for processes of the same user.
func (ns *NS) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd())
}

// Do runs f on a thread inside the namespace and returns when f does. The thread
// runs nothing else, before or after: it ends with f. f may call t.Fatal.
//
// Only that thread is inside. A goroutine started by f, and a subtest, are not:
// call Do inside them. Sockets that f opens stay in the namespace wherever they
// are used later, and a process that f starts is in it. And beware of the files
// below /proc/net and /proc/self/net, which are those of the process's first
// thread, outside: f has to read /proc/thread-self/net, or the test be run again
// as a whole process inside by [NS.Rerun]. Files below /proc/sys/net do follow
// the thread.
func (ns *NS) Do(f func()) {
	ns.t.Helper()
	var (
		panicked any
		returned bool
	)
	err := onThread(func() error {
		if err := ns.enter(); err != nil {
			return err
		}
		defer func() { panicked = recover() }()
		f()
		returned = true
		return nil
	})
	switch {
	case err != nil:
		ns.t.Fatalf("entering network namespace %s: %v", ns.Name(), err)
	case panicked != nil:
		// The same value, because rapid ends a test case by a panic of its own.
		panic(panicked)
	case !returned:
		runtime.Goexit() // f called t.FailNow or t.SkipNow
	}
}

// onThread runs f on a new thread that ends with f. It never uses the first
// thread of the process: the kernel shows that one's namespace as the
// process's.
func onThread(f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the runtime ends a thread whose goroutine ends locked
		// to it, so that no other goroutine can come to run in the namespace.
		runtime.LockOSThread()
		if isFirstThread() {
			// It is kept busy here, so the next goroutine gets another.
			defer runtime.UnlockOSThread()
			err = onThread(f)
			return
		}
		err = f()
	}()
	<-done
	return err
}

// Command prepares a program to run inside the namespace as the user who runs
// the test. It is killed when the test ends; whoever starts it has to wait for
// it, or leave both to [NS.Start].
func (ns *NS) Command(name string, args ...string) *exec.Cmd {
	return ns.command(nil, name, args)
}

// CommandAs is [NS.Command] for another user and the group of the same number,
// without further groups and without capabilities (unless uid is 0).
func (ns *NS) CommandAs(uid int, name string, args ...string) *exec.Cmd {
	id := strconv.Itoa(uid)
	return ns.command([]string{"--setuid=" + id, "--setgid=" + id}, name, args)
}

// command runs the program by nsenter, which becomes the program by exec: the
// process id is the program's.
func (ns *NS) command(options []string, name string, args []string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		path = name
	}
	args = append(append(append([]string{"--net=" + ns.Path()}, options...), "--", path), args...)
	cmd := exec.CommandContext(ns.t.Context(), "nsenter", args...)
	if err != nil {
		cmd.Err = err
	}
	return cmd
}

// Start starts cmd, which [NS.Command] made, and ends it and waits for it when
// the test ends. The test must not call cmd.Wait.
func (ns *NS) Start(cmd *exec.Cmd) {
	ns.t.Helper()
	if err := cmd.Start(); err != nil {
		ns.t.Fatalf("starting %s: %v", cmd, err)
	}
	ns.t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended by itself
		_ = cmd.Wait()         // its status is that of the kill
	})
}

// Run runs a program inside the namespace and returns what it wrote to standard
// output. It fails the test if the program fails.
func (ns *NS) Run(name string, args ...string) string {
	ns.t.Helper()
	cmd := ns.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		ns.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// SetSysctl writes a kernel parameter of the namespace, such as
// "net.ipv4.ip_local_port_range". A key with an interface name that has a dot in
// it is written with slashes: "net/ipv6/conf/eth0.5/disable_ipv6".
func (ns *NS) SetSysctl(key, value string) {
	ns.t.Helper()
	ns.Do(func() {
		if err := os.WriteFile(sysctlPath(key), []byte(value), 0); err != nil {
			ns.t.Fatal(err)
		}
	})
}

// Sysctl reads a kernel parameter of the namespace.
func (ns *NS) Sysctl(key string) (value string) {
	ns.t.Helper()
	ns.Do(func() {
		text, err := os.ReadFile(sysctlPath(key))
		if err != nil {
			ns.t.Fatal(err)
		}
		value = strings.TrimSpace(string(text))
	})
	return value
}

func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return "/proc/sys/" + key
}

// Connect joins two namespaces by a cable (a veth pair) and takes both its ends
// up. The ends get the given names and no addresses but the link-local ones. It
// returns when packets get through: a kernel thread switches an end on some time
// after the other one is up (net/core/link_watch.c), and until then drops what is
// sent without a word.
func Connect(a *NS, aName string, b *NS, bName string) {
	a.t.Helper()
	a.Run("ip", "link", "add", aName, "type", "veth", "peer", "name", bName, "netns", b.Path())
	a.Run("ip", "link", "set", aName, "up")
	b.Run("ip", "link", "set", bName, "up")
	a.carries(aName)
	b.carries(bName)
}

// carries waits until an interface has a carrier and a queue.
func (ns *NS) carries(device string) {
	ns.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		link := ns.Run("ip", "-oneline", "link", "show", "dev", device)
		if strings.Contains(link, " state UP ") && !strings.Contains(link, " qdisc noop ") {
			return
		}
		if time.Now().After(deadline) {
			ns.t.Fatalf("after %v there is still no carrier: %s", patience, link)
		}
	}
}

// AddAddr gives an interface of the namespace addresses in CIDR form. IPv6
// addresses can be used at once, without duplicate address detection.
func (ns *NS) AddAddr(device string, cidrs ...string) {
	ns.t.Helper()
	for _, cidr := range cidrs {
		args := []string{"address", "add", cidr, "dev", device}
		if strings.Contains(cidr, ":") {
			args = append(args, "nodad")
		}
		ns.Run("ip", args...)
	}
}

// rerunEnv is set in a process that Rerun started.
const rerunEnv = "MONBAN_TEST_RERUN"

// Rerunning reports whether this process was started by [NS.Rerun].
func Rerunning() bool { return os.Getenv(rerunEnv) != "" }

// Rerun runs the test t once more as a process of its own inside the namespace,
// under the given user id and with env added to its environment, and fails t unless
// it passes there:
//
//	func TestAsNobody(t *testing.T) {
//		if !netnstest.Rerunning() {
//			netnstest.New(t).Rerun(t, netnstest.Nobody)
//			return
//		}
//		… runs as nobody, in a namespace of its own
//	}
func (ns *NS) Rerun(t testing.TB, uid int, env ...string) {
	t.Helper()
	// The test binary lies in a directory that other users cannot enter, so the
	// process is given the open file.
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	cmd := ns.CommandAs(uid, "/proc/self/fd/3", "-test.v", "-test.count=1", "-test.run="+exactly(t.Name()))
	cmd.Err = nil // descriptor 3 exists only in the child
	cmd.ExtraFiles = []*os.File{exe}
	cmd.Env = append(os.Environ(), rerunEnv+"=1", "GORACE=atexit_sleep_ms=0") // or it takes a second to end
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Fatalf("%s run again as uid %d: %v\n%s", t.Name(), uid, err, out)
	}
}

// exactly returns the -test.run pattern that matches one test or subtest.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
