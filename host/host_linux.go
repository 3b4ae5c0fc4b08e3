package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

func (v *view) read(parts Parts) {
	f := files{root: root(), getenv: os.Getenv, ownsNet: ownsNet}
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
		f.network(v)
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
