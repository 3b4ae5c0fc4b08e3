//go:build !linux

package firewall

import (
	"errors"
	"runtime"

	"github.com/monban-dev/monban"
)

func read(Options) (*monban.Ruleset, []monban.Gap) {
	return nil, []monban.Gap{gap("firewall", errors.New("not read on "+runtime.GOOS))}
}
