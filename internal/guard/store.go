package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/durable"
)

// Store is where the policies are kept.
type Store struct {
	// Dir lasts; Run is empty after a reboot.
	Dir, Run string
}

// System is the store of the machine.
func System() Store { return Store{Dir: "/var/lib/monban", Run: "/run/monban"} }

// Record is a policy that was put in force.
type Record struct {
	Monban int       `json:"monban"` // version of the format: 1
	At     time.Time `json:"at"`
	// File is where the policy was read from, and Policy what it said, resolved.
	File   string        `json:"file"`
	Policy monban.Policy `json:"policy"`
	// From is the connection over which it was put on trial; the zero Session
	// is none.
	From Session `json:"from,omitzero"`
	// Before are all connections by SSH that were there then: they go on whatever
	// the policy says, and so cannot confirm it.
	Before []Session `json:"before,omitempty"`
}

const (
	savedName = "guard.json"
	trialName = "guard-trial.json"
	tempName  = ".guard-*"
)

// SavedFile is where the confirmed policy is kept.
func (s Store) SavedFile() string { return filepath.Join(s.Dir, savedName) }

func (s Store) trialFile() string { return filepath.Join(s.Run, trialName) }

// Files are all that a store writes.
func (s Store) Files() []string { return []string{s.SavedFile(), s.trialFile()} }

// Saved returns the confirmed policy, nil if there is none.
func (s Store) Saved() (*Record, error) { return read(s.SavedFile()) }

// Trial returns the policy that was put on trial last, nil if there is none. The
// kernel knows whether it still is.
func (s Store) Trial() (*Record, error) { return read(s.trialFile()) }

func read(path string) (*Record, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := Trusted(path); err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Monban != 1 {
		return nil, fmt.Errorf("%s: version %d of the format is not known", path, r.Monban)
	}
	return &r, nil
}

// pending is a file that is written but has not its name yet.
type pending struct{ temp, path string }

// prepare writes a record beside the place where it is to be, on disk for good,
// so that giving it its name is all that is left. The lock is held: what lies there
// already is from a run that was killed.
func prepare(path string, r *Record) (*pending, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), tempName)) // the pattern is our own
	for _, name := range left {
		_ = os.Remove(name) // it is of no use, and of no harm
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempName) // mode 0600
	if err != nil {
		return nil, err
	}
	p := &pending{f.Name(), path}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		p.drop()
		return nil, err
	}
	return p, nil
}

// commit gives the file its name.
func (p *pending) commit() error {
	if err := os.Rename(p.temp, p.path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(p.path))
}

func (p *pending) drop() { _ = os.Remove(p.temp) } // it is of no use, and of no harm
