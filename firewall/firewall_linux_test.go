package firewall

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// load loads rules in the language of nft(8) into a namespace and reads them.
func load(t *testing.T, text string) *monban.Ruleset {
	t.Helper()
	ns := netnstest.New(t)
	nft(t, ns, text)
	return readIn(t, ns)
}

func nft(t *testing.T, ns *netnstest.NS, text string) {
	t.Helper()
	netnstest.Need(t, "nft")
	cmd := ns.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

func readIn(t *testing.T, ns *netnstest.NS) (rules *monban.Ruleset) {
	t.Helper()
	var gaps []monban.Gap
	ns.Do(func() { rules, gaps = Read(Options{AllSets: true}) })
	if rules == nil || len(gaps) > 0 {
		t.Fatalf("not read: %v", gaps)
	}
	return rules
}

// chainText writes the rules of a chain, one a line.
func chainText(t *testing.T, r *monban.Ruleset, name string) string {
	t.Helper()
	var b strings.Builder
	for i := range r.Tables {
		c := r.Tables[i].Chain(name)
		if c == nil {
			continue
		}
		for k := range c.Rules {
			b.WriteString(c.Rules[k].Text(&r.Tables[i]) + "\n")
		}
	}
	return b.String()
}

// TestRules reads back what nft(8) wrote, expression by expression.
func TestRules(t *testing.T) {
	r := load(t, `
table inet x {
	set bad { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.5-192.0.2.9, 1.2.3.4 } }
	set cc { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 22-80, 1.2.3.4 . 443 } }
	map m { type inet_service : verdict; elements = { 22 : jump ssh, 80 : accept } }
	map to { type inet_service : ipv4_addr . inet_service; elements = { 8080 : 10.1.1.1 . 80 } }
	set dyn { type ipv4_addr; flags dynamic; timeout 1m; size 1000; }
	chain ssh { ip saddr 10.1.0.0/16 accept; ip6 saddr fe80::/10 accept; ip saddr != @bad drop; return; }
	chain in { type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iif lo accept
		iifname "eth*" tcp dport { 22, 80, 1000-2000 } accept
		tcp dport vmap @m
		ip saddr . tcp dport @cc accept
		ip saddr & 0.0.255.255 == 0.0.1.1 drop
		meta mark set ip saddr map { 10.0.0.1 : 5 }
		meta mark & 0xff == 0x5 accept
		tcp flags & (fin|syn|rst|ack) == syn counter accept
		update @dyn { ip saddr limit rate over 10/minute } drop
		limit rate 10/minute burst 5 packets accept comment "hello"
		fib daddr type local accept
		fib saddr . iif oif missing drop
		meta skuid 0 accept
		meta hour "10:00"-"12:00" accept
		ip saddr 1.1.1.1 ip daddr 1.2.3.4 drop
		tcp dport != { 1, 2 } reject
	}
	chain pre { type nat hook prerouting priority dstnat;
		dnat ip to tcp dport map @to
		meta l4proto tcp dnat ip6 to [fe80::1]:80
		tcp dport 8081 redirect to :80
	}
	chain raw { type filter hook prerouting priority raw; udp dport 53 notrack; }
}
`)
	want := map[string]string{
		"ssh": `ip saddr 10.1.0.0/16 accept
ip6 saddr fe80::/10 accept
ip saddr != @bad drop
return
`,
		"in": `ct state vmap { invalid : drop, established : accept, related : accept }
iif 1 accept
iifname "eth*" tcp dport { 22, 80, 1000-2000 } accept
tcp dport vmap @m
meta nfproto ipv4 meta l4proto tcp ip saddr . tcp dport @cc accept
ip saddr & 0.0.255.255 0.0.1.1 drop
meta mark set ip saddr map { 10.0.0.1 : 0x05000000 }
meta mark & 0xff 0x5 accept
tcp flags & fin,syn,rst,ack syn counter accept
update @dyn { ip saddr } drop
limit rate 10/minute accept comment "hello"
fib daddr type local accept
fib saddr . iif oif missing drop
meta skuid … accept
meta hour accept
ip saddr 1.1.1.1 ip daddr 1.2.3.4 drop
tcp dport != { 1, 2 } reject
`,
		"pre": `meta nfproto ipv4 dnat to tcp dport map @to
meta l4proto tcp meta nfproto ipv6 dnat to [fe80::1]:80
tcp dport 8081 redirect to :80
`,
		"raw": "udp dport 53 notrack\n",
	}
	for name, want := range want {
		if got := chainText(t, r, name); got != want {
			t.Errorf("chain %s:\n%swant:\n%s", name, got, want)
		}
	}
	table := r.Table(monban.TableInet, "x")
	if c := table.Chain("in"); c.Hook != monban.HookInput || c.Policy.Kind != monban.ActDrop || c.Type != "filter" {
		t.Errorf("%+v", c)
	}
	if s := table.Set("dyn"); !s.Dynamic {
		t.Errorf("%+v", s)
	}
	if c := table.Chain("raw"); c.Priority != -300 {
		t.Errorf("priority %d", c.Priority)
	}
}

// TestIPTables reads what iptables-nft writes: structures of x_tables.
func TestIPTables(t *testing.T) {
	netnstest.Need(t, "iptables-nft")
	ns := netnstest.New(t)
	for _, line := range strings.Split(strings.TrimSpace(`
-A INPUT -p tcp -m multiport --dports 22,80,1000:2000 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 --tcp-flags SYN,ACK SYN -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate DNAT --ctorigdst 10.0.0.0/8 -j ACCEPT
-A INPUT -m conntrack ! --ctstate NEW --ctorigdstport 80 -j ACCEPT
-A INPUT -m state --state NEW -j ACCEPT
-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT
-A INPUT -m addrtype ! --src-type LOCAL,MULTICAST -j RETURN
-A INPUT -m mark --mark 0x1/0xff -j ACCEPT
-A INPUT -m connmark ! --mark 0x2 -j ACCEPT
-A INPUT -m iprange --src-range 10.0.0.5-10.0.0.9 -j DROP
-A INPUT -m pkttype --pkt-type unicast -j ACCEPT
-A INPUT -m limit --limit 3/min -j LOG
-A INPUT -p tcp -m recent --name ssh --set
-A INPUT -p tcp -m recent --name ssh --update --seconds 30 --hitcount 6 -j DROP
-A INPUT -m statistic --mode random --probability 0.5 -j DROP
-A INPUT -m ttl --ttl-eq 255 -j ACCEPT
-A INPUT -m comment --comment hello -j REJECT
-t mangle -A PREROUTING -j MARK --set-xmark 0x10/0xf0
-t mangle -A PREROUTING -j CONNMARK --save-mark
-t raw -A PREROUTING -p udp -j CT --notrack
-t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
-t nat -A PREROUTING -p tcp --dport 8082 -j REDIRECT --to-ports 80
-t nat -A POSTROUTING -j MASQUERADE
`), "\n") {
		ns.Run("iptables-nft", strings.Fields(line)...)
	}
	r := readIn(t, ns)
	got := chainText(t, r, "INPUT") + "--\n" + chainText(t, r, "PREROUTING") + "--\n" + chainText(t, r, "POSTROUTING")
	golden := "testdata/iptables.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("%v\ngot:\n%swant:\n%s", err, got, want)
	}
	for _, table := range r.Tables {
		for _, c := range table.Chains {
			for _, rule := range c.Rules {
				for _, s := range rule.Steps {
					if s.Op == monban.OpOpaque && s.Name != "xt match ttl" {
						t.Errorf("opaque: %s", rule.Text(&table))
					}
				}
			}
		}
	}
}

