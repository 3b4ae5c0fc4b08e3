package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "place")
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "another"} {
		if err := Put(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v, want %q", got, err, text)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Put(filepath.Join(dir, "taken"), nil, 0o600); err == nil {
		t.Error("a directory was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("something was left behind: %v, %v", entries, err)
	}
	for range 2 {
		if err := Forget(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("not forgotten")
	}
}
