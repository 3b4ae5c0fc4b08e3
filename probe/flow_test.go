package probe

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// path is a simulated target: a round-trip time, loss each way, and a limit on
// the probes it takes, as a token bucket.
type path struct {
	rtt, jitter time.Duration
	loss        float64
	limit       float64
	burst       float64
	answers     func(door uint64) uint64
	capacity    float64 // probes per second that the sender manages
	relay       float64 // probes per second that pass a bottleneck with a queue; 0 is none
	queue       int     // its length
	// pauses is how long the sender is away, each time after five times as long;
	// naps is the same of the target, which then takes what has come all at once.
	pauses, naps time.Duration
}

// awake returns when a probe that comes at a time is looked at.
func (p *path) awake(now time.Duration) time.Duration {
	if p.naps > 0 {
		if cycle := now % (6 * p.naps); cycle > 5*p.naps {
			return now - cycle + 6*p.naps
		}
	}
	return now
}

type event struct {
	at    time.Duration
	q     question
	state uint64
}

// travel runs a flow over a path in simulated time.
func travel(t *testing.T, f *flow, p path, seed uint64) (took time.Duration, peak float64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var now time.Duration
	var flying []event
	tokens, filled := p.burst, time.Duration(0)
	busy := time.Duration(0)
	for !f.over {
		n := 0
		for n < len(flying) && flying[n].at <= now {
			n++
		}
		for _, e := range flying[:n] {
			f.answer(e.q.door, e.q.slice, e.state, max(now, 1))
		}
		flying = flying[n:]
		f.earn(now)
		peak = max(peak, f.pace.rate)
		sent := 0
		wait := 20 * time.Microsecond
		for sent < 64 {
			q, w, ok := f.next(now)
			if !ok {
				wait = max(w, wait)
				break
			}
			sent++
			seen := p.awake(now)
			tokens = min(p.burst, tokens+p.limit*(seen-filled).Seconds())
			filled = seen
			if rng.Float64() < p.loss {
				continue
			}
			waits := time.Duration(0)
			if p.relay > 0 {
				waits = max(0, busy-now)
				if waits.Seconds()*p.relay > float64(p.queue) {
					continue
				}
				busy = max(busy, now) + time.Duration(float64(time.Second)/p.relay)
			}
			if p.limit > 0 {
				if tokens < 1 {
					continue
				}
				tokens--
			}
			state := p.answers(q.door)
			if state == silent || rng.Float64() < p.loss {
				continue
			}
			at := seen + waits + p.rtt + time.Duration((rng.Float64()*2-1)*float64(p.jitter))
			i, _ := slices.BinarySearchFunc(flying, at, func(e event, at time.Duration) int { return int(e.at - at) })
			flying = slices.Insert(flying, i, event{at, q, state})
		}
		if len(flying) > 0 {
			wait = max(min(wait, flying[0].at-now), 0)
		}
		now += max(wait, time.Duration(float64(sent)/p.capacity*float64(time.Second)), time.Microsecond)
		if cycle := now % (6 * max(p.pauses, 1)); cycle > 5*p.pauses && p.pauses > 0 {
			now += 6*p.pauses - cycle
		}
		if now > 5*time.Minute {
			t.Fatalf("no end: pass %d, rate %.0f", f.pass, f.pace.rate)
		}
	}
	return now, peak
}

func allPorts() []uint16 {
	out := make([]uint16, 65535)
	for i := range out {
		out[i] = uint16(i + 1)
	}
	return out
}

func oneHost(t *testing.T) *Targets {
	t.Helper()
	targets, ok := NewTargets([]netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, nil)
	if !ok {
		t.Fatal("no targets")
	}
	return targets
}

