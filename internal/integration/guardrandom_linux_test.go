package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/internal/policyfile"
	"github.com/monban-dev/monban/policy"
	"github.com/monban-dev/monban/portbook"
)

// client is a machine at the end of one of a guarded machine's two cables.
type client struct {
	ns     *netnstest.NS
	device string    // the guarded machine's end of the cable
	v4, v6 []string  // its own addresses
	to     [2]string // the guarded machine's there, of IPv4 and IPv6
}

// newClients makes a machine with two clients.
func newClients(t *testing.T) (machine *netnstest.NS, clients [2]client) {
	t.Helper()
	machine = netnstest.New(t)
	clients = [...]client{
		{netnstest.New(t), "eth0", []string{"10.0.0.2", "10.0.0.3", "10.0.0.130"}, []string{"2001:db8:a::2", "2001:db8:a::8000"}, [2]string{"10.0.0.1", "2001:db8:a::1"}},
		{netnstest.New(t), "eth1", []string{"10.0.1.2", "10.0.1.77"}, []string{"2001:db8:b::2"}, [2]string{"10.0.1.1", "2001:db8:b::1"}},
	}
	for _, c := range clients {
		netnstest.Connect(machine, c.device, c.ns, "eth0")
		machine.AddAddr(c.device, c.to[0]+"/24", c.to[1]+"/64")
		for _, addr := range c.v4 {
			c.ns.AddAddr("eth0", addr+"/24")
		}
		for _, addr := range c.v6 {
			c.ns.AddAddr("eth0", addr+"/64")
		}
	}
	return machine, clients
}

