package main

import (
	"testing"
	"time"
)

func TestBars(t *testing.T) {
	of := func(wall time.Duration, peakKB int64) []sample {
		return []sample{{Wall: wall, PeakKB: peakKB}, {Wall: 10 * wall, PeakKB: 1}, {Wall: wall, PeakKB: 1}}
	}
	r := results{Names: []string{"a", "b"}, Runs: map[string][]sample{"a": of(4, 30000), "b": of(10, 1)}}
	for _, test := range []struct {
		bar  bar
		kept bool
	}{
		{bar{Name: "a", Than: "b", AtMost: 0.45}, true},
		{bar{Name: "a", Than: "b", AtMost: 0.39}, false},
		{bar{Name: "a", AtMost: 31}, true},
		{bar{Name: "a", AtMost: 30}, false}, // 30,000 KiB are 30.7 MB
		{bar{Name: "missing", Than: "b", AtMost: 1}, false},
		{bar{Name: "missing", AtMost: 1}, false},
		{bar{Name: "a", AtMost: 4e-6, Time: true}, true},
		{bar{Name: "a", AtMost: 3e-6, Time: true}, false},
		{bar{Name: "missing", AtMost: 1, Time: true}, false},
	} {
		if line, ok := test.bar.check(r); ok != test.kept {
			t.Errorf("%+v: %q", test.bar, line)
		}
	}
}
