package edit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Store is the directory in which records are kept.
type Store struct {
	// Dir is made when it is needed, for its user only.
	Dir string
	// As runs do with the rights of the user whose store it is; nil is who runs
	// the program. The files are changed with these rights, too.
	As func(do func() error) error
	// Shared is set where the directory above holds files for every user, too.
	Shared bool

	// step is told of everything that is about to be done, and plainly does
	// without exchanging names; only tests set them.
	step    func(what string)
	plainly bool
}

// Record is one change of files, to be taken back.
type Record struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Dir is where the program was run.
	Dir string `json:"dir"`
	// Leases are the ports that are kept for whoever is moved by it, and for
	// nobody once it is taken back.
	Leases []uint16 `json:"leases,omitempty"`
	// Pending is set until all files are changed: the record then has a name
	// that says so. One that is pending when nobody works on it is of a change
	// that was broken off.
	Pending bool   `json:"-"`
	Files   []Kept `json:"files"`
}

// Kept is one file of a record.
type Kept struct {
	Path string `json:"path"`
	// Temp is the name, in the same directory, of the new file on its way.
	Temp   string `json:"temp"`
	Before []byte `json:"before"`
	After  []byte `json:"after"`
}

// keep is how many records are kept.
const keep = 100

// magic is the first line of a record; the second is the SHA-256 of the rest.
const magic = "monban fix 1\n"

// recordFile is a record as it is written: with the bytes of the names that are no
// UTF-8, which JSON cannot have, beside them.
type recordFile struct {
	*Record
	DirBytes  []byte     `json:"dir_bytes,omitempty"`
	PathBytes []nameFile `json:"path_bytes,omitempty"`
}

// nameFile is the name of one of the files.
type nameFile struct {
	File int    `json:"file"`
	Path []byte `json:"path"`
}

func (r *Record) encode() ([]byte, error) {
	w := recordFile{Record: r}
	if !utf8.ValidString(r.Dir) {
		w.DirBytes = []byte(r.Dir)
	}
	for i, f := range r.Files {
		if !utf8.ValidString(f.Path) {
			w.PathBytes = append(w.PathBytes, nameFile{i, []byte(f.Path)})
		}
	}
	text, err := json.Marshal(w)
	return slices.Concat([]byte(magic), []byte(sum(text)), []byte("\n"), text), err
}

func decode(data []byte) (*Record, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, errors.New("line 1: not a record, or of a newer version")
	}
	check, text, _ := bytes.Cut(rest, []byte("\n"))
	if string(check) != sum(text) {
		return nil, errors.New("line 2: cut off or damaged")
	}
	r := new(Record)
	w := recordFile{Record: r}
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, err
	}
	if len(w.DirBytes) > 0 {
		r.Dir = string(w.DirBytes)
	}
	for _, name := range w.PathBytes {
		if name.File < 0 || name.File >= len(r.Files) {
			return nil, errors.New("names a file that it does not have")
		}
		r.Files[name.File].Path = string(name.Path)
	}
	if !validID(r.ID) || len(r.Files) == 0 {
		return nil, errors.New("names no change")
	}
	for _, f := range r.Files {
		if !filepath.IsAbs(f.Path) || f.Path != filepath.Clean(f.Path) || f.Temp != filepath.Base(f.Temp) || !strings.HasPrefix(f.Temp, ".monban-") {
			return nil, fmt.Errorf("says something impossible of %q", f.Path)
		}
	}
	return r, nil
}

func validID(id string) bool {
	return id != "" && len(id) < 64 && strings.Trim(id, "0123456789-") == ""
}

// Records returns the records, the oldest first. One that cannot be trusted or
// read is an error: what it would take back is not known.
func (s *Store) Records() (records []*Record, err error) {
	err = s.as(func() error {
		records, err = s.records()
		return err
	})
	return records, err
}

func (s *Store) records() ([]*Record, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{Path: s.Dir, Problem: Untrusted, Err: err}
	}
	var out []*Record
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		r := &Record{ID: strings.TrimSuffix(e.Name(), ext), Pending: ext == pending}
		if ext != pending && ext != settled || !validID(r.ID) {
			continue
		}
		r, err := s.load(r)
		if err != nil {
			return nil, &Error{Path: filepath.Join(s.Dir, e.Name()), Problem: Untrusted, Err: err}
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *Record) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// The endings of the names of records.
const (
	pending = ".pending"
	settled = ".fix"
)

func (s *Store) path(r *Record) string {
	if r.Pending {
		return filepath.Join(s.Dir, r.ID+pending)
	}
	return filepath.Join(s.Dir, r.ID+settled)
}

// load reads the record that want has the name of.
func (s *Store) load(want *Record) (*Record, error) {
	file, err := openPrivate(s.path(want), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := trust(file, s.Dir); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(file); err != nil {
		return nil, err
	}
	r, err := decode(text.Bytes())
	if err != nil {
		return nil, err
	}
	if r.ID != want.ID {
		return nil, fmt.Errorf("is of %s", r.ID)
	}
	r.Pending = want.Pending
	return r, nil
}

// save writes a record whole, and is sure of it before it returns.
func (s *Store) save(r *Record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	above := os.FileMode(0o700)
	if s.Shared {
		above = 0o755
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.Dir), above), os.MkdirAll(s.Dir, 0o700)); err != nil {
		return err
	}
	next := s.path(r) + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	w, err := openPrivate(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	err = errors.Join(err, w.Sync(), w.Close())
	if err == nil {
		s.tell("rename the record")
		err = os.Rename(next, s.path(r))
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(s.Dir)
}

// settle gives a record the name of one that is not pending. That takes no
// space, which may have run out.
func (s *Store) settle(r *Record) error {
	done := *r
	done.Pending = false
	if err := os.Rename(s.path(r), s.path(&done)); err != nil {
		return err
	}
	r.Pending = false
	return syncDir(s.Dir)
}

// forget removes a record.
func (s *Store) forget(r *Record) error {
	if err := os.Remove(s.path(r)); err != nil {
		return err
	}
	return syncDir(s.Dir)
}

// prune removes the oldest records.
func (s *Store) prune(records []*Record) {
	for len(records) > keep {
		_ = os.Remove(s.path(records[0])) // it is tried again the next time
		records = records[1:]
	}
}

func (s *Store) as(do func() error) error {
	if s.As == nil {
		return do()
	}
	return s.As(do)
}

func (s *Store) tell(what string) {
	if s.step != nil {
		s.step(what)
	}
}
