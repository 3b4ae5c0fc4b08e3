//go:build !linux

package boottime

func boot() (int64, bool) { return 0, false }
func wall() (int64, bool) { return 0, false }
