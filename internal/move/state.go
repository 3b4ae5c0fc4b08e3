package move

import (
	"encoding/json"
	"errors"
	"fmt"
	"github.com/monban-dev/monban/internal/durable"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/monban-dev/monban/internal/edit"
	"github.com/monban-dev/monban/internal/guard"
)

// Stage is how far a move has come.
type Stage string

// The stages.
const (
	// OnTrial: both doors are open, or about to be; without a confirmation
	// everything is put back.
	OnTrial Stage = "trial"
	// Closing: somebody came in by the new port, and the old one goes. A run that
	// finds this goes on with it.
	Closing Stage = "closing"
)

// State is a move that has begun, as it is on disk.
type State struct {
	Monban int       `json:"monban"` // version of the format: 1
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Due    time.Time `json:"due"`
	// Boot is the kernel's name for the time since it started.
	Boot  string `json:"boot"`
	Stage Stage  `json:"stage"`
	// From is the connection over which it was begun; the zero Session is none.
	From guard.Session `json:"from,omitzero"`
	Plan Plan          `json:"plan"`
}

// Over reports whether a trial should have ended: its time is over, or the machine
// has been started anew since.
func (s *State) Over(now time.Time, boot string) bool {
	return s.Stage == OnTrial && (!now.Before(s.Due) || s.Boot != boot)
}

// Store is the directory that the state is kept in. It outlives a reboot.
type Store struct{ Dir string }

// File is where the state is.
func (s Store) File() string { return filepath.Join(s.Dir, "move.json") }

// edits keeps the files as they were.
func (s Store) edits() *edit.Store {
	return &edit.Store{Dir: filepath.Join(s.Dir, "move"), Shared: true}
}

// Load returns the move that has begun, nil if there is none.
func (s Store) Load() (*State, error) {
	data, err := os.ReadFile(s.File())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := guard.Trusted(s.File()); err != nil {
		return nil, err
	}
	out := new(State)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File(), err)
	}
	if out.Monban != 1 {
		return nil, fmt.Errorf("%s: version %d of the format is not known", s.File(), out.Monban)
	}
	return out, nil
}

// save writes the state whole, and is sure of it before it returns.
func (s Store) save(state *State) error {
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	return durable.Put(s.File(), append(data, '\n'), 0o600)
}

// BootID is the kernel's name for the time since it started; "" is not known, and
// the same for ever.
func BootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}
