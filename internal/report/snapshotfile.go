package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/monban-dev/monban"
)

// snapshotFile is what --save writes: the inside view as values, so that it can
// be shown later through any output. Version 1.
type snapshotFile struct {
	Version  int              `json:"monban_snapshot"`
	Snapshot *monban.Snapshot `json:"snapshot"`
}

// SaveSnapshot writes snap for [LoadSnapshot]. Secrets in command lines are
// masked unless showSecrets: a file outlives the terminal.
func SaveSnapshot(w io.Writer, snap *monban.Snapshot, showSecrets bool) error {
	if !showSecrets {
		snap = hideSecrets(snap, newMasker())
	}
	enc := json.NewEncoder(&jsonWriter{w: w})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(snapshotFile{1, snap})
}

// maxSnapshot bounds how much of a snapshot file is read: 10,000 doors take
// about 10 MB.
const maxSnapshot = 512 << 20

// LoadSnapshot reads what [SaveSnapshot] wrote.
func LoadSnapshot(r io.Reader) (*monban.Snapshot, error) {
	var f snapshotFile
	if err := json.NewDecoder(io.LimitReader(r, maxSnapshot)).Decode(&f); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("not a saved snapshot: it is cut short")
		}
		return nil, fmt.Errorf("not a saved snapshot: %w", err)
	}
	switch {
	case f.Version == 0:
		return nil, errors.New("not a saved snapshot: it has no monban_snapshot version (monban --save FILE makes one)")
	case f.Version != 1:
		return nil, fmt.Errorf("saved snapshot of version %d: this monban reads version 1", f.Version)
	case f.Snapshot == nil:
		return nil, errors.New("not a saved snapshot: it has no snapshot")
	}
	return f.Snapshot, nil
}
