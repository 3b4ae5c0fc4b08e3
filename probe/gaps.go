package probe

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// hostGaps says which targets were silent, fell silent, or answer everything.
func (r *Report) hostGaps() {
	silentHosts, at := 0, uint64(0)
	for c := range r.Counts() {
		asked := c.Open + c.Closed + c.Filtered + c.Unknown
		if at++; c.Open+c.Closed == 0 {
			if !r.unreached.has(at - 1) { // that is told of by itself
				silentHosts++
			}
			continue
		}
		if asked >= 100 && c.Open*2 > asked {
			r.Gaps = append(r.Gaps, monban.Gap{Source: c.Target.String(), Err: EverythingAnswers, Hides: monban.HidesSightings, Count: c.Open})
		}
	}
	if silentHosts > 0 && !r.Interrupted {
		r.Gaps = append(r.Gaps, monban.Gap{Source: "network", Err: NobodyAnswered, Hides: monban.HidesSightings, Count: silentHosts})
	}
	r.fellSilent()
}

// fellSilent says which targets stopped answering: each of a few, or how many. As
// many of their silent doors are expected to be open as of those that answered.
func (r *Report) fellSilent() {
	const each = 16
	for _, g := range r.grids {
		ports := uint64(len(g.ports))
		gone := make(map[uint64]bool)
		for _, f := range r.flows {
			switch {
			case f.grid != g:
			case f.sweep && f.lost:
				for h := f.from / ports; h*ports < f.from+f.n; h++ {
					if f.alive.has(h) {
						gone[h] = true
					}
				}
			case f.sweep:
				for _, h := range f.gone {
					gone[h] = true
				}
			default:
				gone[f.from/ports] = f.lost
			}
		}
		maps.DeleteFunc(gone, func(_ uint64, is bool) bool { return !is })
		for h := range gone {
			opened, answered := g.openAt(h)
			r.Missed += float64(g.silentAt(h)) * float64(opened) / float64(max(answered, 1))
		}
		if len(gone) > each {
			r.Gaps = append(r.Gaps, monban.Gap{Source: "network", Err: StoppedAnswering, Hides: monban.HidesSightings, Count: len(gone)})
			continue
		}
		for _, h := range slices.Sorted(maps.Keys(gone)) {
			r.lastHeard(g, h)
			r.Gaps = append(r.Gaps, monban.Gap{Source: g.targets.At(h).String(), Err: StoppedAnswering, Hides: monban.HidesSightings, Count: g.silentAt(h)})
		}
	}
}

// LastAnswer is when a target that stopped answering did so for the last time.
type LastAnswer struct {
	Target netip.Addr
	// After is counted from the beginning of the scan, or of this part of one that is
	// continued.
	After time.Duration
	// Probes is how many had been sent to it; 0 is not known, because it was asked
	// among others.
	Probes uint64
}

// lastHeard notes when a host answered last, if that is known. Of the flows that asked
// it the last one counts.
func (r *Report) lastHeard(g *grid, h uint64) {
	ports := uint64(len(g.ports))
	for _, f := range slices.Backward(r.flows) {
		n := h - f.from/ports
		if f.grid != g || n >= f.hosts() || f.lastHeard == nil || f.lastHeard[n] == 0 {
			continue
		}
		last := LastAnswer{Target: g.targets.At(h), After: time.Duration(f.lastHeard[n]-1) * time.Millisecond}
		if !f.sweep && len(r.flows) == len(r.grids) { // nor by another flow before
			last.Probes = f.asked
		}
		r.Stopped = append(r.Stopped, last)
		return
	}
}

// What gaps of a scan say in Err, besides errors of the system.
const (
	// EverythingAnswers: more than half of many doors are open; something on the
	// way answers for the host, such as a SYN proxy or a tar pit.
	EverythingAnswers = "everything answers"
	// OneForAll: a port is open at nearly every address of a network, by answers
	// of one system, and many of the addresses say nothing else: a transparent or
	// a SYN proxy may answer for them. Source is the network and the port,
	// "10.0.0.0/24 80/tcp", Count how many addresses.
	OneForAll = "one answers for all"
	// NobodyAnswered: targets of which no TCP door said anything; Count is how
	// many. They may be absent, or drop everything.
	NobodyAnswered = "no answer"
	// StoppedAnswering: doors that had answered did not any more, all of a
	// sudden: the target is gone, or shuts us out. Count is how many of its doors
	// are undecided; where Source is "network", it is how many targets did so.
	StoppedAnswering = "stopped answering"
	// NoRoute: the system knows no way to the target.
	NoRoute = "no route"
	// NoNeighbour: nobody on the link has the address (ARP, neighbour
	// discovery).
	NoNeighbour = "no neighbour"
	// ReplyLimit: the target limits how often it says that a UDP door is closed.
	ReplyLimit = "reply limit"
	// NotSent: packets that this machine did not let out of the device named: a
	// rule of its own, or a device that takes none. Count is how many.
	NotSent = "not sent"
	// NotPrivileged: packets could not be sent directly, and connections were
	// made instead.
	NotPrivileged = "not privileged"
)
