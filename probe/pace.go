package probe

import (
	"math"
	"slices"
	"time"
)

// pace finds the rate that one target, or one path, can take. It has to tell two
// kinds of loss apart that look alike: a path that loses a share of the packets
// whatever the rate, and a target that answers so many a second and no more. The
// first calls for asking again, the second for asking more slowly.
//
// So it experiments. A step is a stretch of probes at one rate, long enough to
// count how many of those that ought to be answered were (the signals). A step
// at a higher rate that brings answers in proportion is kept, whatever share is
// lost; one that brings no more answers than the rate before it has met a limit,
// and the answers that did come say where it lies. A step at a lower rate settles
// the case where even the first rate was too much.
//
// Time is cut into slices of a few milliseconds. Every probe carries the number
// of its slice, in the source port, so that an answer counts for the slice that
// asked, and tells the round-trip time.
type pace struct {
	rate float64 // now, probes per second
	// ceiling is never passed; 0 is none. pinned is a pace that stays at it.
	ceiling float64
	pinned  bool
	// least is the shortest time to wait for an answer.
	least time.Duration

	slices *[sliceCount]slice
	seq    uint64 // number of the slice that is being filled

	srtt, rttvar float64 // nanoseconds; srtt 0 is not measured (RFC 6298)
	// best is the shortest round trip seen, and lately the recent ones: where
	// they are far apart, packets wait in a queue on the way, and it grows.
	best, lately float64
	late         int // samples in a row that were left out

	kind        stepKind
	from        uint64 // first slice of the step
	until       uint64 // behind its last slice; 0 while it is being filled
	ref, before trial
	factor      float64 // of the next step up
	patience    int     // how many steps to hold before the next step up
	held        int
	quiet       int // steps in a row without any answer
	outages     int // and with far fewer than there were
}

// trial is a rate and the share of the signals that was answered at it.
type trial struct{ rate, share float64 }

type slice struct {
	start, end    time.Duration // since the scan began; end 0 is now being filled
	paused        time.Duration // of that, how long nobody was there to send
	probes        uint32        // everything sent
	pass          uint8         // of the flow, from 1
	asked, heard  uint32        // first questions, and their answers
	knock, knocks uint32        // canaries: asked, and answered
	// waiting are the canaries that have not answered yet. A target that does not
	// hear our RST repeats its SYN-ACK, and a repetition tells neither loss nor
	// time.
	waiting []uint64
}

type stepKind uint8

const (
	first stepKind = iota // nothing is known about this signal yet
	up
	down
	hold
)

const (
	// sliceCount is how many slices an answer may come late. It is also how many
	// source ports a flow takes.
	sliceCount = 1024

	blindRate   = 15_000 // nothing has answered yet: slow enough for a small router
	startRate   = 10_000
	slowestRate = 20

	minRTO     = 10 * time.Millisecond
	firstRTO   = 500 * time.Millisecond
	longestRTO = 3 * time.Second
)

func newPace(ceiling float64, pinned bool) pace {
	p := pace{slices: new([sliceCount]slice), ceiling: ceiling, pinned: pinned, least: minRTO, factor: 2}
	p.set(startRate)
	if pinned {
		p.rate = ceiling
		if ceiling == 0 {
			p.rate = math.Inf(1)
		}
	}
	return p
}

func (p *pace) set(rate float64) {
	p.rate = max(rate, slowestRate)
	if p.ceiling > 0 {
		p.rate = min(p.rate, p.ceiling)
	}
}

// rto is how long an answer may take before it is taken for lost.
func (p *pace) rto() time.Duration {
	if p.srtt == 0 {
		return max(firstRTO, p.least)
	}
	return min(max(time.Duration(p.srtt+4*p.rttvar), p.least), longestRTO)
}

// slice returns the number of the slice for a probe sent now. While the pace is
// sought they are shorter, because a step ends with a slice.
func (p *pace) slice(now time.Duration) *slice {
	s := &p.slices[p.seq%sliceCount]
	shortest := 2 * time.Millisecond
	if p.kind != hold {
		shortest /= 2
	}
	if s.start != 0 && now-s.start >= max(shortest, p.rto()/128) {
		p.cut(now)
		s = &p.slices[p.seq%sliceCount]
	}
	if s.start == 0 {
		s.start = max(now, 1)
	}
	return s
}

// pause notes a time in which nobody was there to send: the system gave the
// processor to others. A rate that counted it would be lower than the one that the
// target has met.
func (p *pace) pause(d time.Duration) {
	if s := &p.slices[p.seq%sliceCount]; s.start != 0 {
		s.paused += d
	}
}

