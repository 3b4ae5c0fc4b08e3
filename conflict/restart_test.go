package conflict

import (
	"slices"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// TestStartedAgain: a restart policy is no evidence, and a container that somebody
// has started is not taken for one that came back.
func TestStartedAgain(t *testing.T) {
	engine := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	before, after := engine.Add(-time.Hour), engine.Add(2400*time.Millisecond)
	for _, tt := range []struct {
		name string
		r    monban.Restart
		how  []string // "" is not known to have come back
	}{
		{"with the daemon", monban.Restart{Policy: "always", Created: before, Started: after, Engine: engine}, []string{RestartEngine, "2"}},
		{"with the daemon", monban.Restart{Policy: "unless-stopped", Created: before, Started: after, Engine: engine}, []string{RestartEngine, "2"}},
		{"a clock that ticks", monban.Restart{Policy: "always", Created: before, Started: engine.Add(-9 * time.Millisecond), Engine: engine}, []string{RestartEngine, "0"}},
		{"it ended", monban.Restart{Policy: "on-failure", Count: 3, Created: before, Started: after}, []string{RestartEnded, "3"}},
		{"made since", monban.Restart{Policy: "always", Created: engine.Add(time.Second), Started: after, Engine: engine}, nil},
		{"started by hand later", monban.Restart{Policy: "always", Created: before, Started: engine.Add(time.Hour), Engine: engine}, nil},
		{"it lived on", monban.Restart{Policy: "always", Created: before, Started: engine.Add(-time.Minute), Engine: engine}, nil},
		{"a daemon does not start it", monban.Restart{Policy: "on-failure", Created: before, Started: after, Engine: engine}, nil},
		{"no daemon known", monban.Restart{Policy: "always", Created: before, Started: after}, nil},
		{"no policy", monban.Restart{Policy: "no", Count: 1, Created: before, Started: after, Engine: engine}, nil},
		{"not asked", monban.Restart{Count: 1, Created: before, Started: after, Engine: engine}, nil},
	} {
		c := monban.Container{ID: "0123456789abcdef", Engine: "docker", Restart: tt.r}
		fix, ok := startedAgain(&c)
		if ok != (tt.how != nil) || ok && (!slices.Equal(fix.Args[2:4], tt.how) || !slices.Equal(fix.Command, []string{"docker", "update", "--restart=no", "0123456789ab"})) {
			t.Errorf("%s: %v, %+v", tt.name, ok, fix)
		}
	}
}
