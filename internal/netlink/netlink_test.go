package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
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

// TestAnswers tells the end, an error and a change from each other.
func TestAnswers(t *testing.T) {
	message := func(kind, flags uint16, payload ...byte) []byte {
		b := make([]byte, 16, 16+len(payload))
		binary.NativeEndian.PutUint32(b, uint32(16+len(payload)))
		binary.NativeEndian.PutUint16(b[4:], kind)
		binary.NativeEndian.PutUint16(b[6:], flags)
		return append(b, payload...)
	}
	eperm := binary.NativeEndian.AppendUint32(nil, ^uint32(0)) // -1
	zero := make([]byte, 4)
	for _, test := range []struct {
		name     string
		datagram []byte
		done     bool
		err      error
		n        int
	}{
		{"nothing", nil, false, nil, 0},
		{"one and the end", append(message(16, 2, 1, 2, 3, 4), message(typeDone, 2, zero...)...), true, nil, 1},
		{"refused", message(typeError, 0, eperm...), true, syscall.EPERM, 0},
		{"acknowledged", message(typeError, 0, zero...), true, nil, 0},
		{"broken off", message(typeDone, 2, eperm...), true, syscall.EPERM, 0},
		{"changed", message(16, 2|flagDumpIntr, 1, 2, 3, 4), false, ErrInterrupted, 0},
		{"changed, said at the end", message(typeDone, 2|flagDumpIntr, zero...), false, ErrInterrupted, 0},
		{"short", message(16, 2)[:15], false, ErrFormat, 0},
		{"too long", append([]byte{17}, message(16, 2)[1:]...), false, ErrFormat, 0},
		{"no length", make([]byte, 16), false, ErrFormat, 0},
	} {
		n := 0
		done, err := Answers(test.datagram, 0, func(uint16, []byte) error { n++; return nil })
		if done != test.done || !errors.Is(err, test.err) || n != test.n {
			t.Errorf("%s: %v, %v, %d messages; want %v, %v, %d", test.name, done, err, n, test.done, test.err, test.n)
		}
	}
}
