package lease

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// File is the file of one user's leases.
type File struct {
	path string
	// shared is set where the directory holds files for every user, too.
	shared bool
	// as is the user to act as; nil is who runs the program.
	as *user
}

// user is somebody whose files are touched with their rights.
type user struct{ uid, gid int }

// Path returns the absolute path of the file.
func (f *File) Path() string { return f.path }

// At returns the file at path, for the user who runs the program.
func At(path string) *File { return &File{path: path} }

// Problem is why the leases could not be read or changed.
type Problem uint8

// The problems.
const (
	NoHome      Problem = iota + 1 // no place to keep the file
	NoUser                         // the invoking user is not known
	Refused                        // the file cannot be trusted: damaged, a link, somebody else's
	Busy                           // another monban holds the lock
	NotRead                        // the system refused
	NotSaved                       // the system refused; the file is as it was
	Unsupported                    // not on this system
)

// Error says why the leases could not be read or changed. The file is then as it
// was before.
type Error struct {
	Path    string
	Problem Problem
	Err     error // nil or the system's own words
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return fmt.Sprintf("leases %s: problem %d", e.Path, e.Problem)
	case e.Path == "":
		return fmt.Sprintf("leases: %v", e.Err)
	}
	return fmt.Sprintf("leases %s: %v", e.Path, e.Err)
}

// Unwrap returns what the system said.
func (e *Error) Unwrap() error { return e.Err }

func (f *File) problem(p Problem, err error) error { return &Error{Path: f.path, Problem: p, Err: err} }

// Read returns the leases that have not expired at now, in the order of their
// ports. A file that is not there has none. It waits for nobody: the file is
// only ever replaced as a whole.
func (f *File) Read(now time.Time) ([]Lease, error) {
	var t *Table
	err := f.act(func() error {
		file, err := openFile(f.path, os.O_RDONLY)
		if os.IsNotExist(err) {
			t = NewTable(nil, now)
			return nil
		}
		if err != nil {
			return f.problem(opening(err), err)
		}
		defer file.Close()
		t, err = f.load(file, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return t.All(), nil
}

// Update lets change look at the leases and change them, while nobody else can,
// and saves what it did unless it returns an error, which Update then returns.
// It waits for its turn until ctx is done. change must not start goroutines, and
// must not take long.
func (f *File) Update(ctx context.Context, now time.Time, change func(*Table) error) error {
	return f.act(func() error {
		if err := os.MkdirAll(filepath.Dir(f.path), f.dirMode()); err != nil {
			return f.problem(NotSaved, err)
		}
		held, err := f.acquire(ctx)
		if err != nil {
			return err
		}
		defer held.guard.Close()
		t, err := f.load(held.file, now)
		if held.file != held.guard {
			held.file.Close()
		}
		if err != nil {
			return err
		}
		if err := change(t); err != nil || !t.changed {
			return err
		}
		if err := f.save(Encode(t.All())); err != nil {
			return f.problem(NotSaved, err)
		}
		return nil
	})
}

// held is the file, open for reading, and the file whose lock is held until it is
// closed. They may be the same.
type held struct{ file, guard *os.File }

func (f *File) dirMode() os.FileMode {
	if f.shared {
		return 0o755
	}
	return 0o700
}

// Act runs do with the rights of the file's user, for what else is kept beside
// it. do must not start goroutines.
func (f *File) Act(do func() error) error { return f.act(do) }

// act runs do with the rights of the file's user.
func (f *File) act(do func() error) error {
	if f.as == nil {
		return do()
	}
	return actAs(f, do)
}

// load reads an open file that may be trusted.
func (f *File) load(file *os.File, now time.Time) (*Table, error) {
	if err := f.trust(file); err != nil {
		return nil, f.problem(Refused, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, f.problem(NotRead, err)
	}
	leases, err := Decode(data)
	if err != nil {
		return nil, f.problem(Refused, err)
	}
	return NewTable(leases, now), nil
}

// save replaces the file. Whoever holds the lock is the only one to write, so
// the new file can have a fixed name, and one that is there was left by a writer
// who was killed.
func (f *File) save(data []byte) (err error) {
	next := f.path + ".new"
	if err := os.Remove(next); err != nil && !os.IsNotExist(err) {
		return err
	}
	w, err := openFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(next)
		}
	}()
	if err := write(w, data); err != nil {
		w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	// The directory is not flushed: after a crash the old file or the new one is
	// there, and either is whole.
	return replace(next, f.path)
}

func write(w *os.File, data []byte) error {
	if err := private(w); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Sync()
}

// private undoes what a strange umask did to the mode.
func private(w *os.File) error {
	info, err := w.Stat()
	if err != nil || info.Mode().Perm() == 0o600 {
		return err
	}
	return w.Chmod(0o600)
}

func regular(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not a regular file: %v", info.Mode().Type())
	}
	return nil
}
