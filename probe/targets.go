package probe

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// Targets is a set of addresses, each of which has a number from 0 on. It takes
// a few bytes for every run of neighbouring addresses, not for every address.
type Targets struct {
	runs []run
	n    uint64
}

// run is a row of neighbouring addresses of one family, or one address with a zone.
type run struct {
	first netip.Addr
	n     uint64 // how many
	at    uint64 // number of the first
}

// MaxTargets is how many addresses a set may have: a quarter of all of IPv4.
const MaxTargets = 1 << 30

// NewTargets returns the addresses of the prefixes, and single ones that are known
// on one link only (their zone says which), without those that exclude holds. It
// returns false if there are more than [MaxTargets].
func NewTargets(prefixes, exclude []netip.Prefix, zoned ...netip.Addr) (*Targets, bool) {
	var spans []span
	for _, a := range zoned {
		spans = append(spans, span{a, a})
	}
	for _, p := range prefixes {
		if bits := p.Addr().BitLen() - p.Bits(); bits > 30 {
			return nil, false
		}
		spans = append(spans, spanOf(p))
	}
	spans = merge(spans)
	for _, p := range exclude {
		var left []span
		out := spanOf(p.Masked())
		for _, s := range spans {
			left = append(left, s.without(out)...)
		}
		spans = left
	}
	t := new(Targets)
	for _, s := range spans {
		n := s.len()
		t.runs = append(t.runs, run{s.first, n, t.n})
		t.n += n
		if t.n > MaxTargets {
			return nil, false
		}
	}
	return t, true
}

// Len returns how many addresses there are.
func (t *Targets) Len() uint64 { return t.n }

// At returns address number i.
func (t *Targets) At(i uint64) netip.Addr {
	if len(t.runs) == 1 {
		return plus(t.runs[0].first, i)
	}
	at, found := slices.BinarySearchFunc(t.runs, i, func(r run, i uint64) int { return cmp.Compare(r.at, i) })
	if !found {
		at--
	}
	return plus(t.runs[at].first, i-t.runs[at].at)
}

// Index returns the number of an address, and false if it is none of the set.
func (t *Targets) Index(a netip.Addr) (uint64, bool) {
	at, found := slices.BinarySearchFunc(t.runs, a, func(r run, a netip.Addr) int { return r.first.Compare(a) })
	if !found {
		at--
	}
	if at < 0 || t.runs[at].first.Zone() != a.Zone() || t.runs[at].first.BitLen() != a.BitLen() {
		return 0, false
	}
	d := minus(a, t.runs[at].first)
	return t.runs[at].at + d, d < t.runs[at].n
}

// Zoned returns the addresses that have a zone.
func (t *Targets) Zoned() []netip.Addr {
	var out []netip.Addr
	for _, r := range t.runs {
		if r.first.Zone() != "" {
			out = append(out, r.first)
		}
	}
	return out
}

// Prefixes returns the rest of the set as the fewest prefixes, in order.
func (t *Targets) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, r := range t.runs {
		if r.first.Zone() != "" {
			continue
		}
		for a, left := r.first, r.n; left > 0; {
			size := uint64(1) << min(30, trailingZeros(a))
			for size > left {
				size /= 2
			}
			out = append(out, netip.PrefixFrom(a, a.BitLen()-bits.TrailingZeros64(size)))
			a, left = plus(a, size), left-size
		}
	}
	return out
}

// span is a run of addresses, both ends included.
type span struct{ first, last netip.Addr }

func spanOf(p netip.Prefix) span {
	host := p.Addr().BitLen() - p.Bits()
	first := p.Masked().Addr()
	return span{first, plus(first, 1<<host-1)}
}

// String returns the address, the prefix, or "first-last".
func (s span) String() string {
	if p := s.prefix(); p.IsSingleIP() {
		return s.first.String()
	} else if spanOf(p) == s {
		return p.String()
	}
	return s.first.String() + "-" + s.last.String()
}

func (s span) len() uint64 { return minus(s.last, s.first) + 1 }

// without returns what is left of s when out is taken away.
func (s span) without(out span) []span {
	if s.first.BitLen() != out.first.BitLen() {
		return []span{s}
	}
	first, last := s.first.WithZone(""), s.last.WithZone("")
	if last.Less(out.first) || out.last.Less(first) {
		return []span{s}
	}
	var left []span
	if first.Less(out.first) {
		left = append(left, span{s.first, out.first.Prev().WithZone(s.first.Zone())})
	}
	if out.last.Less(last) {
		left = append(left, span{out.last.Next().WithZone(s.first.Zone()), s.last})
	}
	return left
}

// merge sorts spans and joins those that overlap or touch. Addresses with a zone
// stay single: between two neighbours stand those of other links.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.first.Compare(b.first) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && s.first.Zone() != "" {
			if out[n-1].first == s.first {
				continue
			}
		} else if n > 0 && out[n-1].first.BitLen() == s.first.BitLen() && out[n-1].first.Zone() == "" &&
			(!out[n-1].last.Less(s.first) || out[n-1].last.Next() == s.first) {
			if out[n-1].last.Less(s.last) {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// low returns the last eight bytes of an address: runs are never longer.
func low(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[8:])
}

func trailingZeros(a netip.Addr) int { return bits.TrailingZeros64(low(a)) }

// plus returns the address n after a.
func plus(a netip.Addr, n uint64) netip.Addr {
	if a.Is4() {
		b := a.As4()
		binary.BigEndian.PutUint32(b[:], uint32(low(a)+n))
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	sum, carry := bits.Add64(low(a), n, 0)
	binary.BigEndian.PutUint64(b[8:], sum)
	binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])+carry)
	return netip.AddrFrom16(b).WithZone(a.Zone())
}

// minus returns how far a is behind b; a distance above 2^64 is the largest
// number.
func minus(a, b netip.Addr) uint64 {
	if a.Is4() {
		return low(a) - low(b)
	}
	x, y := a.As16(), b.As16()
	d, borrow := bits.Sub64(low(a), low(b), 0)
	if high, _ := bits.Sub64(binary.BigEndian.Uint64(x[:8]), binary.BigEndian.Uint64(y[:8]), borrow); high != 0 {
		return 1<<64 - 1
	}
	return d
}
