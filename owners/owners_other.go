//go:build !linux

package owners

import (
	"context"
	"runtime"

	"github.com/monban-dev/monban"
)

func name(_ context.Context, doors []monban.Door, _ Options) []monban.Gap {
	for i := range doors {
		doors[i].Unnamed = monban.HiddenUnreadable
	}
	return []monban.Gap{unsupported(monban.HidesOwners)}
}

func containers(context.Context) ([]monban.Container, []monban.Gap) {
	return nil, []monban.Gap{unsupported(monban.HidesContainers)}
}

func unsupported(hides monban.Subject) monban.Gap {
	return monban.Gap{Source: "owners", Err: "no way to look on " + runtime.GOOS, Hides: hides}
}
