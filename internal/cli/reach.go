package cli

import (
	"slices"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
)

// judgeReach adds the doors that only rules make, and says of each door who can
// come in. Where nobody asked for the rules,
// as for a snapshot that an older monban saved, and on systems whose rules are not
// read, the doors stay as they are: not judged.
func judgeReach(snap *monban.Snapshot) {
	asked := snap.Rules != nil || snap.Host.OS == "linux" &&
		slices.ContainsFunc(snap.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesRules })
	if !asked {
		return
	}
	snap.Doors = append(snap.Doors, exposure.Forwarded(snap)...)
	for i, reach := range exposure.Judge(snap) {
		snap.Doors[i].Reach = reach
	}
}
