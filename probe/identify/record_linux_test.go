package identify

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/integration/daemons"
	"github.com/monban-dev/monban/internal/netnstest"
)

// recordTo is the environment variable with the file that TestRecord writes.
const recordTo = "MONBAN_TEST_RECORD"

// TestRecord asks the real daemons and keeps what they say, where it is told to:
//
//	MONBAN_TEST_RECORD=$PWD/probe/identify/testdata/answers.txt go test -run TestRecord ./probe/identify
//
// Otherwise it checks that the parts fit together on two that are everywhere.
func TestRecord(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.Need(t, "sshd")
		netnstest.Need(t, "redis-server")
		netnstest.New(t).Rerun(t, 0)
		return
	}
	if out, err := exec.Command("ip", "address", "add", "10.99.0.1/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s", err, out)
	}
	var (
		mu    sync.Mutex
		found []string
		wg    sync.WaitGroup
	)
	places := make(chan struct{}, 12)
	for i, d := range daemons.All() {
		if os.Getenv(recordTo) == "" && d.Name != "OpenSSH" && d.Name != "Redis" {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			lines := record(t, d, i+1)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, lines...)
		})
	}
	wg.Wait()
	if len(found) < 2 {
		t.Errorf("recorded %q", found)
	}
	slices.Sort(found)
	if file := os.Getenv(recordTo); file != "" {
		text := "# What real servers said, written by TestRecord: list, signature, daemon, id, target, protocol|grade|product|version, answer.\n" + strings.Join(found, "\n") + "\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func record(t *testing.T, d daemons.Daemon, number int) (lines []string) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Error(err)
		}
	}
	addr := netip.AddrFrom4([4]byte{127, 0, 1, byte(number)})
	if d.Outside || d.Assigned {
		addr = netip.AddrFrom4([4]byte{10, 99, 0, 1})
	}
	running, err := d.Start(t.Context(), dir, addr)
	defer running.Stop()
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, door := range d.Doors {
		if door.Unknown || door.Wrapped {
			continue
		}
		q := newQuestion(netip.AddrPortFrom(addr, door.Port))
		kinds := []string{"greeting", "tcp"}
		if door.Proto == monban.UDP {
			kinds = []string{"udp"}
		}
		for _, kind := range kinds {
			for _, sig := range lists()[kind] {
				if kind != "greeting" && sig.rank(door.Port) == 0 {
					continue
				}
				if a, ok := recordOne(t, kind, d.Name, sig, q); ok {
					lines = append(lines, a.String())
				}
			}
		}
	}
	return lines
}

func recordOne(t *testing.T, kind, daemon string, sig signature, q question) (answer, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if kind == "greeting" {
		ctx, cancel = context.WithTimeout(ctx, 400*time.Millisecond)
		defer cancel()
	}
	d, _ := ctx.Deadline()
	a := answer{list: kind, name: sig.name, daemon: daemon, q: q}
	if kind == "udp" {
		r := &run{id: new(Identifier), target: q.target, patience: 2 * time.Second, host: &host{slots: make(chan struct{}, 1)}, sockets: 1}
		read := sig.read
		ask := sig.ask
		sig.ask = func(asked question) []byte { a.q = asked; return ask(asked) }
		sig.read = func(q question, said []byte) (monban.Service, match) {
			a.said = slices.Clone(said)
			return read(q, said)
		}
		res := r.send(ctx, sig)
		a.want = summary(res.s)
		return a, res.found
	}
	raw, err := net.Dial("tcp", q.target.String())
	if err != nil {
		t.Error(fmt.Errorf("%s: %w", daemon, err))
		return a, false
	}
	c := newConn(ctx, raw, q, d)
	defer c.Close()
	if sig.ask != nil {
		c.say(sig.ask(q))
	}
	for c.hear() {
		if s, m := sig.read(q, c.said); m == yes {
			a.said, a.want = c.said, summary(s)
			return a, true
		} else if m == no {
			break
		}
	}
	return a, false
}
