package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// A guarded machine: a room with doors 22, 80 and 443, and somebody at the other
// end of a cable who knocks.
type guarded struct {
	*room
	outside *netnstest.NS
	// held is a connection to door 22 from before everything.
	held net.Conn
}

const (
	machineAddr = "192.0.2.1"
	clientAddr  = "192.0.2.2"
)

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	netnstest.Need(t, "nft")
	g := &guarded{room: newRoom(t, false), outside: netnstest.New(t)}
	netnstest.Connect(g.ns, "eth0", g.outside, "eth0")
	g.ns.AddAddr("eth0", machineAddr+"/24", "2001:db8::1/64")
	g.outside.AddAddr("eth0", clientAddr+"/24", "192.0.2.3/24", "2001:db8::2/64")
	g.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib")
	for _, port := range []string{"22", "80", "443"} {
		echo(t, g.ns, "tcp", "[::]:"+port)
	}
	var err error
	g.outside.Do(func() { g.held, err = net.DialTimeout("tcp", machineAddr+":22", patient) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.held.Close() })
	g.alive()
	return g
}

// echo answers every connection, or datagram, with what it says.
func echo(t testing.TB, ns *netnstest.NS, network, address string) {
	t.Helper()
	ns.Do(func() {
		if strings.HasPrefix(network, "udp") {
			c, err := net.ListenPacket(network, address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				buf := make([]byte, 64)
				for {
					n, from, err := c.ReadFrom(buf)
					if err != nil {
						return
					}
					c.WriteTo(buf[:n], from)
				}
			}()
			return
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { io.Copy(c, c); c.Close() }()
			}
		}()
	})
}

// alive proves that the connection from before still works.
func (g *guarded) alive() {
	g.t.Helper()
	if err := speak(g.held); err != nil {
		g.t.Errorf("a connection from before the policy is lost: %v", err)
	}
}

