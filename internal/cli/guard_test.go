package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuardSchema validates what guard prints as JSON on this machine, whatever
// it may see of the firewall here; nothing of it changes anything.
func TestGuardSchema(t *testing.T) {
	file := filepath.Join(t.TempDir(), "monban.yaml")
	text := "monban: 1\ndoors:\n  - {port: 443, to: any, for: web}\n  - {port: 8022, to: [192.0.2.0/24, this-network, if:eth0], limit: 10/minute, until: 2999-01-01T00:00:00Z}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"guard plan -f " + file, "guard status", "guard import", "guard open 80 --to any -f " + file, "guard close 80 -f " + file,
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
