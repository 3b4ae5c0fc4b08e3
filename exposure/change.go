package exposure

import (
	"encoding/binary"

	"github.com/monban-dev/monban"
)

// assign sets a mark.
func (e *eval) assign(st *step, s *state, t *temps) {
	v, known := e.value(&st.Key[0], s, t)
	number := uint32(0)
	if known == certain && len(v) == 4 {
		number = binary.BigEndian.Uint32(v)
	} else {
		known = unforeseen
	}
	if len(st.Key) > 1 {
		v, more := e.value(&st.Key[1], s, t)
		if more == absent {
			return // there is no connection to have a mark
		}
		if more == certain && len(v) == 4 {
			number ^= binary.BigEndian.Uint32(v)
		} else {
			known = unforeseen
		}
	}
	switch {
	case st.To == monban.FieldConnState:
		if !e.tracked && s.zone == nil {
			s.zone = &st.tag
		}
	case st.To == monban.FieldMark:
		s.mark, s.unknownMark = number, known != certain
	case e.tracked && !s.untracked:
		s.connMark, s.unknownConnMark = number, known != certain
	}
}

// translate changes the destination: it returns the packets for each that they may
// have then, nil where the kernel drops them instead, because there is no address to
// redirect them to.
func (e *eval) translate(r *rule, st *step, s *state, t *temps) []*state {
	s.translated = r
	list := []*state{s}
	if st.Op == monban.OpRedirect {
		to, ok := e.host.primary(e.family, e.in, s.addr)
		if !ok {
			return nil
		}
		s.addr = to
	}
	switch first, last, known := e.bounds(st.Addr, addrLen(e.family), s, t); {
	case known:
		list = e.spread(st, s, addrOfBytes(first), addrOfBytes(last))
	case len(st.Addr) > 0:
		s.tagWith(&st.tag)
	}
	first, last, known := e.bounds(st.Port, 2, s, t)
	if !known {
		if len(st.Port) > 0 {
			for _, s := range list {
				s.tagWith(&st.tag)
			}
		}
		return list
	}
	low, high := binary.BigEndian.Uint16(first), binary.BigEndian.Uint16(last)
	var out []*state
	for _, s := range list {
		switch {
		case low == high:
			s.port = low
		case st.Name == monban.PortRandom:
			out = append(out, e.anyPortOf(st, s, low, high)...)
			continue
		case s.port < low || s.port > high:
			// The first one; one of the range keeps its own
			// (nf_nat_l4proto_unique_tuple).
			s.port = low
		}
		out = append(out, s)
	}
	return out
}

// mostPlaces is how many places of a range are looked at.
const mostPlaces = 32

// spread sends packets to a range of addresses, of which the kernel takes one for
// each connection: to one address of each kind that rules and routes tell apart.
func (e *eval) spread(st *step, s *state, first, last addr) []*state {
	from, to := e.space.atom(first), e.space.atom(last)
	s.addr = first
	if from >= to {
		return []*state{s}
	}
	s.tagWith(&st.tag)
	list := []*state{s}
	for atom := from + 1; atom <= to && len(list) < mostPlaces; atom++ {
		one := s.clone()
		one.addr = e.space.starts[atom]
		list = append(list, one)
	}
	return list
}

// anyPortOf sends packets to a range of ports, of which the kernel takes one by
// chance: to one of each class.
func (e *eval) anyPortOf(st *step, s *state, low, high uint16) []*state {
	s.tagWith(&st.tag)
	s.port, s.lastPort = low, high
	list := []*state{s}
	for _, begin := range e.ports.sorted {
		last := list[len(list)-1]
		if begin <= int(low) || begin > int(high) || begin <= int(last.port) {
			continue
		}
		one := s.clone()
		last.lastPort, one.port, one.lastPort = uint16(begin-1), uint16(begin), high
		list = append(list, one)
	}
	return list
}

// bounds returns the two ends of a range of NAT's.
func (e *eval) bounds(loads []monban.Load, n int, s *state, t *temps) (first, last []byte, ok bool) {
	if len(loads) == 0 {
		return nil, nil, false
	}
	first, known := e.value(&loads[0], s, t)
	if known != certain || len(first) != n {
		return nil, nil, false
	}
	last, known = e.value(&loads[len(loads)-1], s, t)
	return first, last, known == certain && len(last) == n
}
