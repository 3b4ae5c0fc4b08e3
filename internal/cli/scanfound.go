package cli

import (
	"context"
	"net/netip"
	"sync"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/probe/identify"
)

const (
	// talks is how many doors are talked to at once.
	talks = 64
	// mostTalks is how many doors of one host are talked to: with more open,
	// something answers for it, and talking to each would take hours.
	mostTalks = 1000
)

// finder takes the open doors while the scan goes on: it asks what is behind
// them, if that is wanted, and writes a line for each, if those are wanted.
type finder struct {
	app      *app
	ctx      context.Context
	identify bool
	asker    identify.Identifier
	group    sync.WaitGroup

	mu       sync.Mutex
	waiting  []monban.Sighting // doors to talk to
	talking  int               // to how many at once
	services map[foundDoor]monban.Service
	perHost  map[netip.Addr]int
	skipped  map[netip.Addr]int
}

type foundDoor struct {
	target netip.Addr
	port   monban.Port
}

func newFinder(ctx context.Context, a *app, identify bool) *finder {
	return &finder{app: a, ctx: ctx, identify: identify,
		services: make(map[foundDoor]monban.Service), perHost: make(map[netip.Addr]int), skipped: make(map[netip.Addr]int)}
}

// wanted reports whether anything is done with a door before the scan is over.
func (f *finder) wanted() bool { return f.identify || f.app.format == string(report.JSONLines) }

// add takes an open door, and does not wait.
func (f *finder) add(s monban.Sighting) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.identify {
		f.line(s)
		return
	}
	if f.perHost[s.Target] == mostTalks {
		f.skipped[s.Target]++
		f.line(s)
		return
	}
	f.perHost[s.Target]++
	if f.waiting = append(f.waiting, s); f.talking < talks {
		f.talking++
		f.group.Go(f.talk)
	}
}

// talk talks to the doors that wait, one after the other, until there is none.
func (f *finder) talk() {
	for {
		f.mu.Lock()
		if len(f.waiting) == 0 {
			f.talking--
			f.mu.Unlock()
			return
		}
		s := f.waiting[0]
		f.waiting = f.waiting[1:]
		f.mu.Unlock()
		// An error is a door that accepts nothing any more: nothing is known.
		service, err := f.asker.Identify(f.ctx, netip.AddrPortFrom(s.Target, s.Port.Num), s.Port.Proto)
		if err != nil {
			service = monban.Service{}
		}
		f.mu.Lock()
		f.services[foundDoor{s.Target, s.Port}] = service
		s.Service = service
		f.line(s)
		f.mu.Unlock()
	}
}

// line writes a line for a door, where the output is lines.
func (f *finder) line(s monban.Sighting) {
	if f.app.format == string(report.JSONLines) {
		// A reader that has gone away is told of when the last line is written.
		_ = report.ScanLine(f.app.sys.Stdout, s, f.identify, f.app.showSecrets)
	}
}

// finish waits until all have been talked to, and says which have not.
func (f *finder) finish() (gaps []monban.Gap) {
	f.group.Wait()
	for host, n := range f.skipped {
		gaps = append(gaps, monban.Gap{Source: host.String(), Err: report.TooManyToAsk, Hides: monban.HidesSightings, Count: n})
	}
	return gaps
}

// identified returns a sighting with what answered there, when finish has returned.
func (f *finder) identified(s monban.Sighting) monban.Sighting {
	if s.State == monban.SightOpen {
		s.Service = f.services[foundDoor{s.Target, s.Port}]
	}
	return s
}
