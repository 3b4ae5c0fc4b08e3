package sockets

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// row is one line of a kernel socket table, in the same form for every system.
// Readers fill one and pass a pointer to it around, so that a table of hundreds
// of thousands of sockets costs no memory.
type row struct {
	proto monban.Proto
	stage stage
	// local and remote carry the zone of a link-local address.
	local, remote netip.AddrPort
	device        string
	v6only        monban.Flag
	uid, mark     uint32
	inode         uint64
	// identity is the same for two rows only if they are the same socket;
	// 0 is not known.
	identity uint64
	pid      int
	unit     string
	kernel   string
}

// stage is what a socket is doing, as far as doors and connections go.
type stage uint8

const (
	unbound stage = iota // neither a door nor a connection
	listening
	bound
	established
	timeWait
	otherwise // any other state of a connection
)

// stageOf translates a TCP state of Linux, of which the other transports use
// some (include/net/tcp_states.h).
func stageOf(state uint8) stage {
	switch state {
	case 10:
		return listening
	case 7, 13: // CLOSE; BOUND_INACTIVE, which is reported as CLOSE
		return bound
	case 1:
		return established
	case 6:
		return timeWait
	case 2, 3, 4, 5, 8, 9, 11, 12:
		return otherwise
	default:
		return unbound
	}
}

// doorList gathers the doors among rows. It fills one chunk after another, each
// twice as large: to let a slice grow to 10,000 doors would copy 10 MB.
type doorList struct {
	ports portSet
	netns string
	full  [][]monban.Door
	last  []monban.Door
	seen  map[uint64]struct{}
}

const (
	firstChunk = 32
	lastChunk  = 4096
)

// doors returns what was gathered, in order. Everybody who shows or judges doors
// wants them so, and finds out at once that they are.
func (l *doorList) doors() []monban.Door {
	// A door is large: its place is sorted, by the number that decides most.
	type place struct {
		port uint32
		door *monban.Door
	}
	var places []place
	for _, chunk := range append(l.full, l.last) {
		places = slices.Grow(places, len(chunk))
		for i := range chunk {
			d := &chunk[i]
			places = append(places, place{uint32(d.Bind.Port.Num)<<8 | uint32(d.Bind.Port.Proto), d})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.port != b.port {
			return cmp.Compare(a.port, b.port)
		}
		return a.door.Compare(b.door)
	})
	if len(places) == 0 {
		return nil
	}
	doors := make([]monban.Door, len(places))
	for i, p := range places {
		doors[i] = *p.door
	}
	return doors
}

func (l *doorList) append(d *monban.Door) {
	if len(l.last) == cap(l.last) {
		size := firstChunk
		if l.last != nil {
			l.full = append(l.full, l.last)
			size = min(2*len(l.last), lastChunk)
		}
		l.last = make([]monban.Door, 0, size)
	}
	l.last = append(l.last, *d)
}

// add takes the row if it is a door that is looked for and not there yet, and
// reports that. A table that is read while it changes may show a socket twice.
func (l *doorList) add(r *row) bool {
	var state monban.DoorState
	switch r.stage {
	case listening:
		state = monban.Listen
	case bound:
		state = monban.Bound
	default:
		return false
	}
	num := r.local.Port()
	if num == 0 || !l.ports.contains(r.proto, num) {
		return false
	}
	if r.identity != 0 {
		if _, dup := l.seen[r.identity]; dup {
			return false
		}
		if l.seen == nil {
			l.seen = make(map[uint64]struct{})
		}
		l.seen[r.identity] = struct{}{}
	}
	d := monban.Door{
		Bind: monban.Bind{
			Port:   monban.Port{Num: num, Proto: r.proto},
			Addr:   r.local.Addr(),
			Device: r.device,
			V6Only: r.v6only,
			NetNS:  l.netns,
		},
		State:   state,
		UID:     r.uid,
		Mark:    r.mark,
		Inode:   r.inode,
		Unnamed: monban.HiddenNotAsked,
		Kernel:  r.kernel,
	}
	if r.pid != 0 {
		d.Owners, d.Unnamed = []monban.Owner{{PID: r.pid, Unit: r.unit}}, monban.NotHidden
	}
	l.append(&d)
	return true
}