// TestRandomPolicies loads random policies and compares what each says with
// packets that really get through: TCP and UDP, IPv4 and IPv6, from several
// addresses by two interfaces.
func TestRandomPolicies(t *testing.T) {
	t.Parallel()
	const policies, knocksEach = 60, 40
	seed := chance(t)
	r := rand.New(rand.NewPCG(seed, 0))
	m, clients := newClients(t)
	const first, last = 1000, 1007
	for port := first; port <= last; port++ {
		echo(t, m, "tcp", fmt.Sprintf("[::]:%d", port))
		// For UDP a socket for each address: an answer from a wildcard's would
		// come from whatever address the route prefers.
		for _, c := range clients {
			for _, to := range c.to {
				echo(t, m, "udp", net.JoinHostPort(to, fmt.Sprint(port)))
			}
		}
	}
	var wrong, open, total int
	for range policies {
		text := randomPolicy(r, first, last)
		p, err := policyfile.Read([]byte(text), "monban.yaml", portbook.Builtin(), time.Now())
		if err != nil {
			if strings.Contains(err.Error(), "duplicate") {
				continue
			}
			t.Fatalf("%v\n%s", err, text)
		}
		h := &monban.Host{Interfaces: []monban.Interface{
			{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("2001:db8:a::1/64")}},
			{Name: "eth1", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.1.1/24"), netip.MustParsePrefix("2001:db8:b::1/64")}}}}
		if p, err = policy.Resolve(p, h, nil); err != nil {
			t.Fatal(err)
		}
		rules, err := policy.Compile(p, time.Now())
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		m.Do(func() { err = firewall.Load(rules) })
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var group sync.WaitGroup
		var mu sync.Mutex
		for range knocksEach {
			c := clients[r.IntN(len(clients))]
			from, to := c.v4[r.IntN(len(c.v4))], c.to[0]
			if r.IntN(2) == 0 {
				from, to = c.v6[r.IntN(len(c.v6))], c.to[1]
			}
			port := uint16(first + r.IntN(last-first+1))
			network, proto := "tcp", monban.TCP
			if r.IntN(3) == 0 {
				network, proto = "udp", monban.UDP
			}
			want := policy.Admits(p, monban.PortRange{First: port, Last: port, Proto: proto}, time.Now()).Lets(netip.MustParseAddr(from), c.device)
			group.Go(func() {
				got := knock(c.ns, network, from, net.JoinHostPort(to, fmt.Sprint(port)), patience(want))
				mu.Lock()
				defer mu.Unlock()
				total++
				if got {
					open++
				}
				if got != want && wrong < 5 {
					wrong++
					t.Errorf("%s from %s by %s to %s:%d: got in %v, the policy says %v\n%s", network, from, c.device, to, port, got, want, text)
				}
			})
		}
		group.Wait()
		if wrong > 0 {
			return
		}
	}
	t.Logf("%d knocks, %d got in", total, open)
	// Of 400 seeds 23 % got in, with a deviation of 3.
	if open*20 < total || open*5 > 4*total {
		t.Errorf("of %d knocks %d got in: not random enough to prove much", total, open)
	}
}

// randomPolicy writes a policy with few addresses and ports, so that its entries
// overlap.
func randomPolicy(r *rand.Rand, first, last int) string {
	var b strings.Builder
	b.WriteString("monban: 1\ndoors:\n")
	whom := []string{"any", "this-network", "local", "10.0.0.0/24", "10.0.0.0/25", "10.0.0.2", "10.0.1.77", "10.0.0.0/8", "0.0.0.0/0",
		"2001:db8:a::/64", "2001:db8:a::2", "2001:db8::/32", "2001:db8:a::8000", "::/0", "if:eth0", "if:eth1"}
	for range r.IntN(9) {
		from := first + r.IntN(last-first+1)
		to := from + r.IntN(last-from+1)*r.IntN(2)
		ports := fmt.Sprint(from)
		if to > from {
			ports = fmt.Sprintf("%d-%d", from, to)
		}
		var list []string
		for range 1 + r.IntN(3) {
			list = append(list, `"`+whom[1+r.IntN(len(whom)-1)]+`"`)
		}
		if r.IntN(6) == 0 {
			list = []string{"any"}
		}
		until := ""
		if r.IntN(4) == 0 && strings.Join(list, "") != `"local"` {
			until = ", until: " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "  - {port: %s/%s, to: [%s]%s}\n", ports, []string{"tcp", "tcp", "udp"}[r.IntN(3)], strings.Join(list, ", "), until)
	}
	return b.String()
}

// TestLimits opens more connections than a door's limit, from two sources at once:
// each has a count of its own.
func TestLimits(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.must("apply", "--yes", "--allow-cut", "-f", g.file("limit.yaml", "monban: 1\ndoors:\n  - {port: 22, to: any, limit: 5/hour}\n"))
	g.must("confirm")
	for _, from := range []string{clientAddr, "192.0.2.3"} {
		before := sentAgain(t, g.outside)
		for n := range 8 {
			// A SYN is sent again after a second only, so none counts twice; but where
			// an answer took longer than that, those sent again may count.
			got := knock(g.outside, "tcp", from, machineAddr+":22", patience(n < 5))
			if again := sentAgain(t, g.outside) - before; n >= 5 && got || !got && n+again < 5 {
				t.Errorf("connection %d from %s, %d packets sent again: got in %v", n+1, from, again, got)
			}
		}
	}
}

// sentAgain is how many TCP packets the kernel of a namespace has sent again.
func sentAgain(t *testing.T, ns *netnstest.NS) (n int) {
	t.Helper()
	ns.Do(func() {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if f[0] != "Tcp:" {
				continue
			}
			if i := slices.Index(names, "RetransSegs"); i >= 0 {
				if n, err = strconv.Atoi(f[i]); err != nil {
					t.Fatal(err)
				}
				return
			}
			names = f
		}
		t.Fatal("no word of what was sent again")
	})
	return n
}

// TestUntil opens a door until a time and wants it to close by itself. On a machine
// so busy that the time was over before anybody knocked it is given more.
func TestUntil(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	program(t, "monban") // built before the time is taken
	opened := false
	for life := 6 * time.Second; !opened && !t.Failed(); life *= 2 {
		end := time.Now().Add(life).UTC().Truncate(time.Second)
		text := "monban: 1\ndoors:\n  - {port: 22, to: any}\n  - {port: 443, to: any, until: " + end.Format(time.RFC3339) + "}\n"
		if code, out := g.guard("apply", "--yes", "--timeout", "1h", "-f", g.file("until.yaml", text)); code != 0 {
			if time.Now().Before(end) {
				t.Fatalf("apply: status %d\n%s", code, out)
			}
			continue // the time is over already, which is a mistake in the file
		}
		g.must("confirm")
		for time.Now().Before(end) && !t.Failed() {
			if knock(g.outside, "tcp", "", machineAddr+":443", time.Until(end)) {
				opened = true
			} else if time.Now().Before(end) {
				t.Errorf("the door is closed before %v", end)
			}
			time.Sleep(50 * time.Millisecond)
		}
		eventually(t, "the door closes", func() bool { return !knock(g.outside, "tcp", "", machineAddr+":443", patience(false)) })
	}
	if code, out := g.guard("status"); code != 0 {
		t.Errorf("when a door has ended, status is %d:\n%s", code, out)
	}
}
