package conflict

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Diagnosis is a complaint put beside what is open now.
type Diagnosis struct {
	Complaint Complaint
	// Elsewhere reports that the complaint comes from another system than the
	// snapshot: what is open here says nothing about it.
	Elsewhere bool
	// Causes are the causes that are left, the likeliest first. With Certain,
	// the first was seen and is not a guess.
	Causes  []Cause
	Certain bool
	// Also are those of Causes that were seen, too, and come on top of the first.
	Also []Cause
	// Against are the doors that are in the way now, the one to blame first. For
	// a Remote complaint they are the doors that answer at that port here.
	Against []monban.Door
	Fix     []monban.Fix
	// Missing is what could not be seen and would decide.
	Missing []monban.Gap
}

// Diagnose combines a complaint with what is open now. judge is [CanBind] with
// the same snapshot; nil leaves its rules out. What was open when the complaint
// was written may be gone: then Against is empty, and the causes that leave no
// holder behind come first.
func Diagnose(c Complaint, snap *monban.Snapshot, judge func(monban.Bind) monban.Judgement) Diagnosis {
	d := Diagnosis{Complaint: c, Causes: slices.Clone(c.Causes)}
	if c.OS != "" && snap.Host.OS != "" && c.OS != snap.Host.OS {
		d.Elsewhere = true
		d.missing("text", "the message comes from "+c.OS, monban.HidesOutside)
		return d
	}
	if !c.HasPort || len(c.Causes) > 0 && !aboutHolders(c.Causes[0]) {
		return d
	}
	if c.Remote {
		d.remote(snap)
		return d
	}
	if judge != nil && d.judged(judge) {
		d.sameService()
		d.restarts(snap)
		return d
	}
	switch strings.TrimPrefix(c.Errno, "WSA") {
	case "EADDRINUSE", "":
		d.inUse(snap)
	case "EACCES":
		d.forbidden(snap)
	case "EADDRNOTAVAIL", "EAFNOSUPPORT":
		d.noAddress(snap)
	}
	d.restarts(snap)
	return d
}

// restarts says whether an engine has started the container in the way by itself,
// or, where nobody is in the way, will start one.
func (d *Diagnosis) restarts(snap *monban.Snapshot) {
	if len(d.Against) > 0 {
		c := containerOf(&d.Against[0], snap)
		if c == nil || c.Restart.Policy == "" {
			return // not a container's, or it could not be asked
		}
		d.drop(D5)
		if fix, ok := startedAgain(c); ok {
			d.also(fix)
		}
		return
	}
	if errno := strings.TrimPrefix(d.Complaint.Errno, "WSA"); errno != "EADDRINUSE" && errno != "" {
		return
	}
	for _, want := range d.Complaint.wants() {
		if fix, ok := willStart(want, snap, nil); ok {
			d.first(D5)
			d.Fix = []monban.Fix{fix}
			return
		}
	}
}

// also puts D5 after the first cause.
func (d *Diagnosis) also(fix monban.Fix) {
	d.Also = append(d.Also, D5)
	d.Causes = slices.Insert(d.Causes, min(1, len(d.Causes)), D5)
	if !slices.ContainsFunc(d.Fix, func(f monban.Fix) bool { return f.Code == fix.Code }) {
		d.Fix = append(d.Fix, fix)
	}
}

// aboutHolders reports whether a look at what is open can refine a cause. A
// number that is no port, a browser's list or a cluster cannot be seen here.
func aboutHolders(c Cause) bool {
	switch c {
	case L21, L23, L25, D10, D11, B1, W5:
		return false
	}
	return true
}

// wants lists the binds the complaint may have been about.
func (c *Complaint) wants() []monban.Bind {
	addrs := []netip.Addr{c.Addr}
	switch {
	case c.Addr.IsValid():
	case c.Host == "localhost":
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	default:
		addrs = []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	}
	protos := []monban.Proto{c.Proto}
	if c.Proto == monban.AnyProto {
		protos = []monban.Proto{monban.TCP, monban.UDP}
	}
	var list []monban.Bind
	for _, p := range protos {
		for _, a := range addrs {
			list = append(list, monban.Bind{Port: monban.Port{Num: c.Port, Proto: p}, Addr: a})
		}
	}
	return list
}

