package claims

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dirFS is [os.DirFS] that takes names of any bytes, as the kernel does, and with a
// shorter way to a regular file. os.Open offers each file to the runtime's poller,
// which wants none of them: that is five system calls of the ten that a file takes.
type dirFS struct{ root string }

func filesOf(root string) fs.FS { return dirFS{root} }

// at calls an operation with the path of a name, and has its error speak of the
// name.
func at[T any](d dirFS, op, name string, do func(path string) (T, error)) (T, error) {
	if !validPath(name) {
		var none T
		return none, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	out, err := do(filepath.Join(d.root, name))
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		pathErr.Path = name
	}
	return out, err
}

// Open implements fs.FS.
func (d dirFS) Open(name string) (fs.File, error) {
	return at(d, "open", name, func(path string) (fs.File, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err // and not a *os.File that is nil
		}
		return f, nil
	})
}

// Stat implements fs.StatFS.
func (d dirFS) Stat(name string) (fs.FileInfo, error) { return at(d, "stat", name, os.Stat) }

// Lstat implements fs.ReadLinkFS.
func (d dirFS) Lstat(name string) (fs.FileInfo, error) { return at(d, "lstat", name, os.Lstat) }

// ReadLink implements fs.ReadLinkFS.
func (d dirFS) ReadLink(name string) (string, error) { return at(d, "readlink", name, os.Readlink) }

// ReadDir implements fs.ReadDirFS.
func (d dirFS) ReadDir(name string) ([]fs.DirEntry, error) {
	return at(d, "readdir", name, os.ReadDir)
}

// loadMet reads a file that the walk has met as a regular one. It is not asked
// for again by its name: if it has become a pipe since, O_NONBLOCK opens that
// without waiting, and fstat tells.
func (f *files) loadMet(name string) (data []byte, problem Problem, text string, ok bool) {
	tree, ok := f.place.FS.(dirFS)
	if !ok {
		return nil, 0, "", false
	}
	fail := func(op string, err error) ([]byte, Problem, string, bool) {
		problem, text := openProblem(&fs.PathError{Op: op, Path: name, Err: err})
		return nil, problem, text, true
	}
	fd, err := again(func() (int, error) {
		return unix.Open(filepath.Join(tree.root, name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var info unix.Stat_t
	switch err := unix.Fstat(fd, &info); {
	case err != nil:
		return fail("stat", err)
	case info.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, NotRegular, name, true
	case info.Size > maxFile:
		return nil, TooLarge, name, true
	}
	for data = make([]byte, 0, info.Size+1); ; {
		n, err := again(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		switch {
		case err != nil:
			return fail("read", err)
		case n == 0:
			return data, 0, "", true
		}
		if data = data[:len(data)+n]; len(data) > maxFile {
			return nil, TooLarge, name, true
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// again repeats a call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
