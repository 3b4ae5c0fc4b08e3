package exposure

import (
	"math/bits"
	"sync/atomic"
)

// set is a set of atoms: see [space]. It is made up of chunks, which sets share and
// nobody changes any more: what most doors have in common, a hundred thousand
// unwanted networks, is kept once, and to take a few sources out of it copies only
// the chunk that they are in. Only the chunks between the first and the last member
// are kept.
//
// A set is a value: the operations that change one leave its copies as they are.
type set struct {
	off    int      // index of chunks[0]
	chunks []*chunk // nil is a chunk without members; neither the first nor the last is
}

const (
	chunkWords = 32
	chunkAtoms = 64 * chunkWords
)

// chunk is the membership of neighbouring atoms.
type chunk struct {
	words [chunkWords]uint64
	// sum is the hash of the words, 0 before anybody asked for it.
	sum atomic.Uint64
}

func (s *set) empty() bool { return len(s.chunks) == 0 }

// setID is the same for copies of one set; two sets with other ones may be equal,
// too.
type setID struct {
	chunks      **chunk
	off, length int
}

func (s *set) id() setID {
	if s.empty() {
		return setID{}
	}
	return setID{&s.chunks[0], s.off, len(s.chunks)}
}

func (s *set) is(o *set) bool { return s.id() == o.id() }

// trim drops chunks without members at both ends.
func (s *set) trim() {
	for len(s.chunks) > 0 && s.chunks[0] == nil {
		s.chunks, s.off = s.chunks[1:], s.off+1
	}
	for len(s.chunks) > 0 && s.chunks[len(s.chunks)-1] == nil {
		s.chunks = s.chunks[:len(s.chunks)-1]
	}
}

// at returns the chunk with an index, nil for none.
func (s *set) at(i int) *chunk {
	if i -= s.off; i < 0 || i >= len(s.chunks) {
		return nil
	}
	return s.chunks[i]
}

// span returns the atoms from first to last.
func span(first, last int) set {
	var s set
	s.extend(first, last)
	return s
}

// extend adds the atoms from first to last in place: nobody else has the set yet,
// and first is in its first chunk or behind that.
func (s *set) extend(first, last int) {
	if len(s.chunks) == 0 {
		s.off = first / chunkAtoms
	}
	for s.off+len(s.chunks) <= last/chunkAtoms {
		s.chunks = append(s.chunks, nil)
	}
	for at := first; at <= last; {
		i := at/chunkAtoms - s.off
		if s.chunks[i] == nil {
			s.chunks[i] = &chunk{}
		}
		end := min(last, at|(chunkAtoms-1))
		s.chunks[i].fill(at%chunkAtoms, end%chunkAtoms)
		at = end + 1
	}
}

func (c *chunk) fill(first, last int) {
	a, b := first/64, last/64
	low, high := ^uint64(0)<<(first%64), ^uint64(0)>>(63-last%64)
	if a == b {
		c.words[a] |= low & high
		return
	}
	c.words[a] |= low
	for i := a + 1; i < b; i++ {
		c.words[i] = ^uint64(0)
	}
	c.words[b] |= high
}

func (s *set) has(atom int) bool {
	c := s.at(atom / chunkAtoms)
	return c != nil && c.words[atom%chunkAtoms/64]&(1<<(atom%64)) != 0
}

// made returns a chunk with the words, or one of a and b that has the same; nil
// where there are none.
func made(words *[chunkWords]uint64, a, b *chunk) *chunk {
	switch {
	case *words == [chunkWords]uint64{}:
		return nil
	case a != nil && *words == a.words:
		return a
	case b != nil && *words == b.words:
		return b
	}
	return &chunk{words: *words}
}

func both(a, b *chunk) *chunk {
	if a == nil || b == nil || a == b {
		if a == nil {
			return a
		}
		return b
	}
	var w [chunkWords]uint64
	for i := range w {
		w[i] = a.words[i] & b.words[i]
	}
	return made(&w, a, b)
}

func without(a, b *chunk) *chunk {
	if a == nil || b == nil {
		return a
	}
	if a == b {
		return nil
	}
	var w [chunkWords]uint64
	for i := range w {
		w[i] = a.words[i] &^ b.words[i]
	}
	return made(&w, a, nil)
}

func either(a, b *chunk) *chunk {
	switch {
	case a == nil:
		return b
	case b == nil || a == b:
		return a
	}
	var w [chunkWords]uint64
	for i := range w {
		w[i] = a.words[i] | b.words[i]
	}
	return made(&w, a, b)
}

