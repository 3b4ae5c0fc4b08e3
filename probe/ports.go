package probe

import (
	"slices"

	"github.com/monban-dev/monban/portbook"

	"github.com/monban-dev/monban"
)

// PracticePorts are the TCP ports at which the port book knows an application,
// without those of its entries that stand for a whole part of the number space.
func PracticePorts(book *portbook.Book) []uint16 {
	var out []uint16
	for n := 1; n < 1<<16; n++ {
		p := monban.Port{Num: uint16(n), Proto: monban.TCP}
		if slices.ContainsFunc(book.Practice(p), func(u portbook.Use) bool { return u.Ports.Len() <= 16 }) {
			out = append(out, p.Num)
		}
	}
	return out
}
