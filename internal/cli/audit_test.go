package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const firewallFile = "testdata/firewall.json"

// auditRun runs `monban audit` and returns its status and both its outputs.
func auditRun(t *testing.T, sys System, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	sys.Stdin, sys.Stdout, sys.Stderr = strings.NewReader(""), &out, &errs
	sys.Getenv = func(name string) string {
		if name == "TERM" {
			return "xterm"
		}
		return ""
	}
	code = Run(context.Background(), sys, append([]string{"audit"}, args...))
	return code, out.String(), errs.String()
}

// TestAuditGolden shows the report of a saved machine in every format and both
// languages, beside a scan of it that was made elsewhere.
func TestAuditGolden(t *testing.T) {
	for _, lang := range []string{"en", "ja"} {
		for name, sys := range map[string]System{"pipe": {}, "narrow": {Terminal: true, Width: 80}} {
			code, out, _ := auditRun(t, sys, "--load", firewallFile, "--lang", lang)
			if code != exitFound {
				t.Errorf("status %d, want %d", code, exitFound)
			}
			golden(t, filepath.Join("testdata", "golden", "audit."+name+"."+lang+".txt"), out)
		}
		for format, ending := range map[string]string{"text": "txt", "markdown": "md", "html": "html", "sarif": "sarif"} {
			code, out, errs := auditRun(t, System{}, "--load", firewallFile, "--seen", "testdata/seen.json", "--policy", "testdata/policy.yaml", "--lang", lang, "--format", format)
			if code != exitFound || errs != "" {
				t.Errorf("status %d, %s", code, errs)
			}
			out = strings.ReplaceAll(out, ownVersion(), "VERSION")
			golden(t, filepath.Join("testdata", "golden", "audit-seen."+lang+"."+ending), out)
		}
		_, out, _ := auditRun(t, System{}, "--load", firewallFile, "--seen", "testdata/seen.json", "--policy", "testdata/policy.yaml", "--json", "--lang", lang)
		validate(t, out)
	}
	_, out, _ := auditRun(t, System{}, "--json")
	validate(t, out)
}

// TestAuditStatus keeps the exit codes of the command contract.
func TestAuditStatus(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.json")
	text := `{"monban_snapshot":1,"snapshot":{"At":"2026-11-25T12:00:00Z","Host":{"Name":"x","OS":"linux","UID":0},"Rules":{"Tables":null}}}`
	if err := os.WriteFile(empty, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--load " + empty, exitOK, ""},
		{"--load " + firewallFile, exitFound, ""},
		{"--load " + firewallFile + " --fail-on critical", exitIncomplete, ""}, // a rule that cannot be judged
		{"--load " + firewallFile + " --fail-on extreme", exitUsage, "--fail-on"},
		{"--load " + firewallFile + " --from 1", exitUsage, "--load and --from do not go together"},
		{"--load " + firewallFile + " --seen-from 192.0.2.1", exitUsage, "--seen-from is for --seen"},
		{"--load " + firewallFile + " --ports 22", exitUsage, "--ports is for --from"},
		{"--load " + firewallFile + " --seen testdata/seen.json --seen-from here", exitUsage, "IP address"},
		{"--load " + firewallFile + " --seen testdata/office.json", exitUsage, "not the JSON output of monban scan"},
		{"--load " + firewallFile + " --seen nothing.json", exitUsage, "no such file"},
		{"--load " + firewallFile + " --policy testdata/office.json", exitUsage, "office.json"},
		{"--format pdf", exitUsage, "want text, json, markdown, html, sarif"},
		{"22", exitUsage, "22"},
	} {
		code, out, errs := auditRun(t, System{}, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(errs, c.says) || c.code == exitUsage && (out != "" || strings.Count(errs, "\n") != 1) {
			t.Errorf("audit %s: status %d, want %d: %s", c.args, code, c.code, errs)
		}
	}
}
