package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A row is one socket as a peer shows it.
type row struct {
	proto, address string
	port           int
	device         string
	inode          uint64
	pids           []int // sorted
}

// key is what two programs must agree on about a socket.
func (r row) key() string {
	return fmt.Sprintf("%s %s:%d dev=%q inode=%d pids=%v", r.proto, r.address, r.port, r.device, r.inode, r.pids)
}

// ss asks ss for what listens, and for UDP.
func (r *room) ss(options ...string) []row {
	r.t.Helper()
	return parseSS(r.t, r.run("ss", append([]string{"-Htulnpe"}, options...)...))
}

func parseSS(t testing.TB, text string) []row {
	t.Helper()
	var rows []row
	pid, inode := regexp.MustCompile(`\bpid=(\d+)`), regexp.MustCompile(` ino:(\d+)`)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			t.Fatalf("ss: a line of %d fields: %q", len(fields), line)
		}
		row := row{proto: fields[0]}
		var err error
		row.address, row.device, row.port, err = local(fields[4])
		if err != nil {
			t.Fatalf("ss: %q: %v", line, err)
		}
		for _, m := range pid.FindAllStringSubmatch(line, -1) {
			n, _ := strconv.Atoi(m[1])
			row.pids = append(row.pids, n)
		}
		slices.Sort(row.pids)
		row.pids = slices.Compact(row.pids)
		if m := inode.FindStringSubmatch(line); m != nil {
			row.inode, _ = strconv.ParseUint(m[1], 10, 64)
		}
		rows = append(rows, row)
	}
	return rows
}

// local takes "0.0.0.0%lo:80", "[::]:80" or "*:80" apart. ss writes * for an
// IPv6 socket that takes IPv4 too, and [::] for one that does not.
func local(s string) (address, device string, port int, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", 0, fmt.Errorf("no port in %q", s)
	}
	if port, err = strconv.Atoi(s[i+1:]); err != nil {
		return "", "", 0, err
	}
	address, device, _ = strings.Cut(s[:i], "%")
	address = strings.Trim(address, "[]")
	if address == "*" {
		address = "::"
	}
	return address, device, port, nil
}

// lsof asks lsof who listens on TCP: one "address:port pid" for each process.
func (r *room) lsof() (listeners []string) {
	r.t.Helper()
	pid := ""
	for line := range strings.Lines(r.run("lsof", "-nP", "-w", "-iTCP", "-sTCP:LISTEN", "-Fpn")) {
		switch line = strings.TrimSpace(line); line[0] {
		case 'p':
			pid = line[1:]
		case 'n':
			listeners = append(listeners, line[1:]+" "+pid)
		}
	}
	slices.Sort(listeners)
	return slices.Compact(listeners)
}

// lsofKeys writes rows as lsof does. It has "*:80" for both families.
func lsofKeys(rows []row) (listeners []string) {
	for _, r := range rows {
		if r.proto != "tcp" {
			continue
		}
		address := r.address
		switch {
		case address == "0.0.0.0" || address == "::":
			address = "*"
		case strings.Contains(address, ":"):
			address = "[" + address + "]"
		}
		for _, pid := range r.pids {
			listeners = append(listeners, fmt.Sprintf("%s:%d %d", address, r.port, pid))
		}
	}
	slices.Sort(listeners)
	return slices.Compact(listeners)
}
