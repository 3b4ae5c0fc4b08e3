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
		{bar{"a", "b", 0.45}, true},
		{bar{"a", "b", 0.39}, false},
		{bar{"a", "", 31}, true},
		{bar{"a", "", 30}, false}, // 30,000 KiB are 30.7 MB
		{bar{"missing", "b", 1}, false},
		{bar{"missing", "", 1}, false},
	} {
		if line, ok := test.bar.check(r); ok != test.kept {
			t.Errorf("%+v: %q", test.bar, line)
		}
	}
}
