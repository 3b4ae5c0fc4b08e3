package lease

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
)

// WorkTree returns the root of the git work tree that dir is in, else dir
// itself, as an absolute path without symbolic links. A second work tree of the
// same repository, and a submodule, is one of its own.
func WorkTree(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if isWorkTree(at) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return dir, nil
		}
	}
}

// isWorkTree reports whether dir has a repository, or the file that leads to one
// elsewhere. An empty .git is neither (gitrepository-layout(5)).
func isWorkTree(dir string) bool {
	dot := filepath.Join(dir, ".git")
	info, err := os.Stat(dot)
	if err != nil {
		return false
	}
	if info.IsDir() {
		_, err := os.Lstat(filepath.Join(dot, "HEAD"))
		return err == nil
	}
	if !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(dot)
	if err != nil {
		return false
	}
	defer f.Close()
	const lead = "gitdir: "
	head := make([]byte, len(lead))
	_, err = io.ReadFull(f, head)
	return err == nil && bytes.Equal(head, []byte(lead))
}
