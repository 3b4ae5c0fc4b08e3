package integration

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/sockets"
)

// TestReachRouting proves exposure against real packets where routing rules lead them
// and their answers, by random rules and tables beside random rulesets.
// MONBAN_REACH_ROUTINGS asks for more of them.
func TestReachRouting(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	sets, seed := 120, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("MONBAN_REACH_ROUTINGS")); err == nil {
		sets = n
	}
	if n, err := strconv.ParseUint(os.Getenv("MONBAN_REACH_SEED"), 10, 64); err == nil {
		seed = n
	}
	r := newShootingRange(t, seed)
	r.replay = fmt.Sprintf("MONBAN_REACH_SEED=%d MONBAN_REACH_ROUTINGS=%d", seed, sets)
	ports := r.openDoors()
	refused := 0
	for i := range sets {
		g := routing{generator: generator{rng: r.rng, family: "inet"}}
		text := g.ruleset()
		for err := r.nft(text); err != nil; err = r.nft(text) {
			if refused++; refused > sets {
				t.Fatalf("nft refuses most: %v\n%s", err, text)
			}
			g = routing{generator: generator{rng: r.rng, family: "inet"}}
			text = g.ruleset()
		}
		script := g.script()
		if out, err := r.server.Command("sh", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, script)
		}
		r.check(fmt.Sprintf("rules %d", i), text+script+r.server.Run("sh", "-c", "ip rule; ip -6 rule"), g.sources, ports, 200)
		if t.Failed() {
			break
		}
	}
	t.Logf("%+v, %d refused", r.tally, refused)
	if r.tally.unknown*5 > r.tally.probes || r.tally.in*10 < r.tally.probes || r.tally.in*10 > r.tally.probes*9 {
		t.Errorf("a proof needs decided cases of both kinds: %+v", r.tally)
	}
}

// routing writes routing rules and tables, and rulesets that set the marks they ask
// for.
type routing struct{ generator }

func (g *routing) ruleset() string {
	g.say("table inet t {\n")
	if g.chance(60) {
		g.say("chain p { type filter hook prerouting priority %s;\n", g.one("-300", "-150", "0"))
		for range 1 + g.rng.IntN(3) {
			v4 := g.chance(50)
			ip := map[bool]string{true: "ip", false: "ip6"}[v4]
			g.say("%s\n", g.one(
				fmt.Sprintf("%s saddr %s meta mark set %s", ip, g.network(v4), g.one("1", "2", "0x101")),
				fmt.Sprintf("%s saddr %s ct mark set %s", ip, g.network(v4), g.one("1", "2")),
				"tcp dport "+g.one("22", "80", "8080")+" meta mark set "+g.one("1", "2"),
				"udp dport "+g.one("53", "5353")+" meta mark set 1",
				`iifname "docker0" meta mark set ct mark`, "meta mark set ct mark", "ct mark 0 ct mark set meta mark",
				"fib saddr . iif oif "+g.one("missing", "exists")+" "+g.one("drop", "accept", "meta mark set 2"),
				"fib saddr . mark . iif oif missing "+g.one("drop", "meta mark set 1"),
				"fib saddr oif missing drop", "fib saddr type { unicast, multicast } ct mark set 1"))
		}
		g.say("}\n")
	}
	if g.chance(40) {
		g.say("chain o { type route hook output priority %s;\n%s\n}\n", g.one("-150", "0"),
			g.one("meta mark set ct mark", "tcp sport { 22, 443 } meta mark set 1", "meta mark set 2", "ip daddr "+g.network(true)+" meta mark set 1"))
	}
	if g.chance(40) {
		g.say("chain f { type filter hook %s priority 0; %s\n}\n", g.one("forward", "postrouting", "output"),
			g.one(`oifname "eth1" drop`, `oifname "eth0" tcp sport { 22, 8080 } drop`, "meta mark 1 drop", `oifname "docker0" accept`))
	}
	if g.chance(70) {
		g.say("chain nat { type nat hook prerouting priority -100;\n")
		for range 1 + g.rng.IntN(3) {
			g.translation()
		}
		g.say("}\nchain tracking { ct state new\n}\n")
	}
	g.say("}\n")
	return g.b.String()
}

