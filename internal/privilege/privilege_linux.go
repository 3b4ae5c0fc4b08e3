package privilege

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func keep(list []Capability) error {
	var mask [2]uint32
	for _, c := range list {
		mask[c/32] |= 1 << (c % 32)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	more := false
	for i := range have {
		h := &have[i]
		more = more || (h.Permitted|h.Inheritable)&^mask[i] != 0
		h.Permitted &= mask[i]
		h.Effective &= mask[i]
		h.Inheritable = 0 // and with it the ambient ones
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
	return everywhere("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&have[0])), 0)
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
