package conflict

import (
	"strconv"

	"github.com/monban-dev/monban"
)

// unreachable reports containers whose published port leads to a program that
// listens on the container's own loopback address only: what arrives from outside
// comes to another one. It takes a view of every network namespace. Medium: the
// service is there and nobody reaches it.
func (in *inspection) unreachable() {
	type place struct {
		container string
		port      monban.Port
	}
	inside := map[place][]monban.Door{}
	for _, d := range in.snap.Doors {
		if d.Bind.NetNS == "" || d.Bind.NetNS == in.snap.Host.NetNS || d.State == monban.Forwarded || len(d.Owners) == 0 || d.Owners[0].Container == "" {
			continue
		}
		at := place{d.Owners[0].Container, d.Bind.Port}
		inside[at] = append(inside[at], d)
	}
	done := map[place]bool{}
	for _, d := range in.snap.Doors {
		at := place{d.To.Container, monban.Port{Num: d.To.Port, Proto: d.Bind.Port.Proto}}
		if d.To.Container == "" || done[at] || !allLoopback(inside[at]) {
			continue
		}
		done[at] = true
		name := d.To.Container
		if c := in.snap.Container(name); c != nil && c.Name != "" {
			name = c.Name
		}
		num := strconv.Itoa(int(d.To.Port))
		in.add(monban.Finding{Kind: monban.ContainerLoopback, Severity: monban.Medium, Evidence: places(inside[at]...),
			Fix: []monban.Fix{{Code: FixListenInside, Args: []string{name, num}}}}, append([]monban.Door{d}, inside[at]...)...)
	}
}

// allLoopback reports whether there are doors, all of them on loopback.
func allLoopback(doors []monban.Door) bool {
	for i := range doors {
		if doors[i].Bind.Scope() != monban.ScopeLoopback {
			return false
		}
	}
	return len(doors) > 0
}
