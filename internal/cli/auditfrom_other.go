//go:build !linux

package cli

import (
	"context"
	"errors"
)

// runIn fails: only Linux has network namespaces.
func (a *app) runIn(_ context.Context, name string, _ []string) ([]byte, error) {
	return nil, &namespaceError{path: name, err: errors.ErrUnsupported}
}
