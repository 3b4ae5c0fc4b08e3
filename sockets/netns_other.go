//go:build !linux

package sockets

import (
	"runtime"

	"github.com/monban-dev/monban"
)

func namespaces() ([]Namespace, []monban.Gap) { return nil, nil }

func noNetNS(path string) monban.Gap {
	return monban.Gap{Source: path, Err: runtime.GOOS + " has no network namespaces", Hides: monban.HidesNamespaces}
}
