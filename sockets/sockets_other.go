//go:build !linux && !windows && !darwin

package sockets

import (
	"runtime"

	"github.com/monban-dev/monban"
)

func doors(Options) ([]monban.Door, []monban.Gap) {
	return nil, []monban.Gap{unsupported(monban.HidesDoors)}
}

func traffic(Options) ([]monban.Traffic, []monban.Gap) {
	return nil, []monban.Gap{unsupported(monban.HidesTraffic)}
}

func unsupported(hides monban.Subject) monban.Gap {
	return monban.Gap{Source: "sockets", Err: "no way to read the socket tables of " + runtime.GOOS, Hides: hides}
}

// look has nothing to gain here: the tables are read whole either way.
func look(Options) ([]monban.Door, []monban.Traffic, []monban.Gap, bool) {
	return nil, nil, nil, false
}
