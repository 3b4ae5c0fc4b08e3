package lawtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/monban-dev/monban"

// source is one Go file of the module.
type source struct {
	name string // "host/host.go"
	dir  string // "host"; "." is the root package
	test bool
	file *ast.File
	pos  *token.FileSet
}

// at says where something stands, as compilers do: "host/host.go:12:2".
func (s source) at(n ast.Node) string { return s.pos.Position(n.Pos()).String() }

// sources parses every Go file of the module, those for other systems too.
func sources(t *testing.T) (list []source) {
	t.Helper()
	root := moduleRoot(t)
	set := token.NewFileSet()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		list = append(list, source{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), file: file, pos: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("found only %d Go files below %s", len(list), root)
	}
	return list
}

// moduleRoot is the directory of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}

// matches reports whether name is pattern, or lies below it where pattern ends in
// "/...".
func matches(pattern, name string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return name == base || below && strings.HasPrefix(name, base+"/")
}

func matchesAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if matches(pattern, name) {
			return true
		}
	}
	return false
}
