package identify

import (
	"context"
	"net"
	"time"

	"github.com/monban-dev/monban"
)

// What paces a race. The round trip to the target is added where it says so.
const (
	// quiet is how long a server may stay silent before it is asked, beside three
	// round trips: a server that speaks first mostly does so within 30 ms.
	quiet = 150 * time.Millisecond
	// stagger lies between two questions, beside half a round trip.
	stagger = 40 * time.Millisecond
	// short is how long all but the likely questions keep a silent connection,
	// beside four round trips. The likely ones wait as long as the patience lasts.
	short  = time.Second
	likely = 4
	// talking is how long a dialogue may take after the first valid answer.
	talking = 2 * time.Second
	// tooMany connections that were not accepted, after the first one was, end the
	// asking.
	tooMany = 3
	// grace is how long something better is waited for after a likely answer.
	grace = 500 * time.Millisecond
)

// A race asks one door, or what is inside its TLS, in many ways at a time.
type race struct {
	*run
	ctx     context.Context // ends with the race
	until   time.Time       // the end of patience for a first byte
	inside  bool            // it is about what is inside TLS
	dial    dialer
	results chan result
	greeted chan struct{} // a server that speaks first did
	running int

	list     []signature // not asked yet
	asked    int
	best     monban.Service
	evidence string // what was said that nothing fits: unasked, or the first of all
	astray   string // an answer in HTTP to something else
	refused  int    // connections that were not accepted
	relisten bool   // somebody's answer looked like a greeting
	tls      progress
}

// progress says how far one question of a race is.
type progress uint8

const (
	waiting progress = iota
	running
	ended
)

// A result is how one connection ended.
type result struct {
	name    string // of the question; "" listened
	s       monban.Service
	found   bool
	said    string // what nothing fits
	echo    bool   // said is what was asked
	refused bool   // there was no connection
	within  *session
	err     error
}

func (r *run) talking() time.Duration { return min(talking, r.patience/2) + 4*r.roundTrip() }

// race talks to a door until it knows it or patience ends. It closes first.
func (r *run) race(ctx context.Context, first net.Conn, dial dialer, inside bool) monban.Service {
	until := time.Now().Add(r.patience + 4*r.roundTrip())
	raceCtx, cancel := context.WithDeadline(ctx, until.Add(2*r.talking()))
	x := &race{run: r, ctx: raceCtx, until: until, inside: inside, dial: dial, results: make(chan result), greeted: make(chan struct{}, 1)}
	defer func() {
		cancel()
		for ; x.running > 0; x.running-- {
			if late := <-x.results; late.within != nil {
				late.within.Close()
			}
		}
	}()
	if !silentPort(r.target.Port()) {
		x.list = ordered(questions(), r.target.Port())
	}
	if inside {
		x.tls = ended
		x.list = without(x.list, "tls")
	}
	x.start(func() result { return x.listen(first) })
	s, within := x.loop()
	if within == nil {
		return s
	}
	cancel()
	return r.inside(ctx, within)
}

// loop starts questions and weighs answers. It returns what the door is, or the
// TLS session behind which it is.
func (x *race) loop() (monban.Service, *session) {
	pace := time.NewTimer(quiet + 3*x.roundTrip())
	defer pace.Stop()
	var enough <-chan time.Time
	greeted := false
	for x.running > 0 || len(x.list) > 0 {
		select {
		case <-x.ctx.Done():
			return x.conclude(), nil
		case <-enough:
			return x.best, nil
		case <-x.greeted:
			greeted = true
		case <-pace.C:
			if time.Now().After(x.until) {
				x.list = nil
			}
			if len(x.list) > 0 && x.running < x.sockets && !greeted {
				x.next()
			}
			pace.Reset(stagger + x.roundTrip()/2)
		case res := <-x.results:
			x.running--
			switch res.name {
			case "tls":
				x.tls = ended
			case "":
				greeted = false
			}
			if res.within != nil {
				return monban.Service{}, res.within
			}
			if x.weigh(res) {
				return x.best, nil
			}
			if enough == nil && x.best.Grade != monban.GradeUnknown {
				enough = time.After(grace + 2*x.roundTrip())
			}
		}
	}
	return x.alone()
}

