package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// box is a part of the space of transport × port × source: some addresses that
// come in by some ports. Boxes of one map do not overlap, as the kernel wants it
// of a map of concatenated ranges (nft_set_pipapo).
type box struct {
	ports monban.PortRange
	from  monban.AddrRange
	until time.Time // zero is for ever
	limit int       // number of its limit chain; -1 is none
}

// portal is who comes in by an interface, whatever the address.
type portal struct {
	ports  monban.PortRange
	device string
	until  time.Time
	limit  int
}

// LimitError says that two entries of the policy limit the same source at the
// same port: the kernel would need one answer.
type LimitError struct{ First, Second monban.Pos }

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s:%d: overlaps the limit of line %d", e.Second.File, e.Second.Line, e.First.Line)
}

// entry is one door of the policy in one family.
type entry struct {
	door  *monban.PolicyDoor
	from  set
	limit int
}

// atoms returns the ports of one transport cut at every border of an entry.
func atoms(proto monban.Proto, doors []*monban.PolicyDoor) []monban.PortRange {
	var cuts []int
	for _, d := range doors {
		if d.Ports.Proto == proto {
			cuts = append(cuts, int(d.Ports.First), int(d.Ports.Last)+1)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []monban.PortRange
	for i := 0; i+1 < len(cuts); i++ {
		out = append(out, monban.PortRange{First: uint16(cuts[i]), Last: uint16(cuts[i+1] - 1), Proto: proto})
	}
	return out
}

func covers(outer, inner monban.PortRange) bool {
	return outer.Proto == inner.Proto && outer.First <= inner.First && inner.Last <= outer.Last
}

// segment is who comes in at one atom.
type segment struct {
	from  monban.AddrRange
	until time.Time
	limit int
}

// segments returns the disjoint segments of the entries that cover an atom.
// Where entries overlap, the one that lasts longest counts. Those with limits
// must not overlap.
func segments(entries []entry, atom monban.PortRange) ([]segment, error) {
	var here []entry
	for _, e := range entries {
		if covers(e.door.Ports, atom) {
			here = append(here, e)
		}
	}
	slices.SortStableFunc(here, func(a, b entry) int { return compareUntil(b.door.Until, a.door.Until) })
	var out []segment
	var done set
	for i, e := range here {
		rest := e.from.minus(done)
		if e.limit >= 0 {
			for _, other := range here[:i] {
				if len(other.from.and(e.from)) > 0 {
					first, second := other.door.Pos, e.door.Pos
					if second.Line < first.Line {
						first, second = second, first
					}
					return nil, &LimitError{first, second}
				}
			}
		}
		for _, r := range rest {
			out = append(out, segment{r, e.door.Until, e.limit})
		}
		done = done.union(e.from)
	}
	slices.SortFunc(out, func(a, b segment) int { return a.from.First.Compare(b.from.First) })
	return out, nil
}

// compareUntil puts the zero time, for ever, last.
func compareUntil(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// boxes returns the boxes of the entries, as few as there need to be: atoms that
// lie side by side and let the same sources in become one.
func boxes(entries []entry) ([]box, error) {
	var doors []*monban.PolicyDoor
	for _, e := range entries {
		doors = append(doors, e.door)
	}
	var out []box
	for _, proto := range monban.Protos() {
		var ports monban.PortRange
		var same []segment
		flush := func() {
			for _, s := range same {
				out = append(out, box{ports, s.from, s.until, s.limit})
			}
		}
		for _, atom := range atoms(proto, doors) {
			segs, err := segments(entries, atom)
			if err != nil {
				return nil, err
			}
			if len(same) > 0 && int(ports.Last)+1 == int(atom.First) && slices.Equal(same, segs) {
				ports.Last = atom.Last
				continue
			}
			flush()
			ports, same = atom, segs
		}
		flush()
	}
	return out, nil
}

// portals returns the portals of the doors that have an interface among their
// audiences, by the same rules as [boxes].
func portals(doors []*monban.PolicyDoor, limits []int) ([]portal, error) {
	var out []portal
	for _, proto := range monban.Protos() {
		for _, atom := range atoms(proto, doors) {
			found := map[string]int{} // index into out
			positions := map[string]monban.Pos{}
			for i, d := range doors {
				if !covers(d.Ports, atom) {
					continue
				}
				for _, a := range d.To {
					if a.Kind != monban.ByInterface {
						continue
					}
					p := portal{atom, a.Name, d.Until, limits[i]}
					at, ok := found[a.Name]
					switch {
					case !ok:
						found[a.Name], positions[a.Name] = len(out), d.Pos
						out = append(out, p)
					case limits[i] >= 0:
						return nil, &LimitError{positions[a.Name], d.Pos}
					case compareUntil(out[at].until, p.until) < 0:
						out[at] = p
					}
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b portal) int {
		return cmp.Or(cmp.Compare(a.ports.Proto, b.ports.Proto), cmp.Compare(a.device, b.device), cmp.Compare(a.ports.First, b.ports.First))
	})
	// Atoms side by side that are alike become one.
	merged := out[:0]
	for _, p := range out {
		if n := len(merged); n > 0 {
			q := &merged[n-1]
			if q.ports.Proto == p.ports.Proto && q.device == p.device && q.until.Equal(p.until) && q.limit == p.limit && int(q.ports.Last)+1 == int(p.ports.First) {
				q.ports.Last = p.ports.Last
				continue
			}
		}
		merged = append(merged, p)
	}
	return merged, nil
}
