package probe

import (
	"math"
	"math/bits"
)

// permutation puts the numbers below n into an order that looks random, without
// keeping a list: neighbouring doors are not asked one after the other, so that
// no filter that counts sees a sweep, and losses in a row hit doors that have
// nothing to do with each other.
//
// It is a generalised Feistel network (Black and Rogaway, "Ciphers with Arbitrary
// Finite Domains"): a number is a pair of digits, one below a and one below b,
// and in turn each is shifted by a function of the other. The pairs are hardly
// more than n; a number that comes out above is sent through again.
type permutation struct {
	n, a, b uint64
	keys    [4]uint64
}

func newPermutation(n, seed uint64) permutation {
	p := permutation{n: n, a: max(1, uint64(math.Sqrt(float64(n))))}
	p.b = (n + p.a - 1) / p.a
	for i := range p.keys {
		seed += 0x9e3779b97f4a7c15
		p.keys[i] = mix(seed)
	}
	return p
}

// at returns the number at place i of the order; i is below n.
func (p *permutation) at(i uint64) uint64 {
	for {
		l, r := i/p.b, i%p.b
		for k := 0; k < len(p.keys); k += 2 {
			if l += below(r+p.keys[k], p.a); l >= p.a {
				l -= p.a
			}
			if r += below(l+p.keys[k+1], p.b); r >= p.b {
				r -= p.b
			}
		}
		if i = l*p.b + r; i < p.n {
			return i
		}
	}
}

// below spreads x over the numbers below n.
func below(x, n uint64) uint64 {
	high, _ := bits.Mul64(mix(x), n)
	return high
}

// mix spreads every bit of x over the whole word: the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
