//go:build !linux

package netnstest

import (
	"errors"
	"testing"
)

func unprivileged(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

func isFirstThread() bool { return false }

func create(testing.TB) (*NS, error) { return nil, errors.ErrUnsupported }

func (ns *NS) enter() error { return errors.ErrUnsupported }
