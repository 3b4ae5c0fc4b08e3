package conflict

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// TestCanBindAgainstKernel opens random sockets, hides what the kernel does not
// tell about them, asks CanBind for one more, and then tries it. A yes or a no
// must be right; "unknown" must be the answer wherever it could be wrong.
func TestCanBindAgainstKernel(t *testing.T) {
	var k *kernel
	rnd := rand.New(rand.NewPCG(*seedFlag, 2))
	answers := map[monban.Outcome]int{}
	plain := map[monban.Outcome]int{}
	unsure := map[Errno]int{}
	causes := map[string]int{}
	const each = 10000 // connections in TIME_WAIT keep their ports
	for n := range sets() / 4 {
		if n%each == 0 {
			k = newKernel(t)
		}
		g := generator{Rand: rnd, port: 33000 + uint16(n%each*ports), traffic: n%2 == 0}
		s := g.set()
		who := g.IntN(len(s.actors))
		m := s.newModelRun(k.net)
		for _, st := range s.steps {
			m.step(st)
		}
		want := monban.Bind{Addr: g.addr(), Port: monban.Port{Num: g.port, Proto: monban.TCP},
			ReuseAddr: monban.FlagOf(g.IntN(2) == 0), ReusePort: monban.FlagOf(g.IntN(3) == 0)}
		if g.IntN(3) == 0 {
			want.Port.Proto = monban.UDP
		}
		snap := g.snapshot(m, s.actors[who], k.net)
		j := CanBind(want, snap)

		at := len(s.steps)
		s.steps = append(s.steps, attemptSteps(want, who)...)
		got := NoError
		for _, err := range k.run(s)[at:] {
			if err != NoError {
				got = err
				break
			}
		}
		answers[j.Outcome]++
		if j.Outcome == monban.OutcomeUnknown {
			unsure[got]++
		}
		causes[j.Cause]++
		if want.ReuseAddr == monban.Off && want.ReusePort == monban.Off {
			plain[j.Outcome]++
		}
		switch {
		case j.Outcome == monban.Starts && got != NoError,
			j.Outcome == monban.Fails && string(got) != j.Errno:
			t.Fatalf("set %d: %+v\njudged %v %s, the kernel says %q\ndoors %+v\n%v", n, want, j.Outcome, j.Errno, got,
				snap.Doors, s.steps)
		}
	}
	t.Logf("all %v, unknown ones %v, without options %v, causes %v", answers, unsure, plain, causes)
	for _, o := range []monban.Outcome{monban.OutcomeUnknown, monban.Starts, monban.Fails} {
		if answers[o] < sets()/100 {
			t.Errorf("only %d answers were %v", answers[o], o)
		}
	}
	// What is called unknown really can come out either way.
	for _, outcome := range []Errno{NoError, EADDRINUSE} {
		if unsure[outcome] < sets()/200 {
			t.Errorf("of the unknown ones only %d ended with %q", unsure[outcome], outcome)
		}
	}
	// A program that sets no options is decided by addresses alone; only
	// whether a [::] takes IPv4 can be hidden.
	if plain[monban.OutcomeUnknown]*20 > sets()/4 {
		t.Errorf("%d of the plain attempts are unknown", plain[monban.OutcomeUnknown])
	}
}

// snapshot is what a view of the machine shows of the sockets of a run. Options
// are sometimes read and mostly hidden; the order of opening always is.
func (g generator) snapshot(m modelRun, who actor, n Net) *monban.Snapshot {
	snap := &monban.Snapshot{
		Host: monban.Host{OS: "linux", UID: int(who.UID), Interfaces: n.Interfaces, Unprivileged: n.Unprivileged,
			BindV6Only: monban.Off, IPv6: monban.On,
			Caps: monban.Caps{BindService: monban.FlagOf(who.BindService), NetRaw: monban.FlagOf(who.NetRaw)}},
		TrafficOf: []monban.PortRange{{First: 1, Last: 65535}},
	}
	hide := func(on bool, odds int) monban.Flag {
		if g.IntN(odds) > 0 {
			return monban.FlagUnknown
		}
		return monban.FlagOf(on)
	}
	names := map[int]string{0: ""}
	for _, i := range n.Interfaces {
		names[i.Index] = i.Name
	}
	for _, s := range m.everySocket() {
		p := monban.Port{Num: s.port, Proto: s.proto}
		at := s.at.addr
		if !s.at.v6 {
			at = at.Unmap()
		}
		if s.state == connected || s.state == timeWait {
			count := trafficOf(snap, p)
			if s.state == timeWait {
				count.TimeWait++
			} else {
				count.Established++
			}
			count.Locals = append(count.Locals, at)
			continue
		}
		d := monban.Door{UID: s.uid, State: monban.Bound, Bind: monban.Bind{Port: p, Addr: at, Device: names[s.device],
			V6Only: monban.FlagOf(s.at.v6only), ReuseAddr: hide(s.reuseAddr, 3), ReusePort: hide(s.reusePort, 3)}}
		if s.at.v6 && g.IntN(8) == 0 {
			d.Bind.V6Only = monban.FlagUnknown
		}
		if s.state == listening {
			d.State = monban.Listen
		}
		snap.Doors = append(snap.Doors, d)
	}
	return snap
}

func trafficOf(snap *monban.Snapshot, p monban.Port) *monban.Traffic {
	for i := range snap.Traffic {
		if snap.Traffic[i].Port == p {
			return &snap.Traffic[i]
		}
	}
	snap.Traffic = append(snap.Traffic, monban.Traffic{Port: p})
	return &snap.Traffic[len(snap.Traffic)-1]
}

// everySocket returns the sockets that have a port, in a fixed order.
func (m modelRun) everySocket() []*Socket {
	var out []*Socket
	for _, port := range slices.Sorted(maps.Keys(m.l.tcp)) {
		out = append(out, m.l.tcp[port].socks...)
	}
	for _, port := range slices.Sorted(maps.Keys(m.l.udp)) {
		out = append(out, m.l.udp[port]...)
	}
	return out
}

// attemptSteps are the system calls of a program that wants a door.
func attemptSteps(want monban.Bind, who int) []step {
	const sock = 1 << 20
	family := IPv6
	if want.Addr.Is4() {
		family = IPv4
	}
	steps := []step{
		{Op: opSocket, Actor: who, Sock: sock, Proto: want.Port.Proto, Family: family},
		{Op: opReuseAddr, Actor: who, Sock: sock, On: want.ReuseAddr == monban.On},
		{Op: opReusePort, Actor: who, Sock: sock, On: want.ReusePort == monban.On},
		{Op: opBind, Actor: who, Sock: sock, Addr: want.Addr, Port: want.Port.Num},
	}
	if want.Port.Proto == monban.TCP {
		steps = append(steps, step{Op: opListen, Actor: who, Sock: sock})
	}
	return steps
}
