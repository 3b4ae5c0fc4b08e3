package conflict

import (
	"slices"

	"github.com/monban-dev/monban"
)

// published adds what the kernel does not know: an engine gives a published port
// to one container only, also where no process listens for it.
func (p *prediction) published(c *monban.Claim, a *attempt, done *monban.Checked) {
	j := &done.Judgement
	if j.Outcome != monban.Starts || !inContainer(c) {
		return
	}
	for i := range a.forwarded {
		d := &a.forwarded[i]
		if d.To.Container == "" || holds(c, d, p.snap) == itself {
			continue
		}
		j.Outcome, j.Stage, j.Errno, j.Cause = monban.Fails, StageBind, string(EADDRINUSE), string(D1)
		j.Against, j.Missing = []monban.Door{*d}, nil
		j.Fix = a.fixes(D1, d)
		restarted(j, d, p.snap)
		return
	}
}

// meetRivals puts the attempt to the claims before it, and opens its door.
//
// Where nobody but claims has to do with the port, the model knows everything
// and decides. Beside live sockets it does not know in what order they were
// opened nor what the kernel remembers of them, and so lets a claim in for sure
// only where nobody is in its way, and keeps it out for sure only where no
// memory could help it.
func (p *prediction) meetRivals(c *monban.Claim, a *attempt, done *monban.Checked) {
	j := &done.Judgement
	blocking := p.blocking(a.sock, p.claimed(a.want.Port))
	perhaps := p.blocking(a.sock, p.maybe[a.want.Port])
	alone := len(a.snap.Doors) == 0 && len(a.snap.Traffic) == 0 && len(p.maybe[a.want.Port]) == 0
	if !alone && a.sock.proto == monban.UDP && a.sock.reusePort && (j.Errno == "" || j.Errno == string(EADDRINUSE)) {
		alone = p.firstDecides(a, j)
	}
	switch {
	case j.Outcome == monban.Fails:
		if j.Errno == string(EADDRINUSE) {
			done.Rivals = append(done.Rivals, p.indexes(blocking)...)
		}
		return
	case j.Outcome == monban.Starts && alone, j.Outcome == monban.Starts && len(blocking)+len(perhaps) == 0:
		s, stage, errno := p.start(c, a)
		if errno == NoError {
			p.shared(c, s, done)
			p.owner[s] = len(p.out)
			return
		}
		refuse(j, stage, errno)
		done.Rivals = p.indexes(p.deciding(a.sock, blocking))
		return
	case p.certainly(a, blocking):
		refuse(j, StageBind, EADDRINUSE)
		j.Against = slices.Clone(a.must)
		done.Rivals = p.indexes(blocking)
		return
	case j.Outcome == monban.Starts:
		j.Outcome, j.Reason, j.Cause, j.Also, j.Against, j.Fix, j.Missing = monban.OutcomeUnknown, ReasonRivals, "", nil, nil, nil, nil
		if len(blocking) > 0 && len(perhaps) == 0 {
			j.Reason = ReasonOptions
		}
	}
	done.Rivals = p.indexes(append(blocking, perhaps...))
	p.mayStart(c, a)
}

// shared notes that a claim will have to share its place with other programs, all
// of which set SO_REUSEPORT: connections go to one of them as the kernel likes.
func (p *prediction) shared(c *monban.Claim, s *Socket, done *monban.Checked) {
	j := &done.Judgement
	if s.proto != monban.TCP || !s.reusePort || j.Cause != "" {
		return
	}
	for _, o := range p.claimed(j.Bind.Port) {
		if i, known := p.owner[o]; known && o.at == s.at && o.state == listening && s.state == listening && !oneProgram(c, &p.out[i].Claim) {
			j.Cause = string(L5)
			done.Rivals = append(done.Rivals, i)
		}
	}
}

