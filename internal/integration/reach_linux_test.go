package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/netlink"
	"github.com/monban-dev/monban/internal/netnstest"
)

// A range is two machines and a container, joined by cables: a server with doors
// and a ruleset, a client that sends from any address there is, and a namespace
// that the server translates to. What exposure computes about the server is
// compared with what the client's packets meet.
type shootingRange struct {
	t                         testing.TB
	server, client, container *netnstest.NS
	devices                   []string // of the server
	addrs                     []netip.Addr
	doors                     []monban.Door
	listeners                 []listener
	rng                       *rand.Rand
	tally                     tally
	// exact is the only source there is, where it is valid.
	exact netip.Addr
	// volleys counts how often was fired, and used are the ends that was fired from:
	// what arrives late must not be taken for what is fired later.
	volleys uint32
	used    map[string]bool
	// What is told when the test fails, whatever it fails at.
	replay, loading string
}

// listener is one of the server's sockets, or the container's.
type listener struct {
	fd   int
	door monban.Bind
}

type tally struct{ rulesets, probes, in, unknown, conditional int }

const (
	serverV4a, serverV4b = "10.1.0.1", "10.2.0.1"
	serverV6a, serverV6b = "2001:db8:1::1", "2001:db8:2::1"
	containerV4          = "172.17.0.2"
	containerV6          = "2001:db8:17::2"
)

func newShootingRange(t testing.TB, seed uint64) *shootingRange {
	t.Helper()
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root: it makes namespaces and loads rules")
	}
	netnstest.Need(t, "nft")
	r := &shootingRange{t: t, server: netnstest.New(t), client: netnstest.New(t), container: netnstest.New(t),
		devices: []string{"eth0", "eth1"}, used: map[string]bool{}, rng: rand.New(rand.NewPCG(seed, 5))}
	r.replay = fmt.Sprintf("seed %d", seed)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("after %+v; to have it again: %s\nthe rules in force:\n%s", r.tally, r.replay, r.loading)
		}
	})
	netnstest.Connect(r.server, "eth0", r.client, "c0")
	netnstest.Connect(r.server, "eth1", r.client, "c1")
	netnstest.Connect(r.server, "docker0", r.container, "eth0")
	r.server.AddAddr("eth0", serverV4a+"/30", serverV6a+"/126")
	r.server.AddAddr("eth1", serverV4b+"/30", serverV6b+"/126")
	r.server.AddAddr("docker0", "172.17.0.1/16", "2001:db8:17::1/64")
	r.client.AddAddr("c0", "10.1.0.2/30", "2001:db8:1::2/126")
	r.client.AddAddr("c1", "10.2.0.2/30", "2001:db8:2::2/126")
	r.container.AddAddr("eth0", containerV4+"/16", containerV6+"/64")
	for _, a := range [...]string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		r.server.SetSysctl(a, "1")
	}
	r.server.Run("ip", "route", "add", "default", "via", "10.1.0.2")
	r.server.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::2")
	r.container.Run("ip", "route", "add", "default", "via", "172.17.0.1")
	r.container.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:17::1")
	// Whatever comes to the client is for it: it has every address.
	for family, all := range map[string]string{"-4": "default", "-6": "2000::/3"} {
		r.client.Run("ip", family, "route", "add", "local", all, "dev", "lo", "table", "100")
		for _, dev := range [...]string{"c0", "c1"} {
			r.client.Run("ip", family, "rule", "add", "iif", dev, "lookup", "100")
		}
	}
	// The addresses of the other side, by the cable that is asked for.
	for i, dev := range [...]string{"c0", "c1"} {
		via4, via6 := []string{serverV4a, serverV4b}[i], []string{serverV6a, serverV6b}[i]
		table := fmt.Sprint(101 + i)
		r.client.Run("ip", "route", "add", "default", "via", via4, "dev", dev, "table", table)
		r.client.Run("ip", "-6", "route", "add", "default", "via", via6, "dev", dev, "table", table)
		for _, family := range [...]string{"-4", "-6"} {
			r.client.Run("ip", family, "rule", "add", "fwmark", fmt.Sprint(1+i), "lookup", table)
		}
	}
	// Rules may drop what neighbours ask each other, so nobody has to ask.
	for _, l := range [...]struct {
		a, b         *netnstest.NS
		aDev, bDev   string
		aAddr, bAddr []string
	}{
		{r.server, r.client, "eth0", "c0", []string{serverV4a, serverV6a}, []string{"10.1.0.2", "2001:db8:1::2"}},
		{r.server, r.client, "eth1", "c1", []string{serverV4b, serverV6b}, []string{"10.2.0.2", "2001:db8:2::2"}},
		{r.server, r.container, "docker0", "eth0", []string{"172.17.0.1", "2001:db8:17::1"}, []string{containerV4, containerV6}},
	} {
		neighbours(l.a, l.aDev, l.b, l.bDev, l.bAddr)
		neighbours(l.b, l.bDev, l.a, l.aDev, l.aAddr)
	}
	for _, a := range [...]string{serverV4a, serverV4b, serverV6a, serverV6b} {
		r.addrs = append(r.addrs, netip.MustParseAddr(a))
	}
	return r
}

