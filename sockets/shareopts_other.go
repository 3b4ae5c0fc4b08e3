//go:build !linux

package sockets

// shareOptions: other systems lend no socket of another process.
func shareOptions(int, uint64) (reuseAddr, reusePort, ok bool) { return false, false, false }
