package claims

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path"
	"sync/atomic"
	"unicode/utf16"

	"github.com/monban-dev/monban"
)

// The limits of one reading. They are far above what real configurations have:
// the largest one known is HAProxy's of 3 MB, generated.
const (
	maxFile  = 4 << 20
	maxFiles = 20_000
	maxDepth = 16
	maxWalk  = 64 // directories below the one asked for; node_modules was the deepest known, at 30
)

// files opens the files of one reading and counts them. It is used by many
// scans at once.
type files struct {
	place  Place
	opened atomic.Int32
	// roots are the directories that are walked: whole projects.
	roots []string
}

// Files returns the tree below a directory of this machine, for [Place.FS]. On
// Linux its files are read with fewer system calls than those of [os.DirFS].
func Files(root string) fs.FS { return filesOf(root) }

// load returns the text of a regular file. met says that it was one a moment ago.
func (f *files) load(name string, met bool) ([]byte, *Error) {
	fail := func(problem Problem, text string) ([]byte, *Error) {
		return nil, &Error{Pos: monban.Pos{File: f.place.shown(name)}, Problem: problem, Text: text}
	}
	if f.opened.Add(1) > maxFiles {
		return fail(TooMany, name)
	}
	var data []byte
	var problem Problem
	var text string
	ok := false
	if met {
		data, problem, text, ok = f.loadMet(name)
	}
	if !ok {
		data, problem, text = f.loadAsked(name)
	}
	switch {
	case problem != 0:
		return fail(problem, text)
	case len(data) > maxFile:
		return fail(TooLarge, name)
	case isUTF16(data) && wideReaders(name):
		return fromUTF16(data), nil
	case isUTF16(data):
		return fail(UTF16, name)
	}
	return withoutBOM(data), nil
}

func isUTF16(data []byte) bool {
	return len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff)
}

// wideReaders reports whether the programs that read files of such a name take
// UTF-16 as well as UTF-8: YAML and XML have to (YAML 1.2.2 section 5.2, XML 1.0
// section 4.3.3).
func wideReaders(name string) bool {
	switch path.Ext(name) {
	case ".yml", ".yaml", ".xml", ".config":
		return true
	}
	return false
}

// fromUTF16 returns a text without its byte order mark in UTF-8. What is no
// character becomes U+FFFD, as everywhere.
func fromUTF16(data []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 0xfe {
		order = binary.BigEndian
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return []byte(string(utf16.Decode(units)))
}

// loadAsked reads a file that may be anything: that is asked before opening, for
// to open a pipe would wait for its writer.
func (f *files) loadAsked(name string) (data []byte, problem Problem, text string) {
	info, err := fs.Stat(f.place.FS, name)
	switch {
	case err != nil:
		problem, text = openProblem(err)
		return nil, problem, text
	case !info.Mode().IsRegular():
		return nil, NotRegular, name
	case info.Size() > maxFile:
		return nil, TooLarge, name
	}
	file, err := f.place.FS.Open(name)
	if err == nil {
		defer file.Close()
		data, err = appendAll(make([]byte, 0, info.Size()+1), io.LimitReader(file, maxFile+1))
	}
	if err != nil {
		problem, text = openProblem(err)
	}
	return data, problem, text
}

// appendAll is io.ReadAll into a buffer that has the file's size already: most
// files then cost one read and one allocation.
func appendAll(data []byte, r io.Reader) ([]byte, error) {
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}

// withoutBOM drops the byte order mark that Windows editors write.
func withoutBOM(data []byte) []byte {
	if len(data) >= 3 && data[0] == 0xef && data[1] == 0xbb && data[2] == 0xbf {
		return data[3:]
	}
	return data
}

func openProblem(err error) (Problem, string) {
	if errors.Is(err, fs.ErrNotExist) {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			return Missing, pathErr.Path
		}
		return Missing, err.Error()
	}
	return Unreadable, err.Error()
}

// exists reports whether a name is there, as anything.
func (f *files) exists(name string) bool {
	_, err := fs.Stat(f.place.FS, name)
	return err == nil
}

// dir returns the names in a directory, in their order; false when it is none.
func (f *files) dir(name string) ([]string, bool) {
	info, err := fs.Stat(f.place.FS, name)
	if err != nil || !info.IsDir() {
		return nil, false
	}
	entries, err := fs.ReadDir(f.place.FS, name)
	if err != nil {
		return nil, true
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, true
}
