package integration

// routes are entries of the routing tables that most machines have none of: for some
// sources or types of service only, in the table local, to nobody.
func routes() []construct {
	return []construct{
		{name: "source route, default matching", sh: "ip -6 route del default\nip -6 route add default from 2001:db8:1::/64 via 2001:db8:1::2", undo: "ip -6 route del default from 2001:db8:1::/64\nip -6 route add default via 2001:db8:1::2"},
		{name: "source route, default matching and plain", sh: "ip -6 route add default from 2001:db8:1::/64 via 2001:db8:1::2", undo: "ip -6 route del default from 2001:db8:1::/64"},
		{name: "source route, unreachable beside plain", sh: "ip -6 route add unreachable 2001:db8:99::/64 from 2001:db8:1::/64", undo: "ip -6 route del unreachable 2001:db8:99::/64 from 2001:db8:1::/64"},
		{name: "source route, unreachable and plain of one dst", sh: "ip -6 route add 2001:db8:99::/64 via 2001:db8:2::2\nip -6 route add unreachable 2001:db8:99::/64 from 2001:db8:1::/64", undo: "ip -6 route del unreachable 2001:db8:99::/64 from 2001:db8:1::/64\nip -6 route del 2001:db8:99::/64"},
		{name: "source route, plain first unreachable", sh: "ip -6 route add unreachable 2001:db8:99::/64\nip -6 route add 2001:db8:99::/64 from 2001:db8:1::/64 via 2001:db8:1::2", undo: "ip -6 route del unreachable 2001:db8:99::/64\nip -6 route del 2001:db8:99::/64 from 2001:db8:1::/64"},
		{name: "source route, second unreachable", sh: "ip -6 route add 2001:db8:99::/64 from 2001:db8:1::/64 via 2001:db8:1::2\nip -6 route add unreachable 2001:db8:99::/64", undo: "ip -6 route del unreachable 2001:db8:99::/64\nip -6 route del 2001:db8:99::/64 from 2001:db8:1::/64"},
		{name: "tos route", sh: "ip route add blackhole 192.0.2.0/24 tos 0x10", undo: "ip route del blackhole 192.0.2.0/24 tos 0x10"},
		{name: "tos route beside", sh: "ip route add blackhole 192.0.2.0/24\nip route add 192.0.2.0/24 tos 0x10 via 10.2.0.2", undo: "ip route del blackhole 192.0.2.0/24\nip route del 192.0.2.0/24 tos 0x10"},
		{name: "tos route strict", sh: "ip route add 192.0.2.0/24 tos 0x10 via 10.2.0.2\necho 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter\necho 1 >/proc/sys/net/ipv4/conf/eth1/rp_filter", undo: "ip route del 192.0.2.0/24 tos 0x10\necho 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter\necho 0 >/proc/sys/net/ipv4/conf/eth1/rp_filter", unknown: "tos 0x10"},
		{name: "nexthop blackhole", sh: "ip nexthop add id 5 blackhole\nip route add 192.0.2.0/24 nhid 5\nip -6 nexthop add id 6 blackhole\nip -6 route add 2001:db8:99::/80 nhid 6", undo: "ip route del 192.0.2.0/24\nip -6 route del 2001:db8:99::/80\nip nexthop flush"},
		{name: "nexthop group", sh: "ip nexthop add id 5 via 10.1.0.2 dev eth0\nip nexthop add id 6 via 10.2.0.2 dev eth1\nip nexthop add id 7 group 5/6\nip route add 192.0.2.0/24 nhid 7", undo: "ip route del 192.0.2.0/24\nip nexthop flush"},
		{name: "nexthop id", sh: "ip nexthop add id 6 via 10.2.0.2 dev eth1\nip route add 192.0.2.0/24 nhid 6\necho 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter", undo: "ip route del 192.0.2.0/24\nip nexthop flush\necho 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter"},
		{name: "nexthop no compat", sh: "echo 0 >/proc/sys/net/ipv4/nexthop_compat_mode\nip nexthop add id 6 via 10.2.0.2 dev eth1\nip route add 192.0.2.0/24 nhid 6\necho 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter", undo: "ip route del 192.0.2.0/24\nip nexthop flush\necho 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter\necho 1 >/proc/sys/net/ipv4/nexthop_compat_mode"},
		{name: "broadcast route", sh: "ip route add broadcast 192.0.2.0/24 dev eth0", undo: "ip route del broadcast 192.0.2.0/24", unknown: "broadcast route"},
		{name: "route by lo", sh: "ip route add 192.0.2.0/24 dev lo\nip -6 route add 2001:db8:99::/80 dev lo", undo: "ip route del 192.0.2.0/24\nip -6 route del 2001:db8:99::/80 dev lo"},
		{name: "throw in main", sh: "ip route add throw 192.0.2.0/24\nip -6 route add throw 2001:db8:99::/80", undo: "ip route del throw 192.0.2.0/24\nip -6 route del throw 2001:db8:99::/80"},
		{name: "unreachable in local table", sh: "ip route add unreachable 192.0.2.0/24 table local\nip -6 route add unreachable 2001:db8:99::/80 table local", undo: "ip route del unreachable 192.0.2.0/24 table local\nip -6 route del unreachable 2001:db8:99::/80 table local"},
		{name: "unicast in local table", sh: "ip route add blackhole 192.0.2.0/24\nip route add 192.0.2.0/25 via 10.1.0.2 table local", undo: "ip route del blackhole 192.0.2.0/24\nip route del 192.0.2.0/25 table local"},
		{name: "metric order", sh: "ip -6 route add unreachable 2001:db8:99::/80 metric 5\nip -6 route add 2001:db8:99::/80 via 2001:db8:2::2 metric 10", undo: "ip -6 route flush 2001:db8:99::/80"},
		{name: "route via inet6", sh: "ip route add 192.0.2.0/24 via inet6 2001:db8:1::2 dev eth0", undo: "ip route del 192.0.2.0/24"},
		{name: "default with src of none", sh: "ip route replace default via 10.1.0.2 src 10.2.0.1", undo: "ip route replace default via 10.1.0.2"},
		{name: "tos route and a container", sh: "ip route add blackhole 192.0.2.0/24 tos 0x10", undo: "ip route del blackhole 192.0.2.0/24 tos 0x10", nft: `table ip t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80
 } }`, unknown: "tos 0x10"},
		{name: "source route, route and a container", sh: "ip -6 route add unreachable 2001:db8:99::/64 from 2001:db8:17::/64", undo: "ip -6 route del unreachable 2001:db8:99::/64 from 2001:db8:17::/64", nft: `table ip6 t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to [2001:db8:17::2]:80
 } }`},
		{name: "source route, route to a container", sh: "ip -6 route add unreachable 2001:db8:17::/65 from 2001:db8:99::/80", undo: "ip -6 route del unreachable 2001:db8:17::/65 from 2001:db8:99::/80", nft: `table ip6 t { chain n { type nat hook prerouting priority -100; tcp dport 8080 dnat to [2001:db8:17::2]:80
 } }`},
		{name: "fib and src route", sh: "ip -6 route add unreachable 2001:db8:99::/64 from 2001:db8:1::/64", undo: "ip -6 route del unreachable 2001:db8:99::/64 from 2001:db8:1::/64", nft: in("drop", established+"fib saddr . iif oif exists accept"), unknown: "fib saddr . iif oif exists accept"},
		{name: "fib type and src route", sh: "ip -6 route add unreachable 2001:db8:99::/64 from 2001:db8:1::/64", undo: "ip -6 route del unreachable 2001:db8:99::/64 from 2001:db8:1::/64", nft: in("drop", established+"fib saddr type unicast accept")},
		{name: "fib and tos route", sh: "ip route add 192.0.2.0/24 tos 0x10 via 10.2.0.2", undo: "ip route del 192.0.2.0/24 tos 0x10", nft: in("drop", established+"fib saddr . iif oif exists accept"), unknown: "fib saddr . iif oif exists accept"},
		{name: "fib type and broadcast", sh: "ip route add broadcast 192.0.2.0/24 dev eth0", undo: "ip route del broadcast 192.0.2.0/24", nft: in("drop", established+"fib saddr type != broadcast accept"), unknown: "fib saddr type != broadcast accept"},
		{name: "rules and src", sh: "ip -6 rule add pref 100 from 2001:db8:2::/64 lookup 200\nip -6 route add default from 2001:db8:2::/64 via 2001:db8:2::2 table 200\nip -6 route add unreachable 2001:db8:99::/80 from 2001:db8:2::/64 table 200", undo: "ip -6 rule del pref 100\nip -6 route flush table 200"},
		{name: "rules and tos", sh: "ip rule add pref 100 to 192.0.2.0/24 lookup 200\nip route add default tos 0x10 via 10.2.0.2 table 200\nip route add unreachable default table 200", undo: "ip rule del pref 100\nip route flush table 200"},
		{name: "bound to device src", sh: "ip -6 route del default\nip -6 route add default from 2001:db8:1::/64 via 2001:db8:1::2\nip -6 route add default from 2001:db8:2::/64 via 2001:db8:2::2", undo: "ip -6 route flush default\nip -6 route add default via 2001:db8:1::2"},
		{name: "source route, nested", sh: "ip -6 route add unreachable 2001:db8:99::/64 from 2001:db8::/32\nip -6 route add 2001:db8:99::/64 from 2001:db8:1::/64 via 2001:db8:1::2", undo: "ip -6 route flush 2001:db8:99::/64"},
	}
}
