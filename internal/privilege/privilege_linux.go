package privilege

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sets are the three sets of a thread, in two words each.
type sets [2]unix.CapUserData

func keep(list []Capability) error {
	have, more, err := without(list)
	if err != nil {
		return err
	}
	for i := range have {
		more = more || have[i].Inheritable != 0
		have[i].Inheritable = 0 // and with it the ambient ones
	}
	if !more {
		return nil
	}
	// Before the rest: root that executes a program has every capability again, up
	// to the bounding set, unless this is set (cap_bprm_creds_from_file in
	// security/commoncap.c).
	if err := everywhere("prctl", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return err
	}
	return have.set()
}

func lower(list []Capability) error {
	if os.Getuid() != 0 || os.Geteuid() != 0 {
		return nil
	}
	if stuck, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || stuck != 0 {
		return err
	}
	const noRoot = 1 << 0 // SECBIT_NOROOT
	if bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0); err != nil || bits&noRoot != 0 {
		return err
	}
	have, more, err := without(list)
	if err != nil || !more {
		return err
	}
	return have.set()
}

// without returns what this process has without what is not listed, and whether
// that is less. Every thread has the same.
func without(list []Capability) (have sets, less bool, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &have[0]); err != nil {
		return have, false, os.NewSyscallError("capget", err)
	}
	var mask [len(have)]uint32
	for _, c := range list {
		mask[c/32] |= 1 << (c % 32)
	}
	for i := range have {
		h := &have[i]
		less = less || h.Permitted&^mask[i] != 0
		h.Permitted &= mask[i]
		h.Effective &= mask[i]
	}
	return have, less, nil
}

func (s *sets) set() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return everywhere("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(s)), 0)
}

func supported() bool {
	return !errors.Is(everywhere("getpid", unix.SYS_GETPID, 0, 0, 0), errors.ErrUnsupported)
}

// everywhere makes a system call in every thread: each has capabilities of its own.
//
//go:uintptrescapes
func everywhere(name string, trap, a, b, c uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(trap, a, b, c, 0, 0, 0)
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return errors.ErrUnsupported
	}
	return os.NewSyscallError(name, errno)
}
