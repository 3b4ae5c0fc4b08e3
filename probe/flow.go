package probe

import (
	"math"
	"time"
)

// flow asks a row of doors again and again until they have answered or the
// passes agree. It knows nothing of packets: an engine asks it what to send now,
// and tells it what came back.
type flow struct {
	grid  *grid
	alive *bitmap // hosts that have answered
	// unreachable are the hosts that cannot be asked; nil is none.
	unreachable *bitmap
	// unreached are the hosts of a sweep that a router could not reach in this pass;
	// nil is none.
	unreached *bitmap
	from, n   uint64 // doors from … from+n-1 of the grid
	seed      uint64
	order     permutation
	pace      pace
	canaries  canaries

	pass    int     // from 1
	pos     uint64  // place in the order of this pass
	credit  float64 // probes that may be sent
	counted time.Duration
	since   int // probes since the last canary
	apart   int // how many there are between that and the next
	lastAt  time.Duration
	news    uint64 // doors that have answered
	open    uint64 // of those, how many are open
	passes  []passStat
	probes  uint64
	answers uint64
	over    bool
	lost    bool      // it answered, and then nothing did any more
	roll    *rollCall // the last thing
	gone    []uint64  // hosts that did not answer it, by their numbers in the grid
	// lastHeard is when each host answered last, in milliseconds since the scan began,
	// plus one; nil where there are very many. asked is how many probes had been sent
	// by the last answer of all.
	lastHeard []uint32
	asked     uint64
	talks     bool          // most doors answer: then every answer is a signal
	settled   bool          // talks is decided
	window    passStat      // where the doors by which it is decided begin
	limit     int           // most passes
	began     time.Duration // when this pass did
	// patience is how long the flow may wait for a target that says seldom that a
	// door is closed; 0 is no such waiting. slow is since when it does, undecided
	// that it was not enough.
	patience, slow time.Duration
	undecided      bool
	sweep          bool // many hosts, some of which are not there
	sought         int  // the last pass that asks those which have not answered
	slowly         bool // one of those: its canaries are asked often, to know its pace soon
	// late are the hosts of a sweep of which a door answered in this pass that had
	// been silent in an earlier one.
	late map[uint64]bool
}

// passStat is what one pass did.
type passStat struct {
	Asked  uint64  `json:"asked"`
	News   uint64  `json:"news"`   // answers of doors that had been silent
	Knocks float64 `json:"knocks"` // canaries asked
	Echoes float64 `json:"echoes"` // and answered
}

const (
	maxPasses = 12
	// fewest is how many canaries a pass asks at least, to know what it lost.
	fewest = 4
	// goodEnough is the number of open doors that may remain unseen, as expected,
	// for the scan to end.
	goodEnough = 0.001
)

func newFlow(g *grid, alive *bitmap, from, n, seed uint64, p pace) *flow {
	f := &flow{grid: g, alive: alive, from: from, n: n, seed: seed, pace: p, pass: 1, sought: 1, limit: maxPasses}
	f.sweep = n > uint64(len(g.ports))
	if f.hosts() <= mostHeard {
		f.lastHeard = make([]uint32, f.hosts())
	}
	f.passes = []passStat{{}}
	f.reorder()
	return f
}

// question is a probe to send.
type question struct {
	door   uint64
	slice  uint16
	canary bool
}

// next returns what to send now. Otherwise it says how long there is nothing to
// send; a flow that is over has nothing any more.
func (f *flow) next(now time.Duration) (q question, wait time.Duration, ok bool) {
	if f.over {
		return q, 0, false
	}
	if f.credit < 1 {
		return q, f.untilCredit(), false
	}
	if f.roll != nil {
		return f.call(now)
	}
	if door, ok := f.canary(); ok {
		return f.send(door, true, now), 0, true
	}
	for steps := 0; f.pos < f.n; steps++ {
		door := f.from + f.order.at(f.pos)
		f.pos++
		if f.grid.get(door) != silent || f.absent(door) {
			if steps >= 1<<14 {
				return q, 0, false // let the answers be read
			}
			continue
		}
		return f.send(door, false, now), 0, true
	}
	if f.news >= f.n {
		f.over = true
		return q, 0, false
	}
	if f.pass > 1 && f.patience == 0 && f.canaries.n() > 0 && f.passes[f.pass-1].Knocks < fewest {
		f.since = 1 << 20
		return q, 0, false
	}
	// Everything was asked, and the last answers may be under way.
	if until := f.lastAt + f.pace.rto(); now < until {
		return q, until - now, false
	}
	if f.done(now) {
		f.over = !f.callRoll(now)
	} else {
		f.nextPass(now)
	}
	return q, 0, false
}

// notReached notes that a router could not reach the host of a door. If nobody has
// heard of it, its other doors wait for the next pass.
func (f *flow) notReached(door uint64) {
	if !f.sweep {
		return
	}
	if f.unreached == nil {
		f.unreached = newBitmap(f.grid.targets.Len())
	}
	f.unreached.set(door / uint64(len(f.grid.ports)))
}