// script sets up the rules in place of those before.
func (g *routing) script() string {
	var b strings.Builder
	b.WriteString("set -e\n")
	for _, dev := range [...]string{"eth0", "eth1", "docker0"} {
		fmt.Fprintf(&b, "echo %s >/proc/sys/net/ipv4/conf/%s/rp_filter\n", g.one("0", "0", "1", "2"), dev)
		fmt.Fprintf(&b, "echo %s >/proc/sys/net/ipv4/conf/%s/src_valid_mark\n", g.one("0", "1"), dev)
		fmt.Fprintf(&b, "echo %s >/proc/sys/net/ipv4/conf/%s/accept_local\n", g.one("0", "0", "1"), dev)
	}
	fmt.Fprintf(&b, "echo %s >/proc/sys/net/ipv4/tcp_fwmark_accept\n", g.one("0", "0", "1"))
	for _, v4 := range [...]bool{true, false} {
		ip := map[bool]string{true: "ip", false: "ip -6"}[v4]
		for n := range 4 {
			fmt.Fprintf(&b, "%s route flush table %d 2>/dev/null || true\n", ip, 200+n)
		}
		fmt.Fprintf(&b, "%s -force -batch - <<END 2>/dev/null || true\nrule flush\n", ip)
		if g.chance(85) {
			fmt.Fprintf(&b, "rule add pref 0 lookup local\n")
		} else {
			fmt.Fprintf(&b, "rule add pref 200 lookup local\nrule del pref 0\n")
		}
		fmt.Fprintf(&b, "rule add pref 32766 lookup main\nrule add pref 32767 lookup default\n")
		if g.chance(90) {
			g.tables(&b, v4)
		}
		b.WriteString("END\n")
	}
	return b.String()
}

func (g *routing) prefix(v4 bool) string {
	a := g.addr(v4)
	bits := 1 + g.rng.IntN(32)
	if !v4 {
		bits = 40 + g.rng.IntN(89)
	}
	p := netip.PrefixFrom(a, bits).Masked()
	g.sources = append(g.sources, p.Addr())
	return p.String()
}

