//go:build !unix && !windows

package lease

import (
	"context"
	"errors"
	"os"
)

func openFile(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, 0o600) }

func opening(error) Problem { return NotRead }

// acquire refuses: without a lock two callers would get the same port.
func (f *File) acquire(context.Context) (held, error) {
	return held{}, f.problem(Unsupported, errors.ErrUnsupported)
}

func (f *File) trust(*os.File) error { return nil }

func replace(from, to string) error { return os.Rename(from, to) }

func actAs(f *File, _ func() error) error { return f.problem(Unsupported, errors.ErrUnsupported) }

func rootOnly(string) bool { return false }
