// Package peers reads what ss, lsof and monban say about the same machine into
// one form, so that tests and benchmarks can compare them.
package peers

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Row is one socket as one of the programs shows it.
type Row struct {
	Proto, Address string
	Port           int
	Device         string
	Inode          uint64
	PIDs           []int // sorted, each once
}

// Key is all that two programs must agree on about a socket.
func (r Row) Key() string {
	return fmt.Sprintf("%s %s:%d dev=%q inode=%d pids=%v", r.Proto, r.Address, r.Port, r.Device, r.Inode, r.PIDs)
}

// Keys returns the rows' keys, sorted.
func Keys(rows []Row) []string {
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = r.Key()
	}
	slices.Sort(keys)
	return keys
}

// SSArgs are the arguments with which [SS] can read the output of ss.
func SSArgs() []string { return []string{"-Htulnpe"} }

// SS reads the output of ss.
func SS(text string) ([]Row, error) {
	pid, inode := regexp.MustCompile(`\bpid=(\d+)`), regexp.MustCompile(` ino:(\d+)`)
	var rows []Row
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			return nil, fmt.Errorf("ss: a line of %d fields: %q", len(fields), line)
		}
		row, err := local(fields[4])
		if err != nil {
			return nil, fmt.Errorf("ss: %q: %w", line, err)
		}
		row.Proto = fields[0]
		for _, m := range pid.FindAllStringSubmatch(line, -1) {
			row.PIDs = append(row.PIDs, number(m[1]))
		}
		row.PIDs = once(row.PIDs)
		if m := inode.FindStringSubmatch(line); m != nil {
			row.Inode = uint64(number(m[1]))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// local reads "0.0.0.0%lo:80", "[::]:80" or "*:80". ss writes * for an IPv6
// socket that takes IPv4 too, and [::] for one that does not.
func local(s string) (Row, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return Row{}, fmt.Errorf("no port in %q", s)
	}
	port, err := strconv.Atoi(s[i+1:])
	if err != nil {
		return Row{}, err
	}
	r := Row{Port: port}
	r.Address, r.Device, _ = strings.Cut(s[:i], "%")
	r.Address = strings.Trim(r.Address, "[]")
	if r.Address == "*" {
		r.Address = "::"
	}
	return r, nil
}

// number reads digits that a pattern has matched.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

func once(pids []int) []int {
	slices.Sort(pids)
	return slices.Compact(pids)
}

// LsofArgs are the arguments with which [Lsof] can read the output of lsof: who
// listens on TCP.
func LsofArgs() []string { return []string{"-nP", "-w", "-iTCP", "-sTCP:LISTEN", "-Fpn"} }

// Lsof reads the output of lsof into one "address:port pid" for each process,
// sorted.
func Lsof(text string) []string {
	var listeners []string
	pid := ""
	for line := range strings.Lines(text) {
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

// AsLsof writes the TCP rows as lsof would. It has "*:80" for both families.
func AsLsof(rows []Row) []string {
	var listeners []string
	for _, r := range rows {
		if r.Proto != "tcp" {
			continue
		}
		address := r.Address
		switch {
		case address == "0.0.0.0" || address == "::":
			address = "*"
		case strings.Contains(address, ":"):
			address = "[" + address + "]"
		}
		for _, pid := range r.PIDs {
			listeners = append(listeners, fmt.Sprintf("%s:%d %d", address, r.Port, pid))
		}
	}
	slices.Sort(listeners)
	return slices.Compact(listeners)
}

// Monban reads the output of `monban --json`. It leaves out what no peer shows:
// TCP sockets that are bound and do not listen, and forwarded doors.
func Monban(text []byte) ([]Row, error) {
	var e struct {
		Data struct {
			Doors []struct {
				Proto, Address, Device, State string
				Port                          int
				Inode                         uint64
				Owners                        []struct{ PID int }
			}
		}
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("monban: %w", err)
	}
	var rows []Row
	for _, d := range e.Data.Doors {
		if d.State == "forwarded" || d.State == "bound" && d.Proto == "tcp" {
			continue
		}
		r := Row{Proto: d.Proto, Address: d.Address, Port: d.Port, Device: d.Device, Inode: d.Inode}
		for _, o := range d.Owners {
			r.PIDs = append(r.PIDs, o.PID)
		}
		r.PIDs = once(r.PIDs)
		rows = append(rows, r)
	}
	return rows, nil
}

// Differences compares two sorted lists and says what only one of them has.
func Differences(aName string, a []string, bName string, b []string) (said []string) {
	say := func(has, not, what string) {
		said = append(said, fmt.Sprintf("%s shows, %s does not: %s", has, not, what))
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i] < b[j]:
			say(aName, bName, a[i])
			i++
		case i == len(a) || b[j] < a[i]:
			say(bName, aName, b[j])
			j++
		default:
			i++
			j++
		}
	}
	return said
}
