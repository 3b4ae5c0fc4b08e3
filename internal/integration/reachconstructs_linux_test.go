package integration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/internal/netnstest"
)

// construct is a ruleset that has one thing in it which the random ones have not.
type construct struct {
	name string
	nft  string
	sh   string // run in the server's network behind that
	undo string
	// by is what packets for the second cable come in by, where it is not that.
	by string
	// at are addresses to knock at besides the usual ones.
	at []string
	// unknown is a part of the rule that an undecided answer has to name; "" wants
	// every answer decided.
	unknown string
	// sure are ports of which every answer comes without a condition.
	sure []uint16
}

// in is a table with one chain at the hook that packets for this machine pass.
func in(policy, rules string) string {
	return "table inet t {\nchain in { type filter hook input priority 0; policy " + policy + ";\n" + rules + "\n}\n}\n"
}

const established = "ct state established accept\n"

func constructs() []construct {
	return []construct{
		{name: "drop in a nat input chain", nft: `table ip t { chain n { type nat hook input priority 100; tcp dport 22 drop
 ip saddr 192.0.2.0/24 udp dport 53 drop
 } }`, unknown: "drop"},
		{name: "drop in a nat input chain beside tracking", nft: `table ip t { chain n { type nat hook input priority 100; tcp dport 22 drop
 ip saddr 192.0.2.0/24 udp dport 53 drop
 }
 chain in { type filter hook input priority 0; ct state invalid drop
 } }`},
		{name: "snat before a later input chain", nft: `table ip t { chain n { type nat hook input priority 100; ip saddr 192.0.2.0/24 snat to 198.51.100.77
 }
 chain in { type filter hook input priority 200; policy drop; ct state established accept
 ip saddr 198.51.100.77 accept
 ip saddr 203.0.113.0/24 accept
 } }`, unknown: "ip saddr 198.51.100.77 accept"},
		{name: "drop in a nat prerouting chain", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 22 ip saddr 192.0.2.0/24 drop
 }
 chain in { type filter hook input priority 0; ct state invalid drop
 } }`},
		{name: "nat policy drop", nft: `table ip t { chain n { type nat hook prerouting priority -100; policy drop; tcp dport 22 accept
 } }`, unknown: "accept"},
		{name: "nat policy drop beside tracking", nft: `table ip t { chain n { type nat hook prerouting priority -100; policy drop; tcp dport 22 accept
 }
 chain in { type filter hook input priority 0; ct state invalid drop
 } }`},
		{name: "egress", nft: `table netdev t { chain e { type filter hook egress device eth0 priority 0; tcp sport 22 drop
 ip daddr 192.0.2.0/24 tcp sport 80 drop
 } }`},
		{name: "ingress third packet", nft: `table netdev t { chain e { type filter hook ingress device eth0 priority 0; tcp flags & syn == 0 tcp dport 22 drop
 } }`},
		{name: "ingress of the container's cable", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 } }
table netdev n { chain e { type filter hook ingress device docker0 priority 0; tcp sport 80 drop
 } }`},
		// An answer has the source that was asked again behind routing, at priority 100.
		{name: "egress of what is translated back", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 udp dport 5353 redirect to :53
 } }
