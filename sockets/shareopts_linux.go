package sockets

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// shareOptions reads the options of a process's socket.
func shareOptions(pid int, inode uint64) (reuseAddr, reusePort, ok bool) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, false, false
	}
	defer unix.Close(process)
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		return false, false, false
	}
	want := fmt.Sprintf("socket:[%d]", inode)
	for _, e := range names {
		if link, err := os.Readlink(dir + "/" + e.Name()); err != nil || link != want {
			continue
		}
		theirs, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		fd, err := unix.PidfdGetfd(process, theirs, 0)
		if err != nil {
			return false, false, false
		}
		addr, port, err := optionsOf(fd, inode)
		unix.Close(fd)
		if err == nil {
			return addr, port, true
		}
	}
	return false, false, false
}

// optionsOf reads the options of a descriptor that has to be the socket: its
// number may have been given to another file since.
func optionsOf(fd int, inode uint64) (reuseAddr, reusePort bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, false, err
	}
	if st.Ino != inode || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return false, false, unix.ENOTSOCK
	}
	addr, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR)
	if err != nil {
		return false, false, err
	}
	port, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	return addr != 0, port != 0, err
}
