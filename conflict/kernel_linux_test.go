package conflict

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

var setsFlag = flag.Int("sets", 20000, "how many random sets to compare with the kernel")

// sets is how many sets to try: a tenth with -short.
func sets() int {
	if testing.Short() {
		return *setsFlag / 10
	}
	return *setsFlag
}

// TestLinuxAgainstKernel performs random sets in a network namespace of its own
// and compares every outcome with the model.
func TestLinuxAgainstKernel(t *testing.T) {
	k := newKernel(t)
	rnd := rand.New(rand.NewPCG(*seedFlag, 0))
	seen := map[string]int{}
	start := time.Now()
	for n := range sets() {
		g := generator{Rand: rnd, port: 1024 + uint16(n%14000*ports)}
		s := g.set()
		want := s.runModel(k.net)
		got := k.run(s)
		if !slices.Equal(got, want) {
			t.Fatalf("set %d of seed %d:\n%s", n, *seedFlag, k.explain(s))
		}
		count(seen, s, got)
	}
	t.Logf("%d sets in %v\n%s", sets(), time.Since(start).Round(time.Millisecond), table(seen))
	k.mustHaveSeen(seen, "bind ok", "bind EADDRINUSE", "bind EACCES", "bind EADDRNOTAVAIL", "bind EINVAL",
		"bind EAFNOSUPPORT", "bind ENODEV", "listen ok", "listen EADDRINUSE", "listen EOPNOTSUPP",
		"IPV6_V6ONLY EINVAL", "IPV6_V6ONLY ENOPROTOOPT", "SO_BINDTODEVICE EPERM", "SO_BINDTODEVICE ENODEV")
}

// TestLinuxTrafficAgainstKernel does the same with connections: accepted ones,
// ones in TIME_WAIT, and outgoing ones that were lent the port. A connection in
// TIME_WAIT keeps its port for a minute, so every set has ports of its own.
func TestLinuxTrafficAgainstKernel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(*seedFlag, 1))
	seen := map[string]int{}
	const each = 10000
	for done := 0; done < sets()/5; done += each {
		k := newKernel(t)
		for n := range min(each, sets()/5-done) {
			g := generator{Rand: rnd, port: 33000 + uint16(n*ports), traffic: true}
			s := g.set()
			want := s.runModel(k.net)
			got := k.run(s)
			if !slices.Equal(got, want) {
				t.Fatalf("set %d of seed %d:\n%s", done+n, *seedFlag, k.explain(s))
			}
			count(seen, s, got)
		}
	}
	t.Logf("%s", table(seen))
	newKernel(t).mustHaveSeen(seen, "accept ok", "time-wait ok", "lend ok", "bind EADDRINUSE", "listen EADDRINUSE")
}

func count(seen map[string]int, s set, got []Errno) {
	for i, st := range s.steps {
		err := got[i]
		if err == NoError {
			err = "ok"
		}
		seen[opNames[st.Op]+" "+string(err)]++
	}
}

func table(seen map[string]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range seen {
			if !yield(name) {
				return
			}
		}
	}) {
		fmt.Fprintf(&b, "%8d %s\n", seen[name], name)
	}
	return b.String()
}

// kernel performs sets on the real kernel. Each actor is a thread with its own
// credentials, which the kernel keeps by thread: what it compares is the file
// system uid at socket(2) and the capabilities at bind(2).
type kernel struct {
	t      *testing.T
	net    Net
	actors map[actor]chan func()
	spare  uint16 // ports from here down are free for trying a failed set again
	server [2]int // sockets that outgoing connections go to, IPv4 and IPv6
}

// newKernel makes a network namespace and the actors in it.
func newKernel(t *testing.T) *kernel {
	t.Helper()
	ns := netnstest.New(t)
	for _, line := range []string{
		"link add va type veth peer name vb",
		"addr add 10.9.0.1/24 dev lo",
		"addr add 192.0.2.1/24 broadcast 192.0.2.255 dev va",
		"addr add 198.51.100.1/32 dev vb",
		"link set va addrgenmode none", "link set vb addrgenmode none",
		"link set va up", "link set vb up",
		"-6 addr add 2001:db8::1/64 dev va nodad",
		"-6 addr add 2001:db8:1::1/64 dev vb nodad",
		"-6 addr add fe80::a/64 dev va nodad",
		"-6 addr add fe80::b/64 dev vb nodad",
	} {
		ns.Run("ip", strings.Fields(line)...)
	}
	k := &kernel{t: t, spare: 60900, actors: map[actor]chan func(){}}
	for _, a := range []actor{{UID: 0, BindService: true, NetRaw: true}, {UID: 1000}, {UID: 1000, BindService: true},
		{UID: 1000, NetRaw: true}, {UID: 1001}, {UID: 0}} {
		k.start(ns, a)
	}
	k.on(actor{UID: 0, BindService: true, NetRaw: true}, func() {
		k.net = readNet(t)
		// The sockets of the sets are lent what is outside of the sets' ports
		// (lentFirst), which has to lie in the range of the namespace.
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("30000 60999"), 0); err != nil {
			t.Error(err)
		}
		for i, family := range []Family{IPv4, IPv6} {
			k.server[i] = serve(t, family)
		}
	})
	t.Cleanup(func() {
		for _, fd := range k.server {
			unix.Close(fd)
		}
	})
	return k
}

