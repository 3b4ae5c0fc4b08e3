package probe

import "context"

func (s *session) udp(ctx context.Context, r *Report) error {
	g := s.newGrid(r, s.q.UDP, udpProto)
	flows := s.planUDP(g)
	r.flows = append(r.flows, flows...)
	s.flows = r.flows
	s.start(g)
	return s.connect(ctx, flows)
}
