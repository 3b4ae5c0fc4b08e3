package conflict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

// wantBind reads "tcp 0.0.0.0:80".
func wantBind(t *testing.T, s string) monban.Bind {
	t.Helper()
	d := door(t, s)
	d.Bind.V6Only = monban.FlagUnknown
	return d.Bind
}

// TestCanBindCause checks that each situation gets its own cause, the errno that
// the kernel gives, and a first fix that does no harm.
func TestCanBindCause(t *testing.T) {
	root := func(s *monban.Snapshot) {
		s.Host.UID, s.Host.Caps.BindService, s.Host.Caps.NetRaw = 0, monban.On, monban.On
	}
	gap := func(hides monban.Subject) func(*monban.Snapshot) {
		return func(s *monban.Snapshot) { s.Gaps = append(s.Gaps, monban.Gap{Source: "x", Err: "no", Hides: hides}) }
	}
	traffic := func(established, timeWait int, local string) func(*monban.Snapshot) {
		return func(s *monban.Snapshot) {
			s.Traffic = []monban.Traffic{{Port: monban.Port{Num: s.TrafficOf[0].First, Proto: s.TrafficOf[0].Proto}, Established: established, TimeWait: timeWait,
				Locals: []netip.Addr{netip.MustParseAddr(local)}}}
		}
	}
	holds := func(doors ...monban.Door) func(*monban.Snapshot) {
		return func(s *monban.Snapshot) { s.Doors = append(s.Doors, doors...) }
	}
	forwarded := func(d *monban.Door) { d.State = monban.Forwarded }
	bound := func(d *monban.Door) { d.State = monban.Bound }
	own := func(d *monban.Door) { d.Owners[0].UID, d.Owners[0].TTY = 1000, true }
	elsewhere := door(t, "tcp 0.0.0.0:9 discard 99") // shows that other ports were looked at too
	for _, c := range []struct {
		name string
		want string
		with []func(*monban.Snapshot)
		say  string // "outcome errno cause reason", then the codes of the fixes
	}{
		{"free", "tcp 0.0.0.0:8080", nil, "ok - - -"},
		{"port 0 is any free port", "tcp 0.0.0.0:0", nil, "ok - - -"},
		{"taken", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7"))),
			"fails EADDRINUSE L1 - other-port stop-program"},
		{"taken by the user's own program", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7", own))),
			"fails EADDRINUSE L1 - stop-program other-port"},
		{"taken by a unit", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 nginx 7", unit("nginx.service")))),
			"fails EADDRINUSE L1 - other-port stop-unit"},
		{"one address of all", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 127.0.0.1:8080 node 7"))),
			"fails EADDRINUSE L2 - other-address other-port stop-program"},
		{"all of one address", "tcp 127.0.0.1:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7"))),
			"fails EADDRINUSE L2 - other-port stop-program"},
		{"another address", "tcp 127.0.0.1:8080", one(holds(door(t, "tcp 192.0.2.1:8080 node 7"))), "ok - - -"},
		{"[::] takes IPv4", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp [::]:8080 node 7", dual))),
			"fails EADDRINUSE L3 - v6only other-port stop-program"},
		{"0.0.0.0 is in the way of [::]", "tcp [::]:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7"))),
			"fails EADDRINUSE L3 - v6only other-port stop-program"},
		{"[::] without IPv4", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp [::]:8080 node 7", v6only))), "ok - - -"},
		{"[::], who knows", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp [::]:8080 node 7", hiddenV6Only))),
			"unknown - - options"},
		{"Java's IPv4", "tcp 127.0.0.1:8080", one(holds(door(t, "tcp [::ffff:127.0.0.1]:8080 java 7", dual))),
			"fails EADDRINUSE L1 - other-port stop-program"},
		{"Java's IPv4, and every IPv4 address", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp [::ffff:127.0.0.1]:8080 java 7", dual))),
			"fails EADDRINUSE L2 - other-address other-port stop-program"},
		{"one IPv4 address is in the way of [::]", "tcp [::]:8080", one(holds(door(t, "tcp 127.0.0.1:8080 node 7"))),
			"fails EADDRINUSE L3 - v6only other-port stop-program"},
		{"the other loopback", "tcp 127.0.0.1:8080", one(holds(door(t, "tcp [::1]:8080 node 7"))),
			"ok - L4 - explicit-address other-port"},
		{"mDNS", "udp 0.0.0.0:5353", one(holds(door(t, "udp 0.0.0.0:5353 avahi-daemon 7", unit("avahi-daemon.service")))),
			"fails EADDRINUSE L1 - other-port stop-unit"},
		{"only TIME_WAIT", "tcp 0.0.0.0:8080", one(traffic(0, 3, "192.0.2.1")),
			"fails EADDRINUSE L7 - reuse-addr wait other-port"},
		{"TIME_WAIT at another address", "tcp 127.0.0.1:8080", one(traffic(0, 3, "192.0.2.1")), "ok - - -"},
		{"TIME_WAIT over IPv6", "tcp 0.0.0.0:8080", one(traffic(0, 3, "2001:db8::1")), "unknown - - options"},
		{"lent to an outgoing connection", "tcp 0.0.0.0:40000", one(traffic(1, 0, "192.0.2.1")),
			"fails EADDRINUSE L8 - other-port reserve-port"},
		{"connections outlive their listener", "tcp 0.0.0.0:8080", one(traffic(1, 0, "192.0.2.1")),
			"fails EADDRINUSE L26 - other-port"},
		{"a connection beside TIME_WAIT", "tcp 0.0.0.0:8080", one(traffic(1, 5, "192.0.2.1")),
			"fails EADDRINUSE L26 - other-port"},
		{"a connected UDP socket", "udp 0.0.0.0:5060", one(traffic(1, 0, "192.0.2.1")),
			"fails EADDRINUSE L26 - other-port"},
		{"a UDP socket that was lent its port", "udp 0.0.0.0:40000", one(traffic(1, 0, "192.0.2.1")),
			"fails EADDRINUSE L8 - other-port reserve-port"},
		{"TIME_WAIT among the ephemeral ports", "tcp 0.0.0.0:40000", one(traffic(0, 1, "192.0.2.1")),
			"fails EADDRINUSE L7 - reuse-addr wait other-port"},
		{"the listener is to blame, not its connections", "tcp 0.0.0.0:8080",
			[]func(*monban.Snapshot){traffic(1, 0, "192.0.2.1"), holds(door(t, "tcp 0.0.0.0:8080 node 7"))},
			"fails EADDRINUSE L1 - other-port stop-program"},
		{"bound, not listening", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7", bound))),
			"fails EADDRINUSE L9 - other-port stop-program"},
		{"privileged", "tcp 0.0.0.0:80", nil, "fails EACCES L10 - other-port ambient-capability setcap unprivileged-start"},
		{"privileged and taken", "tcp 0.0.0.0:80", one(holds(door(t, "tcp 0.0.0.0:80 nginx 7"))),
			"fails EACCES L10 - other-port ambient-capability setcap unprivileged-start"},
		{"privileged, for root", "tcp 0.0.0.0:80", one(root), "ok - - -"},
		{"privileged and not here, IPv4", "tcp 203.0.113.9:80", nil,
			"fails EADDRNOTAVAIL L13 - listen-everywhere wait-address nonlocal-bind"},
		{"privileged and not here, IPv6", "tcp [2001:db8::9]:80", nil,
			"fails EACCES L10 - other-port ambient-capability setcap unprivileged-start"},
		{"not here", "tcp 203.0.113.9:8080", nil, "fails EADDRNOTAVAIL L13 - listen-everywhere wait-address nonlocal-bind"},
		{"not here, addresses unknown", "tcp 203.0.113.9:8080", one(func(s *monban.Snapshot) { s.Host.Interfaces = nil }),
			"unknown - - host"},
		{"IPv6 off in the kernel", "tcp [::]:8080", one(func(s *monban.Snapshot) {
			s.Host.IPv6, s.Host.BindV6Only = monban.Off, monban.FlagUnknown
		}), "fails EAFNOSUPPORT L14 - use-ipv4"},
		{"IPv6 off on the interfaces", "tcp [2001:db8::7]:8080", one(func(s *monban.Snapshot) { s.Host.IPv6 = monban.Off }),
			"fails EADDRNOTAVAIL L14 - use-ipv4 enable-ipv6"},
		{"IPv6 off on the interfaces, [::]", "tcp [::]:8080", one(func(s *monban.Snapshot) { s.Host.IPv6 = monban.Off }), "ok - - -"},
		{"IPv6 off on the interfaces, loopback", "tcp [::1]:8080", one(func(s *monban.Snapshot) {
			s.Host.IPv6, s.Host.Interfaces[0].Addrs = monban.Off, prefixes("127.0.0.1/8")
		}), "fails EADDRNOTAVAIL L14 - use-ipv4 enable-ipv6"},
		{"lo is down", "tcp 127.0.0.1:8080", one(func(s *monban.Snapshot) {
			s.Host.Interfaces[0].Addrs, s.Host.Interfaces[0].Up = nil, false
		}), "fails EADDRNOTAVAIL L13 - loopback-up"},
		{"lo is down, IPv6", "tcp [::1]:8080", one(func(s *monban.Snapshot) {
			s.Host.Interfaces[0].Addrs, s.Host.Interfaces[0].Up = nil, false
		}), "fails EADDRNOTAVAIL L13 - loopback-up"},
		{"lo without IPv6", "tcp [::1]:8080", one(func(s *monban.Snapshot) {
			s.Host.Interfaces[0].Addrs = prefixes("127.0.0.1/8")
		}), "fails EADDRNOTAVAIL L13 - use-ipv4 enable-ipv6"},
		{"link-local without interface", "tcp [fe80::1]:8080", nil, "fails EINVAL L13 - add-scope"},
		{"socket unit", "tcp 0.0.0.0:2222", one(holds(door(t, "tcp [::]:2222 systemd 1", dual, unit("podman.socket")))),
			"fails EADDRINUSE L15 - other-port stop-socket"},
		{"the way in is not stopped", "tcp 0.0.0.0:22", []func(*monban.Snapshot){root,
			holds(door(t, "tcp [::]:22 systemd 1", dual, unit("ssh.socket")))}, "fails EADDRINUSE L15 - other-port"},
		{"sshd is not stopped", "tcp 0.0.0.0:22", []func(*monban.Snapshot){root,
			holds(door(t, "tcp 0.0.0.0:22 sshd 7", unit("ssh.service")))}, "fails EADDRINUSE L1 - other-port"},
		{"left over", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7", orphan))),
			"fails EADDRINUSE L17 - stop-program other-port"},
		{"the kernel's", "tcp 0.0.0.0:2049", one(holds(door(t, "tcp 0.0.0.0:2049", kernelOwned("nfsd")))),
			"fails EADDRINUSE L18 - other-port stop-kernel-feature"},
		{"somebody else's", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080", hidden(monban.HiddenPrivilege)))),
			"fails EADDRINUSE L19 - other-port look-as-root"},
		{"container", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 docker-proxy 7", to(80, "c1")))),
			"fails EADDRINUSE D1 - other-port stop-container"},
		{"Compose service", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 docker-proxy 7", to(80, "c2")))),
			"fails EADDRINUSE D1 - other-port stop-compose"},
		{"forwarder without a container", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 docker-proxy 7"))),
			"fails EADDRINUSE D3 - restart-engine other-port"},
		{"forwarder, engine not asked", "tcp 0.0.0.0:8080", []func(*monban.Snapshot){gap(monban.HidesContainers),
			holds(door(t, "tcp 0.0.0.0:8080 docker-proxy 7"))}, "fails EADDRINUSE D1 - other-port look-as-root"},
		{"published by translation alone", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080", forwarded, to(80, "c1")))),
			"ok - D8 - other-port stop-container"},
		{"a redirect", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080", forwarded, to(80, "")))), "ok - L24 - other-port"},
		{"kubectl port-forward", "tcp 127.0.0.1:8080", one(holds(door(t, "tcp 127.0.0.1:8080 kubectl 7"))),
			"fails EADDRINUSE D13 - close-forward other-port"},
		{"the stub resolver", "udp 0.0.0.0:53", []func(*monban.Snapshot){root, holds(door(t, "udp 127.0.0.53:53 systemd-resolved 7"))},
			"fails EADDRINUSE L2 - other-address other-port stub-listener-off"},
		{"doors unseen", "tcp 0.0.0.0:8080", one(gap(monban.HidesDoors)), "unknown - - doors"},
		{"doors unseen, but one is enough", "tcp 0.0.0.0:8080", []func(*monban.Snapshot){gap(monban.HidesDoors),
			holds(door(t, "tcp 0.0.0.0:8080 node 7"))}, "fails EADDRINUSE L1 - other-port stop-program"},
		{"connections uncounted", "tcp 0.0.0.0:8080", one(func(s *monban.Snapshot) { s.TrafficOf = nil }), "unknown - - traffic"},
		{"another namespace's door", "tcp 0.0.0.0:8080", one(holds(door(t, "tcp 0.0.0.0:8080 node 7",
			func(d *monban.Door) { d.Bind.NetNS = "net:[7]" }))), "ok - L20 -"},
		{"not Linux", "tcp 0.0.0.0:8080", one(func(s *monban.Snapshot) { s.Host.OS = "plan9" }), "unknown - - system"},
		{"SCTP", "sctp 0.0.0.0:8080", nil, "unknown - - system"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := wantBind(t, c.want)
			snap := &monban.Snapshot{Host: testHost(), Containers: testContainers(), Doors: []monban.Door{elsewhere},
				TrafficOf: []monban.PortRange{{First: want.Port.Num, Last: want.Port.Num, Proto: want.Port.Proto}}}
			for _, f := range c.with {
				f(snap)
			}
			j := CanBind(want, snap)
			if got := judgementText(j); got != c.say {
				t.Errorf("got  %s\nwant %s", got, c.say)
			}
			for _, f := range j.Fix {
				if f.Code == FixOtherPort && f.Args[1] == "" {
					t.Error("no free port was found")
				}
			}
		})
	}
}

