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
	for _, check := range []func(Table) error{Table.checkPorts, Table.checkRows, Table.checkIndex} {
		if err := check(t); err != nil {
			return Table{}, fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	return t, nil
}

func (t Table) checkPorts() error {
	n := 0
	for w := range words {
		if int(u16(t.blob, ranksAt+w*2)) != n {
			return errors.New("wrong count of numbers")
		}
		n += bits.OnesCount64(u64(t.blob, bitsAt+w*8))
	}
	if n != t.ports {
		return errors.New("wrong count of numbers")
	}
	row := 0
	for num := range 1 << 16 {
		first, end := t.Rows(uint16(num))
		if first == end {
			continue
		}
		if first != row || end < first || end > t.rows {
			return fmt.Errorf("rows of port %d are out of order", num)
		}
		for last := monban.AnyProto; row < end; row++ {
			p := t.Port(row)
			if int(p.Num) != num || p.Proto <= last || p.Proto > monban.DCCP {
				return fmt.Errorf("row %d does not belong to port %d", row, num)
			}
			last = p.Proto
		}
	}
	if row != t.rows {
		return errors.New("rows without a port")
	}
	return nil
}

func (t Table) checkRows() error {
	for row := range t.rows {
		at := t.rowsAt + row*rowSize
		ref := int64(u32(t.blob, at+4))
		for range int(t.blob[at+3]) + 1 {
			n, err := t.checkString(ref)
			if err != nil {
				return err
			}
			ref += int64(n)
		}
		for _, field := range []int{8, 12} {
			if _, err := t.checkString(int64(u32(t.blob, at+field))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t Table) checkIndex() error {
	before := ""
	for i := range t.names {
		at := t.indexAt + i*indexSize
		if _, err := t.checkString(int64(u32(t.blob, at))); err != nil {
			return err
		}
		name, row := t.NameAt(i)
		if row >= t.rows || FoldCompare(before, name) > 0 {
			return errors.New("the name index is out of order")
		}
		before = name
	}
	return nil
}

// checkString checks the string at ref and returns how many bytes it takes up.
func (t Table) checkString(ref int64) (int, error) {
	room := int64(len(t.blob) - t.heapAt)
	if ref+2 > room {
		return 0, errors.New("a string lies past the end")
	}
	n := 2 + int64(u16(t.blob, t.heapAt+int(ref)))
	if ref+n > room {
		return 0, errors.New("a string runs past the end")
	}
	return int(n), checkText(t.str(int(ref)))
}

// checkText accepts what may be shown on one line: UTF-8 without control or
// format characters.
func checkText(s string) error {
	if len(s) > 1<<16-1 || !utf8.ValidString(s) {
		return fmt.Errorf("%.40q is too long or not UTF-8", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return fmt.Errorf("%.40q has a control character", s)
		}
	}
	return nil
}