func (f *flow) send(door uint64, canary bool, now time.Duration) question {
	s := f.pace.slice(now)
	s.probes++
	s.pass = uint8(f.pass)
	if canary {
		s.knock++
		f.passes[f.pass-1].Knocks++
		f.since = 0
	} else {
		if f.pass == 1 {
			s.asked++
		}
		f.passes[f.pass-1].Asked++
		f.since++
	}
	f.lastAt = now
	f.credit--
	f.probes++
	if canary {
		s.waiting = append(s.waiting, door)
	}
	return question{door, uint16(f.pace.seq % sliceCount), canary}
}

// earn adds credit for the time that has passed, and looks after the pace. A
// pause is not made up for: a burst would be what limits are made against.
func (f *flow) earn(now time.Duration) {
	if f.over {
		return
	}
	f.settle()
	switch {
	case f.pass > 1 || f.settled && !f.talks:
		if f.canaries.n() > 0 {
			f.pace.control(now, true)
		}
	case f.talks || f.news*2 > f.passes[0].Asked:
		f.pace.control(now, false)
	}
	if f.pace.quiet >= 8 && f.news > 0 {
		f.lost, f.over = true, true
		return
	}
	rate := f.rate()
	if math.IsInf(rate, 1) {
		f.credit = 1 << 20
		return
	}
	if pause := now - f.counted - burst; pause > 0 {
		f.pace.pause(pause)
	}
	f.credit = min(f.credit+rate*(now-f.counted).Seconds(), allowance(rate))
	f.counted = now
}

// rate is how many probes a second are sent now. Without a door that answers nobody
// knows what the way to the targets takes, and whether they lose anything: a sweep in
// which nobody has answered goes at a rate of caution. A hasty pass before two
// cautious ones would take longer than these alone, and with one cautious pass the
// only door of a network is missed one time in ten where a twentieth is lost each way.
func (f *flow) rate() float64 {
	switch {
	case f.pace.pinned || f.canaries.n() > 0:
		return f.pace.rate
	case f.sweep && f.news == 0 && f.pace.ceiling > 0:
		return min(blindRate, f.pace.ceiling)
	case f.sweep && f.news == 0:
		return blindRate
	}
	return min(f.pace.rate, blindRate)
}

// burst is how much of a pause is made up for at ordinary rates: at 20,000 a second
// four packets, because a limit of nftables lets five pass at once unless it says
// otherwise. At high rates the batches are what goes out at once, and the clock
// must not hold them up.
const burst = 200 * time.Microsecond

// allowance is the most probes that may be owed at a rate.
func allowance(rate float64) float64 {
	if rate >= 100_000 {
		return 512
	}
	return max(2, rate*burst.Seconds())
}

// quantum is how often something is sent: a limit that lets five packets pass at
// once, as that of nftables does by itself, then meets two at 20,000 a second.
const quantum = 100 * time.Microsecond

func (f *flow) untilCredit() time.Duration {
	return max(quantum, time.Duration((1-f.credit)/f.rate()*float64(time.Second)))
}

// settle decides, in the first pass, whether this is a target most of whose doors
// answer, or one that is silent but for a few. One that was asked too fast at
// first seems silent, and is known by its answers when the pace has come down.
func (f *flow) settle() {
	if f.pass > 1 || f.talks {
		return
	}
	asked, heard := f.passes[0].Asked-f.window.Asked, f.news-f.window.News
	if asked < 256 {
		return
	}
	switch {
	case heard*2 > asked:
		f.talks = true
		if f.settled {
			f.pace.anew(f.counted)
		}
		f.settled = true
	case !f.settled && (asked > 2048 && f.pace.srtt > 0 || asked > 16384):
		f.settled = true
		f.pace.anew(f.counted)
	case f.settled && asked > 1024:
		f.window = passStat{Asked: f.passes[0].Asked, News: f.news}
	}
}

// answer notes what a door said to a probe of a slice, and reports whether that is
// something new.
func (f *flow) answer(door uint64, slice uint16, state uint64, now time.Duration) bool {
	f.answers++
	ports := uint64(len(f.grid.ports))
	host := door / ports
	was, changed := f.grid.set(door, state)
	if changed && state == open {
		f.open++
	}
	if changed && was != silent {
		return true
	}
	if changed {
		f.news++
		f.passes[f.pass-1].News++
		f.alive.set(host)
		f.heardOf(host-f.from/ports, now)
		if f.sweep && f.pass > 1 && len(f.late) < mostLate {
			f.late[host] = true
		}
		if state != prohibited {
			f.canaries.add(door, state == closed)
		}
		f.pace.answered(slice, false, true, now)
		return true
	}
	if f.pace.echo(slice, door) {
		f.heardOf(host-f.from/ports, now)
		if pass := f.pace.passOf(slice); pass > 0 {
			f.passes[pass-1].Echoes++
		}
		f.pace.answered(slice, true, true, now)
	}
	return false
}

