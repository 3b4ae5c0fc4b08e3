//go:build unix

package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockWait is how long another run may take: it asks the kernel for one transaction
// and writes one file.
const lockWait = 10 * time.Second

// lock keeps two runs apart, which would each write down their policy and put one of
// them in force. What is locked is the directory itself, so that it works on a disk
// that is full, or read-only; it ends with the process, however that ends.
func (s Store) lock(make bool) (unlock func(), err error) {
	if make {
		if err := os.MkdirAll(s.Run, 0o755); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(s.Run)
	if errors.Is(err, fs.ErrNotExist) { // nobody has put anything on trial
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, os.NewSyscallError("flock", err)
		case time.Now().After(deadline):
			f.Close()
			return nil, fmt.Errorf("%s: %w", s.Run, ErrBusy)
		}
	}
}

// Trusted returns an [*UntrustedError] if somebody other than root and the user
// who runs monban could change the file: by writing to it, or by putting another
// in its place. A symbolic link is followed.
func Trusted(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if real, err = filepath.Abs(real); err != nil {
		return err
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if owner, ok := othersMayWrite(info); ok {
			return &UntrustedError{Path: at, Mode: info.Mode().Perm(), UID: owner}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// othersMayWrite reports whether another user may change what info is about. In a
// sticky directory, such as /tmp, nobody can replace another's file.
func othersMayWrite(info fs.FileInfo) (owner int, bad bool) {
	uid := -1
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid = int(st.Uid)
	}
	if uid != 0 && uid != os.Geteuid() {
		return uid, true
	}
	if info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		return uid, false
	}
	return uid, info.Mode().Perm()&0o022 != 0
}