table netdev n { chain e { type filter hook egress device eth0 priority 0; tcp sport 80 ip saddr 172.17.0.2 drop
 tcp sport 8080 ip daddr 192.0.2.0/24 drop
 udp sport 53 drop
 } }`},
		{name: "postrouting of what is translated back", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 tcp dport 443 redirect to :22
 }
 chain before { type filter hook postrouting priority 50; tcp sport { 22, 80 } ip daddr 192.0.2.0/24 drop
 tcp sport { 443, 8080 } drop
 }
 chain behind { type filter hook postrouting priority 150; tcp sport { 443, 8080 } ip daddr 203.0.113.0/24 drop
 tcp sport 22 drop
 } }`},
		{name: "postrouting of what came in by nothing", nft: `table inet t { chain p { type filter hook postrouting priority 0; iifname != "eth1" accept
 tcp sport { 22, 80 } drop
 iif 0 drop
 } }`},
		{name: "inet ingress", nft: `table inet t { chain e { type filter hook ingress device eth1 priority 0; meta nfproto ipv4 tcp dport 22 drop
 ip6 saddr 2001:db8:99::/64 drop
 } }`},
		{name: "ingress by mark", nft: `table netdev n { chain e { type filter hook ingress device eth0 priority 0; ip saddr 192.0.2.0/24 meta mark set 7
 } }
` + in("drop", established+"meta mark 7 accept")},
		{name: "pkttype set", nft: `table netdev n { chain e { type filter hook ingress device eth0 priority 0; ip saddr 192.0.2.0/24 meta pkttype set other
 } }`, unknown: "pkttype"},
		{name: "objref map", nft: `table inet t { counter c22 { }
 map m { type inet_service : counter; elements = { 22 : "c22" }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 counter name tcp dport map @m accept
 } }`},
		{name: "zone", nft: `table inet t { chain p { type filter hook prerouting priority -300; iifname "eth0" ct zone set 5
 }
 chain o { type filter hook output priority 0; policy drop; ct state established accept
 } }`, unknown: "ct"},
		{name: "zone one way", nft: `table inet t { chain p { type filter hook prerouting priority -300; ct original zone set 5
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport 22 ct state new accept
 } }`},
		{name: "redirect to a range", nft: `table inet t { chain n { type nat hook prerouting priority -100; tcp dport 80-443 redirect to :80-443
 tcp dport 8080 redirect to :22-25
 } }`},
		{name: "redirect to where it goes anyway", nft: `table inet t { chain n { type nat hook prerouting priority -100; udp dport 53 dnat ip to 10.1.0.1:53
 tcp dport { 80, 8080 } redirect to :80
 }
 chain in { type filter hook input priority 0; ct status dnat drop
 } }`},
		{name: "steps behind continue", nft: in("accept", `tcp dport vmap { 22 : continue, 80 : accept } drop
 ip saddr 192.0.2.0/24 continue udp dport 53 drop`)},
		{name: "untracked answers", nft: `table inet t { chain o { type filter hook output priority raw; tcp sport 22 notrack
 }
 chain p { type filter hook prerouting priority raw; iifname "docker0" notrack
 }
 chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat ip to 172.17.0.2:80
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp flags & (syn | ack) == syn ct state new accept
 } }`},
		{name: "redirect random range", nft: `table inet t { chain n { type nat hook prerouting priority -100; tcp dport 8080 redirect to :22-25 random
 } }
` + in("accept", "tcp dport 22 drop")},
		{name: "dnat to a range of addresses", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.1.0.1-10.1.0.3:80
 }
 chain f { type filter hook forward priority 0; policy drop;
 } }`, unknown: "dnat"},
		{name: "dnat by a map", nft: `table ip t { map m { type inet_service : ipv4_addr . inet_service; elements = { 8080 : 172.17.0.2 . 80, 5353 : 10.2.0.1 . 53 }; }
 chain n { type nat hook prerouting priority -100; dnat ip to tcp dport map @m
 dnat ip to udp dport map @m
 } }`},
		{name: "dnat persistent", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80 persistent
 udp dport 8080 dnat to 172.17.0.2:80 fully-random
 } }`},
		{name: "masquerade on the way", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 } chain p { type nat hook postrouting priority 100; oifname "docker0" masquerade
 }
 chain q { type filter hook postrouting priority 300; policy drop; ip saddr 172.17.0.1 accept
 oifname != "docker0" accept
 } }`, unknown: "ip saddr 172.17.0.1 accept"},
		{name: "fib reverse path", nft: `table inet t { chain p { type filter hook prerouting priority 0; fib saddr . iif oif missing drop
 } }`},
		{name: "fib local by device", nft: `table inet t { chain p { type filter hook prerouting priority 0; fib daddr . iif type != local drop
 } }`},
		{name: "fib oifname", nft: in("drop", established+`fib saddr oifname "eth0" accept`), unknown: "fib"},
		{name: "fib types", nft: in("drop", established+`fib saddr type { unicast, blackhole } accept`)},
		{name: "mark and connmark across hooks", nft: `table inet a { chain p { type filter hook prerouting priority -300; ip saddr 192.0.2.0/24 meta mark set 5
 }
 chain q { type filter hook prerouting priority -150; meta mark 5 ct mark set meta mark
 ct mark 5 meta mark set 0x10
 }
 chain in { type filter hook input priority 5; policy drop; ct state established ct mark 5 accept
 meta mark & 0xf0 == 0x10 accept
 } }`},
		{name: "restore in output", nft: `table inet a { chain p { type filter hook prerouting priority 0; ip saddr 192.0.2.0/24 ct mark set 9
 }
 chain o { type route hook output priority -150; meta mark set ct mark
 }
 chain o2 { type filter hook output priority 0; policy drop; meta mark 9 accept
 } }`},
		{name: "intervals and else", nft: `table inet t { map v { type ipv4_addr : verdict; flags interval; elements = { 192.0.2.0/24 : accept, 198.51.100.0-198.51.100.9 : drop, * : continue }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr vmap @v
 ip6 saddr 2001:db8:99::/80 accept
 } }`},
		{name: "pipapo vmap with timeouts", nft: `table inet t { map v { type ipv4_addr . inet_service : verdict; flags interval,timeout; elements = { 192.0.2.0/24 . 22-80 timeout 1h : accept, 198.51.100.0-198.51.100.9 . 443 timeout 1h : accept, 0.0.0.0/0 . 53 timeout 1h : drop }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr . tcp dport vmap @v
 ip saddr . udp dport vmap @v
 } }`},
		{name: "three parts", nft: `table inet t { set s { type ifname . ipv4_addr . inet_service; flags interval; elements = { "eth0" . 192.0.2.0/24 . 20-30, "eth1" . 198.51.100.0/24 . 80 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 iifname . ip saddr . tcp dport @s accept
 iifname . ip saddr . tcp dport != @s tcp dport 443 accept
 } }`},
		{name: "ifname wildcards in a set", nft: in("drop", established+`iifname { "eth0*", "dock*" } tcp dport 22 accept
 iifname "eth*" tcp dport 80 accept`)},
		{name: "raw payload", nft: in("drop", established+`meta l4proto tcp @th,16,16 22 accept
 meta nfproto ipv4 @nh,96,32 0xc0000201 accept
 meta l4proto udp @th,0,32 & 0x0000ffff == 53 accept`)},
		{name: "raw payload of a part", nft: in("drop", established+`meta l4proto tcp @th,24,8 22 accept
 meta nfproto ipv4 @nh,104,16 0x0002 accept`), unknown: "@nh"},
		{name: "exthdr", nft: in("accept", `exthdr hbh exists drop
 ip option rr exists drop
 tcp option maxseg size < 100 tcp dport 22 drop`)},
		{name: "fragments", nft: in("accept", `ip frag-off & 0x1fff != 0 drop`)},
		{name: "fragments and whole packets", nft: in("accept", `ip frag-off & 0x3fff == 0 ip saddr 192.0.2.0/24 drop
 ip frag-off & 0x4000 != 0 tcp dport 22 drop
 ip frag-off != 0 udp dport 53 drop`), unknown: "@nh"},
		{name: "fragments that are let in", nft: in("drop", established+`ip frag-off & 0x3fff != 0 accept
 tcp dport 22 accept`), unknown: "ip frag-off"},
		{name: "usual and unusual segments", nft: in("accept", `tcp option maxseg size 1-535 drop
 tcp option maxseg size 1-1500 tcp dport 80 drop
 tcp option maxseg size != 536-65535 tcp dport 22 ip saddr 192.0.2.0/24 drop`), unknown: "tcp option"},
		{name: "xt usual segments", sh: `iptables-nft -A INPUT -p tcp -m conntrack --ctstate NEW -m tcpmss ! --mss 536:65535 -j DROP
iptables-nft -A INPUT -p tcp -m tcpmss --mss 1:500 -j DROP
iptables-nft -A INPUT -f -j DROP
iptables-nft -t raw -A PREROUTING -p tcp --tcp-flags FIN,SYN FIN,SYN -j DROP`},
		{name: "xt unusual segments", sh: `iptables-nft -A INPUT -p tcp --dport 22 -m tcpmss --mss 1400:1500 -j DROP
iptables-nft -A INPUT -p tcp --dport 80 -m tcpmss ! --mss 1000:1400 -j DROP`, unknown: "tcpmss"},
		{name: "shifts", nft: in("drop", established+`meta mark set meta mark | 0x100
 meta mark set meta mark << 4
 meta mark 0x1000 accept`), unknown: "meta mark"},
		{name: "masked source", nft: in("drop", established+`ip saddr & 0.0.0.1 == 0.0.0.1 accept`), unknown: "saddr"},
		{name: "masked prefix", nft: in("drop", established+`ip saddr & 255.255.0.0 == 192.0.0.0 accept
 ip6 saddr & ffff:ffff:: == 2001:db8:: tcp dport 22 accept`)},
		{name: "ct original address", nft: in("drop", established+`ct original ip saddr 192.0.2.0/24 accept
 ct original ip daddr 10.1.0.1 tcp dport 22 accept
 ct original ip6 saddr != 2001:db8:99::/80 accept
 ct original ip saddr != 0.0.0.0/1 udp dport 53 accept`)},
		{name: "ct reply", nft: in("drop", established+`ct reply ip daddr 192.0.2.0/24 accept`), unknown: "ct reply"},
		{name: "ct status", nft: in("drop", `ct status confirmed accept
 ct status seen-reply accept
 tcp dport 22 accept`)},
		{name: "ct helper and labels", nft: in("drop", established+`ct helper "ftp" accept
 ct label 3 accept
 tcp dport 22 accept`), unknown: "ct"},
		{name: "notrack and states", nft: `table inet t { chain p { type filter hook prerouting priority raw; tcp dport 22 notrack
 ip saddr 192.0.2.0/24 udp dport 53 notrack
 }
 chain o { type filter hook output priority raw; tcp sport 22 notrack
 }
 chain in { type filter hook input priority 0; policy drop; ct state established,untracked accept
 tcp dport 80 ct state new accept
 } }`},
		{name: "limit over and last", nft: in("accept", `tcp dport 22 limit rate over 1000/second burst 5 packets drop
 udp dport 53 limit rate 100000/second accept`)},
		{name: "named limits and quotas", nft: `table inet t { limit l { rate 1000/second; }
 quota q { over 100 mbytes; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport 22 limit name "l" accept
 udp dport 53 quota name "q" drop
 udp dport 53 accept
 } }`},
		{name: "limit map", nft: `table inet t { limit l { rate 1000/second; }
 map m { type inet_service : limit; elements = { 22 : "l" }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 limit name tcp dport map @m accept
 } }`},
		{name: "set that gets full", nft: `table inet t { set s { type ipv4_addr; size 2; flags dynamic,timeout; timeout 1h; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 add @s { ip saddr } accept
 } }`},
		{name: "delete from a set", nft: `table inet t { set s { type ipv4_addr; flags dynamic,timeout; timeout 1h; elements = { 192.0.2.1 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr 198.51.100.0/24 delete @s { ip saddr } accept
 ip saddr @s accept
 } }`},
		{name: "connection count", nft: `table inet t { set s { type ipv4_addr; size 65535; flags dynamic; }
 chain in { type filter hook input priority 0; policy accept;
 tcp dport 22 add @s { ip saddr ct count over 2 } reject
 tcp dport 80 ct count over 1000 drop
 } }`},
		{name: "time", nft: in("drop", established+`meta hour "00:00"-"23:59" tcp dport 22 accept
 meta day { "Monday", "Tuesday" } tcp dport 80 accept
 meta time > "2020-01-01 00:00:00" tcp dport 443 accept`), unknown: ""},
		{name: "numgen and hashes", nft: in("drop", established+`tcp dport 22 numgen inc mod 2 0 accept
 tcp dport 80 jhash ip saddr mod 2 seed 0xdead 1 accept
 tcp dport 443 symhash mod 2 vmap { 0 : accept, 1 : drop }`)},
		{name: "numgen that always finds somebody", nft: `table inet t { chain a { ip saddr 192.0.2.0/24 accept
 }
 chain b { ip saddr 192.0.2.0/24 counter accept
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport 22 numgen random mod 3 vmap { 0 : jump a, 1 : jump b, 2 : goto a }
 tcp dport 80 numgen inc mod 100 vmap { 0-49 : goto a, 50-99 : goto b }
 tcp dport 443 jhash ip saddr . tcp sport mod 4 vmap { 0-3 : accept }
 udp dport 53 symhash mod 2 vmap { 0 : jump a, 1 : goto b }
 udp dport 5353 numgen random mod 3 vmap { 0 : jump a, 1 : jump b }
 } }`, sure: []uint16{22, 80, 443, 53}},
		{name: "log", nft: in("drop", established+`tcp dport 22 log group 3 prefix "x" accept
 log level debug flags all`)},
		{name: "queue without a listener", sh: `iptables-nft -A INPUT -p tcp --dport 22 -j NFQUEUE --queue-num 3
iptables-nft -A INPUT -p udp --dport 53 -j NFQUEUE --queue-num 4 --queue-bypass`, unknown: "queue"},
		{name: "reject with", nft: in("accept", `tcp dport 22 reject with tcp reset
 meta nfproto ipv4 udp dport 53 reject with icmp type admin-prohibited`)},
		{name: "two chains at one priority", nft: `table inet a { chain in { type filter hook input priority 0; policy accept; tcp dport 22 accept
 } }
table inet b { chain in { type filter hook input priority 0; policy accept; tcp dport 22 ip saddr 192.0.2.0/24 drop
 } }
table ip c { chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport { 22, 80 } accept
 } }`},
		{name: "dup and fwd", nft: `table netdev n { chain e { type filter hook ingress device eth0 priority 0; ip saddr 192.0.2.0/24 dup to eth1
 ip saddr 198.51.100.0/24 fwd to eth1
 } }`, unknown: "fwd"},
		{name: "socket", nft: in("drop", established+`socket transparent 0 accept
 socket wildcard 1 tcp dport 22 accept`), unknown: "socket"},
		{name: "rt and iifgroup", nft: in("drop", established+`meta iifgroup 0 tcp dport 22 accept
 rt classid 5 accept`), unknown: "iifgroup"},
		{name: "tproxy", nft: `table inet t { chain p { type filter hook prerouting priority -150; ip saddr 192.0.2.0/24 tcp dport 8080 tproxy ip to :80 meta mark set 1 accept
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport 22 accept
 } }`, unknown: "tproxy"},
		{name: "synproxy that works", sh: "echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose", undo: "echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose",
			nft: `table inet t { chain p { type filter hook prerouting priority raw; tcp dport 22 tcp flags syn notrack
 }
 chain in { type filter hook input priority 0; policy drop; tcp dport 22 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
 ct state established accept
 tcp dport { 22, 80 } accept
 } }`, unknown: "synproxy"},
		{name: "untracked and strict", sh: "echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose", undo: "echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose",
			nft: `table inet t { chain p { type filter hook prerouting priority raw; tcp flags syn notrack
 }
 chain in { type filter hook input priority 0; policy drop; ct state untracked accept
 tcp dport 22 ct state invalid accept
 tcp dport 80 ct state new accept
 } }`},
		{name: "synproxy", nft: `table inet t { chain p { type filter hook prerouting priority raw; tcp dport 22 tcp flags syn notrack
 }
 chain in { type filter hook input priority 0; policy drop; tcp dport 22 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
 tcp dport 80 accept
 } }`, unknown: "synproxy"},
		{name: "ttl set", nft: `table inet t { chain p { type filter hook prerouting priority -150; ip ttl set 64
 ip dscp set cs1
 ip6 hoplimit set 64
 } }
` + in("drop", established+"tcp dport 22 accept")},
		{name: "tcp flags", nft: in("drop", `tcp flags != syn accept
 tcp flags & (fin | syn | rst | ack) == syn tcp dport 22 accept
 tcp flags { syn, syn | ack } tcp dport 80 accept
 tcp flags syn / syn,rst tcp dport 443 accept`)},
		{name: "what a knock may have besides", nft: in("drop", established+`exthdr hbh exists tcp dport 22 accept
 tcp flags & (syn | ecn) == syn | ecn tcp dport 80 accept
 tcp flags & (fin | syn | rst | ack) == syn tcp dport 443 accept
 exthdr dst exists drop`), unknown: "exthdr"},
		{name: "goto and return", nft: `table inet t { chain a { ip saddr 192.0.2.0/24 return
 tcp dport 22 accept
 }
 chain b { jump a
 goto a
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport { 22, 80 } goto b
 tcp dport 443 jump b
 tcp dport 443 accept
 } }`},
		{name: "dormant", nft: `table inet t { flags dormant; chain in { type filter hook input priority 0; policy drop;
 } }
` + in("accept", "tcp dport 22 drop")},
		{name: "vmap of protocols", nft: in("drop", established+`meta nfproto vmap { ipv4 : continue, ipv6 : drop }
 meta l4proto . th dport vmap { tcp . 22 : accept, udp . 53-5353 : accept }
 ct state . meta l4proto { new . udp } accept`)},
		{name: "ether and vlan", nft: in("drop", established+`ether saddr 02:00:00:00:00:01 accept
 tcp dport 22 accept`), unknown: "@ll"},
		{name: "skuid", nft: in("drop", established+`meta skuid 0 accept
 tcp dport 22 accept`), unknown: "skuid"},
		{name: "source ports", nft: in("drop", established+`tcp sport 1024-65535 tcp dport 22 accept
 udp sport . udp dport { 53 . 53 } accept
 tcp sport 0-65535 tcp dport 80 accept`)},

		{name: "xt odd matches", sh: `iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -m mac --mac-source 02:00:00:00:00:01 -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 80 -j ACCEPT`, unknown: "mac"},
		{name: "xt string", sh: `iptables-nft -A INPUT -p udp -m string --string x --algo bm -j DROP`, unknown: "string"},
		{name: "xt u32 bpf", sh: `iptables-nft -A INPUT -p tcp --dport 22 -m u32 --u32 "0>>22&0x3C@0>>16=22" -j DROP
iptables-nft -A INPUT -p tcp --dport 80 -m bpf --bytecode "1,6 0 0 0" -j DROP`, unknown: "xt match"},
		{name: "xt socket length tcpmss policy rpfilter", sh: `iptables-nft -A INPUT -p tcp --dport 22 -m length --length 1000:2000 -j DROP
iptables-nft -A INPUT -p tcp --dport 80 -m policy --dir in --pol ipsec -j DROP
iptables-nft -t raw -A PREROUTING -p tcp --dport 443 -m rpfilter --invert -j DROP
iptables-nft -A INPUT -p tcp --syn --dport 443 -m tcpmss --mss 1:100 -j DROP
iptables-nft -t mangle -A PREROUTING -p udp --dport 53 -m socket -j DROP`, unknown: "xt match"},
		{name: "xt time statistic", sh: `iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m state --state ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -m time --timestart 00:00 --timestop 23:59:59 -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 80 -m statistic --mode nth --every 2 --packet 0 -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 443 -m hashlimit --hashlimit-name h --hashlimit-upto 1000/sec --hashlimit-mode srcip -j ACCEPT
iptables-nft -A INPUT -p udp --dport 53 -m connbytes --connbytes 0:1000000 --connbytes-dir both --connbytes-mode bytes -j ACCEPT`},
		{name: "xt connmark masks", sh: `iptables-nft -P INPUT DROP
iptables-nft -t mangle -A PREROUTING -s 192.0.2.0/24 -j CONNMARK --set-xmark 0x30/0xf0
iptables-nft -t mangle -A PREROUTING -m connmark --mark 0x30/0xf0 -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xf0
iptables-nft -A INPUT -m mark --mark 0x30/0xff -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT`, unknown: ""},
		{name: "xt addrtype of IPv6", sh: `ip6tables-nft -P INPUT DROP
ip6tables-nft -A INPUT -p ipv6-icmp -j ACCEPT
ip6tables-nft -A INPUT -m addrtype --dst-type UNICAST -j ACCEPT`},
		{name: "xt addrtype of IPv6 sources", sh: `ip6tables-nft -P INPUT DROP
ip6tables-nft -A INPUT -p ipv6-icmp -j ACCEPT
ip6tables-nft -A INPUT -m addrtype --src-type LOCAL -j DROP
ip6tables-nft -A INPUT -m addrtype --src-type UNICAST -p tcp -j ACCEPT
ip6tables-nft -A INPUT -m addrtype ! --src-type MULTICAST -p udp -j ACCEPT`},
		{name: "xt addrtype by device", sh: `iptables-nft -A INPUT -m addrtype --dst-type LOCAL --limit-iface-in -j ACCEPT
iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT`},
		{name: "xt conntrack details", sh: `iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctproto udp --ctorigsrc 192.0.2.0/24 -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctorigdst 10.1.0.1 --ctorigdstport 22:80 --ctdir ORIGINAL -j ACCEPT
iptables-nft -A INPUT -m conntrack ! --ctstate INVALID ! --ctorigsrc 198.51.100.0/24 -p udp -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctstatus NONE -p tcp --dport 443 -j ACCEPT`},
		{name: "xt dnat ranges", sh: `iptables-nft -t nat -A PREROUTING -p tcp --dport 80:443 -j REDIRECT --to-ports 80-443
iptables-nft -t nat -A PREROUTING -p udp --dport 8080 -j REDIRECT --to-ports 53-55`},
		{name: "xt dnat random range", sh: `iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 22-25 --random
iptables-nft -A INPUT -p tcp --dport 22 -j DROP`},
		{name: "xt set with a mark", sh: `ipset create marked hash:ip skbinfo
ipset add marked 192.0.2.1 skbmark 0x7
iptables-nft -t mangle -A PREROUTING -j SET --map-set marked src --map-mark
iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m mark --mark 7 -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT`, unknown: "mark"},
		{name: "xt zones", sh: `iptables-nft -t raw -A PREROUTING -i eth0 -j CT --zone 4
iptables-nft -A OUTPUT -m conntrack ! --ctstate ESTABLISHED -j DROP`, unknown: "ct"},
		{name: "xt owner in output", sh: `iptables-nft -A OUTPUT -m owner ! --uid-owner 0 -j DROP`, unknown: "owner"},
		{name: "xt recent port knocking", sh: `iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 8080 -m recent --name knock --set -j DROP
iptables-nft -A INPUT -p tcp --dport 22 -m recent --name knock --rcheck -j ACCEPT`},
		{name: "xt multiport either", sh: `iptables-nft -A INPUT -p tcp -m multiport --ports 22,80 -j DROP`, unknown: "multiport"},
		{name: "xt ttl and tos", sh: `iptables-nft -A INPUT -p tcp --dport 22 -m ttl --ttl-lt 5 -j DROP
iptables-nft -A INPUT -p tcp --dport 80 -m dscp --dscp 10 -j DROP`, unknown: "xt match"},
	}
}

// machines are settings of the machine itself.
func machines() []construct {
	const input = `table inet t { chain in { type filter hook input priority 0; policy drop; ct state established accept
 `
	conf := func(dev, key, value, was string) (sh, undo string) {
		path := "/proc/sys/net/ipv4/conf/" + dev + "/" + key
		return "echo " + value + " >" + path, "echo " + was + " >" + path
	}
	list := []construct{
		{name: "blackhole route", sh: "ip route add blackhole 192.0.2.0/24\nip -6 route add unreachable 2001:db8:99::/80", undo: "ip route del blackhole 192.0.2.0/24\nip -6 route del unreachable 2001:db8:99::/80"},
		{name: "prohibit route", sh: "ip route add prohibit 198.51.100.0/24", undo: "ip route del prohibit 198.51.100.0/24"},
		{name: "blackhole route and loose filter", sh: "ip route add blackhole 192.0.2.0/24\necho 2 >/proc/sys/net/ipv4/conf/eth0/rp_filter", undo: "ip route del blackhole 192.0.2.0/24\necho 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter"},
		{name: "a route below a blackhole", sh: "ip route add blackhole 192.0.0.0/8\nip route add 192.0.2.0/24 via 10.2.0.2", undo: "ip route del blackhole 192.0.0.0/8\nip route del 192.0.2.0/24"},
		{name: "routing rules", sh: "ip rule add to 192.0.2.0/24 lookup 200\nip route add unreachable default table 200", undo: "ip rule del to 192.0.2.0/24 lookup 200\nip route flush table 200"},
		{name: "a VPN's routing rules", sh: "ip rule add not fwmark 0xca6c lookup 51820\nip rule add lookup main suppress_prefixlength 0\nip route add default via 10.2.0.2 table 51820\necho 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter",
			undo: "ip rule del not fwmark 0xca6c lookup 51820\nip rule del lookup main suppress_prefixlength 0\nip route flush table 51820\necho 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter",
			nft: `table ip wg-quick { chain preraw { type filter hook prerouting priority -300; iifname != "eth1" ip daddr 10.2.0.1 fib saddr type != local drop
 }
 chain premangle { type filter hook prerouting priority -150; meta l4proto udp meta mark set ct mark
 }
 chain postmangle { type filter hook postrouting priority -150; meta l4proto udp mark 0xca6c ct mark set meta mark
 } }`},
		{name: "an overlay's routing rules", sh: "ip rule add pref 5210 fwmark 0x80000/0xff0000 lookup main\nip rule add pref 5250 fwmark 0x80000/0xff0000 type unreachable\nip rule add pref 5270 lookup 52\nip route add 192.0.2.0/24 via 10.2.0.2 table 52",
			undo: "ip rule del pref 5210\nip rule del pref 5250\nip rule del pref 5270\nip route flush table 52"},
		{name: "a routing rule for a user", sh: "ip rule add uidrange 1000-2000 type blackhole", undo: "ip rule del uidrange 1000-2000 type blackhole", unknown: "uidrange 1000-2000"},
		{name: "a routing rule for client ports", sh: "ip rule add iif eth0 sport 1-1023 type blackhole", undo: "ip rule del iif eth0 sport 1-1023 type blackhole"},
		{name: "routing by mark", nft: `table inet t { chain p { type filter hook prerouting priority -150; ip saddr 192.0.2.0/24 meta mark set 1
 }
 chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat ip to 172.17.0.2:80
 } }`, sh: "ip rule add fwmark 1 lookup 200\nip route add blackhole default table 200", undo: "ip rule del fwmark 1 lookup 200\nip route flush table 200"},
		{name: "no forwarding back", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 } }`, sh: "echo 0 >/proc/sys/net/ipv4/conf/docker0/forwarding", undo: "echo 1 >/proc/sys/net/ipv4/conf/docker0/forwarding"},
		{name: "any address", sh: "ip route add local 10.9.0.0/24 dev lo\nip -6 route add local 2001:db8:9::/64 dev lo", undo: "ip route del local 10.9.0.0/24 dev lo\nip -6 route del local 2001:db8:9::/64 dev lo",
			nft: input + `ip daddr 10.9.0.0/25 accept
 ip6 daddr 2001:db8:9::/64 tcp dport 22 accept
 ip saddr 192.0.2.0/24 tcp dport 80 accept
 } }`, at: []string{"10.9.0.5", "10.9.0.200", "2001:db8:9::5"}},
		{name: "no IPv6 on one interface", sh: "echo 1 >/proc/sys/net/ipv6/conf/eth1/disable_ipv6", undo: "echo 0 >/proc/sys/net/ipv6/conf/eth1/disable_ipv6\nip address add " + serverV6b + "/126 dev eth1 nodad"},
		{name: "another address", sh: "ip address add 10.5.0.1/24 dev eth0\nip address add 10.5.0.2/24 dev eth0\nip address add 10.6.0.1/32 dev lo", undo: "ip address del 10.5.0.1/24 dev eth0\nip address del 10.5.0.2/24 dev eth0 2>/dev/null || true\nip address del 10.6.0.1/32 dev lo",
			nft: input + `ip daddr 10.5.0.2 tcp dport 22 accept
 ip daddr 10.6.0.1 tcp dport 80 accept
 } }`, at: []string{"10.5.0.1", "10.5.0.2", "10.6.0.1"}},
		{name: "two ways back", sh: "ip route replace default nexthop via 10.1.0.2 nexthop via 10.2.0.2", undo: "ip route replace default via 10.1.0.2", unknown: "several routes",
			nft: `table inet t { chain o { type filter hook postrouting priority 0; policy accept; oifname "eth1" ip daddr 192.0.2.0/24 drop
 } }`},
		{name: "bridge", by: "br0", sh: `ip address flush dev eth1
ip link add br0 type bridge
ip link set eth1 master br0
ip link set br0 up
ip address add 10.2.0.1/30 dev br0
ip address add 2001:db8:2::1/126 dev br0 nodad
ip neighbour replace 10.2.0.2 lladdr $(ip neighbour show 10.1.0.2 | sed 's/.*lladdr \([^ ]*\).*/\1/') dev br0 nud permanent
nft -f - <<END
table netdev t { chain e { type filter hook ingress device eth1 priority 0; ip saddr 192.0.2.0/24 drop
}
}
END`, undo: `nft flush ruleset
ip link del br0
ip address add 10.2.0.1/30 dev eth1
ip address add 2001:db8:2::1/126 dev eth1 nodad`},
		{name: "tc filter", nft: input + `meta mark 7 tcp dport 22 accept
 tcp dport 80 accept
 } }`, sh: "tc qdisc add dev eth0 clsact\ntc filter add dev eth0 ingress u32 match ip src 192.0.2.1/32 flowid 1:1", undo: "tc qdisc del dev eth0 clsact", unknown: "tc u32"},
		{name: "IPsec policy", sh: "ip xfrm policy add src 192.0.2.0/24 dst 10.1.0.1/32 dir in action block", undo: "ip xfrm policy flush", unknown: "xfrm block from 192.0.2.0/24"},
	}
	for _, s := range [...]struct{ name, dev, key, value, was, nft string }{
		{"strict reverse path", "all", "rp_filter", "1", "0", ""},
		{"loose reverse path", "eth1", "rp_filter", "2", "0", ""},
		{"no forwarding from one", "eth1", "forwarding", "0", "1", `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 } }`},
		{"no way into loopback", "eth0", "route_localnet", "0", "0", `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 127.0.0.1:22
 } }`},
		{"a way into loopback", "eth0", "route_localnet", "1", "0", `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 127.0.0.1:22
 } }`},
		{"local sources", "all", "accept_local", "1", "0", in("drop", established+"ip saddr 10.1.0.1 accept\n tcp dport 22 accept")},
	} {
		sh, undo := conf(s.dev, s.key, s.value, s.was)
		list = append(list, construct{name: s.name, nft: s.nft, sh: sh, undo: undo})
	}
	return list
}

