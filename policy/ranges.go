package policy

import (
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// set is a set of addresses of one family: sorted, disjoint, not touching.
type set []monban.AddrRange

// newSet returns the set of the addresses in any of the ranges that are of the
// family.
func newSet(family monban.Family, ranges ...monban.AddrRange) set {
	var all []monban.AddrRange
	for _, r := range ranges {
		if monban.FamilyOf(r.First) == family {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b monban.AddrRange) int { return a.First.Compare(b.First) })
	var out set
	for _, r := range all {
		if n := len(out); n > 0 && (r.First.Compare(out[n-1].Last) <= 0 || r.First == out[n-1].Last.Next()) {
			if out[n-1].Last.Less(r.Last) {
				out[n-1].Last = r.Last
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// everything is every address of the family.
func everything(family monban.Family) monban.AddrRange {
	if family == monban.IPv4 {
		return monban.RangeOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	}
	return monban.RangeOf(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
}

func (s set) family() monban.Family {
	if len(s) == 0 {
		return monban.FamilyUnknown
	}
	return monban.FamilyOf(s[0].First)
}

func (s set) union(t set) set {
	f := s.family()
	if len(s) == 0 {
		f = t.family()
	}
	return newSet(f, slices.Concat(s, t)...)
}

// minus returns what is in s and not in t.
func (s set) minus(t set) set {
	var out set
	for _, r := range s {
		from := r.First
		done := false
		for _, cut := range t {
			if cut.Last.Less(from) {
				continue
			}
			if r.Last.Less(cut.First) {
				break
			}
			if from.Less(cut.First) {
				out = append(out, monban.AddrRange{First: from, Last: cut.First.Prev()})
			}
			from = cut.Last.Next()
			if !from.IsValid() || r.Last.Less(from) {
				done = true
				break
			}
		}
		if !done {
			out = append(out, monban.AddrRange{First: from, Last: r.Last})
		}
	}
	return out
}

// and returns what is in both.
func (s set) and(t set) set { return s.minus(s.minus(t)) }

func (s set) contains(a netip.Addr) bool {
	return slices.ContainsFunc(s, func(r monban.AddrRange) bool { return r.Contains(a) })
}

// Join returns the ranges sorted and put together, IPv4 before IPv6, with the holes
// filled that the machine's own addresses leave.
func Join(ranges []monban.AddrRange, own []netip.Addr) []monban.AddrRange {
	var out []monban.AddrRange
	for _, f := range families {
		out = append(out, newSet(f, ranges...).filled(single(own))...)
	}
	return out
}
