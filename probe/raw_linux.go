package probe

import (
	"context"
	"errors"
)

func (s *session) threads() int { return 1 }

func (s *session) raw(ctx context.Context, flows []*flow) error { return errors.ErrUnsupported }
