package lease

import (
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// How long a lease lasts after it was last used. A named one belongs to a
// project that may rest over a holiday; without a name, it only has to last
// until the caller's program has opened the port.
const (
	NamedTerm   = 30 * 24 * time.Hour
	UnnamedTerm = time.Hour
)

// The bounds of what a lease may hold, and so of the file.
const (
	MaxName = 64   // bytes of a name
	MaxNth  = 1000 // ports under one name
	maxDir  = 4096 // bytes of a directory, PATH_MAX of Linux
)

// Purpose is what a port is kept for. It is comparable.
type Purpose struct {
	Dir  string // absolute path of the work tree
	Name string // "" is a port for nobody in particular, never given twice
	Nth  int    // from 0: the same name may have several ports
}

// Lease is a port that is kept for a purpose.
type Lease struct {
	Purpose
	Port         uint16
	Since, Until time.Time // to the second
}

// ValidName reports whether a port may be kept under name: at most [MaxName]
// bytes of printable UTF-8 with something else in it than digits, which would be
// taken for a port.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxName && utf8.ValidString(name) &&
		strings.Trim(name, "0123456789") != "" && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Home is a number that depends on the purpose alone. The search for a port
// starts there, so that a purpose gets the same port again even where its lease
// was lost, as long as nobody else has the port.
func (p Purpose) Home() uint32 {
	h := fnv.New32a()
	io.WriteString(h, p.Dir+"\x00"+p.Name+"\x00"+strconv.Itoa(p.Nth))
	return h.Sum32()
}

// Table is the leases at one moment. Expired ones are not in it.
type Table struct {
	leases  []Lease
	now     time.Time
	changed bool
}

// NewTable returns a table of the leases that have not expired at now.
func NewTable(leases []Lease, now time.Time) *Table {
	t := &Table{leases: slices.Clone(leases), now: now.UTC().Truncate(time.Second)}
	t.leases = slices.DeleteFunc(t.leases, func(l Lease) bool { return !l.Until.After(t.now) })
	t.changed = len(t.leases) != len(leases)
	return t
}

// All returns the leases in the order of their ports.
func (t *Table) All() []Lease {
	return slices.SortedFunc(slices.Values(t.leases), func(a, b Lease) int { return int(a.Port) - int(b.Port) })
}

// Has reports whether somebody has a lease of port.
func (t *Table) Has(port uint16) bool {
	return slices.ContainsFunc(t.leases, func(l Lease) bool { return l.Port == port })
}

// Use returns the lease of a purpose that has a name and renews it.
func (t *Table) Use(p Purpose) (Lease, bool) {
	i := slices.IndexFunc(t.leases, func(l Lease) bool { return l.Purpose == p && p.Name != "" })
	if i < 0 {
		return Lease{}, false
	}
	// Writing the file for every second that passes would be a disk flush for
	// every start of a program.
	const worthIt = time.Hour
	if until := t.now.Add(NamedTerm); until.Sub(t.leases[i].Until) > worthIt {
		t.leases[i].Until, t.changed = until, true
	}
	return t.leases[i], true
}

// Grant keeps port for p, instead of another port that was kept for it. The port
// must not be leased to somebody else.
func (t *Table) Grant(p Purpose, port uint16) Lease {
	term := NamedTerm
	if p.Name == "" {
		term = UnnamedTerm
	} else {
		t.leases = slices.DeleteFunc(t.leases, func(l Lease) bool { return l.Purpose == p })
	}
	l := Lease{Purpose: p, Port: port, Since: t.now, Until: t.now.Add(term)}
	t.leases, t.changed = append(t.leases, l), true
	return l
}

// Release gives back the leases that match, and returns them in the order of
// their ports.
func (t *Table) Release(match func(Lease) bool) []Lease {
	var released []Lease
	for _, l := range t.All() {
		if match(l) {
			released = append(released, l)
		}
	}
	t.leases = slices.DeleteFunc(t.leases, match)
	t.changed = t.changed || len(released) > 0
	return released
}
