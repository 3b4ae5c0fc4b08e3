package lease

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// actAs runs do on a thread whose file accesses are those of f's user: what root
// creates there belongs to the user, and no link that the user has put in the
// way leads root to a file that is not the user's. The thread does nothing else:
// it ends with do, and its rights with it.
func actAs(f *File, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		done <- func() error {
			if err := become(f.as); err != nil {
				return f.problem(NoUser, err)
			}
			return do()
		}()
	}()
	return <-done
}

// become changes the file system ids of the calling thread. That takes away its
// capabilities over files, too (capabilities(7), "Effect of user ID changes").
func become(u *user) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	if err := setID(unix.SetfsgidRetGid, u.gid); err != nil {
		return err
	}
	return setID(unix.SetfsuidRetUid, u.uid)
}

// setID calls setfsuid(2) or setfsgid(2). They report no failure but return the
// id before; asked for an id that cannot be, they tell the one now.
func setID(set func(int) (int, error), id int) error {
	if _, err := set(id); err != nil {
		return err
	}
	if now, err := set(-1); err != nil || now != id {
		return fmt.Errorf("cannot act as id %d", id)
	}
	return nil
}
