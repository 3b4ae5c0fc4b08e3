package daemons

import "github.com/monban-dev/monban"

// names are servers of DNS.
func names() []Daemon {
	both := func(product string) []Door { return []Door{tcp(53, "dns", product), udp(53, "dns", product)} }
	return []Daemon{
		{Name: "BIND", Needs: "named", Assigned: true, Client: []string{"host", "-W", "2", "-c", "CH", "-t", "TXT", "version.bind", "@ADDR@"}, Doors: both("BIND"), start: func(r *room) {
			r.subdir("bind", "root")
			r.daemon("root", "named", "-g", "-4", "-c", r.file("named.conf", `options {
	directory "@DIR@/bind";
	pid-file "@DIR@/bind/pid";
	lock-file none;
	session-keyfile "@DIR@/bind/key";
	listen-on port 53 { @ADDR@; };
	listen-on-v6 { none; };
	recursion no;
	dnssec-validation no;
};
controls { };
`))
		}},
		{Name: "Unbound", Needs: "unbound", Client: []string{"host", "-W", "2", "-c", "CH", "-t", "TXT", "version.bind", "@ADDR@"}, Doors: both("Unbound"), start: func(r *room) {
			r.daemon("root", "unbound", "-d", "-c", r.file("unbound.conf", `server:
	interface: @ADDR@
	username: ""
	chroot: ""
	directory: "@DIR@"
	pidfile: "@DIR@/pid"
	use-syslog: no
	num-threads: 1
	access-control: 127.0.0.0/8 allow
	do-not-query-localhost: no
remote-control:
	control-enable: no
`))
		}},
		{Name: "dnsmasq", Needs: "dnsmasq", Client: []string{"host", "-W", "2", "-c", "CH", "-t", "TXT", "version.bind", "@ADDR@"}, Doors: both("dnsmasq"), start: func(r *room) {
			r.daemon("root", "dnsmasq", "-k", "--port=53", "--listen-address=@ADDR@", "--bind-interfaces", "-C", "/dev/null", "--no-resolv", "--user=root", "--pid-file=@DIR@/pid")
		}},
		{Name: "Knot", Needs: "knotd", Client: []string{"host", "-W", "2", "-c", "CH", "-t", "TXT", "version.bind", "@ADDR@"}, Doors: both("Knot DNS"), start: func(r *room) {
			r.subdir("knot", "root")
			r.daemon("root", "knotd", "-c", r.file("knot.conf", "server:\n    listen: @ADDR@@53\n    rundir: @DIR@/knot\n    user: root\n    version: \"Knot DNS 3.2.6\"\ndatabase:\n    storage: @DIR@/knot\nlog:\n  - target: stderr\n    any: info\n"))
		}},
		{Name: "Avahi", Needs: "avahi-daemon", Outside: true, Doors: []Door{udp(5353, "mdns", "")}, start: func(r *room) {
			r.daemon("root", "avahi-daemon", "--no-drop-root", "--no-rlimits", "--no-chroot", "-f", r.file("avahi.conf", "[server]\nenable-dbus=no\nuse-ipv6=no\nallow-interfaces=lo\n[publish]\npublish-workstation=yes\n"))
			r.ready = "Server startup complete"
		}},
	}
}

