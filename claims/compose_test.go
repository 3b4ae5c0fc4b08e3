package claims

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/monban-dev/monban"
)

// TestComposeHostile reads projects made to take for ever. Each has to end soon,
// with a gap that says where.
func TestComposeHostile(t *testing.T) {
	chain := func(n int) string {
		var b strings.Builder
		b.WriteString("services:\n")
		for i := range n {
			fmt.Fprintf(&b, "  s%d: {extends: s%d, ports: [\"%d:1\"]}\n", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "  s%d: {}\n", n)
		return b.String()
	}
	for _, test := range []struct {
		name string
		tree map[string]string
		gap  string // a part of one
	}{
		{"ranges", map[string]string{"compose.yaml": "services: {a: {ports: [" + strings.Repeat(`"1-65535:1-65535", `, 1000) + "]}}\n"}, "compose.yaml: stands for too many things"},
		{"brackets", map[string]string{"compose.yaml": "services: " + strings.Repeat("[", 100_000)}, "compose.yaml:1: "},
		{"dashes", map[string]string{"compose.yaml": "services:\n" + strings.Repeat("- ", 1_000_000)}, "compose.yaml:"},
		{"anchors", map[string]string{"compose.yaml": "services: " + strings.Repeat("&a ", 100_000)}, "compose.yaml:1: "},
		{"indentation", map[string]string{"compose.yaml": "services:\n" + deepTable(1000)}, "nested more than"},
		{"keys", map[string]string{"compose.yaml": "services:\n" + manyKeys(8_000)}, "compose.yaml:5002: stands for too many things"},
		{"merge keys", map[string]string{"compose.yaml": "a: &a {b: 1}\nservices:\n" + strings.Repeat("  <<: *a\n", 80_000)}, "stands for too many things"},
		{"chain", map[string]string{"compose.yaml": chain(500)}, "nested more than"},
		{"variable", map[string]string{"compose.yaml": "services: {a: {ports: [\"" + strings.Repeat("${A:-", 30_000) + "\"]}}\n"}, "compose.yaml:1: stands for too many things"},
		{"doubling variables", map[string]string{"compose.yaml": "services: {a: {ports: [\"${Z}:1\"]}}\n", ".env": doublingEnv()}, ".env:"},
		{"diamonds", diamonds(14), "stands for too many"},
		{"large", map[string]string{"compose.yaml": "services: {}\n#" + strings.Repeat("x", maxFile)}, "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{}
			for name, text := range test.tree {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			started := time.Now()
			_, gaps, err := Read(Place{FS: tree}, "compose.yaml")
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if err != nil && !strings.Contains(err.Error(), test.gap) {
				t.Error(err)
			}
			if err == nil && !hasGap(gaps, test.gap) {
				t.Errorf("gaps %.300q, want %q", fmt.Sprint(gaps), test.gap)
			}
		})
	}
}

func hasGap(gaps []monban.Gap, part string) bool {
	for _, g := range gaps {
		if strings.Contains(g.Source+": "+g.Err, part) {
			return true
		}
	}
	return false
}

func deepTable(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {}\n", i)
	}
	return b.String()
}

// doublingEnv makes each variable twice as long as the one before.
func doublingEnv() string {
	var b strings.Builder
	b.WriteString("A=0123456789\n")
	for c := 'B'; c <= 'Z'; c++ {
		fmt.Fprintf(&b, "%c=${%c}${%c}\n", c, c-1, c-1)
	}
	return b.String()
}

// diamonds includes two files, both of which include the next two, and so on.
func diamonds(n int) map[string]string {
	tree := map[string]string{}
	for i := range n {
		include := fmt.Sprintf("include: [a%d.yml, b%d.yml]\nservices: {s%d: {ports: [\"%d:1\"]}}\n", i+1, i+1, i, i+1)
		tree[fmt.Sprintf("a%d.yml", i)], tree[fmt.Sprintf("b%d.yml", i)] = include, include
	}
	tree["compose.yaml"] = "include: [a0.yml, b0.yml]\n"
	last := "services: {last: {}}\n"
	tree[fmt.Sprintf("a%d.yml", n)], tree[fmt.Sprintf("b%d.yml", n)] = last, last
	return tree
}

// FuzzComposeText gives any text to the variables of Compose and of .env files.
func FuzzComposeText(f *testing.F) {
	for _, text := range []string{"$A", "${A:-${B:-x}}:1", "${A:?x}", "$$", "${A+b}}", "A=1\nB=\"${A}\\n\" # c\nexport C: 'x'\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		vars := func(name string) (variable, bool) {
			return variable{text: "80", pos: monban.Pos{File: "e", Line: 1, Col: 1, Len: 2}}, name != "B"
		}
		in := file{name: "f", show: "f", data: []byte(text)}
		got, _, err := expand(in, word{text: text, line: 1, col: 1}, vars)
		if err != nil && got.text != "" {
			t.Errorf("%q beside %v", got.text, err)
		}
		for _, p := range got.parts {
			if p.at < 0 || p.at+p.pos.Len > len(got.text) {
				t.Errorf("part %+v of %q", p, got.text)
			}
			if from := p.pos.Col - 1; p.pos.File == "f" && (from < 0 || from+p.pos.Len > len(text) || text[from:from+p.pos.Len] != got.text[p.at:p.at+p.pos.Len]) {
				t.Errorf("part %+v of %q is not in %q", p, got.text, text)
			}
		}
		entries, _ := readDotenv(in, vars)
		rows := strings.Split(text, "\n")
		for _, e := range entries {
			pos := e.value.pos
			if pos.File == "f" && (pos.Line < 1 || pos.Line > len(rows) || pos.Col-1+pos.Len > len(rows[pos.Line-1]) ||
				rows[pos.Line-1][pos.Col-1:pos.Col-1+pos.Len] != e.value.text) {
				t.Errorf("%+v is not at its place in %q", e, text)
			}
		}
	})
}
