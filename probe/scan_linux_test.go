package probe_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe"
)

// pair is a namespace that looks and one that is looked at, with a cable between.
type pair struct{ near, far *netnstest.NS }

func newPair(t *testing.T) pair {
	t.Helper()
	p := pair{netnstest.New(t), netnstest.New(t)}
	netnstest.Connect(p.near, "near", p.far, "far")
	p.near.AddAddr("near", "10.77.0.1/24", "fd77::1/64")
	p.far.AddAddr("far", "10.77.0.2/24", "fd77::2/64")
	return p
}

// listen opens n random TCP ports, for both families.
func (p pair) listen(t *testing.T, n int) (ports []uint16) {
	t.Helper()
	p.far.Do(func() {
		for len(ports) < n {
			port := uint16(1 + rand.IntN(65535))
			l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
			if err != nil {
				continue
			}
			t.Cleanup(func() { l.Close() })
			ports = append(ports, port)
		}
	})
	slices.Sort(ports)
	return ports
}

// rules loads an nftables ruleset into the far side.
func (p pair) rules(t *testing.T, text string) {
	t.Helper()
	p.load(t, p.far, text)
}

func (p pair) load(t *testing.T, ns *netnstest.NS, text string) {
	t.Helper()
	file := t.TempDir() + "/rules.nft"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ns.Run("nft", "-f", file)
}

func all() (ports []uint16) {
	for n := 1; n < 1<<16; n++ {
		ports = append(ports, uint16(n))
	}
	return ports
}

// patience bounds a scan that never ends. It is not a bar on its time: behind a
// limit with a burst of five packets a busy machine's scan takes twice an idle one's.
const patience = 2 * time.Minute

