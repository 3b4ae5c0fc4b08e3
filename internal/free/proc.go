package free

import (
	"bytes"
	"strconv"
	"strings"
)

// stat is the part of /proc/PID/stat (proc_pid_stat(5)) that identity needs.
type stat struct {
	name          string
	state         byte
	ppid, session int
	start         uint64 // hundredths of a second since boot
}

// parseStat reads /proc/PID/stat. The name in parentheses is whatever the
// process likes: the last parenthesis closes it.
func parseStat(b []byte) (stat, bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	f := bytes.Fields(b[end+1:]) // f[0] is field 3
	if len(f) < 20 || len(f[0]) != 1 {
		return stat{}, false
	}
	ppid, err := strconv.Atoi(string(f[4-3]))
	if err != nil || ppid < 0 {
		return stat{}, false
	}
	session, err := strconv.Atoi(string(f[6-3]))
	if err != nil {
		return stat{}, false
	}
	start, err := strconv.ParseUint(string(f[22-3]), 10, 64)
	if err != nil {
		return stat{}, false
	}
	return stat{name: string(b[open+1 : end]), state: f[0][0], ppid: ppid, session: session, start: start}, true
}

// parseUID returns the effective user of /proc/PID/status; -1 is not known.
func parseUID(b []byte) int {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("Uid:"))
		if !ok {
			continue
		}
		if f := bytes.Fields(rest); len(f) == 4 { // real, effective, saved, file system
			if uid, err := strconv.ParseUint(string(f[1]), 10, 32); err == nil {
				return int(uid)
			}
		}
		break
	}
	return -1
}

// parseGroups returns the paths of /proc/PID/cgroup (cgroups(7)).
func parseGroups(b []byte) []string {
	var paths []string
	for line := range strings.Lines(string(b)) {
		if f := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3); len(f) == 3 {
			paths = append(paths, f[2])
		}
	}
	return paths
}

// below reports whether one of the groups is top or inside of it.
func below(groups []string, top string) bool {
	for _, g := range groups {
		if top != "" && top != "/" && (g == top || strings.HasPrefix(g, top+"/")) {
			return true
		}
	}
	return false
}

// controlGroup reads the answer of systemctl show --property=ControlGroup.
func controlGroup(answer []byte) string {
	for line := range strings.Lines(string(answer)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "ControlGroup="); ok {
			return value
		}
	}
	return ""
}

// sshPort returns this machine's port of SSH_CONNECTION, "client port server
// port" (ssh(1)); 0 is none.
func sshPort(connection string) uint16 {
	f := strings.Fields(connection)
	if len(f) != 4 {
		return 0
	}
	n, err := strconv.ParseUint(f[3], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
