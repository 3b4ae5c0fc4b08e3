package portbook

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/monban-dev/monban/portbook/internal/registry"
)

// Install puts a compiled registry at path, where [Open] will find it, in one
// step: whoever reads meets the old file or the new one. A blob that is not
// intact is refused, and on any error the old file stays. The directory must
// exist. The file's mode is 0644.
func Install(path string, blob []byte) (err error) {
	if _, err := registry.Verify(string(blob)); err != nil {
		return fmt.Errorf("install port book: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".portbook-*")
	if err != nil {
		return fmt.Errorf("install port book: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("install port book: %w", err)
		}
	}()
	if _, err = f.Write(blob); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
