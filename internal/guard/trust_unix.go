//go:build unix

package guard

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

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
