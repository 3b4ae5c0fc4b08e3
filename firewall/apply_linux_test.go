package firewall

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestProve runs the proof on this kernel.
func TestProve(t *testing.T) {
	if netnstest.New(t).Name() == "" { // skips without privilege
		t.Fatal("no name")
	}
	if err := Prove(); err != nil {
		t.Fatal(err)
	}
}

// TestChangedMeanwhile lets somebody else change a rule between the plan and the
// act: the kernel refuses, and nothing is there.
func TestChangedMeanwhile(t *testing.T) {
	netnstest.Need(t, "nft")
	ns := netnstest.New(t)
	var before *Guard
	ns.Do(func() {
		var err error
		if before, err = ReadGuard(); err != nil {
			t.Fatal(err)
		}
	})
	ns.Run("nft", "add table ip other")
	ns.Do(func() {
		if err := Try(proofTable(22), time.Minute, before.Generation); !errors.Is(err, ErrChanged) {
			t.Errorf("with the generation of before: %v", err)
		}
		// And where monban has not noticed itself, the kernel does.
		b, err := try(nil, &proofTable(22).Tables[0], before.Generation, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := commit(b); !errors.Is(err, ErrChanged) {
			t.Errorf("a transaction with the generation of before: %v", err)
		}
	})
	if rules := ns.Run("nft", "list", "ruleset"); strings.Contains(rules, "monban") {
		t.Errorf("something was put in force:\n%s", rules)
	}
}

// TestReadBack writes a table, reads it back, puts another on trial beside it, and
// finds each as it was written.
func TestReadBack(t *testing.T) {
	netnstest.New(t).Do(func() {
		stays, trial := proofTable(22), proofTable(443)
		if err := Load(stays); err != nil {
			t.Fatal(err)
		}
		if err := Try(trial, time.Hour, 0); err != nil {
			t.Fatal(err)
		}
		g, err := ReadGuard()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Lines(g.Table), Lines(&stays.Tables[0]); !slices.Equal(got, want) {
			t.Errorf("what stays:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if got, want := Lines(g.Trial), Lines(&trial.Tables[0]); !slices.Equal(got, want) {
			t.Errorf("what is on trial:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if g.Left <= 50*time.Minute || g.Left > time.Hour {
			t.Errorf("%v left of an hour", g.Left)
		}
		if err := Try(trial, time.Hour, 0); !errors.Is(err, ErrTrial) {
			t.Errorf("a second trial: %v", err)
		}
		if err := Rollback(); err != nil {
			t.Fatal(err)
		}
		if g, err = ReadGuard(); err != nil || g.Trial != nil || !slices.Equal(Lines(g.Table), Lines(&stays.Tables[0])) {
			t.Errorf("after a rollback: %+v, %v", g, err)
		}
		for range 3 { // the places change each time
			if err := Try(trial, time.Hour, 0); err != nil {
				t.Fatal(err)
			}
			if err := Confirm(); err != nil {
				t.Fatal(err)
			}
			stays, trial = trial, stays
			if g, err = ReadGuard(); err != nil || g.Trial != nil || !slices.Equal(Lines(g.Table), Lines(&stays.Tables[0])) {
				t.Fatalf("after a confirmation: %+v, %v", g, err)
			}
		}
		// A trial that has ended leaves nothing that stands in the way.
		for range 3 {
			if err := Try(trial, 50*time.Millisecond, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(80 * time.Millisecond)
			if err := Confirm(); !errors.Is(err, ErrNoTrial) {
				t.Errorf("a trial that has ended: %v", err)
			}
		}
		if err := Remove(); err != nil {
			t.Fatal(err)
		}
		if g, err = ReadGuard(); err != nil || g.Present {
			t.Errorf("after all was removed: %+v, %v", g, err)
		}
	})
}
