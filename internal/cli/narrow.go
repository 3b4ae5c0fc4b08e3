package cli

import (
	"slices"

	"github.com/monban-dev/monban"
)

// narrowed returns snap as if only the doors that keep accepts had been looked
// for: a gap about doors that are not shown would be about nothing the reader
// sees. Its other lists are shared with snap.
func narrowed(snap *monban.Snapshot, keep func(*monban.Door) bool) *monban.Snapshot {
	out := *snap
	for i := range snap.Doors {
		if !keep(&snap.Doors[i]) {
			drop := func(d monban.Door) bool { return !keep(&d) }
			out.Doors = slices.Concat(snap.Doors[:i], slices.DeleteFunc(slices.Clone(snap.Doors[i+1:]), drop))
			break // with nothing to drop, the usual case, 10,000 doors are not copied
		}
	}
	out.Gaps = nil
	for _, g := range snap.Gaps {
		if concerns(&g, snap.Doors, out.Doors) {
			out.Gaps = append(out.Gaps, g)
		}
	}
	return &out
}

// concerns reports whether a gap in what is known of all doors is one of some of
// them, and counts those.
func concerns(g *monban.Gap, all, some []monban.Door) bool {
	switch g.Hides {
	case monban.HidesOwners:
		if g.Reason == monban.NotHidden || g.Count == 0 {
			return true // it is not known which doors it is about
		}
		hidden := func(doors []monban.Door) (n int) {
			for i := range doors {
				if doors[i].Unnamed == g.Reason {
					n++
				}
			}
			return n
		}
		// Doors that a join put together afterwards are fewer than were counted.
		before, now := hidden(all), hidden(some)
		if before == 0 {
			return true
		}
		if now < before {
			g.Count = now
		}
		return now > 0
	case monban.HidesDetails:
		return slices.ContainsFunc(some, func(d monban.Door) bool { return len(d.Owners) > 0 })
	}
	return true
}
