package integration

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/internal/netnstest"
)

// TestReachLinkLocal proves exposure for neighbours that come from, and to, addresses
// that are good on one link only.
func TestReachLinkLocal(t *testing.T) {
	t.Parallel()
	r := newShootingRange(t, 31)
	r.open(r.server, monban.TCP, "::", 22)
	r.open(r.server, monban.TCP, "::", 80)
	// An address is there some time after its interface, and can be used another second
	// after that.
	linkLocal := func(ns *netnstest.NS, dev string) (addr netip.Addr) {
		eventually(t, dev+" has a link-local address", func() bool {
			for _, f := range strings.Fields(ns.Run("ip", "-6", "address", "show", "dev", dev, "-tentative")) {
				if p, err := netip.ParsePrefix(f); err == nil && p.Addr().IsLinkLocalUnicast() {
					addr = p.Addr()
				}
			}
			return addr.IsValid()
		})
		return addr
	}
	ours := map[string]netip.Addr{}
	for _, dev := range [...]string{"eth0", "eth1"} {
		ours[dev] = linkLocal(r.server, dev)
	}
	theirs := map[string]netip.Addr{}
	for _, dev := range [...]string{"c0", "c1"} {
		theirs[dev] = linkLocal(r.client, dev)
	}
	// One at the address of one interface, as its users write it.
	near := ours["eth0"].WithZone("eth0")
	var bound net.Listener
	r.server.Do(func() {
		var err error
		if bound, err = net.Listen("tcp6", netip.AddrPortFrom(near, 443).String()); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { bound.Close() })
	r.doors = append(r.doors, monban.Door{State: monban.Listen, Bind: monban.Bind{Port: monban.Port{Num: 443, Proto: monban.TCP}, Addr: near}})
	in := "table inet t {\nchain in { type filter hook input priority 0; policy drop;\nmeta l4proto icmpv6 accept\nct state established accept\n%s\n}\n}\n"
	decided := map[computed]int{}
	for _, c := range [...]struct{ rules, sh string }{
		{"", ""},
		{fmt.Sprintf(in, "ip6 saddr fe80::/10 tcp dport 22 accept"), ""},
		{fmt.Sprintf(in, "ip6 daddr fe80::/64 accept"), ""},
		{fmt.Sprintf(in, "ip6 saddr "+theirs["c0"].String()+" accept"), ""},
		{fmt.Sprintf(in, `ip6 saddr != fe80::/10 accept`), ""},
		{fmt.Sprintf(in, `fib saddr . iif oif exists tcp dport { 22, 443 } accept`), ""},
		{fmt.Sprintf(in, `fib daddr . iif type local tcp dport { 80, 443 } accept`), ""},
		{"", "ip -6 rule add pref 10 to fe80::/10 iif lo type blackhole"},
		{"", "ip -6 rule del pref 10\nip -6 rule add pref 10 oif eth1 type unreachable"},
		{"", "ip -6 rule del pref 10\nip -6 route del fe80::/64 dev eth1"},
	} {
		if err := r.nft(c.rules); err != nil {
			t.Fatal(err)
		}
		if c.sh != "" {
			r.server.Run("sh", "-ec", c.sh)
		}
		snap := r.snapshot()
		type knock struct {
			to netip.AddrPort
			by string
		}
		var knocks []knock
		var doors []monban.Door
		for i, dev := range [...]string{"eth0", "eth1"} {
			for _, d := range r.doors {
				if d.Bind.Addr.Zone() != "" && d.Bind.Addr.Zone() != dev {
					continue
				}
				addr := ours[dev]
				at := d
				at.Bind.Addr = addr.WithZone(dev)
				doors = append(doors, at)
				knocks = append(knocks, knock{netip.AddrPortFrom(addr.WithZone(fmt.Sprintf("c%d", i)), d.Bind.Port.Num), dev})
			}
		}
		snap.Doors = slices.Concat(doors, r.doors)
		reach := exposure.Judge(snap)
		for i, k := range knocks {
			src := theirs[k.to.Addr().Zone()]
			v, from := lookFor(reach[i], k.by, src)
			decided[v]++
			got := false
			wait := 300 * time.Millisecond
			if v == saysOpen {
				wait = patient // until it gets in
			}
			r.client.Do(func() {
				d := net.Dialer{Timeout: wait, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(src.WithZone(k.to.Addr().Zone()), 0))}
				if c, err := d.Dial("tcp6", k.to.String()); err == nil {
					got = true
					c.Close()
				}
			})
			if v == saysUnknown || v == saysConditional || got != (v == saysOpen) {
				t.Errorf("%s%s: %s to %s: computed %s, and it got in: %v; %+v", c.rules, c.sh, src, k.to, v, got, from)
			}
		}
	}
	if decided[saysOpen] == 0 || decided[saysClosed] == 0 {
		t.Errorf("a proof needs cases of both kinds: %v", decided)
	}
}
