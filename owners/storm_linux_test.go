package owners

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// TestStorm names doors while hundreds of processes start and end. Each listens
// at a place of its own which its command line tells, so that every name can be
// checked: to miss one is normal, to confuse two is the bug. Most are there for a
// moment only, and every eighth until it could have been seen.
func TestStorm(t *testing.T) {
	const network, count, limit = "127.77.", 1000, 10 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	own, inode, err := listenOne("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()

	var started, walks atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(started.Add(1)) % 10_000 // a place is free again by then
				gust(ctx, t, fmt.Sprintf("%s%d.%d:%d", network, n/200, n%200+1, 20000+n), func() {
					if n%8 > 0 {
						time.Sleep(time.Duration(n%31) * time.Millisecond)
						return
					}
					for first := walks.Load(); walks.Load() < first+2 && ctx.Err() == nil; {
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
		})
	}
	go func() { wg.Wait(); close(done) }()

	var named, unnamed int
	began := time.Now()
	for running := true; running; walks.Add(1) {
		if named > 0 && (started.Load() >= count || time.Since(began) > limit) {
			cancel()
		}
		select {
		case <-done:
			running = false
		default:
		}
		doors := append(stormDoors(t, network), monban.Door{Inode: number(t, inode)})
		many := math.MaxInt // by /proc and, where that may be, by the iterator
		if os.Geteuid() == 0 && walks.Load()%2 == 1 {
			many = 1
		}
		Name(t.Context(), doors, Options{many: many})
		for i, d := range doors[:len(doors)-1] {
			at := net.JoinHostPort(d.Bind.Addr.String(), strconv.Itoa(int(d.Bind.Port.Num)))
			if len(d.Owners) == 0 {
				unnamed++
				if d.Unnamed == monban.NotHidden || d.Unnamed == monban.HiddenKernel {
					t.Errorf("%s has no owner because of %v", at, d.Unnamed)
				}
			}
			for _, o := range d.Owners {
				named++
				if len(o.Command) != 2 || o.Command[0] != "storm" || o.Command[1] != at {
					t.Errorf("door %d, %s, is named %q", i, at, o.Command)
				}
			}
		}
		last := doors[len(doors)-1]
		if len(last.Owners) == 0 || last.Owners[0].PID != os.Getpid() {
			t.Errorf("the test's own door: %+v", last)
		}
		for _, o := range last.Owners {
			if o.Name != last.Owners[0].Name || len(o.Command) > 0 && o.Command[0] == "storm" {
				t.Errorf("the test's own door is named %q", o.Command)
			}
		}
	}
	t.Logf("%d processes, %d walks, %d named, %d not", started.Load(), walks.Load(), named, unnamed)
	if named == 0 {
		t.Error("no process was ever seen: the test proves nothing")
	}
}

// gust runs one process, as long as live takes once it listens.
func gust(ctx context.Context, t *testing.T, at string, live func()) {
	stdin, writer, err := os.Pipe()
	if err != nil {
		t.Error(err)
		return
	}
	defer writer.Close()
	says, stdout, err := os.Pipe()
	if err != nil {
		stdin.Close()
		t.Error(err)
		return
	}
	defer says.Close()
	cmd, err := startHelper("storm", nil, func(c *exec.Cmd) { c.Stdout, c.Stderr = stdout, nil }, stdin, at)
	stdin.Close()
	stdout.Close()
	if err != nil {
		t.Error(err)
		return
	}
	defer context.AfterFunc(ctx, func() { says.Close() })()
	if n, _ := says.Read(make([]byte, 1)); n > 0 { // nothing where the place is taken, which is no failure
		live()
	}
	writer.Close()
	cmd.Wait()
}

// stormDoors reads the kernel's table for the doors of the storm.
func stormDoors(t *testing.T, network string) []monban.Door {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	var doors []monban.Door
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		ip, err := strconv.ParseUint(f[1][:8], 16, 32)
		if err != nil {
			continue
		}
		port, err := strconv.ParseUint(f[1][9:], 16, 16)
		if err != nil {
			continue
		}
		// The table has the address in the byte order of the machine, which is
		// little endian wherever this runs.
		at := fmt.Sprintf("%d.%d.%d.%d:%d", byte(ip), byte(ip>>8), byte(ip>>16), byte(ip>>24), port)
		if strings.HasPrefix(at, network) {
			doors = append(doors, monban.Door{Inode: number(t, f[9]), Bind: bind(t, "tcp", at), State: monban.Listen})
		}
	}
	return doors
}
