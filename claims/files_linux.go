package claims

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// osFS is what [os.DirFS] promises to be.
type osFS interface {
	fs.StatFS
	fs.ReadDirFS
	fs.ReadLinkFS
}

// dirFS is [os.DirFS] with a shorter way to a regular file. os.Open offers each
// file to the runtime's poller, which wants none of them: that is five system
// calls of the ten that a file takes.
type dirFS struct {
	osFS
	root string
}

func filesOf(root string) fs.FS {
	tree := os.DirFS(root)
	if tree, ok := tree.(osFS); ok {
		return dirFS{tree, root}
	}
	return tree
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
