package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestErrorWords reads the errors of the sources out of their code, and wants
// Japanese words for each: they stand inside Japanese sentences.
func TestErrorWords(t *testing.T) {
	verb := regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)
	japanese := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) })
	}
	seen := 0
	for _, dir := range []string{"host", "sockets", "owners", "portbook", "internal/gather", "internal/report", "internal/guard", "internal/move"} {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, text := range errorLiterals(t, file) {
				sample := verb.ReplaceAllString(text, "7")
				if !strings.Contains(text, " ") || strings.Trim(text, "%wsd: ") == "" { // a joint, not words
					continue
				}
				seen++
				if got := JA.errorText(sample); !japanese(got) {
					t.Errorf("%s: no Japanese for %q", file, text)
				}
				if got := EN.errorText(sample); got != sample {
					t.Errorf("English changed: %q", got)
				}
			}
		}
	}
	for _, text := range yamlProblems(t) {
		seen++
		if !japanese(JA.errorText(text)) && !japanese(JA.errorText(text+`: "x"`)) {
			t.Errorf("no Japanese for %q", text)
		}
	}
	if seen < 70 {
		t.Errorf("only %d errors were found in the code", seen)
	}
	for in, want := range map[string]string{
		"open /proc/7/fd: permission denied":                    "open /proc/7/fd: アクセスが許可されていません",
		"179 processes: permission denied":                      "179 個のプロセス: アクセスが許可されていません",
		"/opt/monban: others may write (mode 0775, owner 1000)": "/opt/monban に他のユーザーも書き込めます(モード 0775、所有者 1000)",
		"exit status 255: /etc/x: line 3: permission denied":    "終了コード 255: /etc/x: line 3: permission denied",
		"what another program said":                             "what another program said",
		"":                                                      "",
		`claims.yaml:3: not a port: "99999"`:                    `claims.yaml:3: ポート番号ではありません: "99999"`,
		`claims.yaml:4: not a port: ""`:                         `claims.yaml:4: ポート番号がありません`,
		`a.conf:1: not understood: "nam: e"`:                    `a.conf:1: 解釈できません: "nam: e"`,
		`includes itself by way of "a.conf"`:                    `"a.conf" を通して自分自身を読み込んでいます`,
		"more than 2000 files":                                  "ファイルが 2000 個を超えています",
		"not a saved snapshot: invalid character 'r' looking for beginning of value": "monban の保存ファイルではありません: JSON として読めません(invalid character 'r' looking for beginning of value)",
	} {
		if got := JA.errorText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// yamlProblems are what the reader of YAML has to say: the values of its table.
func yamlProblems(t *testing.T) (out []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), "../yaml/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if entry, ok := n.(*ast.KeyValueExpr); ok {
			text, err := strconv.Unquote(entry.Value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return true
	})
	if len(out) < 25 {
		t.Errorf("only %d problems of YAML", len(out))
	}
	return out
}

// errorLiterals are the texts that a file makes errors and gaps of.
func errorLiterals(t *testing.T, file string) (out []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, s)
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := f.X.(*ast.Ident); ok && (pkg.Name == "errors" && f.Sel.Name == "New" || pkg.Name == "fmt" && f.Sel.Name == "Errorf") {
					add(n.Args[0])
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Err" {
				add(n.Value)
			}
		case *ast.AssignStmt:
			if f, ok := n.Lhs[0].(*ast.SelectorExpr); ok && f.Sel.Name == "Err" {
				add(n.Rhs[0])
			}
		}
		return true
	})
	return out
}

// FuzzErrorText: whatever a source says, something is said.
func FuzzErrorText(f *testing.F) {
	f.Add("open x: permission denied")
	f.Add("%v line %v: %v")
	f.Fuzz(func(t *testing.T, s string) {
		if got := JA.errorText(s); got == "" && s != "" || strings.Contains(got, "%!") && !strings.Contains(s, "%!") {
			t.Errorf("%q: %q", s, got)
		}
	})
}
