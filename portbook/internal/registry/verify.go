package registry

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/monban-dev/monban"
)

// ErrBroken is wrapped by every error of [Verify].
var ErrBroken = errors.New("not an intact port registry")

// Verify returns the table in blob after checking everything a reader relies
// on, so that no look-up can leave the blob. The checksum finds accidents; the
// checks after it hold against a blob made with care too.
func Verify(blob string) (Table, error) {
	if len(blob) < firstsAt || blob[:len(magic)] != magic {
		return Table{}, fmt.Errorf("%w: no registry begins like this", ErrBroken)
	}
	if v := u32(blob, 8); v != version {
		return Table{}, fmt.Errorf("%w: layout version %d, want %d", ErrBroken, v, version)
	}
	if n := u32(blob, 16); int64(n) != int64(len(blob)) {
		return Table{}, fmt.Errorf("%w: %d bytes, its header says %d", ErrBroken, len(blob), n)
	}
	if crc32.Checksum([]byte(blob[summedAt:]), crc32.MakeTable(crc32.Castagnoli)) != u32(blob, crcAt) {
		return Table{}, fmt.Errorf("%w: wrong checksum", ErrBroken)
	}
	for at := 20; at < dateAt; at += 4 {
		if u32(blob, at) > uint32(len(blob)) {
			return Table{}, fmt.Errorf("%w: a count runs past its end", ErrBroken)
		}
	}
	t := Trust(blob)
	if t.rows > maxRows || t.heapAt > len(blob) {
		return Table{}, fmt.Errorf("%w: its tables run past its end", ErrBroken)
	}
	if _, err := time.Parse(time.DateOnly, t.Date()); err != nil {
		return Table{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	for _, check := range []func(Table) error{Table.checkPorts, Table.checkTexts, Table.checkIndex} {
		if err := check(t); err != nil {
			return Table{}, fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	return t, nil
}

func (t Table) checkPorts() error {
	n, row := 0, 0
	for w := range words {
		if int(u16(t.blob, ranksAt+w*2)) != n {
			return errors.New("wrong count of numbers")
		}
		set := u64(t.blob, bitsAt+w*8)
		n += bits.OnesCount64(set)
		if n > t.ports {
			return errors.New("wrong count of numbers")
		}
		for ; set != 0; set &= set - 1 {
			num := uint16(w*64 + bits.TrailingZeros64(set))
			first, end := t.Rows(num)
			if first != row || end <= first || end > t.rows {
				return fmt.Errorf("rows of port %d are out of order", num)
			}
			if err := t.checkNumber(num, first, end); err != nil {
				return err
			}
			row = end
		}
	}
	if n != t.ports || row != t.rows {
		return errors.New("wrong count of rows")
	}
	return nil
}

// checkNumber checks that rows first to end are of port num, one for each
// transport.
func (t Table) checkNumber(num uint16, first, end int) error {
	last := monban.AnyProto
	for row := first; row < end; row++ {
		p := t.Port(row)
		if p.Num != num || p.Proto <= last || p.Proto > monban.DCCP {
			return fmt.Errorf("row %d does not belong to port %d", row, num)
		}
		last = p.Proto
	}
	return nil
}

// checkTexts reads the heap once and then only asks of each reference whether a
// string begins there. The heap holds what tens of thousands of references
// share, and this stands in the way of every start of the program.
func (t Table) checkTexts() error {
	heap := t.blob[t.heapAt:]
	starts := make([]bool, len(heap))
	for at := 0; at < len(heap); {
		if at+2 > len(heap) {
			return errors.New("a string lies past the end")
		}
		end := at + 2 + int(u16(heap, at))
		if end > len(heap) {
			return errors.New("a string runs past the end")
		}
		if err := checkText(heap[at+2 : end]); err != nil {
			return err
		}
		starts[at] = true
		at = end
	}
	begins := func(ref int) bool { return 0 <= ref && ref < len(starts) && starts[ref] }
	for row := range t.rows {
		at := t.rowsAt + row*rowSize
		ref := int(u32(t.blob, at+4))
		for range int(t.blob[at+3]) + 1 { // further names stand behind the first
			if !begins(ref) {
				return fmt.Errorf("a name of row %d is no string", row)
			}
			ref += 2 + int(u16(heap, ref))
		}
		if !begins(int(u32(t.blob, at+8))) || !begins(int(u32(t.blob, at+12))) {
			return fmt.Errorf("the description of row %d is no string", row)
		}
	}
	for i := range t.names {
		if !begins(int(u32(t.blob, t.indexAt+i*indexSize))) {
			return errors.New("an entry of the name index is no string")
		}
	}
	return nil
}

func (t Table) checkIndex() error {
	before := ""
	for i := range t.names {
		name, row := t.NameAt(i)
		if row >= t.rows || FoldCompare(before, name) > 0 {
			return errors.New("the name index is out of order")
		}
		before = name
	}
	return nil
}

// checkText accepts what may be shown on one line: UTF-8 without control or
// format characters.
func checkText(s string) error {
	if len(s) > 1<<16-1 {
		return fmt.Errorf("%.40q is too long", s)
	}
	if plain(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%.40q is not UTF-8", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return fmt.Errorf("%.40q has a control character", s)
		}
	}
	return nil
}

// plain reports whether s is printable ASCII, as all but two of IANA's texts are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
