package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// capabilities are those of a process: what all its threads have together.
type capabilities struct {
	permitted, effective, inheritable, ambient uint64
	noNewPrivs                                 bool
}

func capabilitiesOf(t *testing.T, pid int) (c capabilities, threads int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	c.noNewPrivs = len(files) > 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		threads++
		c.add(string(text))
	}
	return c, threads
}

// add adds what a thread has by its /proc/PID/status.
func (c *capabilities) add(status string) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		n, _ := strconv.ParseUint(value, 16, 64)
		switch name {
		case "CapPrm":
			c.permitted |= n
		case "CapEff":
			c.effective |= n
		case "CapInh":
			c.inheritable |= n
		case "CapAmb":
			c.ambient |= n
		case "NoNewPrivs":
			c.noNewPrivs = c.noNewPrivs && value == "1"
		}
	}
}

// Capabilities by their bits (capabilities(7)).
const (
	writing = 1<<1 | 1<<3                          // CAP_DAC_OVERRIDE, CAP_FOWNER
	prompt  = 1 << 23                              // CAP_SYS_NICE
	looking = 1<<2 | 1<<12 | 1<<19 | 1<<38 | 1<<39 // CAP_DAC_READ_SEARCH, NET_ADMIN, SYS_PTRACE, PERFMON, BPF
)

// TestScanGivesUp looks at a root's scan that goes on: of its capabilities those are
// left that a later step needs, in every thread, and that step then works. The raw
// engine, AF_XDP, connections and UDP; another machine and this one; and a directory
// that is not root's, where the state of a broken off scan is left.
func TestScanGivesUp(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	far := netnstest.New(t)
	netnstest.Connect(r.ns, "eth0", far, "eth0")
	r.ns.AddAddr("eth0", "10.77.0.1/24")
	far.AddAddr("eth0", "10.77.0.2/24")
	far.Run("nft", "add table ip f; add chain ip f in { type filter hook input priority 0; }; add rule ip f in tcp dport != 22 drop; add rule ip f in udp dport 1-65535 drop")
	echo(t, far, "tcp", "10.77.0.2:22")
	r.start("nobody", "serve", "tcp:127.0.0.1:7070")
	all, _ := capabilitiesOf(t, os.Getpid())
	if want := uint64(looking | writing | 1<<13); all.permitted&want != want {
		netnstest.Skip(t, "needs a root with its capabilities")
	}
	for _, test := range []struct {
		name, owner string
		left        uint64
		args        []string
	}{
		{"raw", "root", prompt, []string{"10.77.0.2", "-p", "1-2000", "--rate", "50"}},
		{"xdp", "root", prompt, []string{"10.77.0.2", "-p", "1-2000", "--rate", "50", "--xdp"}},
		{"connect", "root", 0, []string{"10.77.0.2", "-p", "1-2000", "--rate", "50", "--connect"}},
		{"udp", "root", prompt, []string{"10.77.0.2", "-p", "22/tcp,1-2000/udp", "--rate", "50"}},
		{"nobody's directory", "nobody", prompt | writing, []string{"10.77.0.2", "-p", "1-2000", "--rate", "50"}},
		{"this machine", "root", prompt | looking, []string{"127.0.0.1", "-p", "7070,1-600", "--rate", "50"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := r.subdir(strings.ReplaceAll(test.name, " ", "-"), test.owner)
			args := append([]string{"scan", "--json", "--i-am-authorised"}, test.args...)
			cmd := r.command("root", "env", append([]string{"--chdir=" + dir, program(t, "monban-static")}, args...)...)
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			want := capabilities{permitted: test.left & all.permitted, effective: test.left & all.permitted, noNewPrivs: true}
			var got capabilities
			var threads int
			for deadline := time.Now().Add(enough); got != want; time.Sleep(10 * time.Millisecond) {
				got, threads = capabilitiesOf(t, cmd.Process.Pid)
				select {
				case err := <-ended:
					t.Fatalf("the scan ended first: %v\n%s%s", err, out.String(), errs.String())
				default:
				}
				if time.Now().After(deadline) {
					t.Errorf("capabilities are %+v, want %+v", got, want)
					break
				}
			}
			t.Logf("%d threads, %x", threads, got.permitted)
			status := 0
			if test.left != looking {
				cmd.Process.Signal(syscall.SIGINT)
				status = 4
			}
			<-ended
			if code := cmd.ProcessState.ExitCode(); code != status {
				t.Fatalf("status %d, want %d\n%s%s", code, status, out.String(), errs.String())
			}
			var answer struct {
				Data struct {
					Resume    string
					Engine    string
					Sightings []struct {
						Port  int
						Doors []struct{ Owners []struct{ Name string } }
					}
				}
			}
			if err := json.Unmarshal([]byte(out.String()), &answer); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if test.left != looking {
				state := filepath.Join(dir, answer.Data.Resume)
				if info, err := os.Stat(state); err != nil || info.Size() == 0 || answer.Data.Resume == "" {
					t.Errorf("the state was not left: %v", err)
				}
				return
			}
			found := false
			for _, s := range answer.Data.Sightings {
				for _, d := range s.Doors {
					found = found || s.Port == 7070 && len(d.Owners) > 0 && d.Owners[0].Name == "fixture"
				}
			}
			if !found {
				t.Errorf("another user's program was not found behind its door\n%s", out.String())
			}
		})
	}
}
