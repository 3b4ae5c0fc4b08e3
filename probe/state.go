package probe

import (
	"math/bits"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// State is an interrupted scan, complete enough to continue it: what was asked,
// what has answered, and how far each part is.
type State struct {
	Targets  []netip.Prefix `json:"targets"`
	Zoned    []netip.Addr   `json:"zoned,omitempty"`
	TCP      []uint16       `json:"tcp"`
	UDP      []uint16       `json:"udp"`
	Flows    []savedFlow    `json:"flows"`
	TCPPages []savedPage    `json:"tcp_answers"`
	UDPPages []savedPage    `json:"udp_answers"`
}

type savedFlow struct {
	Proto  monban.Proto `json:"proto"`
	From   uint64       `json:"from"`
	N      uint64       `json:"n"`
	Seed   uint64       `json:"seed"`
	Pass   int          `json:"pass"`
	Pos    uint64       `json:"pos"`
	Sought int          `json:"sought,omitempty"`
	Over   bool         `json:"over"`
	Lost   bool         `json:"lost,omitempty"`
	Gone   []uint64     `json:"gone,omitempty"`
	Passes []passStat   `json:"passes"`
}

// State returns what continues the scan.
func (r *Report) State() *State {
	s := &State{Flows: []savedFlow{}, TCP: []uint16{}, UDP: []uint16{}, TCPPages: []savedPage{}, UDPPages: []savedPage{}}
	for _, g := range r.grids {
		s.Targets, s.Zoned = g.targets.Prefixes(), g.targets.Zoned()
		if g.proto == monban.TCP {
			s.TCP, s.TCPPages = g.ports, g.save()
		} else {
			s.UDP, s.UDPPages = g.ports, g.save()
		}
	}
	for _, f := range r.flows {
		saved := savedFlow{Proto: f.grid.proto, From: f.from, N: f.n, Seed: f.seed, Pass: f.pass, Pos: f.asking(), Sought: f.sought, Over: f.over, Lost: f.lost, Gone: f.gone, Passes: f.passes}
		s.Flows = append(s.Flows, saved)
	}
	return s
}

// asking returns the place in the order from which on doors are not yet known to
// have been asked in this pass: the last questions may have no answer because
// nobody waited for it.
func (f *flow) asking() uint64 {
	const queued = 1024
	underWay := min(f.rate(), 1e7)*f.pace.rto().Seconds() + queued
	return f.pos - min(f.pos, uint64(underWay))
}

// Answered is how many doors have said something.
func (s *State) Answered() (n uint64) {
	if s == nil {
		return 0
	}
	for _, pages := range [][]savedPage{s.TCPPages, s.UDPPages} {
		for _, p := range pages {
			for _, cells := range p.Cells { // four, of two bits
				n += uint64(bits.OnesCount8((cells | cells>>1) & 0x55))
			}
		}
	}
	return n
}

// Valid reports whether the state hangs together: it comes from a file.
func (s *State) Valid() bool {
	targets, ok := NewTargets(s.Targets, nil, s.Zoned...)
	if !ok || targets.Len() == 0 || len(s.TCP)+len(s.UDP) == 0 || len(s.TCP) > 1<<16 || len(s.UDP) > 1<<16 {
		return false
	}
	for _, f := range s.Flows {
		ports := len(s.TCP)
		if f.Proto == monban.UDP {
			ports = len(s.UDP)
		} else if f.Proto != monban.TCP {
			return false
		}
		all := targets.Len() * uint64(ports)
		if f.N == 0 || f.From > all || f.N > all-f.From || f.Pos > f.N || f.Pass < 1 || f.Pass > maxPasses || len(f.Passes) != f.Pass {
			return false
		}
		if slices.ContainsFunc(f.Gone, func(h uint64) bool { return h >= targets.Len() }) {
			return false
		}
	}
	for proto, pages := range map[monban.Proto][]savedPage{monban.TCP: s.TCPPages, monban.UDP: s.UDPPages} {
		ports := s.TCP
		if proto == monban.UDP {
			ports = s.UDP
		}
		if !newGrid(targets, ports, proto).load(pages) {
			return false
		}
	}
	return true
}

func (s *State) flowsOf(proto monban.Proto) (out []savedFlow) {
	if s == nil {
		return nil
	}
	for _, f := range s.Flows {
		if f.Proto == proto {
			out = append(out, f)
		}
	}
	return out
}

func (s *State) pagesOf(proto monban.Proto) []savedPage {
	if proto == monban.TCP {
		return s.TCPPages
	}
	return s.UDPPages
}

// restore continues where a saved flow was.
func (f *flow) restore(s savedFlow) {
	f.pass, f.pos, f.over = s.Pass, s.Pos, s.Over
	f.lost, f.gone = s.Lost, slices.Clone(s.Gone)
	f.passes = slices.Clone(s.Passes)
	f.sought = min(max(s.Sought, 2), s.Pass)
	f.reorder()
	f.adopt()
}

// adopt counts what the doors of the flow have already said.
func (f *flow) adopt() {
	ports := uint64(len(f.grid.ports))
	for d := f.from; d < f.from+f.n; d++ {
		switch state := f.grid.get(d); state {
		case silent:
			continue
		case open:
			f.open++
			fallthrough
		default:
			f.news++
			f.alive.set(d / ports)
			if state != prohibited {
				f.canaries.add(d, state == closed)
			}
		}
	}
}
