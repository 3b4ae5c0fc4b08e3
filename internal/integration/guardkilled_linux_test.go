package integration

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban/firewall"
)

// TestGuardAtOnce lets two administrators put a policy on trial at the same moment.
// One is refused, or has what the other wanted; what is confirmed then is what is on
// trial, and what is saved is that.
func TestGuardAtOnce(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	ports := map[string]string{g.file("a.yaml", goodPolicy): "80", g.file("b.yaml", strings.Replace(goodPolicy, "80", "443", 1)): "443"}
	for range 4 {
		var group sync.WaitGroup
		for file := range ports {
			group.Go(func() {
				if code, out := g.guard("apply", "--yes", "-f", file); code != 0 && (code != 4 || !strings.Contains(out, "on trial already")) {
					t.Errorf("status %d\n%s", code, out)
				}
			})
		}
		group.Wait()
		if code, out := g.guard("confirm"); code != 0 {
			t.Fatalf("what is on trial cannot be confirmed: status %d\n%s", code, out)
		}
		saved := g.savedPolicy()
		for file, port := range ports {
			if strings.Contains(saved, file) {
				if got := g.doors("22 " + port); got != "22 "+port {
					t.Errorf("%s is saved, and open are %q", file, got)
				}
			}
		}
		g.must("status")
		g.must("off", "--yes")
	}
}

// TestGuardKilled kills verbs of guard at random moments. What the kernel has then is
// always wholly one policy, with at most one whole other on trial; what is saved
// can be loaded; and the next verbs do their work.
func TestGuardKilled(t *testing.T) {
	t.Parallel()
	const kills = 12
	g := newGuarded(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	a, b := g.file("a.yaml", goodPolicy), g.file("b.yaml", strings.Replace(goodPolicy, "80", "443", 1))
	g.must("apply", "--yes", "-f", a)
	first := g.inForce()
	g.must("confirm")
	g.must("apply", "--yes", "-f", b)
	other := g.inForce()
	g.must("rollback")
	whole := [2]string{first[1], other[1]}
	if first[0] != "" || other[0] != whole[0] || whole[0] == whole[1] || whole[1] == "" {
		t.Fatalf("before: %q, then %q", first, other)
	}
	verbs := []struct {
		args []string
		most time.Duration
	}{{[]string{"apply", "--yes", "-f", b}, time.Second}, {[]string{"confirm"}, 30 * time.Millisecond}, {[]string{"rollback"}, 30 * time.Millisecond}, {[]string{"apply", "--saved"}, 30 * time.Millisecond}}
	for i := range kills {
		verb := verbs[random.IntN(len(verbs))]
		if verb.args[0] != "apply" {
			g.must("apply", "--yes", "-f", b)
		}
		cmd := g.guardCommand(verb.args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(verb.most)))) // the moment is what is random
		cmd.Process.Kill()
		cmd.Wait()
		have := g.inForce()
		if !slices.Contains(whole[:], have[0]) || have[1] != "" && have[1] != whole[1] {
			t.Fatalf("seed %d, kill %d of %v: in force is\n%s\non trial is\n%s", seed, i, verb.args, have[0], have[1])
		}
		if have[1] != "" {
			g.must("rollback")
			if again := g.inForce(); again[0] != have[0] || again[1] != "" {
				t.Fatalf("seed %d, kill %d of %v: after a rollback:\n%s", seed, i, verb.args, again)
			}
		}
		g.must("apply", "--saved")
		if have := g.inForce(); !slices.Contains(whole[:], have[0]) {
			t.Fatalf("seed %d, kill %d of %v: loaded was\n%s", seed, i, verb.args, have[0])
		}
		if have := g.inForce(); have[0] == whole[1] { // it was confirmed: back to the first
			g.must("apply", "--yes", "-f", a)
			g.must("confirm")
		}
	}
	g.afterwards()
}

// inForce returns the policy that stays and the one on trial, in words.
func (g *guarded) inForce() (out [2]string) {
	g.t.Helper()
	var have *firewall.Guard
	var err error
	g.ns.Do(func() { have, err = firewall.ReadGuard() })
	if err != nil {
		g.t.Fatal(err)
	}
	return [2]string{strings.Join(firewall.Lines(have.Table), "\n"), strings.Join(firewall.Lines(have.Trial), "\n")}
}
