package integration

// hostile are constructs that hardly anybody writes, and that a judge who guesses
// would get wrong.
func hostile() []construct {
	return []construct{
		{name: "helper object", nft: `table inet t { ct helper h { type "ftp" protocol tcp; l3proto ip; }
 ct timeout s { protocol tcp; l3proto ip; policy = { established: 100, close: 4 }; }
 ct expectation e { protocol tcp; dport 80; timeout 1m; size 12; l3proto ip; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport 22 ct helper set "h" accept
 tcp dport 80 ct timeout set "s" ct expectation set "e" accept
 udp dport 53 ip saddr 192.0.2.0/24 accept
 } }`, unknown: "ct expectation"},
		{name: "conntrack zone by a map", nft: `table inet t { map z { typeof iifname : ct zone; elements = { "eth0" : 7 }; }
 chain p { type filter hook prerouting priority -300; ct zone set iifname map @z
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ct zone 7 accept
 } }`, unknown: "ct"},
		{name: "mark through the connection and back", nft: `table inet t { chain p { type filter hook prerouting priority mangle; meta mark set ct mark
 meta mark 0 ip saddr 192.0.2.0/24 meta mark set 0x17
 meta mark 0 ip6 saddr 2001:db8:99::/80 meta mark set 0x29
 ct mark set meta mark & 0xf
 }
 chain in { type filter hook input priority 0; policy drop; ct state established ct mark & 0xf == 7 accept
 ct mark 9 accept
 ct mark 7 tcp dport 22 accept
 } }`},
		{name: "fib of every kind", nft: `table inet t { chain in { type filter hook input priority 0; policy drop; ct state established accept
 fib daddr type local fib saddr oif exists tcp dport 22 accept
 fib saddr . mark . iif oif exists udp dport 53 accept
 fib daddr . iif type local tcp dport 80 accept
 fib saddr type { local, broadcast, multicast, blackhole, unreachable, prohibit } accept
 } }`},
		{name: "fib of unreachable", sh: "ip -6 route add unreachable 2001:db8:99::/80\nip route add blackhole 192.0.2.0/24", undo: "ip -6 route del unreachable 2001:db8:99::/80\nip route del blackhole 192.0.2.0/24",
			nft: in("drop", established+`fib saddr type unreachable udp dport 53 accept
 fib saddr type blackhole udp dport 5353 accept
 fib saddr type unicast tcp dport 22 accept`), unknown: "fib saddr type unreachable"},
		{name: "fib missing and its result", nft: `table inet t { chain p { type filter hook prerouting priority 0; fib saddr oif 0 drop
 fib saddr . iif oif eth0 tcp dport 22 drop
 fib saddr . iif oifname "eth0" tcp dport 80 drop
 } }`, unknown: "fib"},
		{name: "tproxy to another port", nft: `table inet t { chain p { type filter hook prerouting priority mangle; meta nfproto ipv4 tcp dport 8080 tproxy ip to 10.1.0.1:22 meta mark set 1 accept
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport { 80, 8080 } accept
 } }`, unknown: "tproxy"},
		{name: "socket mark and wildcard", nft: in("drop", established+`socket wildcard 0 accept
 socket wildcard 1 tcp dport 22 accept
 socket mark 5 accept
 socket transparent 1 accept`), unknown: "socket"},
		{name: "jhash map", nft: in("drop", established+`meta mark set jhash ip saddr mod 2 seed 0x1 map { 0 : 1, 1 : 2 }
 meta mark 1 tcp dport 22 accept
 tcp dport 80 numgen random mod 4 vmap { 0 : accept, 1-3 : drop }`)},
		{name: "quota until and over", nft: in("drop", established+`tcp dport 22 quota until 1000 mbytes accept
 udp dport 53 quota over 1000 mbytes accept`)},
		{name: "per-element limits and quotas", nft: `table inet t { set l { type ipv4_addr; size 1000; flags dynamic,timeout; timeout 1m; limit rate 1000/second; }
 set q { type ipv4_addr; size 1000; quota over 1 mbytes; elements = { 192.0.2.1, 198.51.100.7 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport 22 update @l { ip saddr limit rate over 1000/second } drop
 tcp dport 22 accept
 ip saddr @q udp dport 53 accept
 } }`, unknown: ""},
		{name: "a set's own limit", nft: `table inet t { set l { type ipv4_addr; counter; limit rate 1/day burst 1 packets; elements = { 192.0.2.1, 198.51.100.7 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr @l accept
 } }`},
		{name: "a set that counts", nft: `table inet t { set l { type ipv4_addr; counter; elements = { 192.0.2.1, 198.51.100.7 }; }
 map m { type ipv4_addr : verdict; counter; elements = { 192.0.2.1 : accept, 203.0.113.8 : drop }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr @l tcp dport 22 accept
 ip saddr vmap @m
 } }`},
		{name: "a map's own limit", nft: `table inet t { map m { type ipv4_addr : verdict; limit rate 1/day burst 1 packets; elements = { 192.0.2.1 : accept, 198.51.100.7 : drop, 203.0.113.8 : accept }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr vmap @m
 tcp dport 22 accept
 } }`},
		{name: "elements of a dynamic set that time out", nft: `table inet t { set ban { type ipv4_addr . inet_service; flags dynamic,timeout; elements = { 192.0.2.1 . 22 timeout 1h, 198.51.100.7 . 80 timeout 1h }; }
 chain in { type filter hook input priority 0; policy accept; ip saddr . tcp dport @ban drop
 tcp dport 8081 add @ban { ip saddr . tcp dport timeout 1m }
 } }`},
		{name: "interval map of verdicts with chains", nft: `table inet t { chain a { ip saddr 192.0.2.0/25 accept
 return
 }
 chain b { goto a
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip daddr . tcp dport vmap { 10.1.0.0/16 . 20-25 : jump a, 10.2.0.1 . 0-1023 : goto b, 0.0.0.0/0 . 443 : accept }
 tcp dport 22 ip saddr 198.51.100.0/24 accept
 } }`},
		{name: "netdev vmap with chains", nft: `table netdev n { chain a { tcp dport 22 drop
 udp dport { 53, 5353 } goto b
 }
 chain b { ip saddr 192.0.2.0/24 drop
 }
 chain e { type filter hook ingress devices = { eth0, eth1 } priority 5; policy accept; meta protocol vmap { ip : goto a, ip6 : continue }
 ip6 saddr 2001:db8:99::/80 tcp dport != 80 drop
 }
 chain o { type filter hook egress device eth1 priority 5; policy accept; ip protocol tcp tcp flags & (syn | ack) == syn | ack ip daddr 198.51.100.0/24 drop
 } }`},
		{name: "inet ingress jumps", nft: `table inet t { chain a { ip saddr { 192.0.2.0/24, 203.0.113.0-203.0.113.100 } return
 meta l4proto { tcp, udp } th dport 22 drop
 }
 chain e { type filter hook ingress device "eth0" priority -5; jump a
 meta iifname "eth1" drop
 } }`},
		{name: "groups of interfaces", sh: "ip link set eth0 group 7", undo: "ip link set eth0 group 0", nft: in("drop", established+`meta iifgroup 7 tcp dport 22 accept
 tcp dport 80 accept`), unknown: "iifgroup"},
		{name: "kinds of interfaces", nft: in("drop", established+`meta iifkind "veth" tcp dport 22 accept
 meta iiftype ether udp dport 53 accept`), unknown: "meta"},
		{name: "names with wildcards", nft: in("drop", established+`iifname { "eth*", "wlan0" } tcp dport 22 accept
 iifname != "eth*" tcp dport 80 accept
 iifname "e*" iifname != "eth1" udp dport 53 accept
 iif != "eth0" tcp dport 443 accept`)},
		{name: "vlan on a veth", nft: `table netdev n { chain e { type filter hook ingress device eth0 priority 0; vlan id 10 drop
 vlan type ip tcp dport 22 drop
 ether type ip tcp dport 80 drop
 ether type != { ip, ip6, arp } drop
 } }`, unknown: "@ll"},
		{name: "transport ports of other protocols", nft: in("drop", established+`meta l4proto { udp, sctp, dccp } th dport 22-80 accept
 meta l4proto != tcp th dport 5353 accept
 sctp dport 22 accept
 udplite dport 53 accept
 dccp dport 80 accept
 th sport 1-65535 th dport 443 accept`)},
		{name: "fragment header", nft: in("accept", `ip6 nexthdr ipv6-frag drop
 frag id 0-4294967295 drop
 exthdr frag exists tcp dport 22 drop
 rt type 0 drop
 mh type 1 drop
 dst nexthdr 6 drop`)},
		{name: "ip6 nexthdr", nft: in("drop", established+`ip6 nexthdr tcp tcp dport 22 accept
 ip protocol { tcp, udp } th dport { 22, 53 } accept
 ip6 nexthdr { udp } accept`)},
		{name: "tcp options that exist", nft: in("drop", established+`tcp option sack-perm exists tcp dport 22 accept
 tcp option maxseg exists tcp dport 80 accept
 tcp option timestamp missing tcp dport 443 accept`), unknown: "tcp option"},
		{name: "payload masks", nft: in("drop", established+`ip saddr & 255.255.255.0 == 192.0.2.0 tcp dport & 0xfffe == 22 accept
 tcp dport & 1 == 1 tcp dport > 100 accept
 ip6 saddr & ffff:ffff:ffff:: == 2001:db8:99:: udp dport 53 accept
 ip version 4 ip hdrlength 5 ip dscp != 63 udp dport 5353 accept`), unknown: "@nh"},
		{name: "payload set", nft: `table inet t { chain p { type filter hook prerouting priority -300; tcp dport 8080 tcp dport set 22
 ip saddr 192.0.2.0/24 ip saddr set 203.0.113.8
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 tcp dport { 22, 80 } accept
 } }`, unknown: "set"},
		{name: "destination set by payload", nft: `table ip t { chain p { type filter hook prerouting priority -300; udp dport 5353 udp dport set 53
 tcp dport 80 ip daddr set 10.2.0.1
 } }`, unknown: "set"},
		{name: "negated sets", nft: `table inet t { set s { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
 set p { type inet_proto . inet_service; elements = { tcp . 22, udp . 53 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr != @s meta l4proto . th dport @p accept
 meta l4proto . th dport != @p ip saddr @s accept
 ip6 saddr != { 2001:db8:99::/80 } tcp dport 443 accept
 } }`},
		{name: "auto-merged prefixes", nft: `table inet t { set s { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.0/25, 192.0.2.128/25, 192.0.2.5, 198.51.100.0-198.51.100.6, 198.51.100.7 }; }
 set w { type ipv4_addr; flags interval; elements = { 0.0.0.0/1, 128.0.0.0/1 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr @s tcp dport 22 accept
 ip saddr @w udp dport 53 accept
 } }`},
		{name: "concatenations of five", nft: `table inet t { set c { type ipv4_addr . ipv4_addr . inet_proto . inet_service . mark; flags interval; elements = { 192.0.2.0/24 . 10.1.0.1 . tcp . 22-80 . 0, 0.0.0.0/0 . 10.2.0.1 . udp . 53 . 0-5 }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr . ip daddr . meta l4proto . th dport . meta mark @c accept
 } }`},
		{name: "both addresses from one map", nft: `table inet t { map d { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags interval; elements = { 192.0.2.0/24 . 8080 : 172.17.0.2 . 80, 198.51.100.0/24 . 8080 : 10.2.0.1 . 22 }; }
 chain n { type nat hook prerouting priority -100; dnat ip to ip saddr . tcp dport map @d
 } }`},
		{name: "redirect by a map", nft: `table inet t { map r { type inet_service : inet_service; elements = { 8080 : 22, 443 : 80 }; }
 chain n { type nat hook prerouting priority -100; meta l4proto tcp redirect to : tcp dport map @r
 } }`},
		{name: "dnat of prefixes", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat ip prefix to ip daddr map { 10.1.0.0/24 : 10.2.0.0/24 }
 } }`},
		{name: "two nat chains", nft: `table ip a { chain n { type nat hook prerouting priority -110; tcp dport 8080 ip saddr 192.0.2.0/24 redirect to :22
 tcp dport 80 accept
 } }
table ip b { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 tcp dport 80 redirect to :443
 } }`},
		{name: "conntrack count and bytes", nft: in("drop", established+`ct packets < 3 tcp dport 22 accept
 ct bytes > 1000000 tcp dport 80 accept
 ct avgpkt > 10 udp dport 53 accept
 ct expiration > 1s tcp dport 443 accept`), unknown: "ct"},
		{name: "states with new alone", nft: in("drop", `ct state new tcp dport 22 accept
 ct state established tcp dport { 22, 80 } accept
 ct state { new, related } udp dport 53 accept`)},
		{name: "directions", nft: `table inet t { chain in { type filter hook input priority 0; policy drop; ct direction original tcp dport 22 accept
 ct direction reply accept
 }
 chain o { type filter hook output priority 0; policy drop; ct direction reply tcp sport 22 accept
 ct direction original accept
 } }`},
		{name: "mangled in output", nft: `table inet t { chain o { type filter hook output priority 0; tcp sport 22 tcp sport set 2222
 } }`, unknown: "set"},
		{name: "secmark and nftrace", nft: in("drop", established+`meta nftrace set 1
 tcp dport 22 accept
 meta priority 0 tcp dport 80 accept`), unknown: "meta"},
		{name: "length and cpu", nft: in("drop", established+`meta length < 1500 tcp dport 22 accept
 meta cpu 0-63 tcp dport 80 accept
 meta cgroup 0 udp dport 53 accept
 rt classid 0 tcp dport 443 accept`), unknown: "meta"},
		{name: "osf", nft: in("drop", established+`osf name "Linux" tcp dport 22 accept
 tcp dport 80 accept`), unknown: "osf"},
		{name: "ipsec and tunnels", nft: in("drop", established+`meta ipsec missing tcp dport 22 accept
 meta ipsec exists tcp dport 80 accept
 ipsec in reqid 1 udp dport 53 accept
 ipsec in ip saddr 192.0.2.0/24 tcp dport 443 accept`), unknown: "ipsec"},
		{name: "icmp types beside ports", nft: in("drop", established+`icmp type echo-request accept
 tcp dport 22 accept
 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
 ah spi 1-9 accept
 esp sequence 1 accept
 comp cpi 3 accept`)},
		{name: "arp beside", nft: `table arp t { chain in { type filter hook input priority 0; policy drop;
 } }
