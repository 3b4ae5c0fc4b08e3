package firewall

import (
	"testing"
	"time"
)

// TestProve runs the proof on this kernel.
func TestProve(t *testing.T) {
	start := time.Now()
	if err := Prove(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", time.Since(start))
}
