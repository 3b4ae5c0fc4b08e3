package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/internal/policyfile"
	"github.com/monban-dev/monban/policy"
	"github.com/monban-dev/monban/portbook"
)

// letters collects what arrives at raw sockets.
type letters struct {
	mu   sync.Mutex
	seen map[string]bool
}

// receive opens raw sockets of both families for some protocols.
func (l *letters) receive(t *testing.T, ns *netnstest.NS, protocols ...monban.IPProto) {
	t.Helper()
	l.seen = map[string]bool{}
	for _, p := range protocols {
		for _, network := range [...]string{"ip4", "ip6"} {
			ns.Do(func() {
				c, err := net.ListenPacket(fmt.Sprintf("%s:%d", network, p), "")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				if network == "ip4" {
					join(t, c.(*net.IPConn), vrrpGroup)
				}
				go func() {
					buf := make([]byte, 2048)
					for {
						n, _, err := c.ReadFrom(buf)
						if err != nil {
							return
						}
						l.mu.Lock()
						l.seen[string(buf[:n])] = true
						l.mu.Unlock()
					}
				}()
			})
		}
	}
}

func (l *letters) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[text]
}

// await waits until a letter is there, which is sent again where it gets lost. One that
// is not to come is waited for until the others have.
func (l *letters) await(text string, send func()) bool {
	again := time.Now().Add(time.Second)
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if l.has(text) {
			return true
		}
		if time.Now().After(again) {
			send()
			again = time.Now().Add(time.Second)
		}
	}
	return l.has(text)
}

// vrrpGroup is where VRRP's advertisements go (RFC 9568 section 5.1.1.2).
const vrrpGroup = "224.0.0.18"