// cut ends the slice that is being filled.
func (p *pace) cut(now time.Duration) {
	if p.slices[p.seq%sliceCount].start == 0 {
		return
	}
	p.slices[p.seq%sliceCount].end = now
	p.seq++
	next := &p.slices[p.seq%sliceCount]
	*next = slice{waiting: next.waiting[:0]}
}

// answered notes an answer to a probe of a slice. canary tells whose it was;
// fresh is false for one that was not waited for.
func (p *pace) answered(id uint16, canary, fresh bool, now time.Duration) {
	s := &p.slices[id%sliceCount]
	if s.start == 0 {
		return
	}
	end := s.end
	if end == 0 {
		end = now
	}
	if canary {
		s.knocks = min(s.knocks+1, s.knock)
	} else if fresh {
		s.heard++
	}
	// The probe left somewhere within the slice.
	sample := float64(max(now-(s.start+end)/2, 1000))
	if p.srtt == 0 {
		p.srtt, p.rttvar, p.best, p.lately = sample, sample/2, sample, sample
		return
	}
	if limit := float64(2 * p.rto()); sample > limit {
		// Late by so much it is a SYN-ACK that was repeated, a second or three
		// after the first was lost. Many in a row are a longer way.
		if p.late++; p.late < 16 {
			return
		}
	}
	p.late = 0
	p.best = min(p.best, sample)
	p.lately += (sample - p.lately) / 16
	p.rttvar += (math.Abs(sample-p.srtt) - p.rttvar) / 32
	p.srtt += (sample - p.srtt) / 64
}

// queues reports whether packets are piling up on the way.
func (p *pace) queues() bool { return p.lately > 2*p.best+float64(20*time.Millisecond) }

// passOf returns the pass that filled a slice, 0 if it is too long ago.
func (p *pace) passOf(id uint16) int { return int(p.slices[id%sliceCount].pass) }

