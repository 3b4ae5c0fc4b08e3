package edit

import (
	"os"

	"golang.org/x/sys/unix"
)

// actingUser is whose rights over files the calling thread has: those of the
// effective user, unless [Store.As] has given it others.
func actingUser() int {
	if uid, err := unix.SetfsuidRetUid(-1); err == nil {
		return uid
	}
	return os.Geteuid()
}
