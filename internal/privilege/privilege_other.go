//go:build !linux

package privilege

func keep([]Capability) error { return nil }
