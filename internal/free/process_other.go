//go:build !linux

package free

import (
	"errors"

	"github.com/monban-dev/monban"
)

// process is a hold on one process.
type process struct{ pid int }

func hold(*monban.Owner) (*process, error) { return nil, errors.ErrUnsupported }

func (p *process) close()              {}
func (p *process) terminate() error    { return errors.ErrUnsupported }
func (p *process) kill() error         { return errors.ErrUnsupported }
func (p *process) ended() bool         { return false }
func (p *process) holds([]uint64) bool { return false }

func myself() (Self, error) { return Self{}, errors.ErrUnsupported }

func family(int) []relative { return nil }

func groups(int) []string { return nil }
