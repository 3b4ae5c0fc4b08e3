package monban

import (
	"net/netip"
	"strings"
)

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
	old, now := places(before), places(after)
	for i := range after.Doors {
		d := &after.Doors[i]
		was, is := old[d.place()], now[d.place()]
		switch {
		case len(was) == 0:
			c.Opened = append(c.Opened, *d)
		case is[0] == i:
			c.Changed = append(c.Changed, handovers(before, was, after, is)...)
		}
	}
	for i := range before.Doors {
		if d := &before.Doors[i]; len(now[d.place()]) == 0 {
			c.Closed = append(c.Closed, *d)
		}
	}
	return c
}

// places returns the doors of each place by their indexes.
func places(s *Snapshot) map[place][]int {
	at := make(map[place][]int)
	for i := range s.Doors {
		p := s.Doors[i].place()
		at[p] = append(at[p], i)
	}
	return at
}

// handovers pairs the doors of one place whose programs left with those whose
// programs came.
func handovers(before *Snapshot, was []int, after *Snapshot, is []int) []Handover {
	left := strangers(before, was, after, is)
	came := strangers(after, is, before, was)
	var out []Handover
	for i := range max(len(left), len(came)) {
		// Where a program only joined or left, the other side shows who stays.
		h := Handover{Before: before.Doors[was[0]], After: after.Doors[is[0]]}
		if i < len(left) {
			h.Before = *left[i]
		}
		if i < len(came) {
			h.After = *came[i]
		}
		out = append(out, h)
	}
	return out
}

// strangers returns the doors of s at the indexes whose program none of the
// doors of other has. With an owner out of sight on either side nothing is known.
func strangers(s *Snapshot, at []int, other *Snapshot, there []int) []*Door {
	var out []*Door
	for _, i := range at {
		d := &s.Doors[i]
		known := true
		same := false
		for _, k := range there {
			o := &other.Doors[k]
			known = known && (len(o.Owners) > 0 || o.State == Forwarded)
			same = same || sameHands(d, o)
		}
		if !same && known && (len(d.Owners) > 0 || d.State == Forwarded) {
			out = append(out, d)
		}
	}
	return out
}

// sameHands reports whether the same program is behind two doors, and the door
// leads to the same place.
func sameHands(a, b *Door) bool {
	if a.To.Container != b.To.Container || a.To.Port != b.To.Port {
		return false
	}
	if a.State == Forwarded && b.State == Forwarded {
		return a.To.Addr == b.To.Addr
	}
	for i := range a.Owners {
		for j := range b.Owners {
			if sameProgram(&a.Owners[i], &b.Owners[j]) {
				return true
			}
		}
	}
	return false
}

func sameProgram(a, b *Owner) bool {
	if a.PID == b.PID && !a.Started.IsZero() && a.Started.Equal(b.Started) {
		return true // the very same process
	}
	if serviceOf(a) != serviceOf(b) || a.Container != b.Container || a.UID != b.UID {
		return false
	}
	if a.Exe != "" && b.Exe != "" {
		return a.Exe == b.Exe
	}
	return a.Name == b.Name
}

// serviceOf is the unit that stands for a program. A scope is only the session
// it was started in, which is another one tomorrow.
func serviceOf(o *Owner) string {
	if strings.HasSuffix(o.Unit, ".scope") {
		return ""
	}
	return o.Unit
}
