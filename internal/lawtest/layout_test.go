package lawtest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestLayoutIsTold: CONTRIBUTING.md lists every package, so that whoever comes
// finds where things are, and no package that is gone.
func TestLayoutIsTold(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]bool)
	_, layout, _ := strings.Cut(string(text), "## Layout\n")
	layout, _, _ = strings.Cut(layout, "\n**")
	for line := range strings.Lines(layout) {
		if dir, _, ok := strings.Cut(strings.TrimSpace(line), "/ "); ok && dir != "monban" {
			told[dir] = true
		}
	}
	if len(told) < 10 {
		t.Fatalf("the layout lists %d packages", len(told))
	}
	there := make(map[string]bool)
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(file, ".go") {
			dir, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				return err
			}
			there[filepath.ToSlash(dir)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range there {
		// The parts of a package that only it may import go without saying.
		parent := path.Dir(dir)
		own := strings.Contains(dir, "/internal/") || strings.HasPrefix(parent, "internal/")
		if dir != "." && !own && !told[dir] {
			t.Errorf("%s is not in the layout of CONTRIBUTING.md: add a line that says what it is for", dir)
		}
	}
	for dir := range told {
		if !there[dir] {
			t.Errorf("CONTRIBUTING.md lists %s, which is not there", dir)
		}
	}
}
