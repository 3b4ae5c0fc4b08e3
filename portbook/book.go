package portbook

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
)

//go:embed data/registry.bin
var builtinRegistry string

// Book answers what port numbers mean. Its methods may be called by several
// goroutines at once.
type Book struct {
	registry registry.Table
}

// Builtin returns the book that the program was built with.
func Builtin() *Book { return &Book{registry: registry.Trust(builtinRegistry)} }

// Open returns the builtin book with its registry layer replaced by the one in
// the file path, which [Install] has written. Practice and risk stay the builtin
// ones. A file that is not intact is an error that wraps [ErrBroken].
func Open(path string) (*Book, error) {
	blob, err := readRegular(path, maxBlob)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err // nearly always, and the error names the file
	}
	if err != nil {
		return nil, fmt.Errorf("open port book: %w", err)
	}
	table, err := registry.Verify(string(blob))
	if err != nil {
		return nil, fmt.Errorf("open port book %s: %w", path, err)
	}
	return &Book{registry: table}, nil
}

// ErrBroken means that bytes are not an intact compiled registry.
var ErrBroken = registry.ErrBroken

// maxBlob is the largest compiled registry that is read: 20 times the builtin.
const maxBlob = 16 << 20

// readRegular reads a file of at most limit bytes. What is not a regular file
// is refused before it is opened, because opening a FIFO blocks and opening a
// device may act.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var data bytes.Buffer
	data.Grow(int(min(info.Size(), limit)) + bytes.MinRead) // read in one go
	if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data.Bytes(), nil
}

// Entry is what the registry says of one number of one transport. It is an
// assignment, not an identity.
type Entry struct {
	Port    monban.Port
	Name    string // primary service name; "" for a number that is only reserved
	Aliases []string
	// Description is IANA's, in English.
	Description string
	// Unauthorized is IANA's note that others use the number too; "" is none.
	Unauthorized string
}

// Assigned returns the registry's rows of p, for AnyProto those of every
// transport in the order of [monban.Protos]. It takes constant time.
func (b *Book) Assigned(p monban.Port) []Entry {
	first, end := b.registry.Rows(p.Num)
	out := slices.Grow([]Entry(nil), end-first)
	for row := first; row < end; row++ {
		if port := b.registry.Port(row); p.Proto == monban.AnyProto || p.Proto == port.Proto {
			out = append(out, b.entry(row))
		}
	}
	return out
}

func (b *Book) entry(row int) Entry {
	return Entry{
		Port:         b.registry.Port(row),
		Name:         b.registry.Name(row),
		Aliases:      b.registry.Aliases(row),
		Description:  b.registry.Description(row),
		Unauthorized: b.registry.Unauthorized(row),
	}
}

// Has reports whether the registry has a row for p; for AnyProto, for one of its
// transports. It does not allocate.
func (b *Book) Has(p monban.Port) bool {
	first, end := b.registry.Rows(p.Num)
	for row := first; row < end; row++ {
		if p.Proto == monban.AnyProto || p.Proto == b.registry.Port(row).Proto {
			return true
		}
	}
	return false
}

// Name returns the primary registry name of p, "" if it has none; for AnyProto,
// the first there is. It does not allocate.
func (b *Book) Name(p monban.Port) string {
	first, end := b.registry.Rows(p.Num)
	for row := first; row < end; row++ {
		if p.Proto != monban.AnyProto && p.Proto != b.registry.Port(row).Proto {
			continue
		}
		if name := b.registry.Name(row); name != "" {
			return name
		}
	}
	return ""
}

// Version returns the date of the registry layer as "2006-01-02".
func (b *Book) Version() string { return b.registry.Date() }

// Rows returns how many rows the registry layer has: one for each number of each
// transport that is assigned or reserved.
func (b *Book) Rows() int { return b.registry.Len() }
