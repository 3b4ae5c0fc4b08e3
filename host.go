package monban

import "net/netip"

// Host is the machine, as far as its ports are concerned, seen by the user who
// looks.
type Host struct {
	Name   string
	OS     string // GOOS: "linux", "windows", "darwin"
	Kernel string // release, "6.1.0-13-amd64"
	Arch   string // GOARCH
	// UID and User are the effective user who looks; UID is -1 on Windows.
	UID  int
	User string
	// NetNS is the network namespace looked at, "net:[4026531840]"; "" where
	// the system has none.
	NetNS string
	// Container is the kind of container this process runs in ("docker",
	// "podman", "kubernetes", "lxc", "systemd-nspawn", "container" when only
	// the fact is known); "" is none.
	Container string
	// Virtual is the kind of virtual machine ("wsl2", "wsl1", "kvm",
	// "vmware", …); "" is none or unknown.
	Virtual string
	// HostNetwork reports that a container shares its host's network.
	HostNetwork Flag

	Interfaces []Interface
	Routes     []Route
	// Forward4 and Forward6 report whether the machine routes between its
	// interfaces.
	Forward4, Forward6 Flag
	// IPv6 is Off where the kernel has none or it is disabled on every interface.
	IPv6 Flag

	// Ephemeral is the range the kernel takes the local ports of outgoing
	// connections from; the zero range is unknown.
	Ephemeral PortRange
	// Reserved are ports the kernel never hands out by itself
	// (net.ipv4.ip_local_reserved_ports; on Windows the exclusions made by an
	// administrator). A program that asks for one gets it.
	Reserved []PortRange
	// Excluded are ports that nobody gets: on Windows the exclusions made by the
	// system, mostly for Hyper-V, which fail with WSAEACCES.
	Excluded []PortRange
	// Unprivileged is the first port an ordinary user may bind
	// (net.ipv4.ip_unprivileged_port_start); 0 means every port.
	Unprivileged uint16
	// BindV6Only is net.ipv6.bindv6only, the default of IPV6_V6ONLY.
	BindV6Only Flag
	// NonlocalBind4 and NonlocalBind6 are net.ipv{4,6}.ip_nonlocal_bind.
	NonlocalBind4, NonlocalBind6 Flag

	Caps Caps
}

// Caps says what the user who looks may do.
type Caps struct {
	BindService Flag // bind ports below Host.Unprivileged (CAP_NET_BIND_SERVICE)
	Ptrace      Flag // look into other users' processes (CAP_SYS_PTRACE)
	NetAdmin    Flag
	NetRaw      Flag
	SysAdmin    Flag // enter other namespaces
}

// Interface is a network interface and its addresses.
type Interface struct {
	Index    int
	Name     string
	Kind     string // driver kind as rtnetlink says it: "veth", "bridge", "wireguard", "vxlan"; "" if none
	Up       bool
	Loopback bool
	Addrs    []netip.Prefix
}

// Route is one entry of the main routing tables.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // zero if on-link
	Device  string
}

// HasAddr reports whether addr is one of h's own, or a wildcard, or in 127.0.0.0/8.
func (h Host) HasAddr(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.IsUnspecified() || addr.Is4() && addr.IsLoopback() {
		return true
	}
	for _, i := range h.Interfaces {
		for _, p := range i.Addrs {
			if p.Addr().WithZone("") == addr.WithZone("") {
				return true
			}
		}
	}
	return false
}