// judged asks judge about every bind that may be meant, and reports whether one
// of them fails as the complaint says.
func (d *Diagnosis) judged(judge func(monban.Bind) monban.Judgement) bool {
	for _, want := range d.Complaint.wants() {
		j := judge(want)
		switch j.Outcome {
		case monban.Fails:
			if !sameErrno(d.Complaint.Errno, j.Errno) {
				continue
			}
			j = d.whereverItWas(want, j, judge)
			d.Against, d.Fix, d.Missing = j.Against, j.Fix, nil
			d.Certain = j.Cause != ""
			d.first(Cause(j.Cause))
			return true
		case monban.OutcomeUnknown:
			for _, g := range j.Missing {
				d.lacks(g)
			}
		}
	}
	return false
}

// whereverItWas judges a bind whose address nobody has told once more, at the
// holder's own: that one of them has every address, or is of the other family, would be
// said of what was only assumed.
func (d *Diagnosis) whereverItWas(want monban.Bind, j monban.Judgement, judge func(monban.Bind) monban.Judgement) monban.Judgement {
	if d.Complaint.Addr.IsValid() || d.Complaint.Host != "" || len(j.Against) == 0 || Cause(j.Cause) != L2 && Cause(j.Cause) != L3 {
		return j
	}
	want.Addr = j.Against[0].Bind.Addr
	if again := judge(want); again.Outcome == monban.Fails && again.Cause != "" && again.Errno == j.Errno {
		return again
	}
	return j
}

// sameService turns "another process has it" into "it is running already" where
// the holder is the very program that complains, and into "it is no container"
// where an engine does.
func (d *Diagnosis) sameService() {
	if len(d.Against) > 0 && slices.Contains(d.Complaint.Causes, D2) && len(d.Against[0].Owners) > 0 && d.Against[0].Owners[0].Container == "" {
		switch d.Causes[0] {
		case L1, L2, L3, L19:
			d.first(D2)
			return
		}
	}
	if len(d.Against) == 0 || len(d.Causes) == 0 || d.Causes[0] != L1 && d.Causes[0] != W1 {
		return
	}
	for _, o := range d.Against[0].Owners {
		if serves(d.Complaint.Program, o.Name) {
			d.first(L22)
			return
		}
	}
}

// serves reports whether the executable name belongs to the service program.
// Runtimes such as node and java serve everything, so they prove nothing.
func serves(program, name string) bool {
	name = strings.TrimSuffix(lowerASCII(name), ".exe")
	switch program {
	case "apache":
		return name == "apache2" || name == "httpd"
	case "mysql", "mariadb":
		return name == "mysqld" || name == "mariadbd"
	case "redis":
		return name == "redis-server" || name == "valkey-server"
	case "mongodb":
		return name == "mongod"
	case "bind":
		return name == "named"
	case "postfix":
		return name == "master"
	case "nginx", "postgres", "sshd", "vsftpd", "proftpd", "haproxy", "dovecot", "dnsmasq", "unbound", "caddy", "traefik",
		"mosquitto", "memcached", "lighttpd", "squid", "tor", "ollama":
		return name == program
	}
	return false
}

// inUse looks for the holder by itself, and without one ranks what is left.
func (d *Diagnosis) inUse(snap *monban.Snapshot) {
	for _, want := range d.Complaint.wants() {
		for _, door := range snap.Doors {
			if sameNetNS(want.NetNS, door.Bind.NetNS, snap.Host.NetNS) && overlaps(want, door.Bind) && !slices.ContainsFunc(d.Against, func(o monban.Door) bool { return o.Bind == door.Bind && o.Inode == door.Inode && o.State == door.State }) {
				d.Against = append(d.Against, door)
			}
		}
		if len(d.Against) > 0 {
			slices.SortStableFunc(d.Against, socketFirst)
			cause := holderCause(want, d.Against[0], &snap.Host)
			d.Certain = cause != L24 // a rule alone refuses no bind
			d.first(cause)
			d.sameService()
			return
		}
	}
	d.unseen(snap)
}

