package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netnstest"
)

// More capabilities by their bits, and what the steps of verbs need together.
const (
	netAdmin  = 1 << 12
	surveying = looking | 1<<10 | 1<<13 | 1<<21           // CAP_NET_BIND_SERVICE, NET_RAW, SYS_ADMIN
	changing  = writing | 1<<0 | 1<<4 | 1<<21 | 1<<31     // CAP_CHOWN, FSETID, SYS_ADMIN, SETFCAP
	stopping  = surveying | 1<<5 | 1<<1                   // CAP_KILL, DAC_OVERRIDE
	running   = surveying | 1<<5 | writing                // CAP_KILL
	moving    = surveying | changing                      //
	rights    = surveying | changing | 1<<5 | 1<<6 | 1<<7 // all that are looked for
)

// dam is an output that nobody reads: who writes to it waits.
type dam struct{ r, w *os.File }

func newDam(t *testing.T) *dam {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	fd := int(w.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for _, err := unix.Write(fd, make([]byte, 4096)); err == nil; _, err = unix.Write(fd, make([]byte, 1)) {
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return &dam{r, w}
}

// open lets everything through, and returns what came after the filling.
func (d *dam) open() string {
	d.w.Close()
	text, _ := io.ReadAll(d.r)
	return string(bytes.Trim(text, "\x00"))
}

// silentDNS is a name server that answers only while nobody holds its tongue.
type silentDNS struct {
	tongue sync.RWMutex
	asked  chan struct{}
}

func newSilentDNS(t *testing.T, r *room) *silentDNS {
	t.Helper()
	r.run("mount", "--bind", r.file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:60\n"), "/etc/resolv.conf")
	r.run("mount", "--bind", r.file("nsswitch.conf", "hosts: files dns\n"), "/etc/nsswitch.conf")
	d := &silentDNS{asked: make(chan struct{}, 1)}
	r.ns.Do(func() {
		c, err := net.ListenPacket("udp4", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go d.serve(c)
	})
	return d
}

func (d *silentDNS) serve(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		question := bytes.Clone(buf[:n])
		go func() {
			select {
			case d.asked <- struct{}{}:
			default:
			}
			d.tongue.RLock()
			defer d.tongue.RUnlock()
			end := 12 + bytes.IndexByte(question[12:], 0) + 5
			reply := question[:end:end]
			copy(reply[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
			if reply[end-3] == 1 { // A
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 9)
			}
			c.WriteTo(reply, from)
		}()
	}
}

// wantRights waits until a process has these of all capabilities in all threads
// together.
func wantRights(t *testing.T, when string, pid int, want uint64, forGood bool, ended <-chan error) {
	t.Helper()
	all, _ := capabilitiesOf(t, os.Getpid())
	want &= all.permitted
	var got capabilities
	for deadline := time.Now().Add(enough); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got, _ = capabilitiesOf(t, pid); got.permitted == want && got.effective == want && got.ambient == 0 && got.noNewPrivs == forGood {
			return
		}
		select {
		case err := <-ended:
			t.Errorf("%s: it ended first: %v", when, err)
			return
		default:
		}
	}
	t.Errorf("%s: capabilities are %x, effective %x, no new ones %v; want %x, %v", when, got.permitted, got.effective, got.noNewPrivs, want, forGood)
}

// TestGuardGivesUp stops each verb of guard, and of others that change nothing, where
// it asks a name server about a name of the policy file, and where it writes its
// answer: what it has then is what it still needs, in every thread. And it works.
func TestGuardGivesUp(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	dns := newSilentDNS(t, g.room)
	needRights(t)
	const policyText = "monban: 1\ndoors:\n  - {port: 22, to: any}\n  - {port: 80, to: \"name:somebody.example\"}\n"
	file := g.file("monban.yaml", policyText)
	const unasked = 1 << 63
	for _, test := range []struct {
		args  []string
		asks  uint64 // what is left while a name is asked for; unasked: none is
		code  int
		wants string
	}{
		{[]string{"guard", "import"}, unasked, 0, "port: 443/tcp"},
		{[]string{"guard", "plan", "-f", file}, 0, 1, "198.51.100.9"},
		{[]string{"guard", "open", "443", "--to", "any", "-f", file}, 0, 0, "was changed"},
		{[]string{"guard", "close", "443", "-f", file}, 0, 0, ""},
		{[]string{"guard", "apply", "--yes", "--timeout", "1h", "-f", file}, netAdmin, 0, "On trial"},
		{[]string{"guard", "rollback"}, unasked, 0, ""},
		{[]string{"guard", "apply", "--yes", "--timeout", "1h", "-f", file}, netAdmin, 0, "On trial"},
		{[]string{"guard", "confirm"}, unasked, 0, "Confirmed"},
		{[]string{"guard", "status"}, unasked, 0, ""},
		{[]string{"guard", "apply", "--saved"}, unasked, 0, ""},
		{[]string{"audit"}, unasked, 0, "Rules are kept by: monban"},
		{[]string{"guard", "off", "--yes"}, unasked, 0, "No rule"},
		{[]string{"free", "9", "--dry-run"}, unasked, 0, ""},
		{[]string{"move", "status"}, unasked, 0, ""},
	} {
		name := strings.Join(test.args, " ")
		dns.tongue.Lock()
		cmd := g.command("root", program(t, "monban-static"), test.args...)
		cmd.Env = append(cmd.Env, "SSH_CONNECTION=")
		out := newDam(t)
		var errs strings.Builder
		cmd.Stdout, cmd.Stderr = out.w, &errs
		ended := startEnding(t, cmd)
		if test.asks != unasked {
			select {
			case <-dns.asked:
			case err := <-ended:
				t.Fatalf("%s ended without asking: %v\n%s", name, err, errs.String())
			}
			wantRights(t, name+" asks for a name", cmd.Process.Pid, test.asks, true, ended)
		}
		dns.tongue.Unlock()
		wantRights(t, name+" answers", cmd.Process.Pid, 0, true, ended)
		text := out.open()
		<-ended
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(text, test.wants) || errs.Len() > 0 {
			t.Errorf("%s: status %d, want %d and %q\n%s%s", name, code, test.code, test.wants, text, errs.String())
		}
		select {
		case <-dns.asked: // for the other family, or again
		default:
		}
	}
}

// needRights skips the test for a root without the capabilities that it is about.
func needRights(t *testing.T) {
	t.Helper()
	if all, _ := capabilitiesOf(t, os.Getpid()); all.permitted&rights != rights {
		netnstest.Skip(t, "needs a root with its capabilities")
	}
}

// TestChangesGiveUp looks at the verbs that change something, at work: what they have
// left is less than root has; what they execute has all that root has.
func TestChangesGiveUp(t *testing.T) {
	t.Parallel()
	needRights(t)
	all, _ := capabilitiesOf(t, os.Getpid())
	t.Run("free", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, false)
		r.start("nobody", "stubborn", "tcp:127.0.0.1:7070")
		cmd := r.command("root", program(t, "monban-static"), "free", "7070", "--yes", "--json", "--grace", "15s")
		out := newDam(t)
		cmd.Stdout = out.w
		ended := startEnding(t, cmd)
		wantRights(t, "while a program is asked to end", cmd.Process.Pid, stopping, false, ended)
		wantRights(t, "at the answer", cmd.Process.Pid, 0, true, ended)
		text := out.open()
		if err := <-ended; err != nil || len(r.missing([]string{"tcp 7070"})) == 0 {
			t.Errorf("%v\n%s", err, text)
		}
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, false)
		file := filepath.Join(r.dir, "status")
		cmd := r.command("root", "env", "HOME="+r.subdir("home", "root"), program(t, "monban-static"), "run", "--", "sh", "-c", "cat /proc/self/status >"+file+".new; mv "+file+".new "+file+"; read line")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		ended := startEnding(t, cmd)
		eventually(t, "the command runs", func() bool { _, err := os.Stat(file); return err == nil })
		wantRights(t, "while the command runs", cmd.Process.Pid, running, false, ended)
		if got := statusFile(t, file); got.effective != all.effective {
			t.Errorf("the command has %x, root has %x", got.effective, all.effective)
		}
		in.Close()
		<-ended
	})
	t.Run("move", func(t *testing.T) {
		t.Parallel()
		r := newSSHRoom(t, nil, "127.0.0.1")
		for _, args := range [][]string{{"ssh", newText, "--yes", "--timeout", "1h"}, {"confirm", "--same-session"}} {
			here, child := filepath.Join(r.dir, "here"), filepath.Join(r.dir, "child")
			r.interrupted(0, 2, fmt.Sprintf("cat /proc/$1/task/*/status >%s; cat /proc/self/status >%s", here, child), args...)
			if got := statusFile(t, here); got.permitted != moving&all.permitted || got.effective != got.permitted {
				t.Errorf("%s has %x, want %x", args[0], got.permitted, moving&all.permitted)
			}
			if got := statusFile(t, child); got.effective != all.effective {
				t.Errorf("what %s executes has %x, root has %x", args[0], got.effective, all.effective)
			}
		}
		r.want("moved", false, true)
	})
	t.Run("fix", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, false)
		project := r.subdir("project", "nobody")
		file := filepath.Join(project, "compose.yaml")
		if err := os.WriteFile(file, []byte("services:\n  web:\n    image: web\n    ports: [\"8080:80\"]\n  api:\n    image: api\n    ports: [\"8080:80\"]\n"), 0o640); err != nil {
			t.Fatal(err)
		}
		r.run("chown", "65534:65534", file)
		cmd := r.command("root", "env", "--chdir="+project, "HOME="+r.subdir("home", "root"), program(t, "monban-static"), "fix", "--yes", "--json")
		out := newDam(t)
		cmd.Stdout = out.w
		ended := startEnding(t, cmd)
		wantRights(t, "at the answer", cmd.Process.Pid, 0, true, ended)
		text := out.open()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if got := strings.TrimSpace(r.run("stat", "-c", "%u:%g %a", file)); got != "65534:65534 640" {
			t.Errorf("the file is now %s\n%s", got, text)
		}
	})
}

// startEnding starts a program and says on the channel how it ended.
func startEnding(t *testing.T, cmd *exec.Cmd) <-chan error {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended
}

// statusFile reads the capabilities of one or more saved /proc/PID/status.
func statusFile(t *testing.T, path string) (c capabilities) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.add(string(text))
	return c
}
