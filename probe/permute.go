package probe

import "math/bits"

// permutation puts the numbers below n into an order that looks random, without
// keeping a list: neighbouring doors are not asked one after the other, so that
// no filter that counts sees a sweep, and losses in a row hit doors that have
// nothing to do with each other.
//
// It is a Feistel network over the smallest even number of bits that holds n
// (Luby and Rackoff: four rounds of a good function suffice), walked until it
// falls below n (Black and Rogaway, "Ciphers with Arbitrary Finite Domains"): at
// most four steps on average, since the domain is at most four times too large.
type permutation struct {
	n    uint64
	half uint // bits of one half
	mask uint64
	keys [4]uint64
}

func newPermutation(n, seed uint64) permutation {
	width := max(2, bits.Len64(max(n, 1)-1))
	p := permutation{n: n, half: uint(width+1) / 2}
	p.mask = 1<<p.half - 1
	for i := range p.keys {
		seed += 0x9e3779b97f4a7c15
		p.keys[i] = mix(seed)
	}
	return p
}

// at returns the number at place i of the order; i is below n.
func (p *permutation) at(i uint64) uint64 {
	for {
		l, r := i>>p.half, i&p.mask
		for _, k := range p.keys {
			l, r = r, l^mix(r+k)>>(64-p.half)
		}
		if i = l<<p.half | r; i < p.n {
			return i
		}
	}
}

// mix spreads every bit of x over the whole word: the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
