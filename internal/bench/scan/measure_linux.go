package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// result is what monban says about one run.
type result struct {
	Data struct {
		Sightings []struct {
			Port int `json:"port"`
		} `json:"sightings"`
		Stats struct {
			Probes  float64 `json:"probes"`
			Seconds float64 `json:"seconds"`
			Passes  int     `json:"passes"`
			Missed  float64 `json:"missed_estimate"`
		} `json:"stats"`
	} `json:"data"`
}

func (c *scanCase) measure(ctx context.Context, monban string, runs, load int) (missed []string, err error) {
	pl, err := build(ctx, c.path)
	if err != nil {
		return nil, err
	}
	defer pl.close()
	if c.runs > 0 {
		runs = min(runs, c.runs)
	}
	for range load {
		if err := pl.self(ctx, pl.near, "-loop"); err != nil {
			return nil, err
		}
	}
	want := ports()
	slices.Sort(want)
	var times, per []float64
	full, worst := 0, 0.0
	for range runs {
		var r result
		took, err := c.monban(ctx, pl, monban, &r)
		if err != nil {
			return nil, err
		}
		var got []int
		for _, s := range r.Data.Sightings {
			got = append(got, s.Port)
		}
		slices.Sort(got)
		if slices.Equal(got, want) {
			full++
		} else {
			fmt.Printf("  a run found %d of %d\n", len(got), len(want))
		}
		times = append(times, took.Seconds())
		per = append(per, r.Data.Stats.Probes/65535)
		worst = max(worst, r.Data.Stats.Missed)
	}
	ours := median(times)
	fmt.Printf("%-18s monban   median %6.2f s, slowest %6.2f s, all found in %d of %d, %.2f probes a port, missed_estimate at most %.2g\n",
		c.name, ours, slices.Max(times), full, runs, median(per), worst)
	bar := func(ok bool, format string, args ...any) {
		if !ok {
			missed = append(missed, c.name+": "+fmt.Sprintf(format, args...))
		}
	}
	bar(full == runs, "recall in %d of %d runs", full, runs)
	bar(worst < 0.5, "missed_estimate %.2g", worst)
	if c.bound > 0 {
		bar(slices.Max(times) <= c.bound.Seconds(), "%.2f s, bound %.2f s", slices.Max(times), c.bound.Seconds())
	}
	if c.per > 0 {
		bar(median(per) < c.per, "%.2f probes a port", median(per))
	}
	for _, p := range c.peers {
		theirs, err := p.measure(ctx, pl)
		if err != nil {
			return nil, err
		}
		fmt.Printf("%-18s %-8s median %6.2f s; monban takes %.2f of it (bar %.2f)\n", "", p.name, theirs, ours/theirs, p.ratio)
		bar(ours <= p.ratio*theirs, "%.2f of %s, bar %.2f", ours/theirs, p.name, p.ratio)
	}
	return missed, nil
}

func (c *scanCase) monban(ctx context.Context, pl *place, monban string, r *result) (time.Duration, error) {
	line := []string{"netns", "exec", pl.near}
	if c.user != "" {
		line = append(append(line, "prlimit"), strings.Fields(c.user)...)
	}
	to := c.line
	if to == "" {
		to = target
	}
	line = append(line, monban, "scan", to, "--json")
	cmd := exec.CommandContext(ctx, "ip", line...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("monban: %w\n%s", err, errs.String())
	}
	took := time.Since(began)
	return took, json.Unmarshal(out.Bytes(), r)
}

func (p *peer) measure(ctx context.Context, pl *place) (float64, error) {
	var times []float64
	for range p.runs {
		line := p.line
		if strings.Contains(line, "%s") {
			line = fmt.Sprintf(line, target)
		}
		cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", pl.near}, strings.Fields(line)...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%s: %w\n%s", p.name, err, errs.String())
		}
		times = append(times, time.Since(began).Seconds())
	}
	return median(times), nil
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}
