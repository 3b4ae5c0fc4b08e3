//go:build windows || darwin

package owners

import (
	"cmp"
	"context"
	"slices"

	"github.com/monban-dev/monban"
)

// known is what was found out about a process by its number. Where hidden is
// set, it could not be looked at; partly means that it could be named and its
// details could not be read.
type known struct {
	owner  monban.Owner
	hidden monban.Hidden
	partly bool
}

// byPID fills in doors whose socket table told the numbers of the processes, by
// asking read once for each number.
func byPID(ctx context.Context, doors []monban.Door, read func(pid int) known) []monban.Gap {
	cache := make(map[int]known)
	var hidden, partly int
	for i := range doors {
		d := &doors[i]
		numbers := d.Owners
		d.Owners, d.Unnamed = nil, monban.HiddenUnreadable
		detailsHidden := false
		for _, o := range numbers {
			k, ok := cache[o.PID]
			if !ok {
				if ctx.Err() != nil {
					break
				}
				k = read(o.PID)
				cache[o.PID] = k
			}
			if k.hidden != monban.NotHidden {
				d.Unnamed = k.hidden
				continue
			}
			// What the table says of this socket is more than what the process
			// says of itself: one process can run many services.
			k.owner.Unit = cmp.Or(o.Unit, k.owner.Unit)
			d.Owners = append(d.Owners, k.owner)
			detailsHidden = detailsHidden || k.partly
		}
		if len(d.Owners) > 0 {
			d.Unnamed = monban.NotHidden
			slices.SortStableFunc(d.Owners, func(a, b monban.Owner) int {
				return cmp.Or(cmp.Compare(len(a.Parents), len(b.Parents)), a.Started.Compare(b.Started))
			})
		}
		switch {
		case d.Unnamed == monban.HiddenPrivilege || d.Unnamed == monban.HiddenUnreadable:
			hidden++
		case detailsHidden:
			partly++
		}
	}
	var gaps []monban.Gap
	if err := ctx.Err(); err != nil {
		gaps = append(gaps, monban.Gap{Source: "processes", Err: err.Error(), Hides: monban.HidesOwners,
			Reason: monban.HiddenUnreadable})
	}
	if hidden > 0 {
		gaps = append(gaps, monban.Gap{Source: "processes", Err: "access denied", Hides: monban.HidesOwners,
			Reason: monban.HiddenPrivilege, Count: hidden})
	}
	if partly > 0 {
		gaps = append(gaps, monban.Gap{Source: "processes", Err: "access denied", Hides: monban.HidesDetails,
			Reason: monban.HiddenPrivilege, Count: partly})
	}
	return gaps
}
