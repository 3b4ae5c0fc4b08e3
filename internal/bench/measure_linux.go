package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A plan is what to measure. It is handed to the process that measures as JSON.
type plan struct {
	Rounds   int
	Commands []command
}

// A command is a program with its arguments, and the name it is shown by.
type command struct {
	Name string
	Args []string
}

// results are the rounds of every command, in the plan's order.
type results struct {
	Names []string
	Runs  map[string][]sample
}

// A sample is one run of a command from start to end.
type sample struct {
	Wall   time.Duration
	CPU    time.Duration // user and system
	PeakKB int64
}

// measure runs every command once in each round, in a new order each time, so
// that what else happens on the machine falls on all alike. The first round is
// thrown away. Output goes to /dev/null, as it does for everybody.
func (p plan) measure(ctx context.Context) (results, error) {
	r := results{Runs: map[string][]sample{}}
	for _, c := range p.Commands {
		r.Names = append(r.Names, c.Name)
	}
	for round := range p.Rounds + 1 {
		for _, i := range rand.Perm(len(p.Commands)) {
			c := p.Commands[i]
			s, err := c.time(ctx)
			if err != nil {
				return results{}, err
			}
			if round > 0 {
				r.Runs[c.Name] = append(r.Runs[c.Name], s)
			}
		}
	}
	return r, nil
}

func (c command) time(ctx context.Context) (sample, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	state := cmd.ProcessState
	return sample{wall, state.UserTime() + state.SystemTime(), peakKB(state)}, nil
}

// peakKB returns the largest resident memory a process had. The kernel counts
// the time before exec too, when the process was still a copy of this one: bench
// measures from a process that is itself small.
func peakKB(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return int64(usage.Maxrss) // 32 bits on some machines
	}
	return 0
}

// wall returns the median and the smallest time of a command.
func (r results) wall(name string) (median, least time.Duration) {
	return middle(r.Runs[name], func(s sample) time.Duration { return s.Wall })
}

// peakMB returns the largest memory that any run of a command took, in MB of a
// million bytes.
func (r results) peakMB(name string) float64 {
	var peak int64
	for _, s := range r.Runs[name] {
		peak = max(peak, s.PeakKB)
	}
	return float64(peak) * 1024 / 1e6
}

func middle(samples []sample, of func(sample) time.Duration) (median, least time.Duration) {
	if len(samples) == 0 {
		return 0, 0
	}
	var times []time.Duration
	for _, s := range samples {
		times = append(times, of(s))
	}
	slices.Sort(times)
	n := len(times)
	return (times[(n-1)/2] + times[n/2]) / 2, times[0]
}

func (r results) print(w io.Writer) {
	fmt.Fprintf(w, "| %-28s | median ms | least ms | CPU ms | peak MB |\n|---|---:|---:|---:|---:|\n", "")
	for _, name := range r.Names {
		median, least := r.wall(name)
		cpu, _ := middle(r.Runs[name], func(s sample) time.Duration { return s.CPU })
		fmt.Fprintf(w, "| %-28s | %9.1f | %8.1f | %6.1f | %7.1f |\n", "`"+name+"`", ms(median), ms(least), ms(cpu), r.peakMB(name))
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// check compares a bar with what was measured.
func (b bar) check(r results) (line string, ok bool) {
	if b.Time {
		own, _ := r.wall(b.Name)
		ok = own > 0 && ms(own) <= b.AtMost
		return fmt.Sprintf("%s: `%s` takes %.0f ms (bar: %g ms)", verdict(ok), b.Name, ms(own), b.AtMost), ok
	}
	if b.Than == "" {
		peak := r.peakMB(b.Name)
		ok = peak > 0 && peak <= b.AtMost
		return fmt.Sprintf("%s: %s takes %.1f MB at most (bar: %g MB)", verdict(ok), b.Name, peak, b.AtMost), ok
	}
	own, _ := r.wall(b.Name)
	other, _ := r.wall(b.Than)
	ratio := float64(own) / float64(max(other, 1))
	ok = own > 0 && ratio <= b.AtMost
	return fmt.Sprintf("%s: `%s` is %.2f × `%s` (bar: %g)", verdict(ok), b.Name, ratio, b.Than, b.AtMost), ok
}

func verdict(ok bool) string {
	if ok {
		return "kept"
	}
	return "MISSED"
}