// neighbours tells ns the hardware address of the other end of a cable.
func neighbours(ns *netnstest.NS, dev string, other *netnstest.NS, otherDev string, addrs []string) {
	var mac string
	other.Do(func() {
		if i, err := net.InterfaceByName(otherDev); err == nil {
			mac = i.HardwareAddr.String()
		}
	})
	for _, a := range addrs {
		ns.Run("ip", "neighbour", "replace", a, "lladdr", mac, "dev", dev, "nud", "permanent")
	}
}

// open opens a door of the server, or of the container.
func (r *shootingRange) open(ns *netnstest.NS, proto monban.Proto, addr string, port uint16) {
	r.t.Helper()
	a := netip.MustParseAddr(addr)
	b := monban.Bind{Port: monban.Port{Num: port, Proto: proto}, Addr: a, V6Only: monban.FlagOf(a.Is6())}
	var fd int
	ns.Do(func() { fd = r.socket(proto, a) })
	// Not for clients: two of one address might get one port, and be one to whom
	// they knock at.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(a, port))); err != nil {
		r.t.Fatal(err)
	}
	if proto == monban.TCP {
		if err := unix.Listen(fd, 4096); err != nil {
			r.t.Fatal(err)
		}
	}
	r.t.Cleanup(func() { unix.Close(fd) })
	r.listeners = append(r.listeners, listener{fd, b})
	if ns == r.server {
		state := monban.Listen
		if proto == monban.UDP {
			state = monban.Bound
		}
		r.doors = append(r.doors, monban.Door{Bind: b, State: state})
	}
}

