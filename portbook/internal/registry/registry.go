// Package registry is the compiled form of IANA's port registry: one string,
// read in place, with a constant-time look-up by number and a sorted index of
// names. It knows nothing of where the string is kept.
//
// The layout, all numbers little-endian:
//
//	0      magic "monbanPB"
//	8      uint32 layout version
//	12     uint32 CRC-32C of everything after it
//	16     uint32 length of the whole
//	20     uint32 rows, one per number and transport
//	24     uint32 distinct numbers
//	28     uint32 entries of the name index
//	32     date of the registry, "2006-01-02", and six zero bytes
//	48     one bit per number, in 1024 words of 64
//	8240   for each word, how many numbers lie in the words before it (uint16)
//	10288  for each number that has rows, its first row (uint16), and the row count
//	…      rows of 16 bytes: number, transport, count of further names, and
//	       the heap positions of its names, description and unauthorized use
//	…      name index of 6 bytes: heap position (uint32), row (uint16),
//	       sorted by name without regard to ASCII case, then by row
//	…      string heap: uint16 length, bytes; position 0 is ""
//
// A bit and a count of the bits before it replace a table of 65,536 offsets:
// 10 KB instead of 256 KB, and still two memory reads.
package registry

import (
	"math/bits"
	"sort"

	"github.com/monban-dev/monban"
)

const (
	magic   = "monbanPB"
	version = 1

	crcAt     = 12
	summedAt  = 16
	dateAt    = 32
	dateLen   = 10
	bitsAt    = 48
	words     = 1 << 16 / 64
	ranksAt   = bitsAt + words*8
	firstsAt  = ranksAt + words*2
	rowSize   = 16
	indexSize = 6

	// maxRows is what a uint16 row number can hold. The registry of 2026 has
	// 12,341 rows.
	maxRows = 1<<16 - 1
)

// Row is one assignment: a number of one transport and what it is called.
type Row struct {
	Port monban.Port
	// Names are the service names, the primary one first. A reserved number
	// has none.
	Names        []string
	Description  string
	Unauthorized string // IANA's note on known unauthorized use; "" is none
}

// Table reads a compiled registry. The zero Table is empty.
type Table struct {
	blob                    string
	rows, ports, names      int
	rowsAt, indexAt, heapAt int
}

// Trust returns the table in blob without looking at more than its header. Only
// for a blob that was made together with the program; others go to [Verify].
func Trust(blob string) Table {
	if len(blob) < firstsAt {
		return Table{}
	}
	t := Table{blob: blob, rows: int(u32(blob, 20)), ports: int(u32(blob, 24)), names: int(u32(blob, 28))}
	t.rowsAt = firstsAt + (t.ports+1)*2
	t.indexAt = t.rowsAt + t.rows*rowSize
	t.heapAt = t.indexAt + t.names*indexSize
	return t
}

// Len returns the number of rows.
func (t Table) Len() int { return t.rows }

// Date returns the date of the registry as "2006-01-02".
func (t Table) Date() string {
	if t.blob == "" {
		return ""
	}
	return t.blob[dateAt : dateAt+dateLen]
}

// Rows returns the half-open range of row numbers that num has.
func (t Table) Rows(num uint16) (first, end int) {
	if t.blob == "" {
		return 0, 0
	}
	word, bit := int(num>>6), num&63
	set := u64(t.blob, bitsAt+word*8)
	if set>>bit&1 == 0 {
		return 0, 0
	}
	i := int(u16(t.blob, ranksAt+word*2)) + bits.OnesCount64(set&(1<<bit-1))
	return int(u16(t.blob, firstsAt+i*2)), int(u16(t.blob, firstsAt+i*2+2))
}

// Port returns the number and transport of a row.
func (t Table) Port(row int) monban.Port {
	at := t.rowsAt + row*rowSize
	return monban.Port{Num: u16(t.blob, at), Proto: monban.Proto(t.blob[at+2])}
}

// Name returns the primary name of a row, "" if it has none.
func (t Table) Name(row int) string { return t.str(t.nameRef(row)) }

// HasAliases reports whether a row has more than one name.
func (t Table) HasAliases(row int) bool { return t.blob[t.rowsAt+row*rowSize+3] != 0 }

// Aliases returns the further names of a row.
func (t Table) Aliases(row int) []string {
	if !t.HasAliases(row) {
		return nil
	}
	n := int(t.blob[t.rowsAt+row*rowSize+3])
	out := make([]string, n)
	ref := t.nameRef(row)
	for i := range out {
		ref += 2 + len(t.str(ref))
		out[i] = t.str(ref)
	}
	return out
}

// Description returns IANA's description of a row.
func (t Table) Description(row int) string {
	return t.str(int(u32(t.blob, t.rowsAt+row*rowSize+8)))
}

// Unauthorized returns IANA's note on unauthorized use of a row, "" if none.
func (t Table) Unauthorized(row int) string {
	return t.str(int(u32(t.blob, t.rowsAt+row*rowSize+12)))
}

// Names returns how many entries the name index has.
func (t Table) Names() int { return t.names }

// NameAt returns entry i of the name index: a name and a row that bears it.
func (t Table) NameAt(i int) (name string, row int) {
	at := t.indexAt + i*indexSize
	return t.str(int(u32(t.blob, at))), int(u16(t.blob, at+4))
}

// Find returns the half-open range of index entries whose name is name, without
// regard to ASCII case.
func (t Table) Find(name string) (first, end int) {
	first = sort.Search(t.names, func(i int) bool { n, _ := t.NameAt(i); return FoldCompare(n, name) >= 0 })
	for end = first; end < t.names; end++ {
		if n, _ := t.NameAt(end); FoldCompare(n, name) != 0 {
			break
		}
	}
	return first, end
}

func (t Table) nameRef(row int) int { return int(u32(t.blob, t.rowsAt+row*rowSize+4)) }

func (t Table) str(ref int) string {
	at := t.heapAt + ref
	n := int(u16(t.blob, at))
	return t.blob[at+2 : at+2+n]
}

// FoldCompare compares a and b as strings.Compare does, with ASCII letters in
// lower case.
func FoldCompare(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if x, y := Lower(a[i]), Lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

// Lower returns c in lower case if it is an ASCII letter.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func u16(s string, at int) uint16 { return uint16(s[at]) | uint16(s[at+1])<<8 }

func u32(s string, at int) uint32 { return uint32(u16(s, at)) | uint32(u16(s, at+2))<<16 }

func u64(s string, at int) uint64 { return uint64(u32(s, at)) | uint64(u32(s, at+4))<<32 }
