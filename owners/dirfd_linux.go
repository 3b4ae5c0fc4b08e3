package owners

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// dirFD is an open directory. Files are reached from it by relative names, so
// that a directory of /proc stays that of the same process. It is not an
// *os.File because thousands are opened, and the runtime's poller and finalizer
// cost more than the call.
type dirFD int

// openDirectory opens the directory at path for reading.
func openDirectory(path string) (dirFD, error) { return dirFD(unix.AT_FDCWD).openDir(path) }

func (d dirFD) openDir(name string) (dirFD, error) {
	return d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
}

// openPath opens a directory only as a place to start from.
func (d dirFD) openPath(name string) (dirFD, error) {
	return d.open(name, unix.O_PATH|unix.O_DIRECTORY)
}

func (d dirFD) open(name string, flags int) (dirFD, error) {
	for {
		fd, err := unix.Openat(int(d), name, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if !errors.Is(err, unix.EINTR) {
			return dirFD(fd), err
		}
	}
}

func (d dirFD) close() { unix.Close(int(d)) }

// read returns at most limit bytes of a regular file.
func (d dirFD) read(name string, limit int) ([]byte, error) {
	fd, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer fd.close()
	b := make([]byte, 0, min(limit, 4096))
	for {
		if len(b) == limit {
			return b, nil
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := unix.Read(int(fd), b[len(b):min(cap(b), limit)])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case n == 0:
			return b, nil
		default:
			b = b[:len(b)+n]
		}
	}
}

// link returns where a symbolic link points; "" if it cannot be read.
func (d dirFD) link(name string) string {
	var small [256]byte
	n, err := unix.Readlinkat(int(d), name, small[:])
	if err != nil || n < 0 {
		return ""
	}
	if n < len(small) {
		return string(small[:n])
	}
	large := make([]byte, unix.PathMax)
	if n, err = unix.Readlinkat(int(d), name, large); err != nil || n < 0 {
		return ""
	}
	return string(large[:n])
}

// isProcfs reports whether d is in the kernel's process file system.
func (d dirFD) isProcfs() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(d), &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

// numbers returns the names in d that are numbers: processes, or threads.
func (d dirFD) numbers() ([]int, error) {
	var list []int
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.ReadDirent(int(d), buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			return list, nil
		}
		for rest := buf[:n]; len(rest) > 0; {
			name, size := dirent(rest)
			if size == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			rest = rest[size:]
			if pid := parsePID(name); pid != 0 {
				list = append(list, pid)
			}
		}
	}
}

// regular returns at most limit bytes of a file, of a regular one only: to open
// a FIFO can wait for ever, and to open a device can do anything.
func (d dirFD) regular(name string, limit int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(d), name, &st, 0); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, unix.EINVAL
	}
	return d.read(name, limit)
}
