//go:build !linux

package guard

func above() []Session { return nil }

func terminal() bool { return false }

func served() []Session { return nil }

func connections([]uint16) []Session { return nil }
