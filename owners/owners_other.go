//go:build !linux && !darwin && !windows

package owners

import (
	"context"
	"runtime"

	"github.com/monban-dev/monban"
)

func name(_ context.Context, doors []monban.Door, _ Options) []monban.Gap {
	for i := range doors {
		doors[i].Owners, doors[i].Unnamed = nil, monban.HiddenUnreadable
	}
	return []monban.Gap{{Source: "owners", Err: "no way to look at the processes of " + runtime.GOOS,
		Hides: monban.HidesOwners, Reason: monban.HiddenUnreadable, Count: len(doors)}}
}

func askContainers(context.Context) func() ([]monban.Container, []monban.Gap) { return containers }

func containers() ([]monban.Container, []monban.Gap) {
	return nil, []monban.Gap{{Source: "owners", Err: "no way to ask container engines on " + runtime.GOOS,
		Hides: monban.HidesContainers}}
}

// restarts has no engine to ask: nobody has told of containers.
func restarts(context.Context, []*monban.Container) []monban.Gap { return nil }

// stopped has nothing: that engines are not asked is said with the containers.
func stopped(context.Context) ([]monban.Container, []monban.Gap) { return nil, nil }
