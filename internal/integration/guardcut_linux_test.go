package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// guardAnswer is what the JSON of guard says of the way in.
type guardAnswer struct {
	Data struct {
		Refused []struct{ Reason, Text string }
		Notes   []struct{ Reason, Text string }
	}
}

func (g *guarded) planned(ssh string, args ...string) (a guardAnswer) {
	g.t.Helper()
	cmd := g.guardCommand(append([]string{"plan", "--json"}, args...)...)
	cmd.Env = append(cmd.Env, "SSH_CONNECTION="+ssh)
	out, err := cmd.Output()
	if err := json.Unmarshal(out, &a); err != nil {
		g.t.Fatalf("%v: %s", err, out)
	}
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		g.t.Fatal(err)
	}
	return a
}

func (a *guardAnswer) refuses(reason string) bool {
	for _, r := range a.Data.Refused {
		if r.Reason == reason {
			return true
		}
	}
	return false
}

// TestGuardCuts makes a real connection, by one of several ways: as it is, to a port
// that rules lead to it, and to an address that they do. Then it plans a random
// policy over it, among random rules of others with sets and limits, puts the policy
// in force whatever was said, and looks whether the same connection can be made again:
// it must have been refused exactly where it cannot.
func TestGuardCuts(t *testing.T) {
	t.Parallel()
	const rounds = 20
	seed := chance(t)
	r := rand.New(rand.NewPCG(seed, 0))
	g := newGuarded(t)
	inside := netnstest.New(t)
	netnstest.Connect(g.ns, "eth1", inside, "eth0")
	g.ns.AddAddr("eth0", "198.51.100.1/32")
	g.ns.AddAddr("eth1", "10.9.0.1/24")
	inside.AddAddr("eth0", "10.9.0.2/24")
	inside.Run("ip", "route", "add", "default", "via", "10.9.0.1")
	g.outside.AddAddr("eth0", "203.0.113.7/32")
	g.ns.Run("ip", "route", "add", "203.0.113.7", "dev", "eth0")
	g.outside.Run("ip", "route", "add", "198.51.100.1", "dev", "eth0")
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	cut := 0
	for range rounds {
		rules := "table ip nat { chain pre { type nat hook prerouting priority dstnat; }; chain post { type nat hook postrouting priority srcnat; }; }\n" +
			"add rule ip nat pre tcp dport 2222 redirect to :22\n" +
			"add rule ip nat pre ip daddr 198.51.100.1 tcp dport 2022 dnat to 192.0.2.1:22\n" +
			"table inet other { set them { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 203.0.113.0/24, 10.9.0.0/24 }; }; chain in { type filter hook input priority 0; }; }\n" +
			one("", "add rule inet other in ip saddr != @them tcp dport 22 drop\n") +
			one("", "add rule inet other in tcp dport 22 ct state new limit rate over 100/second burst 100 packets drop\n") +
			one("", "add rule inet other in tcp dport 2222 drop\n")
		path := g.file("rules.nft", "flush ruleset\n"+rules)
		g.run("nft", "-f", path)
		type way struct {
			ns       *netnstest.NS
			from, to string
		}
		ways := []way{
			{g.outside, clientAddr, machineAddr + ":22"}, {g.outside, clientAddr, machineAddr + ":2222"},
			{g.outside, "203.0.113.7", machineAddr + ":2222"}, {g.outside, "203.0.113.7", "198.51.100.1:2022"}, {g.outside, "192.0.2.3", "198.51.100.1:2022"},
			{g.outside, "", "[2001:db8::1]:22"}, {inside, "", "10.9.0.1:22"}, {inside, "", machineAddr + ":2222"},
		}
		w := ways[r.IntN(len(ways))]
		var b strings.Builder
		b.WriteString("monban: 1\ndoors:\n  - {port: 9999, to: any}\n")
		for _, port := range []string{"22", "2222", "2022", "20-30"} {
			if r.IntN(2) == 0 {
				continue
			}
			limit := one("", "", ", limit: 100/minute")
			to := one("any", "192.0.2.0/24", "192.0.2.3", "203.0.113.0/24", "10.0.0.0/8", `"2001:db8::/64"`, `"if:eth0"`, `"if:eth1"`, "local")
			if to == "local" || port == "20-30" {
				limit = ""
			}
			fmt.Fprintf(&b, "  - {port: %s, to: %s%s}\n", port, to, limit)
		}
		file := g.file("policy.yaml", b.String())
		local, remote, held := g.connection(w.ns, w.from, w.to)
		ssh := fmt.Sprintf("%s %d %s %d", remote.IP, remote.Port, local.IP, local.Port)
		a := g.planned(ssh, "-f", file)
		if code, out := g.guard("apply", "--yes", "--allow-cut", "--timeout", "1h", "-f", file); code != 0 {
			t.Fatalf("apply: status %d\n%s\n%s", code, out, b.String())
		}
		wait := 300 * time.Millisecond
		if !a.refuses("cuts-session") {
			wait = patient
		}
		again := knock(w.ns, "tcp", w.from, w.to, wait)
		if again == a.refuses("cuts-session") {
			t.Errorf("over %s from %s to %s (%s): can be made again %v; refused %+v, notes %+v\n%s%s", ssh, w.from, w.to, filepath.Base(file), again,
				a.Data.Refused, a.Data.Notes, b.String(), rules)
		}
		if !again {
			cut++
		}
		held.Close()
		g.must("rollback")
	}
	t.Logf("%d of %d would be cut", cut, rounds)
	if cut == 0 || cut == rounds {
		t.Error("a proof needs cases of both kinds")
	}
}

