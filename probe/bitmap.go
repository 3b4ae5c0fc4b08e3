package probe

import "sync/atomic"

// bitmap is a set of numbers below a fixed one.
type bitmap []atomic.Uint64

func newBitmap(n uint64) *bitmap {
	b := make(bitmap, (n+63)/64)
	return &b
}

func (b *bitmap) set(i uint64) {
	if w := &(*b)[i/64]; w.Load()>>(i%64)&1 == 0 {
		w.Or(1 << (i % 64))
	}
}

func (b *bitmap) clear(i uint64) { (*b)[i/64].And(^(1 << (i % 64))) }

// has reports whether a number is in the set; none is in a nil one.
func (b *bitmap) has(i uint64) bool { return b != nil && (*b)[i/64].Load()>>(i%64)&1 != 0 }
