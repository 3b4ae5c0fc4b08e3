package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netnstest"
)

// runIn runs a command line on a thread in a namespace; it must end with a code.
func runIn(t *testing.T, ns *netnstest.NS, code int, args ...string) (out, errs string) {
	t.Helper()
	ns.Do(func() { out, errs = runHere(t, code, args...) })
	return out, errs
}

// runHere runs a command line on whatever thread comes; it must end with a code.
func runHere(t *testing.T, code int, args ...string) (out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	sys := System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	if got := Run(context.Background(), sys, args); got != code {
		t.Fatalf("monban %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, stderr.String())
	}
	return stdout.String(), stderr.String()
}

// TestScanFailOn wants a risky service told of by evidence, one that only its number
// suggests told of as that, and the exit code that was asked for. It runs as a
// process of its own inside, because the doors are talked to from many threads.
func TestScanFailOn(t *testing.T) {
	if !netnstest.Rerunning() {
		redis := netnstest.Need(t, "redis-server")
		near, far := netnstest.New(t), netnstest.New(t)
		netnstest.Connect(near, "near", far, "far")
		near.AddAddr("near", "10.76.0.1/24")
		far.AddAddr("far", "10.76.0.2/24")
		far.Do(func() {
			l, err := net.Listen("tcp", "10.76.0.2:27017")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
					c.Close()
				}
			}()
		})
		far.Start(far.Command(redis, "--bind", "10.76.0.2", "--protected-mode", "no", "--save", "", "--dir", t.TempDir()))
		for until := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
			if out, _ := runIn(t, near, 0, "scan", "10.76.0.2", "-p", "6379", "--json"); strings.Contains(out, `"state":"open"`) {
				break
			}
			if time.Now().After(until) {
				t.Fatal("redis-server does not answer")
			}
		}
		near.Rerun(t, 0)
		return
	}
	scan := func(code int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		sys := System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
		if got := Run(context.Background(), sys, append([]string{"scan", "10.76.0.2"}, args...)); got != code {
			t.Errorf("monban scan %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout.String(), stderr.String())
		}
		return stdout.String()
	}
	out := scan(0, "-p", "6379", "--json")
	validate(t, out)
	if !strings.Contains(out, `"kind":"answering-service","severity":"medium","proto":"tcp","address":"10.76.0.2","port":6379`) {
		t.Errorf("by its number alone: %s", out)
	}
	scan(1, "-p", "6379", "--fail-on", "medium")
	scan(0, "-p", "6379", "--fail-on", "high")
	scan(2, "-p", "6379", "--fail-on", "bad")
	out = scan(1, "-p", "6379", "--identify", "--fail-on", "high", "--json")
	validate(t, out)
	if !strings.Contains(out, `"kind":"answering-service","severity":"high"`) || !strings.Contains(out, `"why":"Redis answers at 10.76.0.2 on port 6379/tcp.`) {
		t.Errorf("identified: %s", out)
	}
	if text := scan(0, "-p", "6379", "--identify", "--lang", "ja"); !strings.Contains(text, "Redis が応答しています") {
		t.Errorf("text: %s", text)
	}
	// Another service at a number that is known for one is not that one.
	out = scan(0, "-p", "27017", "--identify", "--fail-on", "medium", "--json")
	if !strings.Contains(out, `"protocol":"ssh"`) || strings.Contains(out, "MongoDB") {
		t.Errorf("ssh at MongoDB's number: %s", out)
	}
	if strings.Contains(out, "usually") || !strings.Contains(out, "seems to be") {
		t.Errorf("a banner is told of as a number: %s", out)
	}
	if text := scan(0, "-p", "27017", "--identify"); !strings.Contains(text, "what it seems to be") || strings.Contains(text, "numbers are known for") {
		t.Errorf("a banner is told of as a number: %s", text)
	}
	// A door that was not open before.
	at := strings.Index(out, `"sightings":[{`)
	end := strings.Index(out, `"counts":`)
	if at < 0 || end < at {
		t.Fatalf("no sighting: %s", out)
	}
	old := filepath.Join(t.TempDir(), "old.json")
	if err := os.WriteFile(old, []byte(out[:at]+`"sightings":[],`+out[end:]), 0o600); err != nil {
		t.Fatal(err)
	}
	out = scan(1, "-p", "27017", "--identify", "--diff", old, "--fail-on", "medium", "--json")
	validate(t, out)
	if !strings.Contains(out, `"kind":"opened-door"`) {
		t.Errorf("opened: %s", out)
	}
}