// scan looks from a namespace.
func scan(t *testing.T, ns *netnstest.NS, q probe.Question, targets ...string) *probe.Report {
	t.Helper()
	var prefixes []netip.Prefix
	for _, s := range targets {
		a := netip.MustParseAddr(s)
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	if q.Targets == nil {
		q.Targets, _ = probe.NewTargets(prefixes, nil)
	}
	q.Host.Ephemeral = monban.PortRange{First: 32768, Last: 60999}
	if q.Rate == 0 {
		q.Rate = 250_000
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var r *probe.Report
	ns.Do(func() {
		// Scan opens its sockets on the thread that calls it, which is inside.
		var err error
		if r, err = probe.Scan(ctx, q); err != nil {
			t.Fatal(err)
		}
	})
	if r.Interrupted {
		t.Errorf("not done after %v: %+v", patience, r.Stats)
	}
	t.Logf("%v, %d probes, %d answers, %d passes, missed %.2g, gaps %v", r.Elapsed.Round(time.Millisecond), r.Probes, r.Answers, r.Passes, r.Missed, r.Gaps)
	return r
}

func openPorts(r *probe.Report) (ports []uint16) {
	for s := range r.Sightings(false) {
		ports = append(ports, s.Port.Num)
	}
	return ports
}

func states(r *probe.Report) map[monban.SightState]int {
	out := make(map[monban.SightState]int)
	for s := range r.Sightings(true) {
		out[s.State]++
	}
	return out
}

// TestRecall wants every open door of random sets found: on a clean link, with
// random loss each way, behind limits, and where all but the open doors are
// silent. Where packets are lost by chance, a scan ends when it expects to have
// missed a thousandth of a door: one door is lost in one of some thousand runs, and
// two in one of a million.
func TestRecall(t *testing.T) {
	netnstest.Need(t, "nft")
	loss := func(percent int) string {
		return fmt.Sprintf("numgen random mod 100 < %d drop\n", percent)
	}
	base := func(in, out string) string {
		return "table inet t {\nchain in { type filter hook input priority 0; " + in + "}\nchain out { type filter hook output priority 0; " + out + "}\n}\n"
	}
	for _, tt := range []struct {
		name   string
		engine probe.Engine
		target string
		rules  func(open []uint16) string
		lost   int // by chance, at most
	}{
		{"raw clean", probe.Raw, "10.77.0.2", nil, 0},
		{"raw clean IPv6", probe.Raw, "fd77::2", nil, 0},
		{"raw lossy", probe.Raw, "10.77.0.2", func([]uint16) string { return base(loss(5), loss(5)) }, 1},
		{"raw limited", probe.Raw, "10.77.0.2", func([]uint16) string {
			return base("tcp flags syn limit rate over 20000/second burst 5 packets drop;", "")
		}, 0},
		{"raw silent but open", probe.Raw, "10.77.0.2", func(open []uint16) string {
			return base(loss(5)+"tcp dport { "+list(open)+" } accept; meta l4proto tcp drop;", loss(5))
		}, 1},
		{"connect clean", probe.Connect, "10.77.0.2", nil, 0},
		{"connect lossy", probe.Connect, "fd77::2", func([]uint16) string { return base("meta l4proto tcp "+loss(3), "meta l4proto tcp "+loss(3)) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			want := p.listen(t, 20+rand.IntN(40))
			if tt.rules != nil {
				p.rules(t, tt.rules(want))
			}
			ports := all()
			if tt.engine == probe.Connect {
				ports = ports[:16384]
				want = slices.DeleteFunc(want, func(p uint16) bool { return p > 16384 })
			}
			r := scan(t, p.near, probe.Question{TCP: ports, Engine: tt.engine}, tt.target)
			got := openPorts(r)
			lost := slices.DeleteFunc(slices.Clone(want), func(p uint16) bool { return slices.Contains(got, p) })
			if len(lost) > tt.lost || len(got)+len(lost) != len(want) {
				t.Errorf("open doors %d, want %d: %d are not found", got, want, lost)
			}
			if r.Missed > 0.5 {
				t.Errorf("missed %v", r.Missed)
			}
		})
	}
}

func list(ports []uint16) string {
	s := ""
	for _, p := range ports {
		s += fmt.Sprintf("%d, ", p)
	}
	return s
}

// TestStates tells what a firewall forbids from what is closed, in both engines
// and families.
func TestStates(t *testing.T) {
	netnstest.Need(t, "nft")
	p := newPair(t)
	p.far.Do(func() {
		l, err := net.Listen("tcp", "[::]:7001")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	})
	p.rules(t, `table inet t {
	chain in { type filter hook input priority 0;
		tcp dport 7002 reject; tcp dport 7003 reject with icmpx type admin-prohibited; tcp dport 7004 drop; tcp dport 7005 reject with tcp reset; }
}`)
	p.far.SetSysctl("net.ipv4.icmp_ratelimit", "0")
	p.far.SetSysctl("net.ipv6.icmp.ratelimit", "0")
	want := map[uint16]monban.SightState{7001: monban.SightOpen, 7002: monban.SightFiltered, 7003: monban.SightFiltered, 7004: monban.SightFiltered,
		7005: monban.SightClosed, 7006: monban.SightClosed}
	for _, engine := range []probe.Engine{probe.Raw, probe.Connect} {
		for _, target := range []string{"10.77.0.2", "fd77::2"} {
			r := scan(t, p.near, probe.Question{TCP: []uint16{7001, 7002, 7003, 7004, 7005, 7006}, Engine: engine}, target)
			for s := range r.Sightings(true) {
				if s.State != want[s.Port.Num] {
					t.Errorf("%s %s:%d is %s, want %s", engine, target, s.Port.Num, s.State, want[s.Port.Num])
				}
			}
		}
	}
	// A host that says nothing at all proves nothing.
	p.rules(t, "table inet u {\nchain in { type filter hook input priority -1; meta l4proto tcp drop; }\n}\n")
	r := scan(t, p.near, probe.Question{TCP: []uint16{7001, 7002}, Engine: probe.Raw}, "10.77.0.2")
	if got := states(r); got[monban.SightUnknown] != 2 || len(r.Gaps) == 0 {
		t.Errorf("a silent host: %v, gaps %v", got, r.Gaps)
	}
	// Nobody has the address.
	r = scan(t, p.near, probe.Question{TCP: []uint16{7001, 7002}, Engine: probe.Raw}, "10.77.0.99")
	if got := states(r); got[monban.SightUnknown] != 2 || !slices.ContainsFunc(r.Gaps, func(g monban.Gap) bool { return g.Err == probe.NoNeighbour }) {
		t.Errorf("an absent host: %v, gaps %v", got, r.Gaps)
	}
}

// TestLoopback scans every port of the namespace's own loopback, by both engines.
// The connect engine runs as nobody with few descriptors, with an ephemeral range
// that makes sockets connect to themselves; that must not look open.
func TestLoopback(t *testing.T) {
	if !netnstest.Rerunning() {
		ns := netnstest.New(t)
		var ports []uint16
		ns.Do(func() {
			for range 30 {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { l.Close() })
				ports = append(ports, uint16(l.Addr().(*net.TCPAddr).Port))
			}
		})
		slices.Sort(ports)
		r := scan(t, ns, probe.Question{TCP: all(), Engine: probe.Raw}, "127.0.0.1", "::1")
		if d := cmp.Diff(ports, openPorts(r)); d != "" {
			t.Errorf("raw (-want +got):\n%s", d)
		}
		ns.SetSysctl("net.ipv4.ip_local_port_range", "20000 23000")
		ns.Rerun(t, netnstest.Nobody)
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 128, Max: 128}); err != nil {
		t.Fatal(err)
	}
	before := listening(t)
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, nil)
	for range 2 {
		r, err := probe.Scan(t.Context(), probe.Question{Targets: targets, TCP: all(), Engine: probe.Connect, Rate: 250_000})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, openPorts(r)); d != "" {
			t.Errorf("connect (-want +got):\n%s", d)
		}
	}
}

