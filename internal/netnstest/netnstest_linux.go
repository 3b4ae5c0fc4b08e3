package netnstest

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// self is the namespace of the calling thread: a link to "net:[4026532201]", the
// inode by which the kernel tells network namespaces apart.
const self = "/proc/thread-self/ns/net"

func unprivileged(err error) bool { return errors.Is(err, unix.EPERM) }

func isFirstThread() bool { return unix.Gettid() == unix.Getpid() }

// create makes a namespace by letting a thread leave the host's. The thread
// ends at once; the open file stays.
func create(t testing.TB) (*NS, error) {
	ns := &NS{t: t}
	err := onThread(func() (err error) {
		if ns.host, err = os.Readlink(self); err != nil {
			return err
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
		}
		if ns.id, err = os.Readlink(self); err != nil {
			return err
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		ns.file, err = os.Open(self)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ns, nil
}

// enter moves the calling thread into the namespace, and proves that it is
// there.
func (ns *NS) enter() error {
	raw, err := ns.file.SyscallConn()
	if err != nil {
		return err
	}
	var errSet error
	if err := raw.Control(func(fd uintptr) { errSet = unix.Setns(int(fd), unix.CLONE_NEWNET) }); err != nil {
		return err
	}
	if errSet != nil {
		return fmt.Errorf("setns: %w", errSet)
	}
	switch id, err := os.Readlink(self); {
	case err != nil:
		return err
	case id != ns.id || id == ns.host:
		return fmt.Errorf("the thread is in %s, not in %s", id, ns.id)
	}
	return nil
}

// loopbackUp takes lo up, whereupon the kernel gives it 127.0.0.1/8 and ::1/128.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("taking lo up: %w", err)
	}
	return nil
}
