package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestGuardBesideFrontEnds puts a policy in force beside a real firewalld and a real ufw. What
// they keep closed stays closed; the plan names it, and what to tell them. Once they
// have been told just that, those come in whom the policy lets in, and no others.
func TestGuardBesideFrontEnds(t *testing.T) {
	t.Parallel()
	const policyText = "monban: 1\ndoors:\n  - {port: 22, to: any}\n  - {port: 80, to: [192.0.2.0/25, \"2001:db8::2\"]}\n  - {port: 443, to: any}\n"
	for _, test := range []struct {
		program string
		start   func(g *guarded)
		wants   []string // commands
		reload  []string
		own     string // shows the rule that somebody has made
	}{
		{"firewalld", (*guarded).startFirewalld, []string{
			"firewall-cmd --zone=public --add-port=443/tcp", "firewall-cmd --permanent --zone=public --add-port=443/tcp",
			`firewall-cmd --zone=public --add-rich-rule=rule family="ipv4" source address="192.0.2.0/25" port port="80" protocol="tcp" accept`,
			`firewall-cmd --permanent --zone=public --add-rich-rule=rule family="ipv6" source address="2001:db8::2" port port="80" protocol="tcp" accept`,
		}, []string{"firewall-cmd", "--reload"}, "firewall-cmd --zone=public --list-all"},
		{"ufw", (*guarded).startUFW, []string{
			"ufw allow 443/tcp", "ufw allow proto tcp from 192.0.2.0/25 to any port 80", "ufw allow proto tcp from 2001:db8::2 to any port 80",
		}, []string{"ufw", "reload"}, "ufw status numbered"},
	} {
		t.Run(test.program, func(t *testing.T) {
			t.Parallel()
			netnstest.Need(t, test.program)
			g := newGuarded(t)
			(&sshRoom{room: g.room}).ownEtc()
			g.outside.AddAddr("eth0", "192.0.2.200/24", "2001:db8::200/64")
			test.start(g)
			file := g.file("monban.yaml", policyText)
			notes := g.planNotes(1, file)
			commands := notes["open-there"]
			for _, want := range test.wants {
				if !slices.ContainsFunc(commands, func(c []string) bool { return strings.Join(c, " ") == want }) {
					t.Errorf("nobody is told to %q", want)
				}
			}
			if got := notes["look-there"]; len(got) != 1 || strings.Join(got[0], " ") != test.own {
				t.Errorf("the rule of somebody's own is shown by %q, want %q", got, test.own)
			}
			if t.Failed() {
				t.Fatalf("%q", commands)
			}
			g.must("apply", "--yes", "--timeout", "1h", "-f", file)
			g.must("confirm")
			wants := func(when string, told bool) {
				t.Helper()
				for _, k := range []struct {
					from, to string
					open     bool
				}{
					{clientAddr, machineAddr + ":22", true}, {"192.0.2.3", machineAddr + ":22", false},
					{clientAddr, machineAddr + ":443", told}, {"192.0.2.200", machineAddr + ":443", told}, {"2001:db8::200", "[2001:db8::1]:443", told},
					{clientAddr, machineAddr + ":80", told}, {"192.0.2.200", machineAddr + ":80", false},
					{"2001:db8::2", "[2001:db8::1]:80", told}, {"2001:db8::200", "[2001:db8::1]:80", false},
				} {
					if got := knock(g.outside, "tcp", k.from, k.to, patience(k.open)); got != k.open {
						t.Errorf("%s: from %s to %s: %v, want %v", when, k.from, k.to, got, k.open)
					}
				}
			}
			wants("before "+test.program+" is told", false)
			for _, c := range commands {
				g.run(c[0], c[1:]...)
			}
			wants("when "+test.program+" has been told", true)
			g.run(test.reload[0], test.reload[1:]...)
			wants("after a reload", true)
			if again := g.planNotes(0, file)["open-there"]; len(again) > 0 {
				t.Errorf("there is still something to tell: %q", again)
			}
			if code, out := g.guard("status"); code != 0 {
				t.Errorf("status %d\n%s", code, out)
			}
		})
	}
}

// planNotes returns the commands of a plan's notes by their codes.
func (g *guarded) planNotes(code int, file string) map[string][][]string {
	g.t.Helper()
	cmd := g.guardCommand("plan", "-f", file, "--json")
	out, _ := cmd.Output()
	var answer struct {
		Data struct {
			Notes []struct {
				Reason   string
				Commands [][]string
			}
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil || cmd.ProcessState.ExitCode() != code {
		g.t.Fatalf("plan: status %d, want %d, %v\n%s", cmd.ProcessState.ExitCode(), code, err, out)
	}
	notes := map[string][][]string{}
	for _, n := range answer.Data.Notes {
		notes[n.Reason] = append(notes[n.Reason], n.Commands...)
	}
	return notes
}

// startFirewalld starts firewalld with its bus. SSH is open, but not for one.
func (g *guarded) startFirewalld() {
	g.run("mkdir", "-p", "/run/dbus", "/etc/firewalld/zones")
	g.run("sh", "-c", `cat >/etc/firewalld/zones/public.xml <<'end'
<?xml version="1.0" encoding="utf-8"?>
<zone><interface name="eth0"/><service name="ssh"/><rule family="ipv4"><source address="192.0.2.3"/><port port="22" protocol="tcp"/><reject/></rule></zone>
end`)
	g.daemon("root", netnstest.Need(g.t, "dbus-daemon"), "--system", "--nofork", "--nopidfile")
	eventually(g.t, "the bus is there", func() bool { return g.command("root", "test", "-S", "/run/dbus/system_bus_socket").Run() == nil })
	g.daemon("root", "firewalld", "--nofork", "--nopid")
	eventually(g.t, "firewalld runs", func() bool { return g.command("root", "firewall-cmd", "--state").Run() == nil })
}

// startUFW switches ufw on. SSH is open, but not for one.
func (g *guarded) startUFW() {
	g.run("mkdir", "-p", "/var/lib/ufw")
	for _, line := range []string{"--force reset", "logging off", "deny proto tcp from 192.0.2.3 to any port 22", "allow 22/tcp", "--force enable"} {
		cmd := g.command("root", "ufw", strings.Fields(line)...)
		cmd.Env = append(cmd.Env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
		if out, err := cmd.CombinedOutput(); err != nil {
			g.t.Fatalf("ufw %s: %v\n%s", line, err, out)
		}
	}
}
