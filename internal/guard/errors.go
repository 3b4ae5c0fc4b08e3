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
	// ErrUnclearSession says that it may be that connection, or another from before
	// the trial.
	ErrUnclearSession = errors.New("this may be a connection from before the trial")
	// ErrNoRecord says that a trial runs of which there is no record.
	ErrNoRecord = errors.New("the record of the policy on trial is missing")
	// ErrTouched says that somebody changed the rules on trial.
	ErrTouched = errors.New("the rules on trial are not those that were put there")
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
