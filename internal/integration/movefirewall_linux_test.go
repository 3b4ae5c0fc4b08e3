package integration

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// besieged is a machine whose sshd is moved behind a firewall that lets in one
// neighbour and not the other.
type besieged struct {
	*sshRoom
	outside *netnstest.NS
}

const (
	friend, stranger   = "192.0.2.2", "192.0.2.3"
	friend6, stranger6 = "2001:db8::2", "2001:db8::3"
)

func newBesieged(t *testing.T) *besieged {
	t.Helper()
	b := &besieged{newSSHRoom(t, nil, "127.0.0.1", "::1"), netnstest.New(t)}
	netnstest.Connect(b.ns, "eth0", b.outside, "eth0")
	b.ns.AddAddr("eth0", machineAddr+"/24", "2001:db8::1/64")
	b.outside.AddAddr("eth0", friend+"/24", stranger+"/24", friend6+"/64", stranger6+"/64")
	return b
}

// lets says who gets a banner at a port from outside: "friend friend6". Those who
// ought to get one are patient.
func (b *besieged) lets(port int, want string) string {
	all := []struct{ name, from, to string }{
		{"friend", friend, machineAddr}, {"stranger", stranger, machineAddr}, {"friend6", friend6, "2001:db8::1"}, {"stranger6", stranger6, "2001:db8::1"},
	}
	got := make([]string, len(all))
	var group sync.WaitGroup
	for i, who := range all {
		group.Go(func() {
			b.outside.Do(func() {
				d := net.Dialer{Timeout: patience(slices.Contains(strings.Fields(want), who.name)), LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(who.from), 0))}
				if sshBanner(d, net.JoinHostPort(who.to, strconv.Itoa(port))) {
					got[i] = who.name
				}
			})
		})
	}
	group.Wait()
	return strings.Join(strings.Fields(strings.Join(got, " ")), " ")
}

func (b *besieged) wantIn(what, old, new string) {
	b.t.Helper()
	if wrong := b.differsIn(what, old, new); wrong != "" {
		b.t.Error(wrong)
	}
}

func (b *besieged) differsIn(what string, old, new string) string {
	if was, is := b.lets(oldPort, old), b.lets(newPort, new); was != old || is != new {
		return fmt.Sprintf("%s: port %d lets in %q, port %d %q; want %q and %q\n%s", what, oldPort, was, newPort, is, old, new, b.run("nft", "list", "ruleset"))
	}
	return ""
}

