package probe

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/monban-dev/monban"
)

// Question is what to look at, and how.
type Question struct {
	Targets *Targets
	// TCP and UDP are the port numbers to ask for, in the order of the answer.
	TCP, UDP []uint16
	Engine   Engine
	// Rate is the most probes per second, over all targets; 0 is no limit. With
	// Pinned the scan goes at that rate from the beginning, whatever comes back.
	Rate   float64
	Pinned bool
	// Host is this machine: its routes, interfaces and ephemeral range.
	Host monban.Host
	// Ready is called once, before the first question: whatever takes a privilege
	// has been opened, and nothing that follows takes one.
	Ready func()
	// Found is told of each open door once, as soon as it answers, one at a time;
	// and first of those that the scan had found which Resume continues.
	Found func(monban.Sighting)
	// Progress is told a few times a second how far the scan is.
	Progress func(Progress)
	// Resume continues an interrupted scan. Targets and ports must be those of
	// the state.
	Resume *State
}

// Engine is a way to ask for TCP doors.
type Engine uint8

// The engines.
const (
	// Auto is the raw engine where it is allowed, and the connect engine
	// elsewhere.
	Auto Engine = iota
	Raw
	Connect
	// XDP is the raw engine, sending by AF_XDP in copy mode (Linux 5.4): faster
	// against targets that are silent. It is never chosen by itself.
	XDP
)

// String returns "auto", "raw", "connect" or "xdp".
func (e Engine) String() string { return [...]string{"auto", "raw", "connect", "xdp"}[e] }

// Progress is how far a scan is.
type Progress struct {
	Elapsed time.Duration
	// Rate is how many probes a second are sent now.
	Rate                  float64
	Open, Answered, Doors uint64
	Probes                uint64
	Pass                  int
	// Left is how many doors the pass that is under way has still to ask.
	Left uint64
}

// Stats is what the scan took, and how sure it is.
type Stats struct {
	Probes, Answers uint64
	Elapsed         time.Duration
	// Passes is how often the most persistent part of the scan went over its
	// doors.
	Passes int
	// Missed is the expected number of open doors that were not seen: those that
	// answer and were unlucky in every pass. What a filter hides from this place
	// is not in it.
	Missed float64
	// Engine is the engine that asked for TCP doors.
	Engine Engine
}

// Report is what a scan saw.
type Report struct {
	Stats
	// Interrupted is set if the context ended before the scan did; State then
	// continues it.
	Interrupted bool
	Gaps        []monban.Gap
	// Stopped are the targets that stopped answering, if they are few.
	Stopped []LastAnswer
	At      time.Time

	grids   []*grid
	answers []*bitmap // of each grid: see answering
	flows   []*flow
	// shared are the doors at which one system seems to answer for many addresses,
	// unproven the hosts that have said nothing else.
	shared   []sharedDoor
	unproven *bitmap
	// unreached are the hosts that could not be asked.
	unreached *bitmap
}

// Scan asks the doors of the question until it is sure, or the context ends. An
// error means that nothing could be asked; what could not be seen of a part is a
// gap of the report.
func Scan(ctx context.Context, q Question) (*Report, error) {
	s := &session{q: q, began: time.Now(), budget: newBudget(q.Rate)}
	r := &Report{At: s.began}
	if len(q.TCP) > 0 {
		if err := s.tcp(ctx, r); err != nil {
			return nil, err
		}
	}
	if len(q.UDP) > 0 {
		if err := s.udp(ctx, r); err != nil {
			return nil, err
		}
	}
	r.Interrupted = ctx.Err() != nil
	r.Elapsed = s.now()
	r.Gaps = append(r.Gaps, s.gaps...)
	for _, f := range r.flows {
		r.Probes += f.probes
		r.Answers += f.answers
		r.Passes = max(r.Passes, f.pass)
		switch {
		case f.grid.proto != monban.TCP:
		case f.over:
			r.Missed += f.missed()
		default: // as many as of those that have answered
			r.Missed += float64(f.left()) * float64(f.open) / float64(max(f.news, 1))
		}
	}
	for _, g := range r.grids {
		if g.proto == monban.TCP {
			r.oneForAll(g, s.crowds)
		}
	}
	for _, g := range r.grids {
		r.answers = append(r.answers, r.answering(g))
	}
	r.unreached = s.unreached
	r.hostGaps()
	r.replyLimits()
	return r, nil
}

// session is one scan under way.
type session struct {
	q      Question
	began  time.Time
	budget *budget
	ready  sync.Once

	mu        sync.Mutex
	gaps      []monban.Gap
	flows     []*flow  // all, in the order in which they began
	unreached *bitmap  // hosts that cannot be reached; nil is none
	looked    bool     // for them
	slow      []uint64 // hosts that come by themselves, later
	slowOf    *flow    // the sweep that met them
	crowds    map[crowd]*crowdOpen
	reported  time.Duration
	before    uint64
}

// start is called when the sockets for the doors of a grid are open: nothing that
// anybody has said is looked at before.
func (s *session) start(g *grid) {
	s.ready.Do(func() {
		if s.q.Ready != nil {
			s.q.Ready()
		}
	})
	if s.q.Found == nil || s.q.Resume == nil {
		return
	}
	for door := range g.openDoors() {
		s.found(g, door, s.now())
	}
}

