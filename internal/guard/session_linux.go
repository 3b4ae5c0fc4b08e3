package guard

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxAbove bounds the way up the tree of processes, which could change meanwhile.
const maxAbove = 64

// above returns the established connections of the processes above this one. The
// first process that has any is the one that counts: what is above it, such as a
// supervisor, speaks to others.
func above() []Session {
	pid := os.Getppid()
	for range maxAbove {
		if pid <= 1 {
			return nil
		}
		if inodes := socketsOf(pid); len(inodes) > 0 {
			if found := established(pid, inodes); len(found) > 0 {
				return found
			}
		}
		pid = parentOf(pid)
	}
	return nil
}

func parentOf(pid int) int { return statOf(strconv.Itoa(pid), 1) }

// statOf returns a number of a process's /proc/PID/stat, counted from the one after
// the name: 1 is the parent, 4 the terminal. It is 0 where it cannot be read.
func statOf(pid string, field int) int {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	// The name, in brackets, may have anything in it.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) <= field {
		return 0
	}
	n, _ := strconv.Atoi(f[field])
	return n
}

// terminal reports whether this process has a terminal that some program made, a
// Unix98 one (Documentation/admin-guide/devices.txt).
func terminal() bool {
	major := statOf("self", 4) >> 8 & 0xfff
	return major >= 136 && major <= 143
}

// served returns the connections of all SSH servers of this network namespace.
func served() (out []Session) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	here, _ := os.Readlink("/proc/self/ns/net")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !serves(pid) {
			continue
		}
		if there, err := os.Readlink("/proc/" + e.Name() + "/ns/net"); err != nil || there != here {
			continue
		}
		for _, s := range established(pid, socketsOf(pid)) {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// socketsOf returns the inodes of a process's sockets, none where they cannot be
// seen.
func socketsOf(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		link, err := os.Readlink(dir + "/" + e.Name())
		if inode, ok := strings.CutPrefix(link, "socket:["); err == nil && ok {
			out = append(out, strings.TrimSuffix(inode, "]"))
		}
	}
	return out
}

// established returns the process's established TCP connections whose sockets have
// the given inodes, not those over loopback, and only those that came in: to a
// port that is listened at, or to a server that lets people work here. What the
// process has begun itself, as an agent does that takes its orders from afar, no
// policy can cut.
func established(pid int, inodes []string) []Session {
	var all []Session
	listened := map[uint16]bool{}
	table(strconv.Itoa(pid), func(s Session, state, inode string) {
		switch {
		case state == stateListen:
			listened[s.To.Port()] = true
		case state == stateEstablished && slices.Contains(inodes, inode) && !s.From.Addr().IsLoopback():
			all = append(all, s)
		}
	})
	if serves(pid) {
		return all
	}
	return slices.DeleteFunc(all, func(s Session) bool { return !listened[s.To.Port()] })
}

// connections needs no privilege: whose they are is not asked. The thread's own
// namespace is asked about: /proc/self is the main thread, and of a program with
// threads in other namespaces that may be one of them.
func connections(ports []uint16) (out []Session) {
	table("thread-self", func(s Session, state, _ string) {
		if state != stateListen && s.From.Port() != 0 && slices.Contains(ports, s.To.Port()) {
			out = append(out, s)
		}
	})
	return out
}

// States of /proc/net/tcp (include/net/tcp_states.h).
const (
	stateEstablished = "01"
	stateListen      = "0A"
)

// table tells of every TCP socket in a process's network namespace.
func table(pid string, tell func(s Session, state, inode string)) {
	for _, name := range [...]string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/" + pid + "/net/" + name)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			// sl local remote st queues timer retrnsmt uid timeout inode
			w := strings.Fields(lines.Text())
			if len(w) < 10 {
				continue
			}
			to, ok1 := procAddr(w[1])
			from, ok2 := procAddr(w[2])
			if ok1 && ok2 {
				tell(Session{From: from, To: to}, w[3], w[9])
			}
		}
		f.Close()
	}
}

// serves reports whether a process is a server that lets people work here. Since
// OpenSSH 9.8 a connection's is called sshd-session.
func serves(pid int) bool {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return err == nil && (strings.HasPrefix(string(name), "sshd") || strings.HasPrefix(string(name), "dropbear"))
}

// procAddr reads "0100007F:0016": words of four bytes in the machine's order.
func procAddr(s string) (netip.AddrPort, bool) {
	addr, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(addr)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	if littleEndian() {
		for i := 0; i < len(b); i += 4 {
			slices.Reverse(b[i : i+4])
		}
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}
func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }
