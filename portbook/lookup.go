package portbook

import (
	"cmp"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
)

// Lookup returns the ports of a service: an exact service name or alias of the
// registry, or the name or alias of a use in practice, or else a program of one,
// without regard to case: "http", "mysql", "elasticsearch", "home-assistant",
// "redis-server". The registry's ports come first. A registry range has AnyProto when every named
// row of its numbers bears the name, so that "http" is all of port 80, and one
// transport otherwise, because 514/udp is syslog and 514/tcp is not. An unknown
// name is nil.
func (b *Book) Lookup(name string) []monban.PortRange {
	out := usedBy(name, false, b.assignedTo(name))
	if out == nil {
		out = usedBy(name, true, nil)
	}
	return out
}

// usedBy appends to out the ports of uses whose name or alias, or whose program,
// is word.
func usedBy(word string, program bool, out []monban.PortRange) []monban.PortRange {
	for i := findWord(word); i < len(useWords) && registry.FoldCompare(useWords[i].word, word) == 0; i++ {
		ports := uses[useWords[i].use].Ports
		if useWords[i].program == program && !slices.ContainsFunc(out, func(r monban.PortRange) bool { return covers(r, ports) }) {
			out = join(out, ports)
		}
	}
	return out
}

// assignedTo returns the registry's ports of a name, adjacent numbers joined.
func (b *Book) assignedTo(name string) []monban.PortRange {
	var ports []monban.Port
	for i, end := b.registry.Find(name); i < end; i++ {
		_, row := b.registry.NameAt(i)
		ports = append(ports, b.registry.Port(row))
	}
	slices.SortFunc(ports, comparePorts)
	var out []monban.PortRange
	for len(ports) > 0 {
		num, n := ports[0].Num, 1
		for n < len(ports) && ports[n].Num == num {
			n++
		}
		if n == b.named(num) {
			out = join(out, monban.PortRange{First: num, Last: num})
		} else {
			for _, p := range ports[:n] {
				out = join(out, monban.PortRange{First: num, Last: num, Proto: p.Proto})
			}
		}
		ports = ports[n:]
	}
	return out
}

// named returns how many rows of num have a name.
func (b *Book) named(num uint16) int {
	n := 0
	for row, end := b.registry.Rows(num); row < end; row++ {
		if b.registry.Name(row) != "" {
			n++
		}
	}
	return n
}

// join appends r to ranges, or to the one of them that it continues.
func join(ranges []monban.PortRange, r monban.PortRange) []monban.PortRange {
	for i := range ranges {
		if ranges[i].Proto == r.Proto && int(ranges[i].Last)+1 == int(r.First) {
			ranges[i].Last = r.Last
			return ranges
		}
	}
	return append(ranges, r)
}

// covers reports whether every port of inner is one of outer.
func covers(outer, inner monban.PortRange) bool {
	return outer.First <= inner.First && inner.Last <= outer.Last &&
		(outer.Proto == monban.AnyProto || outer.Proto == inner.Proto)
}

func comparePorts(a, b monban.Port) int {
	return cmp.Or(cmp.Compare(a.Num, b.Num), cmp.Compare(a.Proto, b.Proto))
}

// Nearest returns up to n names that [Book.Lookup] knows and that look most like
// name, the nearest first: for "mysqll", "mysql". Of equally near ones those come
// first that begin alike, because few mistype the first letter, and then those of
// practice. Names that differ in more than a third of their letters are left out.
func (b *Book) Nearest(name string, n int) []string {
	name = strings.ToLower(name)
	if name == "" || len(name) > maxName {
		return nil
	}
	limit := 1 + len(name)/3
	var found []nearName
	consider := func(candidate string, practice bool) {
		if d := distance(name, candidate, limit); d <= limit {
			found = append(found, nearName{strings.ToLower(candidate), d, practice})
		}
	}
	for i := range useWords {
		if word := useWords[i].word; !strings.Contains(word, " ") { // its slug is there too
			consider(word, true)
		}
	}
	last := ""
	for i := range b.registry.Names() {
		if candidate, _ := b.registry.NameAt(i); candidate != last {
			consider(candidate, false)
			last = candidate
		}
	}
	slices.SortFunc(found, func(x, y nearName) int {
		return cmp.Or(cmp.Compare(x.distance, y.distance), boolCompare(y.name[0] == name[0], x.name[0] == name[0]),
			boolCompare(y.practice, x.practice), cmp.Compare(x.name, y.name))
	})
	var out []string
	for _, f := range found {
		if len(out) < n && !slices.Contains(out, f.name) {
			out = append(out, f.name)
		}
	}
	return out
}

// maxName is the longest name compared, in bytes. RFC 6335 allows 15; names
// from before it, and of programs, are longer.
const maxName = 64

type nearName struct {
	name     string
	distance int
	practice bool
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// distance returns how many letters must be put in, taken out, changed or
// swapped with their neighbour to turn a into b, ASCII case aside; more than
// limit if it is more than that, or if b is longer than maxName.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(b) > maxName {
		return limit + 1
	}
	var rows [3][maxName + 1]int // before last, last, this
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, this := &rows[i%3], &rows[(i+1)%3], &rows[(i+2)%3]
		this[0] = i + 1
		best := this[0]
		for j := range len(b) {
			change := last[j]
			if registry.Lower(a[i]) != registry.Lower(b[j]) {
				change++
			}
			this[j+1] = min(change, last[j+1]+1, this[j]+1)
			if i > 0 && j > 0 && registry.Lower(a[i]) == registry.Lower(b[j-1]) && registry.Lower(a[i-1]) == registry.Lower(b[j]) {
				this[j+1] = min(this[j+1], before[j-1]+1)
			}
			best = min(best, this[j+1])
		}
		if best > limit {
			return limit + 1
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
