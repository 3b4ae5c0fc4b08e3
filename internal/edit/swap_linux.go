package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is which file it is, whatever its name.
type identity struct{ dev, ino uint64 }

func identify(info fs.FileInfo) identity {
	st := info.Sys().(*syscall.Stat_t)
	return identity{st.Dev, st.Ino}
}

func ownedBy(info fs.FileInfo, uid int) bool { return int(info.Sys().(*syscall.Stat_t).Uid) == uid }

// Supported reports whether files can be changed on this system.
func Supported() bool { return true }

// obstacle says what keeps a regular file from being changed, 0 for nothing.
func obstacle(path string, info fs.FileInfo) (Problem, error) {
	st := info.Sys().(*syscall.Stat_t)
	if st.Nlink > 1 {
		return HardLink, fmt.Errorf("it has %d names", st.Nlink)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return ReadOnly, err
	}
	if err := unix.Faccessat(unix.AT_FDCWD, filepath.Dir(path), unix.W_OK|unix.X_OK|unix.R_OK, unix.AT_EACCESS); err != nil {
		return ClosedDir, err
	}
	if uid := os.Geteuid(); uid != 0 && int(st.Uid) != uid {
		return NotOwner, fmt.Errorf("it belongs to user %d", st.Uid)
	}
	return flagged(path), nil
}

// flagged tells a file that is protected against changes or mounted by itself.
// Where a kernel or a sandbox has no statx(2), the change itself will tell.
func flagged(path string) Problem {
	var sx unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &sx)
	switch {
	case err != nil:
	case sx.Attributes&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0:
		return Immutable
	case sx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0:
		return MountPoint
	}
	return 0
}

// swap is a file on its way to another content. All names are looked up in its
// directory, which is held open: nobody can lead them elsewhere.
type swap struct {
	path, temp string
	was        identity
	from, to   []byte
	tell       func(string)

	dir      *os.File
	old, new *os.File // the two files, whatever their names
	state    state
	// plainly renames instead of exchanging, for file systems that cannot.
	plainly bool
}

// state is how far a swap has come.
type state uint8

const (
	untouched state = iota
	prepared        // the new file lies beside the old one
	exchanged       // they have changed places
	renamed         // the new one is in place, the old one is gone
)

func (w *swap) base() string { return filepath.Base(w.path) }

func (w *swap) fail(p Problem, err error) error { return &Error{Path: w.path, Problem: p, Err: err} }