func one(f func(*monban.Snapshot)) []func(*monban.Snapshot) { return []func(*monban.Snapshot){f} }

func dual(d *monban.Door)         { d.Bind.V6Only = monban.Off }
func hiddenV6Only(d *monban.Door) { d.Bind.V6Only = monban.FlagUnknown }

func judgementText(j monban.Judgement) string {
	or := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	words := []string{j.Outcome.String(), or(j.Errno), or(j.Cause), or(j.Reason)}
	for _, f := range j.Fix {
		words = append(words, f.Code)
	}
	return strings.Join(words, " ")
}

// TestOtherPortNeedsAView: a view of one port says nothing about the others, so
// no other number is offered from it.
func TestOtherPortNeedsAView(t *testing.T) {
	want := wantBind(t, "tcp 0.0.0.0:80")
	snap := &monban.Snapshot{Host: testHost(), Doors: []monban.Door{door(t, "tcp 0.0.0.0:80 nginx 7")}}
	if f := otherPort(want, &snap.Host, portsOf(snap)); f.Args[1] != "" {
		t.Errorf("offered %s from a view of port 80", f.Args[1])
	}
	snap.Doors = append(snap.Doors, door(t, "tcp 127.0.0.1:22 sshd 8"))
	if f := otherPort(want, &snap.Host, portsOf(snap)); f.Args[1] != "8080" {
		t.Errorf("offered %q, not 8080", f.Args[1])
	}
	snap.Doors = append(snap.Doors, door(t, "tcp [::1]:8080 node 9"))
	if f := otherPort(want, &snap.Host, portsOf(snap)); f.Args[1] == "8080" || f.Args[1] == "" {
		t.Errorf("offered %q, which is taken or nothing", f.Args[1])
	}
}

