package integration

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

// TestReachRandom proves exposure against real packets on random rulesets.
// MONBAN_REACH_RULESETS asks for more of them.
func TestReachRandom(t *testing.T) {
	t.Parallel()
	rulesets, seed := 500, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("MONBAN_REACH_RULESETS")); err == nil {
		rulesets = n
	}
	if n, err := strconv.ParseUint(os.Getenv("MONBAN_REACH_SEED"), 10, 64); err == nil {
		seed = n
	}
	r := newShootingRange(t, seed)
	r.replay = fmt.Sprintf("MONBAN_REACH_SEED=%d MONBAN_REACH_RULESETS=%d", seed, rulesets)
	ports := r.openDoors()
	refused := 0
	for i := range rulesets {
		g := generator{rng: r.rng}
		text := g.ruleset()
		// nft(8) refuses what it can tell to be without meaning.
		for err := r.nft(text); err != nil; err = r.nft(text) {
			if refused++; refused > rulesets {
				t.Fatalf("nft refuses most: %v\n%s", err, text)
			}
			g = generator{rng: r.rng}
			text = g.ruleset()
		}
		r.check(fmt.Sprintf("ruleset %d", i), text, g.sources, ports, 200)
		if t.Failed() {
			break
		}
	}
	t.Logf("%+v, %d refused", r.tally, refused)
	if r.tally.unknown > 0 || r.tally.in*20 < r.tally.probes || r.tally.in*20 > r.tally.probes*19 {
		t.Errorf("a proof needs decided cases of both kinds: %+v", r.tally)
	}
}

// openDoors opens the doors that the random rulesets are about and returns the
// ports to knock at.
func (r *shootingRange) openDoors() (ports []monban.Port) {
	for _, port := range [...]uint16{22, 80, 443} {
		r.open(r.server, monban.TCP, "0.0.0.0", port)
		r.open(r.server, monban.TCP, "::", port)
		ports = append(ports, monban.Port{Num: port, Proto: monban.TCP})
	}
	for _, port := range [...]uint16{53, 5353} {
		for _, a := range [...]string{serverV4a, serverV4b, serverV6a, serverV6b} {
			r.open(r.server, monban.UDP, a, port)
		}
		ports = append(ports, monban.Port{Num: port, Proto: monban.UDP})
	}
	for _, proto := range [...]monban.Proto{monban.TCP, monban.UDP} {
		r.open(r.container, proto, containerV4, 80)
		r.open(r.container, proto, containerV6, 80)
		ports = append(ports, monban.Port{Num: 8080, Proto: proto}) // nobody's
	}
	return ports
}

// generator writes rulesets in the language of nft(8).
type generator struct {
	rng     *rand.Rand
	sources []netip.Addr // that the rules tell apart
	b       strings.Builder
	sets    []string
	family  string
	chains  int // regular chains of the table
	// unforeseen: rules with rates, sets that rules fill, and chance.
	unforeseen bool
}

func (g *generator) one(of ...string) string { return of[g.rng.IntN(len(of))] }
func (g *generator) chance(percent int) bool { return g.rng.IntN(100) < percent }
func (g *generator) say(format string, args ...any) {
	fmt.Fprintf(&g.b, format, args...)
}

func (g *generator) ruleset() string {
	for i := range 1 + g.rng.IntN(3) {
		g.table(i)
	}
	if g.chance(25) {
		g.devices()
	}
	return g.b.String()
}

// devices writes chains of interfaces themselves: before all others, and behind them.
func (g *generator) devices() {
	g.family = "netdev"
	g.say("table netdev n {\n")
	for n, hook := range [...]string{"ingress", "egress"} {
		if !g.chance(60) {
			continue
		}
		g.say("chain d%d { type filter hook %s devices = { %s } priority %d; policy %s;\n", n, hook,
			g.one("eth0", "eth1", "docker0", "eth0, eth1"), g.rng.IntN(3), g.one("accept", "accept", "accept", "drop"))
		for range 1 + g.rng.IntN(4) {
			v4 := g.chance(60)
			ip := map[bool]string{true: "ip", false: "ip6"}[v4]
			g.say("%s %s\n", g.one(
				fmt.Sprintf("%s saddr %s", ip, g.network(v4)), fmt.Sprintf("%s daddr %s", ip, g.network(v4)),
				"tcp dport "+g.ports(), "tcp sport "+g.ports(), "udp dport "+g.ports(),
				"tcp flags & syn == 0", "tcp flags & (syn|ack) == syn|ack", "meta protocol ip6", "meta l4proto tcp",
				"meta mark set 1 meta l4proto udp"), g.one("accept", "accept", "drop"))
		}
		g.say("}\n")
	}
	g.say("}\n")
}