// socketFirst orders doors that are sockets before those that a rule makes.
func socketFirst(a, b monban.Door) int {
	switch x, y := a.State == monban.Forwarded, b.State == monban.Forwarded; {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// overlaps reports whether have is in the way of want, before options are
// considered: same port, and one address covers the other. Both are in one
// network namespace.
func overlaps(want, have monban.Bind) bool {
	if want.Port != have.Port {
		return false
	}
	a, b := want.Addr.Unmap(), have.Addr.Unmap()
	switch {
	case a.WithZone("") == b.WithZone(""):
		return true
	case a.Is4() == b.Is4():
		return a.IsUnspecified() || b.IsUnspecified()
	case a.Is6(): // [::] also takes IPv4, unless it is told not to
		return a.IsUnspecified() && want.V6Only != monban.On
	default:
		return b.IsUnspecified() && have.V6Only != monban.On
	}
}

// holderCause names the cause from what stands at the door.
func holderCause(want monban.Bind, door monban.Door, looker *monban.Host) Cause {
	a, b := want.Addr.Unmap(), door.Bind.Addr.Unmap()
	switch {
	case door.To.Container != "":
		return D1
	case door.State == monban.Forwarded:
		return L24
	case door.State == monban.Bound && door.Bind.Port.Proto == monban.TCP:
		return L9
	case door.Unnamed == monban.HiddenKernel:
		return L18
	case len(door.Owners) > 0 && door.Owners[0].PID == 1 && strings.HasSuffix(door.Owners[0].Unit, ".socket"):
		return L15
	case len(door.Owners) > 0 && forwards(door.Owners[0]):
		return D13
	case a.Is4() != b.Is4():
		return L3
	case a != b:
		return L2
	case othersOwn(&door, looker):
		return L19
	}
	return L1
}

// forwards reports whether a process only leads elsewhere.
func forwards(o monban.Owner) bool {
	switch o.Name {
	case "kubectl":
		return slices.Contains(o.Command, "port-forward")
	case "ssh":
		return slices.ContainsFunc(o.Command, func(arg string) bool { return strings.HasPrefix(arg, "-L") || strings.HasPrefix(arg, "-D") })
	}
	return false
}

// unseen ranks the causes that leave no holder in the table: what was counted,
// then what the text makes likely; without either, the holder has gone since.
func (d *Diagnosis) unseen(snap *monban.Snapshot) {
	c := &d.Complaint
	port := monban.Port{Num: c.Port, Proto: c.Proto}
	likely, counted := d.connections(snap)
	if snap.Host.OS == "windows" && within(snap.Host.Excluded, port) {
		likely = append(likely, W2)
	}
	if snap.Host.Container != "" && snap.Host.HostNetwork != monban.On {
		likely = append(likely, D9)
	}
	if snap.Host.Virtual == "wsl2" {
		likely = append(likely, W10)
	}
	if !counted && c.Proto != monban.UDP {
		d.missing("traffic", "connections of this port were not counted", monban.HidesTraffic)
	}
	doors := true
	for _, g := range snap.Gaps {
		switch g.Hides {
		case monban.HidesDoors:
			doors = false
			d.lacks(g)
		case monban.HidesNamespaces, monban.HidesOutside, monban.HidesContainers:
			d.lacks(g)
		}
	}
	for _, x := range d.Causes {
		switch x {
		case L7:
			if !counted && doors {
				likely = append(likely, x)
			}
		case L21:
			if doors && configured(c.Program) {
				likely = append(likely, x)
			}
		case L8:
			if h := &snap.Host; h.Ephemeral == (monban.PortRange{}) || lendable(h, port) {
				likely = append(likely, x)
			}
		case W2, W6, W10, M10, D4, D5:
			likely = append(likely, x)
		}
	}
	if len(d.Causes) > 0 && (d.Causes[0] == L15 || d.Causes[0] == L6) {
		d.first(L1) // systemd and a sharer would have been seen
	}
	for i := len(likely) - 1; i >= 0; i-- {
		d.first(likely[i])
	}
}

// connections returns what the connections of the port may have done, and
// whether they were counted at all.
func (d *Diagnosis) connections(snap *monban.Snapshot) (likely []Cause, counted bool) {
	c := &d.Complaint
	port := monban.Port{Num: c.Port, Proto: c.Proto}
	counted = slices.ContainsFunc(snap.TrafficOf, func(r monban.PortRange) bool { return r.Contains(port) })
	for _, t := range snap.Traffic {
		if t.Port.Num != c.Port || c.Proto != monban.AnyProto && t.Port.Proto != c.Proto {
			continue
		}
		counted = true
		if t.Established+t.Other+t.TimeWait > 0 {
			likely = append(likely, leftBy(t, &snap.Host))
		}
	}
	return likely, counted
}

// configured reports whether the program opens the ports that its configuration
// files list, and so can be told to open one twice.
func configured(program string) bool {
	switch program {
	case "nginx", "apache", "haproxy", "sshd", "lighttpd", "caddy", "traefik", "squid", "dovecot", "postfix", "bind",
		"unbound", "dnsmasq", "mosquitto", "vsftpd", "proftpd":
		return true
	}
	return false
}

// forbidden ranks the causes of EACCES.
func (d *Diagnosis) forbidden(snap *monban.Snapshot) {
	port := monban.Port{Num: d.Complaint.Port, Proto: d.Complaint.Proto}
	switch h := &snap.Host; {
	case h.OS == "windows" && within(h.Excluded, port):
		d.Certain = true
		d.first(W2)
	case h.OS == "linux" && h.Unprivileged > 0 && d.Complaint.Port < h.Unprivileged:
		if len(d.Causes) == 0 || d.Causes[0] != D7 { // D7 is L10 of a rootless engine
			d.first(L10)
		}
		if h.Caps.BindService == monban.On {
			d.missing("user", "this user may bind the port; the program may have run as another", monban.HidesHost)
		}
	case h.OS == "linux":
		d.drop(L10, M4, W2, W4)
	}
}

// noAddress ranks the causes of a missing address or family. A kernel without
// IPv6 opens no IPv6 socket at all; one where it is only off on the interfaces
// (disable_ipv6) still binds [::].
func (d *Diagnosis) noAddress(snap *monban.Snapshot) {
	addr := d.Complaint.Addr
	v6 := addr.Is6() && !addr.Is4In6()
	switch {
	case v6 && netOf(&snap.Host).NoIPv6,
		v6 && snap.Host.IPv6 == monban.Off && !addr.IsUnspecified() && strings.HasSuffix(d.Complaint.Errno, "EADDRNOTAVAIL"):
		d.Certain = true
		d.first(L14)
	case addr.IsValid() && len(snap.Host.Interfaces) > 0 && !snap.Host.HasAddr(addr):
		d.Certain = true
		d.first(L13)
	}
}

// remote looks whether somebody answers at the port here, only not at the
// address that was tried.
func (d *Diagnosis) remote(snap *monban.Snapshot) {
	c := &d.Complaint
	if c.Errno != "ECONNREFUSED" && c.Errno != "WSAECONNREFUSED" || c.Proto == monban.UDP ||
		c.Addr.IsValid() && !snap.Host.HasAddr(c.Addr) && !c.Addr.IsLoopback() || c.Host != "" && c.Host != "localhost" {
		return
	}
	port := monban.Port{Num: c.Port, Proto: monban.TCP}
	answers, otherFamily := false, false
	for _, door := range snap.Doors {
		if door.Bind.Port != port || door.State == monban.Bound || !sameNetNS(door.Bind.NetNS, "", snap.Host.NetNS) {
			continue
		}
		d.Against = append(d.Against, door)
		have := door.Bind.Addr.Unmap()
		answers = answers || c.Addr.IsValid() && serving(have, door.Bind.V6Only, c.Addr.Unmap())
		otherFamily = otherFamily || have.Is4() != c.Addr.Unmap().Is4() && (have.IsLoopback() || have.IsUnspecified())
	}
	if !answers && otherFamily && c.Addr.IsLoopback() {
		d.Certain = true
		d.first(B3)
		return
	}
	hooks := []monban.Hook{monban.HookOutput}
	if !c.Addr.IsLoopback() {
		hooks = append(hooks, monban.HookPrerouting)
	}
	if r, ok := redirected(snap.Rules, port, c.Addr.Unmap().Is6(), hooks...); ok {
		d.Against = append([]monban.Door{*r.door(monban.Bind{Port: port, Addr: c.Addr})}, d.Against...)
		d.first(L24)
	}
}

// serving reports whether a listener on have accepts connections to addr.
func serving(have netip.Addr, v6only monban.Flag, addr netip.Addr) bool {
	if have.Is4() == addr.Is4() {
		return have == addr || have.IsUnspecified()
	}
	return have.Is6() && have.IsUnspecified() && v6only != monban.On
}

// first moves cause to the front.
func (d *Diagnosis) first(cause Cause) {
	if cause != "" {
		d.Causes = append([]Cause{cause}, without(d.Causes, cause)...)
	}
}

func (d *Diagnosis) drop(causes ...Cause) {
	d.Causes = slices.DeleteFunc(d.Causes, func(c Cause) bool { return slices.Contains(causes, c) })
}

func (d *Diagnosis) missing(source, why string, hides monban.Subject) {
	d.lacks(monban.Gap{Source: source, Err: why, Hides: hides})
}

// lacks notes a gap once, although several binds may have met it.
func (d *Diagnosis) lacks(g monban.Gap) {
	if !slices.Contains(d.Missing, g) {
		d.Missing = append(d.Missing, g)
	}
}
