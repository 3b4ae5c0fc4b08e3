package probe

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// A transparent proxy, or a SYN proxy, answers at one port for a whole network: for
// addresses that nobody has, too. What shows it is a port that is open at nearly
// every address of a network, by answers that one and the same system makes, while
// many of the addresses say nothing at any other port.
//
// A part of a network is told of only if it shows what no farm of equal servers does,
// which may all drop everything else, too: every address of it answers, and one of
// them is the first or the last of the network, which on a link is no host's.

// crowd is a door number at the addresses of a network: a /24 (IPv6: a /120).
type crowd struct {
	net  netip.Addr // the first address
	port uint16
}

// crowdOpen is who answered there, by quarters of the network.
type crowdOpen [4]tally

// tally counts answers: same are those that are as the first one was.
type tally struct {
	stack       uint32
	same, other int32
}

func (t *tally) add(stack uint32) {
	switch {
	case t.stack == 0, stack == 0, t.stack == stack:
		t.stack = max(t.stack, stack)
		t.same++
	default:
		t.other++
	}
}

// of puts the tallies of some quarters together.
func (o *crowdOpen) of(first, n int) (sum tally) {
	for _, t := range o[first : first+n] {
		switch {
		case sum.stack == 0, t.stack == 0, sum.stack == t.stack:
			sum.stack = max(sum.stack, t.stack)
			sum.same += t.same
			sum.other += t.other
		default:
			sum.other += t.same + t.other
		}
	}
	return sum
}

const (
	crowdBits = 8
	// mostCrowds bounds the memory of a scan in which everything answers.
	mostCrowds = 1 << 16
	// crowdFew is how many addresses are a network, and nearly is what part of them
	// are nearly all; anyOf is the part that says nothing else.
	crowdFew = 32
	nearly   = 0.95
	anyOf    = 0.25
)

func crowdOf(a netip.Addr, port uint16) crowd {
	p, _ := a.WithZone("").Prefix(a.BitLen() - crowdBits) // of an address that is valid
	return crowd{p.Addr(), port}
}

// opened notes an open door, and by what stack it was opened; 0 is not known.
func (s *session) opened(g *grid, door uint64, stack uint32) {
	if g.proto != monban.TCP || g.targets.Len() < crowdFew {
		return
	}
	host, port := g.door(door)
	c := crowdOf(host, port)
	o := s.crowds[c]
	if o == nil {
		if len(s.crowds) >= mostCrowds {
			return
		}
		if s.crowds == nil {
			s.crowds = make(map[crowd]*crowdOpen)
		}
		o = new(crowdOpen)
		s.crowds[c] = o
	}
	o[minus(host.WithZone(""), c.net)>>(crowdBits-2)].add(stack)
}

// reopened notes the open doors of a scan that goes on, of whom it is not known who
// answered.
func (s *session) reopened(g *grid) {
	for door := range g.openDoors() {
		s.opened(g, door, 0)
	}
}

// stackOf tells systems apart by their SYN-ACKs: the hop limit that is left, the
// window, and the options in their order with what they say, but for timestamps
// (RFC 9293 section 3.1, RFC 7323).
func stackOf(hops byte, tcp []byte) uint32 {
	sum := mix(uint64(hops)<<16 | uint64(tcp[14])<<8 | uint64(tcp[15]))
	options := tcp[20:max(20, min(int(tcp[12]>>4)*4, len(tcp)))]
	for len(options) > 0 {
		kind, n := options[0], 1
		if kind > 1 { // 0 ends the list, 1 is padding
			if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
				break
			}
			n = int(options[1])
		}
		says := options[:n]
		if kind == 8 {
			says = options[:1]
		}
		for _, c := range says {
			sum = mix(sum<<8 ^ uint64(c))
		}
		options = options[n:]
	}
	return uint32(sum) | 1 // 0 is not known
}

// sharedDoor is a door number at which one system seems to answer for a network.
type sharedDoor struct {
	net  netip.Prefix
	port uint16
	n    int // addresses
}

