package probe

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"sync/atomic"

	"github.com/monban-dev/monban"
)

// grid remembers what every door said, in two bits a door. Doors are numbered
// host by host: door i is port i%len(ports) of target i/len(ports). A page of
// doors of which none has answered takes no memory.
type grid struct {
	targets *Targets
	ports   []uint16
	proto   monban.Proto
	// portAt has the place of a port in ports, plus one. Where the ports are a row,
	// as all of them are, there is none: two places in memory less for every door.
	portAt []uint16
	pages  []atomic.Pointer[page]
	counts [4]atomic.Int64 // by state; silent ones are not counted
}

// page is 32,768 doors.
type page [1024]atomic.Uint64

const pageDoors = len(page{}) * 32

// The states of a door in the grid. Silence becomes filtered or unknown at the
// end, by what the rest of the host did.
const (
	silent uint64 = iota
	open
	closed
	prohibited
	// nobody is what a router says of a host, and nothing that the grid notes of a
	// door: it may be there the next time.
	nobody
)

func newGrid(targets *Targets, ports []uint16, proto monban.Proto) *grid {
	g := &grid{targets: targets, ports: ports, proto: proto}
	if !isRow(ports) {
		g.portAt = make([]uint16, 1<<16)
		for i, p := range ports {
			g.portAt[p] = uint16(i + 1) // 65,536 ports: the last wraps to 0
		}
	}
	g.pages = make([]atomic.Pointer[page], (g.len()+uint64(pageDoors)-1)/uint64(pageDoors))
	return g
}

func (g *grid) len() uint64 { return g.targets.Len() * uint64(len(g.ports)) }

// door returns where door i is.
func (g *grid) door(i uint64) (netip.Addr, uint16) {
	n := uint64(len(g.ports))
	if g.portAt == nil {
		return g.targets.At(i / n), g.ports[0] + uint16(i%n)
	}
	return g.targets.At(i / n), g.ports[i%n]
}

// place returns where a port is in ports, and false if it is not.
func (g *grid) place(port uint16) (int, bool) {
	if g.portAt == nil {
		i := int(port) - int(g.ports[0])
		return i, i >= 0 && i < len(g.ports)
	}
	at := g.portAt[port]
	if at == 0 && (len(g.ports) < 1<<16 || g.ports[1<<16-1] != port) {
		return 0, false
	}
	return int(at - 1), true
}

// isRow reports whether ports are neighbouring numbers in order.
func isRow(ports []uint16) bool {
	for i, p := range ports {
		if int(p) != int(ports[0])+i {
			return false
		}
	}
	return true
}

// index returns the number of a door, and false if it was not asked for.
func (g *grid) index(host netip.Addr, port uint16) (uint64, bool) {
	at, ok := g.place(port)
	if !ok {
		return 0, false
	}
	h, ok := g.targets.Index(host)
	return h*uint64(len(g.ports)) + uint64(at), ok
}

func (g *grid) get(i uint64) uint64 {
	p := g.pages[i/uint64(pageDoors)].Load()
	if p == nil {
		return silent
	}
	i %= uint64(pageDoors)
	return p[i/32].Load() >> (i % 32 * 2) & 3
}

// set notes what a door said. The first word counts, but for one: an open door
// may have been shut by a filter's answer to an earlier try. It reports what the
// door had said until now, and whether that is no longer so.
func (g *grid) set(i, state uint64) (was uint64, changed bool) {
	at := &g.pages[i/uint64(pageDoors)]
	p := at.Load()
	for p == nil {
		at.CompareAndSwap(nil, new(page))
		p = at.Load()
	}
	i %= uint64(pageDoors)
	word, shift := &p[i/32], i%32*2
	for {
		old := word.Load()
		was = old >> shift & 3
		if was != silent && (state != open || was != prohibited) {
			return was, false
		}
		if word.CompareAndSwap(old, old&^(3<<shift)|state<<shift) {
			g.counts[state].Add(1)
			if was != silent {
				g.counts[was].Add(-1)
			}
			return was, true
		}
	}
}

// openDoors returns the doors that are open, in order.
func (g *grid) openDoors() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for n := range g.pages {
			if g.pages[n].Load() == nil {
				continue
			}
			first := uint64(n) * uint64(pageDoors)
			for d := first; d < min(first+uint64(pageDoors), g.len()); d++ {
				if g.get(d) == open && !yield(d) {
					return
				}
			}
		}
	}
}

// answered is how many doors have said anything.
func (g *grid) answered() uint64 {
	return uint64(g.counts[open].Load() + g.counts[closed].Load() + g.counts[prohibited].Load())
}

// quiet reports whether no door of a host has said anything, at a glance: false
// is not known.
func (g *grid) quiet(h uint64) bool {
	ports := uint64(len(g.ports))
	for p := h * ports / uint64(pageDoors); p <= (h*ports+ports-1)/uint64(pageDoors); p++ {
		if g.pages[p].Load() != nil {
			return false
		}
	}
	return true
}

// silentAt is how many doors of a host have not said anything.
func (g *grid) silentAt(h uint64) (n int) {
	first := h * uint64(len(g.ports))
	for i := range uint64(len(g.ports)) {
		if g.get(first+i) == silent {
			n++
		}
	}
	return n
}

// openAt is how many doors of a host are open, of those that have answered.
func (g *grid) openAt(h uint64) (opened, answered int) {
	first := h * uint64(len(g.ports))
	for i := range uint64(len(g.ports)) {
		switch g.get(first + i) {
		case open:
			opened++
			answered++
		case closed:
			answered++
		}
	}
	return opened, answered
}

// savedPage is a page of the grid in a resume file.
type savedPage struct {
	Page  int    `json:"page"`
	Cells []byte `json:"cells"`
}

func (g *grid) save() []savedPage {
	out := []savedPage{}
	for n := range g.pages {
		if p := g.pages[n].Load(); p != nil {
			s := savedPage{Page: n}
			for i := range p {
				s.Cells = binary.LittleEndian.AppendUint64(s.Cells, p[i].Load())
			}
			out = append(out, s)
		}
	}
	return out
}

// load puts back what save returned, and reports whether it fits.
func (g *grid) load(pages []savedPage) bool {
	for _, s := range pages {
		if s.Page < 0 || s.Page >= len(g.pages) || len(s.Cells) != len(page{})*8 {
			return false
		}
		first := uint64(s.Page) * uint64(pageDoors)
		for i := range min(uint64(pageDoors), g.len()-first) {
			if state := uint64(s.Cells[i/4]) >> (i % 4 * 2) & 3; state != silent {
				g.set(first+i, state)
			}
		}
	}
	return true
}
