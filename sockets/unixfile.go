package sockets

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FileState is what became of the file of a Unix domain socket.
type FileState uint8

// The states.
const (
	FileUnknown  FileState = iota // it could not be found out
	FileMissing                   // there is no such file
	FileForeign                   // it is a file of another kind
	FileInUse                     // a socket of this network namespace is bound to it
	FileLeftOver                  // no socket of this network namespace is bound to it
)

// UnixFile says whether a socket is bound to the file at path, and its inode in
// the kernel's sockfs. It connects to nothing: whoever listens there would notice.
// Programs of another network namespace that share the file are out of sight.
// Only Linux tells; elsewhere a socket's file is FileUnknown.
func UnixFile(path string) (FileState, uint64) {
	info, err := os.Lstat(path)
	switch {
	case os.IsNotExist(err):
		return FileMissing, 0
	case err != nil:
		return FileUnknown, 0
	case info.Mode().Type() != os.ModeSocket:
		return FileForeign, 0
	}
	table, err := os.Open("/proc/net/unix")
	if err != nil {
		return FileUnknown, 0
	}
	defer table.Close()
	return boundTo(table, path, info)
}

// boundTo looks for the file in the kernel's table, which has the names that were
// given to bind(2): another path to the file is another name, and a relative one
// may be any file that is called so.
func boundTo(table io.Reader, path string, info os.FileInfo) (FileState, uint64) {
	state := FileLeftOver
	sc := bufio.NewScanner(table)
	sc.Scan() // the heading
	for sc.Scan() {
		inode, name, ok := unixRow(sc.Text())
		if !ok || filepath.Base(name) != filepath.Base(path) {
			continue
		}
		if !filepath.IsAbs(name) {
			state = FileUnknown
			continue
		}
		if other, err := os.Lstat(name); err == nil && os.SameFile(other, info) {
			return FileInUse, inode
		}
	}
	if sc.Err() != nil {
		return FileUnknown, 0
	}
	return state, 0
}

// unixRow reads "Num: RefCount Protocol Flags Type St Inode Path" (unix_seq_show).
// An abstract name begins with "@" and has no file.
func unixRow(row string) (inode uint64, name string, ok bool) {
	const columns = 7
	rest := row
	var word string
	for range columns {
		rest = strings.TrimLeft(rest, " ")
		word, rest, _ = strings.Cut(rest, " ")
	}
	inode, err := strconv.ParseUint(word, 10, 64)
	return inode, rest, err == nil && rest != "" && rest[0] != '@'
}
