package netnstest_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// patience is how long is waited for what is known to come.
const patience = 2 * time.Minute

// inside reads the namespace of the calling thread.
func inside(t testing.TB) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDoIsElsewhere(t *testing.T) {
	host := inside(t)
	a, b := netnstest.New(t), netnstest.New(t)
	if a.Name() == host || b.Name() == host || a.Name() == b.Name() {
		t.Fatalf("namespaces are not distinct: host %s, a %s, b %s", host, a.Name(), b.Name())
	}
	a.Do(func() {
		if got := inside(t); got != a.Name() {
			t.Errorf("Do runs in %s, want %s", got, a.Name())
		}
		b.Do(func() {
			if got := inside(t); got != b.Name() {
				t.Errorf("nested Do runs in %s, want %s", got, b.Name())
			}
		})
		if got := inside(t); got != a.Name() {
			t.Errorf("after a nested Do: in %s, want %s", got, a.Name())
		}
	})
	if got := inside(t); got != host {
		t.Errorf("after Do the test is in %s, want %s", got, host)
	}
}

func TestLoopbackOnly(t *testing.T) {
	ns := netnstest.New(t)
	ns.Do(func() {
		if up := linksUp(t); !slices.Equal(up, []string{"lo"}) {
			t.Fatalf("interfaces %v are up, want only lo", up)
		}
		for _, addr := range []string{"127.0.0.1:80", "[::1]:80"} {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			talk(t, l)
			l.Close()
		}
	})
}

// linksUp names the interfaces that are up. A kernel with tunnel modules puts
// their fallback devices, down, into every new namespace.
func linksUp(t testing.TB) (names []string) {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Flags&net.FlagUp != 0 {
			names = append(names, l.Name)
		}
	}
	return names
}

// talk proves that a connection to l works.
func talk(t testing.TB, l net.Listener) {
	t.Helper()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); string(text) != "hello" || err != nil {
		t.Fatalf("read %q, %v", text, err)
	}
}

// TestHostIsUntouched does inside what a test may do, and compares the host's
// interfaces and one of its parameters before and after. The host is a namespace
// itself, where nobody else has interfaces that come and go.
func TestHostIsUntouched(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, 0)
		return
	}
	before := hostState(t)
	ns := netnstest.New(t)
	const key = "net.ipv4.ip_local_port_range"
	ns.SetSysctl(key, "20000 20100")
	if got := ns.Sysctl(key); got != "20000\t20100" {
		t.Errorf("%s is %q inside", key, got)
	}
	ns.Run("ip", "link", "add", "br0", "type", "bridge")
	ns.AddAddr("br0", "192.0.2.1/24", "2001:db8::1/64")
	if out := ns.Run("ip", "-brief", "address"); !strings.Contains(out, "192.0.2.1/24") || !strings.Contains(out, "2001:db8::1/64") {
		t.Errorf("addresses inside:\n%s", out)
	}
	if after := hostState(t); after != before {
		t.Errorf("the host has changed:\n%s\n---\n%s", before, after)
	}
}

func hostState(t testing.TB) string {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(links, addrs, string(ports))
}

func TestConnect(t *testing.T) {
	a, b := netnstest.New(t), netnstest.New(t)
	netnstest.Connect(a, "eth0", b, "eth0")
	a.AddAddr("eth0", "192.0.2.1/24", "2001:db8::1/64")
	b.AddAddr("eth0", "192.0.2.2/24", "2001:db8::2/64")
	for _, addr := range []string{"192.0.2.2", "2001:db8::2"} {
		var l net.Listener
		b.Do(func() {
			var err error
			l, err = net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), 80).String())
			if err != nil {
				t.Fatal(err)
			}
		})
		a.Do(func() { talk(t, l) })
		l.Close()
	}
}

func TestCommand(t *testing.T) {
	ns := netnstest.New(t)
	if got := strings.TrimSpace(ns.Run("readlink", "/proc/self/ns/net")); got != ns.Name() {
		t.Errorf("a command runs in %s, want %s", got, ns.Name())
	}
	out, err := ns.CommandAs(netnstest.Nobody, "cat", "/proc/self/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("as nobody, status lacks %q:\n%s", want, out)
		}
	}
	out, err = ns.CommandAs(netnstest.Nobody, "readlink", "/proc/self/ns/net").Output()
	if got := strings.TrimSpace(string(out)); got != ns.Name() || err != nil {
		t.Errorf("as nobody in %s, %v, want %s", got, err, ns.Name())
	}
	if err := ns.Command("no-such-program-here").Run(); err == nil {
		t.Error("a missing program runs")
	}
}

