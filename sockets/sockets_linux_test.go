package sockets

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

const protoMPTCP = 262 // IPPROTO_MPTCP

// scene is a set of sockets that a test has opened, and the doors that they
// must make.
type scene struct {
	t     *testing.T
	rng   *rand.Rand
	fds   []int
	doors []monban.Door
}

func newScene(t *testing.T) *scene {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &scene{t: t, rng: rand.New(rand.NewPCG(seed, 0))}
	t.Cleanup(s.close)
	return s
}

func (s *scene) close() {
	for _, fd := range s.fds {
		unix.Close(fd)
	}
	s.fds, s.doors = nil, nil
}

// plan is one socket to open.
type plan struct {
	family, typ, proto int
	addr               netip.AddrPort
	device             string
	v6only             int
	reuse              bool
	listen             bool
	connect            bool // UDP only
}

func (s *scene) random() plan {
	pick := func(list ...string) string { return list[s.rng.IntN(len(list))] }
	chance := func(percent int) bool { return s.rng.IntN(100) < percent }
	p := plan{family: unix.AF_INET, typ: unix.SOCK_STREAM}
	addr := pick("0.0.0.0", "127.0.0.1", "127.9.8.7", "10.9.0.1")
	if chance(60) {
		p.family = unix.AF_INET6
		addr = pick("::", "::", "::1", "fd09::1", "fe80::9%d0", "::ffff:127.0.0.1", "::ffff:10.9.0.1", "::ffff:0.0.0.0")
		if chance(40) && !strings.HasPrefix(addr, "::ffff") {
			p.v6only = 1
		}
	}
	p.addr = netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(20000+s.rng.IntN(40)))
	if chance(30) {
		p.device = pick("d0", "lo")
		if p.addr.Addr().Zone() != "" {
			p.device = "d0"
		}
	}
	p.reuse = chance(50)
	switch s.rng.IntN(4) {
	case 0:
		p.typ = unix.SOCK_DGRAM
		p.connect = chance(30) && p.device == "" && strings.Contains(addr, "127.0.0.1")
	case 1:
		p.proto = protoMPTCP
		p.listen = chance(70)
	default:
		p.listen = chance(70)
	}
	return p
}

// open opens the socket as planned, and notes the door that it must make. It
// returns -1 where the kernel refuses: two plans may want the same place.
func (s *scene) open(p plan) int {
	t := s.t
	t.Helper()
	fd, err := unix.Socket(p.family, p.typ|unix.SOCK_CLOEXEC, p.proto)
	if err != nil {
		t.Fatalf("socket %+v: %v", p, err)
	}
	s.fds = append(s.fds, fd)
	set := func(level, opt, v int) {
		t.Helper()
		if err := unix.SetsockoptInt(fd, level, opt, v); err != nil {
			t.Fatalf("setsockopt %d %d for %+v: %v", level, opt, p, err)
		}
	}
	if p.family == unix.AF_INET6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, p.v6only)
	}
	if p.reuse {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if p.device != "" {
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, p.device); err != nil {
			t.Fatalf("SO_BINDTODEVICE %s: %v", p.device, err)
		}
	}
	if err := unix.Bind(fd, sockaddr(p)); err != nil {
		if err == unix.EADDRINUSE || err == unix.EADDRNOTAVAIL && p.device != "" {
			return -1
		}
		t.Fatalf("bind %+v: %v", p, err)
	}
	if p.listen {
		if err := unix.Listen(fd, 16); err != nil {
			if err != unix.EADDRINUSE {
				t.Fatalf("listen %+v: %v", p, err)
			}
			p.listen = false // it stays bound
		}
	}
	if p.connect {
		if err := unix.Connect(fd, sockaddr(plan{family: p.family, addr: netip.AddrPortFrom(p.addr.Addr(), 9)})); err != nil {
			t.Fatalf("connect %+v: %v", p, err)
		}
		return fd
	}
	s.doors = append(s.doors, p.door(t, fd))
	return fd
}

func sockaddr(p plan) unix.Sockaddr {
	if p.family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(p.addr.Port()), Addr: p.addr.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(p.addr.Port()), Addr: p.addr.Addr().As16()}
	if p.addr.Addr().Zone() != "" {
		sa.ZoneId = interfaceIndex("d0")
	}
	return sa
}

func interfaceIndex(name string) uint32 {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		panic(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		panic(err)
	}
	return ifr.Uint32()
}

// door is what the open socket fd must look like.
func (p plan) door(t *testing.T, fd int) monban.Door {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := p.addr.Port()
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		port = uint16(sa.Port)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	proto, state := monban.TCP, monban.Bound
	if p.typ == unix.SOCK_DGRAM {
		proto = monban.UDP
	}
	if p.listen {
		state = monban.Listen
	}
	device := p.device
	if zone := p.addr.Addr().Zone(); zone != "" {
		device = zone // the kernel binds the socket to the zone's interface
	}
	return monban.Door{
		Bind: monban.Bind{
			Port:   monban.Port{Num: port, Proto: proto},
			Addr:   p.addr.Addr(),
			Device: device,
			V6Only: monban.FlagOf(p.v6only == 1 || p.onlyV6()),
		},
		State:   state,
		UID:     uint32(os.Getuid()),
		Inode:   st.Ino,
		Unnamed: monban.HiddenNotAsked,
	}
}

