package monban

import "net/netip"

// Change is the difference between two snapshots.
type Change struct {
	Opened []Door
	Closed []Door
	// Changed are doors that another program holds now.
	Changed []Handover
}

// Handover is a door that changed hands.
type Handover struct{ Before, After Door }

// place identifies a door across snapshots: inodes and pids do not.
type place struct {
	port   Port
	addr   netip.Addr
	device string
	netns  string
	state  DoorState
}

func (d *Door) place() place {
	return place{d.Bind.Port, d.Bind.Addr, d.Bind.Device, d.Bind.NetNS, d.State}
}

// Compare returns what opened, closed and changed hands from before to after. A
// restart of the same program is no change of hands, and neither is a door whose
// owner one of the two could not see: that is not known.
func Compare(before, after *Snapshot) Change {
	var c Change
	// Several sockets may share one place (SO_REUSEPORT): they are compared as
	// a set of programs.
	old := make(map[place][]int)
	for i := range before.Doors {
		p := before.Doors[i].place()
		old[p] = append(old[p], i)
	}
	now := make(map[place][]int)
	for i := range after.Doors {
		p := after.Doors[i].place()
		now[p] = append(now[p], i)
	}
	for i := range after.Doors {
		d := &after.Doors[i]
		was := old[d.place()]
		switch {
		case len(was) == 0:
			c.Opened = append(c.Opened, *d)
		case len(d.Owners) > 0 && now[d.place()][0] == i:
			if b := &before.Doors[was[0]]; len(b.Owners) > 0 && !sameHands(before, was, d) {
				c.Changed = append(c.Changed, Handover{*b, *d})
			}
		}
	}
	for i := range before.Doors {
		if d := &before.Doors[i]; len(now[d.place()]) == 0 {
			c.Closed = append(c.Closed, *d)
		}
	}
	return c
}

// sameHands reports whether the program behind d is one of those behind the
// doors of before at the given indexes.
func sameHands(before *Snapshot, at []int, d *Door) bool {
	for _, i := range at {
		for j := range before.Doors[i].Owners {
			if sameProgram(&before.Doors[i].Owners[j], &d.Owners[0]) {
				return true
			}
		}
	}
	return false
}

func sameProgram(a, b *Owner) bool {
	if a.Unit != b.Unit || a.Container != b.Container || a.UID != b.UID {
		return false
	}
	if a.Exe != "" && b.Exe != "" {
		return a.Exe == b.Exe
	}
	return a.Name == b.Name
}
