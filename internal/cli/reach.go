package cli

import (
	"slices"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
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
	doors, gaps := exposure.Forwarded(snap)
	snap.Doors, snap.Gaps = append(snap.Doors, doors...), append(snap.Gaps, gaps...)
	for i, reach := range exposure.Judge(snap) {
		snap.Doors[i].Reach = reach
	}
}

// judgeBoth judges two views that are to be compared, or neither where one has no
// rules: doors that only the rules of one of them make would look as if they had
// opened. Then a gap says that nobody knows who could reach the others.
func judgeBoth(before, now *monban.Snapshot) {
	if before.Rules != nil && now.Rules != nil {
		judgeReach(before)
		judgeReach(now)
		return
	}
	hidden := func(g monban.Gap) bool { return g.Hides == monban.HidesRules }
	if before.Rules == nil && now.Host.OS == "linux" && !slices.ContainsFunc(before.Gaps, hidden) {
		before.Gaps = append(before.Gaps, monban.Gap{Source: "--diff", Err: report.NotSaved, Hides: monban.HidesRules})
	}
}

// reachChanges says at which doors that both views have others come in now. The
// interfaces that only one of them has are left out: with a cable plugged in not
// every door has changed. Where they have none in common it is about all together.
func reachChanges(before, now *monban.Snapshot) []report.ReachChange {
	type key struct {
		bind  monban.Bind
		state monban.DoorState
	}
	keyOf := func(d *monban.Door) key {
		b := monban.Bind{Port: d.Bind.Port, Addr: d.Bind.Addr, Device: d.Bind.Device, NetNS: d.Bind.NetNS}
		return key{b, d.State}
	}
	old := map[key][]monban.Reach{}
	for i := range before.Doors {
		if d := &before.Doors[i]; d.Reach != nil {
			old[keyOf(d)] = d.Reach
		}
	}
	var doors []monban.Door
	var was, is [][]monban.Reach
	for i := range now.Doors {
		d := &now.Doors[i]
		if then, ok := old[keyOf(d)]; ok && d.Reach != nil {
			a, b := alongside(then, d.Reach)
			doors, was, is = append(doors, *d), append(was, a), append(is, b)
		}
	}
	var out []report.ReachChange
	for _, e := range policy.Effects(doors, was, is, append(addresses(before.Host), addresses(now.Host)...)) {
		if e.Unknown { // before or after: then nobody knows what has changed
			continue
		}
		c := report.ReachChange{Port: e.Port, Device: e.Device, Gain: e.Gain, Lose: e.Lose, Opened: e.Opened, Closed: e.Closed}
		for i := range doors {
			if doors[i].Bind.Port == e.Port {
				c.Doors = append(c.Doors, doors[i])
			}
		}
		out = append(out, c)
	}
	return out
}

// alongside returns the entries of the interfaces that both lists have.
func alongside(before, now []monban.Reach) (_, _ []monban.Reach) {
	has := func(list []monban.Reach, device string) bool {
		return slices.ContainsFunc(list, func(r monban.Reach) bool { return r.Device == device })
	}
	var a, b []monban.Reach
	for _, r := range before {
		if has(now, r.Device) {
			a = append(a, r)
		}
	}
	for _, r := range now {
		if has(before, r.Device) {
			b = append(b, r)
		}
	}
	if len(a) > 0 {
		return a, b
	}
	together := func(list []monban.Reach) []monban.Reach {
		list = slices.Clone(list)
		for i := range list {
			list[i].Device = ""
		}
		return list
	}
	return together(before), together(now)
}
