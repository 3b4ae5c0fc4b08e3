package report

import (
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

func sortedDoors(doors []monban.Door) []*monban.Door {
	out := make([]*monban.Door, len(doors))
	for i := range doors {
		out[i] = &doors[i]
	}
	// The usual case. A stable sort takes a millisecond to find out, for 10,000.
	if !slices.IsSortedFunc(out, (*monban.Door).Compare) {
		slices.SortStableFunc(out, (*monban.Door).Compare)
	}
	return out
}

// entry is one line of the table: the doors of one service on one port.
type entry struct {
	doors []*monban.Door
}

func (e entry) first() *monban.Door { return e.doors[0] }

func (e entry) owner() *monban.Owner {
	if len(e.first().Owners) == 0 {
		return nil
	}
	return &e.first().Owners[0]
}

// CountEntries returns how many lines the list of doors has for them.
func CountEntries(doors []monban.Door) int { return len(entries(doors)) }

// entryKey is what the doors of one entry have in common.
type entryKey struct {
	port                     monban.Port
	state                    monban.DoorState
	device, netns, container string
	// The holder: the topmost process, or what is known where none can be seen.
	pid     int
	uid     uint32
	unnamed monban.Hidden
	kernel  string
	addr    netip.Addr
}

func keyOf(d *monban.Door) entryKey {
	k := entryKey{port: d.Bind.Port, state: d.State, device: d.Bind.Device, netns: d.Bind.NetNS, container: d.To.Container}
	switch {
	case k.container != "":
	case len(d.Owners) > 0:
		k.pid = d.Owners[0].PID
	default:
		k.uid, k.unnamed, k.kernel = d.UID, d.Unnamed, d.Kernel
		// Whether one program holds two addresses cannot be seen; only the two
		// wildcards are one service as good as always.
		if !d.Bind.Wildcard() {
			k.addr = d.Bind.Addr
		}
	}
	return k
}

// entries groups doors so that one service on 0.0.0.0 and [::] is one entry:
// same port, state, device and namespace, and the same holder. Doors whose
// holder cannot be seen are put together only with those of the same user.
func entries(doors []monban.Door) []entry {
	out := make([]entry, 0, len(doors))
	sorted := sortedDoors(doors)
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].Bind.Port == sorted[0].Bind.Port && sorted[n].Bind.NetNS == sorted[0].Bind.NetNS {
			n++
		}
		out = appendEntries(out, sorted[:n:n])
		sorted = sorted[n:]
	}
	return out
}

// appendEntries groups the doors of one port.
func appendEntries(out []entry, doors []*monban.Door) []entry {
	if len(doors) == 1 { // the usual case
		return append(out, entry{doors})
	}
	at := make(map[entryKey]int, len(doors))
	for _, d := range doors {
		key := keyOf(d)
		if i, ok := at[key]; ok {
			out[i].doors = append(out[i].doors, d)
			continue
		}
		at[key] = len(out)
		out = append(out, entry{[]*monban.Door{d}})
	}
	return out
}

// probableClient reports whether d looks like the near end of a query rather
// than a service: a UDP socket on a port the kernel chose, for which no service
// is known.
func (v *view) probableClient(d *monban.Door) bool {
	h := &v.Snapshot.Host
	return d.Kernel == "" && d.Bind.Port.Proto == monban.UDP && d.State == monban.Bound &&
		h.Ephemeral.Last > 0 && h.Ephemeral.Contains(d.Bind.Port) && len(v.uses(d.Bind.Port)) == 0
}

// widest is the widest scope of an entry's doors. A door that is bound to one
// interface is no wider than an address.
func widest(e entry) monban.Scope {
	scope := monban.ScopeUnknown
	for _, d := range e.doors {
		own := d.Bind.Scope()
		if own == monban.ScopeEvery && d.Bind.Device != "" {
			own = monban.ScopeOne
		}
		if scope == monban.ScopeUnknown || own != monban.ScopeUnknown && own < scope {
			scope = own
		}
	}
	return scope
}
