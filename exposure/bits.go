package exposure

import "math/bits"

// set is a set of atoms: see [space]. Only the words between its first and its
// last member are kept, so that a rule about a few sources costs little among a
// hundred thousand atoms.
type set struct {
	off   int // index of words[0]
	words []uint64
}

func (s *set) empty() bool { return len(s.words) == 0 }

// trim drops words without members at both ends.
func (s *set) trim() {
	for len(s.words) > 0 && s.words[0] == 0 {
		s.words, s.off = s.words[1:], s.off+1
	}
	for len(s.words) > 0 && s.words[len(s.words)-1] == 0 {
		s.words = s.words[:len(s.words)-1]
	}
}

// span returns the atoms from first to last.
func span(first, last int) set {
	s := set{off: first / 64, words: make([]uint64, last/64-first/64+1)}
	s.fill(first, last)
	return s
}

// fill adds the atoms from first to last, which s has room for.
func (s *set) fill(first, last int) {
	a, b := first/64-s.off, last/64-s.off
	low, high := ^uint64(0)<<(first%64), ^uint64(0)>>(63-last%64)
	if a == b {
		s.words[a] |= low & high
		return
	}
	s.words[a] |= low
	for i := a + 1; i < b; i++ {
		s.words[i] = ^uint64(0)
	}
	s.words[b] |= high
}

func (s *set) has(atom int) bool {
	i := atom/64 - s.off
	return i >= 0 && i < len(s.words) && s.words[i]&(1<<(atom%64)) != 0
}

func (s *set) clone() set {
	return set{s.off, append([]uint64(nil), s.words...)}
}

// overlap returns the words that both have: the indexes into a, and b's.
func overlap(a, b *set) (from, to, shift int) {
	from = max(0, b.off-a.off)
	to = min(len(a.words), b.off+len(b.words)-a.off)
	return from, to, a.off - b.off
}

// and returns the atoms of both.
func and(a, b *set) set {
	from, to, shift := overlap(a, b)
	for from < to && a.words[from]&b.words[from+shift] == 0 {
		from++
	}
	for to > from && a.words[to-1]&b.words[to-1+shift] == 0 {
		to--
	}
	if from >= to {
		return set{}
	}
	out := set{off: a.off + from, words: make([]uint64, to-from)}
	for i := range out.words {
		out.words[i] = a.words[from+i] & b.words[from+i+shift]
	}
	return out
}

// meets reports whether a and b have an atom in common.
func meets(a, b *set) bool {
	from, to, shift := overlap(a, b)
	for i := from; i < to; i++ {
		if a.words[i]&b.words[i+shift] != 0 {
			return true
		}
	}
	return false
}

// within reports whether every atom of a is in b.
func within(a, b *set) bool {
	for i, w := range a.words {
		j := i + a.off - b.off
		if w != 0 && (j < 0 || j >= len(b.words) || w&^b.words[j] != 0) {
			return false
		}
	}
	return true
}

// remove takes the atoms of b out of s.
func (s *set) remove(b *set) {
	from, to, shift := overlap(s, b)
	for i := from; i < to; i++ {
		s.words[i] &^= b.words[i+shift]
	}
	s.trim()
}

// add puts the atoms of b into s.
func (s *set) add(b *set) {
	switch {
	case b.empty():
		return
	case s.empty():
		*s = b.clone()
		return
	}
	off := min(s.off, b.off)
	end := max(s.off+len(s.words), b.off+len(b.words))
	if off != s.off || end != s.off+len(s.words) {
		words := make([]uint64, end-off)
		copy(words[s.off-off:], s.words)
		s.off, s.words = off, words
	}
	for i, w := range b.words {
		s.words[b.off-off+i] |= w
	}
}

func equal(a, b *set) bool {
	if a.off != b.off && !(a.empty() && b.empty()) || len(a.words) != len(b.words) {
		return false
	}
	for i := range a.words {
		if a.words[i] != b.words[i] {
			return false
		}
	}
	return true
}

// runs calls f with the first and the last atom of every run of neighbours.
func (s *set) runs(f func(first, last int)) {
	start := -1
	for i, w := range s.words {
		base := (s.off + i) * 64
		if start < 0 && w == 0 || start >= 0 && w == ^uint64(0) {
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
	}
	if start >= 0 {
		f(start, (s.off+len(s.words))*64-1)
	}
}

// hash is a number that equal sets have in common.
func (s *set) hash() uint64 {
	h := uint64(s.off) + 0x9e3779b97f4a7c15
	for _, w := range s.words {
		h = (h ^ w) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	return h
}