func (w *swap) open(name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(w.dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(filepath.Dir(w.path), name), Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// prepare writes the new file, with everything that the old one has.
func (w *swap) prepare() (err error) {
	if w.dir, err = os.OpenFile(filepath.Dir(w.path), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
		return w.fail(Changed, err)
	}
	w.tell("compare " + w.base())
	if w.old, err = w.open(w.base(), unix.O_RDONLY, 0); err != nil {
		return w.fail(Changed, err)
	}
	if err := w.unchanged(); err != nil {
		return err
	}
	w.tell("create beside " + w.base())
	if w.new, err = w.open(w.temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600); err != nil {
		return w.fail(NotWritten, err)
	}
	w.state = prepared
	w.tell("write beside " + w.base())
	if _, err := w.new.Write(w.to); err != nil {
		return w.fail(NotWritten, err)
	}
	w.tell("dress " + w.base())
	if err := dress(w.new, w.old); err != nil {
		return w.fail(NoMetadata, err)
	}
	if err := w.new.Sync(); err != nil {
		return w.fail(NotWritten, err)
	}
	return nil
}

// unchanged compares the old file with what was read.
func (w *swap) unchanged() error {
	info, err := w.old.Stat()
	if err != nil {
		return w.fail(Changed, err)
	}
	if identify(info) != w.was {
		return w.fail(Changed, nil)
	}
	if !info.Mode().IsRegular() {
		return w.fail(NotRegular, nil)
	}
	if n := info.Sys().(*syscall.Stat_t).Nlink; n > 1 {
		return w.fail(HardLink, fmt.Errorf("it has %d names", n))
	}
	if _, err := w.old.Seek(0, 0); err != nil {
		return w.fail(Changed, err)
	}
	data, err := readAll(w.old)
	if err != nil {
		return w.fail(Changed, err)
	}
	if !bytes.Equal(data, w.from) {
		return w.fail(Changed, nil)
	}
	return nil
}

// commit puts the new file in the place of the old one.
func (w *swap) commit() error {
	if err := w.unchanged(); err != nil {
		return err
	}
	w.tell("exchange " + w.base())
	fd := int(w.dir.Fd())
	err := unix.ENOSYS
	if !w.plainly {
		err = errno(unix.Renameat2(fd, w.temp, fd, w.base(), unix.RENAME_EXCHANGE))
	}
	switch {
	case err == unix.ENOSYS || err == unix.EINVAL || err == unix.EOPNOTSUPP:
		if err := w.rename(); err != nil {
			return err
		}
	case err != 0:
		return w.fail(NotWritten, err)
	default:
		w.state = exchanged
		// What has come out has to be what was read; else somebody was faster.
		if !w.isNow(w.temp, w.old) || !w.isNow(w.base(), w.new) {
			return w.fail(Changed, nil)
		}
		if err := w.unchanged(); err != nil {
			return err
		}
	}
	w.tell("flush the directory of " + w.base())
	if err := w.dir.Sync(); err != nil {
		return w.fail(NotWritten, err)
	}
	return nil
}

// rename is commit where the file system cannot exchange two names, such as NFS.
// Whoever saves the file between the comparison and this step loses.
func (w *swap) rename() error {
	if !w.isNow(w.base(), w.old) {
		return w.fail(Changed, nil)
	}
	fd := int(w.dir.Fd())
	if err := unix.Renameat(fd, w.temp, fd, w.base()); err != nil {
		return w.fail(NotWritten, err)
	}
	w.state = renamed
	return nil
}

func errno(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return e
	}
	return unix.EIO
}

// isNow reports whether a name stands for an open file.
func (w *swap) isNow(name string, file *os.File) bool {
	var named, open unix.Stat_t
	err := errors.Join(unix.Fstatat(int(w.dir.Fd()), name, &named, unix.AT_SYMLINK_NOFOLLOW), unix.Fstat(int(file.Fd()), &open))
	return err == nil && named.Dev == open.Dev && named.Ino == open.Ino
}

// revert puts the old file back where the new one was put in its place.
func (w *swap) revert() error {
	switch w.state {
	case exchanged:
		w.tell("exchange back " + w.base())
		if !w.isNow(w.base(), w.new) {
			return errors.New("somebody has replaced it since")
		}
		fd := int(w.dir.Fd())
		if err := unix.Renameat2(fd, w.temp, fd, w.base(), unix.RENAME_EXCHANGE); err != nil {
			return err
		}
		w.state = prepared
		return w.dir.Sync()
	case renamed:
		back := &swap{path: w.path, temp: w.temp, from: w.to, to: w.from, tell: w.tell, plainly: true}
		info, err := w.new.Stat()
		if err != nil {
			return err
		}
		back.was = identify(info)
		defer back.discard()
		if err := back.prepare(); err != nil {
			return err
		}
		if err := back.commit(); err != nil {
			return err
		}
		w.state = untouched
	}
	return nil
}

// discard removes the new file that did not get into place.
func (w *swap) discard() {
	if w.state == prepared && w.isNow(w.temp, w.new) {
		_ = unix.Unlinkat(int(w.dir.Fd()), w.temp, 0) // it harms nobody, and undo removes it
	}
	if w.state == prepared {
		w.state = untouched
	}
	w.close()
}

// finish removes the old file after the new one has its place.
func (w *swap) finish() {
	if w.state == exchanged && w.isNow(w.temp, w.old) {
		w.tell("remove the old " + w.base())
		_ = unix.Unlinkat(int(w.dir.Fd()), w.temp, 0) // it harms nobody, and undo removes it
	}
	w.close()
}

func (w *swap) close() {
	for _, f := range []*os.File{w.dir, w.old, w.new} {
		if f != nil {
			f.Close()
		}
	}
}

// sweep removes what a change that was broken off has left beside a file: only
// what has one of the two contents of the record, or has begun to.
func sweep(k Kept) {
	w := &swap{path: k.Path, temp: k.Temp}
	var err error
	if w.dir, err = os.OpenFile(filepath.Dir(k.Path), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
		return
	}
	defer w.close()
	if w.new, err = w.open(k.Temp, unix.O_RDONLY, 0); err != nil {
		return
	}
	info, err := w.new.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	data, err := readAll(w.new)
	if err != nil || !bytes.HasPrefix(k.Before, data) && !bytes.HasPrefix(k.After, data) {
		return
	}
	w.state = prepared
	w.discard()
}
