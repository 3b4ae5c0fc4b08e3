package sockets

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// BenchmarkDoors lists 10,000 listeners.
func BenchmarkDoors(b *testing.B) {
	const n = 10000
	netnstest.New(b).Do(func() {
		raiseFiles(b, n)
		for i := range n {
			openStream(b, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, byte(i >> 12), 1}), uint16(1024+i%4096)), true)
		}
		b.ReportAllocs()
		for b.Loop() {
			if doors, gaps := Doors(Options{}); len(doors) != n || len(gaps) != 0 {
				b.Fatal(len(doors), gaps)
			}
		}
	})
}

// BenchmarkConnected asks for one port, and counts the traffic, of a machine
// with 10,000 connections, which are 20,000 sockets: nobody accepts them.
func BenchmarkConnected(b *testing.B) {
	const n = 10000
	ns := netnstest.New(b)
	ns.SetSysctl("net.core.somaxconn", "65535")
	ns.Do(func() {
		raiseFiles(b, n)
		server := netip.MustParseAddrPort("127.0.0.1:443")
		openStream(b, server, true)
		for i := range n {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 5000)
			fd := openStream(b, from, false)
			if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}); err != nil {
				b.Fatal(err)
			}
		}
		only := Options{Ports: []monban.PortRange{{First: 443, Last: 443}}}
		b.Run("Doors", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if doors, gaps := inside(ns, Doors, only); len(doors) != 1 || len(gaps) != 0 {
					b.Fatal(doors, gaps)
				}
			}
		})
		b.Run("Traffic", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if list, gaps := inside(ns, Traffic, only); len(list) != 1 || list[0].Established != n || len(gaps) != 0 {
					b.Fatal(list, gaps)
				}
			}
		})
	})
}

// inside asks in the namespace of the benchmark, where a sub-benchmark is not.
func inside[T any](ns *netnstest.NS, ask func(Options) ([]T, []monban.Gap), o Options) ([]T, []monban.Gap) {
	o.NetNS = ns.Path()
	return ask(o)
}

func raiseFiles(b *testing.B, n int) {
	b.Helper()
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		b.Fatal(err)
	}
	if lim.Cur < uint64(n)+100 {
		netnstest.Skip(b, "needs %d open files: the limit is %d", n+100, lim.Cur)
	}
}

func openStream(b *testing.B, at netip.AddrPort, listen bool) int {
	b.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
		b.Fatal(fmt.Errorf("bind %v: %w", at, err))
	}
	if listen {
		if err := unix.Listen(fd, 65535); err != nil {
			b.Fatal(err)
		}
	}
	return fd
}
