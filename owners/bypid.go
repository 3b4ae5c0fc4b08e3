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
	var denied, untold, partly int
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
		case d.Unnamed == monban.HiddenPrivilege:
			denied++
		case d.Unnamed == monban.HiddenUnreadable:
			untold++
		case detailsHidden:
			partly++
		}
	}
	var gaps []monban.Gap
	add := func(count int, err string, hides monban.Subject, reason monban.Hidden) {
		if count > 0 {
			gaps = append(gaps, monban.Gap{Source: "processes", Err: err, Hides: hides, Reason: reason, Count: count})
		}
	}
	untoldErr := "the system does not tell which process it is"
	if err := ctx.Err(); err != nil {
		untoldErr = err.Error()
	}
	add(untold, untoldErr, monban.HidesOwners, monban.HiddenUnreadable)
	add(denied, "access denied", monban.HidesOwners, monban.HiddenPrivilege)
	add(partly, "access denied", monban.HidesDetails, monban.HiddenPrivilege)
	return gaps
}
