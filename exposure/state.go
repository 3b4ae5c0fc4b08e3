package exposure

import (
	"slices"

	"github.com/monban-dev/monban"
)

// place is an address of this machine, or one that it translates to, and a port.
type place struct {
	addr addr
	port uint16
}

// facts are what packets have in common besides their address.
type facts struct {
	place
	// lastPort is the last of several ports that the packets may go to; 0 is one.
	lastPort                     uint16
	mark, connMark               uint32
	unknownMark, unknownConnMark bool
	untracked                    bool
	// answered: a proxy in the kernel has answered in this machine's place.
	answered bool
	// zone is what made it unforeseeable whether answers find their connection.
	zone *tag
	// source is the rule that changed the source.
	source *rule
	// lost: the first packet was not tracked, so the answer has no connection.
	lost bool
	// unheard: the first packet was tracked, and the answer was not.
	unheard bool
	// notrack is the rule that kept the packet out of tracking.
	notrack *rule
	// translated is the rule that may change the destination, and changed says
	// that it does: one that leads to where a packet goes anyway leaves no trace
	// in the connection's status (nf_nat_setup_info).
	translated *rule
	changed    bool
}

// state is packets that are at the same point of the same way.
type state struct {
	facts
	src  set
	tags []tagged
}

// tagged is a tag and the sources whose packets have it.
type tagged struct {
	*tag
	src set
}

// outcome is packets whose fate a rule, or a chain's policy, decided.
type outcome struct {
	by   *rule
	base *base // whose policy decided, where by is nil
	// routing is the routing rule that decided, where it is neither.
	routing *monban.RoutingRule
	why     monban.Reason
	src     set
	tags    []tagged
}

func (s *state) clone() *state {
	c := *s
	return &c
}

// tagWith returns a copy of s's tags with one more, for all its packets.
func (s *state) tagWith(t *tag) {
	s.tags = append(slices.Clip(s.tags), tagged{t, s.src})
}

// part takes the packets from the given sources out of s. It returns nil for none
// and s itself for all.
func (e *eval) part(s *state, src *set) *state {
	in, out := e.divisions.divide(&s.src, src)
	switch {
	case in.empty():
		return nil
	case out.empty():
		return s
	}
	p := *s
	p.src, s.src = in, out
	return &p
}

// divisions remembers what came of dividing sources by the larger sets of a
// ruleset: most doors come to the same rules with the same sources.
type divisions map[setID][]division

type division struct{ from, in, out set }

// divide returns the atoms of a that are in b, and those that are not.
func (d divisions) divide(a, b *set) (in, out set) {
	const large, most = 4, 8 // chunks, and divisions by one set
	if len(b.chunks) < large {
		in, out = and(a, b), *a
		out.remove(b)
		return in, out
	}
	known := d[b.id()]
	for i := range known {
		if known[i].from.is(a) {
			return known[i].in, known[i].out
		}
	}
	in, out = and(a, b), *a
	out.remove(b)
	if len(known) >= most {
		known = append(known[:0:0], known[1:]...)
	}
	d[b.id()] = append(known, division{*a, in, out})
	return in, out
}

// fork returns a copy of s, both tagged.
func (s *state) fork(t *tag) *state {
	s.tagWith(t)
	return s.clone()
}

// join puts states together that differ in nothing but their sources.
func join(list []*state) []*state {
	if len(list) < 2 {
		return list
	}
	out := list[:0:0]
next:
	for _, s := range list {
		for _, o := range out {
			if o.facts == s.facts {
				o.absorb(s)
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

func (s *state) absorb(o *state) {
	if len(s.tags) > 0 || len(o.tags) > 0 {
		s.tags = append(restrict(s.tags, &s.src), restrict(o.tags, &o.src)...)
		s.tags = unite(s.tags)
	}
	s.src.add(&o.src)
}

// restrict returns the tags of the packets from src.
func restrict(tags []tagged, src *set) []tagged {
	var out []tagged
	for _, t := range tags {
		if both := and(&t.src, src); !both.empty() {
			out = append(out, tagged{t.tag, both})
		}
	}
	return out
}

// unite puts entries of the same tag together.
func unite(tags []tagged) []tagged {
	out := tags[:0:0]
next:
	for _, t := range tags {
		for i := range out {
			if out[i].tag == t.tag {
				out[i].src.add(&t.src)
				continue next
			}
		}
		out = append(out, tagged{t.tag, t.src})
	}
	return out
}
