package conflict

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// TestPredictAgainstKernel predicts random claims files and then opens what they
// ask for in their order, each claim by a process of its own user. With nothing
// else open there is no unknown, and no outcome, stage or errno may differ.
func TestPredictAgainstKernel(t *testing.T) {
	k := newKernel(t)
	rnd := rand.New(rand.NewPCG(*seedFlag, 3))
	seen := map[string]int{}
	for n := range sets() / 2 {
		g := generator{Rand: rnd, port: 1024 + uint16(n%9000*ports)}
		claims := g.claims(2 + g.IntN(7))
		if g.IntN(20) == 0 {
			claims = g.claims(12 + g.IntN(8)) // enough for the long chains of UDP
		}
		got := Predict(claims, machine(k.net))
		want := k.open(claims)
		for i := range claims {
			said := verdict(got[i].Judgement)
			seen[said]++
			if said != want[i] {
				t.Fatalf("set %d of seed %d, claim %d: predicted %s, the kernel says %s\n%s", n, *seedFlag, i, said, want[i],
					table2(claims, got, want))
			}
			if got[i].Judgement.Errno == string(EADDRINUSE) && (len(got[i].Rivals) == 0 || got[i].Judgement.Cause == "" || len(got[i].Judgement.Fix) == 0) {
				t.Fatalf("claim %d fails and nobody is blamed\n%s", i, table2(claims, got, want))
			}
		}
	}
	t.Log("\n" + table(seen))
	k.mustHaveSeen(seen, "ok", "fails bind EADDRINUSE", "fails bind EACCES", "fails bind EADDRNOTAVAIL", "fails bind ENODEV",
		"fails bind EINVAL", "fails listen EOPNOTSUPP")
}

// TestPredictBesideLiveSockets does the same where a random set of sockets is
// open already, whose options are mostly hidden and whose history always is. What
// is said for certain has to be true; the rest is unknown.
func TestPredictBesideLiveSockets(t *testing.T) {
	var k *kernel
	rnd := rand.New(rand.NewPCG(*seedFlag, 4))
	seen := map[string]int{}
	const each = 10000 // connections in TIME_WAIT keep their ports
	for n := range sets() / 4 {
		if n%each == 0 {
			k = newKernel(t)
		}
		g := generator{Rand: rnd, port: 33000 + uint16(n%each*ports), traffic: n%3 == 0}
		s := g.set()
		m := s.newModelRun(k.net)
		for _, st := range s.steps {
			m.step(st)
		}
		snap := g.snapshot(m, actor{UID: 0, BindService: true, NetRaw: true}, k.net)
		snap.TrafficOf = machine(k.net).TrafficOf
		claims := g.claims(1 + g.IntN(5))
		got := Predict(claims, snap)
		var want []string
		k.runThen(s, func() { want = k.open(claims) })
		for i := range claims {
			said := verdict(got[i].Judgement)
			seen[said]++
			if said != "unknown" && said != want[i] {
				t.Fatalf("set %d of seed %d, claim %d: predicted %s, the kernel says %s\n%s\ndoors %+v\n%v", n, *seedFlag, i, said, want[i],
					table2(claims, got, want), snap.Doors, s.steps)
			}
		}
	}
	t.Log("\n" + table(seen))
	k.mustHaveSeen(seen, "ok", "unknown", "fails bind EADDRINUSE")
	if all := seen["ok"] + seen["unknown"] + seen["fails bind EADDRINUSE"]; seen["unknown"]*3 > all {
		t.Errorf("%d of %d are unknown", seen["unknown"], all)
	}
}

func verdict(j monban.Judgement) string {
	return strings.TrimSpace(strings.Join(append([]string{j.Outcome.String()}, strings.Fields(j.Stage+" "+j.Errno)...), " "))
}

func table2(claims []monban.Claim, got []monban.Checked, want []string) string {
	var b strings.Builder
	for i, c := range claims {
		fmt.Fprintf(&b, "%d %+v listen %v uid %d: predicted %s (%s), kernel %s\n", i, c.Bind, c.Listen, c.UID, verdict(got[i].Judgement),
			got[i].Judgement.Reason, want[i])
	}
	return b.String()
}

