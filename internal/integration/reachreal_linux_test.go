package integration

// realistic are the rulesets of programs that tests do not run, as they write them,
// and those that administrators write beside them.
func realistic() []construct {
	return []construct{
		{name: "kube-proxy with iptables", sh: `iptables-nft-restore --noflush <<'END'
*filter
:KUBE-FORWARD - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-NODEPORTS -p tcp -m tcp --dport 443 -j ACCEPT
-A KUBE-EXTERNAL-SERVICES -p udp -m comment --comment "ns/none has no endpoints" -m addrtype --dst-type LOCAL -m udp --dport 5353 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-EXT-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-SEP-ONE - [0:0]
:KUBE-SEP-TWO - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -s 172.17.0.0/16 -j MASQUERADE --random-fully
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m tcp --dport 8080 -j KUBE-EXT-ABCDEFGHIJKLMNOP
-A KUBE-EXT-ABCDEFGHIJKLMNOP -j KUBE-MARK-MASQ
-A KUBE-EXT-ABCDEFGHIJKLMNOP -j KUBE-SVC-ABCDEFGHIJKLMNOP
-A KUBE-SVC-ABCDEFGHIJKLMNOP ! -s 172.17.0.0/16 -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-ABCDEFGHIJKLMNOP -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-ONE
-A KUBE-SVC-ABCDEFGHIJKLMNOP -j KUBE-SEP-TWO
-A KUBE-SEP-ONE -s 172.17.0.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-ONE -p tcp -m tcp -j DNAT --to-destination 172.17.0.2:80
-A KUBE-SEP-TWO -s 172.17.0.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-TWO -p tcp -m tcp -j DNAT --to-destination 172.17.0.2:80
COMMIT
END`},
		{name: "kube-proxy with iptables and a local policy and ranges", sh: `iptables-nft-restore --noflush <<'END'
*filter
:KUBE-PROXY-FIREWALL - [0:0]
-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A KUBE-PROXY-FIREWALL -d 10.1.0.1/32 -p tcp -m tcp --dport 443 -m conntrack --ctorigdst 10.1.0.1/32 --ctorigdstport 443 -j DROP
COMMIT
*nat
:KUBE-SVL-A - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-EXT-A - [0:0]
:KUBE-FW-A - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -d 10.1.0.1/32 -p tcp -m tcp --dport 8080 -j KUBE-FW-A
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-FW-A -s 192.0.2.0/24 -j KUBE-EXT-A
-A KUBE-FW-A -s 203.0.113.8/32 -j KUBE-EXT-A
-A KUBE-EXT-A -s 172.17.0.0/16 -j KUBE-SVC-A
-A KUBE-EXT-A -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
-A KUBE-EXT-A -m addrtype --src-type LOCAL -j KUBE-SVC-A
-A KUBE-EXT-A -j KUBE-SVL-A
-A KUBE-SVL-A -m recent --name KUBE-SEP-A --rcheck --seconds 10800 --reap --mask 255.255.255.255 --rsource -j KUBE-SEP-A
-A KUBE-SVL-A -j KUBE-SEP-A
-A KUBE-SEP-A -p tcp -m recent --name KUBE-SEP-A --set --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination 172.17.0.2:80
COMMIT
END`},
		{name: "kube-proxy with nftables", nft: `table ip kube-proxy {
 comment "rules for kube-proxy"
 set cluster-ips { type ipv4_addr; comment "Active ClusterIPs"; elements = { 10.96.0.10 }
 }
 set nodeport-ips { type ipv4_addr; comment "IPs that accept NodePort traffic"; elements = { 10.1.0.1 }
 }
 map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; comment "destinations that are subject to LoadBalancerSourceRanges"; elements = { 10.2.0.1 . tcp . 8080 : goto firewall-x }
 }
 map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict
 }
 map no-endpoint-nodeports { type inet_proto . inet_service : verdict; elements = { udp . 8080 : goto reject-chain }
 }
 map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.10 . tcp . 80 : goto service-x, 10.2.0.1 . tcp . 8080 : goto external-x }
 }
 map service-nodeports { type inet_proto . inet_service : verdict; elements = { tcp . 8080 : goto external-x }
 }
 chain filter-prerouting { type filter hook prerouting priority dstnat - 10; policy accept;
 ct state new jump firewall-check
 }
 chain filter-input { type filter hook input priority -110; policy accept;
 ct state new jump nodeport-endpoints-check
 ct state new jump service-endpoints-check
 }
 chain filter-forward { type filter hook forward priority -110; policy accept;
 ct state new jump service-endpoints-check
 ct state new jump cluster-ips-check
 }
 chain filter-output { type filter hook output priority -110; policy accept;
 ct state new jump service-endpoints-check
 ct state new jump firewall-check
 }
 chain filter-output-post-dnat { type filter hook output priority -90; policy accept;
 ct state new jump cluster-ips-check
 }
 chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept;
 jump services
 }
 chain nat-output { type nat hook output priority -100; policy accept;
 jump services
 }
 chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept;
 jump masquerading
 }
 chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
 }
 chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services
 }
 chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips
 }
 chain services { ip daddr . meta l4proto . th dport vmap @service-ips
 ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
 }
 chain masquerading { mark and 0x4000 != 0 mark set mark and 0xffffbfff ip saddr 172.17.0.0/16 masquerade fully-random
 }
 chain mark-for-masquerade { mark set mark or 0x4000
 }
 chain cluster-ips-check { ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
 ip daddr 10.96.0.0/12 drop comment "Drop traffic to unallocated ClusterIPs"
 }
 chain reject-chain { reject
 }
 chain firewall-x { ip saddr != { 192.0.2.0/24, 203.0.113.8 } drop
 }
 chain service-x { ip daddr 10.96.0.10 tcp dport 80 ip saddr != 172.17.0.0/16 jump mark-for-masquerade
 numgen random mod 2 vmap { 0 : goto endpoint-a, 1 : goto endpoint-b }
 }
 chain external-x { jump mark-for-masquerade
 goto service-x
 }
 chain endpoint-a { ip saddr 172.17.0.2 jump mark-for-masquerade
 meta l4proto tcp dnat to 172.17.0.2:80
 }
 chain endpoint-b { ip saddr 172.17.0.2 jump mark-for-masquerade
 meta l4proto tcp dnat to 172.17.0.2:80
 }
 }`},
		{name: "Tailscale", sh: `ip link add tailscale0 type veth peer name ts1
ip address add 100.64.1.1/32 dev tailscale0
ip link set tailscale0 up
for ipt in iptables-nft ip6tables-nft; do
$ipt -N ts-input; $ipt -N ts-forward; $ipt -I INPUT 1 -j ts-input; $ipt -I FORWARD 1 -j ts-forward
done
iptables-nft -A ts-input -s 100.64.1.1/32 -i lo -j ACCEPT
iptables-nft -A ts-input -s 100.115.92.0/23 ! -i tailscale0 -j RETURN
iptables-nft -A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP
iptables-nft -A ts-input -i tailscale0 -j ACCEPT
iptables-nft -A ts-input -p udp -m udp --dport 5353 -j ACCEPT
iptables-nft -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000
iptables-nft -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT
iptables-nft -A ts-forward -s 100.64.0.0/10 -o tailscale0 -j DROP
iptables-nft -A ts-forward -o tailscale0 -j ACCEPT
iptables-nft -t nat -N ts-postrouting
iptables-nft -t nat -A POSTROUTING -j ts-postrouting
iptables-nft -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE
ip6tables-nft -A ts-input -i tailscale0 -j ACCEPT
iptables-nft -P INPUT DROP
iptables-nft -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT`, undo: "ip link del tailscale0"},
		{name: "WireGuard PostUp", sh: `ip link add wg0 type veth peer name wg1
ip address add 10.200.0.1/24 dev wg0
ip link set wg0 up
iptables-nft -A FORWARD -i wg0 -j ACCEPT
iptables-nft -t nat -A POSTROUTING -o eth0 -j MASQUERADE
iptables-nft -I INPUT -i wg0 -p tcp --dport 22 -j ACCEPT
iptables-nft -A INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset
iptables-nft -t nat -A PREROUTING -i eth0 -p tcp -m multiport --dports 80,8080 -j DNAT --to-destination 172.17.0.2:80
iptables-nft -t mangle -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu`, undo: "ip link del wg0"},
		{name: "libvirt", sh: `ip link add virbr0 type bridge
ip address add 192.168.122.1/24 dev virbr0
ip link set virbr0 up
iptables-nft-restore --noflush <<'END'
*filter
:LIBVIRT_INP - [0:0]
:LIBVIRT_OUT - [0:0]
:LIBVIRT_FWO - [0:0]
:LIBVIRT_FWI - [0:0]
:LIBVIRT_FWX - [0:0]
-A INPUT -j LIBVIRT_INP
-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A OUTPUT -j LIBVIRT_OUT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p tcp -m tcp --dport 53 -j ACCEPT
-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 67 -j ACCEPT
-A LIBVIRT_OUT -o virbr0 -p udp -m udp --dport 53 -j ACCEPT
-A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
-A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
COMMIT
*mangle
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -o virbr0 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
COMMIT
*nat
:LIBVIRT_PRT - [0:0]
-A POSTROUTING -j LIBVIRT_PRT
-A LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN
-A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535
COMMIT
END`, undo: "ip link del virbr0"},
		{name: "libvirt with nftables", nft: `table ip libvirt_network {
 chain forward { type filter hook forward priority filter; policy accept;
 jump guest_cross
 jump guest_input
 jump guest_output
 }
 chain guest_output { ip saddr 172.17.0.0/16 iif "docker0" counter accept
 iif "docker0" counter reject
 }
 chain guest_input { oif "docker0" ip daddr 172.17.0.0/16 ct state established,related counter accept
 oif "docker0" counter reject
 }
 chain guest_cross { iif "docker0" oif "docker0" counter accept
 }
 chain guest_nat { type nat hook postrouting priority srcnat; policy accept;
 ip saddr 172.17.0.0/16 ip daddr != 172.17.0.0/16 counter masquerade
 }
 }
 table ip dn { chain p { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 172.17.0.2:80
 }
 }`},
		{name: "Podman's netavark", nft: `table inet netavark {
 chain INPUT { type filter hook input priority filter; policy accept;
 ip saddr 172.17.0.0/16 meta l4proto { tcp, udp } th dport 53 accept
 }
 chain FORWARD { type filter hook forward priority filter; policy accept;
 ct state invalid drop
 jump NETAVARK-ISOLATION-1
 ip daddr 172.17.0.0/16 ct state established,related accept
 ip saddr 172.17.0.0/16 accept
 }
 chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept;
 meta mark & 0x00002000 == 0x00002000 masquerade
 ip saddr 172.17.0.0/16 jump nv_2f259bab_172_17_0_0_nm16
 }
 chain PREROUTING { type nat hook prerouting priority dstnat; policy accept;
 fib daddr type local jump NETAVARK-HOSTPORT-DNAT
 }
 chain OUTPUT { type nat hook output priority -100; policy accept;
 fib daddr type local jump NETAVARK-HOSTPORT-DNAT
 }
 chain NETAVARK-HOSTPORT-DNAT { tcp dport 8080 jump nv_2f259bab_172_17_0_0_nm16_dnat
 udp dport 8080 jump nv_2f259bab_172_17_0_0_nm16_dnat
 }
 chain NETAVARK-HOSTPORT-SETMARK { meta mark set meta mark | 0x00002000
 }
 chain NETAVARK-ISOLATION-1 { iifname "docker0" oifname != "docker0" jump NETAVARK-ISOLATION-2
 }
 chain NETAVARK-ISOLATION-2 { oifname "podman9" drop
 }
 chain nv_2f259bab_172_17_0_0_nm16 { ip daddr 172.17.0.0/16 accept
 ip daddr != 224.0.0.0/4 masquerade
 }
 chain nv_2f259bab_172_17_0_0_nm16_dnat { ip saddr 172.17.0.0/16 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
 ip saddr 127.0.0.1 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
 tcp dport 8080 dnat ip to 172.17.0.2:80
 ip daddr 10.1.0.1 udp dport 8080 dnat ip to 172.17.0.2:80
 }
 }`},
		{name: "CrowdSec", nft: `table ip crowdsec { set crowdsec-blacklists-CAPI { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 4h, 198.51.100.7 timeout 2h }
 }
 set crowdsec-blacklists-cscli { type ipv4_addr; flags timeout; elements = { 203.0.113.8 timeout 4h }
 }
 chain crowdsec-chain-input { type filter hook input priority filter - 10; policy accept;
 ip saddr @crowdsec-blacklists-CAPI counter drop
 ip saddr @crowdsec-blacklists-cscli counter drop
 }
 chain crowdsec-chain-forward { type filter hook forward priority filter - 10; policy accept;
 ip saddr @crowdsec-blacklists-CAPI counter drop
 } }
 table ip6 crowdsec6 { set crowdsec6-blacklists { type ipv6_addr; flags timeout; elements = { 2001:db8:99::1 timeout 4h }
 }
 chain crowdsec6-chain-input { type filter hook input priority filter - 10; policy accept;
 ip6 saddr @crowdsec6-blacklists counter drop
 } }`},
		{name: "ufw-docker", sh: `iptables-nft-restore --noflush <<'END'
*filter
:DOCKER-USER - [0:0]
:DOCKER - [0:0]
:ufw-user-forward - [0:0]
:ufw-docker-logging-deny - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-USER -j ufw-user-forward
-A DOCKER-USER -j RETURN -s 10.0.0.0/8
-A DOCKER-USER -j RETURN -s 172.16.0.0/12
-A DOCKER-USER -j RETURN -s 192.168.0.0/16
-A DOCKER-USER -p udp -m udp --sport 53 --dport 1024:65535 -j RETURN
-A DOCKER-USER -j ufw-docker-logging-deny -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -d 192.168.0.0/16
-A DOCKER-USER -j ufw-docker-logging-deny -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -d 172.16.0.0/12
-A DOCKER-USER -j ufw-docker-logging-deny -p udp -m udp --dport 0:32767 -d 172.16.0.0/12
-A DOCKER-USER -j RETURN
-A ufw-docker-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW DOCKER BLOCK] "
-A ufw-docker-logging-deny -j DROP
-A ufw-user-forward -p tcp -s 192.0.2.0/24 -d 172.17.0.2 --dport 80 -j ACCEPT
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
END`},
		{name: "iptables-persistent", sh: `iptables-nft-restore <<'END'
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 53 -j CT --notrack
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m conntrack --ctstate INVALID -j DROP
-A PREROUTING -p tcp ! --syn -m conntrack --ctstate NEW -j DROP
-A PREROUTING -p tcp -m conntrack --ctstate NEW -m tcpmss ! --mss 536:65535 -j DROP
-A PREROUTING -p tcp --tcp-flags FIN,SYN FIN,SYN -j DROP
-A PREROUTING -s 203.0.113.0/24,198.51.100.9/32 -j DROP
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:SSH - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m state --state NEW -j SSH
-A INPUT -p tcp -m multiport --dports 80,443 -m connlimit --connlimit-above 1000 --connlimit-mask 32 -j REJECT --reject-with tcp-reset
-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -j ACCEPT
-A SSH -s 192.0.2.0/24 -j ACCEPT
-A SSH -m iprange --src-range 198.51.100.5-198.51.100.20 -j ACCEPT
COMMIT
END
`},
		{name: "a router's zones", nft: `define wan = eth0
 table inet fw4 { set bogons { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.0/25, 192.0.2.128/25, 203.0.113.0/24 }
 }
 chain input { type filter hook input priority filter; policy drop;
 iif lo accept
 ct state vmap { established : accept, related : accept, invalid : drop }
 tcp flags & (fin | syn | rst | ack) == syn jump syn_flood
 iifname "eth1" jump input_lan
 iifname $wan jump input_wan
 jump handle_reject
 }
 chain forward { type filter hook forward priority filter; policy drop;
 ct state vmap { established : accept, related : accept }
 iifname $wan jump forward_wan
 jump handle_reject
 }
 chain syn_flood { limit rate 25/second burst 50 packets return
 drop
 }
 chain handle_reject { meta l4proto tcp reject with tcp reset
 reject with icmpx port-unreachable
 }
 chain input_lan { jump accept_from_lan
 }
 chain accept_from_lan { iifname "eth1" counter accept
 }
 chain input_wan { udp dport 68 accept
 ct status dnat accept
 jump reject_from_wan
 }
 chain reject_from_wan { iifname "eth0" counter jump handle_reject
 }
 chain forward_wan { ct status dnat accept
 }
 chain dstnat { type nat hook prerouting priority dstnat; policy accept;
 iifname "eth0" ip saddr != @bogons tcp dport 8080 counter dnat ip to 172.17.0.2:80
 }
 chain raw_prerouting { type filter hook prerouting priority raw; policy accept;
 iifname "eth0" ip saddr @bogons udp dport 53 counter drop
 } }`},
		{name: "geo sets as objects", nft: `table inet geo { counter c {
 }
 quota q { over 100000 mbytes }

 limit l { rate 10 mbytes/second
 }
 set allow4 { type ipv4_addr; flags interval; counter; elements = { 192.0.2.0/24 counter packets 0 bytes 0, 198.51.100.0-198.51.100.8 }
 }
 set allow6 { type ipv6_addr; flags interval; elements = { 2001:db8:99::/80 }
 }
 map perport { type inet_service : counter; elements = { 22 : "c" }
 }
 chain in { type filter hook prerouting priority raw; policy accept;
 iif lo accept
 ip saddr @allow4 counter name c accept
 ip6 saddr @allow6 counter name c accept
 ip6 nexthdr icmpv6 accept
 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
 counter name tcp dport map @perport
 tcp dport { 22, 80, 443 } ct state new drop
 udp dport 53 quota name "q" drop
 } }`},
		{name: "policies by connection marks", nft: `table inet t { chain pre { type filter hook prerouting priority mangle; policy accept;
 ct mark != 0 meta mark set ct mark accept
 iifname "eth0" ip saddr 192.0.2.0/24 meta mark set 0x10
 iifname "eth1" meta mark set 0x20
 ct mark set meta mark
 }
 chain in { type filter hook input priority filter; policy drop;
 ct mark 0x20 tcp dport { 22, 80 } accept
 ct mark and 0x30 == 0x10 ct direction original accept
 ct state established,related accept
 }
 chain out { type route hook output priority mangle; policy accept;
 meta mark set ct mark
 } }`, sh: "ip rule add pref 100 fwmark 0x20 lookup 200\nip route add default via 10.2.0.2 table 200\nip route add 192.0.2.0/25 via 10.1.0.2 dev eth0 table 200", undo: "ip rule del pref 100\nip route flush table 200"},
		{name: "strict sources", nft: `table inet t { chain pre { type filter hook prerouting priority -300; policy accept;
 fib saddr . iif oif missing drop
 fib daddr . iif type != { local, broadcast, multicast } drop
 }
 chain in { type filter hook input priority filter; policy accept; ct state invalid drop
 } }`},
		{name: "transparent sockets", nft: `table inet t { chain divert { type filter hook prerouting priority mangle; policy accept;
 meta l4proto tcp socket transparent 1 meta mark set 1 accept
 ip saddr 192.0.2.0/24 tcp dport 8080 tproxy ip to :80 meta mark set 1 accept
 } }`, sh: "ip rule add pref 100 fwmark 1 lookup 100\nip route add local 0.0.0.0/0 dev lo table 100", undo: "ip rule del pref 100\nip route flush table 100", unknown: "tproxy"},
		{name: "synproxy of an administrator", nft: `table inet t { chain raw { type filter hook prerouting priority raw; policy accept; tcp dport 80 tcp flags syn notrack
 }
 chain in { type filter hook input priority filter; policy accept;
 tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
 ct state invalid drop
 } }`, unknown: "synproxy"},
		{name: "meters and knocks", nft: `table inet t { set flood { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }
 set knocked { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 10s; }
 chain in { type filter hook input priority filter; policy drop;
 ct state established,related accept
 tcp dport 443 add @knocked { ip saddr . 22 }
 ip saddr . tcp dport @knocked accept
 tcp dport 80 ct state new meter m size 4096 { ip saddr limit rate over 1000/second burst 5000 packets } drop
 tcp dport 80 ct state new add @flood { ip saddr limit rate over 5000/second } reject
 tcp dport 80 accept
 } }`},
		{name: "netdev and inet ingress", nft: `table netdev filter { set bad { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 }
 }
 chain in { type filter hook ingress devices = { eth0, eth1 } priority -500; policy accept;
 ip frag-off & 0x1fff != 0 counter drop
 ip saddr @bad drop
 tcp flags & (fin|psh|urg) == fin|psh|urg drop
 tcp flags syn tcp option maxseg size 1-500 drop
 meta protocol ip6 tcp dport 443 ip6 saddr 2001:db8:99::/80 drop
 } }`},
		{name: "bridge table on plain interfaces", nft: `table bridge b { chain f { type filter hook forward priority 0; policy drop;
 ether type arp accept
 }
 chain i { type filter hook input priority 0; policy drop;
 } }`},
	}
}