// mostHeard is of how many hosts it is kept when they answered: in 256 KB.
const mostHeard = 1 << 16

// heardOf notes that a host is there.
func (f *flow) heardOf(host uint64, now time.Duration) {
	f.roll.present(host)
	f.asked = f.probes
	if f.lastHeard != nil {
		f.lastHeard[host] = uint32(now.Milliseconds()) + 1
	}
}

func (f *flow) left() uint64 { return f.n - min(f.n, f.news) }

// done reports whether the doors that are still silent may be left alone.
func (f *flow) done(now time.Duration) bool {
	if f.pass >= f.limit {
		return f.patience == 0 || f.news == 0 || f.outlasted(now)
	}
	if f.pass < 2 {
		return false
	}
	if f.news == 0 {
		return true // nobody is there, or nobody answers
	}
	if f.missed() >= goodEnough {
		return false
	}
	if f.pass > 2 && len(f.late) > 0 && len(f.late) <= separate {
		return true // they get a pace of their own
	}
	return f.passes[f.pass-1].News == 0
}

// outlasted reports whether a target that limits how often it says "closed" has said
// it for all closed doors, or would take too long to. Otherwise the next pass asks a
// little more slowly than the answers of this one came.
func (f *flow) outlasted(now time.Duration) bool {
	// Linux answers once a second after the first six (net.ipv4.icmp_ratelimit);
	// others more often.
	const seldom = 1.0
	news, left := f.passes[f.pass-1].News, float64(f.left())
	if left == 0 {
		return true
	}
	if f.slow == 0 {
		f.slow = now
	}
	rate := 0.9 * max(seldom, float64(news)/(now-f.began).Seconds())
	switch {
	case news == 0 && (f.pass > f.limit || left <= float64(f.news)):
		return true // two passes agree
	case now-f.slow+time.Duration(left/rate*float64(time.Second)) > f.patience, f.pass >= maxPasses:
		f.undecided = true
		return true
	}
	f.pace.ceiling, f.pace.rate = rate, rate
	return false
}

// missed estimates how many open doors are still unseen, from how many were seen:
// those that answer, but were unlucky in every pass (capture and recapture, with
// the canaries for marked animals).
func (f *flow) missed() float64 {
	if f.left() == 0 {
		return 0
	}
	found, u := float64(f.open), f.unlucky(len(f.passes))
	if u >= 1 {
		return found
	}
	return found*u/(1-u) + f.missedHosts()
}

// unlucky is the chance that each of the first passes lost a question or its answer.
func (f *flow) unlucky(passes int) float64 {
	u := 1.0
	for i := range passes {
		u *= f.lossOf(i)
	}
	return u
}

// lossOf estimates the share of questions that pass i lost.
func (f *flow) lossOf(i int) float64 {
	s := f.passes[i]
	if s.Asked == 0 && s.Knocks == 0 {
		return 1
	}
	if s.Knocks >= fewest {
		return min(1, (max(s.Knocks-s.Echoes, 0)+1)/(s.Knocks+2))
	}
	if i+1 < len(f.passes) {
		// What it lost the next pass found, but for what that lost.
		n := float64(s.News)
		again := float64(f.passes[i+1].News) / (1 - min(0.9, f.lossOf(i+1)))
		return min(1, (again+1)/(n+again+2))
	}
	return 1
}

// reorder makes the order of this pass: another one each time. In the same order
// a door would meet the same phase of whatever goes up and down on the way, and
// be lost every time: measured, 3 of 40 open doors behind a relay that was
// overrun, four times in a row.
func (f *flow) reorder() { f.order = newPermutation(f.n, f.seed+uint64(f.pass)*0xd1342543de82ef95) }

func (f *flow) nextPass(now time.Duration) {
	f.pass++
	f.pos, f.began = 0, now
	f.late = make(map[uint64]bool)
	f.unreached = nil
	f.seek()
	f.reorder()
	f.passes = append(f.passes, passStat{})
	f.since = 1 << 20 // begin with a canary
	if f.pass == 2 {
		f.pace.anew(now)
	}
}

// mostLate is how many hosts of a sweep may get a pace of their own in the end.
const mostLate = 4096

// aloneRate is where the pace of such a host begins.
const aloneRate = 1000

// alone returns a flow for a host of a sweep that is slower than the rest: the
// sweep's pace is right for nearly all hosts, and its canaries, which are theirs,
// say nothing about this one. Measured: behind a limit of 400/s, among 70 hosts, 13
// of 21 open doors were missed, and the estimate was that none was.
func (f *flow) alone(host uint64, p pace) *flow {
	ports := uint64(len(f.grid.ports))
	one := newFlow(f.grid, f.alive, host*ports, ports, f.seed^mix(host), p)
	one.adopt()
	one.settled, one.window.News = true, one.news
	one.slowly = true
	if !one.pace.pinned {
		one.pace.set(aloneRate)
	}
	return one
}
