package sockets

import (
	"cmp"
	"slices"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/sockets/internal/diag"
)

// portSet is a set of ports to look for; the zero value is every port.
type portSet []monban.PortRange

// contains reports whether the port num of p is looked for.
func (s portSet) contains(p monban.Proto, num uint16) bool {
	if len(s) == 0 {
		return true
	}
	port := monban.Port{Num: num, Proto: p}
	for _, r := range s {
		if r.Contains(port) {
			return true
		}
	}
	return false
}

// spans returns the port numbers that are looked for in one transport,
// ascending and with gaps between them. wanted is false if there are none, and
// spans is empty if every number is looked for.
func (s portSet) spans(p monban.Proto) (spans []diag.Span, wanted bool) {
	if len(s) == 0 {
		return nil, true
	}
	for _, r := range s {
		if (r.Proto == monban.AnyProto || r.Proto == p) && r.First <= r.Last {
			spans = append(spans, diag.Span{First: r.First, Last: r.Last})
		}
	}
	slices.SortFunc(spans, func(a, b diag.Span) int { return cmp.Compare(a.First, b.First) })
	merged := spans[:0]
	for _, sp := range spans {
		last := len(merged) - 1
		if last >= 0 && uint32(sp.First) <= uint32(merged[last].Last)+1 {
			merged[last].Last = max(merged[last].Last, sp.Last)
			continue
		}
		merged = append(merged, sp)
	}
	return merged, len(merged) > 0
}