// firstDecides looks at a UDP socket with SO_REUSEPORT beside live sockets: the
// first of the chain that it meets decides, and claims are put before all that
// was there, unless they are of IPv6 and set SO_REUSEPORT themselves. It reports
// whether a claim decides, so that the model is right about it; else it makes
// a judgement uncertain that rests on a live socket further down.
func (p *prediction) firstDecides(a *attempt, j *monban.Judgement) bool {
	s, met := a.sock, 0
	chain := p.claimed(a.want.Port)
	for _, o := range chain {
		if !s.udpMeets(o) {
			continue
		}
		if met++; !(o.reusePort && o.at.v6) && len(p.maybe[a.want.Port]) == 0 && len(chain)+len(a.snap.Doors) <= udpLongChain {
			*j = monban.Judgement{Bind: j.Bind, Outcome: monban.Starts}
			return true
		}
		break
	}
	for _, o := range p.maybe[a.want.Port] {
		if s.udpMeets(o) {
			met++
		}
	}
	if met > 0 && j.Outcome == monban.Fails {
		*j = monban.Judgement{Bind: j.Bind, Reason: ReasonOptions, Against: j.Against}
	}
	return false
}

func refuse(j *monban.Judgement, stage string, errno Errno) {
	j.Outcome, j.Stage, j.Errno, j.Reason = monban.Fails, stage, string(errno), ""
	j.Cause, j.Also, j.Against, j.Fix, j.Missing = "", nil, nil, nil, nil
}

// certainly reports whether the claims in the way keep the attempt out whatever
// is not known about the others at the port.
func (p *prediction) certainly(a *attempt, blocking []*Socket) bool {
	s := a.sock
	if s.proto == monban.UDP {
		return len(blocking) > 0 && !s.reusePort
	}
	return slices.ContainsFunc(blocking, func(o *Socket) bool { return !mayRemember(s, o) })
}

// claimed are the sockets of claims at a port.
func (p *prediction) claimed(port monban.Port) []*Socket {
	if port.Proto == monban.UDP {
		return p.linux.udp[port.Num]
	}
	if b := p.linux.tcp[port.Num]; b != nil {
		return b.socks
	}
	return nil
}

// blocking returns those of the sockets that s meets and may not share with.
func (p *prediction) blocking(s *Socket, among []*Socket) []*Socket {
	var out []*Socket
	for _, o := range among {
		if s.proto == monban.UDP && s.udpMeets(o) && !s.udpShares(o) || s.proto == monban.TCP && s.tcpConflict(o) {
			out = append(out, o)
		}
	}
	return out
}

// deciding returns the socket that decides: for UDP the first of the chain does.
func (p *prediction) deciding(s *Socket, blocking []*Socket) []*Socket {
	if s.proto == monban.UDP && s.reusePort && len(blocking) > 1 {
		return blocking[:1]
	}
	return blocking
}

func (p *prediction) indexes(socks []*Socket) []int {
	var out []int
	for _, s := range socks {
		out = append(out, p.owner[s])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// start performs the system calls of a claim's program on the model.
func (p *prediction) start(c *monban.Claim, a *attempt) (*Socket, string, Errno) {
	proc, want := a.who.process(), a.want
	family := IPv6
	if want.Addr.Is4() {
		family = IPv4
	}
	s, errno := p.linux.Socket(proc, want.Port.Proto, family)
	if errno != NoError {
		return nil, StageSocket, errno
	}
	s.SetReuseAddr(want.ReuseAddr == monban.On)
	s.SetReusePort(want.ReusePort == monban.On)
	s.SetFreebind(c.FreeBind)
	if family == IPv6 && want.V6Only != monban.FlagUnknown {
		s.SetV6Only(want.V6Only == monban.On)
	}
	if want.Device != "" {
		errno = p.linux.SetDevice(proc, s, want.Device)
	}
	stage := StageBind
	if errno == NoError {
		errno = p.linux.Bind(proc, s, want.Addr, want.Port.Num)
	}
	if errno == NoError && c.Listen {
		stage, errno = StageListen, p.linux.Listen(s)
	}
	if errno != NoError {
		p.linux.Exit(proc)
	}
	return s, stage, errno
}

// mayStart keeps the socket of a claim that may have started.
func (p *prediction) mayStart(c *monban.Claim, a *attempt) {
	if c.Listen && a.sock.proto == monban.UDP {
		return // it fails at listen at the latest
	}
	s := *a.sock
	s.port = a.want.Port.Num
	if c.Listen && s.proto == monban.TCP {
		s.state = listening
	}
	p.owner[&s] = len(p.out)
	p.maybe[a.want.Port] = append(p.maybe[a.want.Port], &s)
}
