package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

func (v *view) read(parts Parts) {
	f := files{root: root(), getenv: os.Getenv, ownsNet: ownsNet, uname: uname, effective: effective, mounted: mounted}
	if !f.identity(v) {
		return
	}
	if parts.has(Ranges) {
		f.ranges(v)
	}
	if parts.has(Caps) {
		f.caps(v)
	}
	if parts.has(Network) {
		f.strangers(v)
		f.network(v)
	}
	if parts.has(Person) {
		f.person(v)
	}
}

// ownsNet tells whether the network namespace of this thread belongs to its user
// namespace (ioctl_ns(2)).
func ownsNet() monban.Flag {
	net, err := os.Open("/" + self + "ns/net")
	if err != nil {
		return monban.FlagUnknown
	}
	defer net.Close()
	fd, err := unix.IoctlRetInt(int(net.Fd()), unix.NS_GET_USERNS)
	switch {
	case errors.Is(err, unix.EPERM): // it belongs to a user namespace further out
		return monban.Off
	case err != nil:
		return monban.FlagUnknown
	}
	defer unix.Close(fd)
	var owner, own unix.Stat_t
	if unix.Fstat(fd, &owner) != nil || unix.Stat("/"+self+"ns/user", &own) != nil {
		return monban.FlagUnknown
	}
	return monban.FlagOf(owner.Dev == own.Dev && owner.Ino == own.Ino)
}

// mounted tells whether something is mounted at name, below the root directory
// (STATX_ATTR_MOUNT_ROOT, since Linux 5.8).
func mounted(name string) monban.Flag {
	var x unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, "/"+name, unix.AT_SYMLINK_NOFOLLOW, 0, &x)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return monban.Off
	case err != nil, x.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0:
		return monban.FlagUnknown
	}
	return monban.FlagOf(x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0)
}

func uname() (name, release string, err error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", "", os.NewSyscallError("uname", err)
	}
	return unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Release[:]), nil
}

// effective asks for the capabilities of the calling thread.
func effective() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // the lower 32 bits and the upper
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, os.NewSyscallError("capget", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}
