package probe_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe"
)

// doorAt opens a port in a namespace.
func doorAt(t *testing.T, ns *netnstest.NS, at string) {
	t.Helper()
	ns.Do(func() {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() { // whoever takes none has no room after some thousand
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	})
}

// openDoors are the open doors as addresses with ports.
func openDoors(r *probe.Report) (doors []string) {
	for s := range r.Sightings(false) {
		doors = append(doors, netip.AddrPortFrom(s.Target, s.Port.Num).String())
	}
	slices.Sort(doors)
	return doors
}

// TestZones asks two hosts that have the same link-local address on two links.
func TestZones(t *testing.T) {
	near := netnstest.New(t)
	for i, link := range []string{"left", "right"} {
		far := netnstest.New(t)
		netnstest.Connect(near, link, far, "far")
		near.AddAddr(link, "fe80::1/64")
		far.AddAddr("far", "fe80::77/64")
		doorAt(t, far, fmt.Sprintf("[fe80::77%%far]:%d", 7001+i))
	}
	var zoned []netip.Addr
	for _, zone := range []string{"left", "right"} {
		zoned = append(zoned, netip.MustParseAddr("fe80::77").WithZone(zone))
	}
	targets, _ := probe.NewTargets(nil, nil, zoned...)
	want := []string{"[fe80::77%left]:7001", "[fe80::77%right]:7002"}
	for _, engine := range []probe.Engine{probe.Raw, probe.XDP, probe.Connect} {
		r := scan(t, near, probe.Question{Targets: targets, TCP: []uint16{7000, 7001, 7002}, Engine: engine})
		if d := cmp.Diff(want, openDoors(r)); d != "" {
			t.Errorf("%s (-want +got):\n%s", engine, d)
		}
		if got := states(r); got[monban.SightClosed] != 4 {
			t.Errorf("%s: %v", engine, got)
		}
		again, _ := probe.NewTargets(r.State().Targets, nil, r.State().Zoned...)
		if again.Len() != 2 || !r.State().Valid() {
			t.Errorf("%s: a saved scan has %d targets", engine, again.Len())
		}
	}
}

// tun makes a tunnel device in a namespace and returns the other end of it.
func tun(t *testing.T, ns *netnstest.NS) *os.File {
	t.Helper()
	var end *os.File
	ns.Do(func() {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		request, err := unix.NewIfreq("tun0")
		if err != nil {
			t.Fatal(err)
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			t.Fatal(err)
		}
		end = os.NewFile(uintptr(fd), "tun0")
	})
	t.Cleanup(func() { end.Close() })
	return end
}

// TestTunnel looks at the other end of a tunnel, and at a network behind it: a
// link whose neighbours have no addresses to find out.
func TestTunnel(t *testing.T) {
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		netnstest.Skip(t, "%v", err)
	}
	p := pair{netnstest.New(t), netnstest.New(t)}
	a, b := tun(t, p.near), tun(t, p.far)
	p.near.AddAddr("tun0", "10.79.0.1/32", "fd79::1/64")
	p.far.AddAddr("tun0", "10.79.0.2/32", "fd79::2/64")
	p.near.Run("ip", "link", "set", "tun0", "up")
	p.far.Run("ip", "link", "set", "tun0", "up")
	// What is read before it is up fails.
	for _, way := range [][2]*os.File{{a, b}, {b, a}} {
		go func() {
			packet := make([]byte, 2000)
			for {
				n, err := way[0].Read(packet)
				if err != nil {
					return
				}
				if _, err := way[1].Write(packet[:n]); err != nil {
					return
				}
			}
		}()
	}
	p.near.Run("ip", "route", "add", "10.79.0.2", "dev", "tun0")
	p.near.Run("ip", "route", "add", "10.80.0.0/20", "dev", "tun0")
	p.far.Run("ip", "route", "add", "10.79.0.1", "dev", "tun0")
	p.far.Run("ip", "route", "add", "local", "10.80.7.0/24", "dev", "lo")
	want := p.listen(t, 100)
	for _, target := range []string{"10.79.0.2", "fd79::2"} {
		ports := all()[:8000]
		want := slices.DeleteFunc(slices.Clone(want), func(p uint16) bool { return p > 8000 })
		r := scan(t, p.near, probe.Question{TCP: ports, Engine: probe.Raw, Rate: 40_000}, target)
		if d := cmp.Diff(want, openPorts(r), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", target, d)
		}
	}
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.80.0.0/20")}, nil)
	r := scan(t, p.near, probe.Question{Targets: targets, TCP: want[:1], Engine: probe.Raw, Rate: 40_000})
	if got := openDoors(r); len(got) != 256 || !strings.HasPrefix(got[0], "10.80.7.") {
		t.Errorf("%d hosts behind the tunnel answer, want 256", len(got))
	}
}

