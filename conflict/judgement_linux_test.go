package conflict

import (
	"math/rand/v2"
	"testing"

	"github.com/monban-dev/monban"
)

// TestCanBindAgainstKernel opens random sockets, hides what the kernel does not
// tell about them, asks CanBind for one more, and then tries it. A yes or a no
// must be right; "unknown" must be the answer wherever it could be wrong.
func TestCanBindAgainstKernel(t *testing.T) {
	k := newKernel(t)
	rnd := rand.New(rand.NewPCG(*seedFlag, 2))
	answers := map[monban.Outcome]int{}
	plain := map[monban.Outcome]int{}
	for n := range *setsFlag / 4 {
		g := generator{Rand: rnd, port: 1024 + uint16(n%14000*ports)}
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
	t.Logf("all %v, without options %v", answers, plain)
	for _, o := range []monban.Outcome{monban.OutcomeUnknown, monban.Starts, monban.Fails} {
		if answers[o] < *setsFlag/100 {
			t.Errorf("only %d answers were %v", answers[o], o)
		}
	}
	// A program that sets no options is decided by addresses alone; only
	// whether a [::] takes IPv4 can be hidden.
	if plain[monban.OutcomeUnknown]*20 > *setsFlag/4 {
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
	for _, s := range m.socks {
		if s.port == 0 || s.refs == 0 {
			continue
		}
		d := monban.Door{UID: s.uid, State: monban.Bound, Bind: monban.Bind{
			Port: monban.Port{Num: s.port, Proto: s.proto}, Addr: s.at.addr, Device: names[s.device],
			V6Only: monban.FlagOf(s.at.v6only), ReuseAddr: hide(s.reuseAddr, 3), ReusePort: hide(s.reusePort, 3)}}
		if !s.at.v6 {
			d.Bind.Addr = s.at.addr.Unmap()
		} else if g.IntN(8) == 0 {
			d.Bind.V6Only = monban.FlagUnknown
		}
		if s.state == listening {
			d.State = monban.Listen
		}
		snap.Doors = append(snap.Doors, d)
	}
	return snap
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
