package edit

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Apply changes files: all of them, or none and it returns an [*Error]. Of about,
// the directory, the time and the leases count. While the record of a change that
// was broken off is there, nothing is changed.
func (s *Store) Apply(changes []Change, about Record) (r *Record, err error) {
	err = s.as(func() error {
		r, err = s.apply(changes, about)
		return err
	})
	return r, err
}

func (s *Store) apply(changes []Change, about Record) (*Record, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	r := &Record{At: about.At.UTC(), Dir: about.Dir, Leases: about.Leases, Pending: true}
	for id := r.At; r.ID == ""; id = id.Add(time.Millisecond) {
		r.ID = id.Format("20060102-150405-") + fmt.Sprintf("%03d", id.Nanosecond()/1e6)
		for _, other := range records {
			if other.Pending {
				return nil, &Error{Path: s.path(other), Problem: Interrupted}
			}
			if other.ID == r.ID {
				r.ID = ""
				break
			}
		}
	}
	if len(records) > 0 {
		for _, k := range records[len(records)-1].Files {
			sweep(k) // it may have been killed when all but this was done
		}
	}
	var swaps []*swap
	for i, c := range changes {
		temp := fmt.Sprintf(".monban-%s-%d", r.ID, i)
		r.Files = append(r.Files, Kept{Path: c.File.Path, Temp: temp, Before: c.File.Data, After: c.Data})
		swaps = append(swaps, &swap{path: c.File.Path, temp: temp, was: c.File.was, from: c.File.Data, to: c.Data, tell: s.tell, plainly: s.plainly})
	}
	s.tell("save the record")
	if err := s.save(r); err != nil {
		return nil, errors.Join(&Error{Path: s.path(r), Problem: NotWritten, Err: err}, s.drop(r))
	}
	if err := exchange(swaps); err != nil {
		if e, ok := errors.AsType[*Error](err); !ok || e.Problem != NotRestored {
			err = errors.Join(err, s.drop(r))
		}
		return nil, err
	}
	s.tell("settle the record")
	if err := s.settle(r); err != nil {
		return nil, s.giveUp(swaps, r, err)
	}
	finish(swaps)
	s.prune(append(records, r))
	return r, nil
}

// giveUp takes everything back because the record could not be settled.
func (s *Store) giveUp(swaps []*swap, r *Record, cause error) error {
	if err := restore(swaps); err != nil {
		return err
	}
	return errors.Join(&Error{Path: s.path(r), Problem: NotWritten, Err: cause}, s.drop(r))
}

// drop forgets the record of a change that was not made.
func (s *Store) drop(r *Record) error {
	if err := s.forget(r); err != nil && !isNotExist(err) {
		return &Error{Path: s.path(r), Problem: NotRestored, Err: err}
	}
	return nil
}

// exchange puts all files in their places, or none.
func exchange(swaps []*swap) error {
	for _, w := range swaps {
		if err := w.prepare(); err != nil {
			discard(swaps)
			return err
		}
	}
	for _, w := range swaps {
		if err := w.commit(); err != nil {
			if failed := restore(swaps); failed != nil {
				return failed
			}
			return err
		}
	}
	return nil
}

// restore puts the files that have been changed back, the last one first.
func restore(swaps []*swap) error {
	var failed error
	for i := len(swaps) - 1; i >= 0; i-- {
		if err := swaps[i].revert(); err != nil && failed == nil {
			failed = &Error{Path: swaps[i].path, Problem: NotRestored, Err: err}
		}
	}
	discard(swaps)
	return failed
}

// discard removes what was put beside the files.
func discard(swaps []*swap) {
	for _, w := range swaps {
		w.discard()
	}
}

// finish removes the old files: from here on the record has them.
func finish(swaps []*swap) {
	for _, w := range swaps {
		w.finish()
	}
}

// Undoing is a record that is to be taken back.
type Undoing struct {
	Record *Record
	// Changes are the files that have the new content now. Those that have the
	// old one already, after a change that was broken off, are not among them.
	Changes []Change
}

// Undo finds out what taking a record back changes. It is refused with an
// [*Error] when a file is neither what was written nor what was there before.
func (s *Store) Undo(r *Record) (u *Undoing, err error) {
	u = &Undoing{Record: r}
	for _, k := range r.Files {
		f, err := Open(k.Path)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				err = &Error{Path: k.Path, Problem: Changed, Err: err}
			}
			return nil, err
		}
		switch {
		case f.Path != k.Path:
			return nil, &Error{Path: k.Path, Problem: Changed}
		case bytes.Equal(f.Data, k.After):
			u.Changes = append(u.Changes, Change{File: f, Data: k.Before})
		case !bytes.Equal(f.Data, k.Before):
			return nil, &Error{Path: k.Path, Problem: Changed}
		}
	}
	return u, nil
}

// Revert takes a record back and forgets it: all files, or none and it returns
// an [*Error].
func (s *Store) Revert(u *Undoing) error {
	return s.as(func() error {
		var swaps []*swap
		for _, c := range u.Changes {
			temp := ""
			for _, k := range u.Record.Files {
				if k.Path == c.File.Path {
					temp = k.Temp
				}
			}
			swaps = append(swaps, &swap{path: c.File.Path, temp: temp, was: c.File.was, from: c.File.Data, to: c.Data, tell: s.tell, plainly: s.plainly})
		}
		for _, k := range u.Record.Files {
			sweep(k) // what a change that was broken off has left
		}
		if err := exchange(swaps); err != nil {
			return err
		}
		finish(swaps)
		s.tell("forget the record")
		if err := s.forget(u.Record); err != nil {
			return &Error{Path: s.path(u.Record), Problem: NotRestored, Err: err}
		}
		return nil
	})
}
