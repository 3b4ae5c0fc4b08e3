package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestManualsAreCurrent fails when a word of the help changed and the manual
// pages were not written anew: go run ./internal/mangen.
func TestManualsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"man1", "ja/man1"} {
		made, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadDir(filepath.Join("../../docs/man", sub))
		if err != nil {
			t.Fatal(err)
		}
		if len(made) != len(kept) {
			t.Errorf("docs/man/%s has %d pages, want %d", sub, len(kept), len(made))
		}
		for _, e := range made {
			want, err := os.ReadFile(filepath.Join(dir, sub, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join("../../docs/man", sub, e.Name()))
			if err != nil || string(got) != string(want) {
				t.Errorf("docs/man/%s/%s is not what go run ./internal/mangen writes (%v)", sub, e.Name(), err)
			}
		}
	}
}