// claims makes a random claims file. Most claims meet another.
func (g generator) claims(n int) []monban.Claim {
	reuse, devices := g.IntN(4), g.IntN(4) == 0
	odds := func(n int) bool { return g.IntN(n) == 0 }
	udp := odds(3)
	out := make([]monban.Claim, n)
	for i := range out {
		c := monban.Claim{Name: fmt.Sprint("c", i), By: "claims", UID: []int{0, 0, 1000, 1001}[g.IntN(4)], Listen: true,
			Pos: monban.Pos{File: "claims.yaml", Line: 3 + i},
			Bind: monban.Bind{Port: monban.Port{Num: g.aport(), Proto: monban.TCP}, Addr: g.addr(), V6Only: monban.Off,
				ReuseAddr: monban.FlagOf(reuse&1 != 0 && odds(2) || odds(8)),
				ReusePort: monban.FlagOf(reuse&2 != 0 && odds(2) || odds(8))}}
		if udp != odds(8) {
			c.Bind.Port.Proto, c.Listen = monban.UDP, odds(30)
		} else if odds(6) {
			c.Listen = false
		}
		if c.Bind.Addr.Is6() {
			c.Bind.V6Only = monban.FlagOf(odds(3))
		}
		if devices && odds(2) {
			c.Bind.Device = g.device()
		}
		out[i] = c
	}
	return out
}

// open opens the claims in their order; a claim that fails is closed again.
func (k *kernel) open(claims []monban.Claim) []string {
	var fds []int
	out := make([]string, len(claims))
	for i, c := range claims {
		a := actor{UID: uint32(c.UID)}
		if c.UID == 0 {
			a = actor{UID: 0, BindService: true, NetRaw: true}
		}
		k.on(a, func() {
			fd, stage, err := openClaim(c, k.net)
			if fd >= 0 && err != nil {
				unix.Close(fd)
			} else if fd >= 0 {
				fds = append(fds, fd)
			}
			out[i] = "ok"
			if err != nil {
				out[i] = fmt.Sprintf("fails %s %s", stage, errno(err))
			}
		})
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return out
}

func openClaim(c monban.Claim, n Net) (fd int, stage string, err error) {
	st := step{Family: IPv6, Proto: c.Bind.Port.Proto}
	if c.Bind.Addr.Is4() {
		st.Family = IPv4
	}
	if fd, err = open(st); err != nil {
		return -1, StageBind, err
	}
	set := func(level, name int, flag monban.Flag) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, name, toInt(flag == monban.On))
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, c.Bind.ReuseAddr)
	set(unix.SOL_SOCKET, unix.SO_REUSEPORT, c.Bind.ReusePort)
	if st.Family == IPv6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, c.Bind.V6Only)
	}
	if err == nil && c.Bind.Device != "" {
		err = unix.BindToDevice(fd, c.Bind.Device)
	}
	if err == nil {
		err = bind(fd, netip.AddrPortFrom(c.Bind.Addr, c.Bind.Port.Num), n)
	}
	if err != nil || !c.Listen {
		return fd, StageBind, err
	}
	return fd, StageListen, unix.Listen(fd, 16)
}

// TestPredictIsOnePrediction checks that a claim's outcome does not depend on the
// claims after it.
func TestPredictIsOnePrediction(t *testing.T) {
	rnd := rand.New(rand.NewPCG(*seedFlag, 5))
	n := Net{Interfaces: []monban.Interface{{Index: 1, Name: "lo", Up: true, Loopback: true,
		Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}}}, Unprivileged: 1024}
	for range 300 {
		g := generator{Rand: rnd, port: 5000}
		claims := g.claims(6)
		whole := Predict(claims, machine(n))
		for i := range claims {
			part := Predict(claims[:i+1], machine(n))[i]
			if verdict(part.Judgement) != verdict(whole[i].Judgement) || !slices.Equal(part.Rivals, whole[i].Rivals) {
				t.Fatalf("claim %d: %s alone, %s in the whole", i, verdict(part.Judgement), verdict(whole[i].Judgement))
			}
		}
	}
}