// TestSets compares sets of ranges with the addresses that went into them.
func TestSets(t *testing.T) {
	r := load(t, `
table ip x {
	set ranges { type ipv4_addr; flags interval; elements = { 0.0.0.0/8, 9.255.255.255, 10.0.0.0/8, 11.0.0.0-11.0.0.5, 255.255.255.0/24 } }
	set many { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 22-80, 1.2.3.4 . 443 } }
	set brief { type ipv4_addr; flags timeout; elements = { 10.0.0.1 timeout 1h } }
	map rest { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/8 : drop, * : accept } }
	chain c { ip saddr . tcp dport @many accept; ip saddr vmap @rest; ip saddr @brief drop; }
}
`)
	table := r.Table(monban.TableIP, "x")
	var got []string
	for _, e := range table.Set("ranges").Elements {
		first, _ := netip.AddrFromSlice(e.First)
		last, _ := netip.AddrFromSlice(e.Last)
		got = append(got, monban.AddrRange{First: first, Last: last}.String())
	}
	want := []string{"0.0.0.0/8", "9.255.255.255", "10.0.0.0/8", "11.0.0.0-11.0.0.5", "255.255.255.0/24"}
	if !slices.Equal(got, want) {
		t.Errorf("ranges %v", got)
	}
	many := table.Set("many")
	if fmt.Sprint(many.Fields) != "[4 2]" || len(many.Elements) != 2 {
		t.Errorf("%+v", many)
	}
	if e := table.Set("brief").Elements; len(e) != 1 || e[0].Expires <= 0 || e[0].Expires.Hours() > 1 {
		t.Errorf("%+v", e)
	}
	rest := table.Set("rest")
	if rest.Else == nil || rest.Else.Action.Kind != monban.ActAccept || len(rest.Elements) != 1 || rest.Elements[0].Action.Kind != monban.ActDrop {
		t.Errorf("%+v", rest)
	}
}