// echo notes the answer of a canary, and reports whether it was waited for.
func (p *pace) echo(id uint16, door uint64) bool {
	s := &p.slices[id%sliceCount]
	i := slices.Index(s.waiting, door)
	if i < 0 {
		return false
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return true
}

// signals counts a step's signals and how many were answered, and the rate that
// was really sent at. Where some slices had few answers or none and the others had
// theirs, nobody was there to take the probes: the system of the target, too, gives
// its processor to others, and what has come meanwhile meets the limit all at once.
// That says nothing of the rate, and these slices are left out when no more answers
// are to come.
func (p *pace) signals(canaries, due bool) (asked, heard, rate float64) {
	until := p.until
	if until == 0 {
		until = p.seq
	}
	if until-p.from > sliceCount-2 {
		p.from = until - (sliceCount - 2)
	}
	best := 0.0
	for i := p.from; i < until && due; i++ {
		if a, h := p.slices[i%sliceCount].signals(canaries); a >= telling {
			best = max(best, h/a)
		}
	}
	var probes, took float64
	for i := p.from; i < until; i++ {
		s := &p.slices[i%sliceCount]
		if a, h := s.signals(canaries); a < telling || h/a >= best/outage {
			asked += a
			heard += h
		}
		probes += float64(s.probes)
		took += (s.end - s.start - s.paused).Seconds()
	}
	if took > 0 {
		rate = min(probes/took, p.rate)
	}
	return asked, heard, rate
}

// telling is how many signals of a slice say something about it alone, and outage
// how much less than elsewhere is answered where nobody is there.
const (
	telling = 8
	outage  = 4
	// mostOutages is how many steps without answers are tried again in a row.
	mostOutages = 3
)

func (s *slice) signals(canaries bool) (asked, heard float64) {
	if canaries {
		return float64(s.knock), float64(s.knocks)
	}
	return float64(s.knock + s.asked), float64(s.knocks + s.heard)
}

// begin starts a step at a rate.
func (p *pace) begin(now time.Duration, kind stepKind, rate float64) {
	p.cut(now)
	p.kind, p.from, p.until = kind, p.seq, 0
	p.set(rate)
}

// anew forgets what the signals were compared with, because others count from
// now on, and keeps the rate.
func (p *pace) anew(now time.Duration) { p.begin(now, first, p.rate) }

// enough is how many signals a step needs to be told from chance: a step of
// twice the rate is rejected at three quarters of the share before, which is
// four standard deviations of 32 signals at a tenth lost.
func (p *pace) enough() float64 {
	switch {
	case p.kind == up && p.factor >= 1.8, p.kind == first, p.kind == down:
		return 32
	case p.kind == up:
		return 160
	default:
		return 200
	}
}

// control judges the step that is under way, and begins the next one.
func (p *pace) control(now time.Duration, canaries bool) {
	if p.pinned || p.seq == p.from {
		return
	}
	asked, heard, rate := p.signals(canaries, false)
	if p.until == 0 {
		if asked < p.enough() {
			return
		}
		p.until = p.seq
	}
	due := now >= p.slices[(p.until-1)%sliceCount].end+p.rto()
	if due {
		asked, heard, rate = p.signals(canaries, true)
	}
	share := heard / asked
	if due && p.away(now, share) {
		return
	}
	if heard == 0 && due {
		p.quiet++
	} else if heard > 0 {
		p.quiet = 0
	}
	// The share at which a step up has brought half of what its rate promised.
	f := max(p.rate/max(p.ref.rate, 1), 1)
	kept := p.ref.share * (1 + (f-1)/2) / f
	switch p.kind {
	case first:
		if share < 0.9 && !due {
			return
		}
		p.ref = trial{p.rate, share}
		if share < 0.5 {
			p.tryDown(now, rate, share)
			return
		}
		p.climb(now)
	case up:
		if p.queues() {
			p.factor, p.patience = 1.25, min(p.patience*2+1, 12)
			p.begin(now, hold, 0.9*p.ref.rate)
			return
		}
		if share >= kept {
			p.ref.rate = p.rate
			if due {
				p.ref.share = share
			}
			p.factor, p.patience = min(p.factor*1.3, 2), 0
			p.climb(now)
			return
		}
		if !due {
			return
		}
		p.factor, p.patience = 1.25, min(p.patience*2+1, 12)
		if p.ref.share < 0.5 {
			p.tryDown(now, rate, share)
			return
		}
		// Just under what came back.
		p.begin(now, hold, 0.97*max(rate*share/p.ref.share, p.rate/8))
	case down:
		if !due {
			return
		}
		// Answers a second as before, or nearly: the limit is here or below.
		if p.rate*share >= 0.75*p.before.rate*p.before.share {
			p.ref = trial{p.rate, max(share, 0.01)}
			if share < 0.7 {
				p.tryDown(now, rate, share)
				return
			}
			// Or it was something that is over: then back to where it was.
			p.factor, p.patience = min(max(p.before.rate/p.rate, 1.25), 2), 0
			p.climb(now)
			return
		}
		// Fewer, in proportion: the loss has nothing to do with the rate.
		p.ref = trial{p.before.rate, max(p.before.share, 0.01)}
		p.begin(now, hold, p.before.rate)
		p.patience = 0
	case hold:
		if !due {
			return
		}
		if p.queues() {
			p.held = 0
			p.begin(now, hold, 0.7*p.rate)
			return
		}
		if share < 0.85*p.ref.share {
			p.tryDown(now, rate, share)
			return
		}
		p.ref = trial{p.rate, max(share, 0.7*p.ref.share+0.3*share)}
		if p.held++; p.held <= p.patience {
			p.begin(now, hold, p.rate)
			return
		}
		p.climb(now)
	}
}

// away tries a step again that nearly nobody answered, and returns false if that was
// not enough or there was no need to.
func (p *pace) away(now time.Duration, share float64) bool {
	kind, rate, used := hold, p.ref.rate, p.ref.share
	switch p.kind {
	case first:
		kind, rate, used = first, p.rate, 1
	case down:
		return false
	}
	if share >= used/outage {
		p.outages = 0
		return false
	}
	if p.outages++; p.outages > mostOutages {
		return false
	}
	p.begin(now, kind, rate)
	return true
}

// climb begins a step up, if there is room.
func (p *pace) climb(now time.Duration) {
	p.held = 0
	rate := p.rate * p.factor
	if p.ceiling > 0 && p.rate >= p.ceiling {
		p.begin(now, hold, p.rate)
		return
	}
	p.begin(now, up, rate)
}

// tryDown begins a step at the rate the answers came at, but no lower than an
// eighth: from one bad step.
func (p *pace) tryDown(now time.Duration, rate, share float64) {
	p.before = trial{rate, share}
	p.held = 0
	p.begin(now, down, max(rate*share/max(p.ref.share, share, 0.9), rate/8))
}
