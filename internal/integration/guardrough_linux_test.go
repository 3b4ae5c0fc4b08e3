package integration

import (
	"regexp"
	"strings"
	"testing"
)

// TestGuardOlderTable meets rules that an earlier monban has put in force, which said
// nothing of protocols without ports: that is a difference, which an apply ends.
func TestGuardOlderTable(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	file := g.file("good.yaml", goodPolicy)
	g.must("apply", "--yes", "--timeout", "1h", "-f", file)
	g.must("confirm")
	// The rule, and then its set.
	chain := "doors-b"
	m := regexp.MustCompile(`@(judged\S*) accept.* # handle (\d+)`).FindStringSubmatch(g.run("nft", "-a", "list", "chain", "inet", "monban", chain))
	if m == nil {
		t.Fatal(g.run("nft", "-a", "list", "table", "inet", "monban"))
	}
	g.run("nft", "delete", "rule", "inet", "monban", chain, "handle", m[2])
	g.run("nft", "delete", "set", "inet", "monban", m[1])
	for _, verb := range [][]string{{"status", "-v"}, {"plan", "-v", "-f", file}} {
		if code, out := g.guard(verb...); code != 1 || !strings.Contains(out, "+ ") {
			t.Errorf("%s: status %d, want 1 and what is missing\n%s", verb[0], code, out)
		}
	}
	g.must("apply", "--yes", "--timeout", "1h", "-f", file)
	g.must("confirm")
	if code, out := g.guard("status"); code != 0 {
		t.Errorf("status %d\n%s", code, out)
	}
	if got := g.doors("22 80"); got != "22 80" {
		t.Errorf("open are %q", got)
	}
	g.alive()
}

// TestGuardUnsaved confirms a policy that cannot get its name on disk: it is in force,
// which is said, and the next confirmation saves it.
func TestGuardUnsaved(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.must("apply", "--yes", "--timeout", "1h", "-f", g.file("good.yaml", goodPolicy))
	g.run("mkdir", "-p", "/var/lib/monban/guard.json/in-the-way")
	for range 2 {
		if code, out := g.guard("confirm"); code != 4 || !strings.Contains(out, "could NOT be saved") || strings.Contains(out, "Nothing was changed") {
			t.Errorf("status %d\n%s", code, out)
		}
		if got := g.doors("22 80"); got != "22 80" {
			t.Errorf("open are %q", got)
		}
	}
	g.run("rm", "-r", "/var/lib/monban/guard.json")
	if out := g.must("confirm"); !strings.Contains(out, "Confirmed and saved") {
		t.Error(out)
	}
	if code, out := g.guard("status"); code != 0 {
		t.Errorf("status %d\n%s", code, out)
	}
	if code, out := g.guard("confirm"); code != 4 || !strings.Contains(out, "No policy is on trial") {
		t.Errorf("confirmed once more: status %d\n%s", code, out)
	}
}

// TestGuardBusy puts a policy in force while another program changes its own rules all
// the time, as fail2ban does under attack and a container engine that starts.
func TestGuardBusy(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.run("nft", "add table ip other; add set ip other banned { type ipv4_addr; }")
	g.daemon("root", "sh", "-c", `n=0; while :; do n=$((n+1)); nft add element ip other banned "{ 10.0.$((n/250%250)).$((n%250)) }"; sleep 0.1; done`)
	eventually(t, "somebody changes rules", func() bool { return strings.Contains(g.run("nft", "list", "set", "ip", "other", "banned"), "10.0.0.3") })
	file := g.file("good.yaml", goodPolicy)
	for _, args := range [][]string{{"apply", "--yes", "--timeout", "1h", "-f", file}, {"rollback"}, {"apply", "--yes", "--timeout", "1h", "-f", file}, {"confirm"}, {"status"}, {"apply", "--saved"}} {
		g.must(args...)
	}
	if got := g.doors("22 80"); got != "22 80" {
		t.Errorf("open are %q", got)
	}
	g.must("off", "--yes")
	if !strings.Contains(g.run("nft", "list", "ruleset"), "10.0.0.3") {
		t.Error("another program's rules are gone")
	}
}
