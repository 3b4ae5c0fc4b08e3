// Command mangen writes the manual pages, docs/man/man1 and docs/man/ja/man1,
// from the same words as --help. Run it in the root of the repository; a test
// checks that the pages there are what it writes.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/monban-dev/monban/internal/cli"
	"github.com/monban-dev/monban/internal/report"
)

func main() {
	if err := write("docs/man"); err != nil {
		fmt.Fprintln(os.Stderr, "mangen:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	for dir, lang := range map[string]report.Lang{"man1": report.EN, "ja/man1": report.JA} {
		pages, err := cli.Manuals(lang)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
		for name, text := range pages {
			if err := os.WriteFile(filepath.Join(root, dir, name), text, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