// TestMoveFirewalls: the new port is open for those who came in at the old one, in
// both families, and for nobody else; without a confirmation the firewall is as it
// was.
func TestMoveFirewalls(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "nft")
	const policyText = `# The doors of this machine.
monban: 1
doors:
  # Only the friend administrates.
  - {port: 22/tcp, to: [192.0.2.2, "2001:db8::2"], for: administrators}   # ask her first
  - {port: 443/tcp, to: any}
`
	for _, test := range []struct {
		name, program, prepare string
		after                  string // who is let in at the old port by rules that stay: nobody listens there
		check                  func(t *testing.T, b *besieged)
	}{
		{name: "guard", program: "nft", prepare: "cat >/etc/monban/monban.yaml <<'end'\n" + policyText + "end\n" +
			"MONBAN guard apply --yes --timeout 1h -f /etc/monban/monban.yaml && MONBAN guard confirm --same-session",
			check: func(t *testing.T, b *besieged) {
				want := strings.Replace(policyText, "  - {port: 22/tcp, to: [192.0.2.2, \"2001:db8::2\"], for: administrators}   # ask her first\n", "", 1)
				got := b.run("cat", "/etc/monban/monban.yaml")
				if !strings.Contains(got, "# Only the friend administrates.") || !strings.Contains(got, "{port: 1011/tcp, to: [192.0.2.2, \"2001:db8::2\"], for: administrators}") || strings.Contains(got, "22/tcp") {
					t.Errorf("the policy file is\n%s\nwant, more or less\n%s", got, want)
				}
				b.run(program(t, "monban-static"), "guard", "plan", "-f", "/etc/monban/monban.yaml") // exit 1 where it differs
				b.run(program(t, "monban-static"), "guard", "status")
			}},
		{name: "ufw", program: "ufw", prepare: `mkdir -p /var/lib/ufw; ufw --force reset >/dev/null; ufw logging off >/dev/null
ufw allow proto tcp from 192.0.2.2 to any port 22; ufw deny from 192.0.2.3; ufw allow in on eth0 proto tcp from 2001:db8::2 to any port 22,80; ufw allow 443/tcp; ufw --force enable`,
			check: func(t *testing.T, b *besieged) {
				if out := b.run("ufw", "status"); strings.Count(out, newText) != 2 {
					t.Errorf("ufw has:\n%s", out)
				}
			}},
		{name: "firewalld", program: "firewall-cmd", prepare: `mkdir -p /run/dbus; dbus-daemon --system --nofork --nopidfile >/dev/null 2>&1 &
for n in $(seq 2000); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.05; done
mkdir -p /etc/firewalld/zones
cat >/etc/firewalld/zones/public.xml <<'end'
<?xml version="1.0" encoding="utf-8"?>
<zone><rule family="ipv4"><source address="192.0.2.2"/><service name="ssh"/><accept/></rule><rule family="ipv6"><source address="2001:db8::2"/><port port="22" protocol="tcp"/><accept/></rule></zone>
end
firewalld --nofork --nopid >/dev/null 2>&1 &
for n in $(seq 1000); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.1; done
firewall-cmd --zone=public --change-interface=eth0 >/dev/null; firewall-cmd --list-all`,
			check: func(t *testing.T, b *besieged) {
				for _, flags := range [][]string{{"--zone=public"}, {"--permanent", "--zone=public"}} {
					if out := b.run("firewall-cmd", append(flags, "--list-rich-rules")...); strings.Count(out, `port port="1011"`) != 2 {
						t.Errorf("firewalld %v has:\n%s", flags, out)
					}
				}
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			netnstest.Need(t, test.program)
			b := newBesieged(t)
			b.run("mkdir", "-p", "/etc/monban")
			b.run("sh", "-c", "export PATH=$PATH:/usr/sbin:/sbin\n"+strings.ReplaceAll(test.prepare, "MONBAN", program(t, "monban-static")))
			const friends = "friend friend6"
			b.wantIn("before", friends, "")
			before := b.everything()
			during(t, longTrial, func(limit time.Duration) string {
				if a, code, said := b.attempt(0, "", "ssh", newText, "--yes", "--timeout", limit.String()); code != 0 || a.Outcome != "on-trial" {
					return said
				}
				return b.differsIn("on trial", friends, friends)
			}, b.over)
			b.settled()
			b.wantIn("after the timer", friends, "")
			// A trial of guard's makes its chains anew: they are listed in another order.
			if after := b.everything(); difference(before, after) != "" || test.name != "guard" && after != before {
				t.Errorf("not as it was:\n%s", difference(before, after))
			}
			b.move(0, "ssh", newText, "--yes", "--timeout", "1h")
			b.wantIn("on trial again", friends, friends)
			if a := b.move(0, "confirm", "--same-session"); a.Outcome != "confirmed" {
				t.Fatalf("%+v", a)
			}
			b.wantIn("confirmed", "", friends)
			test.check(t, b)
		})
	}
}

// difference returns the lines that two texts do not share.
func difference(before, after string) string {
	have := map[string]int{}
	for line := range strings.Lines(before) {
		have[line]++
	}
	var out strings.Builder
	for line := range strings.Lines(after) {
		if have[line]--; have[line] < 0 {
			fmt.Fprintf(&out, "+ %s", line)
		}
	}
	for line, n := range have {
		if n > 0 {
			fmt.Fprintf(&out, "- %s", line)
		}
	}
	return out.String()
}
