package conflict

import "github.com/monban-dev/monban"

// Stop returns how to make the holder of a door let go of it, through whatever
// supervises it: one of the Stop… codes, or one that says what else to do. It is
// empty where stopping would break more than it mends: the holder is a way into
// the machine or serves many others.
func Stop(d *monban.Door, snap *monban.Snapshot) []monban.Fix { return stop(d, snap) }

// ContainerOf returns the container that answers at a door, or nil.
func ContainerOf(d *monban.Door, snap *monban.Snapshot) *monban.Container {
	return containerOf(d, snap)
}

// SameProgram reports whether two doors are known to belong to one program, in
// the sense in which people say so: a master with its workers, all that one unit
// or one container started.
func SameProgram(a, b *monban.Door, snap *monban.Snapshot) bool {
	return relate(a, b, snap) == related
}
