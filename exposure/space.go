package exposure

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// addr is an address of one family as a number; IPv4 uses lo only.
type addr struct{ hi, lo uint64 }

func (a addr) less(b addr) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func compareAddr(a, b addr) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}

// next returns the address above, and false beyond the last.
func (a addr) next(f monban.Family) (addr, bool) {
	a.lo++
	if a.lo == 0 {
		a.hi++
	}
	if f == monban.IPv4 {
		return a, a.lo < 1<<32
	}
	return a, a != addr{}
}

// prev returns the address below; a is not the first.
func (a addr) prev() addr {
	if a.lo == 0 {
		a.hi--
	}
	a.lo--
	return a
}

func addrOf(a netip.Addr) addr {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return addr{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return addr{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

// addrOfBytes reads 4 or 16 bytes.
func addrOfBytes(b []byte) addr {
	if len(b) == 4 {
		return addr{0, uint64(binary.BigEndian.Uint32(b))}
	}
	return addr{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (a addr) bytes(f monban.Family) []byte {
	if f == monban.IPv4 {
		return binary.BigEndian.AppendUint32(nil, uint32(a.lo))
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.hi), a.lo)
}

func (a addr) netip(f monban.Family) netip.Addr {
	out, _ := netip.AddrFromSlice(a.bytes(f))
	return out
}

func lastAddr(f monban.Family) addr {
	if f == monban.IPv4 {
		return addr{0, 1<<32 - 1}
	}
	return addr{1<<64 - 1, 1<<64 - 1}
}

func addrLen(f monban.Family) int {
	if f == monban.IPv4 {
		return 4
	}
	return 16
}

// space is all addresses of a family, cut into atoms: ranges that no rule, set or
// route tells apart. Atom i goes from starts[i] to just below starts[i+1].
type space struct {
	family monban.Family
	starts []addr
	// large are the atoms with the most addresses, the largest first.
	large []int
}

// cutter collects where atoms have to begin.
type cutter struct {
	family monban.Family
	starts []addr
	// sorted are lists that are in order already: large sets.
	sorted [][]addr
}

func (c *cutter) between(first, last addr) {
	c.starts = append(c.starts, first)
	if n, ok := last.next(c.family); ok {
		c.starts = append(c.starts, n)
	}
}

func (c *cutter) prefix(p netip.Prefix) {
	if p.IsValid() && p.Addr().Is4() == (c.family == monban.IPv4) {
		c.between(bounds(p))
	}
}

// bounds returns the first and the last address of p, as numbers of its family:
// those of ::ffff:0:0/96 are no IPv4 addresses here.
func bounds(p netip.Prefix) (first, last addr) {
	r := monban.RangeOf(p)
	return addrOfBytes(r.First.AsSlice()), addrOfBytes(r.Last.AsSlice())
}

func (c *cutter) space() *space {
	c.starts = append(c.starts, addr{})
	slices.SortFunc(c.starts, compareAddr)
	all := c.starts
	for _, list := range c.sorted {
		all = merge(all, list)
	}
	s := &space{family: c.family, starts: slices.Compact(all)}
	s.measure()
	return s
}

func merge(a, b []addr) []addr {
	out := make([]addr, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if b[0].less(a[0]) {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

func (s *space) size(i int) float64 {
	end := lastAddr(s.family)
	if i+1 < len(s.starts) {
		end = s.starts[i+1]
	}
	return float64(end.hi-s.starts[i].hi)*0x1p64 + float64(end.lo) - float64(s.starts[i].lo)
}

// measure finds the largest atoms.
func (s *space) measure() {
	const most = 64
	order := make([]int, 0, 2*most)
	bySize := func(a, b int) int {
		switch x, y := s.size(a), s.size(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return a - b
	}
	floor := -1.0 // what an atom has to be larger than
	for i := range s.starts {
		if s.size(i) <= floor {
			continue
		}
		order = append(order, i)
		if len(order) == 2*most {
			slices.SortFunc(order, bySize)
			order = order[:most]
			floor = s.size(order[most-1])
		}
	}
	slices.SortFunc(order, bySize)
	s.large = order[:min(most, len(order))]
}

// atom returns the atom that a is in.
func (s *space) atom(a addr) int {
	i, ok := slices.BinarySearchFunc(s.starts, a, compareAddr)
	if !ok {
		i--
	}
	return i
}

// atomNear is atom for an address that is likely just behind an atom.
func (s *space) atomNear(near int, a addr) int {
	if a.less(s.starts[near]) {
		return s.atom(a)
	}
	step := 1
	for near+step < len(s.starts) && !a.less(s.starts[near+step]) {
		near += step
		step *= 2
	}
	end := min(near+step, len(s.starts))
	i, ok := slices.BinarySearchFunc(s.starts[near:end], a, compareAddr)
	if !ok {
		i--
	}
	return near + i
}

// all returns every atom.
func (s *space) all() set { return span(0, len(s.starts)-1) }

// between returns the atoms from first to last, which are an atom's ends.
func (s *space) between(first, last addr) set { return span(s.atom(first), s.atom(last)) }

func (s *space) prefix(p netip.Prefix) set {
	return s.between(bounds(p))
}

// ranges returns the addresses of the atoms.
func (s *space) ranges(atoms *set) []monban.AddrRange {
	n := 0
	atoms.runs(func(int, int) { n++ })
	out := make([]monban.AddrRange, 0, n)
	atoms.runs(func(first, last int) {
		end := lastAddr(s.family)
		if last+1 < len(s.starts) {
			end = s.starts[last+1].prev()
		}
		out = append(out, monban.AddrRange{First: s.starts[first].netip(s.family), Last: end.netip(s.family)})
	})
	return out
}

// example returns a large atom of the set.
func (s *space) example(atoms *set) int {
	for _, a := range s.large {
		if atoms.has(a) {
			return a
		}
	}
	return atoms.first()
}
