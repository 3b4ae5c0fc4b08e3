package portbook

import (
	"github.com/monban-dev/monban"
)

// Lookup returns the ports of a service: an exact service name or alias of the
// registry, the name of a use in practice, or a program of one, without regard to
// case: "http", "mysql", "elasticsearch", "redis-server". A range has AnyProto
// when every registry row of its numbers bears the name, so that a view of
// "http" is a view of port 80, and one transport otherwise, because 514/udp is
// syslog and 514/tcp is not. Nothing is found as nil.
func (b *Book) Lookup(name string) []monban.PortRange {
	var out []monban.PortRange
	first, end := b.registry.Find(name)
	for ; first < end; first++ {
		_, row := b.registry.NameAt(first)
		p := b.registry.Port(row)
		out = append(out, monban.PortRange{First: p.Num, Last: p.Num, Proto: p.Proto})
	}
	return out
}

// Nearest returns up to n names that look most like name, the nearest first.
func (b *Book) Nearest(name string, n int) []string {
	return nil
}

// Layer says which part of the book a [Hit] comes from.
type Layer uint8

// The layers.
const (
	Registry Layer = iota + 1
	Practice
)

// String returns "registry" or "practice".
func (l Layer) String() string {
	if l == Practice {
		return "practice"
	}
	return "registry"
}

// Hit is a row of the book that [Book.Search] found.
type Hit struct {
	// Ports is where; AnyProto when several transports have the same row.
	Ports monban.PortRange
	Layer Layer
	Name  string
	// Note is the description. The registry's is the same English text in
	// both languages.
	Note Text
}

// Search returns up to limit rows that have every word of words in their name,
// description or texts of either language, the best first.
func (b *Book) Search(words string, limit int) []Hit {
	return nil
}
