//go:build !linux && !windows && !darwin

package host

import "errors"

func (v *view) read(Parts) { v.miss("host", errors.ErrUnsupported) }
