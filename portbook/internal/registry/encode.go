package registry

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"
	"strings"
)

// Encode compiles rows, which it sorts by number and transport. date is that of
// the registry, "2006-01-02". Two rows of one number and transport, an empty
// name and a string longer than 65,535 bytes are errors.
func Encode(rows []Row, date string) ([]byte, error) {
	if len(date) != dateLen {
		return nil, fmt.Errorf("registry date %q: want YYYY-MM-DD", date)
	}
	if len(rows) > maxRows {
		return nil, fmt.Errorf("registry has %d rows: the layout holds %d", len(rows), maxRows)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Port.Num, b.Port.Num), cmp.Compare(a.Port.Proto, b.Port.Proto))
	})
	e := encoder{seen: map[string]uint32{}}
	e.strings()
	for i, r := range rows {
		if i > 0 && rows[i-1].Port == r.Port {
			return nil, fmt.Errorf("registry has two rows for %s", r.Port)
		}
		if err := e.row(i, r); err != nil {
			return nil, err
		}
	}
	return e.blob(date), nil
}

type name struct {
	text string
	ref  uint32
	row  int
}

type encoder struct {
	set    [words]uint64
	firsts []uint16
	rows   []byte
	names  []name
	heap   []byte
	seen   map[string]uint32 // what is in the heap already
}

func (e *encoder) row(i int, r Row) error {
	if len(r.Names) > 255 {
		return fmt.Errorf("%s has %d names: the layout holds 255", r.Port, len(r.Names))
	}
	for _, s := range append([]string{r.Description, r.Unauthorized}, r.Names...) {
		if err := checkText(s); err != nil {
			return fmt.Errorf("%s: %w", r.Port, err)
		}
	}
	word, bit := r.Port.Num>>6, r.Port.Num&63
	if e.set[word]>>bit&1 == 0 {
		e.set[word] |= 1 << bit
		e.firsts = append(e.firsts, uint16(i))
	}
	ref := e.strings(r.Names...)
	further := max(len(r.Names)-1, 0)
	e.rows = binary.LittleEndian.AppendUint16(e.rows, r.Port.Num)
	e.rows = append(e.rows, byte(r.Port.Proto), byte(further))
	e.rows = binary.LittleEndian.AppendUint32(e.rows, ref)
	e.rows = binary.LittleEndian.AppendUint32(e.rows, e.strings(r.Description))
	e.rows = binary.LittleEndian.AppendUint32(e.rows, e.strings(r.Unauthorized))
	for _, n := range r.Names {
		if n == "" {
			return fmt.Errorf("%s has an empty name", r.Port)
		}
		e.names = append(e.names, name{n, ref, i})
		ref += uint32(2 + len(n))
	}
	return nil
}

// strings puts texts side by side into the heap, once for each distinct list,
// and returns where they begin. No texts, and one empty text, are position 0.
func (e *encoder) strings(texts ...string) uint32 {
	if len(texts) == 0 {
		texts = []string{""}
	}
	key := strings.Join(texts, "\x00")
	if at, ok := e.seen[key]; ok {
		return at
	}
	at := uint32(len(e.heap))
	e.seen[key] = at
	for _, s := range texts {
		e.heap = binary.LittleEndian.AppendUint16(e.heap, uint16(len(s)))
		e.heap = append(e.heap, s...)
	}
	return at
}

func (e *encoder) blob(date string) []byte {
	slices.SortFunc(e.names, func(a, b name) int {
		return cmp.Or(FoldCompare(a.text, b.text), cmp.Compare(a.row, b.row))
	})
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), version)
	b = append(b, make([]byte, bitsAt-len(b))...)
	le.PutUint32(b[20:], uint32(len(e.rows)/rowSize))
	le.PutUint32(b[24:], uint32(len(e.firsts)))
	le.PutUint32(b[28:], uint32(len(e.names)))
	copy(b[dateAt:], date)
	for _, w := range e.set {
		b = le.AppendUint64(b, w)
	}
	rank := 0
	for _, w := range e.set {
		b = le.AppendUint16(b, uint16(rank))
		rank += bits.OnesCount64(w)
	}
	for _, f := range append(e.firsts, uint16(len(e.rows)/rowSize)) {
		b = le.AppendUint16(b, f)
	}
	b = append(b, e.rows...)
	for _, n := range e.names {
		b = le.AppendUint16(le.AppendUint32(b, n.ref), uint16(n.row))
	}
	b = append(b, e.heap...)
	le.PutUint32(b[16:], uint32(len(b)))
	le.PutUint32(b[crcAt:], crc32.Checksum(b[summedAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}