func (r *shootingRange) socket(proto monban.Proto, a netip.Addr) int {
	r.t.Helper()
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	if a.Is6() {
		family = unix.AF_INET6
	}
	if proto == monban.UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if a.Is6() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	return fd
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// nft loads a ruleset in place of the one there is.
func (r *shootingRange) nft(text string) error {
	r.loading = text
	cmd := r.server.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader("flush ruleset\n" + text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// snapshot looks at the server.
func (r *shootingRange) snapshot() *monban.Snapshot {
	r.t.Helper()
	s := &monban.Snapshot{Doors: r.doors}
	r.server.Do(func() {
		var gaps []monban.Gap
		s.Host, gaps = host.Read(host.Network)
		s.Gaps = append(s.Gaps, gaps...)
		s.Rules, gaps = firewall.Read(firewall.Options{})
		s.Gaps = append(s.Gaps, gaps...)
		s.Filters, gaps = firewall.Filters(s.Host.Interfaces, s.Doors)
		s.Gaps = append(s.Gaps, gaps...)
	})
	s.Gaps = slices.DeleteFunc(s.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesOutside })
	if len(s.Gaps) > 0 {
		r.t.Fatalf("gaps: %v", s.Gaps)
	}
	return s
}

// probe is one packet and what became of it.
type probe struct {
	proto  monban.Proto
	device int
	src    netip.Addr
	dst    netip.AddrPort
	local  netip.AddrPort // the client's end
	fd     int
	// hit is the door that it came in by, if any, and at the address of it that it
	// was for by then.
	hit monban.Bind
	at  netip.Addr
}

func (p *probe) String() string {
	return fmt.Sprintf("%s from %s by eth%d to %s", p.proto, p.src, p.device, p.dst)
}

// fire sends the probes and finds out where they arrive, which it gives them at
// least the given time for.
func (r *shootingRange) fire(probes []*probe, wait time.Duration) {
	r.t.Helper()
	r.forget()
	byEnd := map[string]*probe{}
	end := func(proto monban.Proto, a netip.AddrPort) string { return proto.String() + a.String() }
	r.client.Do(func() {
		for _, p := range probes {
			for range 100 {
				r.aim(p)
				if !r.used[end(p.proto, p.local)] {
					break
				}
				defer unix.Close(p.fd) // when there is another one
			}
			r.used[end(p.proto, p.local)] = true
			byEnd[end(p.proto, p.local)] = p
		}
	})
	for i, p := range probes {
		var err error
		if p.proto == monban.UDP {
			err = unix.Sendto(p.fd, binary.BigEndian.AppendUint32(nil, r.volleys<<16|uint32(i)), 0, sockaddr(p.dst))
		} else {
			unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			err = unix.Connect(p.fd, sockaddr(p.dst))
		}
		// A rejection may come back at once.
		expected := []error{nil, unix.EINPROGRESS, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.EPERM, unix.EACCES}
		if !slices.ContainsFunc(expected, func(e error) bool { return errors.Is(err, e) }) {
			r.t.Fatalf("%s: %v", p, err)
		}
	}
	deadline := time.Now().Add(wait)
	for {
		got := r.collect(func(proto monban.Proto, from netip.AddrPort, number uint32, door monban.Bind, at netip.Addr) {
			p := byEnd[end(proto, from)]
			if proto == monban.UDP { // its source may be translated
				if p = nil; number>>16 == r.volleys && int(number&0xffff) < len(probes) {
					p = probes[number&0xffff]
				}
			}
			if p != nil {
				p.hit, p.at = door, at
			}
		})
		if got == 0 && time.Now().After(deadline) {
			break
		}
		if got == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	for _, p := range probes {
		unix.Close(p.fd)
	}
}

// aim gives a probe a socket of the client's.
func (r *shootingRange) aim(p *probe) {
	r.t.Helper()
	p.fd = r.socket(p.proto, p.src)
	level, transparent := unix.SOL_IP, unix.IP_TRANSPARENT
	if p.src.Is6() {
		level, transparent = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	err := errors.Join(
		unix.SetsockoptInt(p.fd, level, transparent, 1),
		// By a mark and not by the device: answers may come by the other.
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_MARK, 1+p.device),
		unix.Bind(p.fd, sockaddr(netip.AddrPortFrom(p.src, 0))))
	if err != nil {
		r.t.Fatalf("%s: %v", p, err)
	}
	sa, _ := unix.Getsockname(p.fd)
	p.local = addrPort(sa)
}

// forget has every namespace forget its connections: an old one with the ends of a
// new one would decide that one's fate.
func (r *shootingRange) forget() {
	r.t.Helper()
	r.volleys = (r.volleys + 1) & 0xffff
	const deleteConnections, acknowledge = 1<<8 | 2, 4 // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE; NLM_F_ACK
	for _, ns := range [...]*netnstest.NS{r.server, r.client, r.container} {
		ns.Do(func() {
			c, err := netlink.Dial(unix.NETLINK_NETFILTER)
			if err != nil {
				r.t.Fatal(err)
			}
			defer c.Close()
			if err := c.Send(append(netlink.AppendHeader(nil, deleteConnections, netlink.Request|acknowledge, 1, 4), 0, 0, 0, 0)); err != nil {
				r.t.Fatal(err)
			}
			b, err := c.Receive()
			if err == nil {
				_, err = netlink.Answers(b, 1, func(uint16, []byte) error { return nil })
			}
			if err != nil {
				r.t.Fatalf("forgetting connections: %v", err)
			}
		})
	}
}

// collect takes what has arrived at every listener.
func (r *shootingRange) collect(f func(monban.Proto, netip.AddrPort, uint32, monban.Bind, netip.Addr)) (n int) {
	var buf [16]byte
	for _, l := range r.listeners {
		for {
			if l.door.Port.Proto == monban.UDP {
				n, from, err := unix.Recvfrom(l.fd, buf[:], 0)
				if err != nil {
					break
				}
				if n >= 4 {
					f(monban.UDP, addrPort(from), binary.BigEndian.Uint32(buf[:]), l.door, l.door.Addr)
				}
			} else {
				fd, from, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
				if err != nil {
					break
				}
				at, _ := unix.Getsockname(fd)
				unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
				unix.Close(fd)
				f(monban.TCP, addrPort(from), 0, l.door, addrPort(at).Addr())
			}
			n++
		}
	}
	return n
}

// answer is what was computed for one source.
type computed uint8

const (
	saysClosed computed = iota
	saysOpen
	saysConditional
	saysUnknown
)

func (c computed) String() string {
	return [...]string{"closed", "open", "conditional", "unknown"}[c]
}

// lookFor finds what reach says about a source.
func lookFor(reach []monban.Reach, device string, src netip.Addr) (computed, *monban.Reach) {
	answer, from := saysClosed, (*monban.Reach)(nil)
	for i := range reach {
		e := &reach[i]
		if e.Device != device || e.Family != monban.FamilyOf(src) {
			continue
		}
		if from == nil {
			from = e
		}
		if e.Verdict == monban.VerdictClosed || len(e.Sources) > 0 && !slices.ContainsFunc(e.Sources, func(a monban.AddrRange) bool { return a.Contains(src) }) {
			continue
		}
		switch {
		case e.Verdict == monban.VerdictUnknown:
			answer = saysUnknown
		case len(e.Conditions) > 0:
			answer = saysConditional
		default:
			answer = saysOpen
		}
		from = e
	}
	return answer, from
}

// elsewhere reports whether who sent a probe gets to a door by another address or port
// of the machine: a redirection leads to the first address of the interface, wherever
// the packet was sent, and rules about the way back may let it pass at one of them
// only. Then the door is open to him, as computed.
func (r *shootingRange) elsewhere(p *probe, d *monban.Door, ports []monban.Port) bool {
	if d.State == monban.Forwarded {
		return false
	}
	var others []*probe
	for _, addr := range r.addrs {
		for _, port := range ports {
			if addr.Is4() == p.src.Is4() && port.Proto == p.proto {
				others = append(others, &probe{proto: p.proto, device: p.device, src: p.src, dst: netip.AddrPortFrom(addr, port.Num)})
			}
		}
	}
	r.fire(others, time.Second)
	return slices.ContainsFunc(others, func(o *probe) bool {
		return o.hit.Port == d.Bind.Port && o.at == d.Bind.Addr && !r.inContainer(o.hit)
	})
}

// check fires n probes from the given and other sources and compares.
func (r *shootingRange) check(name, text string, sources []netip.Addr, ports []monban.Port, n int) {
	r.t.Helper()
	r.loading = text
	snap := r.snapshot()
	probes := make([]*probe, n)
	// The doors at one address each, of which the real ones are made up.
	var doors []monban.Door
	index := map[string]int{}
	for i := range probes {
		dst := r.addrs[r.rng.IntN(len(r.addrs))]
		for r.exact.IsValid() && r.exact.Is4() != dst.Is4() {
			dst = r.addrs[r.rng.IntN(len(r.addrs))]
		}
		port := ports[r.rng.IntN(len(ports))]
		p := &probe{proto: port.Proto, device: r.rng.IntN(2), src: r.source(sources, dst), dst: netip.AddrPortFrom(dst, port.Num)}
		probes[i] = p
		key := port.String() + dst.String()
		if _, ok := index[key]; !ok {
			index[key] = len(doors)
			doors = append(doors, r.doorAt(port, dst))
		}
	}
	snap.Doors = slices.Concat(doors, r.doors)
	reach := exposure.Judge(snap)
	r.fire(probes, 12*time.Millisecond)
	var again []*probe
	verdict := func(p *probe) (computed, *monban.Reach) {
		return lookFor(reach[index[monban.Port{Num: p.dst.Port(), Proto: p.proto}.String()+p.dst.Addr().String()]], r.devices[p.device], p.src)
	}
	for _, p := range probes {
		// Silence may be a slow machine: ask again before it counts.
		if v, _ := verdict(p); v == saysOpen && p.hit.Port.Num == 0 {
			again = append(again, p)
		}
	}
	// The queue of a processor is shared with all other tests, and what does not fit
	// is dropped without a word to anybody here: so it is asked until it gets in.
	for try, end := 1, time.Now().Add(patient); len(again) > 0 && (try <= 6 || time.Now().Before(end)); try++ {
		r.fire(again, time.Duration(min(30*try*try, 1000))*time.Millisecond)
		again = slices.DeleteFunc(again, func(p *probe) bool { return p.hit.Port.Num != 0 })
	}
	r.tally.rulesets++
	for _, p := range probes {
		r.tally.probes++
		v, from := verdict(p)
		in := p.hit.Port.Num != 0
		if d := &doors[index[monban.Port{Num: p.dst.Port(), Proto: p.proto}.String()+p.dst.Addr().String()]]; d.State != monban.Forwarded {
			// It has to be this very door.
			in = in && p.hit.Port == d.Bind.Port && p.at == d.Bind.Addr && !r.inContainer(p.hit)
		}
		if in {
			r.tally.in++
		}
		switch {
		case v == saysUnknown:
			if r.tally.unknown++; r.tally.unknown < 5 {
				r.t.Logf("unknown: %s: %s %v %v", p, from.Rule, from.Why, from.Conditions)
			}
		case v == saysConditional:
			r.tally.conditional++
		case in != (v == saysOpen):
			if !in && r.elsewhere(p, &doors[index[monban.Port{Num: p.dst.Port(), Proto: p.proto}.String()+p.dst.Addr().String()]], ports) {
				continue
			}
			rule := ""
			if from != nil {
				rule = fmt.Sprintf("%s %v sources %v: %s", from.Why, from.Verdict, from.Sources, from.Rule)
			}
			r.t.Errorf("%s: %s: computed %s, and it got in: %v (%v)\n%s", name, p, v, in, p.hit, rule)
			if now := r.snapshot(); now.Rules.Generation != snap.Rules.Generation {
				r.t.Logf("the rules are not those that were judged any more: generation %d, now %d\n%s", snap.Rules.Generation, now.Rules.Generation,
					r.server.Run("nft", "list", "ruleset"))
			}
			r.t.Logf("what the kernel counted at the server:\n%s\nand at the client:\n%s\nand dropped for want of room, on each processor:\n%s",
				losses(r.server), losses(r.client), backlog())
			return
		}
		// The real door answers at every address: it cannot be closed to
		// whoever got in at one.
		if !in {
			continue
		}
		for i := range r.doors {
			if r.doors[i].Bind != p.hit {
				continue
			}
			if v, _ := lookFor(reach[len(doors)+i], r.devices[p.device], p.src); v == saysClosed && p.hit.Port.Num == p.dst.Port() {
				r.t.Errorf("%s: %s got in, and the door %v is computed closed", name, p, p.hit)
				return
			}
		}
	}
}

// backlog is /proc/net/softnet_stat, whose second number is how many packets a
// processor's queue had no room for.
func backlog() string {
	text, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// losses are the kernel's counters, besides zeroes, of packets that it did not want.
func losses(ns *netnstest.NS) string {
	var b strings.Builder
	ns.Do(func() {
		for _, name := range [...]string{"snmp", "netstat"} {
			text, _ := os.ReadFile("/proc/thread-self/net/" + name)
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			for i := 0; i+1 < len(lines); i += 2 {
				names, numbers := strings.Fields(lines[i]), strings.Fields(lines[i+1])
				for k := 1; k < len(names) && k < len(numbers); k++ {
					if numbers[k] != "0" && numbers[k] != "-1" {
						fmt.Fprintf(&b, "%s%s=%s ", names[0], names[k], numbers[k])
					}
				}
			}
		}
		for _, name := range [...]string{"snmp6", "stat/nf_conntrack", "softnet_stat"} {
			text, _ := os.ReadFile("/proc/thread-self/net/" + name)
			for line := range strings.Lines(string(text)) {
				if f := strings.Fields(line); name != "snmp6" || len(f) == 2 && f[1] != "0" {
					b.WriteString(strings.Join(f, " ") + "; ")
				}
			}
		}
	})
	return b.String()
}

func (r *shootingRange) inContainer(b monban.Bind) bool {
	return b.Addr == netip.MustParseAddr(containerV4) || b.Addr == netip.MustParseAddr(containerV6)
}

// doorAt returns the door on a port at one address, or where nobody listens there
// one that a rule may lead on from.
func (r *shootingRange) doorAt(port monban.Port, a netip.Addr) monban.Door {
	for _, d := range r.doors {
		if d.Bind.Port == port && (d.Bind.Addr == a || d.Bind.Addr.IsUnspecified() && d.Bind.Addr.Is4() == a.Is4()) {
			d.Bind.Addr = a
			return d
		}
	}
	return monban.Door{State: monban.Forwarded, Bind: monban.Bind{Port: port, Addr: a, V6Only: monban.FlagOf(a.Is6())}}
}

// source picks a source of dst's family: one that a rule may tell apart, or any.
func (r *shootingRange) source(sources []netip.Addr, dst netip.Addr) netip.Addr {
	if r.exact.IsValid() {
		return r.exact
	}
	for {
		var a netip.Addr
		if len(sources) > 0 && r.rng.IntN(4) > 0 {
			a = sources[r.rng.IntN(len(sources))]
			switch r.rng.IntN(4) {
			case 0:
				a = a.Next()
			case 1:
				a = a.Prev()
			}
		} else {
			a = r.anyAddr(dst.Is4())
		}
		if a.Is4() == dst.Is4() && r.usable(a) {
			return a
		}
	}
}

func (r *shootingRange) anyAddr(v4 bool) netip.Addr {
	if v4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], r.rng.Uint32())
		return netip.AddrFrom4(b)
	}
	b := netip.MustParseAddr("2001:db8:99::").As16()
	switch r.rng.IntN(4) {
	case 0:
		binary.BigEndian.PutUint64(b[:], 1<<61+r.rng.Uint64N(1<<61)) // of 2000::/3
	case 1:
		binary.BigEndian.PutUint64(b[:], 1<<61+r.rng.Uint64N(1<<48+0xdb8<<32)) // below all that rules and routes name
	}
	binary.BigEndian.PutUint64(b[8:], r.rng.Uint64())
	return netip.AddrFrom16(b)
}

// usable reports whether a client can have the address: not the server's, not one
// of a network that the server has a cable to, and one that may be a source.
func (r *shootingRange) usable(a netip.Addr) bool {
	if !a.IsValid() || !a.IsGlobalUnicast() || a.Is4() && a.As4()[0] == 0 || a.Is4() && a.As4()[0] >= 240 {
		return false
	}
	for _, p := range [...]string{"10.1.0.0/30", "10.2.0.0/30", "172.17.0.0/16", "2001:db8:1::/126", "2001:db8:2::/126", "2001:db8:17::/64"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return true
}