// TestReachConstructs proves exposure on what rules can say besides what the random
// ones do.
func TestReachConstructs(t *testing.T) {
	netnstest.Need(t, "iptables-nft")
	netnstest.Need(t, "ipset")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	var sources []netip.Addr
	for _, a := range [...]string{"192.0.2.1", "192.0.2.0", "192.0.2.255", "198.51.100.7", "198.51.100.9", "203.0.113.8",
		"2001:db8:99::1", "2001:db8:99::77", "2001:db8:99:0:8000::1"} {
		sources = append(sources, netip.MustParseAddr(a))
	}
	for _, c := range slices.Concat(constructs(), hostile(), machines(), routes(), realistic()) {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			defer func(was testing.TB) { r.t = was }(r.t)
			r.t = t
			if err := r.nft(strings.NewReplacer("} }", "}\n}", "} chain", "}\nchain").Replace(c.nft)); err != nil {
				t.Fatal(err)
			}
			if c.sh != "" {
				if out, err := r.server.Command("sh", "-c", "set -e\n"+c.sh).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			if c.undo != "" {
				defer r.server.Run("sh", "-e", "-c", c.undo)
			}
			defer func(was []netip.Addr) { r.addrs = was }(r.addrs)
			if c.by != "" {
				defer func(was []string) { r.devices = was }(slices.Clone(r.devices))
				r.devices[1] = c.by
			}
			for _, a := range c.at {
				r.addrs = append(slices.Clip(r.addrs), netip.MustParseAddr(a))
			}
			before := r.tally
			r.check(c.name, c.nft+c.sh, sources, ports, 200)
			for _, port := range c.sure {
				if conditions := r.conditions(port); len(conditions) > 0 {
					t.Errorf("port %d: %v", port, conditions)
				}
			}
			undecided := r.undecided()
			t.Logf("in %d, unknown %d, conditional %d: %q", r.tally.in-before.in, r.tally.unknown-before.unknown, r.tally.conditional-before.conditional, undecided)
			switch {
			case c.unknown == "" && len(undecided) > 0:
				t.Errorf("undecided by %q", undecided)
			case c.unknown != "" && (len(undecided) == 0 || !slices.ContainsFunc(undecided, func(s string) bool { return strings.Contains(s, c.unknown) })):
				t.Errorf("undecided by %q, want %q", undecided, c.unknown)
			}
		})
	}
}

// conditions returns those of the ways to the server's doors on a port.
func (r *shootingRange) conditions(port uint16) (out []monban.Condition) {
	snap := r.snapshot()
	snap.Doors = slices.DeleteFunc(slices.Clone(snap.Doors), func(d monban.Door) bool { return d.Bind.Port.Num != port })
	for _, reach := range exposure.Judge(snap) {
		for _, e := range reach {
			out = append(out, e.Conditions...)
		}
	}
	return out
}

// undecided returns what is said of doors whose reach is not known.
func (r *shootingRange) undecided() (out []string) {
	snap := r.snapshot()
	for _, proto := range [...]monban.Proto{monban.TCP, monban.UDP} {
		snap.Doors = append(slices.Clip(snap.Doors), r.doorAt(monban.Port{Num: 8080, Proto: proto}, netip.MustParseAddr(serverV4a)))
	}
	for _, reach := range exposure.Judge(snap) {
		for _, e := range reach {
			if e.Verdict == monban.VerdictUnknown {
				text := e.Rule.Text
				if text == "" {
					text = fmt.Sprint(e.Why)
				}
				if !slices.Contains(out, text) {
					out = append(out, text)
				}
			}
		}
	}
	return out
}