func speak(c net.Conn) error {
	c.SetDeadline(time.Now().Add(patient))
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// patience is how long a knock is given: one that ought to be let in as long as a
// machine with other things to do may take, one that ought to meet silence as long as
// a connection takes that is let in after all.
func patience(open bool) time.Duration {
	if open {
		return patient
	}
	return 400 * time.Millisecond
}

// again sends something until it has come, or the time is over: the queue of a
// processor is shared with all other tests, and what does not fit is dropped without a
// word.
func again(wait time.Duration, send func(), came func(until time.Time) bool) bool {
	for end := time.Now().Add(wait); ; {
		send()
		until := time.Now().Add(time.Second)
		if end.Before(until) {
			until = end
		}
		for time.Now().Before(until) { // an error may come at once
			if came(until) {
				return true
			}
		}
		if !time.Now().Before(end) {
			return false
		}
	}
}

// knock reports whether a new connection can be made, and used.
func knock(ns *netnstest.NS, network, from, to string, wait time.Duration) (open bool) {
	ns.Do(func() {
		d := net.Dialer{Timeout: wait}
		if from != "" {
			addr := netip.AddrPortFrom(netip.MustParseAddr(from), 0)
			d.LocalAddr = net.TCPAddrFromAddrPort(addr)
			if strings.HasPrefix(network, "udp") {
				d.LocalAddr = net.UDPAddrFromAddrPort(addr)
			}
		}
		c, err := d.Dial(network, to)
		if err != nil {
			return
		}
		defer c.Close()
		if strings.HasPrefix(network, "udp") {
			open = again(wait, func() { c.Write([]byte("hello")) }, func(until time.Time) bool {
				c.SetReadDeadline(until)
				_, err := c.Read(make([]byte, 5))
				return err == nil
			})
			return
		}
		open = speak(c) == nil
	})
	return open
}

// doors says which of the three doors somebody outside can go in by: "22 80". Those
// that ought to be open are knocked at with patience.
func (g *guarded) doors(want string) string {
	ports := []string{"22", "80", "443"}
	var open [3]bool
	var group sync.WaitGroup
	for i, port := range ports {
		group.Go(func() {
			open[i] = knock(g.outside, "tcp", "", machineAddr+":"+port, patience(slices.Contains(strings.Fields(want), port)))
		})
	}
	group.Wait()
	var in []string
	for i, port := range ports {
		if open[i] {
			in = append(in, port)
		}
	}
	return strings.Join(in, " ")
}

// guard runs `monban guard` and returns its exit status and what it said.
func (g *guarded) guard(args ...string) (int, string) {
	g.t.Helper()
	cmd := g.guardCommand(args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		g.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (g *guarded) guardCommand(args ...string) *exec.Cmd {
	cmd := g.command("root", program(g.t, "monban"), append([]string{"guard"}, args...)...)
	cmd.Env = append(cmd.Env, "SSH_CONNECTION=")
	return cmd
}

func (g *guarded) must(args ...string) string {
	g.t.Helper()
	code, out := g.guard(args...)
	if code != 0 {
		g.t.Fatalf("monban guard %s: status %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

const (
	goodPolicy = "monban: 1\ndoors:\n  - {port: 22, to: any}\n  - {port: 80, to: any}\n"
	// badPolicy locks everybody out who comes from anywhere but a far network.
	badPolicy = "monban: 1\ndoors:\n  - {port: 22, to: 198.51.100.0/24}\n"
)

// trialTime is the shortest trial that monban offers.
const trialTime = 5 * time.Second

// TestTwelveCases puts a policy on trial that locks everybody out, and then lets
// happen what may: after the trial's time the way in is as before, whatever became
// of the program.
func TestTwelveCases(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"no firewall", "a firewall"} {
		for _, event := range []string{"no answer", "SIGHUP", "SIGKILL", "SIGSTOP", "disk full", "flushed"} {
			t.Run(before+"/"+event, func(t *testing.T) {
				t.Parallel()
				g := newGuarded(t)
				want := "22 80 443"
				if before == "a firewall" {
					want = "22 80"
					g.run("nft", "add table ip other; add chain ip other in { type filter hook input priority 0; }; add rule ip other in tcp dport 9 drop")
					g.must("apply", "--yes", "--timeout", "1h", "-f", g.file("good.yaml", goodPolicy))
					g.must("confirm")
				}
				if got := g.doors(want); got != want {
					t.Fatalf("before: open are %q, want %q", got, want)
				}
				saved := g.savedPolicy()
				g.twelve(event, want)
				g.alive()
				if after := g.savedPolicy(); after != saved {
					t.Errorf("the saved policy has changed:\n%s\n---\n%s", saved, after)
				}
				g.afterwards()
				if before == "a firewall" && event != "flushed" && !strings.Contains(g.run("nft", "list", "ruleset"), "tcp dport 9 drop") {
					t.Error("another table's rules are gone")
				}
			})
		}
	}
}

func (g *guarded) savedPolicy() string {
	out, err := g.command("root", "cat", "/var/lib/monban/guard.json").Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// twelve lets one event happen and wants the doors to be as before after it.
func (g *guarded) twelve(event, want string) {
	t := g.t
	t.Helper()
	bad := g.file("bad.yaml", badPolicy)
	applied := func(limit time.Duration) []string {
		return []string{"apply", "--yes", "--timeout", limit.String(), "-f", bad}
	}
	apply := applied(trialTime)
	over := func(limit time.Duration) { time.Sleep(limit + 300*time.Millisecond) }
	ended := func() { over(trialTime) }
	switch event {
	case "no answer":
		over(during(t, trialTime, func(limit time.Duration) (wrong string) {
			g.must(applied(limit)...)
			if got := g.doors(""); got != "" {
				wrong = fmt.Sprintf("during the trial %q are open, want none: it proves nothing", got)
			}
			return wrong
		}, over))
	case "SIGHUP", "SIGKILL", "SIGSTOP":
		sig := map[string]syscall.Signal{"SIGHUP": syscall.SIGHUP, "SIGKILL": syscall.SIGKILL, "SIGSTOP": syscall.SIGSTOP}[event]
		// Before it does anything, while it proves that a trial works, about
		// when the kernel gets the rules, and right after.
		for _, wait := range []time.Duration{20, 300, 550, 650} {
			g.signalled(sig, wait*time.Millisecond, apply)
		}
		ended()
	case "disk full":
		g.fullDisk(apply, want)
		ended()
	case "flushed":
		g.must(apply...)
		table := "delete table inet monban"
		if want == "22 80 443" {
			table = "flush ruleset"
		}
		g.run("nft", table)
		if got := g.doors("22 80 443"); got != "22 80 443" {
			t.Errorf("after a flush only %q are open", got)
		}
		ended()
		if want == "22 80" {
			// The other tool took the rules away; the policy is there to be
			// loaded again, and status says so.
			if code, out := g.guard("status"); code != 1 {
				t.Errorf("status is %d without the table:\n%s", code, out)
			}
			g.must("apply", "--saved")
		}
	}
	if got := g.doors(want); got != want {
		t.Errorf("after %s: open are %q, want %q", event, got, want)
	}
}

// afterwards puts a good policy in force, and takes everything away.
func (g *guarded) afterwards() {
	g.t.Helper()
	g.must("apply", "--yes", "--timeout", "1h", "-f", g.file("again.yaml", strings.Replace(goodPolicy, "80,", "443,", 1)))
	g.must("confirm")
	if got := g.doors("22 443"); got != "22 443" {
		g.t.Errorf("afterwards: open are %q, want 22 443", got)
	}
	g.must("off", "--yes")
	if got := g.doors("22 80 443"); got != "22 80 443" {
		g.t.Errorf("without monban: open are %q", got)
	}
}

// signalled sends a signal to an apply after some time, and ends it if it is still
// there.
func (g *guarded) signalled(sig syscall.Signal, after time.Duration, apply []string) {
	g.t.Helper()
	cmd := g.guardCommand(apply...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	time.Sleep(after)
	cmd.Process.Signal(sig)
	if sig == syscall.SIGSTOP {
		time.Sleep(100 * time.Millisecond)
		cmd.Process.Kill()
	}
	cmd.Wait()
}

// fullDisk lets the disk be full before an apply, which then changes nothing, and
// before a confirmation, which then is none.
func (g *guarded) fullDisk(apply []string, before string) {
	t := g.t
	t.Helper()
	g.run("mkdir", "-p", "/run/monban")
	g.run("mount", "-t", "tmpfs", "-o", "size=8k,nr_inodes=3", "tmpfs", "/run/monban")
	g.run("sh", "-c", "dd if=/dev/zero of=/run/monban/fill bs=4k count=9 2>/dev/null; true")
	if code, out := g.guard(apply...); code != 4 || !strings.Contains(out, "could not be written") {
		t.Errorf("apply with a full disk: status %d\n%s", code, out)
	}
	if got := g.doors(before); got != before {
		t.Errorf("an apply with a full disk changed the doors to %q", got)
	}
	g.run("umount", "/run/monban")
	g.must(apply...)
	g.run("sh", "-c", "mkdir -p /var/lib/monban && cp -a /var/lib/monban /var/lib/keep && mount -t tmpfs -o size=4k,nr_inodes=3 tmpfs /var/lib/monban && dd if=/dev/zero of=/var/lib/monban/fill bs=4k count=9 2>/dev/null; true")
	if code, out := g.guard("confirm"); code != 4 {
		t.Errorf("confirm with a full disk: status %d\n%s", code, out)
	}
	g.run("umount", "/var/lib/monban")
}

// TestIptablesApply is the same for Debian's iptables-apply: five of its six cases
// leave the machine closed.
func TestIptablesApply(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "iptables-apply")
	for _, before := range []string{"no firewall", "a firewall"} {
		for _, event := range []string{"no answer", "SIGHUP", "SIGKILL"} {
			t.Run(before+"/"+event, func(t *testing.T) {
				t.Parallel()
				g := newGuarded(t)
				if before == "a firewall" {
					g.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "443", "-j", "DROP")
				}
				if _, err := os.Stat("/etc/init.d/fail2ban"); err == nil {
					g.run("mount", "--bind", "/dev/null", "/etc/init.d/fail2ban") // which it would stop, and fail
				}
				was := "22 80 443"
				if before == "a firewall" {
					was = "22 80"
				}
				if got := g.doors(was); got != was {
					t.Fatalf("before: open are %q, want %q", got, was)
				}
				rules := g.file("rules", "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n")
				var out bytes.Buffer
				over := func(limit time.Duration) { time.Sleep(limit + time.Second) }
				over(during(t, trialTime, func(limit time.Duration) string {
					out.Reset()
					cmd := g.command("root", "iptables-apply", "-t", fmt.Sprint(limit.Seconds()), rules)
					in, err := cmd.StdinPipe() // nobody answers
					if err != nil {
						t.Fatal(err)
					}
					defer in.Close()
					cmd.Stdout, cmd.Stderr = &out, &out
					ended := startEnding(t, cmd)
					inForce, running := false, true
					for running && !inForce {
						select {
						case <-ended:
							running = false
						default:
						}
						inForce = strings.Contains(g.run("iptables", "-S", "INPUT"), "-P INPUT DROP")
					}
					switch event {
					case "SIGHUP":
						cmd.Process.Signal(syscall.SIGHUP)
					case "SIGKILL":
						cmd.Process.Kill()
					}
					if running {
						<-ended // it fails in its own ways
					}
					if !inForce {
						return "iptables-apply does not put its rules in force"
					}
					return ""
				}, over))
				want := before == "a firewall" && event == "no answer"
				expected := ""
				if want {
					expected = was
				}
				back := g.doors(expected) == was
				if back != want {
					t.Errorf("iptables-apply came back: %v, measured before: %v\n%s", back, want, out.String())
				}
			})
		}
	}
}

// TestGuardLeavesAlone lets a machine with a policy that opens nothing be a router
// and an end of a tunnel, find its neighbours, and get an address.
func TestGuardLeavesAlone(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	inner := netnstest.New(t)
	netnstest.Connect(g.ns, "br0", inner, "eth0")
	g.ns.AddAddr("br0", "10.1.0.1/24", "2001:db8:1::1/64")
	inner.AddAddr("eth0", "10.1.0.2/24", "2001:db8:1::2/64")
	for _, ns := range []*netnstest.NS{g.ns} {
		ns.SetSysctl("net.ipv4.ip_forward", "1")
		ns.SetSysctl("net.ipv6.conf.all.forwarding", "1")
	}
	inner.Run("ip", "route", "add", "default", "via", "10.1.0.1")
	inner.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
	g.outside.Run("ip", "route", "add", "10.1.0.0/24", "via", machineAddr)
	g.outside.Run("ip", "-6", "route", "add", "2001:db8:1::/64", "via", "2001:db8::1")
	g.outside.Run("ip", "route", "add", "255.255.255.255", "dev", "eth0")
	echo(t, inner, "tcp", "[::]:80")
	echo(t, inner, "udp", "[::]:53")
	echo(t, g.outside, "tcp", "[::]:25")
	echo(t, g.outside, "udp", "[::]:53")
	// A container's port, published as an engine does it.
	g.run("nft", "add table ip nat; add chain ip nat pre { type nat hook prerouting priority dstnat; }; add rule ip nat pre fib daddr type local tcp dport 8080 dnat to 10.1.0.2:80; add rule ip nat pre fib daddr type local tcp dport 8081 redirect to :80")
	if !knock(g.outside, "tcp", "", machineAddr+":8080", patient) || !knock(g.outside, "tcp", "", machineAddr+":8081", patient) {
		t.Fatal("the published ports do not work before")
	}
	raw := map[string]net.PacketConn{}
	for _, network := range []string{"ip4:47", "ip4:50", "ip6:50", "ip4:112"} { // GRE, ESP, VRRP
		g.ns.Do(func() {
			c, err := net.ListenPacket(network, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			raw[network] = c
		})
	}
	client := map[string]net.PacketConn{}
	g.ns.Do(func() {
		for _, port := range []string{":68", ":67"} {
			c, err := net.ListenPacket("udp4", port)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			client[port] = c
		}
	})

	g.must("apply", "--yes", "--timeout", "1h", "-f", g.file("none.yaml", "monban: 1\ndoors: []\n"))
	g.must("confirm")

	check := func(what string, open, want bool) {
		t.Helper()
		if open != want {
			t.Errorf("%s: %v, want %v", what, open, want)
		}
	}
	for _, port := range []string{"22", "80", "443", "8080", "8081"} {
		check("a closed door "+port, knock(g.outside, "tcp", "", machineAddr+":"+port, patience(false)), false)
	}
	check("a closed door over IPv6", knock(g.outside, "tcp", "", "[2001:db8::1]:80", patience(false)), false)
	check("forwarded TCP", knock(g.outside, "tcp", "", "10.1.0.2:80", patient), true)
	check("forwarded UDP", knock(g.outside, "udp", "", "10.1.0.2:53", patient), true)
	check("forwarded TCP over IPv6", knock(g.outside, "tcp", "", "[2001:db8:1::2]:80", patient), true)
	check("forwarded from inside", knock(inner, "tcp", "", clientAddr+":25", patient), true)
	check("this machine itself", knock(g.ns, "tcp", "", "127.0.0.1:22", patient) && knock(g.ns, "tcp", "", machineAddr+":22", patient) && knock(g.ns, "tcp", "", "[::1]:22", patient), true)
	check("this machine's own questions", knock(g.ns, "tcp", "", clientAddr+":25", patient) && knock(g.ns, "udp", "", clientAddr+":53", patient), true)
	g.outside.Run("ip", "neigh", "flush", "all")
	g.ns.Run("ip", "neigh", "flush", "all")
	check("after the neighbours were forgotten, IPv6", knock(g.ns, "udp", "", "[2001:db8::2]:53", patient), true)
	g.alive()

	for network, c := range raw {
		to := machineAddr
		if strings.HasPrefix(network, "ip6") {
			to = "2001:db8::1"
		}
		check(network, arrives(t, g.outside, network, "", to, c, patience(true)), true)
	}
	check("a DHCP server's answer", arrives(t, g.outside, "udp4", ":67", machineAddr+":68", client[":68"], patience(true)), true)
	check("somebody else at port 68", arrives(t, g.outside, "udp4", ":1067", machineAddr+":68", client[":68"], patience(false)), false)
	check("a DHCP client at a server that is not listed", arrives(t, g.outside, "udp4", ":68", "255.255.255.255:67", client[":67"], patience(false)), false)

	g.must("apply", "--yes", "--timeout", "1h", "-f", g.file("some.yaml", "monban: 1\ndoors:\n  - {port: 8080, to: 192.0.2.3}\n  - {port: 67/udp, to: any}\n  - {port: 80, to: \"2001:db8::/64\"}\n"))
	g.must("confirm")
	check("a published port from who is listed", knock(g.outside, "tcp", "192.0.2.3", machineAddr+":8080", patient), true)
	check("a published port from another", knock(g.outside, "tcp", clientAddr, machineAddr+":8080", patience(false)), false)
	check("a DHCP client at a listed server", arrives(t, g.outside, "udp4", ":68", "255.255.255.255:67", client[":67"], patience(true)), true)
	check("port 80 by IPv6 only", knock(g.outside, "tcp", "", "[2001:db8::1]:80", patient), true)
	check("port 80 by IPv4", knock(g.outside, "tcp", "", machineAddr+":80", patience(false)), false)
}

// arrives reports whether a packet gets to a socket, for which it has some time. What
// is there already is not that packet.
func arrives(t *testing.T, ns *netnstest.NS, network, from, to string, at net.PacketConn, wait time.Duration) (came bool) {
	t.Helper()
	ns.Do(func() {
		c, err := net.ListenPacket(network, from)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var addr net.Addr
		if strings.HasPrefix(network, "udp") {
			addr, err = net.ResolveUDPAddr(network, to)
		} else {
			addr, err = net.ResolveIPAddr(network, to)
		}
		if err != nil {
			t.Fatal(err)
		}
		letter := fmt.Sprintf("knock, knock: %s to %s at %v", from, to, time.Now().UnixNano())
		came = again(wait, func() {
			if _, err := c.WriteTo([]byte(letter), addr); err != nil {
				t.Fatal(err)
			}
		}, func(until time.Time) bool {
			at.SetReadDeadline(until)
			buf := make([]byte, 200)
			n, _, err := at.ReadFrom(buf)
			return err == nil && string(buf[:n]) == letter
		})
	})
	return came
}

// TestGuardRefuses is about everything that guard does not do.
func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	good := g.file("good.yaml", goodPolicy)
	wants := func(code int, say string, env []string, args ...string) {
		t.Helper()
		cmd := g.guardCommand(args...)
		cmd.Env = append(cmd.Env, env...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), say) {
			t.Errorf("guard %s: status %d, want %d and %q\n%s", strings.Join(args, " "), got, code, say, out)
		}
	}
	ssh := func(port string) []string {
		return []string{fmt.Sprintf("SSH_CONNECTION=%s %s %s 22", clientAddr, port, machineAddr)}
	}
	wants(2, "without a terminal", nil, "apply", "-f", good)
	wants(2, "want 5s to 24h", nil, "apply", "--yes", "--timeout", "1s", "-f", good)
	wants(4, "No policy is on trial", nil, "confirm")
	wants(4, "No policy is on trial", nil, "rollback")
	wants(4, "No policy has been confirmed", nil, "apply", "--saved")
	wants(0, "No policy has been confirmed", nil, "status")
	wants(4, "would not let 192.0.2.2 in at 22/tcp", ssh("40000"), "apply", "--yes", "--timeout", "1h", "-f", g.file("bad.yaml", badPolicy))
	ends := g.file("ends.yaml", "monban: 1\ndoors:\n  - {port: 22, to: any, until: "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+"}\n")
	wants(4, "Every door for administrators", nil, "apply", "--yes", "--timeout", "1h", "-f", ends)
	loose := g.file("loose.yaml", goodPolicy)
	if err := os.Chmod(loose, 0o666); err != nil {
		t.Fatal(err)
	}
	wants(2, "others may write it", nil, "apply", "--yes", "--timeout", "1h", "-f", loose)
	others := g.subdir("others", "nobody")
	if err := os.WriteFile(filepath.Join(others, "monban.yaml"), []byte(goodPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	wants(2, "others may write it", nil, "apply", "--yes", "--timeout", "1h", "-f", filepath.Join(others, "monban.yaml"))
	if rules := g.run("nft", "list", "ruleset"); rules != "" {
		t.Fatalf("something was put in force:\n%s", rules)
	}
	wants(1, "not in force yet", nil, "plan", "-f", good)
	wants(0, "On trial", ssh("40000"), "apply", "--yes", "--timeout", "1h", "-f", good)
	wants(4, "on trial already", nil, "apply", "--yes", "--timeout", "1h", "-f", g.file("bad.yaml", badPolicy))
	wants(4, "the very connection", ssh("40000"), "confirm")
	wants(4, "from this machine itself", []string{"SSH_CONNECTION=127.0.0.1 40001 127.0.0.1 22"}, "confirm")
	wants(0, "Confirmed", ssh("40001"), "confirm")
	wants(0, "as the policy says", nil, "plan", "-f", good)
	saved := g.savedPolicy()
	g.run("nft", "add element inet monban open4-b { tcp . 443 . 0.0.0.0/0 : accept }")
	wants(1, "- open4: tcp 443 0.0.0.0/0 accept", nil, "status", "-v")
	wants(0, "No rule of monban's is left", nil, "off", "--yes")
	g.run("nft", "add table inet monban; add chain inet monban mine")
	wants(4, "not monban's", nil, "rollback")
	wants(4, "not monban's", nil, "off", "--yes")
	wants(4, "not monban's", nil, "status")
	wants(3, "not monban's", nil, "plan", "-f", good)
	wants(4, "not monban's", nil, "apply", "--yes", "--timeout", "1h", "-f", good)
	if err := os.WriteFile(filepath.Join(g.dir, "guard.json"), []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run("install", "-D", "-m", "600", filepath.Join(g.dir, "guard.json"), "/var/lib/monban/guard.json")
	wants(4, "not monban's", nil, "apply", "--saved")
	if rules := g.run("nft", "list", "ruleset"); !strings.Contains(rules, "chain mine") {
		t.Errorf("somebody's table is gone:\n%s", rules)
	}
}

// TestGuardPlan reads what a plan says beside another firewall, and that it says
// nothing once the policy is in force.
func TestGuardPlan(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.run("nft", "add table ip other; add chain ip other in { type filter hook input priority 0; policy drop; }; add rule ip other in tcp dport { 22, 443 } accept; add rule ip other in ct state established accept")
	g.run("ip", "route", "add", "default", "via", clientAddr)
	file := g.file("plan.yaml", "monban: 1\ndoors:\n  - {port: 22, to: 192.0.2.0/25}\n  - {port: 80, to: any}\n")
	code, out := g.guard("plan", "-f", file)
	if code != 1 {
		t.Errorf("status %d, want 1", code)
	}
	for _, want := range []string{
		"- 22/tcp", "no longer: 0.0.0.0-192.0.1.255, 192.0.2.128-255.255.255.255, 2001:db8::/64",
		"- 443/tcp", "closed to everybody outside this machine",
		"80/tcp stays closed: ip other in: policy drop",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan does not say %q", want)
		}
	}
	if strings.Contains(out, "+ ") {
		t.Error("the plan says that somebody gains something, who is kept out by another table")
	}
	if t.Failed() {
		t.Log(out)
	}
	g.must("apply", "--yes", "--timeout", "1h", "-f", file)
	g.must("confirm")
	if out := g.must("plan", "-f", file); strings.Contains(out, "What changes") || !strings.Contains(out, "as the policy says") {
		t.Errorf("in force, the plan still wants to change something:\n%s", out)
	}
}

// sshGuarded is a guarded machine with a real sshd, and somebody who comes in by it.
type sshGuarded struct {
	*guarded
	control string // of the connection that stays
}

func newSSHGuarded(t *testing.T) *sshGuarded {
	t.Helper()
	netnstest.Need(t, "ssh")
	g := &sshGuarded{&guarded{room: newRoom(t, false), outside: netnstest.New(t)}, filepath.Join(t.TempDir(), "c")}
	netnstest.Connect(g.ns, "eth0", g.outside, "eth0")
	g.ns.AddAddr("eth0", machineAddr+"/24")
	g.outside.AddAddr("eth0", clientAddr+"/24")
	g.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib")
	g.run("mkdir", "-p", "/run/sshd")
	for _, key := range []string{"host", "user"} {
		g.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(g.dir, key))
	}
	config := g.file("sshd_config", fmt.Sprintf("Port 22\nHostKey %[1]s/host\nAuthorizedKeysFile %[1]s/user.pub\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n", g.dir))
	g.daemon("root", netnstest.Need(t, "sshd"), "-D", "-e", "-f", config)
	g.waitFor("tcp 22")
	// One connection stays, and further commands go through it.
	g.outside.Start(g.ssh([]string{"-N", "-M", "-S", g.control}))
	eventually(t, "ssh connects", func() bool {
		_, err := os.Stat(g.control)
		return err == nil
	})
	return g
}

func (g *sshGuarded) ssh(options []string, command ...string) *exec.Cmd {
	args := append([]string{"-F", "none", "-i", filepath.Join(g.dir, "user"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=240"}, options...)
	return g.outside.Command("ssh", append(append(args, "root@"+machineAddr), command...)...)
}

// over runs a verb of guard over SSH, by the connection that stays or by a new one,
// without SSH_CONNECTION.
func (g *sshGuarded) over(same bool, args ...string) (int, string) {
	g.t.Helper()
	options := []string{"-S", "none"}
	if same {
		options = []string{"-S", g.control}
	}
	cmd := g.ssh(options, append([]string{"env", "-u", "SSH_CONNECTION", program(g.t, "monban"), "guard"}, args...)...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestGuardOverSSH works over a real sshd, as through sudo, which takes
// SSH_CONNECTION away: the connection is found by its socket. A policy that would
// not let it in again is refused, and so is a confirmation over the connection that
// applied, however many commands go through it; a new one confirms.
func TestGuardOverSSH(t *testing.T) {
	t.Parallel()
	g := newSSHGuarded(t)
	over := func(same bool, code int, say string, args ...string) {
		t.Helper()
		if got, out := g.over(same, args...); got != code || !strings.Contains(out, say) {
			t.Errorf("guard %s: status %d, want %d and %q\n%s", strings.Join(args, " "), got, code, say, out)
		}
	}
	over(true, 4, "would not let 192.0.2.2 in at 22/tcp", "apply", "--yes", "--timeout", "1h", "-f", g.file("bad.yaml", badPolicy))
	if rules := g.run("nft", "list", "ruleset"); rules != "" {
		t.Fatalf("something was put in force:\n%s", rules)
	}
	over(true, 0, "This connection (192.0.2.2) is let in at 22/tcp", "apply", "--yes", "--timeout", "1h", "-f", g.file("good.yaml", goodPolicy))
	over(true, 4, "the very connection", "confirm")
	over(false, 0, "Confirmed", "confirm")
	// In another window, that was open before, it would be as easy to confirm.
	over(false, 0, "On trial", "apply", "--yes", "-f", g.file("more.yaml", goodPolicy+"  - {port: 443, to: any}\n"))
	over(true, 4, "was there before the trial", "confirm")
	over(false, 0, "Confirmed", "confirm")
}

// TestGuardInTmux works in a terminal that no connection is above, as that of tmux,
// screen or mosh: whoever is connected by SSH may be the one who works there.
func TestGuardInTmux(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "script")
	g := newSSHGuarded(t)
	monban := program(t, "monban")
	n := 0
	inside := func(code int, say string, args ...string) {
		t.Helper()
		n++
		done := filepath.Join(g.dir, fmt.Sprint("done.", n))
		line := fmt.Sprintf("env -u SSH_CONNECTION %s guard %s >%[3]s.out 2>&1; echo $? >%[3]s.new; mv %[3]s.new %[3]s", monban, strings.Join(args, " "), done)
		if out, err := g.ssh([]string{"-S", g.control}, "setsid", "--fork", "script", "--quiet", "--command", "'"+line+"'", "/dev/null", "</dev/null", ">/dev/null", "2>&1").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		eventually(t, "guard "+args[0]+" ends", func() bool { _, err := os.Stat(done); return err == nil })
		status, _ := os.ReadFile(done)
		out, _ := os.ReadFile(done + ".out")
		text := strings.Join(strings.Fields(string(out)), " ")
		if got := strings.TrimSpace(string(status)); got != fmt.Sprint(code) || !strings.Contains(text, say) {
			t.Errorf("guard %s: status %s, want %d and %q\n%s", strings.Join(args, " "), got, code, say, out)
		}
	}
	inside(4, "it may be you", "apply", "--yes", "--timeout", "1h", "-f", g.file("bad.yaml", badPolicy))
	inside(0, "On trial", "apply", "--yes", "--timeout", "1h", "-f", g.file("good.yaml", goodPolicy))
	inside(4, "cannot be seen from here", "confirm")
	if code, out := g.over(true, "confirm"); code != 4 || !strings.Contains(out, "was there before the trial") {
		t.Errorf("over a connection from before: status %d\n%s", code, out)
	}
	if code, out := g.over(false, "confirm"); code != 0 {
		t.Errorf("over a new connection: status %d\n%s", code, out)
	}
	inside(0, "On trial", "apply", "--yes", "--timeout", "1h", "-f", g.file("more.yaml", goodPolicy+"  - {port: 443, to: any}\n"))
	inside(0, "Confirmed", "confirm", "--same-session")
}