// oneForAll finds them, and the addresses that have said nothing else.
func (r *Report) oneForAll(g *grid, crowds map[crowd]*crowdOpen) {
	byNet := make(map[netip.Prefix][]uint16)
	for c, o := range crowds {
		if net, ok := g.answeredByOne(c, o); ok {
			byNet[net] = append(byNet[net], c.port)
		}
	}
	byPort := make(map[uint16][]sharedDoor)
	for net, ports := range byNet {
		var quiet []uint64
		var hosts span
		n := 0
		for h := range g.network(net) {
			if n++; !g.answersElsewhere(h, ports) {
				quiet = append(quiet, h)
			}
			if hosts.last = g.targets.At(h); n == 1 {
				hosts.first = hosts.last
			}
		}
		if float64(len(quiet)) < anyOf*float64(n) {
			continue
		}
		if r.unproven == nil {
			r.unproven = newBitmap(g.targets.Len())
		}
		for _, h := range quiet {
			r.unproven.set(h)
		}
		for _, port := range ports {
			byPort[port] = append(byPort[port], sharedDoor{hosts.prefix(), port, n})
		}
	}
	for _, list := range byPort {
		r.shared = append(r.shared, joined(list)...)
	}
	slices.SortFunc(r.shared, func(a, b sharedDoor) int {
		if d := int(a.port) - int(b.port); d != 0 {
			return d
		}
		return a.net.Addr().Compare(b.net.Addr())
	})
	for _, d := range r.shared {
		r.Gaps = append(r.Gaps, monban.Gap{Source: d.net.String() + " " + monban.Port{Num: d.port, Proto: monban.TCP}.String(),
			Err: OneForAll, Hides: monban.HidesSightings, Count: d.n})
	}
}

// answeredByOne returns the network, or the part of it, for which one system seems to
// answer.
func (g *grid) answeredByOne(c crowd, o *crowdOpen) (netip.Prefix, bool) {
	bits := c.net.BitLen() - crowdBits
	place, ok := g.place(c.port)
	if !ok {
		return netip.Prefix{}, false
	}
	for _, part := range []struct{ first, quarters, longer int }{{0, 4, 0}, {0, 2, 1}, {2, 2, 1}, {0, 1, 2}, {3, 1, 2}} {
		t := o.of(part.first, part.quarters)
		if t.same == 0 || float64(t.same) < nearly*float64(t.same+t.other) {
			continue
		}
		net := netip.PrefixFrom(plus(c.net, uint64(part.first)<<(crowdBits-2)), bits+part.longer)
		asked, opened := 0, 0
		for h := range g.network(net) {
			asked++
			if g.get(h*uint64(len(g.ports))+uint64(place)) == open {
				opened++
			}
		}
		switch whole := part.quarters == 4; {
		case whole && asked >= crowdFew && float64(opened) >= nearly*float64(asked):
			return net, true
		case !whole && opened == part.quarters<<(crowdBits-2):
			return net, true
		}
	}
	return netip.Prefix{}, false
}

// network returns the hosts of a network that were asked.
func (g *grid) network(net netip.Prefix) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range uint64(1) << (net.Addr().BitLen() - net.Bits()) {
			if h, ok := g.targets.Index(plus(net.Addr(), i)); ok && !yield(h) {
				return
			}
		}
	}
}

// answersElsewhere reports whether a host has answered at any other port.
func (g *grid) answersElsewhere(h uint64, ports []uint16) bool {
	first := h * uint64(len(g.ports))
	for i, port := range g.ports {
		if state := g.get(first + uint64(i)); (state == open || state == closed) && !slices.Contains(ports, port) {
			return true
		}
	}
	return false
}

// prefix returns the smallest prefix that holds both ends.
func (s span) prefix() netip.Prefix {
	bits := s.first.BitLen()
	for !netip.PrefixFrom(s.first, bits).Contains(s.last) {
		bits--
	}
	return netip.PrefixFrom(s.first, bits).Masked()
}

// joined puts neighbours together that make a larger prefix.
func joined(list []sharedDoor) []sharedDoor {
	slices.SortFunc(list, func(a, b sharedDoor) int { return a.net.Addr().Compare(b.net.Addr()) })
	for before := 0; before != len(list); {
		before = len(list)
		out := list[:0]
		for _, d := range list {
			if n := len(out); n > 0 && out[n-1].net.Bits() == d.net.Bits() {
				if both := (span{out[n-1].net.Addr(), d.net.Addr()}).prefix(); both.Bits() == d.net.Bits()-1 {
					out[n-1].net = both
					out[n-1].n += d.n
					continue
				}
			}
			out = append(out, d)
		}
		list = out
	}
	return list
}

// Doubtful reports whether something on the way may have answered for a target,
// because everything answers, at one host or at one port of a network.
func (r *Report) Doubtful(target netip.Addr, port monban.Port) bool {
	for _, g := range r.Gaps {
		if g.Err == EverythingAnswers && g.Source == target.String() {
			return true
		}
	}
	return port.Proto == monban.TCP && slices.ContainsFunc(r.shared, func(d sharedDoor) bool {
		return d.port == port.Num && d.net.Contains(target.WithZone(""))
	})
}