table bridge b { chain in { type filter hook input priority 0; policy drop;
 } }`},
		{name: "return and policy in a chain of chains", nft: `table inet t { chain d { return
 }
 chain c { jump d
 tcp dport 22 return
 tcp dport 80 goto d
 accept
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr 192.0.2.0/24 goto c
 jump c
 tcp dport 80 ip6 saddr 2001:db8:99::/80 accept
 } }`},
		{name: "sixteen deep", nft: `table inet t { chain c15 { tcp dport 22 accept
 } chain c14 { jump c15
 } chain c13 { jump c14
 } chain c12 { jump c13
 } chain c11 { jump c12
 } chain c10 { jump c11
 } chain c9 { jump c10
 } chain c8 { jump c9
 } chain c7 { jump c8
 } chain c6 { jump c7
 } chain c5 { jump c6
 } chain c4 { jump c5
 } chain c3 { jump c4
 } chain c2 { jump c3
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 jump c2
 } }`},
		{name: "ecn and urgent", nft: in("accept", `tcp flags & (fin | syn | rst | psh | ack | urg | ecn | cwr) != syn ct state new tcp dport 22 drop
 tcp flags == syn tcp dport 80 drop
 tcp flags ! syn tcp dport 443 drop
 tcp window < 100 tcp dport 80 drop`)},
		{name: "payload beyond the header", nft: in("drop", established+`udp length 12 udp dport 53 accept
 @ih,0,32 0x0 udp dport 5353 accept
 tcp doff 10 tcp dport 22 accept`), unknown: "@th"},
		{name: "the else of a set", nft: `table inet t { set s { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, * }; }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr @s udp dport 53 accept
 ip saddr != @s tcp dport 22 accept
 } }`, unknown: "@s"},
		{name: "redirect by chance to where somebody listens or not", nft: `table inet t { chain n { type nat hook prerouting priority -100; tcp dport 8080 redirect to :22-25 random
 tcp dport 443 redirect to :23
 udp dport 8080 dnat ip to 10.1.0.1:99
 } }`, unknown: "redirect"},
		{name: "empty sets and maps", nft: `table inet t { set e { type ipv4_addr; flags interval; }
 map v { type inet_service : verdict; }
 map d { type inet_service : ipv4_addr; }
 chain n { type nat hook prerouting priority -100; dnat ip to tcp dport map @d
 }
 chain in { type filter hook input priority 0; policy drop; ct state established accept
 ip saddr @e accept
 ip saddr != @e tcp dport 22 accept
 tcp dport vmap @v
 } }`},
		{name: "a map's else", nft: `table inet t { map d { type inet_service : ipv4_addr; elements = { 443 : 10.2.0.1, * : 10.1.0.1 }; }
 chain n { type nat hook prerouting priority -100; dnat ip to tcp dport map @d
 } }`},
		{name: "port zero and the ends", nft: in("drop", established+`tcp dport 0-22 accept
 tcp dport 443-65535 accept
 udp dport != 0-52 udp dport < 54 accept
 tcp sport 0 drop`)},
		{name: "addresses at the ends", nft: in("drop", established+`ip saddr 0.0.0.0/0 tcp dport 22 accept
 ip saddr > 192.0.2.0 ip saddr < 198.51.100.8 udp dport 53 accept
 ip6 saddr ::/0 tcp dport 80 accept
 ip6 saddr >= 2001:db8:99::1 ip6 saddr <= 2001:db8:99::77 tcp dport 443 accept`)},
	}
}