// listening reads which ports listen, from the kernel's own table.
func listening(t *testing.T) (ports []uint16) {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		var n, addr, port uint32
		var rest string
		if _, err := fmt.Sscanf(line, "%d: %08X:%04X %s 0A", &n, &addr, &port, &rest); err == nil {
			ports = append(ports, uint16(port))
		}
	}
	slices.Sort(ports)
	if len(ports) == 0 {
		t.Fatal("nothing listens")
	}
	return ports
}

// TestForged wants only answers to count that know the question: a stranger on
// the path that answers SYN-ACK to everything with wrong numbers opens nothing.
func TestForged(t *testing.T) {
	p := newPair(t)
	want := p.listen(t, 10)
	stop := make(chan struct{})
	p.near.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer unix.Close(fd)
			for n := uint32(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				b := forged(uint16(1+rand.IntN(65535)), uint16(64512+rand.IntN(1024)), rand.Uint32())
				_ = unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: [4]byte{10, 77, 0, 1}})
				if n%64 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}()
	})
	r := scan(t, p.near, probe.Question{TCP: all(), Engine: probe.Raw}, "10.77.0.2")
	close(stop)
	if d := cmp.Diff(want, openPorts(r)); d != "" {
		t.Errorf("open doors (-want +got):\n%s", d)
	}
}

// forged is a SYN-ACK from the target that acknowledges a guess.
func forged(port, to uint16, ack uint32) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[8], b[9] = 0x45, 40, 64, 6
	copy(b[12:], []byte{10, 77, 0, 2, 10, 77, 0, 1})
	b[20], b[21], b[22], b[23] = byte(port>>8), byte(port), byte(to>>8), byte(to)
	b[28], b[29], b[30], b[31] = byte(ack>>24), byte(ack>>16), byte(ack>>8), byte(ack)
	b[32], b[33] = 0x50, 0x12
	return b
}

// TestResume interrupts a scan again and again, continues it from its state, and
// wants what a scan in one piece sees.
func TestResume(t *testing.T) {
	netnstest.Need(t, "nft")
	p := newPair(t)
	want := p.listen(t, 30)
	p.rules(t, "table inet t {\nchain in { type filter hook input priority 0; tcp dport 1000-20000 numgen random mod 100 < 25 drop; }\n}\n")
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.77.0.2/32")}, nil)
	q := probe.Question{Targets: targets, TCP: all(), Engine: probe.Raw, Rate: 40_000}
	q.Host.Ephemeral = monban.PortRange{First: 32768, Last: 60999}
	var r *probe.Report
	rounds := 0
	p.near.Do(func() {
		for ; rounds < 500; rounds++ { // on an idle machine six
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			var err error
			if r, err = probe.Scan(ctx, q); err != nil {
				t.Fatal(err)
			}
			cancel()
			if !r.Interrupted {
				return
			}
			q.Resume = r.State()
			if !q.Resume.Valid() {
				t.Fatal("its own state is not valid")
			}
		}
	})
	if r.Interrupted || rounds < 2 {
		t.Fatalf("interrupted %v after %d rounds", r.Interrupted, rounds)
	}
	if d := cmp.Diff(want, openPorts(r)); d != "" {
		t.Errorf("open doors (-want +got):\n%s", d)
	}
	// Of the doors that lose a question in four some may stay silent.
	if got := states(r); got[monban.SightOpen] != len(want) || got[monban.SightClosed] < 65535-len(want)-200 || got[monban.SightUnknown] > 0 {
		t.Errorf("states %v", got)
	}
}