// alone is for a server that takes one connection at a time, which was the one
// that listened, as a worker of gunicorn does and `openssl s_server`: if nobody
// heard anything, what is usual at the port and what is usual anywhere are asked
// once more, with no other connection open.
func (x *race) alone() (monban.Service, *session) {
	if x.best.Grade != monban.GradeUnknown || x.evidence != "" || x.refused > tooMany || silentPort(x.target.Port()) {
		return x.conclude(), nil
	}
	for _, s := range ordered(questions(), x.target.Port()) {
		wait := x.talking()
		if s.rank(x.target.Port()) == 0 {
			wait = min(wait, short+4*x.roundTrip())
			if s.name != "http" && s.name != "tls" {
				continue
			}
		}
		if s.name == "tls" && x.inside {
			continue
		}
		res := x.put(time.Now().Add(wait), s)
		if res.found || res.within != nil {
			return res.s, res.within
		}
		if x.evidence == "" {
			x.evidence = res.said
		}
	}
	return x.conclude(), nil
}

// weigh takes a result in and reports whether the door is known by it.
func (x *race) weigh(res result) bool {
	switch {
	case res.found:
		if res.s.Grade > x.best.Grade {
			x.best = res.s
		}
	case res.echo:
		x.best = is("echo", []byte(res.said))
	case res.said != "":
		if x.evidence == "" || res.name == "" { // what it says unasked tells most
			x.evidence = res.said
		}
		if x.astray == "" && res.name != "" && res.name != "http" && begins([]byte(res.said), "HTTP/1.") == yes {
			x.astray = res.said
		}
		x.follow(res)
	case res.refused:
		if x.refused++; x.refused > tooMany {
			x.list = nil
		}
	}
	return x.best.Grade == monban.GradeIdentified && (x.tls == ended || !refusesPlain(x.best))
}

// follow lets what a server said to one question decide what it is asked next.
func (x *race) follow(res result) {
	said := []byte(res.said)
	if res.name == "" {
		x.list = nil // it speaks first: what waits for the client is not here
		return
	}
	if _, _, m := greet(question{target: x.target}, said); m == yes && !x.relisten {
		x.relisten = true
		x.start(func() result {
			c, err := x.dial(x.ctx)
			if err != nil {
				return result{}
			}
			return x.listen(c)
		})
	}
	for i, s := range x.list {
		if s.resembles != nil && s.resembles(said) {
			copy(x.list[1:i+1], x.list[:i])
			x.list[0] = s
		}
	}
}

// conclude is what is known at the end. A server that gave no answer to a request
// in HTTP, but one in HTTP to something else, likely speaks it: LiveReload's says
// nothing but its script.
func (x *race) conclude() monban.Service {
	if x.best.Grade != monban.GradeUnknown {
		return x.best
	}
	if s, m := readHTTP(question{target: x.target}, []byte(x.astray)); m == yes {
		s.Grade = monban.GradeLikely
		return s
	}
	x.best.Evidence = x.evidence
	return x.best
}

func (x *race) start(f func() result) {
	x.running++
	go func() { x.results <- f() }()
}

// next asks the next question.
func (x *race) next() {
	s := x.list[0]
	x.list = x.list[1:]
	x.asked++
	if s.name == "tls" {
		x.tls = running
	}
	until := x.until
	if soon := time.Now().Add(short + 4*x.roundTrip()); x.asked > min(likely, x.sockets/4) && soon.Before(until) {
		until = soon
	}
	x.start(func() result {
		res := x.put(until, s)
		res.name = s.name
		return res
	})
}
