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

	"github.com/monban-dev/monban/internal/netnstest"
)

// runIn runs a command line on a thread in a namespace; it must end with a code.
func runIn(t *testing.T, ns *netnstest.NS, code int, args ...string) (out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ns.Do(func() {
		sys := System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
		if got := Run(context.Background(), sys, args); got != code {
			t.Fatalf("monban %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, stderr.String())
		}
	})
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
// the programs that read those forms judge.
func TestScanForms(t *testing.T) {
	ndiff := netnstest.Need(t, "ndiff")
	ns := netnstest.New(t)
	var l net.Listener
	ns.Do(func() {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:7070"); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write([]byte("SSH-2.0-OpenSSH_9.2p1 <&\"'\x1b]0;x\x07\r\n"))
				c.Close()
			}
		}()
	})
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before, _ := runIn(t, ns, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--json")
	validate(t, before)
	first, _ := runIn(t, ns, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--identify", "--format", "nmap-xml")
	lines, _ := runIn(t, ns, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--format", "jsonl")
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
	second, _ := runIn(t, ns, 0, "scan", "127.0.0.1", "-p", "7000-7100", "--format", "nmap-xml")
	// ndiff ends with 0 for the same, and 1 for a difference.
	a, b := write("a.xml", first), write("b.xml", second)
	if out, err := exec.Command(ndiff, a, a).CombinedOutput(); err != nil {
		t.Errorf("ndiff of one scan with itself: %v\n%s\n%s", err, out, first)
	}
	out, err := exec.Command(ndiff, a, b).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "7070/tcp") {
		t.Errorf("ndiff of two scans: %v\n%s", err, out)
	}
	diff, _ := runIn(t, ns, 0, "scan", "127.0.0.1", "-p", "7000-7080", "--diff", write("old.json", before), "--json")
	validate(t, diff)
	if !strings.Contains(diff, `"opened":[],"closed":[{"target":"127.0.0.1","proto":"tcp","port":7070,"state":"closed"}]`) {
		t.Errorf("diff: %s", diff)
	}
	// Doors that were not asked this time have not closed.
	diff, _ = runIn(t, ns, 0, "scan", "127.0.0.1", "-p", "7000-7060", "--diff", filepath.Join(dir, "old.json"), "--json")
	if !strings.Contains(diff, `"opened":[],"closed":[]`) {
		t.Errorf("diff of other doors: %s", diff)
	}
}
