package claims

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestProjectHostile reads project files made to take for ever.
func TestProjectHostile(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		gap              string // a part of one; "" for none
	}{
		{"script", "package.json", `{"scripts": {"a": "` + strings.Repeat("vite & ", 500_000) + `"}}`, "package.json:1: stands for too many things"},
		{"scripts", "package.json", `{"scripts": {` + strings.Repeat(`"a": "vite",`, 20_000) + `}}`, "package.json:1: stands for too many things"},
		{"concurrently", "package.json", `{"scripts": {"a": "` + strings.Repeat(`concurrently \"`, 1000) + `"}}`, ""},
		{"nested JSON", "package.json", strings.Repeat(`{"a":`, 100_000), "package.json:1: "},
		{"braces", "vite.config.js", strings.Repeat("a:{", 1_000_000), ""},
		{"comments", "vite.config.js", strings.Repeat("/*", 1_000_000), ""},
		{"quotes", "vite.config.js", strings.Repeat("a: `", 1_000_000), ""},
		{"values", "vite.config.js", "x({" + strings.Repeat("port: a ", 30_000), ""},
		{"port", "vite.config.js", "x({server: {port: f(1)}})", "vite.config.js:1: not followed"},
		{"Procfile", "Procfile", strings.Repeat("a: run $PORT\n", 100_000), "Procfile:601: stands for too many things"},
		{"line", "Procfile", "a: " + strings.Repeat("b ", 1_000_000), "Procfile:1: stands for too many things"},
		{"quote", ".env", "A=\"" + strings.Repeat("\n", 1_000_000), ".env:1: not understood"},
		{"lines", ".env", strings.Repeat("A\n", 1_000_000), ""},
		{"documents", "x.yaml", strings.Repeat("apiVersion: v1\nkind: Pod\n---\n", 5_000), ""},
		{"lists", "x.yaml", strings.Repeat("apiVersion: v1\nkind: List\nitems:\n- ", 50) + "apiVersion: v1\nkind: Pod\n", ""},
		{"template", "x.yaml", "apiVersion: v1\nkind: Pod\nx: {{ a }}\n hostPort: 1\n", "x.yaml:4: not followed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			started := time.Now()
			found, gaps, err := Read(Place{FS: fstest.MapFS{test.file: {Data: []byte(test.text)}}})
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if err != nil {
				t.Error(err)
			}
			if test.gap == "" && len(gaps) > 0 || test.gap != "" && !hasGap(gaps, test.gap) {
				t.Errorf("%d claims; gaps %.300q, want %q", len(found), fmt.Sprint(gaps), test.gap)
			}
		})
	}
}

// FuzzJS gives any text to the search for literals: each stands where it is said
// to stand.
func FuzzJS(f *testing.F) {
	f.Add("export default { server: { port: 1, 'host': \"x\" }, // c\n preview: {port: f(2)} }")
	f.Add("a({b: `${c}`, d: /* x */ 1})")
	f.Fuzz(func(t *testing.T, text string) {
		rows := strings.Split(text, "\n")
		for _, s := range jsSettings([]byte(text)) {
			w := s.value
			if w.line < 1 || w.line > len(rows) || !strings.HasPrefix(rows[w.line-1][min(w.col-1, len(rows[w.line-1])):], w.text) {
				t.Errorf("%q at %d:%d of %q", w.text, w.line, w.col, text)
			}
		}
	})
}
