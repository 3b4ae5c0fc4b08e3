package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// dockersOwn returns the rules that a real dockerd has written for a container with
// three published ports: 8080/tcp and 8080/udp on every address, 9090/tcp on one.
func dockersOwn(t *testing.T) string {
	t.Helper()
	netnstest.Need(t, "dockerd")
	room := newRoom(t, true)
	room.ns.Run("ip", "addr", "add", serverV4a+"/32", "dev", "lo")
	d := startDocker(room, "--userland-proxy=false")
	d.importFixture("test/web:1")
	port := func(address, number string) []any {
		return []any{map[string]string{"HostIp": address, "HostPort": number}}
	}
	d.start("web", map[string]any{
		"Image": "test/web:1", "Cmd": []string{"serve", "tcp:[::]:80"},
		"ExposedPorts": map[string]any{"80/tcp": map[string]any{}, "80/udp": map[string]any{}, "81/tcp": map[string]any{}},
		"HostConfig":   map[string]any{"PortBindings": map[string]any{"80/tcp": port("", "8080"), "80/udp": port("", "8080"), "81/tcp": port(serverV4a, "9090")}},
	})
	rules := room.ns.Run("iptables-nft-save")
	for _, want := range [...]string{"--to-destination " + containerV4 + ":80", "--to-destination " + containerV4 + ":81", "-d " + serverV4a + "/32"} {
		if !strings.Contains(rules, want) {
			t.Fatalf("dockerd does not write %q:\n%s", want, rules)
		}
	}
	return rules
}

// reachDocker proves exposure on the rules that dockerd writes, beside those that
// people put before them.
func reachDocker(t *testing.T) *shootingRange {
	rules := dockersOwn(t)
	r := newShootingRange(t, chance(t))
	ports := append(r.openDoors(), monban.Port{Num: 9090, Proto: monban.TCP})
	r.open(r.container, monban.TCP, containerV4, 81)
	for i := range 10 {
		g := generator{rng: r.rng}
		nets := g.someNetworks(4)
		if err := r.nft(""); err != nil {
			t.Fatal(err)
		}
		restore := r.server.Command("iptables-nft-restore")
		restore.Stdin = strings.NewReader(rules)
		if out, err := restore.CombinedOutput(); err != nil {
			t.Fatalf("%v %s\n%s", err, out, rules)
		}
		var b strings.Builder
		b.WriteString("set -e\n")
		say := func(format string, args ...any) { fmt.Fprintf(&b, "iptables-nft -w "+format+"\n", args...) }
		say("-P INPUT %s", g.one("ACCEPT", "DROP"))
		say("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
		for range 4 {
			// Docker's users write into DOCKER-USER and think of the container's port.
			match := g.one("-s "+g.one(nets...), "-i eth0", "-i eth0 ! -s "+g.one(nets...), "-p tcp --dport 80", "-p tcp -m conntrack --ctorigdstport 8080", "-p udp",
				"-m conntrack --ctstate NEW -s "+g.one(nets...))
			say("-%s %s %s -j %s", g.one("I", "A"), g.one("DOCKER-USER", "DOCKER-USER", "INPUT"), match, g.one("DROP", "DROP", "ACCEPT", "RETURN"))
		}
		if out, err := r.server.Command("sh", "-c", b.String()).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, b.String(), out)
		}
		r.check(fmt.Sprintf("docker %d", i), rules+b.String(), g.sources, ports, 300)
		r.silent()
		if t.Failed() {
			return r
		}
	}
	r.decided(t)
	return r
}

// reachFail2ban proves exposure on the rules of a real fail2ban, by each of its ways
// to ban.
func reachFail2ban(t *testing.T) *shootingRange {
	netnstest.Need(t, "fail2ban-server")
	r := newShootingRange(t, chance(t))
	ports := r.openDoors()
	for _, action := range [...]string{"nftables-multiport", "nftables-allports", "iptables-multiport", "iptables-allports"} {
		g := generator{rng: r.rng}
		dir := t.TempDir()
		etc := mkdir(t, dir, "etc")
		if out, err := r.server.Command("cp", "-a", "/etc/fail2ban", etc).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		etc = filepath.Join(etc, "fail2ban")
		for path, text := range map[string]string{
			"jail.d/defaults-debian.conf": "",
			"jail.local": "[mine]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = " + filepath.Join(dir, "auth.log") + "\nport = 22,80,53\nprotocol = tcp\nbanaction = " + action +
				"\nignoreself = false\nbantime = 3600\n",
			"fail2ban.local": "[Definition]\ndbfile = None\nlogtarget = " + filepath.Join(dir, "log") + "\n",
			"../../auth.log": "",
		} {
			if err := os.WriteFile(filepath.Join(etc, path), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.nft("table inet mine {\nchain in { type filter hook input priority 10; policy accept;\ntcp dport 443 drop\n}\n}\n"); err != nil {
			t.Fatal(err)
		}
		banned := g.bans()
		// What iptables is, is a question of the machine's alternatives.
		script := fmt.Sprintf(`PATH=$0/bin:$PATH; export PATH
mkdir -p "$0/bin"; for c in iptables ip6tables; do ln -sf "$(command -v $c-nft)" "$0/bin/$c"; done
f="-c %[1]s -s $0/sock -p $0/pid"
fail2ban-server $f -b start >&2
trap 'fail2ban-client $f stop >&2' EXIT
for n in $(seq 2000); do fail2ban-client $f status mine >/dev/null 2>&1 && break; sleep 0.05; done
fail2ban-client $f set mine banip %[2]s >&2
echo ready; read line
`, etc, strings.Join(banned, " "))
		r.shellWhile(t, dir, script, func() {
			// It bans one after the other, in an order of its own.
			var text string
			eventually(t, fmt.Sprintf("%s: fail2ban bans %v", action, banned), func() bool {
				text = r.server.Run("nft", "list", "ruleset")
				words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n,{}", r) })
				return !slices.ContainsFunc(banned, func(a string) bool { return !slices.Contains(words, a) })
			})
			r.check("fail2ban "+action, text, g.sources, ports, 300)
		})
		if t.Failed() {
			return r
		}
	}
	r.decided(t)
	return r
}

// TestReachTools proves exposure on the rulesets of the tools that most machines have
// theirs from, and says how much of them stays unknown.
func TestReachTools(t *testing.T) {
	t.Parallel()
	type tool struct {
		name  string
		prove func(*testing.T) *shootingRange
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-10s %9s %7s %7s %8s %12s", "", "rulesets", "packets", "got in", "unknown", "conditional")
	for _, tool := range [...]tool{{"ufw", reachUFW}, {"firewalld", reachFirewalld}, {"Docker", reachDocker}, {"iptables", reachIPTables}, {"fail2ban", reachFail2ban}} {
		t.Run(tool.name, func(t *testing.T) {
			r := tool.prove(t)
			n := r.tally
			fmt.Fprintf(&table, "\n%-10s %9d %7d %7d %7.1f%% %11.1f%%", tool.name, n.rulesets, n.probes, n.in,
				100*float64(n.unknown)/float64(n.probes), 100*float64(n.conditional)/float64(n.probes))
		})
	}
	t.Log("\n" + table.String())
}