// TestUnread proves that sets of other ports' rules, and of chains that no packet
// comes to, are not read.
func TestUnread(t *testing.T) {
	ns := netnstest.New(t)
	nft(t, ns, `
table ip x {
	set mine { type ipv4_addr; elements = { 10.0.0.1 } }
	set other { type ipv4_addr; elements = { 10.0.0.1 } }
	set idle { type ipv4_addr; elements = { 10.0.0.1 } }
	chain unused { ip saddr @idle drop; }
	chain in { type filter hook input priority 0; tcp dport 22 ip saddr @mine accept; tcp dport 80 ip saddr @other accept; }
}`)
	var r *monban.Ruleset
	ns.Do(func() { r, _ = Read(Options{Ports: []monban.PortRange{{First: 20, Last: 25}}}) })
	if r == nil {
		t.Fatal("not read")
	}
	table := r.Table(monban.TableIP, "x")
	if table.Set("mine").Unread || !table.Set("other").Unread || !table.Set("idle").Unread {
		t.Errorf("%+v", table.Sets)
	}
}

// TestTranslations wants the sets that translations ask read, and others left alone.
func TestTranslations(t *testing.T) {
	ns := netnstest.New(t)
	cmd := ns.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(`table ip x {
	set block { type ipv4_addr; elements = { 192.0.2.1 }; }
	map to { type inet_service : ipv4_addr; elements = { 8080 : 10.0.0.2 }; }
	chain in { type filter hook input priority 0; ip saddr @block drop
	}
	chain nat { type nat hook prerouting priority -100; dnat to tcp dport map @to
	}
}
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ns.Do(func() {
		r, gaps := Read(Options{Translations: true})
		if r == nil {
			t.Fatal(gaps)
		}
		x := r.Table(monban.TableIP, "x")
		if to, block := x.Set("to"), x.Set("block"); to.Unread || len(to.Elements) != 1 || !block.Unread {
			t.Errorf("%+v\n%+v", to, block)
		}
	})
}

// TestUnprivileged wants a gap, and no ruleset, without privilege.
func TestUnprivileged(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, netnstest.Nobody)
		return
	}
	rules, gaps := Read(Options{})
	if rules != nil || len(gaps) != 1 || gaps[0].Hides != monban.HidesRules {
		t.Errorf("%v %v", rules, gaps)
	}
}
