//go:build !linux

package edit

import (
	"errors"
	"io/fs"
)

// identity is which file it is, whatever its name.
type identity struct{}

func identify(fs.FileInfo) identity { return identity{} }

func ownedBy(fs.FileInfo, int) bool { return true }

// Supported reports whether files can be changed on this system.
func Supported() bool { return false }

func obstacle(string, fs.FileInfo) (Problem, error) { return 0, nil }

// swap refuses: what a file has beside its content cannot be kept here yet.
type swap struct {
	path, temp string
	was        identity
	from, to   []byte
	tell       func(string)
	plainly    bool
}

func (w *swap) prepare() error {
	return &Error{Path: w.path, Problem: Unsupported, Err: errors.ErrUnsupported}
}
func (w *swap) commit() error { return w.prepare() }
func (w *swap) revert() error { return nil }
func (w *swap) discard()      {}
func (w *swap) finish()       {}

func sweep(Kept) {}
