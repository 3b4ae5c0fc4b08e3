package owners

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// isForwarder reports whether a program holds ports only to pass on what arrives
// there to a container, so that it is never the end of the answer.
func isForwarder(program string) bool {
	switch program {
	case "docker-proxy", "docker-proxy-current", // Docker's userland proxy
		"dockerd", "dockerd-current", // holds the port itself without one
		"rootlesskit", "rootlessport", "containers-rootlessport", // rootless Docker, rootless Podman
		"slirp4netns", "pasta", "pasta.avx2", "passt", "passt.avx2", // rootless networks
		"conmon",                                                     // Podman's monitor keeps ports taken for NAT
		"com.docker.backend", "vpnkit", "gvproxy", "OrbStack Helper": // macOS and Windows
		return true
	}
	return false
}

// forwardTarget returns where the holder of a door says that it forwards to. Of
// the forwarders only docker-proxy does say it, in its arguments.
func forwardTarget(d *monban.Door) monban.Target {
	for _, o := range d.Owners {
		if o.Name != "docker-proxy" && o.Name != "docker-proxy-current" {
			continue
		}
		if to, ok := parseProxy(o.Command, d.Bind); ok {
			return to
		}
	}
	return monban.Target{}
}

// parseProxy reads the arguments of docker-proxy. ok is false where they speak
// of another door than b.
func parseProxy(argv []string, b monban.Bind) (to monban.Target, ok bool) {
	if port, err := strconv.ParseUint(argument(argv, "host-port"), 10, 16); err != nil || uint16(port) != b.Port.Num {
		return monban.Target{}, false
	}
	if argument(argv, "proto") != b.Port.Proto.String() {
		return monban.Target{}, false
	}
	addr, err := netip.ParseAddr(argument(argv, "container-ip"))
	if err != nil {
		return monban.Target{}, false
	}
	port, err := strconv.ParseUint(argument(argv, "container-port"), 10, 16)
	if err != nil || port == 0 {
		return monban.Target{}, false
	}
	return monban.Target{Addr: addr, Port: uint16(port)}, true
}

// argument returns the value of a flag in the forms of Go's flag package:
// -name value, -name=value, and both with two dashes.
func argument(argv []string, name string) string {
	for i, arg := range argv {
		if i == 0 || !strings.HasPrefix(arg, "-") {
			continue
		}
		flag, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		switch {
		case flag != name:
		case hasValue:
			return value
		case i+1 < len(argv):
			return argv[i+1]
		}
	}
	return ""
}

// conmonContainer returns the container that conmon(8) watches.
func conmonContainer(argv []string) string {
	for _, name := range [...]string{"c", "cid"} {
		if id := argument(argv, name); isContainerID(id) {
			return id
		}
	}
	return ""
}