// TestScanForms scans a namespace's loopback in every form of output, and lets
// the programs that read those forms judge. It runs as a process of its own inside,
// because the doors are talked to from many threads.
func TestScanForms(t *testing.T) {
	ndiff, nft := netnstest.Need(t, "ndiff"), netnstest.Need(t, "nft")
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, 0)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:7070")
	if err != nil {
		t.Fatal(err)
	}
	talked := make(chan struct{}, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talked <- struct{}{}
			c.Write([]byte("SSH-2.0-OpenSSH_9.2<&\"'\r\n"))
			c.Close()
		}
	}()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before, _ := runHere(t, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--json")
	validate(t, before)
	first, _ := runHere(t, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--identify", "--format", "nmap-xml")
	if len(talked) == 0 || !strings.Contains(first, `<service name="ssh" product="OpenSSH" version="9.2"`) {
		t.Errorf("%d talks, and what they told: %s", len(talked), first)
	}
	lines, _ := runHere(t, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--format", "jsonl")
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var v struct {
			Type string `json:"type"`
			Port int    `json:"port"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type != "end" && (v.Type != "sighting" || v.Port != 7070) {
			t.Errorf("line %q: %v", line, err)
		}
	}
	l.Close()
	second, _ := runHere(t, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--format", "nmap-xml")
	// ndiff ends with 0 for the same, and 1 for a difference.
	a, b := write("a.xml", first), write("b.xml", second)
	if out, err := exec.Command(ndiff, a, a).CombinedOutput(); err != nil {
		t.Errorf("ndiff of one scan with itself: %v\n%s\n%s", err, out, first)
	}
	out, err := exec.Command(ndiff, a, b).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "7070/tcp") {
		t.Errorf("ndiff of two scans: %v\n%s", err, out)
	}
	diff, _ := runHere(t, 0, "scan", "127.0.0.1", "-p", "7000-7080", "--diff", write("old.json", before), "--json")
	validate(t, diff)
	if !strings.Contains(diff, `"opened":[],"closed":[{"target":"127.0.0.1","proto":"tcp","port":7070,"state":"closed"}]`) {
		t.Errorf("diff: %s", diff)
	}
	// Doors that were not asked this time have not closed.
	diff, _ = runHere(t, 0, "scan", "127.0.0.1", "-p", "7000-7060", "--diff", filepath.Join(dir, "old.json"), "--json")
	if !strings.Contains(diff, `"opened":[],"closed":[]`) {
		t.Errorf("diff of other doors: %s", diff)
	}
	// Neither have those that say nothing at all now, nor is a scan that did not end
	// the measure of another one.
	rules := write("rules.nft", "table inet t {\nchain in { type filter hook input priority 0; tcp dport 7000-7100 drop; }\n}\n")
	if out, err := exec.Command(nft, "-f", rules).CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	diff, _ = runHere(t, 0, "scan", "127.0.0.1", "-p", "7060-7080", "--diff", filepath.Join(dir, "old.json"), "--json")
	validate(t, diff)
	if !strings.Contains(diff, `"opened":[],"closed":[],"undecided":[{"target":"127.0.0.1","proto":"tcp","port":7070,"state":"unknown"}]`) {
		t.Errorf("diff of silence: %s", diff)
	}
	lines, _ = runHere(t, 0, "scan", "127.0.0.1", "-p", "7060-7080", "--diff", filepath.Join(dir, "old.json"), "--format", "jsonl")
	if !strings.Contains(lines, `"undecided":[{"target":"127.0.0.1","proto":"tcp","port":7070,"state":"unknown"}]`) {
		t.Errorf("diff in lines: %s", lines)
	}
	if text, _ := runHere(t, 0, "scan", "127.0.0.1", "-p", "7060-7080", "--diff", filepath.Join(dir, "old.json")); !strings.Contains(text, "undecided 127.0.0.1:7070/tcp") {
		t.Errorf("diff in words: %s", text)
	}
	// A link-local address is the target that it was before by its zone, too.
	if out, err := exec.Command("ip", "address", "add", "fe80::77/64", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s", err, out)
	}
	before, _ = runHere(t, 0, "scan", "fe80::77%lo", "-p", "6000-6002", "--json")
	opened := strings.Replace(before, `"sightings":[]`, `"sightings":[{"target":"fe80::77%lo","proto":"tcp","port":6001,"state":"open"}]`, 1)
	diff, _ = runHere(t, 0, "scan", "fe80::77%lo", "-p", "6000-6002", "--diff", write("zone.json", opened), "--json")
	if !strings.Contains(diff, `"closed":[{"target":"fe80::77%lo","proto":"tcp","port":6001,"state":"closed"}]`) {
		t.Errorf("diff of a zone: %s", diff)
	}
	broken := write("broken.json", strings.Replace(before, `"interrupted":false`, `"interrupted":true`, 1))
	if _, errs := runHere(t, 2, "scan", "127.0.0.1", "-p", "7000-7080", "--diff", broken); !strings.Contains(errs, "was interrupted") {
		t.Errorf("diff with a scan that did not end: %s", errs)
	}
	runHere(t, 2, "scan", "127.0.0.1", "--diff", filepath.Join(dir, "old.json"), "--format", "nmap-xml")
}

// TestScanInterrupted breaks a scan off where no file can be left: what is known
// has to be shown all the same.
func TestScanInterrupted(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, 0)
		return
	}
	t.Chdir("/proc") // even root cannot make files there
	l, err := net.Listen("tcp", "127.0.0.1:70")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var stdout, stderr bytes.Buffer
	sys := System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	sys.Stdout = &watch{&stdout, stop}
	if got := Run(ctx, sys, []string{"scan", "127.0.0.1", "--rate", "2000", "--format", "jsonl"}); got != 4 {
		t.Errorf("exit %d, want 4", got)
	}
	text := stdout.String()
	if !strings.Contains(text, `"port":70,"state":"open"`) || !strings.Contains(text, `"interrupted":true`) || !strings.Contains(text, `"from":"127.0.0.1"`) {
		t.Errorf("what was known: %s", text)
	}
	if !strings.Contains(stderr.String(), "monban-scan-") {
		t.Errorf("what went wrong: %s", stderr.String())
	}
}

// watch calls stop when anything is written.
type watch struct {
	*bytes.Buffer
	stop func()
}

func (w *watch) Write(b []byte) (int, error) {
	w.stop()
	return w.Buffer.Write(b)
}

// TestProgressWidth: progress fits the terminal that stderr is, whatever stdout is, and
// also after that was resized.
func TestProgressWidth(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	a := &app{sys: System{Stderr: terminal}}
	for _, width := range []int{132, 40} {
		if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(width)}); err != nil {
			t.Fatal(err)
		}
		if got := a.stderrWidth(); got != width {
			t.Errorf("%d columns, want %d", got, width)
		}
	}
}
