package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// newTunnelled is a guarded machine behind ufw with its own configuration, a way to
// the rest of the world by eth0, and an overlay, vx0, that leads to the other end.
func newTunnelled(t *testing.T) *guarded {
	t.Helper()
	netnstest.Need(t, "ufw")
	g := newGuarded(t)
	g.run("ip", "route", "add", "default", "via", clientAddr)
	g.run("ip", "-6", "route", "add", "default", "via", "2001:db8::2")
	g.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", machineAddr, "remote", clientAddr, "dev", "eth0")
	g.outside.Run("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", clientAddr, "remote", machineAddr, "dev", "eth0")
	g.run("ip", "link", "set", "vx0", "up")
	g.outside.Run("ip", "link", "set", "vx0", "up")
	g.ns.AddAddr("vx0", "10.99.0.1/24")
	g.outside.AddAddr("vx0", "10.99.0.2/24")
	g.run("sh", "-c", `set -e; cd "$0"; mkdir /var/lib/ufw; for d in ufw default; do cp -a /etc/$d .; mount --bind $d /etc/$d; done
ufw --force reset >/dev/null; ufw logging off >/dev/null; ufw default deny incoming >/dev/null`, g.dir)
	return g
}

// ufw does what its lines say, and puts ufw in charge.
func (g *guarded) ufw(lines ...string) {
	g.t.Helper()
	g.run("sh", "-c", "set -e\n"+strings.Join(lines, "\n")+"\nufw --force enable")
}

// kinds are the findings of the view, as "kind port severity".
func kinds(e envelope, wanted ...string) []string {
	var out []string
	for _, f := range e.Findings {
		if slices.Contains(wanted, f.Kind) {
			out = append(out, f.Kind+" "+f.Severity+" "+f.Why)
		}
	}
	slices.Sort(out)
	return out
}

// TestRuleFindings provokes what only the rules show, with ufw's own: an overlay
// that everything is let in by, rules without a door, and a service for nobody beyond
// this network that others beyond it reach.
func TestRuleFindings(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "redis-server")
	g := newTunnelled(t)
	g.daemon("root", "redis-server", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", g.dir)
	g.waitFor("tcp 6379")
	g.ufw("ufw allow 22/tcp", "ufw allow proto udp from "+clientAddr+" to any port 4789", "ufw allow 8080/tcp", "ufw allow 9000:9100/udp", "ufw allow from 8.0.0.0/8 to any port 6379 proto tcp",
		"ufw allow proto tcp from 203.0.113.7 to any port 7000")
	g.run("iptables-nft", "-I", "INPUT", "-i", "vx0", "-j", "ACCEPT")

	// What is said has to be so.
	if knock(g.outside, "tcp", "", machineAddr+":80", patience(false)) || !knock(g.outside, "tcp", "", "10.99.0.1:80", patient) {
		t.Fatal("the overlay is not what it should be")
	}
	all := []string{"overlay-open", "idle-permit", "exposed-service", "wide-service"}
	got := kinds(g.view(), all...)
	want := []string{
		"exposed-service high Computers beyond this network (8.0.0.0/8) can reach Redis on 0.0.0.0:6379/tcp",
		"idle-permit info A firewall rule opens 7000/tcp,",
		"idle-permit low A firewall rule opens 8080/tcp,",
		"idle-permit low A firewall rule opens 9000-9100/udp,",
		"overlay-open medium Whoever is on vx0 gets to [::]:80/tcp, [::]:443/tcp",
	}
	same := func() {
		t.Helper()
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	same()

	// Meant so: one port by the overlay, the service for this network, a program
	// behind the rule.
	g.run("iptables-nft", "-D", "INPUT", "-i", "vx0", "-j", "ACCEPT")
	g.run("iptables-nft", "-I", "INPUT", "-i", "vx0", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
	g.ufw("ufw delete allow from 8.0.0.0/8 to any port 6379 proto tcp", "ufw allow from 192.0.2.0/24 to any port 6379 proto tcp",
		"ufw delete allow 9000:9100/udp", "ufw delete allow proto tcp from 203.0.113.7 to any port 7000")
	g.run("iptables-nft", "-I", "INPUT", "-i", "vx0", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
	echo(t, g.ns, "tcp", "0.0.0.0:8080")
	got, want = kinds(g.view(), all...), []string{"wide-service low Redis answers on every address"}
	same()
}

// TestTunnelFindings has a VPN's device by which everything is let in, beside a port
// that is closed for IPv4 only: neither is hidden by the other.
func TestTunnelFindings(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "nft")
	g := newGuarded(t)
	g.run("ip", "route", "add", "default", "via", clientAddr)
	g.run("ip", "-6", "route", "add", "default", "via", "2001:db8::2")
	g.run("ip", "tuntap", "add", "dev", "tun0", "mode", "tun")
	g.run("ip", "link", "set", "tun0", "up")
	g.ns.AddAddr("tun0", "10.8.0.1/24")
	cmd := g.ns.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(`table inet mine {
	chain in { type filter hook input priority 0; policy drop;
		ct state established,related accept
		meta l4proto ipv6-icmp accept
		iifname "tun0" accept
		meta nfproto ipv4 tcp dport 80 drop
		tcp dport 80 accept
	}
}
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if knock(g.outside, "tcp", "", machineAddr+":80", patience(false)) || !knock(g.outside, "tcp", "", "[2001:db8::1]:80", patient) {
		t.Fatal("IPv4 and IPv6 are not what they should be")
	}
	got := kinds(g.view(), "overlay-open", "ipv6-open")
	want := []string{"ipv6-open medium ", "overlay-open low Whoever is on tun0 gets to [::]:22/tcp, [::]:443/tcp,"}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
