package lease

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// openFile opens a file. Links to be feared need rights on Windows that an
// ordinary user does not have; one in the place of the file is refused by trust.
func openFile(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, 0o600) }

func opening(error) Problem { return NotRead }

// acquire takes the lock of a file beside the leases, because Windows does not
// let a file be replaced while it is open, and opens the leases' content.
func (f *File) acquire(ctx context.Context) (held, error) {
	guard, err := openFile(f.path+".lock", os.O_RDWR|os.O_CREATE)
	if err != nil {
		return held{}, f.problem(NotSaved, err)
	}
	if err := f.lock(ctx, guard); err != nil {
		guard.Close()
		return held{}, err
	}
	file, err := openFile(f.path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		guard.Close()
		return held{}, f.problem(NotSaved, err)
	}
	return held{file, guard}, nil
}

func (f *File) lock(ctx context.Context, guard *os.File) error {
	for {
		const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
		err := windows.LockFileEx(windows.Handle(guard.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
		if err == nil {
			return nil
		}
		if !errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return f.problem(NotRead, err)
		}
		select {
		case <-ctx.Done():
			return f.problem(Busy, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// trust leaves it to the access rights of %LocalAppData%, which only its user
// and the administrators may write to, that nobody else wrote the file.
func (f *File) trust(*os.File) error {
	info, err := os.Lstat(f.path)
	if err != nil {
		return err
	}
	return regular(info)
}

// replace renames a file over another one. A reader keeps that from happening
// for the moment it reads.
func replace(from, to string) error {
	var err error
	for range 100 {
		if err = os.Rename(from, to); !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return err
}

func actAs(f *File, _ func() error) error { return f.problem(Unsupported, errors.ErrUnsupported) }

func rootOnly(string) bool { return false }