// TestConvergence wants every open door found on paths of many kinds, within a
// time and a number of probes, in simulated time.
func TestConvergence(t *testing.T) {
	talks := func(d uint64) uint64 {
		if d%1601 == 7 {
			return open
		}
		return closed
	}
	quiet := func(d uint64) uint64 {
		if d%1601 == 7 {
			return open
		}
		return silent
	}
	half := func(d uint64) uint64 {
		if d < 30000 {
			return talks(d)
		}
		return quiet(d)
	}
	far, jitter := 40*time.Millisecond, 10*time.Millisecond
	for _, tt := range []struct {
		name string
		path path
		took time.Duration
		per  float64 // probes a port
	}{
		{"clean", path{rtt: 50 * time.Microsecond, answers: talks, capacity: 200e3}, 450 * time.Millisecond, 1.01},
		{"far", path{rtt: far, jitter: jitter, answers: talks, capacity: 100e3}, 1500 * time.Millisecond, 1.01},
		{"far 2%", path{rtt: far, jitter: jitter, loss: .02, answers: talks, capacity: 100e3}, 2500 * time.Millisecond, 1.2},
		{"far 5%", path{rtt: far, jitter: jitter, loss: .05, answers: talks, capacity: 100e3}, 2500 * time.Millisecond, 1.3},
		{"far 5% limit", path{rtt: far, jitter: jitter, loss: .05, limit: 20e3, burst: 40, answers: talks, capacity: 100e3}, 5500 * time.Millisecond, 1.8},
		{"limit 20k", path{rtt: 50 * time.Microsecond, limit: 20e3, burst: 5, answers: talks, capacity: 200e3}, 4200 * time.Millisecond, 1.4},
		{"limit 2k", path{rtt: 50 * time.Microsecond, limit: 2e3, burst: 5, answers: talks, capacity: 200e3}, 42 * time.Second, 1.4},
		{"limit 20k, pauses", path{rtt: 50 * time.Microsecond, limit: 20e3, burst: 5, answers: talks, capacity: 200e3, pauses: 5 * time.Millisecond}, 4600 * time.Millisecond, 1.4},
		{"limit 20k, long pauses", path{rtt: 50 * time.Microsecond, limit: 20e3, burst: 5, answers: talks, capacity: 200e3, pauses: 50 * time.Millisecond}, 4600 * time.Millisecond, 1.4},
		{"limit 20k, naps", path{rtt: 50 * time.Microsecond, limit: 20e3, burst: 5, answers: talks, capacity: 200e3, naps: 5 * time.Millisecond}, 4600 * time.Millisecond, 1.4},
		{"limit 20k, long naps", path{rtt: 50 * time.Microsecond, limit: 20e3, burst: 5, answers: talks, capacity: 200e3, naps: 50 * time.Millisecond}, 4600 * time.Millisecond, 1.4},
		{"quiet", path{rtt: far, jitter: jitter, answers: quiet, capacity: 100e3}, 3 * time.Second, 2.3},
		{"quiet 5%", path{rtt: far, jitter: jitter, loss: .05, answers: quiet, capacity: 100e3}, 7 * time.Second, 6},
		{"far queue", path{rtt: far, jitter: jitter, answers: talks, capacity: 250e3, relay: 80e3, queue: 100_000}, 3 * time.Second, 1.6},
		{"far short queue", path{rtt: far, jitter: jitter, answers: talks, capacity: 250e3, relay: 80e3, queue: 1000}, 3 * time.Second, 1.6},
		{"quiet queue", path{rtt: far, jitter: jitter, answers: quiet, capacity: 250e3, relay: 80e3, queue: 100_000}, 7 * time.Second, 5},
		{"quiet short queue", path{rtt: far, jitter: jitter, answers: quiet, capacity: 250e3, relay: 80e3, queue: 1000}, 7 * time.Second, 9},
		{"half 5%", path{rtt: far, jitter: jitter, loss: .05, answers: half, capacity: 100e3}, 6 * time.Second, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seeds := uint64(4)
			if tt.path.limit == 2e3 {
				seeds = 2
			}
			for seed := range seeds {
				g := newGrid(oneHost(t), allPorts(), monban.TCP)
				f := newFlow(g, newBitmap(1), 0, g.len(), seed, newPace(250e3, false))
				took, peak := travel(t, f, tt.path, seed)
				want := 0
				for d := range g.len() {
					if tt.path.answers(d) == open {
						want++
						if g.get(d) != open {
							t.Errorf("seed %d: open door %d is not found", seed, d)
						}
					}
				}
				per := float64(f.probes) / float64(g.len())
				line := fmt.Sprintf("seed %d: %v, %.2f probes a port, %d passes, peak %.0f, last %.0f, missed %.2g, rto %v", seed, took.Round(time.Millisecond), per, f.pass, peak, f.pace.rate, f.missed(), f.pace.rto())
				t.Log(line)
				if took > tt.took || per > tt.per || f.lost {
					t.Errorf("too much: %s", line)
				}
			}
		})
	}
}

