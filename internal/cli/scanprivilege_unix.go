//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownDirectory reports whether the directory of a file is the user's own, and so can
// be written to without any privilege.
func ownDirectory(path string) bool {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode()&0o300 == 0o300
}