// TestGateways looks at one network by two gateways: a route of its own for a half
// of it, and a rule that leads a part of the other half elsewhere.
func TestGateways(t *testing.T) {
	near := netnstest.New(t)
	var far []*netnstest.NS
	for i := range 3 {
		ns := netnstest.New(t)
		link := fmt.Sprintf("gw%d", i)
		netnstest.Connect(near, link, ns, "far")
		near.AddAddr(link, fmt.Sprintf("10.81.%d.1/24", i))
		ns.AddAddr("far", fmt.Sprintf("10.81.%d.2/24", i))
		ns.Run("ip", "route", "add", "local", "10.90.0.0/24", "dev", "lo")
		ns.Run("ip", "route", "add", "default", "via", fmt.Sprintf("10.81.%d.1", i))
		doorAt(t, ns, fmt.Sprintf("0.0.0.0:%d", 7000+i))
		far = append(far, ns)
	}
	near.Run("ip", "route", "add", "10.90.0.0/24", "via", "10.81.0.2")
	near.Run("ip", "route", "add", "10.90.0.128/25", "via", "10.81.1.2")
	near.Run("ip", "route", "add", "default", "via", "10.81.2.2", "table", "90")
	near.Run("ip", "rule", "add", "to", "10.90.0.16/28", "lookup", "90")
	var want []string
	for i := range 256 {
		gateway := 0
		switch {
		case i >= 128:
			gateway = 1
		case i >= 16 && i < 32:
			gateway = 2
		}
		want = append(want, fmt.Sprintf("10.90.0.%d:%d", i, 7000+gateway))
	}
	slices.Sort(want)
	targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix("10.90.0.0/24")}, nil)
	q := probe.Question{Targets: targets, TCP: []uint16{7000, 7001, 7002}, Engine: probe.Raw}
	q.Host.PolicyRouting = monban.On
	for _, dst := range []string{"10.90.0.0/24", "10.90.0.128/25"} {
		q.Host.Routes = append(q.Host.Routes, monban.Route{Dst: netip.MustParsePrefix(dst)})
	}
	r := scan(t, near, q)
	if d := cmp.Diff(want, openDoors(r)); d != "" {
		t.Errorf("%d gateways (-want +got):\n%s", len(far), d)
	}
}

// TestOwnNetwork looks at prefixes all of whose addresses are this machine's own:
// each answers itself, from its own address, and they go one way together.
func TestOwnNetwork(t *testing.T) {
	ns := netnstest.New(t)
	ns.Run("ip", "route", "add", "local", "10.66.0.0/20", "dev", "lo")
	ns.Run("ip", "route", "add", "local", "fd66::/116", "dev", "lo")
	ns.Run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind") // a local route is not enough for IPv6
	doorAt(t, ns, "[::]:7001")
	doorAt(t, ns, "10.66.3.4:7002")
	doorAt(t, ns, "[fd66::304]:7002")
	for _, prefix := range []string{"10.66.0.0/20", "fd66::/116"} {
		targets, _ := probe.NewTargets([]netip.Prefix{netip.MustParsePrefix(prefix)}, nil)
		for _, engine := range []probe.Engine{probe.Raw, probe.Connect} {
			r := scan(t, ns, probe.Question{Targets: targets, TCP: []uint16{7000, 7001, 7002}, Engine: engine})
			if got, want := len(openDoors(r)), 4096+1; got != want {
				t.Errorf("%s by %s: %d open doors, want %d", prefix, engine, got, want)
			}
			if got, want := states(r)[monban.SightClosed], 3*4096-4097; got != want {
				t.Errorf("%s by %s: %d closed doors, want %d", prefix, engine, got, want)
			}
		}
	}
}

// TestStaleNeighbour looks at a host that has got another card, as the system does not
// know yet: what its table says was right some time ago.
func TestStaleNeighbour(t *testing.T) {
	p := newPair(t)
	want := p.listen(t, 20)
	p.near.SetSysctl("net.ipv4.neigh.near.locktime", "0") // an entry is not changed within a second otherwise
	for _, target := range []string{"10.77.0.2", "fd77::2"} {
		p.near.Run("ip", "neighbour", "replace", target, "lladdr", "02:00:00:00:00:99", "dev", "near", "nud", "stale")
		r := scan(t, p.near, probe.Question{TCP: want, Engine: probe.Raw}, target)
		if d := cmp.Diff(want, openPorts(r)); d != "" {
			t.Errorf("%s (-want +got):\n%s", target, d)
		}
		// One set by hand is not asked for.
		p.near.Run("ip", "neighbour", "replace", target, "lladdr", "02:00:00:00:00:99", "dev", "near", "nud", "permanent")
		r = scan(t, p.near, probe.Question{TCP: want[:1], Engine: probe.Raw}, target)
		if got := openPorts(r); len(got) > 0 {
			t.Errorf("%s: open by a neighbour that is not there: %v", target, got)
		}
	}
}
