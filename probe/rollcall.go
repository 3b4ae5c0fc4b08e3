package probe

import (
	"time"

	"github.com/monban-dev/monban"
)

// rollCall asks, when everything else is done, whether the hosts of a flow are
// still there: a door that has answered, of each host that has silent ones. Silence
// means a filter only where others answer in the same hour; a host that is gone, or
// that shuts out who asks too much, is silent as well.
type rollCall struct {
	missing *bitmap // hosts that have not answered it yet, from the flow's first on
	left    uint64  // how many
	host    uint64  // the next one
	round   int
}

// rounds is how often a host is called: where a third of the packets is lost each
// way, one of a thousand is taken for gone.
const rounds = 12

// longestCall is how long a round may last beyond the time of an answer.
const longestCall = 500 * time.Millisecond

// callRoll begins the roll call, and returns false if there is no need for one.
func (f *flow) callRoll(now time.Duration) bool {
	if f.grid.proto != monban.TCP || f.left() == 0 || f.news == 0 {
		return false
	}
	r := &rollCall{missing: newBitmap(f.hosts()), round: 1}
	for h := range f.hosts() {
		if _, ok := f.witness(h, 0); ok && f.grid.silentAt(f.from/uint64(len(f.grid.ports))+h) > 0 {
			r.missing.set(h)
			r.left++
		}
	}
	if r.left == 0 {
		return false
	}
	f.roll = r
	f.pace.cut(now)
	return true
}

func (f *flow) hosts() uint64 { return f.n / uint64(len(f.grid.ports)) }

// witness returns a door of a host that has answered, another one in each round if
// there are several, and a closed one rather than one with somebody behind it.
func (f *flow) witness(h uint64, round int) (door uint64, ok bool) {
	ports := uint64(len(f.grid.ports))
	if !f.alive.has(f.from/ports + h) {
		return 0, false
	}
	first := f.from + h*ports
	for i, at := uint64(0), below(f.seed^h+uint64(round), ports); i < ports; i++ {
		switch d := first + (at+i)%ports; f.grid.get(d) {
		case closed:
			return d, true
		case open:
			if !ok {
				door, ok = d, true
			}
		}
	}
	return door, ok
}

// call returns the next question of the roll call, as next does.
func (f *flow) call(now time.Duration) (q question, wait time.Duration, ok bool) {
	r := f.roll
	for steps := 0; r.host < f.hosts(); steps++ {
		if steps >= 1<<14 {
			return q, 0, false // let the answers be read
		}
		h := r.host
		r.host++
		if !r.missing.has(h) {
			continue
		}
		door, _ := f.witness(h, r.round)
		s := f.pace.slice(now)
		s.probes++
		s.waiting = append(s.waiting, door)
		f.lastAt = now
		f.credit--
		f.probes++
		return question{door, uint16(f.pace.seq % sliceCount), true}, 0, true
	}
	if until := f.lastAt + r.patience(f.pace.rto()); r.left > 0 && now < until {
		return q, until - now, false
	}
	if r.left > 0 && r.round < rounds {
		r.round++
		r.host = 0
		return q, 0, false
	}
	for h := range f.hosts() {
		if r.missing.has(h) {
			f.gone = append(f.gone, f.from/uint64(len(f.grid.ports))+h)
		}
	}
	f.lost = !f.sweep && len(f.gone) > 0
	f.over, f.roll = true, nil
	return q, 0, false
}

// patience is how long a round waits for its answers: twice as long every other
// round, because whoever was busy elsewhere for a moment has not gone.
func (r *rollCall) patience(rto time.Duration) time.Duration {
	return max(rto, min(rto<<(r.round/2), longestCall))
}

// present notes that the host of a door is there.
func (r *rollCall) present(h uint64) {
	if r != nil && r.missing.has(h) {
		r.missing.clear(h)
		r.left--
	}
}
