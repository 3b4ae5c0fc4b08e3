package exposure

import (
	"slices"

	"github.com/monban-dev/monban"
)

// wayKey is what makes the ways of two packets the same.
type wayKey struct {
	family monban.Family
	device int // its class
	proto  byte
	class  int // of the address
	own    bool
	port   int32
	// bound: the door's socket is bound to the interface.
	bound bool
	// mark is the socket's.
	mark uint32
}

// way returns what becomes of packets to a place, for a door.
func (j *judge) way(v *view, dev *monban.Interface, d *monban.Door, to *entry) *way {
	p, port := v.program, d.Bind.Port.Num
	key := wayKey{family: p.family, device: v.class[dev], proto: byte(d.Bind.Port.Proto.Number()), class: to.class, own: to.own,
		port: p.ports.of(port), bound: d.Bind.Device != "", mark: d.Mark}
	if p.translates {
		key.port = int32(port)
	}
	for _, w := range j.ways[key] {
		if alike(w.asked, dev) && (!key.bound || w.by == dev) {
			return w
		}
	}
	w := p.follow(j.machine, j.divisions, j.policies, j.filters[dev.Name], dev, &key, place{addrOf(to.addr), port})
	j.ways[key] = append(j.ways[key], w)
	return w
}

// asked is a test of the interface that packets came in by, and what came of it.
type asked struct {
	load   monban.Load
	within []monban.Span
	passed bool
}

// alike reports whether packets that come in by another interface pass the same
// tests.
func alike(tests []asked, dev *monban.Interface) bool {
	for i := range tests {
		t := &tests[i]
		v := deviceName(dev)
		if t.load.Field == monban.FieldInIndex {
			v = deviceIndex(dev)
		}
		if t.load.Len > 0 {
			v = v[t.load.Offset:][:t.load.Len]
		}
		if inSpans(v, t.within) != t.passed {
			return false
		}
	}
	return true
}

// summary is what comes of a way: disjoint sets of sources.
type summary struct {
	open, conditional, unknown set
	drops, accepts             []outcome
	tags                       []tagged
	// reported is the answer to an interface of the class.
	reported []monban.Reach
	class    int
}

func (s *summary) merge(o *summary) {
	if o.drops == nil && o.accepts == nil && o.open.empty() && o.conditional.empty() && o.unknown.empty() {
		return
	}
	if s.drops == nil && s.accepts == nil && s.open.empty() && s.conditional.empty() && s.unknown.empty() {
		*s = summary{open: o.open, conditional: o.conditional, unknown: o.unknown, drops: o.drops, accepts: o.accepts, tags: o.tags}
		return
	}
	s.open.add(&o.open)
	s.conditional.add(&o.conditional)
	s.unknown.add(&o.unknown)
	s.conditional.remove(&s.open)
	s.unknown.remove(&s.open)
	s.unknown.remove(&s.conditional)
	s.drops = append(slices.Clip(s.drops), o.drops...)
	s.accepts = append(slices.Clip(s.accepts), o.accepts...)
	s.tags = append(slices.Clip(s.tags), o.tags...)
}

// summarise sums up a way for a door; here says whether the door answers at the
// address that the packets were sent to.
func (j *judge) summarise(p *program, w *way, d *monban.Door, here bool) *summary {
	translated := slices.ContainsFunc(w.in, func(s *state) bool { return s.translated != nil })
	if !here && !translated {
		return &summary{} // they arrive at an address where the door does not answer
	}
	forwarded := d.State == monban.Forwarded
	if sum, ok := j.sums[w]; ok && !translated && !forwarded {
		return sum
	}
	sum := &summary{drops: w.drops, accepts: w.accepts}
	var in, both set // both: those who perhaps come in and perhaps do not
	var tags []tagged
	for _, s := range w.in {
		if s.translated == nil && !here {
			continue
		}
		if s.translated == nil && d.State == monban.Forwarded {
			sum.drops = append(slices.Clip(sum.drops), outcome{why: monban.ByNobody, src: s.src, tags: s.tags})
			continue
		}
		if s.translated != nil && d.To.Port == 0 && d.State != monban.Forwarded &&
			(d.Bind.Port.Num < s.port || d.Bind.Port.Num > max(s.port, s.lastPort) || !j.own(p.family, s.addr) || !at(d, s.addr.netip(p.family))) {
			// It arrives, at another door.
			sum.drops = append(slices.Clip(sum.drops), outcome{by: s.translated, src: s.src, tags: s.tags})
			continue
		}
		if s.translated != nil {
			somebody, nobody := j.answering(p.family, w.by, d.Bind.Port.Proto, s)
			if nobody {
				sum.drops = append(slices.Clip(sum.drops), outcome{by: s.translated, why: monban.ByNoListener, src: s.src, tags: s.tags})
			}
			if !somebody {
				continue
			}
		}
		in.add(&s.src)
		tags = append(tags, restrict(s.tags, &s.src)...)
	}
	for i := range sum.drops {
		o := &sum.drops[i]
		if len(o.tags) == 0 {
			continue // nothing unforeseen happened to them: they have one fate
		}
		again := and(&in, &o.src)
		both.add(&again)
		if !again.empty() {
			tags = append(tags, restrict(o.tags, &again)...)
		}
	}
	sum.open = in
	if !both.empty() {
		sum.open.remove(&both)
		var opaque set
		for _, t := range tags {
			if t.kind == monban.ByOpaque {
				opaque.add(&t.src)
			}
		}
		sum.unknown = and(&both, &opaque)
		sum.conditional = both
		sum.conditional.remove(&opaque)
		sum.tags = unite(tags)
	}
	if t := p.proxies[d.Bind.Port.Num]; t != nil && !forwarded {
		sum.perhaps(t, j.sources(p, w.by))
	}
	if !translated && !forwarded {
		j.sums[w] = sum
	}
	return sum
}

// perhaps adds that any of the sources may come in, too, which a rule makes
// possible in a way of its own.
func (s *summary) perhaps(t *tag, sources *set) {
	more := *sources
	more.remove(&s.open)
	more.remove(&s.conditional)
	s.unknown.add(&more)
	s.tags = append(slices.Clip(s.tags), tagged{t, more})
}

// filtersOf returns the filters that see the packets of a door's owners.
func (j *judge) filtersOf(d *monban.Door) (tags []*tag) {
	if len(j.byOwner) == 0 {
		return nil
	}
	for _, o := range d.Owners {
		for _, t := range j.byOwner[o.PID] {
			if !slices.ContainsFunc(tags, func(x *tag) bool { return x.text == t.text }) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}

// behind returns the summary for a door whose packets some filters see last: who
// comes in does so if they let them.
func (s *summary) behind(filters []*tag) *summary {
	out := &summary{conditional: s.conditional, unknown: s.unknown, drops: s.drops, accepts: s.accepts, tags: slices.Clip(s.tags)}
	out.conditional.add(&s.open)
	for _, t := range filters {
		out.tags = append(out.tags, tagged{t, out.conditional})
	}
	return out
}
