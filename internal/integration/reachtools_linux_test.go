package integration

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// decided wants nearly everything decided: 2 % may stay unknown.
func (r *shootingRange) decided(t *testing.T) {
	t.Helper()
	t.Logf("%+v", r.tally)
	if r.tally.unknown*50 > r.tally.probes {
		t.Errorf("%d of %d are unknown", r.tally.unknown, r.tally.probes)
	}
	if r.tally.in == 0 || r.tally.in == r.tally.probes {
		t.Errorf("a proof needs cases of both kinds: %+v", r.tally)
	}
}

// shell runs a script in the server's network with files of its own: what it
// writes below /etc and /run stays there.
func (r *shootingRange) shell(dir, script string) (string, error) {
	mounts := `set -e
for d in etc run var/lib/ufw; do mkdir -p "$0/$d"; done
mount -t tmpfs none /run
mount --bind "$0/etc/ufw" /etc/ufw
mount --bind "$0/etc/default" /etc/default
`
	cmd := r.server.Command("unshare", "--mount", "sh", "-c", mounts+script, dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.WaitDelay = patient
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// someNetworks returns networks for rules.
func (g *generator) someNetworks(n int) (list []string) {
	for range n {
		a := g.addr(true)
		p := netip.PrefixFrom(a, 8+g.rng.IntN(25)).Masked()
		ends := monban.RangeOf(p)
		g.sources = append(g.sources, ends.First, ends.Last)
		list = append(list, p.String())
	}
	return list
}

// reachUFW proves exposure on rulesets that ufw writes.
func reachUFW(t *testing.T) *shootingRange {
	netnstest.Need(t, "ufw")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	for i := range 4 {
		g := generator{rng: r.rng}
		nets := g.someNetworks(4)
		dir := t.TempDir()
		for _, d := range [...]string{"ufw", "default"} {
			if out, err := exec.Command("cp", "-a", "/etc/"+d, filepath.Join(mkdir(t, dir, "etc"), d)).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		}
		var b strings.Builder
		b.WriteString("ufw --force reset >/dev/null; ufw logging off >/dev/null\n")
		fmt.Fprintf(&b, "ufw default %s incoming >/dev/null\n", g.one("deny", "deny", "reject", "allow"))
		for range 6 {
			port := g.one("22/tcp", "80/tcp", "443/tcp", "53/udp", "5353/udp", "8080")
			verb := g.one("allow", "allow", "deny", "reject", "prepend deny", "limit")
			if verb == "limit" {
				port = "22/tcp"
			}
			proto, num := "", port
			if p, q, ok := strings.Cut(port, "/"); ok {
				num, proto = p, "proto "+q
			}
			switch g.rng.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "ufw %s %s\n", verb, port)
			case 1:
				fmt.Fprintf(&b, "ufw %s %s from %s to any port %s\n", verb, proto, g.one(nets...), num)
			case 2:
				fmt.Fprintf(&b, "ufw %s in on eth0 %s from %s to any port %s\n", verb, proto, g.one(append(nets, "any")...), num)
			case 3:
				fmt.Fprintf(&b, "ufw %s from %s\n", strings.Replace(verb, "limit", "allow", 1), g.one(nets...))
			}
		}
		b.WriteString("ufw --force enable\n")
		if err := r.nft(""); err != nil {
			t.Fatal(err)
		}
		out, err := r.shell(dir, b.String())
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, b.String(), out)
		}
		r.check(fmt.Sprintf("ufw %d", i), b.String()+r.server.Run("nft", "list", "ruleset"), g.sources, ports, 300)
		if t.Failed() {
			return r
		}
	}
	r.decided(t)
	return r
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dockerRules are what dockerd writes with iptables for one published port, for
// both families.
func dockerRules(tcp, udp bool) string {
	var b strings.Builder
	for _, f := range [...]struct{ cmd, to, lo string }{{"iptables-nft", containerV4 + ":80", "127.0.0.0/8"}, {"ip6tables-nft", "[" + containerV6 + "]:80", "::1/128"}} {
		say := func(format string, args ...any) { fmt.Fprintf(&b, f.cmd+" -w "+format+"\n", args...) }
		for _, c := range [...]string{"DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER"} {
			say("-N %s", c)
		}
		say("-P FORWARD DROP")
		say("-A FORWARD -j DOCKER-USER")
		say("-A FORWARD -j DOCKER-ISOLATION-STAGE-1")
		say("-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
		say("-A FORWARD -o docker0 -j DOCKER")
		say("-A FORWARD -i docker0 ! -o docker0 -j ACCEPT")
		say("-A FORWARD -i docker0 -o docker0 -j ACCEPT")
		say("-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2")
		say("-A DOCKER-ISOLATION-STAGE-1 -j RETURN")
		say("-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP")
		say("-A DOCKER-ISOLATION-STAGE-2 -j RETURN")
		say("-t nat -N DOCKER")
		say("-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER")
		say("-t nat -A OUTPUT ! -d %s -m addrtype --dst-type LOCAL -j DOCKER", f.lo)
		say("-t nat -A DOCKER -i docker0 -j RETURN")
		for proto, on := range map[string]bool{"tcp": tcp, "udp": udp} {
			if !on {
				continue
			}
			say("-t nat -A DOCKER ! -i docker0 -p %s -m %s --dport 8080 -j DNAT --to-destination %s", proto, proto, f.to)
			addr := strings.Trim(strings.TrimSuffix(f.to, ":80"), "[]")
			say("-A DOCKER -d %s ! -i docker0 -o docker0 -p %s -m %s --dport 80 -j ACCEPT", addr, proto, proto)
		}
	}
	return b.String()
}

// reachIPTables proves exposure on rules in the way of Docker, beside those
// that people write with iptables.
func reachIPTables(t *testing.T) *shootingRange {
	netnstest.Need(t, "iptables-nft")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	dead := 0
	for i := range 25 {
		g := generator{rng: r.rng}
		nets := g.someNetworks(4)
		var b strings.Builder
		b.WriteString("set -e\n" + dockerRules(g.chance(80), g.chance(50)))
		say := func(format string, args ...any) { fmt.Fprintf(&b, "iptables-nft -w "+format+"\n", args...) }
		say("-P INPUT %s", g.one("ACCEPT", "DROP"))
		if g.chance(70) {
			say("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
			say("-A INPUT -m conntrack --ctstate INVALID -j DROP")
		} else {
			say("-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT")
		}
		say("-N mine")
		for range 8 {
			chain := g.one("INPUT", "INPUT", "mine", "DOCKER-USER")
			match := g.one(
				"-s "+g.one(nets...), "! -s "+g.one(nets...), "-i eth0", "! -i eth1",
				"-p tcp -m multiport --dports 22,80", "-p tcp -m multiport ! --dports 1:100,8080", "-p udp --dport 53",
				"-p tcp --dport 80:443", "-p tcp ! --dport 22", "-p tcp --syn", "-m conntrack --ctstate NEW",
				"-m conntrack --ctorigdstport 8080", "-m conntrack --ctstate DNAT", "-m addrtype --dst-type LOCAL",
				"-m addrtype --src-type UNICAST", "-m mark --mark 1", "-m mark ! --mark 0x1/0x1", "-d "+g.one(serverV4a, serverV4b),
				"-m iprange --src-range "+g.iprange(), "-m connmark --mark 5", "-m pkttype --pkt-type unicast",
				"-p tcp -m recent --name x --set", "-m comment --comment hello",
			)
			if g.chance(40) {
				match += " -s " + strings.TrimPrefix(g.one(nets...), "! ")
				if strings.Count(match, "-s ") > 1 {
					match = "-s " + g.one(nets...)
				}
			}
			target := g.one("ACCEPT", "ACCEPT", "DROP", "REJECT", "RETURN", "mine")
			if chain == "mine" && target == "mine" {
				target = "RETURN"
			}
			say("-A %s %s -j %s", chain, match, target)
		}
		say("-t mangle -A PREROUTING -s %s -j MARK --set-xmark %s", g.one(nets...), g.one("0x1/0xffffffff", "0x3/0x1"))
		say("-t mangle -A PREROUTING -s %s -j CONNMARK --set-mark 5", g.one(nets...))
		if g.chance(30) {
			say("-t raw -A PREROUTING -s %s -p udp -j CT --notrack", g.one(nets...))
		}
		if g.chance(30) {
			say("-t nat -A PREROUTING -p udp --dport 8080 -s %s -j REDIRECT --to-ports %s", g.one(nets...), g.one("53", "5353"))
		}
		// fail2ban's, too: a table of nft's own that drops first.
		nft := fmt.Sprintf(`table inet f2b-table {
	set addr-set-sshd { type ipv4_addr; flags interval; auto-merge; elements = { %s } }
	chain f2b-chain { type filter hook input priority filter - 1; policy accept;
		tcp dport { 22 } ip saddr @addr-set-sshd reject with icmp type port-unreachable
	}
}
`, strings.Join(g.bans(), ", "))
		if err := r.nft(nft); err != nil {
			t.Fatal(err)
		}
		cmd := r.server.Command("sh", "-c", b.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, b.String(), out)
		}
		r.check(fmt.Sprintf("iptables %d", i), b.String(), g.sources, ports, 300)
		dead += r.silent()
		if t.Failed() {
			return r
		}
	}
	if dead == 0 {
		t.Error("no rule of so many never matches")
	}
	r.decided(t)
	return r
}

func (g *generator) iprange() string {
	a, b := g.addr(true), g.addr(true)
	if b.Less(a) {
		a, b = b, a
	}
	return a.String() + "-" + b.String()
}

func (g *generator) bans() (list []string) {
	for range 10 {
		list = append(list, g.addr(true).String())
	}
	return list
}

// reachFirewalld proves exposure on rulesets that firewalld writes.
func reachFirewalld(t *testing.T) *shootingRange {
	netnstest.Need(t, "firewalld")
	netnstest.Need(t, "dbus-daemon")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	dir := t.TempDir()
	for _, d := range [...]string{"firewalld", "ufw", "default"} {
		if out, err := exec.Command("cp", "-a", "/etc/"+d, filepath.Join(mkdir(t, dir, "etc"), d)).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	for i := range 2 {
		g := generator{rng: r.rng}
		nets := g.someNetworks(5)
		var b strings.Builder
		b.WriteString(`mount --bind "$0/etc/firewalld" /etc/firewalld
mkdir -p /run/dbus
dbus-daemon --system --nofork --nopidfile & bus=$!
for n in $(seq 2000); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.05; done
firewalld --nofork --nopid >/dev/null 2>&1 & fw=$!
trap 'kill -9 $fw $bus' EXIT
for n in $(seq 2000); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.1; done
`)
		say := func(format string, args ...any) { fmt.Fprintf(&b, "firewall-cmd "+format+" >/dev/null\n", args...) }
		say("--set-default-zone=%s", g.one("public", "internal", "dmz", "drop"))
		say("--zone=%s --change-interface=eth1", g.one("trusted", "work", "block"))
		say("--zone=trusted --add-source=%s", nets[0])
		say("--zone=drop --add-source=%s", nets[1])
		for range 4 {
			say("--add-port=%s", g.one("80/tcp", "443/tcp", "53/udp", "5353/udp", "20-100/tcp"))
		}
		say("--add-rich-rule='rule family=ipv4 source address=%s port port=443 protocol=tcp %s'", nets[2], g.one("accept", "reject", "drop"))
		say("--add-rich-rule='rule family=ipv4 source address=%s %s'", nets[3], g.one("accept", "drop"))
		say("--add-forward-port=port=8080:proto=tcp:toport=%s", g.one("22", "80"))
		// The rules outlive firewalld only as long as its socket: the check is
		// made while it runs.
		b.WriteString("echo ready; read line\n")
		if err := r.nft(""); err != nil {
			t.Fatal(err)
		}
		r.shellWhile(t, dir, b.String(), func() {
			r.check(fmt.Sprintf("firewalld %d", i), b.String()+r.server.Run("nft", "list", "ruleset"), g.sources, ports, 300)
		})
		if t.Failed() {
			return r
		}
	}
	r.decided(t)
	return r
}

// shellWhile runs a script, and f once the script says "ready".
func (r *shootingRange) shellWhile(t *testing.T, dir, script string, f func()) {
	t.Helper()
	mounts := `set -e
mount -t tmpfs none /run
`
	cmd := r.server.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mounts+script, dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	startReady(t, cmd)
	f()
	in.Close()
	cmd.Wait() // its status is that of read, or of the kill
}
