package guard

import (
	"errors"
	"fmt"
	"io/fs"
)

// UntrustedError says that somebody else could change a file whose word counts.
type UntrustedError struct {
	Path string // the file, or the directory that it lies in
	Mode fs.FileMode
	UID  int // its owner
}

// Error implements error.
func (e *UntrustedError) Error() string {
	return fmt.Sprintf("%s: others may write (mode %04o, owner %d)", e.Path, e.Mode, e.UID)
}

// Errors of the steps.
var (
	// ErrSameSession says that the policy on trial was to be confirmed over the
	// connection that put it there, which proves nothing about new ones.
	ErrSameSession = errors.New("this is the connection that put the policy on trial")
	// ErrOldSession says that it was over another connection from before the trial,
	// which proves nothing either.
	ErrOldSession = errors.New("this connection was there before the trial")
	// ErrInsideSession says that it was over a connection from this machine itself,
	// which every policy lets in.
	ErrInsideSession = errors.New("this connection comes from this machine itself")
	// ErrUnclearSession says that it may be a connection from before the trial.
	ErrUnclearSession = errors.New("this may be a connection from before the trial")
	// ErrNoRecord says that a trial runs of which there is no record.
	ErrNoRecord = errors.New("the record of the policy on trial is missing")
	// ErrTouched says that somebody changed the rules on trial.
	ErrTouched = errors.New("the rules on trial are not those that were put there")
	// ErrBusy says that another monban is putting a policy in force or keeping one.
	ErrBusy = errors.New("another monban guard is at work")
	// ErrNothingSaved says that no policy has been confirmed yet.
	ErrNothingSaved = errors.New("no policy has been confirmed")
)

// NotSavedError says that a confirmed policy is in force but not on disk.
type NotSavedError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *NotSavedError) Error() string {
	return fmt.Sprintf("in force, but not saved in %s: %v", e.Path, e.Err)
}

// Unwrap returns what the system said.
func (e *NotSavedError) Unwrap() error { return e.Err }

// LeftError says that no rule is in force any more, but that files are left by which
// the next boot would put the policy in force again.
type LeftError struct{ Err error }

// Error implements error.
func (e *LeftError) Error() string {
	return "the rules are gone, but not their files: " + e.Err.Error()
}

// Unwrap returns what the system said.
func (e *LeftError) Unwrap() error { return e.Err }