// start runs an actor in the namespace until the test ends.
func (k *kernel) start(ns *netnstest.NS, a actor) {
	calls, ready := make(chan func()), make(chan error)
	k.actors[a] = calls
	go ns.Do(func() {
		err := become(a)
		ready <- err
		for f := range calls {
			f()
		}
	})
	if err := <-ready; err != nil {
		k.t.Fatalf("becoming %v: %v", a, err)
	}
	k.t.Cleanup(func() { close(calls) })
}

// become changes the credentials of this thread alone.
func become(a actor) error {
	runtime.LockOSThread()
	if _, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); e != 0 {
		return e
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(a.UID), uintptr(a.UID), uintptr(a.UID)); e != 0 {
		return e
	}
	var caps uint32
	if a.BindService {
		caps |= 1 << unix.CAP_NET_BIND_SERVICE
	}
	if a.NetRaw {
		caps |= 1 << unix.CAP_NET_RAW
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: caps, Permitted: caps}}
	return unix.Capset(&hdr, &data[0])
}

// on runs f as an actor.
func (k *kernel) on(a actor, f func()) {
	done := make(chan struct{})
	k.actors[a] <- func() { f(); close(done) }
	<-done
}

// readNet reads the namespace of this thread.
func readNet(t *testing.T) Net {
	n := Net{Unprivileged: 1024}
	ifcs, err := net.Interfaces()
	if err != nil {
		t.Error(err)
	}
	for _, ifc := range ifcs {
		i := monban.Interface{Index: ifc.Index, Name: ifc.Name, Up: ifc.Flags&net.FlagUp != 0,
			Loopback: ifc.Flags&net.FlagLoopback != 0}
		addrs, err := ifc.Addrs()
		if err != nil {
			t.Error(err)
		}
		for _, a := range addrs {
			i.Addrs = append(i.Addrs, netip.MustParsePrefix(a.String()))
		}
		n.Interfaces = append(n.Interfaces, i)
	}
	return n
}

func serve(t *testing.T, family Family) int {
	domain, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: serverPort})
	if family == IPv6 {
		domain, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: serverPort}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil && family == IPv6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		err = unix.Listen(fd, 4096)
	}
	if err != nil {
		t.Errorf("server for outgoing connections: %v", err)
	}
	return fd
}

// kernelRun is a set on the kernel. The model runs beside it only to know which
// steps are skipped.
type kernelRun struct {
	k     *kernel
	fds   map[handle]int
	peers []int // the far ends of connections
}

// handle is one process's descriptor of one socket.
type handle struct{ actor, sock int }

func (k *kernel) run(s set) []Errno { return k.runThen(s, func() {}) }

// runThen performs a set and calls then while its sockets are still there.
func (k *kernel) runThen(s set, then func()) []Errno {
	r := kernelRun{k: k, fds: map[handle]int{}}
	m := s.newModelRun(k.net)
	out := make([]Errno, len(s.steps))
	for i, st := range s.steps {
		var to netip.Addr
		if sock := m.socks[st.Sock]; sock != nil {
			to, _ = reachable(sock)
		}
		if m.step(st) == skipped {
			out[i] = skipped
			continue
		}
		k.on(s.actors[st.Actor], func() { out[i] = errno(r.step(st, to, m)) })
	}
	then()
	r.closeAll()
	return out
}

func (r *kernelRun) closeAll() {
	for _, fd := range r.fds {
		reset(fd)
	}
	for _, fd := range r.peers {
		reset(fd)
	}
	clear(r.fds)
}

// reset closes a socket without leaving a TIME_WAIT behind.
func reset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

func errno(err error) Errno {
	if err == nil {
		return NoError
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return EOPNOTSUPP // the same number as ENOTSUP
	}
	var number unix.Errno
	if errors.As(err, &number) {
		return Errno(unix.ErrnoName(number))
	}
	return Errno(err.Error())
}

func (r *kernelRun) step(st step, to netip.Addr, m modelRun) error {
	h := handle{st.Actor, st.Sock}
	fd := r.fds[h]
	switch st.Op {
	case opSocket:
		fd, err := open(st)
		if err == nil {
			r.fds[h] = fd
		}
		return err
	case opReuseAddr:
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, toInt(st.On))
	case opReusePort:
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, toInt(st.On))
	case opV6Only:
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, toInt(st.On))
	case opFreebind:
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, toInt(st.On))
	case opDevice:
		return unix.BindToDevice(fd, st.Device)
	case opBind:
		return bind(fd, netip.AddrPortFrom(st.Addr, st.Port), r.k.net)
	case opListen:
		if err := unix.Listen(fd, 16); err != nil || !m.socks[st.Sock].auto {
			return err
		}
		return lentOutside(fd)
	case opInherit:
		for other, fd := range r.fds {
			if other.sock == st.Sock {
				fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
				r.fds[h] = fd
				return err
			}
		}
		return fmt.Errorf("nobody holds s%d", st.Sock)
	case opAccept:
		return r.accept(st, to)
	case opTimeWait:
		return r.timeWait(h)
	case opLend:
		return lend(fd, st)
	case opClose:
		delete(r.fds, h)
		reset(fd)
	case opExit:
		for other, fd := range r.fds {
			if other.actor == st.Actor {
				delete(r.fds, other)
				reset(fd)
			}
		}
	}
	return nil
}
