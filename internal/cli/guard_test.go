package cli

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// TestGuardSchema validates what guard prints as JSON on this machine, whatever
// it may see of the firewall here; nothing of it changes anything.
func TestGuardSchema(t *testing.T) {
	file := filepath.Join(t.TempDir(), "monban.yaml")
	text := "monban: 1\ndoors:\n  - {port: 443, to: any, for: web}\n  - {port: 8022, to: [192.0.2.0/24, this-network, if:eth0], limit: 10/minute, until: 2999-01-01T00:00:00Z}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"guard plan -f " + file, "guard status -f " + file + " --yes", "guard import", "guard open 80 --to any -f " + file, "guard close 80 -f " + file,
		"guard plan --allow-cut --lang ja -f " + file} {
		var out, errs bytes.Buffer
		sys := System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
		code := Run(context.Background(), sys, append(strings.Fields(line), "--json"))
		if out.Len() == 0 {
			t.Errorf("monban %s: exit %d\n%s", line, code, errs.String())
			continue
		}
		validate(t, out.String())
	}
}

// TestSuggest: the entry of an imported door lets in whom the rules let in now, in
// each family, and nobody else.
func TestSuggest(t *testing.T) {
	door := func(reach ...monban.Reach) monban.Door {
		return monban.Door{Bind: monban.Bind{Port: monban.Port{Num: 9200, Proto: monban.TCP}, Addr: netip.IPv6Unspecified()}, Reach: reach}
	}
	is := func(f monban.Family, v monban.Verdict, why monban.Reason, sources ...string) monban.Reach {
		r := monban.Reach{Family: f, Device: "eth0", Verdict: v, Why: why}
		for _, s := range sources {
			r.Sources = append(r.Sources, monban.RangeOf(netip.MustParsePrefix(s)))
		}
		return r
	}
	const v4, v6 = monban.IPv4, monban.IPv6
	const open, closed, partly, unknown = monban.VerdictOpen, monban.VerdictClosed, monban.VerdictPartly, monban.VerdictUnknown
	for _, tt := range []struct {
		reach []monban.Reach
		to    string
	}{
		{[]monban.Reach{is(v4, open, ""), is(v6, open, "")}, "to: any"},
		{[]monban.Reach{is(v4, closed, ""), is(v6, open, "")}, `to: "::/0"`},
		{[]monban.Reach{is(v4, open, ""), is(v6, closed, "")}, "to: 0.0.0.0/0"},
		{[]monban.Reach{is(v4, open, ""), is(v6, closed, monban.ByAddress)}, "to: any"},
		{[]monban.Reach{is(v4, open, "")}, "to: any"},
		{[]monban.Reach{is(v4, partly, "", "10.0.0.0/8"), is(v6, open, "")}, `to: [10.0.0.0/8, "::/0"]`},
		{[]monban.Reach{is(v4, partly, "", "10.0.0.0/8"), is(v4, open, ""), is(v6, closed, "")}, "to: 0.0.0.0/0"},
		{[]monban.Reach{is(v4, unknown, ""), is(v6, closed, "")}, "to: any"},
		{nil, "to: any"},
	} {
		g := &guarding{snap: &monban.Snapshot{}, book: portbook.Builtin()}
		e := report.Imported{Doors: []monban.Door{door(tt.reach...)}}
		g.suggest(&e)
		if !strings.Contains(e.Entry, tt.to+",") {
			t.Errorf("%+v: %s, want %s", tt.reach, e.Entry, tt.to)
		}
	}
}