func (g *generator) table(i int) {
	g.family = g.one("inet", "inet", "ip", "ip6")
	g.sets, g.chains = nil, 1+g.rng.IntN(4)
	g.say("table %s t%d {\n", g.family, i)
	for n := range g.rng.IntN(4) {
		g.set(fmt.Sprintf("s%d", n))
	}
	g.say("counter c { }\nmap counted { type inet_service : counter; elements = { %s : \"c\", %s : \"c\" }; }\n", g.one("22", "53"), g.one("80", "5353"))
	if g.unforeseen {
		g.say("set seen4 { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }\nset seen6 { type ipv6_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n")
	}
	// Chains call only those before them, so that there are no loops.
	for n := range g.chains {
		g.say("chain c%d {\n", n)
		g.rules(n, "", 1+g.rng.IntN(5))
		g.say("}\n")
	}
	hooks := []string{"prerouting", "input", "input", "forward", "output", "postrouting"}
	for n, hook := range hooks {
		if !g.chance(map[string]int{"prerouting": 30, "input": 60, "forward": 40, "output": 20, "postrouting": 10}[hook]) {
			continue
		}
		priority := g.rng.IntN(400) - 350
		if g.chance(60) {
			priority = 0
		}
		if priority == -200 || priority == -100 {
			priority++ // whether before or after the kernel's own is not told
		}
		g.say("chain b%d { type filter hook %s priority %d; policy %s;\n", n, hook, priority, g.one("accept", "drop"))
		if hook != "prerouting" && g.chance(70) || g.chance(20) {
			g.say("ct state established,related accept\n")
		}
		if g.chance(70) {
			g.say("meta l4proto { icmp, icmpv6 } accept\n")
		}
		g.rules(g.chains, hook, 1+g.rng.IntN(8))
		g.say("}\n")
	}
	if g.chance(40) {
		g.say("chain nat { type nat hook prerouting priority %d;\n", g.rng.IntN(100)-100)
		for range 1 + g.rng.IntN(3) {
			g.translation()
		}
		g.say("}\nchain tracking { ct state new\n}\n")
	}
	for n, hook := range [...]string{"input", "postrouting"} { // where the source would be translated
		if g.chance(10) {
			g.say("chain tracking { ct state new\n}\nchain n%d { type nat hook %s priority %d;\n%s %s\n}\n", n, hook, g.rng.IntN(200), g.test(""), g.one("drop", "accept"))
		}
	}
	g.say("}\n")
}

// v4 reports whether rules of the table may speak of IPv4 addresses; of both in an
// inet table, by chance.
func (g *generator) v4() bool {
	switch g.family {
	case "ip":
		return true
	case "ip6":
		return false
	}
	return g.chance(60)
}

func (g *generator) addr(v4 bool) netip.Addr {
	if v4 {
		a := netip.AddrFrom4([4]byte{byte(g.rng.IntN(220) + 1), byte(g.rng.IntN(4)), byte(g.rng.IntN(256)), byte(g.rng.IntN(256))})
		g.sources = append(g.sources, a)
		return a
	}
	b := netip.MustParseAddr("2001:db8:99::").As16()
	for i := 8; i < 16; i++ {
		b[i] = byte(g.rng.IntN(256))
	}
	a := netip.AddrFrom16(b)
	g.sources = append(g.sources, a)
	return a
}

// network is a prefix, a range or one address.
func (g *generator) network(v4 bool) string {
	a := g.addr(v4)
	switch g.rng.IntN(3) {
	case 0:
		bits := g.rng.IntN(33)
		if !v4 {
			bits = 40 + g.rng.IntN(89)
		}
		p := netip.PrefixFrom(a, bits).Masked()
		last := monban.RangeOf(p)
		g.sources = append(g.sources, last.First, last.Last)
		return p.String()
	case 1:
		b := g.addr(v4)
		if b.Less(a) {
			a, b = b, a
		}
		if a == b {
			return a.String()
		}
		return a.String() + "-" + b.String()
	}
	return a.String()
}