func (s *session) now() time.Duration { return time.Since(s.began) }

func (s *session) gap(source, err string, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.gaps {
		if g := &s.gaps[i]; g.Source == source && g.Err == err {
			g.Count += count
			return
		}
	}
	s.gaps = append(s.gaps, monban.Gap{Source: source, Err: err, Hides: monban.HidesSightings, Count: count})
}

// answer is what came back for a question. stack tells who made it, if that is seen.
type answer struct {
	door  uint64
	slice uint16
	state uint64
	stack uint32
}

// heard passes an answer on to its flow, and an open door to whoever waits for
// it. One thread at a time calls it.
func (s *session) heard(f *flow, a answer, now time.Duration) {
	if a.state == nobody {
		f.notReached(a.door)
		return
	}
	if !f.answer(a.door, a.slice, a.state, now) || a.state != open {
		return
	}
	s.opened(f.grid, a.door, a.stack)
	if s.q.Found != nil {
		s.found(f.grid, a.door, now)
	}
}

func (s *session) found(g *grid, door uint64, now time.Duration) {
	host, port := g.door(door)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.q.Found(monban.Sighting{Target: host, Port: monban.Port{Num: port, Proto: g.proto}, State: monban.SightOpen, At: s.began.Add(now)})
}

// separate is how many hosts get a pace of their own. More are swept in one
// order, where each host meets a small part of the rate; those that are too slow for
// it are asked by themselves afterwards.
const separate = 64

// further returns the flows that come after those that are over, a part at a time.
func (s *session) further(ctx context.Context, done []*flow) []*flow {
	for _, f := range done {
		if len(f.late) > 0 {
			s.slow, s.slowOf = slices.Sorted(maps.Keys(f.late)), f
			f.late = nil
		}
		f.pace.slices = nil // 70 KB that nobody asks for any more
	}
	if ctx.Err() != nil {
		return nil
	}
	var next []*flow
	for ; len(s.slow) > 0 && len(next) < separate; s.slow = s.slow[1:] {
		next = append(next, s.slowOf.alone(s.slow[0], newPace(s.q.Rate, s.q.Pinned)))
	}
	s.flows = append(s.flows, next...)
	return next
}

// plan cuts a grid into flows.
func (s *session) plan(g *grid) []*flow {
	alive := newBitmap(g.targets.Len())
	var flows []*flow
	add := func(from, n, seed uint64) {
		f := newFlow(g, alive, from, n, seed, newPace(s.q.Rate, s.q.Pinned))
		flows = append(flows, f)
	}
	if saved := s.q.Resume.flowsOf(g.proto); saved != nil {
		for _, sf := range saved {
			add(sf.From, sf.N, sf.Seed)
			flows[len(flows)-1].restore(sf)
		}
		return flows
	}
	hosts, ports := g.targets.Len(), uint64(len(g.ports))
	if hosts <= separate {
		for h := range hosts {
			add(h*ports, ports, rand.Uint64())
		}
		return flows
	}
	add(0, g.len(), rand.Uint64())
	return flows
}

func (s *session) newGrid(r *Report, ports []uint16, proto monban.Proto) *grid {
	g := newGrid(s.q.Targets, ports, proto)
	if s.q.Resume != nil {
		g.load(s.q.Resume.pagesOf(proto))
		s.reopened(g)
	}
	r.grids = append(r.grids, g)
	return g
}

func (s *session) tcp(ctx context.Context, r *Report) error {
	g := s.newGrid(r, s.q.TCP, monban.TCP)
	flows := s.plan(g)
	r.flows = append(r.flows, flows...)
	s.flows = r.flows
	defer func() { r.flows = s.flows }()
	flows = slices.DeleteFunc(slices.Clone(flows), func(f *flow) bool { return f.over && len(flows) > 1 }) // a sweep that is over, and its hosts
	engine, err := s.engine()
	if err != nil {
		return err
	}
	r.Engine = engine
	if engine == Raw || engine == XDP {
		// A sandbox may forbid what the capabilities allow.
		err := s.raw(ctx, flows)
		if s.q.Engine != Auto || !errors.Is(err, fs.ErrPermission) {
			return err
		}
		s.gap("raw", NotPrivileged, 0)
		r.Engine = Connect
	}
	s.start(g)
	return s.connect(ctx, flows)
}

// tick reports progress, from whichever thread comes by.
func (s *session) tick(now time.Duration) {
	const every = 200 * time.Millisecond
	if s.q.Progress == nil || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if now-s.reported < every {
		return
	}
	p := Progress{Elapsed: now}
	for _, f := range s.flows {
		p.Open += f.open
		p.Answered += f.news
		p.Doors += f.n
		p.Probes += f.probes
		p.Pass = max(p.Pass, f.pass)
		if !f.over {
			p.Left += f.n - min(f.n, f.pos)
		}
	}
	p.Rate = float64(p.Probes-s.before) / (now - s.reported).Seconds()
	s.before, s.reported = p.Probes, now
	s.q.Progress(p)
}
