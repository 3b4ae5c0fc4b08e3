package sockets

import "github.com/monban-dev/monban"

// ReadShareOptions fills in Bind.ReuseAddr and Bind.ReusePort of the doors that
// have an owner, where they are unknown. No table tells them; on Linux the socket
// is borrowed from the process for a moment (pidfd_getfd), which takes the right
// to trace it, as root has. Where that is refused, and on other systems, they stay
// unknown.
//
// A socket that its program closes while it is borrowed stays open some
// microseconds longer. So ask only about those whose options decide.
func ReadShareOptions(doors []*monban.Door) {
	for _, d := range doors {
		if d.Inode == 0 || d.Bind.ReuseAddr != monban.FlagUnknown && d.Bind.ReusePort != monban.FlagUnknown {
			continue
		}
		for i := range d.Owners {
			if reuseAddr, reusePort, ok := shareOptions(d.Owners[i].PID, d.Inode); ok {
				d.Bind.ReuseAddr, d.Bind.ReusePort = monban.FlagOf(reuseAddr), monban.FlagOf(reusePort)
				break
			}
		}
	}
}
