package free

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/boottime"
)

// Sent is a signal that was sent.
type Sent struct {
	PID    int
	Name   string
	Signal string // "SIGTERM", "SIGKILL"
}

// Result is what came of a step.
type Result struct {
	Sent []Sent
	// Output is the end of what the command wrote.
	Output string
	// Err is why the step failed; what it was to free may be free all the same.
	Err error
}

// Times of Act.
const (
	tick         = 20 * time.Millisecond
	settle       = time.Second     // for the children of a master that has ended
	lastMoment   = 2 * time.Second // between SIGKILL and the end
	commandLimit = 2 * time.Minute // besides the grace period; systemd's default is 90 s
	quiet        = 50 * time.Millisecond
)

// sameDate is by how much two dates of one process may be apart: they are rounded
// to ticks, and the clocks were read for each.
const sameDate = 2 * boottime.Tick

// Same reports whether another plan for the same question does exactly what p
// does: to the same processes, sockets, units and containers. It is the proof,
// right before acting, that what was shown is what will be hit. The workers of a
// master come and go; it is the masters that have to be the same.
func (p *Plan) Same(now *Plan) bool {
	return slices.EqualFunc(p.Steps, now.Steps, func(a, b Step) bool {
		return a.Action == b.Action && slices.Equal(a.Command, b.Command) && a.Container == b.Container &&
			slices.EqualFunc(a.masters(), b.masters(), func(x, y monban.Owner) bool {
				return x.PID == y.PID && x.Started.Sub(y.Started).Abs() <= sameDate
			}) && slices.Equal(a.inodes(), b.inodes())
	})
}

// masters are those of the processes that are below none of the others.
func (s *Step) masters() []monban.Owner {
	return slices.DeleteFunc(slices.Clone(s.Processes), func(o monban.Owner) bool { return !s.master(&o) })
}

func (s *Step) master(o *monban.Owner) bool {
	return !slices.ContainsFunc(o.Parents, func(p monban.Parent) bool {
		return slices.ContainsFunc(s.Processes, func(o monban.Owner) bool { return o.PID == p.PID })
	})
}

// Act does one step of a prepared plan.
func (p *Plan) Act(ctx context.Context, step int) Result {
	s := &p.Steps[step]
	if s.Action == Signal {
		return s.end(ctx)
	}
	out, err := run(ctx, commandLimit+s.Grace, maxOutput, s.Command)
	return Result{Output: strings.TrimSpace(string(out)), Err: err}
}

// end ends the processes of a step. Those at the top are asked first; their
// children only when they have stayed behind, and by force only what still holds
// a door when the grace period is over. Before each signal it is asked anew
// whether the process still holds one of the doors: who has let go is left alone.
func (s *Step) end(ctx context.Context) Result {
	e := ending{step: s, inodes: s.inodes(), asked: make([]bool, len(s.held))}
	deadline := time.Now().Add(s.Grace)
	e.ask(e.top)
	var alone time.Time // since when nobody at the top is left
	for len(e.holders()) > 0 && time.Now().Before(deadline) && e.result.Err == nil {
		if e.topEnded() {
			if alone.IsZero() {
				alone = time.Now()
			}
			if time.Since(alone) >= settle {
				e.ask(func(int) bool { return true })
			}
		}
		if !sleep(ctx, tick) {
			e.result.Err = ctx.Err()
		}
	}
	if e.result.Err != nil {
		return e.result
	}
	for _, i := range e.holders() {
		e.send(i, "SIGKILL", s.held[i].kill)
	}
	for until := time.Now().Add(lastMoment); len(e.holders()) > 0 && time.Now().Before(until); {
		if !sleep(ctx, tick) {
			break
		}
	}
	return e.result
}

// ending is the end of the processes of a step.
type ending struct {
	step   *Step
	inodes []uint64
	asked  []bool
	result Result
}

// holders returns which of the processes hold one of the doors now.
func (e *ending) holders() []int {
	var list []int
	for i, h := range e.step.held {
		if h.holds(e.inodes) {
			list = append(list, i)
		}
	}
	return list
}

// top reports whether a process is a master.
func (e *ending) top(i int) bool { return e.step.master(&e.step.Processes[i]) }

func (e *ending) topEnded() bool {
	for i, h := range e.step.held {
		if e.top(i) && !h.ended() {
			return false
		}
	}
	return true
}

// ask sends SIGTERM to those holders of a kind that have not had it.
func (e *ending) ask(kind func(int) bool) {
	for _, i := range e.holders() {
		if kind(i) && !e.asked[i] {
			e.asked[i] = true
			e.send(i, "SIGTERM", e.step.held[i].terminate)
		}
	}
}

func (e *ending) send(i int, name string, signal func() error) {
	err := signal()
	switch {
	case err == nil:
		o := &e.step.Processes[i]
		e.result.Sent = append(e.result.Sent, Sent{o.PID, o.Name, name})
	case errors.Is(err, errGone): // in this very moment
	default:
		e.result.Err = err
	}
}

// sleep waits, or returns false because ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Watch looks again and again: first until the doors of before are closed or the
// patience is over, and then for the period, whether one is opened in their
// place. It returns the doors that are open at the end.
func Watch(ctx context.Context, before []monban.Door, patience, period time.Duration, look func() []monban.Door) []monban.Door {
	old := func(d monban.Door) bool {
		return slices.ContainsFunc(before, func(b monban.Door) bool { return b.Inode == d.Inode })
	}
	open := look()
	for began := time.Now(); slices.ContainsFunc(open, old); open = look() {
		if time.Since(began) >= patience || !sleep(ctx, quiet) {
			return open
		}
	}
	for began := time.Now(); len(open) == 0 && time.Since(began) < period; open = look() {
		if !sleep(ctx, quiet) {
			break
		}
	}
	return open
}