func (g *routing) tables(b *strings.Builder, v4 bool) {
	gateways := [...]string{"via 10.1.0.2 dev eth0", "via 10.2.0.2 dev eth1"}
	container, own := "172.17.0.0/16", [...]string{serverV4a, serverV4b, containerV4}
	if !v4 {
		gateways = [...]string{"via 2001:db8:1::2 dev eth0", "via 2001:db8:2::2 dev eth1"}
		container, own = "2001:db8:17::/64", [...]string{serverV6a, serverV6b, containerV6}
	}
	for n := range 4 {
		table := 200 + n
		if g.chance(60) {
			fmt.Fprintf(b, "route add %s table %d\n", g.one("default "+gateways[0], "default "+gateways[1], "default "+gateways[1], "blackhole default", "unreachable default", "throw default", "prohibit default"), table)
		}
		if g.chance(40) {
			fmt.Fprintf(b, "route add %s dev docker0 table %d\n", container, table)
		}
		for range g.rng.IntN(4) {
			p := g.prefix(v4)
			which := ""
			switch some := g.chance(15); {
			case some && v4:
				which = " tos " + g.one("0x10", "0x08")
			case some:
				which = " from " + g.one("2001:db8:1::/64", "2001:db8:2::/64", "2001:db8::/32", g.prefix(v4))
			}
			fmt.Fprintf(b, "route add %s%s table %d\n", g.one(p+" "+gateways[0], p+" "+gateways[1], "blackhole "+p, "unreachable "+p, "throw "+p, p+" "+gateways[g.rng.IntN(2)]+" metric 5"), which, table)
		}
	}
	// A container that is looked for elsewhere is not there, which nobody here knows.
	fmt.Fprintf(b, "rule add pref 50 to %s lookup main\n", container)
	for range 1 + g.rng.IntN(6) {
		fmt.Fprintf(b, "rule add pref %d", 100+g.rng.IntN(300))
		if g.chance(20) {
			b.WriteString(" not")
		}
		for range g.rng.IntN(3) {
			fmt.Fprintf(b, " %s", g.one("from "+g.prefix(v4), "from "+g.prefix(v4), "to "+g.prefix(v4), "to "+g.prefix(v4), "from "+own[g.rng.IntN(3)], "to "+own[g.rng.IntN(3)],
				"iif "+g.one("eth0", "eth1", "docker0", "lo", "nonesuch"), "iif lo", "oif eth0", "fwmark "+g.one("1", "2", "0x1/0x1", "0x100/0xff00", "0/0x3"),
				"ipproto "+g.one("tcp", "udp"), "dport "+g.one("22", "53-80", "80", "1-65534"), "sport "+g.one("22", "80-443", "53-80"),
				g.one("iif lo", "oif eth1", "ipproto udp", "tos 0x10", "uidrange 0-0", "uidrange 1-5", "sport 40000-65535")))
		}
		table := 200 + g.rng.IntN(4)
		switch g.rng.IntN(10) {
		case 0:
			fmt.Fprintf(b, " lookup main suppress_prefixlength %s", g.one("0", "8", "16", "32"))
		case 1:
			fmt.Fprintf(b, " lookup %d suppress_prefixlength %s", table, g.one("0", "8", "48"))
		case 2:
			fmt.Fprintf(b, " goto %s", g.one("350", "399", "32766", "32767"))
		case 3:
			b.WriteString(" nop")
		case 4:
			b.WriteString(" type " + g.one("blackhole", "unreachable", "prohibit"))
		default:
			fmt.Fprintf(b, " lookup %d", table)
		}
		b.WriteString("\n")
	}
}

// TestReachBoundDevice proves that whoever has no route is answered by a socket that
// is bound to an interface, over that, as if he were on its link.
func TestReachBoundDevice(t *testing.T) {
	t.Parallel()
	r := newShootingRange(t, chance(t))
	for _, a := range [...]string{"0.0.0.0", "::"} {
		r.open(r.server, monban.TCP, a, 22)
		if err := unix.SetsockoptString(r.listeners[len(r.listeners)-1].fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0"); err != nil {
			t.Fatal(err)
		}
		r.doors[len(r.doors)-1].Bind.Device = "eth0"
		r.open(r.server, monban.TCP, a, 80)
	}
	r.server.Run("sh", "-ec", "ip route del default\nip route add blackhole 198.51.100.0/24\nip route add 192.0.2.0/24 via 10.2.0.2\nip -6 route del default\nip -6 route add 2001:db8:99::/64 via 2001:db8:1::2")
	// They are asked for who they are.
	var sources []netip.Addr
	script := ""
	mac := strings.Fields(r.server.Run("ip", "neighbour", "show", "10.1.0.2"))
	for _, a := range [...]string{"192.0.2.1", "198.51.100.7", "203.0.113.8"} {
		sources = append(sources, netip.MustParseAddr(a))
		script += fmt.Sprintf("ip neighbour replace %s lladdr %s dev eth0 nud permanent\n", a, mac[slices.Index(mac, "lladdr")+1])
	}
	r.server.Run("sh", "-ec", script)
	sources = append(sources, netip.MustParseAddr("2001:db8:99::1"), netip.MustParseAddr("2001:db8:98::1"))
	tcp := func(n uint16) monban.Port { return monban.Port{Num: n, Proto: monban.TCP} }
	for _, rules := range [...]string{"", "ip rule add to 192.0.2.0/24 type unreachable", "ip rule add oif eth0 type blackhole"} {
		if rules != "" {
			r.server.Run("sh", "-ec", rules)
		}
		for _, a := range sources {
			r.exact = a
			r.check(rules, rules, nil, []monban.Port{tcp(22), tcp(80)}, 20)
		}
	}
	if r.tally.in == 0 || r.tally.in == r.tally.probes || r.tally.unknown > 0 {
		t.Errorf("%+v", r.tally)
	}
}