// TestSweepLoss sweeps addresses of which one in sixteen has a host with one door, or
// with some, on a path that loses a part of everything: each of the hosts has to be
// found, because nothing else is ever heard of it.
func TestSweepLoss(t *testing.T) {
	prefix := netip.MustParsePrefix("10.0.0.0/20")
	targets, ok := NewTargets([]netip.Prefix{prefix}, nil)
	if !ok {
		t.Fatal("no targets")
	}
	for _, tt := range []struct {
		ports, answering uint64
		loss, per        float64
	}{{1, 1, .15, 12}, {1, 1, .05, 7}, {1, 1, 0, 3.1}, {8, 2, .15, 8}, {8, 8, .05, 3}} {
		for seed := range uint64(4) {
			g := newGrid(targets, allPorts()[:tt.ports], monban.TCP)
			f := newFlow(g, newBitmap(targets.Len()), 0, g.len(), seed, newPace(250e3, false))
			answers := func(d uint64) uint64 {
				switch host, port := d/tt.ports, d%tt.ports; {
				case host%16 != 3 || port >= tt.answering:
					return silent
				case port == 0:
					return open
				}
				return closed
			}
			p := path{rtt: 5 * time.Millisecond, jitter: time.Millisecond, loss: tt.loss, answers: answers, capacity: 200e3}
			took, _ := travel(t, f, p, seed)
			per := float64(f.probes) / float64(g.len())
			for host := range f.late {
				travel(t, f.alone(host, newPace(250e3, false)), p, seed)
			}
			missed := 0
			for d := range g.len() {
				if answers(d) == open && g.get(d) != open {
					missed++
				}
			}
			t.Logf("%d ports, loss %.2f, seed %d: %d missed, %.2g expected, %v, %.1f probes a port, %d passes, %d of them for all", tt.ports, tt.loss, seed, missed, f.missed(), took.Round(time.Millisecond), per, f.pass, f.sought)
			if missed > 0 || per > tt.per {
				t.Errorf("%d doors missed, %.1f probes a port", missed, per)
			}
		}
	}
}

// TestGone takes the target away in the middle of a scan, one that answers at all
// doors, at a third of them, or at few: that has to be known, and soon. In simulated
// time.
func TestGone(t *testing.T) {
	for _, every := range []uint64{1, 3, 1601} {
		for seed := range uint64(4) {
			g := newGrid(oneHost(t), allPorts(), monban.TCP)
			f := newFlow(g, newBitmap(1), 0, g.len(), seed, newPace(250e3, false))
			asked := 0
			answers := func(d uint64) uint64 {
				if asked++; asked > 20_000 || d%every != 0 {
					return silent
				}
				return closed
			}
			took, _ := travel(t, f, path{rtt: time.Millisecond, answers: answers, capacity: 200e3}, seed)
			t.Logf("one of %d answers, seed %d: %v, %d probes", every, seed, took.Round(time.Millisecond), f.probes)
			if !f.lost || took > 30*time.Second {
				t.Errorf("one of %d answers, seed %d: %v, and that it has gone is known: %v", every, seed, took, f.lost)
			}
		}
	}
}
