//go:build unix

package edit

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPrivate opens a file itself and never what a symbolic link points to.
// O_NONBLOCK keeps a FIFO from holding us up. A new file is its user's only.
func openPrivate(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
}

// trust checks that nobody else could have written a record: what it says is
// written to files.
func trust(file *os.File, dir string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	uid := actingUser()
	st := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("not a regular file: %v", info.Mode().Type())
	case int(st.Uid) != uid:
		return fmt.Errorf("belongs to user %d, not %d", st.Uid, uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to it: mode %#o", info.Mode().Perm())
	case st.Nlink > 1:
		return fmt.Errorf("has %d names", st.Nlink)
	}
	at, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if owner := int(at.Sys().(*syscall.Stat_t).Uid); !at.IsDir() || owner != uid || at.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("its directory belongs to user %d, mode %#o", owner, at.Mode().Perm())
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func isNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }
