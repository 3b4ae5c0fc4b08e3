package probe

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// cookie makes the sequence number of a SYN from what it asks, so that an answer
// proves that its sender has seen the question: SipHash-1-3 with a key of this
// scan alone. Nothing has to be kept for each probe, and a forger has one chance
// in four thousand million.
type cookie struct{ k0, k1 uint64 }

// of returns the cookie for a question to host:port from a source port.
func (c cookie) of(host netip.Addr, port, from uint16) uint32 {
	b := host.As16()
	return c.sum(binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]), uint64(port)<<16|uint64(from)|20<<56)
}

// sum is SipHash-1-3 of three words.
func (c cookie) sum(words ...uint64) uint32 {
	v0, v1 := c.k0^0x736f6d6570736575, c.k1^0x646f72616e646f6d
	v2, v3 := c.k0^0x6c7967656e657261, c.k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	for _, w := range words {
		v3 ^= w
		round()
		v0 ^= w
	}
	v2 ^= 0xff
	round()
	round()
	round()
	x := v0 ^ v1 ^ v2 ^ v3
	return uint32(x) ^ uint32(x>>32)
}
