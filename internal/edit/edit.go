package edit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFile is the size of the largest file that is changed: what package claims
// reads at most.
const maxFile = 4 << 20

// Problem is why a file is not changed.
type Problem uint8

// The problems.
const (
	NotRegular  Problem = iota + 1 // a directory, a device, a pipe
	TooLarge                       // more than 4 MiB
	HardLink                       // it has another name, which would stay as it is
	ReadOnly                       // this user may not write to it, or its file system is read-only
	NotOwner                       // somebody else's: the new file could not be given to them
	ClosedDir                      // nothing can be put into its directory
	Immutable                      // chattr +i or +a
	MountPoint                     // the file itself is mounted here, as in a container
	Changed                        // it is no longer what was read
	NoMetadata                     // owner, access list or label could not be kept
	NotWritten                     // the system refused, such as for want of space
	NotRestored                    // taken back in part: the record says what is left
	Interrupted                    // an earlier change was broken off and not taken back
	Untrusted                      // a record that somebody else could have written
	NoRecord                       // nothing to take back
	Unsupported                    // not on this system
)

var problemNames = [...]string{NotRegular: "not-regular", TooLarge: "too-large", HardLink: "hard-link", ReadOnly: "read-only", NotOwner: "not-owner",
	ClosedDir: "closed-directory", Immutable: "immutable", MountPoint: "mount-point", Changed: "changed", NoMetadata: "no-metadata",
	NotWritten: "not-written", NotRestored: "not-restored", Interrupted: "interrupted", Untrusted: "untrusted", NoRecord: "no-record", Unsupported: "unsupported"}

// String returns the machine code, such as "hard-link".
func (p Problem) String() string {
	if int(p) < len(problemNames) {
		return problemNames[p]
	}
	return ""
}

// Error says which file is not changed, and why.
type Error struct {
	Path    string
	Problem Problem
	Err     error // nil, or the system's own words
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Path, e.Problem, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Path, e.Problem)
}

// Unwrap returns what the system said.
func (e *Error) Unwrap() error { return e.Err }

// File is a file as it was when it was read.
type File struct {
	// Path is the file's own path: absolute and without symbolic links.
	Path string
	// Link is the absolute path it was asked for by, where that leads to Path
	// by a symbolic link; else "".
	Link string
	Data []byte

	info os.FileInfo
	was  identity
}

// Open reads a file that is to be changed. With an [*Error] of a file that can be
// read but not changed, the File is there all the same.
func Open(name string) (*File, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	path, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path}
	if path != abs {
		f.Link = abs
	}
	// Asked before opening: to open a pipe would wait for its writer.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Problem: NotRegular}
	case info.Size() > maxFile:
		return nil, &Error{Path: path, Problem: TooLarge}
	}
	r, err := openPrivate(path, os.O_RDONLY)
	if err != nil {
		return nil, &Error{Path: path, Problem: ReadOnly, Err: err}
	}
	defer r.Close()
	if info, err = r.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Path: path, Problem: NotRegular}
	}
	if f.Data, err = readAll(r); err != nil {
		return nil, err
	}
	f.info, f.was = info, identify(info)
	if p, err := obstacle(path, info); p != 0 {
		return f, &Error{Path: path, Problem: p, Err: err}
	}
	return f, nil
}

// Same reports whether info is of this file.
func (f *File) Same(info os.FileInfo) bool { return os.SameFile(f.info, info) }

// OwnedBy reports whether the file belongs to a user; always on systems without
// numbers for users.
func (f *File) OwnedBy(uid int) bool { return ownedBy(f.info, uid) }

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, err
}

// sum is the SHA-256 of a content, in hexadecimal.
func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// Change is a new content for a file that was read.
type Change struct {
	File *File
	Data []byte
}
