package yaml

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestCorpus compares the readers on every file of YAML, and of JSON, which is
// YAML too, that this module has in its tests.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, bytes := 0, 0
	compare := func(name string, data []byte) {
		switch path.Ext(name) {
		case ".yaml", ".yml", ".json":
		default:
			return
		}
		files++
		bytes += len(data)
		if diff := differs(data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".":
			return fs.SkipDir
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		}
		switch ext := path.Ext(name); ext {
		case ".yaml", ".yml", ".json", ".txtar":
			data, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			compare(name, data)
			if ext == ".txtar" {
				for _, file := range txtar.Parse(data).Files {
					compare(name+"/"+file.Name, file.Data)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files", files)
	}
	t.Logf("%d files, %d bytes", files, bytes)
}

// TestOwnFiles wants the files of testdata to be read, and compared in full.
func TestOwnFiles(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := theirs(data)
		if wantErr != nil {
			t.Fatalf("%s: %v", name, wantErr)
		}
		if docs, err := Parse(data); err != nil || len(docs) != len(want) || accepted(data, err, want, wantErr) != "" {
			t.Errorf("%s: %d documents, %v", name, len(docs), err)
		}
	}
}
