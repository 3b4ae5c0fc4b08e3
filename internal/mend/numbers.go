package mend

import (
	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/portbook"
)

// Numbers chooses new ports.
type Numbers struct {
	// Chooser knows what is open, connected and claimed anywhere on the machine.
	Chooser *conflict.Chooser
	Host    *monban.Host
	// Leased reports whether somebody keeps a port.
	Leased func(num uint16) bool
	// Home is the port that a program has a lease of, 0 for none, and where the
	// search for one begins.
	Home func(c *monban.Claim) (kept uint16, start uint32)
}

// given are the ports that a plan has given away, and where the search for the
// next one goes on: what was in the way stays in the way, and without that a plan
// for thousands that leave one port took as many looks for each.
type given struct {
	ports map[uint16]bool
	next  map[search]uint32
	full  map[monban.PortRange]bool
}

// search is where a search for a port begins.
type search struct {
	in    monban.PortRange
	start uint32
}

func newGiven() *given {
	return &given{map[uint16]bool{}, map[search]uint32{}, map[monban.PortRange]bool{}}
}

// choose returns a port for a side that leaves its own: the customary
// alternative if nothing is in its way, else one that nothing takes by itself,
// to be leased.
func (n *Numbers) choose(c *monban.Claim, taken *given) (num uint16, leased, ok bool) {
	from := c.Bind.Port
	if from.Proto == monban.AnyProto {
		from.Proto = monban.TCP
	}
	for _, use := range portbook.Builtin().Practice(from) {
		if alt := use.Alternative; alt >= 1024 && alt != from.Num && !taken.ports[alt] && !n.Leased(alt) && n.stays(alt) {
			return alt, false, true
		}
	}
	haven := conflict.FindHaven(n.Host)
	// Kubernetes takes the port of a node from this range, unless told otherwise.
	if nodes := (monban.PortRange{First: 30000, Last: 32767}); c.By == "kubernetes" && nodes.Contains(monban.Port{Num: from.Num}) {
		haven = conflict.Haven{Range: nodes, Kind: conflict.Asked}
	}
	kept, start := n.Home(c)
	if haven.Kind != conflict.Asked && kept != 0 && kept != from.Num && !taken.ports[kept] && n.Chooser.Obstacle(kept, conflict.Asked) == conflict.NoObstacle {
		return kept, true, true
	}
	if taken.full[haven.Range] {
		return 0, true, false
	}
	begin := search{haven.Range, start}
	num, _, ok = n.Chooser.Choose(haven, start+taken.next[begin], func(num uint16) bool { return taken.ports[num] || n.Leased(num) })
	if size := uint32(haven.Range.Len()); ok {
		taken.next[begin] = (uint32(num-haven.Range.First) + size - start%size) % size
	} else {
		taken.full[haven.Range] = true
	}
	return num, true, ok
}

// stays reports whether a port is free and no outgoing connection will be lent it.
func (n *Numbers) stays(num uint16) bool {
	lent := n.Host.Ephemeral
	return n.Chooser.Obstacle(num, conflict.Asked) == conflict.NoObstacle && (num < lent.First || num > lent.Last)
}
