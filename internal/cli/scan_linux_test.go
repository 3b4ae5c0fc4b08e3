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
