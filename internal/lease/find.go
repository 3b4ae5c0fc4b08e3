package lease

import (
	"errors"
	"fmt"
	"os"
	osuser "os/user"
	"path/filepath"
	"runtime"
	"strconv"
)

// rootFile is where root's own leases are: they are the machine's.
const rootFile = "/var/lib/monban/leases"

// Find returns the file of the user who runs the program; getenv looks up the
// environment. It is $XDG_STATE_HOME/monban/leases, or
// ~/.local/state/monban/leases; on Windows %LocalAppData%\monban\leases; root's is
// /var/lib/monban/leases unless XDG_STATE_HOME names a place that nobody but root
// can change. Under sudo it is the invoking user's, by SUDO_UID and
// the user database, and everything is done with that user's rights. Find only
// looks for the place: it opens nothing there.
func Find(getenv func(string) string) (*File, error) {
	return find(getenv, os.Geteuid(), osuser.LookupId, rootOnly)
}

func find(getenv func(string) string, euid int, lookup func(uid string) (*osuser.User, error), rootOnly func(string) bool) (*File, error) {
	if runtime.GOOS == "windows" {
		if dir := getenv("LocalAppData"); filepath.IsAbs(dir) {
			return &File{path: filepath.Join(dir, "monban", "leases")}, nil
		}
		return nil, &Error{Problem: NoHome, Err: errors.New("LocalAppData is not set")}
	}
	home, state := getenv("HOME"), getenv("XDG_STATE_HOME")
	var as *user
	if euid == 0 {
		invoker := getenv("SUDO_UID")
		if invoker == "" || invoker == "0" {
			if filepath.IsAbs(state) && rootOnly(state) {
				return At(filepath.Join(state, "monban", "leases")), nil
			}
			return &File{path: rootFile, shared: true}, nil
		}
		u, err := lookup(invoker)
		if err != nil {
			return nil, &Error{Problem: NoUser, Err: err}
		}
		if as, err = parseUser(u); err != nil {
			return nil, &Error{Problem: NoUser, Err: err}
		}
		home = u.HomeDir // HOME may be root's: sudo's policy decides
	}
	if filepath.IsAbs(state) {
		return &File{path: filepath.Join(state, "monban", "leases"), as: as}, nil
	}
	if !filepath.IsAbs(home) {
		return nil, &Error{Problem: NoHome, Err: fmt.Errorf("%q is no home directory", home)}
	}
	return &File{path: filepath.Join(home, ".local", "state", "monban", "leases"), as: as}, nil
}

func parseUser(u *osuser.User) (*user, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("user id %q", u.Uid)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("group id %q", u.Gid)
	}
	return &user{int(uid), int(gid)}, nil
}