// TestStartEnds proves that a started process is gone when its test is.
func TestStartEnds(t *testing.T) {
	var pid int
	t.Run("start", func(t *testing.T) {
		ns := netnstest.New(t)
		cmd := ns.Command("sleep", "300")
		ns.Start(cmd)
		pid = cmd.Process.Pid
		// nsenter needs a moment to become sleep.
		deadline := time.Now().Add(patience)
		for comm(pid) != "sleep" && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if got := comm(pid); got != "sleep" {
			t.Errorf("pid %d is %q, want sleep", pid, got)
		}
	})
	if pid == 0 {
		netnstest.Skip(t, "its subtest was skipped")
	}
	if got := comm(pid); got == "sleep" { // the number may be another's by now
		t.Errorf("pid %d is still %q", pid, got)
	}
}

func comm(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // gone is ""
	return strings.TrimSpace(string(text))
}

func TestRerun(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, netnstest.Nobody)
		return
	}
	if uid := os.Getuid(); uid != netnstest.Nobody {
		t.Errorf("uid %d", uid)
	}
	if up := linksUp(t); !slices.Equal(up, []string{"lo"}) {
		t.Errorf("interfaces %v are up, want only lo", up)
	}
	// The whole process is inside, so what /proc/net shows is the namespace's too.
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if own != inside(t) {
		t.Errorf("the process is in %s, this thread in %s", own, inside(t))
	}
}

func TestRerunFindsFailure(t *testing.T) {
	if netnstest.Rerunning() {
		t.Fatal("on purpose")
	}
	ns := netnstest.New(t)
	inner := &recorder{TB: t}
	inner.run(func() { ns.Rerun(inner, netnstest.Nobody) })
	if !inner.failed || !strings.Contains(inner.text, "on purpose") {
		t.Errorf("a failure inside was not reported: %v %q", inner.failed, inner.text)
	}
}

// TestDoEndsTheTest proves that t.Fatal and t.Skip inside Do end the caller, and
// that a panic reaches it with its own value.
func TestDoEndsTheTest(t *testing.T) {
	ns := netnstest.New(t)
	inner := &recorder{TB: t}
	reached := false
	inner.run(func() {
		ns.Do(func() { inner.Fatalf("stop %d", 1) })
		reached = true
	})
	if !inner.failed || reached {
		t.Errorf("failed %v, code after Do reached %v", inner.failed, reached)
	}
	type own struct{ int }
	defer func() {
		if got := recover(); got != (own{7}) {
			t.Errorf("recovered %v", got)
		}
	}()
	ns.Do(func() { panic(own{7}) })
}

func TestSkip(t *testing.T) {
	for _, test := range []struct {
		env             string
		skipped, failed bool
	}{{"", true, false}, {"1", false, true}} {
		t.Setenv(netnstest.NoSkip, test.env)
		inner := &recorder{TB: t}
		inner.run(func() { netnstest.Skip(inner, "needs %s", "root") })
		if inner.skipped != test.skipped || inner.failed != test.failed || !strings.Contains(inner.text, "needs root") {
			t.Errorf("with %q: skipped %v, failed %v, %q", test.env, inner.skipped, inner.failed, inner.text)
		}
	}
}

// recorder is a testing.TB that notes its end instead of ending the real test.
type recorder struct {
	testing.TB
	failed, skipped bool
	text            string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed, r.text = true, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped, r.text = true, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) run(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	<-done
}

// TestNothingLeaks makes and uses many namespaces at once and then looks for
// them in every thread and every open file of this process.
func TestNothingLeaks(t *testing.T) {
	host := inside(t)
	names := make(map[string]bool)
	t.Run("use", func(t *testing.T) {
		var mu sync.Mutex
		for i := range 20 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				ns := netnstest.New(t)
				for range 20 {
					ns.Do(func() { runtime.Gosched() })
				}
				mu.Lock()
				defer mu.Unlock()
				names[ns.Name()] = true
			})
		}
	})
	if len(names) == 0 {
		netnstest.Skip(t, "its subtests were skipped")
	}
	// A thread ends a moment after its goroutine, also those of the tests before.
	deadline := time.Now().Add(patience)
	for {
		left := append(held(t, names), elsewhere(t, host)...)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d namespaces these are still held, or threads are outside %s: %v", len(names), host, left)
		}
		time.Sleep(time.Millisecond)
	}
}

// elsewhere returns the threads of this process that are not in the namespace.
func elsewhere(t testing.TB, host string) (left []string) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if name, err := os.Readlink(task); err == nil && name != host {
			left = append(left, task+" in "+name)
		}
	}
	return left
}

// held returns the files of this process that keep one of the namespaces alive.
func held(t testing.TB, names map[string]bool) (left []string) {
	t.Helper()
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if name, err := os.Readlink(path); err == nil && names[name] {
				left = append(left, path)
			}
		}
	}
	return left
}

func BenchmarkDo(b *testing.B) {
	ns := netnstest.New(b)
	for b.Loop() {
		ns.Do(func() {})
	}
}
