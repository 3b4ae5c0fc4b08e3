package guard

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Session is a connection that somebody works over: where from, and which door of
// this machine. The zero Session is none.
type Session struct {
	From netip.AddrPort `json:"from,omitzero"`
	To   netip.AddrPort `json:"to,omitzero"`
}

// Known reports whether there is a connection at all.
func (s Session) Known() bool { return s.From.IsValid() && s.To.IsValid() }

// inside reports whether a connection comes from this machine itself, which every
// policy lets in.
func (s Session) inside() bool {
	return s.From.Addr().IsLoopback() || s.From.Addr() == s.To.Addr()
}

// parseSSH reads the value of SSH_CONNECTION: client, port, server, port.
func parseSSH(v string) (Session, bool) {
	f := strings.Fields(v)
	if len(f) != 4 {
		return Session{}, false
	}
	end := func(addr, port string) (netip.AddrPort, bool) {
		a, err := netip.ParseAddr(addr)
		n, err2 := strconv.ParseUint(port, 10, 16)
		return netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(n)), err == nil && err2 == nil
	}
	from, ok1 := end(f[0], f[1])
	to, ok2 := end(f[2], f[3])
	return Session{from, to}, ok1 && ok2
}

// Sessions returns the connections that this process is run over: that of
// SSH_CONNECTION, and those whose socket a process above this one holds, as sshd
// does, also when sudo has cleared the environment.
//
// Where no process above holds one, and the terminal is not a console's, perhaps are
// the connections by SSH one of which it may be: tmux, screen and mosh live on without
// the connection that they were started over. Its SSH_CONNECTION may be gone by
// then, and is only believed while it is one of them.
func Sessions(getenv func(string) string) (sure, perhaps []Session) {
	over := above()
	if len(over) == 0 && terminal() {
		perhaps = served()
	}
	return settle(getenv("SSH_CONNECTION"), over, perhaps)
}

// Connections returns all TCP connections that came in at some ports, also those that
// are still being made.
func Connections(ports []uint16) []Session { return connections(ports) }

func settle(variable string, over, others []Session) (sure, perhaps []Session) {
	if s, ok := parseSSH(variable); ok && (len(others) == 0 || slices.Contains(others, s)) {
		sure = append(sure, s)
	}
	for _, s := range over {
		if !slices.Contains(sure, s) {
			sure = append(sure, s)
		}
	}
	return sure, slices.DeleteFunc(others, func(s Session) bool { return slices.Contains(sure, s) })
}
