package probe

import (
	"time"

	"github.com/monban-dev/monban"
)

const (
	// udpRate is the most datagrams a second for one host. Answers cannot set the
	// pace: closed doors answer by ICMP, which Linux limits to one a second for
	// each peer after the first six (net.ipv4.icmp_ratelimit).
	udpRate   = 1000
	udpWait   = time.Second
	udpPasses = 3

	udpProto = monban.UDP
)

// planUDP cuts a grid into flows that ask every silent door three times, a
// second apart. More would say no more: a service that does not answer what it is
// asked is silent for ever, and so is a closed door whose host has reached its
// limit.
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
		if heard, left := f.news-f.open, f.left(); heard > 0 && left > heard {
			host, _ := f.grid.door(f.from)
			r.Gaps = append(r.Gaps, monban.Gap{Source: host.String(), Err: ReplyLimit, Hides: monban.HidesSightings, Count: int(left)})
		}
	}
}
