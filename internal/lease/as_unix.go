//go:build unix && !linux

package lease

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// actAs runs do as f's user. Without the file system ids of Linux, the whole
// process is that user for a moment.
func actAs(f *File, do func() error) (err error) {
	gid := os.Getegid()
	if err := unix.Setegid(f.as.gid); err != nil {
		return f.problem(NoUser, err)
	}
	defer func() { err = errors.Join(err, unix.Setegid(gid)) }()
	if err := unix.Seteuid(f.as.uid); err != nil {
		return f.problem(NoUser, err)
	}
	defer func() { err = errors.Join(err, unix.Seteuid(0)) }()
	return do()
}
