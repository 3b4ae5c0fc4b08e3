package probe

import (
	"iter"
	"net/netip"

	"github.com/monban-dev/monban"
)

// Counts are the doors of one target by what they said.
type Counts struct {
	Target                          netip.Addr
	Open, Closed, Filtered, Unknown int
}

// sightState returns what the grid's cell means, given whether its host answers.
func sightState(cell uint64, proto monban.Proto, answers bool) monban.SightState {
	switch {
	case cell == open:
		return monban.SightOpen
	case cell == closed:
		return monban.SightClosed
	case cell == prohibited:
		return monban.SightFiltered
	case answers && proto == monban.TCP:
		return monban.SightFiltered
	default:
		return monban.SightUnknown
	}
}

// answering returns the hosts whose silence means a filter: a door of theirs
// answered, and went on answering, and it was not one at which all hosts do.
func (r *Report) answering(g *grid) *bitmap {
	b := newBitmap(g.targets.Len())
	ports := uint64(len(g.ports))
	silenced := make(map[uint64]bool) // what the sweep saw of them no longer counts
	for _, f := range r.flows {
		switch {
		case f.grid != g:
		case f.sweep:
			for _, h := range f.gone {
				silenced[h] = true
			}
		default: // of a host by itself, what its own flow says
			silenced[f.from/ports] = f.lost || !f.over
		}
	}
	for _, f := range r.flows {
		if f.grid != g || f.lost || !f.over {
			continue
		}
		for h := f.from / ports; h*ports < f.from+f.n; h++ {
			if f.alive.has(h) && !silenced[h] && (r.unproven == nil || !r.unproven.has(h)) {
				b.set(h)
			}
		}
	}
	return b
}

// Sightings returns the doors in order of target and port: the open ones, or
// all.
func (r *Report) Sightings(all bool) iter.Seq[monban.Sighting] {
	return func(yield func(monban.Sighting) bool) {
		if len(r.grids) == 0 {
			return
		}
		for h := range r.grids[0].targets.Len() {
			host := r.grids[0].targets.At(h)
			for i, g := range r.grids {
				if !all && g.quiet(h) {
					continue
				}
				for n, port := range g.ports {
					door := h*uint64(len(g.ports)) + uint64(n)
					cell := g.get(door)
					if cell != open && !all {
						continue
					}
					if !yield(monban.Sighting{Target: host, Port: monban.Port{Num: port, Proto: g.proto},
						State: sightState(cell, g.proto, r.answers[i].has(h)), At: r.At}) {
						return
					}
				}
			}
		}
	}
}

// Of returns what one door said; a door that was not asked is unknown.
func (r *Report) Of(target netip.Addr, port monban.Port) monban.SightState {
	for i, g := range r.grids {
		if g.proto != port.Proto {
			continue
		}
		if door, ok := g.index(target, port.Num); ok {
			return sightState(g.get(door), g.proto, r.answers[i].has(door/uint64(len(g.ports))))
		}
	}
	return monban.SightUnknown
}

// Counts returns how many doors of each target are open, closed and so on, in
// order of target.
func (r *Report) Counts() iter.Seq[Counts] {
	return func(yield func(Counts) bool) {
		if len(r.grids) == 0 {
			return
		}
		targets := r.grids[0].targets
		for h := range targets.Len() {
			c := Counts{Target: targets.At(h)}
			for i, g := range r.grids {
				c.add(g, h, r.answers[i].has(h))
			}
			if !yield(c) {
				return
			}
		}
	}
}

// add counts the doors of host h of a grid.
func (c *Counts) add(g *grid, h uint64, answers bool) {
	ports := uint64(len(g.ports))
	for d := h * ports; d < (h+1)*ports; d++ {
		switch sightState(g.get(d), g.proto, answers) {
		case monban.SightOpen:
			c.Open++
		case monban.SightClosed:
			c.Closed++
		case monban.SightFiltered:
			c.Filtered++
		default:
			c.Unknown++
		}
	}
}