// network keep a network going.
func network() []Daemon {
	return []Daemon{
		{Name: "Kerberos", Needs: "krb5kdc", Doors: []Door{tcp(88, "kerberos", ""), udp(88, "kerberos", "")}, start: func(r *room) {
			r.file("krb5.conf", "[libdefaults]\n default_realm = DOOR.EXAMPLE\n[realms]\n DOOR.EXAMPLE = {\n  kdc = @ADDR@\n }\n")
			r.file("kdc.conf", "[kdcdefaults]\n kdc_listen = @ADDR@:88\n kdc_tcp_listen = @ADDR@:88\n[realms]\n DOOR.EXAMPLE = {\n  database_name = @DIR@/principal\n  key_stash_file = @DIR@/stash\n  acl_file = @DIR@/acl\n }\n[logging]\n kdc = FILE:@DIR@/kdc.log\n")
			r.run("env", "KRB5_CONFIG=@DIR@/krb5.conf", "KRB5_KDC_PROFILE=@DIR@/kdc.conf", "kdb5_util", "-P", "secret", "create", "-s", "-r", "DOOR.EXAMPLE")
			r.daemon("root", "env", "KRB5_CONFIG=@DIR@/krb5.conf", "KRB5_KDC_PROFILE=@DIR@/kdc.conf", "krb5kdc", "-n")
		}},
		{Name: "Net-SNMP", Needs: "snmpd", Doors: []Door{udp(161, "snmp", "Net-SNMP")}, start: func(r *room) {
			r.daemon("root", "env", "SNMP_PERSISTENT_DIR=@DIR@", "snmpd", "-f", "-Lo", "-C", "-c", r.file("snmpd.conf", "rocommunity other\n"), "udp:@ADDR@:161")
		}},
		{Name: "chrony", Needs: "chronyd", Doors: []Door{udp(123, "ntp", "")}, start: func(r *room) {
			r.daemon("root", "chronyd", "-d", "-x", "-u", "root", "port 123", "bindaddress @ADDR@", "local stratum 10", "allow 127.0.0.0/8", "cmdport 0", "pidfile @DIR@/pid", "bindcmdaddress /")
		}},
		{Name: "coturn", Needs: "turnserver", Doors: []Door{tcp(3478, "stun", "Coturn"), udp(3478, "stun", "Coturn")}, start: func(r *room) {
			r.daemon("root", "turnserver", "-n", "-L", "@ADDR@", "-p", "3478", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", "--pidfile=@DIR@/pid", "--db=@DIR@/db", "--userdb=@DIR@/db", "--min-port=50000", "--max-port=50010", "--allow-loopback-peers", "--cli-password=x")
		}},
		{Name: "OpenVPN", Needs: "openvpn", Doors: []Door{{Proto: monban.TCP, Port: 1194, Protocol: "openvpn"}}, start: func(r *room) { r.openvpn("tcp-server") }},
		{Name: "OpenVPN over UDP", Needs: "openvpn", Doors: []Door{udp(1194, "openvpn", "")}, start: func(r *room) { r.openvpn("udp") }},
		{Name: "Kamailio", Needs: "kamailio", Doors: []Door{udp(5060, "sip", "kamailio"), tcp(5060, "sip", "kamailio")}, start: func(r *room) {
			r.subdir("kam", "root")
			r.daemon("root", "kamailio", "-DD", "-E", "-Y", "@DIR@/kam", "-P", "@DIR@/pid", "-m", "32", "-f", r.file("kamailio.cfg", `children=1
listen=udp:@ADDR@:5060
listen=tcp:@ADDR@:5060
server_signature=yes
loadmodule "sl.so"
loadmodule "pv.so"
request_route {
	sl_send_reply("200", "OK");
	exit;
}
`))
		}},
		{Name: "Tor", Needs: "tor", Doors: []Door{tcp(9050, "socks", "")}, start: func(r *room) {
			r.subdir("tor", "root")
			r.run("chmod", "700", "@DIR@/tor")
			r.daemon("root", "tor", "-f", r.file("torrc", "SocksPort @ADDR@:9050\nDataDirectory @DIR@/tor\nDisableNetwork 0\nUser root\n"), "--ignore-missing-torrc")
		}},
		{Name: "Dante", Needs: "danted", Doors: []Door{tcp(1080, "socks", "")}, start: func(r *room) {
			r.daemon("root", "danted", "-f", r.file("danted.conf", `logoutput: stderr
internal: @ADDR@ port = 1080
external: lo
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
`), "-p", "@DIR@/pid")
		}},
		{Name: "inetd", Needs: "inetd", Doors: []Door{tcp(7, "echo", ""), tcp(13, "daytime", ""), tcp(19, "chargen", ""), tcp(37, "time", ""), {Proto: monban.TCP, Port: 9, Unknown: true}}, start: func(r *room) {
			r.daemon("root", "inetd", "-i", r.file("inetd.conf", `@ADDR@:echo stream tcp nowait root internal
@ADDR@:daytime stream tcp nowait root internal
@ADDR@:chargen stream tcp nowait root internal
@ADDR@:time stream tcp nowait root internal
@ADDR@:discard stream tcp nowait root internal
`))
		}},
	}
}

func (r *room) openvpn(proto string) {
	r.certificate("root")
	r.daemon("root", "openvpn", "--dev", "tun", "--server", "10.98.0.0", "255.255.255.0", "--proto", proto, "--local", "@ADDR@", "--lport", "1194", "--dh", "none",
		"--ca", "@DIR@/cert.pem", "--cert", "@DIR@/cert.pem", "--key", "@DIR@/key.pem")
}
