package probe

// canary returns a door that is known to answer when it is time to ask one. The
// time is counted in probes, and not regular: a queue that is full takes the first
// packets of every batch and drops the rest, and canaries that always came first
// would see no loss at all.
func (f *flow) canary() (uint64, bool) {
	if f.pass == 1 && (f.talks || !f.settled) || f.canaries.n() == 0 || f.since < f.apart || f.patience > 0 {
		return 0, false
	}
	least := 16.0
	switch {
	case f.pace.quiet > 0:
		least = 1 // has it gone? A slow pace would ask that for minutes
	case f.slowly:
		least = 4
	}
	apart := max(least, min(f.pace.rate, 1e7)/perCanary/float64(f.canaries.n()))
	f.apart = int(apart * (0.5 + float64(mix(f.seed^f.probes)>>11)/(1<<53)))
	return f.canaries.next(), true
}

// canaries are doors known to answer. Closed ones are preferred: nobody behind
// them is bothered.
type canaries struct {
	doors  []uint64
	closed int // how many of doors, from the front, are closed
	turn   int
}

// perCanary is how often one canary may be asked, per second.
const (
	perCanary   = 200
	maxCanaries = 256
)

func (c *canaries) n() int { return len(c.doors) }

func (c *canaries) add(door uint64, isClosed bool) {
	if len(c.doors) < maxCanaries {
		c.doors = append(c.doors, door)
		if isClosed {
			last := len(c.doors) - 1
			c.doors[c.closed], c.doors[last] = c.doors[last], c.doors[c.closed]
			c.closed++
		}
	}
}

func (c *canaries) next() uint64 {
	n := len(c.doors)
	if c.closed >= 32 {
		n = c.closed
	}
	c.turn++
	return c.doors[c.turn%n]
}
