//go:build !linux

package firewall

import (
	"errors"
	"time"

	"github.com/monban-dev/monban"
)

func readGuard() (*Guard, error) { return nil, errors.ErrUnsupported }

func tryOut(*monban.Ruleset, time.Duration, uint32) error { return errors.ErrUnsupported }

func settleTrial(func(*monban.Table, uint32) (*batch, error), bool) error {
	return errors.ErrUnsupported
}

func loadNow(*monban.Ruleset) error { return errors.ErrUnsupported }

func remove() error { return errors.ErrUnsupported }

func prove() error { return errors.ErrUnsupported }
