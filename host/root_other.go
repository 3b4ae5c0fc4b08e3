//go:build !linux

package host

import (
	"io/fs"
	"os"
)

func root() fs.FS { return os.DirFS("/") }
