//go:build unix && !linux

package edit

import "os"

func actingUser() int { return os.Geteuid() }