func join(t *testing.T, c *net.IPConn, group string) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range [...]string{"eth0", "eth1"} {
		i, err := net.InterfaceByName(device)
		if err != nil {
			continue
		}
		raw.Control(func(fd uintptr) {
			err = unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: netip.MustParseAddr(group).As4(), Ifindex: int32(i.Index)})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// send sends one packet of a protocol.
func send(t *testing.T, ns *netnstest.NS, p monban.IPProto, from, to, text string) {
	t.Helper()
	network := "ip4"
	if strings.Contains(to, ":") {
		network = "ip6"
	}
	ns.Do(func() {
		c, err := net.ListenPacket(fmt.Sprintf("%s:%d", network, p), from)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.WriteTo([]byte(text), &net.IPAddr{IP: net.ParseIP(to)}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestGuardProtocols loads random policies about protocols without ports and
// compares what each says with packets that really get through: to an address and
// to a group, from several addresses by two interfaces.
func TestGuardProtocols(t *testing.T) {
	t.Parallel()
	const policies, knocksEach = 40, 60
	seed := chance(t)
	r := rand.New(rand.NewPCG(seed, 0))
	m, clients := newClients(t)
	for _, c := range clients {
		c.ns.Run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
	}
	// IGMP, GRE, ESP, AH, OSPF, VRRP; the last is never listed.
	const last = 253
	protocols := []monban.IPProto{2, 47, 50, 51, 89, 112}
	var box letters
	box.receive(t, m, append(protocols, last)...)
	var open, total int
	for round := range policies {
		text := randomProtocols(r, protocols)
		p, err := policyfile.Read([]byte(text), "monban.yaml", portbook.Builtin(), time.Now())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		rules, err := policy.Compile(p, time.Now())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		m.Do(func() { err = firewall.Load(rules) })
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		type letter struct {
			text string
			want bool
			send func()
		}
		var letters []letter
		for knock := range knocksEach {
			c := clients[r.IntN(len(clients))]
			from, to := c.v4[r.IntN(len(c.v4))], c.to[0]
			switch r.IntN(4) {
			case 0, 1:
				from, to = c.v6[r.IntN(len(c.v6))], c.to[1]
			case 2:
				to = vrrpGroup
			}
			n := protocols[r.IntN(len(protocols))]
			text := fmt.Sprintf("%d.%d: %s from %s by %s to %s", round, knock, n, from, c.device, to)
			letters = append(letters, letter{text, policy.AdmitsProtocol(p, n, time.Now()).Lets(netip.MustParseAddr(from), c.device),
				func() { send(t, c.ns, n, from, to, text) }})
			letters[knock].send()
		}
		for i, c := range clients {
			for j, to := range c.to {
				letter := fmt.Sprintf("%d: the last of %d, %d", round, i, j)
				again := func() { send(t, c.ns, last, [...]string{c.v4[0], c.v6[0]}[j], to, letter) }
				again()
				if !box.await(letter, again) {
					t.Fatalf("a protocol that no entry names does not pass\n%s", text)
				}
			}
		}
		for _, l := range letters {
			got := l.want && box.await(l.text, l.send) || box.has(l.text)
			total++
			if got {
				open++
			}
			if got != l.want {
				t.Errorf("%s: got in %v, the policy says %v\n%s", l.text, got, l.want, text)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d packets, %d got in", total, open)
	if open*10 < total || open*10 > 9*total {
		t.Errorf("of %d packets %d got in: not random enough to prove much", total, open)
	}
}

// randomProtocols writes a policy about few protocols and addresses.
func randomProtocols(r *rand.Rand, protocols []monban.IPProto) string {
	// What is said twice is an error, so each is said once at most.
	said := map[string]bool{}
	whom := []string{"10.0.0.0/24", "10.0.0.0/25", "10.0.0.2", "10.0.1.77", "10.0.0.0/8", "0.0.0.0/0", "2001:db8:a::/64", "2001:db8:a::2", "2001:db8::/32", "::/0",
		"if:eth0", "if:eth1", "local"}
	var b strings.Builder
	b.WriteString("monban: 1\ndoors:\n  - {port: 22, to: any}\n")
	for range 4 + r.IntN(9) {
		proto := protocols[r.IntN(len(protocols))]
		var list []string
		for range 1 + r.IntN(2) {
			one := `"` + whom[r.IntN(len(whom))] + `"`
			if key := fmt.Sprint(proto, one); !said[key] {
				said[key] = true
				list = append(list, one)
			}
		}
		if len(list) == 0 {
			continue
		}
		until := ""
		if r.IntN(4) == 0 && strings.Join(list, "") != `"local"` {
			until = ", until: " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "  - {proto: %s, to: [%s]%s}\n", proto, strings.Join(list, ", "), until)
	}
	return b.String()
}

// TestGuardProtocolTrial puts a policy about a protocol on trial from the command
// line: the plan says who loses it, the trial keeps them out, and when nobody
// confirms they come in again. What a policy says is what status finds.
func TestGuardProtocolTrial(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	var box letters
	box.receive(t, g.ns, 47, 50)
	n := 0
	passes := func(p monban.IPProto, from string, want bool) bool {
		n++
		letter, last := fmt.Sprintf("%d to %d", n, p), fmt.Sprintf("%d after", n)
		one, other := func() { send(t, g.outside, p, from, machineAddr, letter) }, func() { send(t, g.outside, 47, from, machineAddr, last) }
		one()
		other() // never listed
		if !box.await(last, other) {
			t.Fatal("a protocol that no entry names does not pass")
		}
		// It is read from another socket, perhaps later.
		return want && box.await(letter, one) || box.has(letter)
	}
	differs := func(when string, first, second bool) string {
		if a, b := passes(50, clientAddr, first), passes(50, "192.0.2.3", second); a != first || b != second {
			return fmt.Sprintf("%s: ESP from the peer passes %v, from another %v; want %v, %v", when, a, b, first, second)
		}
		return ""
	}
	wants := func(when string, first, second bool) {
		t.Helper()
		if wrong := differs(when, first, second); wrong != "" {
			t.Error(wrong)
		}
	}
	wants("without a policy", true, true)
	file := g.file("esp.yaml", goodPolicy+"  - {proto: esp, to: "+clientAddr+", for: the other end}\n")
	code, out := g.guard("plan", "-f", file)
	if code != 1 || !strings.Contains(out, "- esp  no longer: 0.0.0.0-192.0.2.1, 192.0.2.3-255.255.255.255, ::/0") {
		t.Errorf("plan: status %d\n%s", code, out)
	}
	over := func(time.Duration) {
		eventually(t, "after the trial ESP passes", func() bool { return passes(50, "192.0.2.3", false) })
	}
	over(during(t, trialTime, func(limit time.Duration) string {
		g.must("apply", "--yes", "--timeout", limit.String(), "-f", file)
		return differs("on trial", true, false)
	}, over))
	wants("after the trial", true, true)
	g.must("apply", "--yes", "--timeout", "1h", "-f", file)
	g.must("confirm")
	wants("confirmed", true, false)
	if code, out := g.guard("status"); code != 0 {
		t.Errorf("status %d\n%s", code, out)
	}
	g.must("close", "proto:esp", "-f", file)
	g.must("apply", "--yes", "--timeout", "1h", "-f", file)
	wants("on trial after close", false, false)
	g.must("rollback")
	wants("after the rollback", true, false)
	g.run("nft", "add element inet monban protocols4-b { 50 . 192.0.2.3 : accept }")
	if code, out := g.guard("status", "-v"); code != 1 || !strings.Contains(out, "- protocols4: esp 192.0.2.3 accept") {
		t.Errorf("with an element more: status %d\n%s", code, out)
	}
	g.must("off", "--yes")
	wants("without monban", true, true)
	g.alive()
}
