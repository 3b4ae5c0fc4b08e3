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

// choose returns a port for a side that leaves its own: the customary
// alternative if nothing is in its way, else one that nothing takes by itself,
// to be leased. taken are the ports that the plan has given away.
func (n *Numbers) choose(c *monban.Claim, taken map[uint16]bool) (num uint16, leased, ok bool) {
	from := c.Bind.Port
	if from.Proto == monban.AnyProto {
		from.Proto = monban.TCP
	}
	for _, use := range portbook.Builtin().Practice(from) {
		if alt := use.Alternative; alt >= 1024 && alt != from.Num && !taken[alt] && !n.Leased(alt) && n.stays(alt) {
			return alt, false, true
		}
	}
	haven := conflict.FindHaven(n.Host)
	// Kubernetes takes the port of a node from this range, unless told otherwise.
	if nodes := (monban.PortRange{First: 30000, Last: 32767}); c.By == "kubernetes" && nodes.Contains(monban.Port{Num: from.Num}) {
		haven = conflict.Haven{Range: nodes, Kind: conflict.Asked}
	}
	kept, start := n.Home(c)
	if haven.Kind != conflict.Asked && kept != 0 && kept != from.Num && !taken[kept] && n.Chooser.Obstacle(kept, conflict.Asked) == conflict.NoObstacle {
		return kept, true, true
	}
	num, _, ok = n.Chooser.Choose(haven, start, func(num uint16) bool { return taken[num] || n.Leased(num) })
	return num, true, ok
}

// stays reports whether a port is free and no outgoing connection will be lent it.
func (n *Numbers) stays(num uint16) bool {
	lent := n.Host.Ephemeral
	return n.Chooser.Obstacle(num, conflict.Asked) == conflict.NoObstacle && (num < lent.First || num > lent.Last)
}