// TestOtherPortKnowsPublishedPorts: a port that an engine has published is no
// free one, although no socket says so, and it is no view of other ports.
func TestOtherPortKnowsPublishedPorts(t *testing.T) {
	want := wantBind(t, "tcp 0.0.0.0:80")
	published := func(nums ...uint16) (out []monban.Published) {
		for _, n := range nums {
			out = append(out, monban.Published{Host: monban.Bind{Port: monban.Port{Num: n, Proto: monban.TCP}, Addr: netip.IPv4Unspecified()}, Target: 80})
		}
		return out
	}
	snap := &monban.Snapshot{Host: testHost(), Doors: []monban.Door{door(t, "tcp 0.0.0.0:80 nginx 7")},
		Containers: []monban.Container{{ID: "a", Published: published(8080, 8081)}}}
	if f := otherPort(want, &snap.Host, portsOf(snap)); f.Args[1] != "" {
		t.Errorf("offered %s from a view of port 80", f.Args[1])
	}
	snap.Doors = append(snap.Doors, door(t, "tcp 127.0.0.1:22 sshd 8"))
	if f := otherPort(want, &snap.Host, portsOf(snap)); f.Args[1] == "8080" || f.Args[1] == "8081" || f.Args[1] == "" {
		t.Errorf("offered %q, which a container has, or nothing", f.Args[1])
	}
	if f := Predict([]monban.Claim{{Name: "web", Bind: want, Listen: true}}, snap)[0].Judgement.Fix; len(f) == 0 || slices.ContainsFunc(f, func(f monban.Fix) bool {
		return slices.Contains(f.Args, "8080") || slices.Contains(f.Args, "8081")
	}) {
		t.Errorf("offered %+v", f)
	}
}

