package guard

import (
	"net/netip"
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
func Sessions(getenv func(string) string) []Session {
	var out []Session
	if s, ok := parseSSH(getenv("SSH_CONNECTION")); ok {
		out = append(out, s)
	}
	for _, s := range above() {
		if len(out) == 0 || out[0] != s {
			out = append(out, s)
		}
	}
	return out
}

// Perhaps returns connections one of which this process may be run over though
// [Sessions] finds none: those by SSH, if its terminal is not a console's. tmux, screen
// and mosh live on without the connection that they were started over, and so have
// nobody's above them.
func Perhaps() []Session { return hidden() }
