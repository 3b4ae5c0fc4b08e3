package probe

import (
	"time"

	"github.com/monban-dev/monban"
)

const (
	// udpRate is the most datagrams a second for one host. Answers cannot set the
	// pace at first: closed doors answer by ICMP, which Linux limits to one a
	// second for each peer after the first six (net.ipv4.icmp_ratelimit).
	udpRate   = 1000
	udpWait   = time.Second
	udpPasses = 3
	// udpPatience is how long a host that limits them is waited for: every service
	// that can be asked in its own protocol takes it less, and all ports would take
	// Linux 18 hours.
	udpPatience = 90 * time.Second

	udpProto = monban.UDP
)

// planUDP cuts a grid into flows that ask every silent door three times, a
// second apart. A service that does not answer what it is asked is silent for ever.
// Where a host has reached its limit for saying that doors are closed, the flow goes
// on as slowly as that until two passes agree, if that is not too long.
func (s *session) planUDP(g *grid) []*flow {
	flows := s.plan(g)
	for _, f := range flows {
		f.limit = udpPasses
		rate := float64(udpRate)
		if s.q.Rate > 0 {
			rate = min(rate, s.q.Rate)
		}
		f.pace = newPace(rate, true)
		f.pace.least = udpWait
		if !f.sweep {
			f.patience = udpPatience
		}
	}
	return flows
}

// replyLimits says of which hosts most closed doors could not be told from silent
// services.
func (r *Report) replyLimits() {
	for _, f := range r.flows {
		if f.grid.proto != monban.UDP || f.sweep {
			continue
		}
		if left := f.left(); f.undecided && left > 0 {
			host, _ := f.grid.door(f.from)
			r.Gaps = append(r.Gaps, monban.Gap{Source: host.String(), Err: ReplyLimit, Hides: monban.HidesSightings, Count: int(left)})
		}
	}
}