// TestUDP asks a DNS-like server that answers, a silent one, and closed doors.
func TestUDP(t *testing.T) {
	p := newPair(t)
	p.far.Do(func() {
		answers, err := net.ListenPacket("udp", "10.77.0.2:53")
		if err != nil {
			t.Fatal(err)
		}
		silent, err := net.ListenPacket("udp", "10.77.0.2:69")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answers.Close(); silent.Close() })
		go func() {
			b := make([]byte, 512)
			for {
				n, from, err := answers.ReadFrom(b)
				if err != nil {
					return
				}
				answers.WriteTo(b[:n], from)
			}
		}()
	})
	r := scan(t, p.near, probe.Question{UDP: []uint16{53, 69, 123}}, "10.77.0.2")
	want := map[uint16]monban.SightState{53: monban.SightOpen, 69: monban.SightUnknown, 123: monban.SightClosed}
	for s := range r.Sightings(true) {
		if s.State != want[s.Port.Num] {
			t.Errorf("%s is %s, want %s", s.Port, s.State, want[s.Port.Num])
		}
	}
}

// TestReplyLimit wants closed doors told from silent services behind a limit for
// ICMP, and the truth where that would take too long.
func TestReplyLimit(t *testing.T) {
	p := newPair(t)
	silent := map[uint16]bool{2003: true, 2017: true}
	p.far.Do(func() {
		for port := range silent {
			c, err := net.ListenPacket("udp", fmt.Sprintf("10.77.0.2:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	})
	p.far.SetSysctl("net.ipv4.icmp_ratelimit", "250") // milliseconds
	var ports []uint16
	for n := range uint16(30) {
		ports = append(ports, 2000+n)
	}
	r := scan(t, p.near, probe.Question{UDP: ports}, "10.77.0.2")
	for s := range r.Sightings(true) {
		want := monban.SightClosed
		if silent[s.Port.Num] {
			want = monban.SightUnknown
		}
		if s.State != want {
			t.Errorf("%s is %s, want %s", s.Port, s.State, want)
		}
	}
	limited := func(g monban.Gap) bool { return g.Err == probe.ReplyLimit }
	if slices.ContainsFunc(r.Gaps, limited) {
		t.Errorf("gaps %v", r.Gaps)
	}
	p.far.SetSysctl("net.ipv4.icmp_ratelimit", "1000")
	r = scan(t, p.near, probe.Question{UDP: all()[:600]}, "10.77.0.2")
	if !slices.ContainsFunc(r.Gaps, limited) || r.Elapsed > patience { // to know them all would take ten minutes
		t.Errorf("600 doors: %v, gaps %v", r.Elapsed, r.Gaps)
	}
}

// TestSweep looks at a network of which some addresses are there.
func TestSweep(t *testing.T) {
	p := newPair(t)
	var there []string
	for i := range 20 {
		a := fmt.Sprintf("10.77.0.%d", 100+i*5)
		there = append(there, a)
		p.far.AddAddr("far", a+"/24")
	}
	p.far.Do(func() {
		for _, a := range there {
			l, err := net.Listen("tcp", a+":8080")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}
	})
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.77.0.96/27"), netip.MustParsePrefix("10.77.0.128/25")}, []netip.Prefix{netip.MustParsePrefix("10.77.0.105/32")})
	r := scan(t, p.near, probe.Question{Targets: targets, TCP: []uint16{22, 80, 8080}, Engine: probe.Raw})
	var got []string
	for s := range r.Sightings(false) {
		got = append(got, s.Target.String())
	}
	slices.SortFunc(got, func(a, b string) int { return netip.MustParseAddr(a).Compare(netip.MustParseAddr(b)) })
	there = slices.DeleteFunc(there, func(a string) bool { return a == "10.77.0.105" })
	if d := cmp.Diff(there, got); d != "" {
		t.Errorf("hosts with the door open (-want +got):\n%s", d)
	}
}

// TestTarPit is told of a host that answers for every door.
func TestTarPit(t *testing.T) {
	netnstest.Need(t, "nft")
	p := newPair(t)
	p.far.Do(func() {
		l, err := net.Listen("tcp", "10.77.0.2:9999")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	})
	p.rules(t, "table ip t {\nchain pre { type nat hook prerouting priority -100; tcp dport 1-65535 redirect to :9999; }\n}\n")
	r := scan(t, p.near, probe.Question{TCP: all()[:2000], Engine: probe.Raw}, "10.77.0.2")
	if !slices.ContainsFunc(r.Gaps, func(g monban.Gap) bool { return g.Err == probe.EverythingAnswers }) {
		t.Errorf("%v; gaps %v", states(r), r.Gaps)
	}
}