// TestReachUnreadPorts proves that rules for ports of what this machine sends count
// for the filter of sources only where another rule has the kernel read the ports of
// what it receives.
func TestReachUnreadPorts(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	r := newShootingRange(t, chance(t))
	for _, port := range [...]uint16{22, 80} {
		r.open(r.server, monban.TCP, "0.0.0.0", port)
	}
	r.addrs = []netip.Addr{netip.MustParseAddr(serverV4a)}
	r.exact = netip.MustParseAddr("105.0.0.7")
	// Only those who connect to port 22 are answered, and the filter has to see that.
	r.server.Run("sh", "-ec", `echo 2 >/proc/sys/net/ipv4/conf/eth0/rp_filter
echo 2 >/proc/sys/net/ipv4/conf/eth1/rp_filter
ip rule add pref 123 iif lo sport 22 lookup main
ip rule add pref 339 to 105.0.0.0/8 prohibit`)
	for _, c := range [...]struct {
		rule string
		in   bool
	}{
		{"iif lo ipproto udp dport 9", false},
		{"not iif lo dport 9", false},
		{"iif nonesuch ipproto udp", true},
		{"sport 1-65534", true},
		{"to 192.0.2.0/24", false},
	} {
		r.server.Run("sh", "-ec", "ip rule add pref 30000 "+c.rule+" lookup main")
		before := r.tally
		r.check(c.rule, c.rule, nil, []monban.Port{{Num: 22, Proto: monban.TCP}, {Num: 80, Proto: monban.TCP}}, 20)
		if got := r.tally.in > before.in; got != c.in || r.tally.unknown > 0 {
			t.Errorf("%s: somebody got in: %v; %+v", c.rule, got, r.tally)
		}
		r.server.Run("ip", "rule", "del", "pref", "30000")
	}
}

// TestReachTypeByRules proves that an address of this machine's own is one of IPv6 to
// a ruleset only where routing rules get to the local table.
func TestReachTypeByRules(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	text := `table inet t {
chain nat { type nat hook prerouting priority -100;
fib daddr type local tcp dport 8080 redirect to :80
fib daddr type != { local, unicast } tcp dport 8080 dnat ip6 to [` + containerV6 + `]:80
fib daddr type blackhole udp dport 8080 dnat ip6 to [` + containerV6 + `]:53
fib daddr . iif type local tcp dport 443 dnat ip6 to [` + containerV6 + `]:80
}
}
`
	if err := r.nft(text); err != nil {
		t.Fatal(err)
	}
	r.server.Run("sh", "-ec", "ip -6 rule add pref 200 lookup local\nip -6 rule del pref 0\nip -6 rule add pref 50 to 2001:db8:17::/64 lookup main")
	sources := []netip.Addr{netip.MustParseAddr("2001:db8:99::1"), netip.MustParseAddr("2001:db8:98::1")}
	for _, rule := range [...]string{"from 2001:db8:99::/48 to 2001:db8:2::1 type unreachable", "to 2001:db8:1::/126 lookup main", "to 2001:db8:1::1 type blackhole",
		"from 2001:db8:99::/48 fwmark 0/1 type prohibit", "iif eth0 type blackhole"} {
		r.server.Run("sh", "-ec", "ip -6 rule add pref 100 "+rule)
		r.check(rule, text+rule, sources, ports, 200)
		r.server.Run("ip", "-6", "rule", "del", "pref", "100")
	}
	if r.tally.in == 0 || r.tally.in == r.tally.probes || r.tally.unknown*4 > r.tally.probes {
		t.Errorf("%+v", r.tally)
	}
	t.Logf("%+v", r.tally)
}

