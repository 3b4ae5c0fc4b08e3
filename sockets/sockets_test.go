package sockets

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// TestOwnListener looks for a listener of this very process, on every system.
func TestOwnListener(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("no %s here: %v", addr, err)
			continue
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		at := netip.MustParseAddrPort(l.Addr().String())
		ports := []monban.PortRange{{First: at.Port(), Last: at.Port(), Proto: monban.TCP}}

		doors, _ := Doors(Options{Ports: ports})
		i := slices.IndexFunc(doors, func(d monban.Door) bool { return d.Bind.Addr == at.Addr() })
		if i < 0 {
			t.Fatalf("%v: %+v", at, doors)
		}
		d := doors[i]
		if d.State != monban.Listen || d.Bind.Port != (monban.Port{Num: at.Port(), Proto: monban.TCP}) {
			t.Errorf("%v: %+v", at, d)
		}
		if (len(d.Owners) == 0) != (d.Unnamed == monban.HiddenNotAsked) {
			t.Errorf("%v: owners %+v, unnamed %q", at, d.Owners, d.Unnamed)
		}
		// Wine tells 0.
		if len(d.Owners) != 0 && d.Owners[0].PID != os.Getpid() {
			t.Errorf("%v: owner %+v, want %d", at, d.Owners, os.Getpid())
		}
		list, _ := Traffic(Options{Ports: ports})
		if len(list) != 1 || list[0].Established < 1 || !slices.Contains(list[0].Locals, at.Addr()) {
			t.Errorf("%v: traffic %+v", at, list)
		}
	}
}

func TestOwnUDP(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	doors, _ := Doors(Options{Ports: []monban.PortRange{{First: at.Port(), Last: at.Port(), Proto: monban.UDP}}})
	if !slices.ContainsFunc(doors, func(d monban.Door) bool { return d.State == monban.Bound && d.Bind.Addr == at.Addr() }) {
		t.Errorf("%v: %+v", at, doors)
	}
}

func noGaps(t *testing.T, gaps []monban.Gap) {
	t.Helper()
	for _, g := range gaps {
		t.Errorf("gap: %+v", g)
	}
}
