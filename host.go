package monban

import (
	"net/netip"
	"slices"
)

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
	// PolicyRouting reports that there are routing rules besides the three every
	// system has, so that Routes, the main table, are not all that decides.
	PolicyRouting Flag
	// RoutedByMark reports that those rules are only about packets with a mark,
	// which what this machine itself sends has not unless somebody sets one.
	RoutedByMark Flag
	// RoutingRules are those rules and the three, of each family that has more
	// than the three, in the order in which the kernel asks them. Then Routes
	// has the routes of every table.
	RoutingRules []RoutingRule `json:",omitempty"`
	// AnswersKeepMark is net.ipv4.tcp_fwmark_accept, for both families: an answer
	// to a TCP connection has the mark of its first packet.
	AnswersKeepMark Flag `json:",omitempty"`
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
	// Master is the interface it is a part of: a bridge, a bond, a VRF.
	Master string
	// Parent is the interface that its packets come in by before they are its:
	// that of a VLAN, a macvlan, an ipvlan.
	Parent string `json:",omitempty"`
	// IPv6 is Off where the protocol is disabled on the interface.
	IPv6 Flag
	// Forward4 and Forward6 report whether packets that come in by it may go
	// on to another interface.
	Forward4, Forward6 Flag
	// ReversePath is what net.ipv4.conf.*.rp_filter makes of IPv4 packets
	// whose source is not routed back this way.
	ReversePath ReversePath
	// AcceptLocal and RouteLocalnet are the sysctls of these names, for IPv4:
	// whether this machine's own addresses may be the source of what comes in,
	// and whether 127.0.0.0/8 may be its source or destination.
	AcceptLocal, RouteLocalnet Flag
	// ValidMark is the sysctl src_valid_mark, for IPv4: the filter of reverse
	// paths asks for the route of a packet with the mark of the one that came.
	ValidMark Flag `json:",omitempty"`
	// Program names what sees its packets before the firewall does: "xdp" for
	// a BPF program; "" is none, as far as was seen.
	Program string
}

// ReversePath is a setting of the filter on sources (RFC 3704).
type ReversePath uint8

// The settings.
const (
	ReversePathUnknown ReversePath = iota
	ReversePathOff
	ReversePathStrict // the source must be routed by the interface itself
	ReversePathLoose  // the source must be routed by some interface
)

var reversePathNames = [...]string{ReversePathUnknown: "unknown", ReversePathOff: "off",
	ReversePathStrict: "strict", ReversePathLoose: "loose"}

// String returns "off", "strict", "loose" or "unknown".
func (r ReversePath) String() string { return nameOf(reversePathNames[:], r) }

// MarshalText encodes r as [ReversePath.String] does.
func (r ReversePath) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of [ReversePath.MarshalText].
func (r *ReversePath) UnmarshalText(text []byte) error {
	return parseName(reversePathNames[:], text, "reverse path filter", r)
}

// Route is one entry of a routing table, or says that the machine answers for more
// than its interfaces' addresses.
type Route struct {
	// Table is the number of a table that routing rules lead to; 0 is the main one.
	Table uint32 `json:",omitempty"`
	Dst   netip.Prefix
	// From limits it to packets from there (IPv6), and TOS to those of that type of
	// service (IPv4); zero is any.
	From    netip.Prefix `json:",omitzero"`
	TOS     uint8        `json:",omitempty"`
	Gateway netip.Addr   // zero if on-link
	Device  string
	// Kind is RouteNowhere for an entry that leads nowhere (blackhole,
	// unreachable, prohibit), RouteThrow for one that ends the search of this
	// table, RouteLocal for addresses of this machine that no interface has,
	// RouteOther for one to everybody on a network or of a kind that is not known,
	// and "" else.
	Kind string `json:",omitempty"`
	// Metric: of two entries for one destination the one with the lower counts.
	Metric uint32 `json:",omitempty"`
}

// The kinds of a [Route] that leads to nobody else.
const (
	RouteNowhere = "nowhere"
	RouteThrow   = "throw"
	RouteLocal   = "local"
	RouteOther   = "other"
)

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
	for _, r := range h.Routes {
		if r.Kind == RouteLocal && r.Table == 0 && r.Dst.Contains(addr) {
			return true
		}
	}
	return false
}

// Overlay reports whether an interface leads into an overlay: a VPN or another
// tunnel, or a bridge with nothing but containers and virtual machines on it.
func (h Host) Overlay(name string) bool {
	k := slices.IndexFunc(h.Interfaces, func(i Interface) bool { return i.Name == name })
	if k < 0 {
		return false
	}
	if slices.ContainsFunc(h.Routes, func(r Route) bool { return r.Device == name && r.Dst.IsValid() && r.Dst.Bits() == 0 }) {
		return false // this machine's own way out
	}
	switch i := &h.Interfaces[k]; i.Kind {
	case "wireguard", "tun", "vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "sit", "ip6tnl",
		"vti", "vti6", "xfrm", "ppp", "bareudp", "ovpn", "amt", "openvswitch":
		return true
	case "bridge":
		// A network card on it makes it the network itself.
		return !slices.ContainsFunc(h.Interfaces, func(o Interface) bool {
			return o.Master == name && (o.Kind == "" || o.Kind == "vlan" || o.Kind == "bond" || o.Kind == "team")
		})
	}
	return false
}
