//go:build !unix

package move

import "errors"

func (s Store) lock(bool) (unlock func(), err error) { return nil, errors.ErrUnsupported }

func detach(string, ...string) error { return errors.ErrUnsupported }

func (m *Machine) reload(*State) error { return errors.ErrUnsupported }

func (m *Machine) restart(*State) error { return errors.ErrUnsupported }