// overlap returns the indexes of the chunks that both may have.
func overlap(a, b *set) (from, to int) {
	return max(a.off, b.off), min(a.off+len(a.chunks), b.off+len(b.chunks))
}

// and returns the atoms of both.
func and(a, b *set) set {
	from, to := overlap(a, b)
	if from >= to {
		return set{}
	}
	if a.is(b) {
		return *a
	}
	out := set{off: from, chunks: make([]*chunk, to-from)}
	for i := range out.chunks {
		out.chunks[i] = both(a.chunks[from+i-a.off], b.chunks[from+i-b.off])
	}
	out.trim()
	return out
}

// meets reports whether a and b have an atom in common.
func meets(a, b *set) bool {
	from, to := overlap(a, b)
	for i := from; i < to; i++ {
		x, y := a.chunks[i-a.off], b.chunks[i-b.off]
		if x == nil || y == nil {
			continue
		}
		if x == y {
			return true
		}
		for k := range x.words {
			if x.words[k]&y.words[k] != 0 {
				return true
			}
		}
	}
	return false
}

// within reports whether every atom of a is in b.
func within(a, b *set) bool {
	for i, x := range a.chunks {
		y := b.at(a.off + i)
		if x == nil || x == y {
			continue
		}
		if y == nil {
			return false
		}
		for k := range x.words {
			if x.words[k]&^y.words[k] != 0 {
				return false
			}
		}
	}
	return true
}

// remove takes the atoms of b out of s.
func (s *set) remove(b *set) {
	from, to := overlap(s, b)
	if from >= to {
		return
	}
	if s.is(b) {
		*s = set{}
		return
	}
	var chunks []*chunk // s's own, once something changes
	for i := from; i < to; i++ {
		old := s.chunks[i-s.off]
		left := without(old, b.chunks[i-b.off])
		if left == old {
			continue
		}
		if chunks == nil {
			chunks = append([]*chunk(nil), s.chunks...)
		}
		chunks[i-s.off] = left
	}
	if chunks != nil {
		s.chunks = chunks
		s.trim()
	}
}

// add puts the atoms of b into s.
func (s *set) add(b *set) {
	switch {
	case b.empty() || s.is(b):
		return
	case s.empty():
		*s = *b
		return
	}
	off := min(s.off, b.off)
	end := max(s.off+len(s.chunks), b.off+len(b.chunks))
	out := set{off, make([]*chunk, end-off)}
	copy(out.chunks[s.off-off:], s.chunks)
	for i, c := range b.chunks {
		k := b.off + i - off
		out.chunks[k] = either(out.chunks[k], c)
	}
	*s = out
}

func equal(a, b *set) bool {
	if len(a.chunks) != len(b.chunks) || a.off != b.off && !a.empty() {
		return false
	}
	for i, x := range a.chunks {
		y := b.chunks[i]
		if x != y && (x == nil || y == nil || x.words != y.words) {
			return false
		}
	}
	return true
}

// runs calls f with the first and the last atom of every run of neighbours.
func (s *set) runs(f func(first, last int)) {
	start := -1
	for i, c := range s.chunks {
		base := (s.off + i) * chunkAtoms
		if c == nil {
			if start >= 0 {
				f(start, base-1)
				start = -1
			}
			continue
		}
		for _, w := range c.words {
			if start < 0 && w == 0 || start >= 0 && w == ^uint64(0) {
				base += 64
				continue
			}
			for n := 0; n < 64; {
				if start < 0 {
					skip := bits.TrailingZeros64(w >> n)
					if n += skip; n >= 64 {
						break
					}
					start = base + n
				}
				n += bits.TrailingZeros64(^(w >> n))
				if n >= 64 {
					break
				}
				f(start, base+n-1)
				start = -1
			}
			base += 64
		}
	}
	if start >= 0 {
		f(start, (s.off+len(s.chunks))*chunkAtoms-1)
	}
}

// first returns the least atom, -1 for none.
func (s *set) first() int {
	if s.empty() {
		return -1
	}
	for k, w := range s.chunks[0].words {
		if w != 0 {
			return s.off*chunkAtoms + 64*k + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// hash is a number that equal sets have in common.
func (s *set) hash() uint64 {
	h := uint64(s.off) + 0x9e3779b97f4a7c15
	for _, c := range s.chunks {
		h = (h ^ c.hash()) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	return h
}

func (c *chunk) hash() uint64 {
	if c == nil {
		return 0
	}
	if h := c.sum.Load(); h != 0 {
		return h
	}
	h := uint64(0x9e3779b97f4a7c15)
	for _, w := range c.words {
		h = (h ^ w) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	c.sum.Store(h)
	return h
}