// BenchmarkCanBind is one prediction among 1,000 open sockets.
func BenchmarkCanBind(b *testing.B) {
	snap := &monban.Snapshot{Host: testHost()}
	for i := range 1000 {
		snap.Doors = append(snap.Doors, monban.Door{State: monban.Listen, Inode: uint64(i + 1), Bind: monban.Bind{
			Addr: netip.IPv4Unspecified(), Port: monban.Port{Num: uint16(2000 + i), Proto: monban.TCP}}})
	}
	for _, num := range []uint16{2500, 80, 1999} {
		b.Run(fmt.Sprint(num), func(b *testing.B) {
			want := monban.Bind{Addr: netip.IPv4Unspecified(), Port: monban.Port{Num: num, Proto: monban.TCP}}
			snap.TrafficOf = []monban.PortRange{{First: num, Last: num}}
			for b.Loop() {
				CanBind(want, snap)
			}
		})
	}
}

// BenchmarkLinuxBind is the model's share of it: one bind and listen beside
// 1,000 sockets of which ten are on the same port.
func BenchmarkLinuxBind(b *testing.B) {
	host := testHost()
	l := NewLinux(Net{Interfaces: host.Interfaces, Unprivileged: 1024})
	p := &Process{UID: 1000}
	open := func(addr string, port uint16) *Socket {
		s, _ := l.Socket(p, monban.TCP, IPv4)
		s.SetFreebind(true)
		if err := l.Bind(p, s, netip.MustParseAddr(addr), port); err != NoError {
			b.Fatal(err)
		}
		l.Listen(s)
		return s
	}
	for i := range 990 {
		open("0.0.0.0", uint16(2000+i))
	}
	for i := range 10 {
		open(fmt.Sprintf("127.0.0.%d", i+1), 8080)
	}
	for b.Loop() {
		s := open("127.0.0.77", 8080)
		l.Close(p, s)
	}
}
