package conflict

import (
	"cmp"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// More reasons of a [monban.Judgement] whose outcome is unknown.
const (
	// ReasonOwners: somebody has the port who cannot be named, and it may be
	// the claim's own program.
	ReasonOwners = "owners"
	// ReasonRivals: it depends on an earlier claim that is itself unknown.
	ReasonRivals = "rivals"
)

// Predict judges claims in the order in which their programs start, against each
// other and against what is open in the snapshot, which has to hold every door
// and the traffic of the claims' ports. The results have the order of claims.
//
// A claim that starts stays open for the later ones; one that fails is closed
// again. A claim whose own program holds the port already is [monban.Running]:
// the program would let go of it before it started anew. Claims are opened by
// the user they name; a UID of -1 is the user who made the snapshot. An unknown
// option of a claim counts as [CanBind] says.
func Predict(claims []monban.Claim, snap *monban.Snapshot) []monban.Checked {
	p := newPrediction(claims, snap)
	for i := range claims {
		p.out = append(p.out, p.check(&claims[i]))
	}
	p.settle()
	return p.out
}

// prediction is one call of Predict.
type prediction struct {
	snap    *monban.Snapshot
	open    *openPorts // by doors and by claims
	doors   map[monban.Port][]monban.Door
	traffic map[monban.Port][]monban.Traffic
	// translated says whether a rule may lead away from a port.
	translated func(num uint16) bool

	// linux has the sockets of the claims that start, and of nobody else.
	linux *Linux
	// maybe are the sockets of the claims that may have started.
	maybe map[monban.Port][]*Socket
	owner map[*Socket]int
	// started are the claims that start, on Windows and macOS.
	started map[monban.Port][]int
	moves   map[mover]monban.Fix
	out     []monban.Checked
}

func newPrediction(claims []monban.Claim, snap *monban.Snapshot) *prediction {
	p := &prediction{snap: snap, open: new(openPorts), linux: NewLinux(netOf(&snap.Host)),
		doors: map[monban.Port][]monban.Door{}, traffic: map[monban.Port][]monban.Traffic{},
		maybe: map[monban.Port][]*Socket{}, owner: map[*Socket]int{}, started: map[monban.Port][]int{}, moves: map[mover]monban.Fix{}, out: make([]monban.Checked, 0, len(claims))}
	p.translated = func(uint16) bool { return false } // the usual case
	if snap.Rules.Translates() {
		p.translated = TranslatedPorts(snap.Rules)
	}
	wanted := new(openPorts)
	for i := range claims {
		for port := range claimPorts(&claims[i]) {
			wanted.add(port)
		}
	}
	for i := range snap.Doors {
		d := &snap.Doors[i]
		if wanted.has(d.Bind.Port) && sameNetNS(d.Bind.NetNS, snap.Host.NetNS, snap.Host.NetNS) {
			p.doors[d.Bind.Port] = append(p.doors[d.Bind.Port], *d)
		}
	}
	p.open.late = func(open *openPorts) {
		open.addDoors(snap.Doors)
		for i := range claims {
			open.add(claims[i].Bind.Port)
		}
		open.published(snap.Containers)
		open.many = true // the whole machine is here
	}
	for _, t := range snap.Traffic {
		if wanted.has(t.Port) {
			p.traffic[t.Port] = append(p.traffic[t.Port], t)
		}
	}
	return p
}

// claimPorts are the ports of which a claim takes the first that is free.
func claimPorts(c *monban.Claim) func(yield func(monban.Port) bool) {
	return func(yield func(monban.Port) bool) {
		port := firstPort(c)
		for n := int(port.Num); n <= max(int(port.Num), int(c.UpTo)); n++ {
			port.Num = uint16(n)
			if !yield(port) {
				return
			}
		}
	}
}

func firstPort(c *monban.Claim) monban.Port {
	port := c.Bind.Port
	if port.Proto == monban.AnyProto {
		port.Proto = monban.TCP
	}
	return port
}

// check judges the next claim and opens its door where it starts.
func (p *prediction) check(c *monban.Claim) monban.Checked {
	has := false // a door at one of its ports already
	for _, port := range p.held(c) {
		done, ok := p.running(c, port)
		if ok {
			return done
		}
		has = has || len(done.Own) > 0
	}
	var first monban.Checked
	for port := range claimPorts(c) {
		want := c.Bind
		want.Port = port
		done := p.judge(c, want, has)
		if done.Judgement.Outcome != monban.Fails || !taken(done.Judgement) {
			elsewhereForwarded(&done, &first)
			return done
		}
		if port.Num == c.Bind.Port.Num {
			first = done // the one to speak of when all fail
		}
	}
	return first
}

// elsewhereForwarded notes that an editor will forward a development container's
// port from another one than people expect, because somebody has that: the first
// that was tried.
func elsewhereForwarded(done, first *monban.Checked) {
	j := &done.Judgement
	if done.Claim.By != "devcontainer" || first.Judgement.Outcome != monban.Fails || j.Outcome != monban.Starts || j.Cause != "" {
		return
	}
	j.Cause, j.Against, j.Fix = string(D14), first.Judgement.Against, first.Judgement.Fix
	done.Rivals = first.Rivals
}

// held returns those of a claim's ports at which there is a door, in their order.
// Of the 57,000 that a Vite server would try few have one, and to ask them all
// took 5 ms a claim.
func (p *prediction) held(c *monban.Claim) []monban.Port {
	first := firstPort(c)
	if c.UpTo <= first.Num {
		return []monban.Port{first}
	}
	var ports []monban.Port
	for port := range p.doors {
		if port.Proto == first.Proto && first.Num <= port.Num && port.Num <= c.UpTo {
			ports = append(ports, port)
		}
	}
	slices.SortFunc(ports, func(a, b monban.Port) int { return cmp.Compare(a.Num, b.Num) })
	return ports
}

// running reports whether the claim's own program has the very door.
func (p *prediction) running(c *monban.Claim, port monban.Port) (monban.Checked, bool) {
	want := c.Bind
	want.Port = port
	done := monban.Checked{Claim: *c, Judgement: monban.Judgement{Bind: want, Outcome: monban.Running}}
	covered := false
	for i := range p.doors[port] {
		if d := &p.doors[port][i]; holds(c, d, p.snap) == itself {
			done.Own = append(done.Own, *d)
			covered = covered || covers(d, want)
		}
	}
	return done, covered
}

// judge judges one port of a claim, whose program has a door at one of its ports
// or not.
func (p *prediction) judge(c *monban.Claim, want monban.Bind, has bool) monban.Checked {
	done := monban.Checked{Claim: *c}
	view := *p.snap
	view.Traffic = p.traffic[want.Port]
	if !p.translated(want.Port.Num) {
		view.Rules = nil
	}
	view.Doors = p.doors[want.Port]
	if has {
		view.Doors, done.Own = p.others(c, want.Port)
	}
	who := p.asker(c)
	if modelled(&p.snap.Host) && judgeable(want) {
		p.elsewhere(c, want, who, &view, &done)
		return done
	}
	a, j := judge(want, who, &view, p.open)
	if a != nil && c.OrIPv4 && noAddress(j) {
		want.Addr, want.V6Only = wildcard4().Unmap(), monban.Off
		a, j = judge(want, who, &view, p.open)
	}
	done.Judgement = j
	if a == nil {
		return done
	}
	p.published(c, a, &done)
	p.meetRivals(c, a, &done)
	p.hidden(c, &done)
	p.ownPlace(c, a, &done)
	p.forgive(c, &done)
	p.explain(c, a, &done)
	if done.Judgement.Stage == StageSocket {
		done.Judgement.Stage = StageBind // to the program it is one step
	}
	return done
}

// others splits the doors of a port into those in the claim's way and those that
// its own program would give up first.
func (p *prediction) others(c *monban.Claim, port monban.Port) (others, own []monban.Door) {
	all := p.doors[port]
	for i := range all {
		if holds(c, &all[i], p.snap) == itself {
			own = append(own, all[i])
		}
	}
	if len(own) == 0 {
		return all, nil
	}
	for i := range all {
		if holds(c, &all[i], p.snap) != itself {
			others = append(others, all[i])
		}
	}
	return others, own
}

// asker is who binds a claim's door.
func (p *prediction) asker(c *monban.Claim) asker {
	h := &p.snap.Host
	w := asker{uid: uint32(c.UID), bindService: c.BindService, netRaw: monban.FlagOf(c.UID == 0), freebind: c.FreeBind,
		move: func(want monban.Bind) monban.Fix { return p.editPort(c, want) }}
	if inContainer(c) {
		w.own = func(o *monban.Container) bool { return ownContainer(&c.Program, o) }
	}
	if c.UID < 0 {
		w.uid = uint32(h.UID)
	}
	if w.bindService != monban.FlagUnknown {
		return w
	}
	switch {
	case int(w.uid) == h.UID && (h.UID != 0 || h.Caps.BindService != monban.FlagUnknown):
		w.bindService = h.Caps.BindService
	default:
		w.bindService = monban.FlagOf(w.uid == 0)
	}
	return w
}

func noAddress(j monban.Judgement) bool {
	return j.Outcome == monban.Fails && (j.Errno == string(EAFNOSUPPORT) || strings.HasSuffix(j.Errno, string(EADDRNOTAVAIL)))
}

// hidden turns a failure into an unknown where the one in the way cannot be
// named and may be the claim's own program.
func (p *prediction) hidden(c *monban.Claim, done *monban.Checked) {
	j := &done.Judgement
	if j.Outcome != monban.Fails || !taken(*j) || len(j.Against) == 0 || len(done.Rivals) > 0 {
		return
	}
	for i := range j.Against {
		if holds(c, &j.Against[i], p.snap) != cannotTell {
			return
		}
	}
	j.Outcome, j.Stage, j.Errno, j.Cause, j.Also, j.Reason = monban.OutcomeUnknown, "", "", "", nil, ReasonOwners
	j.Fix = lookAsRoot(done.Judgement.Bind.Port, p.snap)
	j.Missing = append(gaps(p.snap, monban.HidesOwners), gaps(p.snap, monban.HidesContainers)...)
}

// ownPlace turns a start into running where the program holds an overlapping
// door already, as after a change of its configuration.
func (p *prediction) ownPlace(c *monban.Claim, a *attempt, done *monban.Checked) {
	j := &done.Judgement
	if j.Outcome != monban.Starts || len(done.Own) == 0 {
		return
	}
	for i := range done.Own {
		if d := &done.Own[i]; d.State == monban.Forwarded || a.sock.at.overlaps(a.socket(d.Bind, 0).at, true, true) {
			*j = monban.Judgement{Bind: j.Bind, Outcome: monban.Running}
			return
		}
	}
}

// forgive turns a failure that the program runs on after into a start with a
// cause: the program starts, without this door.
func (p *prediction) forgive(c *monban.Claim, done *monban.Checked) {
	j := &done.Judgement
	if c.Tolerates == monban.ToleratesNothing || !noAddress(*j) {
		return
	}
	j.Outcome, j.Stage, j.Errno, j.Fix = monban.Starts, "", "", nil
}

// taken reports whether a port is somebody else's, and not out of bounds.
func taken(j monban.Judgement) bool {
	return j.Errno == string(EADDRINUSE) || j.Errno == "WSAEADDRINUSE" || j.Errno == "WSAEACCES"
}
