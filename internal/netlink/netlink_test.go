package netlink

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzAnswers takes any bytes apart; what comes out lies within them.
func FuzzAnswers(f *testing.F) {
	one := append(AppendHeader(nil, 20, 2, 5, 8), AppendAttr(nil, 1, []byte{1, 2, 3, 4})...)
	f.Add(append(one, append(AppendHeader(nil, typeDone, 2, 5, 4), 0, 0, 0, 0)...))
	f.Add(append(AppendHeader(nil, typeError, 0, 5, 4), 0xfe, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_, _ = Answers(b, 5, func(_ uint16, body []byte) error {
			total += sizeHeader + len(body)
			return Attrs(body, func(_ uint16, value []byte) error {
				if !bytes.Contains(body, value) {
					t.Errorf("%x is not in %x", value, body)
				}
				return nil
			})
		})
		if total > len(b) {
			t.Errorf("%d bytes out of %d", total, len(b))
		}
	})
}

// TestAttrs reads what it wrote, and refuses what is cut off.
func TestAttrs(t *testing.T) {
	b := AppendAttr(AppendAttr(nil, 1, []byte("odd")), 2|0x8000, nil)
	var kinds []uint16
	var values [][]byte
	all := func(kind uint16, value []byte) error {
		kinds, values = append(kinds, kind), append(values, value)
		return nil
	}
	if err := Attrs(b, all); err != nil || len(kinds) != 2 || kinds[1] != 2 || string(values[0]) != "odd" || len(values[1]) != 0 {
		t.Fatalf("%v %v %q", err, kinds, values)
	}
	for n := 1; n < len(b); n++ {
		if n == 7 || n == 8 {
			continue // a whole attribute, whose padding may be missing
		}
		if err := Attrs(b[:n], all); !errors.Is(err, ErrFormat) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}