func (g *generator) networks(v4 bool) string {
	var list []string
	at := 0
	for range 1 + g.rng.IntN(4) {
		// They must not overlap: each in a part of the space of its own.
		at += 20 + g.rng.IntN(30)
		if v4 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at), byte(g.rng.IntN(256)), byte(g.rng.IntN(256)), 0}), 8+g.rng.IntN(17)).Masked()
			r := monban.RangeOf(p)
			g.sources = append(g.sources, r.First, r.Last)
			if g.chance(50) {
				list = append(list, p.String())
			} else {
				list = append(list, r.First.Next().String()+"-"+r.Last.String())
			}
			continue
		}
		b := netip.MustParseAddr("2001:db8:99::").As16()
		b[8] = byte(at)
		p := netip.PrefixFrom(netip.AddrFrom16(b), 72+g.rng.IntN(50))
		r := monban.RangeOf(p)
		g.sources = append(g.sources, r.First, r.Last)
		list = append(list, p.String())
	}
	return "{ " + strings.Join(list, ", ") + " }"
}

// set writes a named set or map.
func (g *generator) set(name string) {
	v4 := g.v4()
	kind, f := "ipv4_addr", "4"
	if !v4 {
		kind, f = "ipv6_addr", "6"
	}
	switch g.rng.IntN(5) {
	case 4: // they overlap, and the first one counts
		g.say("map %s { type %s . inet_service : verdict; flags interval; elements = { %s . %s : %s, %s . %s : %s, %s . 0-65535 : %s }; }\n", name, kind,
			g.network(v4), g.one("22", "20-100"), g.one("accept", "drop"), g.network(v4), g.one("53", "50-6000"), g.one("accept", "drop", "continue"), g.network(v4), g.one("accept", "drop"))
		g.sets = append(g.sets, "vmap"+f+name)
	case 0:
		g.say("set %s { type %s; flags interval; auto-merge; elements = %s; }\n", name, kind, g.networks(v4))
		g.sets = append(g.sets, "addr"+f+name)
	case 1:
		g.say("set %s { type %s; elements = { %s, %s }; }\n", name, kind, g.addr(v4), g.addr(v4).Next())
		g.sets = append(g.sets, "addr"+f+name)
	case 2:
		g.say("set %s { type %s . inet_service; flags interval; elements = { %s . %s, %s . 53 }; }\n", name, kind, g.network(v4), g.one("22", "80-443", "5353"), g.addr(v4))
		g.sets = append(g.sets, "pair"+f+name)
	case 3:
		g.say("map %s { type %s : mark; flags interval; elements = { %s : 1, %s : 2 }; }\n", name, kind, g.addr(v4), g.addr(v4).Next().Next().Next())
		g.sets = append(g.sets, "mark"+f+name)
	}
}

func (g *generator) ports() string {
	return g.one("22", "80", "443", "53", "5353", "8080", "{ 22, 80 }", "{ 53, 5353 }", "20-100", "{ 22, 100-500, 8080 }", "!= 22", "!= { 80, 53 }", ">= 443", "< 80")
}

