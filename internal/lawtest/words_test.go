package lawtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// speakers are the packages that hold sentences for people. The others carry
// machine codes and evidence, so that one package decides how monban speaks, and
// both languages stand side by side.
func speakers() []string {
	return []string{"internal/report", "portbook", "portbook/gen", "portbook/internal/..."}
}

// listeners hold Japanese that is read and never written.
func listeners() []struct{ prefix, why string } {
	return []struct{ prefix, why string }{
		{"conflict/complaint", "messages of other programs that people paste into `monban explain`"},
	}
}

// TestWords wants Japanese only where monban speaks. English sentences cannot be
// told from error texts by a program; that rule is kept by reading.
func TestWords(t *testing.T) {
	heard := make([]bool, len(listeners()))
	for _, s := range sources(t) {
		if s.test || matchesAny(speakers(), s.dir) {
			continue
		}
		listener := slices.IndexFunc(listeners(), func(l struct{ prefix, why string }) bool { return strings.HasPrefix(s.name, l.prefix) })
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || !japanese(lit.Value) {
				return true
			}
			if listener >= 0 {
				heard[listener] = true
				return true
			}
			t.Errorf("%s: %s is Japanese outside internal/report. Hand a machine code to the report and write the sentence there, in both languages.", s.at(lit), lit.Value)
			return true
		})
	}
	for i, l := range listeners() {
		if !heard[i] {
			t.Errorf("nothing in %s* needs to be excepted any more: take it away", l.prefix)
		}
	}
}

// japanese reports whether a string literal has Japanese letters, written out or
// as an escape.
func japanese(literal string) bool {
	text, err := strconv.Unquote(literal)
	if err != nil {
		text = literal
	}
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3001 && r <= 0x303f || r >= 0xff01 && r <= 0xff65
	})
}

func TestJapanese(t *testing.T) {
	for literal, want := range map[string]bool{
		`"ポート"`: true, `"門"`: true, `"\u9580"`: true, "`。`": true, `"！"`: true,
		`"port"`: false, `"naïve – …"`: false, `"\x83v"`: false,
	} {
		if got := japanese(literal); got != want {
			t.Errorf("japanese(%s) = %v", literal, got)
		}
	}
}

// TestSilence wants nobody but the verbs to write to the terminal or to end the
// program: a library that does takes that decision from its caller.
func TestSilence(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || tool(s.dir) || s.dir == "internal/cli" || s.dir == "cmd/monban" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
					t.Errorf("%s: %s writes to the terminal. Return the text, or an error.", s.at(n), id.Name)
				}
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch name := pkg.Name + "." + sel.Sel.Name; name {
			case "os.Stdout", "os.Stderr", "os.Stdin", "fmt.Print", "fmt.Println", "fmt.Printf":
				t.Errorf("%s: %s outside internal/cli. Take an io.Writer, or return the text.", s.at(n), name)
			case "os.Exit", "runtime.Goexit":
				t.Errorf("%s: %s outside internal/cli. Return an error.", s.at(n), name)
			}
			return true
		})
	}
}
