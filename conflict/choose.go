package conflict

import (
	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Haven is where to look for a port that a program will find free tomorrow, too.
type Haven struct {
	Range monban.PortRange
	Kind  HavenKind
}

// HavenKind says what makes a range a haven.
type HavenKind uint8

// The kinds. They are tried in this order.
const (
	// Asked is a range that somebody asked for.
	Asked HavenKind = iota
	// DynamicHaven is the part of the dynamic ports, 49152–65535, that the kernel
	// does not lend to outgoing connections: 61000–65535 on a default Linux.
	DynamicHaven
	// RegisteredHaven lies below: outgoing connections may have all of the
	// dynamic ports, as on Windows and macOS, so that registered ports are
	// chosen which the port book knows nothing of.
	RegisteredHaven
	// UnknownHaven is what a default Linux does not lend; what this machine lends
	// could not be read.
	UnknownHaven
	// NoHaven is all of the dynamic ports, because outgoing connections may have
	// every port there is.
	NoHaven
)

var havenNames = [...]string{Asked: "asked", DynamicHaven: "dynamic", RegisteredHaven: "registered", UnknownHaven: "unknown", NoHaven: "none"}

// String returns "asked", "dynamic", "registered", "unknown" or "none".
func (k HavenKind) String() string { return havenNames[k] }

// enough is how many ports a haven has at least: fewer are soon given away.
const enough = 256

// FindHaven returns the best haven of a machine.
func FindHaven(h *monban.Host) Haven {
	dynamic := monban.PortRange{First: 49152, Last: 65535}
	switch {
	case h.Ephemeral.Last != 0:
	case h.OS == "linux":
		return Haven{monban.PortRange{First: 61000, Last: 65535}, UnknownHaven}
	default: // IANA's range is what Windows and macOS lend
		h = &monban.Host{Ephemeral: dynamic}
	}
	if r := outside(dynamic, h.Ephemeral); r.Len() >= enough {
		return Haven{r, DynamicHaven}
	}
	r := outside(monban.PortRange{First: 1024, Last: 49151}, h.Ephemeral)
	// Below 10000 are the numbers that people like best.
	if better := (monban.PortRange{First: max(r.First, 10000), Last: r.Last}); r.Last > 10000+enough {
		r = better
	}
	if r.Len() >= enough {
		return Haven{r, RegisteredHaven}
	}
	return Haven{dynamic, NoHaven}
}

// outside returns the larger piece of r that is not in taken. It is the range of
// port 0 alone where nothing is left.
func outside(r, taken monban.PortRange) monban.PortRange {
	if taken.Last < r.First || taken.First > r.Last {
		return r
	}
	var best monban.PortRange
	if taken.First > r.First {
		best = monban.PortRange{First: r.First, Last: taken.First - 1}
	}
	if taken.Last < r.Last {
		if above := (monban.PortRange{First: taken.Last + 1, Last: r.Last}); above.Len() > best.Len() {
			best = above
		}
	}
	return best
}

// Obstacle is why a port is not offered to a program that needs one.
type Obstacle uint8

// The obstacles; the zero Obstacle is none. The first that applies counts.
const (
	NoObstacle     Obstacle = iota
	PortOpen                // a door is there, of whatever transport and address
	PortBusy                // a connection has it at this end, or had it (TIME_WAIT)
	PortClaimed             // a file asks for it
	PortReserved            // kept by the administrator (ip_local_reserved_ports)
	PortExcluded            // nobody gets it (Windows)
	PortPrivileged          // below the first port that this user may open
	PortBlocked             // browsers refuse to connect to it
	PortKnown               // the port book knows a use of it; only in a RegisteredHaven
	PortElsewhere           // the caller has given it to somebody
	obstacles
)

var obstacleNames = [...]string{NoObstacle: "", PortOpen: "open", PortBusy: "busy", PortClaimed: "claimed", PortReserved: "reserved",
	PortExcluded: "excluded", PortPrivileged: "privileged", PortBlocked: "browser-blocked", PortKnown: "known", PortElsewhere: "leased"}

// String returns the machine code of the obstacle, "" for none.
func (o Obstacle) String() string { return obstacleNames[o] }

// Chooser chooses ports by what is open, connected and claimed on a machine.
type Chooser struct {
	host                *monban.Host
	open, busy, claimed portSet
}

// portSet is a bit for each port number, of whatever transport: a number that
// means two things confuses people even where the kernel lets them share it.
type portSet [1 << 10]uint64

func (s *portSet) add(num uint16)      { s[num>>6] |= 1 << (num & 63) }
func (s *portSet) has(num uint16) bool { return s[num>>6]&(1<<(num&63)) != 0 }

// NewChooser looks at a snapshot with the doors and the traffic of the ports to
// choose from, and at what files are known to ask for.
func NewChooser(snap *monban.Snapshot, claims []monban.Claim) *Chooser {
	c := &Chooser{host: &snap.Host}
	for i := range snap.Doors {
		c.open.add(snap.Doors[i].Bind.Port.Num)
	}
	for i := range snap.Traffic {
		c.busy.add(snap.Traffic[i].Port.Num)
	}
	for i := range claims {
		first, last := int(claims[i].Bind.Port.Num), int(claims[i].UpTo)
		if last-first >= longSearch {
			last = first
		}
		for num := first; num <= max(first, last); num++ {
			c.claimed.add(uint16(num))
		}
	}
	return c
}

// longSearch is from how many ports on a claim of the first free one is no claim
// of them all: Elasticsearch has 9200–9300 to itself, but Vite goes up to 65535.
const longSearch = 256

// Obstacle says why a port is not offered.
func (c *Chooser) Obstacle(num uint16, kind HavenKind) Obstacle {
	p := monban.Port{Num: num}
	switch {
	case c.open.has(num):
		return PortOpen
	case c.busy.has(num):
		return PortBusy
	case c.claimed.has(num):
		return PortClaimed
	case within(c.host.Reserved, p):
		return PortReserved
	case within(c.host.Excluded, p):
		return PortExcluded
	case num < c.host.Unprivileged && c.host.Caps.BindService != monban.On:
		return PortPrivileged
	case portbook.BrowserBlocked(num):
		return PortBlocked
	case kind == RegisteredHaven && inBook(p):
		return PortKnown
	}
	return NoObstacle
}

// Open reports whether a door was seen at a port.
func (c *Chooser) Open(num uint16) bool { return c.open.has(num) }

func within(ranges []monban.PortRange, p monban.Port) bool {
	for _, r := range ranges {
		if r.Contains(p) {
			return true
		}
	}
	return false
}

func inBook(p monban.Port) bool {
	book := portbook.Builtin()
	return len(book.Assigned(p)) > 0 || len(book.Practice(p)) > 0
}

// Tally counts the ports of a range by what is in the way of them.
type Tally [obstacles]int

// Choose returns the first port of a haven without an obstacle, beginning
// somewhere in it, as start says, and going round. taken names the ports that
// the caller has given to others. Without any, ok is false and the tally says
// why.
func (c *Chooser) Choose(in Haven, start uint32, taken func(uint16) bool) (num uint16, why Tally, ok bool) {
	n := in.Range.Len()
	for i := range n {
		num := in.Range.First + uint16((int(start%uint32(n))+i)%n)
		o := c.Obstacle(num, in.Kind)
		if o == NoObstacle && taken(num) {
			o = PortElsewhere
		}
		if o == NoObstacle && num != 0 {
			return num, why, true
		}
		why[o]++
	}
	return 0, why, false
}
