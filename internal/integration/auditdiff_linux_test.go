package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDiffReach changes a ruleset under doors that stay as they are: what a packet
// from outside meets changes, and so does what --diff says.
func TestDiffReach(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.run("ip", "route", "add", "default", "via", clientAddr)
	g.run("ip", "-6", "route", "add", "default", "via", "2001:db8::2")
	rules := func(lines ...string) {
		g.run("nft", "flush ruleset; add table inet f; add chain inet f in { type filter hook input priority 0; policy drop; };"+
			"add rule inet f in iif lo accept; add rule inet f in ct state established accept; add rule inet f in meta l4proto ipv6-icmp accept;"+strings.Join(lines, ";"))
	}
	rules("add rule inet f in tcp dport 22 accept", "add rule inet f in ip saddr "+clientAddr+" tcp dport 443 accept")
	saved := filepath.Join(g.dir, "before.json")
	g.monban("root", "--save", saved)
	if open := g.doors("22 443"); open != "22 443" {
		t.Fatalf("open before: %q", open)
	}
	type change struct {
		Port           uint16
		Device         string
		Gain, Lose     []string
		Opened, Closed bool
	}
	diff := func(args ...string) []change {
		t.Helper()
		out := g.monban("root", append(args, "--diff", saved, "--json")...)
		parse(t, out)
		var e struct{ Data struct{ Reach *[]change } }
		if err := json.Unmarshal(out, &e); err != nil || e.Data.Reach == nil {
			t.Fatalf("%v: nothing about who can reach what: %s", err, out)
		}
		return *e.Data.Reach
	}
	if got := diff(); len(got) != 0 {
		t.Errorf("nothing has changed: %+v", got)
	}

	rules("add rule inet f in tcp dport 80 accept", "add rule inet f in ip saddr 192.0.2.0/25 tcp dport 443 accept")
	if open := g.doors("80 443"); open != "80 443" {
		t.Fatalf("open now: %q", open)
	}
	got := diff()
	want := func(c change) bool {
		switch c.Port {
		case 22:
			return c.Closed && !c.Opened && len(c.Gain) == 0 && slices.Equal(c.Lose, []string{"0.0.0.0/0", "::/0"})
		case 80:
			return c.Opened && !c.Closed && len(c.Lose) == 0 && slices.Equal(c.Gain, []string{"0.0.0.0/0", "::/0"})
		case 443: // all of 192.0.2.0/25 but the one that could before
			return !c.Opened && !c.Closed && len(c.Lose) == 0 && slices.Equal(c.Gain, []string{"192.0.2.0/31", "192.0.2.3-192.0.2.127"})
		}
		return false
	}
	if len(got) != 3 || !want(got[0]) || !want(got[1]) || !want(got[2]) {
		t.Errorf("%+v", got)
	}
	if one := diff("80"); len(one) != 1 || one[0].Port != 80 {
		t.Errorf("monban 80: %+v", one)
	}
	for lang, words := range map[string][]string{
		"en": {"~ reach    22/tcp", "nobody outside can reach it any more", "~ reach    80/tcp", "everyone can reach it now; before, nobody could", "now also reached from: 192.0.2.0"},
		"ja": {"~ 届く相手  22/tcp", "いまは外から届きません", "いまは誰でも届きます(以前は誰にも届きませんでした)", "新たに届く相手: 192.0.2.0"},
	} {
		text := string(g.monban("root", "--diff", saved, "--lang", lang))
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no word of %q:\n%s", lang, w, text)
			}
		}
	}
	// What nobody may read is not "the same".
	if text := string(g.monban("nobody", "--diff", g.file("now.json", string(g.read(saved))))); !strings.Contains(text, "can only be read with privilege") || strings.Contains(text, "reach    ") {
		t.Errorf("as nobody:\n%s", text)
	}
}

// read returns a file of the room.
func (r *room) read(path string) []byte {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}
