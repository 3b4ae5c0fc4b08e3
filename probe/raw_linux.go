package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// The raw engine. Each thread sends in batches (sendmmsg) and reads what has come
// back in between (recvmmsg): on two processors that was half as fast again as one
// thread for sending and one for receiving (measured on a veth pair, Linux 6.18),
// and TX_RING gained nothing.
//
// The threads share the flows, which they lock to take a batch of questions; the
// sending takes fifty times as long.

// batch is how many packets go out with one system call.
const batch = 64

// busyRate is what one thread can send to a target that answers; a second one
// works only beyond.
const busyRate = 100_000

// raw asks with packets of our own making.
func (s *session) raw(ctx context.Context, flows []*flow) error {
	ways, err := s.ways(ctx, flows, true)
	if err != nil {
		return err
	}
	threads := 1
	if s.q.Rate == 0 || s.q.Rate > busyRate {
		threads = min(runtime.GOMAXPROCS(0), mostThreads)
	}
	eph := s.q.Host.Ephemeral
	ports, ok := sourcePorts(eph.First, eph.Last)
	if !ok {
		return errors.New("the range of ephemeral ports leaves no source ports")
	}
	e := &rawEngine{s: s, hops: ways, key: cookie{rand.Uint64(), rand.Uint64()}, stamp: rand.Uint32(), ports: ports, flows: flows}
	defer e.close()
	if err := e.open(threads); err != nil {
		return err
	}
	s.start(s.flows[0].grid)
	for ; len(e.flows) > 0; e.flows = s.further(ctx, e.flows) {
		if err := e.run(ctx, threads); err != nil {
			if !slices.ContainsFunc(s.flows, func(f *flow) bool { return f.answers > 0 }) {
				return err
			}
			s.gap("raw", err.Error(), 0) // what is known by now is worth telling
			return nil
		}
	}
	return nil
}

// run asks until the flows are over.
func (e *rawEngine) run(ctx context.Context, threads int) error {
	e.helps.Store(false)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all := make([]*rawThread, threads)
	for i := range all {
		r := &rawThread{rawEngine: e, number: i, in: newReceiver(), ended: make(chan struct{})}
		for n := range e.ways {
			w := &e.ways[n]
			r.links = append(r.links, &link{way: w, out: w.sender(i), syn: newTemplate(w.source, e.stamp)})
		}
		all[i] = r
		go func() {
			defer close(r.ended)
			r.failed = r.run(ctx)
			stop()
		}()
	}
	<-ctx.Done()
	var failed error
	for _, r := range all {
		if !r.resting.Load() {
			<-r.ended
			failed = errors.Join(failed, r.failed)
		}
		// One that rests has nothing that is missed here, and finds that all is over
		// when it wakes. On a busy machine that was waited for as long as 0.15 s.
		for _, l := range r.links {
			if l.refused > 0 {
				e.s.gap(e.s.deviceName(l.device), NotSent, l.refused)
			}
		}
	}
	return failed
}

// ways looks up how to reach every target, and ends the flows of those that cannot
// be reached.
func (s *session) ways(ctx context.Context, flows []*flow, allowed bool) (*hops, error) {
	r, err := openRTNL()
	if err != nil {
		return nil, err
	}
	defer r.close()
	hs, err := r.findHops(s.q.Targets, &s.q.Host)
	if err != nil {
		return nil, err
	}
	if err := s.census(ctx, r, hs, allowed); err != nil || ctx.Err() != nil {
		return hs, err
	}
	s.unreachable(hs)
	s.looked = true
	s.spare(flows)
	return hs, nil
}

// unreachable notes the hosts that there is no way to.
func (s *session) unreachable(hs *hops) {
	missing := make(map[string]int)
	for i := range hs.runs {
		h := &hs.runs[i]
		switch {
		case h.ok:
			continue
		case h.exit < 0:
			first, last := s.q.Targets.At(h.from), s.q.Targets.At(h.from+h.n-1)
			s.gap(span{first, last}.String(), NoRoute, int(h.n))
		case h.gateway.IsValid():
			missing[h.gateway.String()] += int(h.n)
		default:
			missing["link"]++
		}
		if s.unreached == nil {
			s.unreached = newBitmap(s.q.Targets.Len())
		}
		for n := range h.n {
			s.unreached.set(h.from + n)
		}
	}
	for source, n := range missing {
		s.gap(source, NoNeighbour, n)
	}
}

// spare spares flows what cannot be asked.
func (s *session) spare(flows []*flow) {
	for _, f := range flows {
		f.unreachable = s.unreached
		if !f.sweep && f.unreachable.has(f.from/uint64(len(f.grid.ports))) {
			f.over = true
		}
	}
}

// rawEngine is what the threads share.
type rawEngine struct {
	s     *session
	hops  *hops
	key   cookie
	ports uint16 // first of sliceCount source ports
	stamp uint32 // of the timestamp option
	ways  []way
	zones map[int][]string // names of the devices in targets: "eth0", or "2"
	fds   []int
	xdp   []*xdpSocket

	helps  atomic.Bool // there is work for more than one thread
	places places

	mu    sync.Mutex // of what follows
	flows []*flow
	turn  int
}
