package conflict

import (
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// The codes of [monban.Fix]. Behind each stands what its Args are; a Command is
// there where one command does it. internal/report has the sentences.
const (
	FixOtherPort         = "other-port"          // wanted port, a free one ("" if none is known)
	FixOtherAddress      = "other-address"       // wanted port: listen on one address instead of all
	FixStopUnit          = "stop-unit"           // unit; command
	FixStopSocket        = "stop-socket"         // socket unit ("" if unknown); command: stopping the service is not enough
	FixStopContainer     = "stop-container"      // name, image; command
	FixStopCompose       = "stop-compose"        // Compose project, service; command
	FixStopProgram       = "stop-program"        // name, pid; command (SIGTERM)
	FixNoRestart         = "no-restart"          // container, policy, how it is known, a number, engine; command
	FixCloseForward      = "close-forward"       // name, pid: end the forwarding in the program that made it
	FixStopKernel        = "stop-kernel-feature" // feature ("" if unknown): nothing to kill
	FixStubListener      = "stub-listener-off"   // none: DNSStubListener=no in resolved.conf
	FixRestartEngine     = "restart-engine"      // engine; command: a forwarder is left over from a crash
	FixLookAsRoot        = "look-as-root"        // port; command: then the holder can be named
	FixV6Only            = "v6only"              // port: set IPV6_V6ONLY on the IPv6 side, IPv4 apart
	FixReuseAddr         = "reuse-addr"          // none: set SO_REUSEADDR in the program
	FixWait              = "wait"                // seconds
	FixReservePort       = "reserve-port"        // port, value of ip_local_reserved_ports; command
	FixSetcap            = "setcap"              // none: cap_net_bind_service=+ep on the executable
	FixAmbient           = "ambient-capability"  // none: AmbientCapabilities= in the unit
	FixUnprivilegedStart = "unprivileged-start"  // port; command
	FixWildcard          = "listen-everywhere"   // missing address: listen on the wildcard
	FixWaitAddress       = "wait-address"        // missing address: start after network-online.target
	FixNonlocalBind      = "nonlocal-bind"       // missing address; command
	FixUseIPv4           = "use-ipv4"            // port, the IPv4 address to listen on
	FixLoopbackUp        = "loopback-up"         // none; command: lo is down
	FixEnableIPv6        = "enable-ipv6"         // none; command
	FixAddScope          = "add-scope"           // link-local address: say which interface
	FixExplicitAddress   = "explicit-address"    // port, address: write the address instead of localhost
	FixBindLoopback      = "bind-loopback"       // service, loopback address, port
	FixPublishLoopback   = "publish-loopback"    // container, "127.0.0.1:8081:80"
	FixLimitSources      = "limit-sources"       // port: let the firewall admit only who needs it
	FixRestartUnit       = "restart-unit"        // unit; command
	FixRestartProgram    = "restart-program"     // name, pid
	FixReexec            = "reexec-init"         // none; command: pid 1 runs a deleted executable
	FixOtherRange        = "other-range"         // port, first and last of the ephemeral range
	FixListenInside      = "listen-inside"       // container, port: listen on every address of the container
	FixEditPort          = "edit-port"           // port, a free one ("" if none is known), file:line
	FixDeleteLine        = "delete-line"         // file:line: the same configuration asks elsewhere already
	FixOtherDevice       = "other-device"        // interface: it is not here
	FixWriteRange        = "write-range"         // file:line, first and last port: one line asks for several copies
)

// otherPort offers a port that is free as far as the snapshot tells: the
// customary alternative if there is one, else the next that the kernel lends to
// nobody and browsers accept.
func otherPort(want monban.Bind, h *monban.Host, open *openPorts) monban.Fix {
	fix := monban.Fix{Code: FixOtherPort, Args: []string{strconv.Itoa(int(want.Port.Num)), ""}}
	open.complete()
	if !open.others(want.Port.Num) {
		return fix // a view of one port says nothing about the others
	}
	try := func(n uint16) bool {
		p := monban.Port{Num: n, Proto: want.Port.Proto}
		if n < 1024 || open.has(p) || portbook.BrowserBlocked(n) || lendable(h, p) {
			return false
		}
		fix.Args[1] = strconv.Itoa(int(n))
		return true
	}
	for _, use := range portbook.Builtin().Practice(want.Port) {
		if use.Alternative != 0 && try(use.Alternative) {
			return fix
		}
	}
	from := int(want.Port.Num)
	switch {
	case from < 1024:
		from += 8000
	case lendable(h, want.Port):
		from = 8000 // below the range
	}
	for n := open.gap(want.Port.Proto, from+1); n < min(from+1000, 1<<16); n = open.gap(want.Port.Proto, n+1) {
		if try(uint16(n)) {
			return fix
		}
	}
	return fix
}

// openPorts are the ports that have a door, a bit for each.
type openPorts struct {
	udp, rest portBits
	first     uint16
	any, many bool
	// late adds what is only needed when another port is to be named.
	late func(*openPorts)
}

// portBits are the port numbers in pages of 4,096, which are nil while they are
// empty: to clear 8 KB takes as long as half a prediction.
type portBits [16]*[64]uint64

// complete adds what was left for later.
func (o *openPorts) complete() {
	if late := o.late; late != nil {
		o.late = nil
		late(o)
	}
}

func portsOf(snap *monban.Snapshot) *openPorts {
	open := new(openPorts)
	for i := range snap.Doors {
		open.add(snap.Doors[i].Bind.Port)
	}
	open.published(snap.Containers)
	return open
}

// published adds the ports that container engines have published. Not every one
// has a socket: a translation by the firewall answers before any socket would, and
// a look at one port leaves the doors of the others out. So they are no sign
// that others were looked at.
func (o *openPorts) published(containers []monban.Container) {
	for i := range containers {
		for _, p := range containers[i].Published {
			o.set(p.Host.Port)
		}
	}
}

func (o *openPorts) of(p monban.Proto) *portBits {
	if p == monban.UDP {
		return &o.udp
	}
	return &o.rest
}

func (o *openPorts) set(p monban.Port) { *o.word(p) |= 1 << (p.Num & 63) }

// word is the one with a port's bit.
func (o *openPorts) word(p monban.Port) *uint64 {
	page := &o.of(p.Proto)[p.Num>>12]
	if *page == nil {
		*page = new([64]uint64)
	}
	return &(*page)[p.Num>>6&63]
}

func (o *openPorts) add(p monban.Port) {
	o.set(p)
	o.many = o.many || o.any && o.first != p.Num
	o.first, o.any = p.Num, true
}

func (o *openPorts) has(p monban.Port) bool {
	page := o.of(p.Proto)[p.Num>>12]
	return page != nil && page[p.Num>>6&63]&(1<<(p.Num&63)) != 0
}

// gap returns the first number from n on that has no door, 1<<16 for none. A busy
// machine has its doors side by side: they are passed over 64 at a time.
func (o *openPorts) gap(p monban.Proto, n int) int {
	for pages := o.of(p); n < 1<<16; n = n&^63 + 64 {
		page := pages[n>>12]
		if page == nil {
			return n
		}
		if free := ^page[n>>6&63] >> (n & 63); free != 0 {
			return n + bits.TrailingZeros64(free)
		}
	}
	return n
}

// addDoors adds the ports of doors, which most often come in their order: then a
// word is written once for all of its ports.
func (o *openPorts) addDoors(doors []monban.Door) {
	var word *uint64
	var ports uint64
	at, proto := -1, monban.AnyProto
	for i := range doors {
		p := doors[i].Bind.Port
		if block := int(p.Num >> 6); block != at || p.Proto != proto {
			if word != nil {
				*word |= ports
			}
			word, ports, at, proto = o.word(p), 0, block, p.Proto
		}
		ports |= 1 << (p.Num & 63)
	}
	if word != nil {
		*word |= ports
	}
}

// others reports whether there is a door at another number: the snapshot was
// taken of more than this one.
func (o *openPorts) others(num uint16) bool { return o.many || o.any && o.first != num }

// lendable reports whether the kernel may hand the port to an outgoing
// connection.
func lendable(h *monban.Host, p monban.Port) bool {
	if h.Ephemeral.Last == 0 || p.Num < h.Ephemeral.First || p.Num > h.Ephemeral.Last {
		return false
	}
	for _, r := range h.Reserved {
		if r.Contains(p) {
			return false
		}
	}
	return true
}

// reserve keeps the kernel from lending a port, beside those it keeps already.
func reserve(h *monban.Host, p monban.Port) monban.Fix {
	var list []string
	for _, r := range h.Reserved {
		list = append(list, monban.PortRange{First: r.First, Last: r.Last}.String())
	}
	num := strconv.Itoa(int(p.Num))
	value := strings.Join(append(list, num), ",")
	return monban.Fix{Code: FixReservePort, Args: []string{num, value},
		Command: []string{"sysctl", "-w", "net.ipv4.ip_local_reserved_ports=" + value}}
}

// stop returns how to make a door's holder let go, through whatever supervises
// it. It is empty where stopping would break more than it mends: then another
// port is the answer.
func stop(d *monban.Door, snap *monban.Snapshot) []monban.Fix {
	if c := containerOf(d, snap); c != nil {
		return stopContainer(c)
	}
	if d.Unnamed == monban.HiddenKernel {
		return []monban.Fix{{Code: FixStopKernel, Args: []string{d.Kernel}}}
	}
	if len(d.Owners) == 0 {
		return lookAsRoot(d.Bind.Port, snap)
	}
	o := &d.Owners[0]
	switch snap.Host.OS {
	case "windows":
		return stopWindows(d, o)
	case "darwin":
		if o.PID == 1 || o.Name == "mDNSResponder" || strings.HasPrefix(o.Name, "ControlCe") || forwarder(o) {
			return nil // what to do instead is told with the cause
		}
	}
	switch {
	case o.PID == 1:
		return stopSocket(o)
	case o.Name == "systemd-resolved" || o.Name == "systemd-resolve":
		return []monban.Fix{{Code: FixStubListener}}
	case forwarder(o):
		switch {
		case o.Container != "":
			return nil // its engine could not say more than the id
		case len(gaps(snap, monban.HidesContainers)) > 0:
			return lookAsRoot(d.Bind.Port, snap)
		}
		return []monban.Fix{{Code: FixRestartEngine, Args: []string{"docker"},
			Command: []string{"systemctl", "restart", "docker"}}}
	case lifeline(o):
		return nil
	case tunnel(o):
		return []monban.Fix{{Code: FixCloseForward, Args: []string{o.Name, strconv.Itoa(o.PID)}}}
	case strings.HasSuffix(o.Unit, ".service") && !strings.HasPrefix(o.Unit, "user@"):
		return []monban.Fix{{Code: FixStopUnit, Args: []string{o.Unit}, Command: systemctl(o, "stop", o.Unit)}}
	}
	pid := strconv.Itoa(o.PID)
	return []monban.Fix{{Code: FixStopProgram, Args: []string{o.Name, pid}, Command: []string{"kill", pid}}}
}

// stopWindows is stop on Windows. The process 4 is the kernel, and svchost.exe
// runs more than one service where none is named.
func stopWindows(d *monban.Door, o *monban.Owner) []monban.Fix {
	pid := strconv.Itoa(o.PID)
	switch {
	case o.PID == 4:
		return []monban.Fix{{Code: FixStopKernel, Args: []string{d.Kernel}}}
	case o.Unit != "":
		return []monban.Fix{{Code: FixStopUnit, Args: []string{o.Unit}, Command: []string{"sc", "stop", o.Unit}}}
	case strings.EqualFold(o.Name, "svchost.exe") || strings.EqualFold(o.Name, "wslrelay.exe") || strings.EqualFold(o.Name, "wslhost.exe") || forwarder(o):
		return nil
	case tunnel(o):
		return []monban.Fix{{Code: FixCloseForward, Args: []string{o.Name, pid}}}
	}
	return []monban.Fix{{Code: FixStopProgram, Args: []string{o.Name, pid}, Command: []string{"taskkill", "/PID", pid}}}
}

// lookAsRoot advises to look with more privilege at a port, or at all where p is
// none, unless root looked already: what is closed to it stays closed. Windows
// has no command for it.
func lookAsRoot(p monban.Port, snap *monban.Snapshot) []monban.Fix {
	if snap.Host.UID == 0 {
		return nil
	}
	fix := monban.Fix{Code: FixLookAsRoot, Args: []string{""}}
	command := []string{"sudo", "monban"}
	if p.Num != 0 {
		fix.Args[0] = strconv.Itoa(int(p.Num))
		command = append(command, fix.Args[0])
	}
	if snap.Host.OS != "windows" {
		fix.Command = command
	}
	return []monban.Fix{fix}
}

func stopContainer(c *monban.Container) []monban.Fix {
	var engine string
	switch c.Engine {
	case "docker", "podman":
		engine = c.Engine
	}
	if c.Project != "" && c.Service != "" && engine == "docker" {
		return []monban.Fix{{Code: FixStopCompose, Args: []string{c.Project, c.Service},
			Command: []string{"docker", "compose", "-p", c.Project, "stop", c.Service}}}
	}
	name := c.Name
	if name == "" {
		name = c.ID[:min(len(c.ID), 12)]
	}
	f := monban.Fix{Code: FixStopContainer, Args: []string{name, c.Image}}
	if engine != "" {
		f.Command = []string{engine, "stop", name}
	}
	return []monban.Fix{f}
}

func stopSocket(o *monban.Owner) []monban.Fix {
	if !strings.HasSuffix(o.Unit, ".socket") {
		return []monban.Fix{{Code: FixStopSocket, Args: []string{""}, Command: []string{"systemctl", "list-sockets"}}}
	}
	if o.Unit == "ssh.socket" || o.Unit == "sshd.socket" {
		return nil // the way in
	}
	return []monban.Fix{{Code: FixStopSocket, Args: []string{o.Unit}, Command: []string{"systemctl", "stop", o.Unit}}}
}

// systemctl talks to the user's manager if that is what started the process.
func systemctl(o *monban.Owner, args ...string) []string {
	for _, p := range o.Parents {
		if p.Name == "systemd" && p.PID != 1 {
			return append([]string{"systemctl", "--user"}, args...)
		}
	}
	return append([]string{"systemctl"}, args...)
}

// containerOf returns the container behind a door, or nil.
func containerOf(d *monban.Door, snap *monban.Snapshot) *monban.Container {
	if c := snap.Container(d.To.Container); c != nil {
		return c
	}
	for i := range d.Owners {
		if c := snap.Container(d.Owners[i].Container); c != nil {
			return c
		}
	}
	return nil
}

// forwarder reports whether a process only hands connections on to a container.
func forwarder(o *monban.Owner) bool {
	switch strings.TrimSuffix(o.Name, ".exe") {
	case "docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "com.docker.backend", "OrbStack Helper", "limactl":
		return true
	}
	return false
}

// lifeline reports whether ending the process may cut off the user, or many
// other programs.
func lifeline(o *monban.Owner) bool {
	switch o.Name {
	case "sshd", "sshd-session", "dropbear", "dockerd", "containerd", "conmon", "systemd", "init", "launchd":
		return true
	}
	return false
}

// tunnel reports whether the process forwards a local port elsewhere for a user.
func tunnel(o *monban.Owner) bool {
	switch strings.TrimSuffix(strings.ToLower(o.Name), ".exe") {
	case "kubectl", "ssh", "code", "code-insiders", "code-tunnel", "code helper", "code helper (plugin)", "code - insiders":
		return true
	}
	return false
}

// loopbackLike is the loopback address of addr's family.
func loopbackLike(addr netip.Addr) netip.Addr {
	if addr.Unmap().Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}