// test writes one test.
func (g *generator) test(hook string) string {
	v4 := g.v4()
	ip := "ip"
	if !v4 {
		ip = "ip6"
	}
	not := ""
	if g.chance(20) {
		not = "!= "
	}
	switch g.rng.IntN(15) {
	case 0, 1, 2:
		if g.chance(40) {
			return ip + " saddr " + not + g.networks(v4)
		}
		return ip + " saddr " + not + g.network(v4)
	case 3, 4:
		if g.chance(10) {
			return "counter name " + g.one("tcp", "udp", "th") + " dport map @counted"
		}
		return g.one("tcp", "udp", "th") + " dport " + g.ports()
	case 5:
		return g.one("tcp", "udp") + " dport " + g.ports() + " " + ip + " saddr " + not + g.network(v4)
	case 6:
		if v4 {
			return "ip daddr " + not + g.one(serverV4a, serverV4b, "10.1.0.0/16", containerV4)
		}
		return "ip6 daddr " + not + g.one(serverV6a, serverV6b, "2001:db8:1::/64", containerV6)
	case 7:
		return g.one(`iifname "eth0"`, `iifname "eth*"`, `iifname != "eth1"`, `iifname { "eth0", "lo" }`, `oifname "docker0"`, `iifname . oifname { "eth0" . "docker0" }`)
	case 8:
		return "ct state " + g.one("new", "established,related", "invalid", "untracked", "new,established", "!= new")
	case 9:
		return "meta mark " + g.one("0", "1", "2", "!= 0", "& 1 == 1")
	case 10:
		return g.one("fib saddr . iif oif missing", "fib saddr . iif oif exists", "fib daddr . iif type local", "fib saddr type { unicast, multicast }", "fib daddr type local", "fib saddr type unicast", "fib daddr type != local", "ct status dnat", "ct direction original", "ct original proto-dst 8080")
	case 11:
		if g.family == "inet" && g.chance(40) {
			return g.one("meta nfproto ipv4", "meta nfproto ipv6")
		}
		return g.one("meta l4proto tcp", "meta l4proto udp", "meta l4proto { tcp, udp }", "tcp flags & (syn|ack) == syn")
	}
	if len(g.sets) > 0 {
		s := g.sets[g.rng.IntN(len(g.sets))]
		kind, f, name := s[:4], s[4:5], s[5:]
		ip = "ip"
		if f == "6" {
			ip = "ip6"
		}
		switch kind {
		case "addr":
			return fmt.Sprintf("%s saddr %s@%s", ip, not, name)
		case "pair":
			return fmt.Sprintf("%s saddr . %s dport %s@%s", ip, g.one("tcp", "udp", "th"), not, name)
		case "vmap":
			return fmt.Sprintf("%s saddr . %s dport vmap @%s continue", ip, g.one("tcp", "udp", "th"), name)
		case "mark":
			return fmt.Sprintf("meta mark set %s saddr map @%s", ip, name)
		}
	}
	return ip + " saddr " + g.network(v4)
}

func (g *generator) verdict(below int, hook string) string {
	options := []string{"accept", "accept", "drop", "drop", "return", "continue", "counter"}
	if hook == "input" || hook == "forward" {
		options = append(options, "reject")
	}
	if below > 0 {
		options = append(options, "jump", "jump", "goto")
	}
	switch v := g.one(options...); v {
	case "jump", "goto":
		return fmt.Sprintf("%s c%d", v, g.rng.IntN(below))
	default:
		return v
	}
}

func (g *generator) rules(below int, hook string, n int) {
	for range n {
		if g.unforeseen && g.chance(15) {
			g.unforeseenRule(below, hook)
			continue
		}
		switch g.rng.IntN(12) {
		case 0:
			g.say("meta mark set %s %s\n", g.one("1", "2", "meta mark | 1", "meta mark & 2"), g.one("", "counter"))
		case 1:
			g.say("ct mark set 1\n")
		case 2:
			g.say("%s dport vmap { 22 : %s, 80-443 : %s, 5353 : %s }\n", g.one("tcp", "udp", "th"), g.vmapVerdict(below), g.vmapVerdict(below), g.vmapVerdict(below))
		case 3:
			v4 := g.v4()
			ip := map[bool]string{true: "ip", false: "ip6"}[v4]
			a := g.addr(v4)
			g.say("%s saddr vmap { %s : %s, %s : %s }\n", ip, a, g.vmapVerdict(below), a.Next().Next(), g.vmapVerdict(below))
		case 4:
			g.say("%s %s\n", g.one("ct mark 1", "ct state vmap { new : continue, established : accept, invalid : drop }"), "")
		default:
			test := g.test(hook)
			if g.chance(30) && hook == "prerouting" && g.chance(30) {
				g.say("%s notrack\n", test)
				continue
			}
			if g.chance(30) {
				// A second test; not two of one kind, which nft may refuse.
				g.say("%s %s %s\n", g.one(`iifname "eth0"`, `iifname != "eth0"`, "meta mark 0", "ct state new"), test, g.verdict(below, hook))
				continue
			}
			g.say("%s %s\n", test, g.verdict(below, hook))
		}
	}
}

func (g *generator) vmapVerdict(below int) string {
	v := g.verdict(below, "")
	if v == "counter" {
		return "continue"
	}
	return v
}