// onlyV6 reports whether the address alone keeps IPv4 out: binding to one that is
// not mapped turns IPV6_V6ONLY on (inet6_bind).
func (p plan) onlyV6() bool {
	addr := p.addr.Addr()
	return addr.Is6() && !addr.Is4In6() && !addr.IsUnspecified()
}

// texts makes doors comparable, whatever their order.
func texts(doors []monban.Door) []string {
	list := make([]string, len(doors))
	for i, d := range doors {
		list[i] = fmt.Sprintf("%+v", d)
	}
	slices.Sort(list)
	return list
}

// same fails the test unless got and want hold the same, in any order.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if slices.Equal(got, want) {
		return
	}
	count := make(map[string]int)
	for _, s := range want {
		count[s]--
	}
	for _, s := range got {
		count[s]++
	}
	for s, n := range count {
		switch {
		case n < 0:
			t.Errorf("%s: missing %d× %s", what, -n, s)
		case n > 0:
			t.Errorf("%s: too much %d× %s", what, n, s)
		}
	}
}

// onStage runs a test twice, each time in a namespace of its own with the
// interface d0: on a thread as root, and as the process of an ordinary user.
func onStage(t *testing.T, f func(t *testing.T)) {
	if netnstest.Rerunning() {
		f(t)
		return
	}
	newStage(t).Do(func() { f(t) })
	newStage(t).Rerun(t, netnstest.Nobody)
}

func newStage(t *testing.T) *netnstest.NS {
	ns := netnstest.New(t)
	ns.Run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
	ns.Run("ip", "link", "set", "d0", "up")
	ns.AddAddr("d0", "10.9.0.1/24", "fd09::1/64", "fe80::9/64")
	return ns
}

func TestRandomDoors(t *testing.T) {
	onStage(t, func(t *testing.T) {
		s := newScene(t)
		for range 30 {
			for range 1 + s.rng.IntN(60) {
				s.open(s.random())
			}
			checkDoors(t, s)
			if t.Failed() {
				return
			}
			s.close()
		}
	})
}

func checkDoors(t *testing.T, s *scene) {
	t.Helper()
	want := texts(s.doors)
	doors, gaps := Doors(Options{})
	noGaps(t, gaps)
	same(t, "all", texts(doors), want)

	ports := s.ports()
	doors, gaps = Doors(Options{Ports: ports})
	noGaps(t, gaps)
	some := slices.DeleteFunc(slices.Clone(s.doors), func(d monban.Door) bool { return !inAny(ports, d.Bind.Port) })
	same(t, fmt.Sprint("of ", ports), texts(doors), texts(some))
	doors, traffic, gaps := Look(Options{Ports: ports})
	noGaps(t, gaps)
	same(t, fmt.Sprint("at a look, of ", ports), texts(doors), texts(some))
	counted, gaps := Traffic(Options{Ports: ports})
	noGaps(t, gaps)
	if fmt.Sprint(traffic) != fmt.Sprint(counted) {
		t.Errorf("at a look, of %v: traffic %v, want %v", ports, traffic, counted)
	}

	checkProc(t, s)
}

// ports returns random ranges, some overlapping.
func (s *scene) ports() (ports []monban.PortRange) {
	for range 1 + s.rng.IntN(5) {
		first := uint16(19995 + s.rng.IntN(50))
		ports = append(ports, monban.PortRange{First: first, Last: first + uint16(s.rng.IntN(8)),
			Proto: []monban.Proto{monban.AnyProto, monban.TCP, monban.UDP}[s.rng.IntN(3)]})
	}
	return ports
}

func inAny(ports []monban.PortRange, p monban.Port) bool {
	return slices.ContainsFunc(ports, func(r monban.PortRange) bool { return r.Contains(p) })
}

// checkProc compares the fallback: it must tell the same, less what it cannot
// know.
func checkProc(t *testing.T, s *scene) {
	t.Helper()
	q := query{hides: monban.HidesDoors, states: doorStates}
	var list doorList
	var gaps []monban.Gap
	for _, p := range []monban.Proto{monban.TCP, monban.UDP} {
		gaps = append(gaps, q.readProc(p, list.add)...)
	}
	if len(gaps) != 1 || gaps[0].Hides != monban.HidesDoors || gaps[0].Err != errProcNet.Error() {
		t.Errorf("gaps of /proc/net: %+v", gaps)
	}
	var want []monban.Door
	for _, d := range s.doors {
		if d.Bind.Port.Proto == monban.TCP && d.State == monban.Bound {
			continue
		}
		d.Bind.Device = ""
		if d.Bind.Addr.Is6() {
			d.Bind.Addr = d.Bind.Addr.WithZone("")
			d.Bind.V6Only = monban.FlagUnknown
		}
		want = append(want, d)
	}
	same(t, "/proc/net", texts(list.doors()), texts(want))
}