// TestReachRerouted proves that an answer which is routed anew by its mark is still
// told of the interface that it first had in the rest of the output hook, and of the
// new one in postrouting.
func TestReachRerouted(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	r := newShootingRange(t, chance(t))
	for _, port := range [...]uint16{22, 80, 443} {
		r.open(r.server, monban.TCP, "0.0.0.0", port)
	}
	r.addrs = []netip.Addr{netip.MustParseAddr(serverV4a)}
	r.server.Run("sh", "-ec", `echo 2 >/proc/sys/net/ipv4/conf/eth0/rp_filter
echo 2 >/proc/sys/net/ipv4/conf/eth1/rp_filter
ip route add 105.0.0.0/8 via 10.1.0.2 dev eth0
ip route add default via 10.2.0.2 dev eth1 table 201
ip rule add pref 100 fwmark 1 lookup 201`)
	text := `table inet t {
chain o { type route hook output priority -150;
ip daddr 105.0.0.0/9 meta mark set 1
}
chain f { type filter hook output priority 0;
tcp sport 22 oifname "eth0" drop
tcp sport 80 oifname "eth1" drop
}
chain p { type filter hook postrouting priority 0;
tcp sport 443 oifname "eth1" drop
}
}
`
	if err := r.nft(text); err != nil {
		t.Fatal(err)
	}
	var ports []monban.Port
	for _, num := range [...]uint16{22, 80, 443} {
		ports = append(ports, monban.Port{Num: num, Proto: monban.TCP})
	}
	r.check("routed anew", text, []netip.Addr{netip.MustParseAddr("105.0.0.7"), netip.MustParseAddr("105.200.0.7")}, ports, 100)
	if r.tally.in == 0 || r.tally.in == r.tally.probes || r.tally.unknown > 0 {
		t.Errorf("%+v", r.tally)
	}
}

// TestReachSocketMark proves that the answers of a socket with a mark are routed and
// filtered by it, whatever those had that it answers.
func TestReachSocketMark(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ip")
	r := newShootingRange(t, 25)
	var ports []monban.Port
	for i, a := range [...]string{"0.0.0.0", "::"} {
		for _, port := range [...]uint16{22, 80} {
			r.open(r.server, monban.TCP, a, port)
			if port == 22 {
				if err := unix.SetsockoptInt(r.listeners[len(r.listeners)-1].fd, unix.SOL_SOCKET, unix.SO_MARK, 7); err != nil {
					t.Fatal(err)
				}
			}
			if i == 0 {
				ports = append(ports, monban.Port{Num: port, Proto: monban.TCP})
			}
		}
	}
	// The mark is what the kernel says of the socket.
	r.server.Do(func() {
		seen, gaps := sockets.Doors(sockets.Options{})
		if len(gaps) > 0 {
			t.Fatal(gaps)
		}
		for i := range r.doors {
			at := slices.IndexFunc(seen, func(d monban.Door) bool { return d.Bind == r.doors[i].Bind })
			if at < 0 {
				t.Fatalf("%v is not among %v", r.doors[i].Bind, seen)
			}
			r.doors[i].Mark = seen[at].Mark
		}
	})
	sources := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:99::1")}
	for _, c := range [...]struct{ nft, sh string }{
		{"table inet t {\nchain o { type filter hook output priority 0;\nmeta mark 7 ip daddr 192.0.2.0/24 drop\nmeta mark != 7 ip6 daddr 2001:db8:99::/64 drop\n}\n}\n", ""},
		{"", "ip rule add pref 100 fwmark 7 to 192.0.2.0/24 type unreachable\nip -6 rule add pref 100 fwmark 0/7 to 2001:db8:99::/64 type blackhole"},
		{"table inet t {\nchain p { type filter hook prerouting priority -150;\nmeta mark set 3\n}\n}\n", "echo 1 >/proc/sys/net/ipv4/tcp_fwmark_accept\nip rule add pref 101 fwmark 3 to 198.51.100.0/24 type unreachable"},
	} {
		if err := r.nft(c.nft); err != nil {
			t.Fatal(err)
		}
		r.server.Run("sh", "-ec", c.sh)
		r.check(c.nft+c.sh, c.nft+c.sh, sources, ports, 150)
	}
	if r.tally.in == 0 || r.tally.in == r.tally.probes || r.tally.unknown > 0 {
		t.Errorf("%+v", r.tally)
	}
}