// translation writes a rule that sends packets elsewhere, to where somebody
// listens.
func (g *generator) translation() {
	v4 := g.v4()
	ip, to, own := "ip", containerV4, g.one(serverV4a, serverV4b)
	if !v4 {
		ip, to, own = "ip6", "["+containerV6+"]", "["+g.one(serverV6a, serverV6b)+"]"
	}
	limit := ""
	if g.chance(50) {
		limit = fmt.Sprintf("%s saddr %s ", ip, g.network(v4))
	}
	if g.chance(30) {
		limit += g.one(`iifname "eth0" `, "fib daddr type local ")
	}
	switch g.rng.IntN(7) {
	case 5: // one of the range keeps its port
		g.say("%stcp dport %s redirect to :%s\n", limit, g.one("22", "80", "22-443", "8080"), g.one("22-80", "80-443", "80-81"))
	case 6:
		if v4 {
			g.say("%sdnat ip to %s dport map { 8080 : %s . 80, 5353 : %s . %s }\n", limit, g.one("tcp", "udp"), to, own, g.one("53", "22"))
		} else {
			g.say("%sdnat ip6 to %s dport map { 8080 : %s . 80, 5353 : %s . %s }\n", limit, g.one("tcp", "udp"), strings.Trim(to, "[]"), strings.Trim(own, "[]"), g.one("53", "22"))
		}
	case 0, 1:
		g.say("%s%s dport %s dnat %s to %s:80\n", limit, g.one("tcp", "udp"), g.one("8080", "8080", "22", "{ 53, 8080 }"), ip, to)
	case 2:
		g.say("%stcp dport 8080 redirect to :%s\n", limit, g.one("22", "80", "443"))
	case 3:
		g.say("%sudp dport 8080 dnat %s to %s:53\n", limit, ip, own)
	case 4:
		g.say("%stcp dport 8080 %s\n", limit, g.one("accept", "return", "drop"))
	}
}

// unforeseenRule writes a rule whose outcome depends on what came before it, or on
// chance.
func (g *generator) unforeseenRule(below int, hook string) {
	ip, f := "ip", "4"
	if !g.v4() {
		ip, f = "ip6", "6"
	}
	port := g.one("tcp", "udp", "th") + " dport " + g.ports()
	switch g.rng.IntN(6) {
	case 0:
		g.say("%s limit rate %s%d/second %s\n", port, g.one("", "over "), 1+g.rng.IntN(50), g.verdict(below, hook))
	case 1:
		g.say("%s add @seen%s { %s saddr }\n", port, f, ip)
	case 2:
		g.say("%s saddr %s@seen%s %s\n", ip, g.one("", "!= "), f, g.verdict(below, hook))
	case 3:
		g.say("%s add @seen%s { %s saddr limit rate over 1/second } %s\n", port, f, ip, g.verdict(below, hook))
	case 4:
		g.say("numgen random mod 4 %s %s\n", g.one("0", "1-2", "!= 3"), g.verdict(below, hook))
	case 5:
		g.say("%s %s saddr %s quota over %d bytes %s\n", port, ip, g.network(ip == "ip"), g.rng.IntN(1000), g.verdict(below, hook))
	}
}

// TestReachUnforeseen proves, on random rulesets with limits on rates, sets that rules
// fill and chance, that what is said without a condition holds without one.
func TestReachUnforeseen(t *testing.T) {
	t.Parallel()
	rulesets, seed := 100, rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("MONBAN_REACH_SEED"), 10, 64); err == nil {
		seed = n
	}
	r := newShootingRange(t, seed)
	r.replay = fmt.Sprintf("MONBAN_REACH_SEED=%d", seed)
	ports := r.openDoors()
	refused := 0
	for i := range rulesets {
		g := generator{rng: r.rng, unforeseen: true}
		text := g.ruleset()
		for err := r.nft(text); err != nil; err = r.nft(text) {
			if refused++; refused > rulesets {
				t.Fatalf("nft refuses most: %v\n%s", err, text)
			}
			g = generator{rng: r.rng, unforeseen: true}
			text = g.ruleset()
		}
		r.check(fmt.Sprintf("ruleset %d", i), text, g.sources, ports, 100)
		if t.Failed() {
			break
		}
	}
	t.Logf("%+v, %d refused", r.tally, refused)
	if r.tally.unknown > 0 || r.tally.conditional == 0 || r.tally.conditional*4 > r.tally.probes {
		t.Errorf("a proof needs conditions, and many without: %+v", r.tally)
	}
}
