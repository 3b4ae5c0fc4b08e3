//go:build unix

package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFile opens a file itself and never what a symbolic link points to.
// O_NONBLOCK keeps a FIFO from holding us up.
func openFile(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
}

// opening tells a symbolic link in the place of the file from other failures.
func opening(err error) Problem {
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENXIO) {
		return Refused
	}
	return NotRead
}

// acquire opens the file, which it creates where it is missing, and takes its
// lock. A lock is on a file and not on a name: where the file was replaced
// meanwhile, the new one's lock counts.
func (f *File) acquire(ctx context.Context) (held, error) {
	for {
		file, err := openFile(f.path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			if p := opening(err); p == Refused {
				return held{}, f.problem(p, err)
			}
			return held{}, f.problem(NotSaved, err)
		}
		if err := f.lock(ctx, file); err != nil {
			return held{}, err
		}
		if stillNamed(file, f.path) {
			return held{file, file}, nil
		}
		file.Close()
	}
}

// lock takes the lock of an open file, or closes the file. It sleeps in the
// kernel: 64 callers that ask again every few milliseconds leave nothing of two
// processors to the one who has the lock. A stopped program that holds it is an
// error all the same, and not a hang.
func (f *File) lock(ctx context.Context, file *os.File) error {
	fd := int(file.Fd())
	done := make(chan error, 1)
	go func() {
		err := unix.Flock(fd, unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(fd, unix.LOCK_EX)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			file.Close()
			return f.problem(NotRead, fmt.Errorf("flock: %w", err))
		}
		return nil
	case <-ctx.Done():
		go func() {
			<-done //nolint:errcheck // if the lock comes after all, the close gives it back
			file.Close()
		}()
		return f.problem(Busy, ctx.Err())
	}
}

func stillNamed(file *os.File, path string) bool {
	a, err := file.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// trust checks that nobody else could have written the file: it is a regular
// file of the user's, with one name, in a directory that others cannot write to.
func (f *File) trust(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := regular(info); err != nil {
		return err
	}
	uid := os.Geteuid()
	if f.as != nil {
		uid = f.as.uid
	}
	st := info.Sys().(*syscall.Stat_t)
	switch {
	case int(st.Uid) != uid:
		return fmt.Errorf("belongs to user %d, not %d", st.Uid, uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to it: mode %#o", info.Mode().Perm())
	case st.Nlink > 1:
		return fmt.Errorf("has %d names", st.Nlink)
	}
	dir, err := os.Stat(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	if owner := int(dir.Sys().(*syscall.Stat_t).Uid); owner != uid && owner != 0 || dir.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("its directory belongs to user %d, mode %#o", owner, dir.Mode().Perm())
	}
	return nil
}

func replace(from, to string) error { return os.Rename(from, to) }

// rootOnly reports whether root can work at path without being led elsewhere:
// every directory on the way is root's, and others cannot put anything in the
// place of what is root's. What does not exist yet, root will make.
func rootOnly(path string) bool {
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		switch {
		case err == nil:
			mode := info.Mode()
			if info.Sys().(*syscall.Stat_t).Uid != 0 || !info.IsDir() || mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
				return false
			}
		case !errors.Is(err, os.ErrNotExist):
			return false
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}
