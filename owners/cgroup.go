package owners

import (
	"bytes"
	"strconv"
	"strings"
)

// place is what a control group says of a process: the systemd unit that
// started it, or the container it runs in.
type place struct {
	unit      string
	container string
}

// parseCgroup reads /proc/PID/cgroup (cgroups(7)): lines of
// "HIERARCHY:CONTROLLERS:PATH". systemd keeps its tree in the version 2
// hierarchy or in one named "systemd"; engines without systemd put a container
// into others too.
func parseCgroup(b []byte) place {
	var unified, named, other place
	for line := range bytes.Lines(b) {
		f := strings.SplitN(strings.TrimRight(string(line), "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		p := placeOf(f[2])
		switch {
		case f[1] == "name=systemd":
			named = p
		case f[0] == "0" && f[1] == "":
			unified = p
		case other.container == "":
			other = p
		}
	}
	for _, p := range [...]place{named, unified} {
		if p.container != "" {
			return p
		}
	}
	if other.container != "" {
		return place{container: other.container}
	}
	if named.unit != "" {
		return named
	}
	return unified
}

// placeOf reads one path. A process outside the reader's cgroup namespace shows
// up behind "/..": those are skipped, for what follows is a path all the same.
func placeOf(cgroup string) place {
	var p place
	var last string
	for name := range strings.SplitSeq(cgroup, "/") {
		if name == "" || name == ".." {
			continue
		}
		// systemd puts "_" before names that would collide with a kernel file.
		name = strings.TrimPrefix(name, "_")
		if id := containerID(last, name); id != "" {
			// Below this are the container's own units, which nobody outside
			// can stop; above it perhaps the unit of the engine, which runs
			// all of them. A unit of its own has only systemd-nspawn.
			if isUnit(name) && strings.HasPrefix(name, "systemd-nspawn@") {
				return place{unit: name, container: id}
			}
			return place{container: id}
		}
		switch {
		case strings.HasSuffix(name, ".slice"):
			// Below a user's manager, the inner unit counts.
		case isUnit(name) && (p.unit == "" || isUserManager(p.unit) && name != "init.scope"):
			p.unit = name
		}
		last = name
	}
	return p
}

// isUnit reports whether a cgroup is named like a unit that holds processes.
func isUnit(name string) bool {
	for _, suffix := range [...]string{".service", ".scope", ".socket", ".mount", ".swap"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && base != "" {
			return true
		}
	}
	return false
}

// isUserManager reports whether unit is a user's systemd, whose units are below.
func isUserManager(unit string) bool {
	return strings.HasPrefix(unit, "user@") && strings.HasSuffix(unit, ".service")
}

// containerID returns the container that a cgroup named name, inside parent,
// stands for; "" is none.
func containerID(parent, name string) string {
	base, scope := strings.CutSuffix(name, ".scope")
	switch {
	// systemd-nspawn, by unit or by machined. libvirt registers its virtual
	// machines there too, which are not containers.
	case strings.HasPrefix(name, "systemd-nspawn@") && strings.HasSuffix(name, ".service"):
		return unescapeUnit(strings.TrimSuffix(strings.TrimPrefix(name, "systemd-nspawn@"), ".service"))
	case scope && parent == "machine.slice" && strings.HasPrefix(base, "machine-"):
		machine := unescapeUnit(strings.TrimPrefix(base, "machine-"))
		if strings.HasPrefix(machine, "qemu-") {
			return ""
		}
		return strings.TrimPrefix(machine, "lxc-")

	// LXC, Incus, LXD, Proxmox. lxc.monitor.NAME is the monitor outside.
	case strings.HasPrefix(name, "lxc.payload."):
		return strings.TrimPrefix(name, "lxc.payload.")
	case (parent == "lxc" || parent == "lxc.payload") && !isUnit(name):
		return name
	}
	// Docker, Podman, CRI-O, containerd: ID, PREFIX-ID.scope, SLICE:PREFIX:ID.
	if i := strings.LastIndexAny(base, "-:"); i >= 0 {
		base = base[i+1:]
	}
	if isContainerID(base) {
		return base
	}
	return ""
}

// isContainerID reports whether s is what Docker, Podman, CRI-O and containerd
// name a container by.
func isContainerID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// unescapeUnit undoes systemd-escape(1): \x2d is "-", and a plain "-" stands for
// "/".
func unescapeUnit(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				out.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