// connection makes a connection to door 22 by whatever way, and returns its ends as
// the server's socket has them.
func (g *guarded) connection(ns *netnstest.NS, from, to string) (local, remote *net.TCPAddr, held net.Conn) {
	g.t.Helper()
	ns.Do(func() {
		d := net.Dialer{Timeout: patient}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		var err error
		if held, err = d.Dial("tcp", to); err != nil {
			g.t.Fatalf("from %s to %s: %v", from, to, err)
		}
	})
	port := held.LocalAddr().(*net.TCPAddr).Port
	for deadline := time.Now().Add(enough); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for line := range strings.Lines(g.run("ss", "-Htn", "state", "established", "sport", "=", ":22")) {
			f := strings.Fields(line)
			if len(f) < 4 {
				continue
			}
			here, err1 := net.ResolveTCPAddr("tcp", unmapped(f[2]))
			there, err2 := net.ResolveTCPAddr("tcp", unmapped(f[3]))
			if err1 == nil && err2 == nil && there.Port == port {
				return here, there, held
			}
		}
	}
	g.t.Fatal("the server has no such connection")
	return nil, nil, nil
}

// unmapped writes an IPv4 address of ss without what it has on a socket of IPv6.
func unmapped(s string) string {
	if rest, ok := strings.CutPrefix(s, "[::ffff:"); ok {
		return strings.Replace(rest, "]", "", 1)
	}
	return s
}

// TestGuardBeside plans a policy beside a real ufw that lets in a part of those whom
// the policy does: the plan names the doors, and whom ufw keeps out of them.
func TestGuardBeside(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "ufw")
	g := newGuarded(t)
	g.ns.Run("ip", "route", "add", "default", "via", clientAddr)
	for _, d := range []string{"ufw", "default"} {
		g.run("cp", "-a", "/etc/"+d, filepath.Join(g.dir, d))
		g.run("mount", "--bind", filepath.Join(g.dir, d), "/etc/"+d)
	}
	g.run("mkdir", "-p", "/var/lib/ufw")
	for _, line := range []string{"--force reset", "default deny incoming", "allow proto tcp from 192.0.2.0/25 to any port 80", "allow 22/tcp", "--force enable"} {
		g.run("ufw", strings.Fields(line)...)
	}
	file := g.file("beside.yaml", "monban: 1\ndoors:\n  - {port: 22, to: any}\n  - {port: 80, to: [192.0.2.0/24, \"2001:db8::/64\"]}\n  - {port: 443, to: this-network}\n")
	a := g.planned("", "-f", file)
	var told []string
	for _, n := range a.Data.Notes {
		if n.Reason == "closed-to" || n.Reason == "closed-elsewhere" {
			told = append(told, n.Text)
		}
	}
	all := strings.Join(told, "\n")
	for _, want := range []string{"80/tcp stays closed to 192.0.2.128/25: ip filter INPUT: policy drop", "80/tcp stays closed: ip6 filter INPUT: policy drop",
		"443/tcp stays closed: ip filter INPUT: policy drop"} {
		if !strings.Contains(all, want) {
			t.Errorf("the plan does not say %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "22/tcp") {
		t.Errorf("the plan says that a door is closed that ufw opens:\n%s", all)
	}
}
