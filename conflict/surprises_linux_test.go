package conflict

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// TestSurprises runs the rules that people do not expect, each by itself, on the
// model and on the kernel. The last step of each is the surprise.
func TestSurprises(t *testing.T) {
	k := newKernel(t)
	for i, c := range []struct {
		name  string
		steps []step
		last  Errno
	}{
		{"two sockets with SO_REUSEADDR bind, the second to listen fails", join(
			tcp(0, "127.0.0.1", opReuseAddr), tcp(1, "127.0.0.1", opReuseAddr),
			listen(0), listen(1)), EADDRINUSE},
		{"SO_REUSEADDR does not help against a listener", join(
			tcp(0, "0.0.0.0", opReuseAddr), listen(0), tcp(1, "0.0.0.0", opReuseAddr)), EADDRINUSE},
		{"SO_REUSEPORT turned off after bind still lets the next one in", join(
			tcp(0, "127.0.0.1", opReusePort), []step{{Op: opReusePort, Sock: 0}}, tcp(1, "127.0.0.1", opReusePort)), NoError},
		{"SO_REUSEADDR turned off after bind does not (it did before 6.8)", join(
			tcp(0, "127.0.0.1", opReuseAddr), []step{{Op: opReuseAddr, Sock: 0}}, tcp(1, "127.0.0.1", opReuseAddr)), EADDRINUSE},
		{"[::] with SO_REUSEPORT gets past a listener on 0.0.0.0 behind an IPv6-only one", join(
			tcp(0, "0.0.0.0"), listen(0), tcp(1, "::", opReusePort, opV6Only), tcp(2, "::", opReusePort)), NoError},
		{"and without the IPv6-only one it does not", join(
			tcp(0, "0.0.0.0"), listen(0), tcp(2, "::", opReusePort)), EADDRINUSE},
		{"a closed socket's memory stays", join(
			tcp(0, "0.0.0.0"), listen(0), tcp(1, "::", opReusePort, opV6Only), []step{{Op: opClose, Sock: 1}},
			tcp(2, "::", opReusePort)), NoError},
		{"UDP: the newest socket alone decides", join(
			udp(0, "127.0.0.1"), udp(1, "127.0.0.2", opReusePort), udp(2, "0.0.0.0", opReusePort)), NoError},
		{"UDP: and the other way round it refuses", join(
			udp(0, "127.0.0.2", opReusePort), udp(1, "127.0.0.1"), udp(2, "0.0.0.0", opReusePort)), EADDRINUSE},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set{actors: []actor{{UID: 1000}}, steps: c.steps}.moved(uint16(20000 + 2*i))
			want, got := s.runModel(k.net), k.run(s)
			if !slices.Equal(want, got) || got[len(got)-1] != c.last {
				t.Errorf("model %q\nkernel %q\nwant %q at the end", want, got, c.last)
			}
		})
	}
}

func join(parts ...[]step) []step { return slices.Concat(parts...) }

func listen(sock int) []step { return []step{{Op: opListen, Sock: sock}} }

func tcp(sock int, addr string, options ...op) []step { return bound(monban.TCP, sock, addr, options) }
func udp(sock int, addr string, options ...op) []step { return bound(monban.UDP, sock, addr, options) }

func bound(proto monban.Proto, sock int, addr string, options []op) []step {
	a := netip.MustParseAddr(addr)
	family := IPv6
	if a.Is4() {
		family = IPv4
	}
	steps := []step{{Op: opSocket, Sock: sock, Proto: proto, Family: family}}
	for _, o := range options {
		steps = append(steps, step{Op: o, Sock: sock, On: true})
	}
	return append(steps, step{Op: opBind, Sock: sock, Addr: a, Port: 2000})
}
