//go:build !linux

package privilege

func keep([]Capability) error { return nil }

func lower([]Capability) error { return nil }

func supported() bool { return true }
