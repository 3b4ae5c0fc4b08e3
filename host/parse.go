package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// parseRange reads net.ipv4.ip_local_port_range: "32768\t60999".
func parseRange(text string) (monban.PortRange, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return monban.PortRange{}, fmt.Errorf("%q is not a range of ports", text)
	}
	return plainRange(fields[0] + "-" + fields[1])
}

// parseFirst reads net.ipv4.ip_unprivileged_port_start, which may be 65536: then
// every port is privileged, and the answer is the last.
func parseFirst(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > 65536 {
		return 0, fmt.Errorf("%q is not a port number", text)
	}
	return uint16(min(n, 65535)), nil
}

// parseReserved reads net.ipv4.ip_local_reserved_ports: "8080,9000-9010\n",
// ascending and without overlaps.
func parseReserved(text string) ([]monban.PortRange, error) {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil, nil
	}
	list := make([]monban.PortRange, 0, strings.Count(text, ",")+1)
	for item := range strings.SplitSeq(text, ",") {
		r, err := plainRange(item)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// plainRange reads N or N-M, without a protocol.
func plainRange(text string) (monban.PortRange, error) {
	r, err := monban.ParsePortRange(text)
	if err == nil && r.Proto != monban.AnyProto {
		return monban.PortRange{}, fmt.Errorf("%q is not a range of ports", text)
	}
	return r, err
}

// parseCapEff finds the effective capabilities in /proc/PID/status.
func parseCapEff(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		caps, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return 0, fmt.Errorf("capabilities: %w", err)
		}
		return caps, nil
	}
	return 0, errors.New("no line CapEff")
}

// userName finds the name of a uid in the text of /etc/passwd (passwd(5)).
func userName(passwd string, uid int) string {
	want := strconv.Itoa(uid)
	for line := range strings.Lines(passwd) {
		name, rest, _ := strings.Cut(line, ":")
		_, rest, _ = strings.Cut(rest, ":") // the password
		id, _, found := strings.Cut(rest, ":")
		if found && id == want && name != "" && !strings.HasPrefix(name, "#") {
			return name
		}
	}
	return ""
}
