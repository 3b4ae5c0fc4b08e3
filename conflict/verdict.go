package conflict

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// refused explains an error that has nothing to do with other sockets.
func (a *attempt) refused(j *monban.Judgement, stage string, errno Errno) {
	addr := a.want.Addr
	if a.unsureHost(errno) {
		j.Reason = ReasonHost
		j.Missing = gaps(a.snap, monban.HidesHost)
		return
	}
	j.Outcome, j.Stage, j.Errno = monban.Fails, stage, string(errno)
	num := strconv.Itoa(int(a.want.Port.Num))
	switch errno {
	case EACCES:
		j.Cause = string(L10)
		j.Against = a.blame()
		j.Fix = []monban.Fix{a.otherPort(), {Code: FixAmbient}, {Code: FixSetcap},
			{Code: FixUnprivilegedStart, Args: []string{num},
				Command: []string{"sysctl", "-w", "net.ipv4.ip_unprivileged_port_start=" + num}}}
	case EAFNOSUPPORT:
		j.Cause = string(L14)
		j.Fix = []monban.Fix{a.useIPv4()}
	case EADDRNOTAVAIL:
		a.notHere(j)
	case ENODEV:
		j.Cause = string(L13)
		if name := cmp.Or(a.want.Device, addr.Zone()); name != "" {
			j.Fix = []monban.Fix{{Code: FixOtherDevice, Args: []string{name}}}
		}
	case EINVAL:
		if linkLocal(addr) {
			j.Cause = string(L13)
			j.Fix = []monban.Fix{{Code: FixAddScope, Args: []string{addr.String()}}}
		}
	}
}

// notHere explains EADDRNOTAVAIL. Every address is no substitute for a loopback
// address: it would open the door to other machines.
func (a *attempt) notHere(j *monban.Judgement) {
	addr := a.want.Addr
	j.Cause = string(L13)
	switch {
	case addr.Is6() && !addr.Is4In6() && a.snap.Host.IPv6 == monban.Off:
		j.Cause = string(L14)
		j.Fix = []monban.Fix{a.useIPv4(), {Code: FixEnableIPv6,
			Command: []string{"sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=0"}}}
		return
	case addr.Unmap().IsLoopback() && a.loopbackDown():
		j.Fix = []monban.Fix{{Code: FixLoopbackUp, Command: []string{"ip", "link", "set", "lo", "up"}}}
		return
	case addr == netip.IPv6Loopback():
		j.Fix = []monban.Fix{a.useIPv4(), {Code: FixEnableIPv6,
			Command: []string{"sysctl", "-w", "net.ipv6.conf.lo.disable_ipv6=0"}}}
		return
	}
	name := "net.ipv4.ip_nonlocal_bind=1"
	if addr.Unmap().Is6() {
		name = "net.ipv6.ip_nonlocal_bind=1"
	}
	text := []string{addr.Unmap().String()}
	j.Fix = []monban.Fix{{Code: FixWildcard, Args: text}, {Code: FixWaitAddress, Args: text},
		{Code: FixNonlocalBind, Args: text, Command: []string{"sysctl", "-w", name}}}
	if addr.Unmap().IsLoopback() {
		j.Fix = nil // an address of 127.0.0.0/8 that somebody took away
	}
}

// useIPv4 advises the IPv4 address that is to what was wanted as near as can be.
func (a *attempt) useIPv4() monban.Fix {
	addr := netip.IPv4Unspecified()
	if a.want.Addr.IsLoopback() {
		addr = loopbackLike(addr)
	}
	return monban.Fix{Code: FixUseIPv4, Args: []string{strconv.Itoa(int(a.want.Port.Num)), addr.String()}}
}

// loopbackDown reports whether lo was seen, and is down.
func (a *attempt) loopbackDown() bool {
	return slices.ContainsFunc(a.snap.Host.Interfaces, func(i monban.Interface) bool { return i.Loopback && !i.Up })
}

// unsureHost reports whether the error rests on something that was not seen.
func (a *attempt) unsureHost(errno Errno) bool {
	switch errno {
	case EACCES:
		return a.who.bindService == monban.FlagUnknown
	case EADDRNOTAVAIL, ENODEV:
		return len(a.snap.Host.Interfaces) == 0
	}
	return false
}

// inUse explains EADDRINUSE by the doors in the way.
func (a *attempt) inUse(j *monban.Judgement) {
	j.Outcome, j.Stage, j.Errno = monban.Fails, StageBind, string(EADDRINUSE)
	j.Against = a.blame()
	first := &j.Against[0]
	cause := a.causeOf(first)
	j.Cause = string(cause)
	j.Fix = a.fixes(cause, first)
	restarted(j, first, a.snap)
}

// blame returns the doors in the way, the one to blame first: one at the very
// address before one that overlaps, one that can be named before one that
// cannot.
func (a *attempt) blame() []monban.Door {
	doors := slices.Clone(a.must)
	rank := func(d monban.Door) int {
		r := 0
		if to16(d.Bind.Addr) != a.sock.at.addr {
			r = 2
		}
		if len(d.Owners) == 0 && containerOf(&d, a.snap) == nil {
			r++
		}
		return r
	}
	slices.SortStableFunc(doors, func(x, y monban.Door) int { return rank(x) - rank(y) })
	return doors
}

// causeOf names why a door is in the way: by who holds it if that is what
// matters for the fix, else by how the two addresses meet.
func (a *attempt) causeOf(d *monban.Door) Cause {
	if onHostNetwork(d, a.snap) {
		return D6
	}
	if d.To.Container != "" || len(d.Owners) > 0 && d.Owners[0].Container != "" {
		return D1
	}
	if d.Unnamed == monban.HiddenKernel {
		return L18
	}
	if len(d.Owners) > 0 {
		o := &d.Owners[0]
		switch {
		case o.PID == 1:
			return L15
		case forwarder(o) && len(gaps(a.snap, monban.HidesContainers)) > 0:
			return D1
		case forwarder(o):
			return D3 // it serves no container that the engine knows of
		case tunnel(o):
			return D13
		case o.Orphan:
			return L17
		}
	}
	if d.Bind.Port.Proto == monban.TCP && d.State == monban.Bound {
		return L9
	}
	if d.Bind.Port.Proto == monban.UDP && (a.sock.reuseAddr || a.sock.reusePort) {
		return L6
	}
	at, own := a.socket(d.Bind, 0).at, a.sock.at
	switch {
	case at.v6 != own.v6 && (at.v6 && at.any() || own.v6 && own.any()):
		return L3
	case at.addr != own.addr:
		return L2
	case othersOwn(d, &a.snap.Host):
		return L19
	}
	return L1
}

// othersOwn reports whether a door is closed to who looks because it belongs to
// another user. A process of one's own can be closed, too: it has given up rights
// or taken some, and so may not be looked into ("not dumpable", proc(5)); and so
// can one be to a root that lacks rights itself.
func othersOwn(d *monban.Door, looker *monban.Host) bool {
	return d.Unnamed == monban.HiddenPrivilege && looker.UID != 0 && int64(d.UID) != int64(looker.UID)
}

// fixes orders what can be done about a holder. Another port comes first, unless
// nobody will miss the holder.
func (a *attempt) fixes(cause Cause, d *monban.Door) []monban.Fix {
	num := strconv.Itoa(int(a.want.Port.Num))
	other := a.otherPort()
	end := stop(d, a.snap)
	switch cause {
	case L17, D3, D13:
		return append(end, other)
	case L3:
		return append([]monban.Fix{{Code: FixV6Only, Args: []string{num}}, other}, end...)
	case L2:
		if a.want.Wildcard() {
			return append([]monban.Fix{{Code: FixOtherAddress, Args: []string{num}}, other}, end...)
		}
	}
	if len(d.Owners) > 0 && d.Owners[0].TTY && int(d.Owners[0].UID) == a.snap.Host.UID && d.Owners[0].Unit == "" {
		return append(end, other) // the user's own, in a terminal
	}
	return append([]monban.Fix{other}, end...)
}

func (a *attempt) otherPort() monban.Fix {
	if a.who.move != nil {
		return a.who.move(a.want)
	}
	return otherPort(a.want, &a.snap.Host, a.open)
}

// busy explains EADDRINUSE by connections alone. Only where every one of them is
// in TIME_WAIT is nobody left to stop: a UDP socket that called connect(2), and a
// connection that outlived its listener, belong to a program.
func (a *attempt) busy(j *monban.Judgement) {
	j.Outcome, j.Stage, j.Errno = monban.Fails, StageBind, string(EADDRINUSE)
	other := a.otherPort()
	switch cause := leftBy(a.conns, &a.snap.Host); cause {
	case L7:
		j.Cause = string(L7)
		// TCP_TIMEWAIT_LEN, which no sysctl changes.
		j.Fix = []monban.Fix{{Code: FixReuseAddr}, {Code: FixWait, Args: []string{"60"}}, other}
	case L8:
		j.Cause = string(L8)
		j.Fix = []monban.Fix{other, reserve(&a.snap.Host, a.want.Port)}
	default:
		j.Cause = string(L26)
		j.Fix = []monban.Fix{other}
	}
}

// leftBy names the cause of a port that only connections use.
func leftBy(t monban.Traffic, h *monban.Host) Cause {
	switch {
	case t.Port.Proto == monban.TCP && t.Established+t.Other == 0 && t.TimeWait > 0:
		return L7
	case lendable(h, t.Port):
		return L8
	}
	return L26
}

// free is the verdict when nothing that was seen is in the way for certain.
func (a *attempt) free(j *monban.Judgement) {
	missing := gaps(a.snap, monban.HidesDoors)
	switch {
	case len(a.may) > 0 || a.traffic == depends:
		j.Reason = ReasonOptions
		j.Against = a.may
		return
	case len(missing) > 0:
		j.Reason, j.Missing = ReasonDoors, missing
		return
	case !a.counted:
		j.Reason, j.Missing = ReasonTraffic, gaps(a.snap, monban.HidesTraffic)
		return
	}
	if missing = gaps(a.snap, monban.HidesTraffic); len(missing) > 0 {
		j.Reason, j.Missing = ReasonTraffic, missing
		return
	}
	if g := a.hiddenPrivilege(); g != nil {
		j.Reason, j.Missing = ReasonHost, g
		return
	}
	j.Outcome = monban.Starts
	if a.want.Port.Proto == monban.TCP {
		j.Missing = gaps(a.snap, monban.HidesBound)
	}
	num := strconv.Itoa(int(a.want.Port.Num))
	if len(a.forwarded) > 0 {
		j.Against = a.forwarded
		j.Cause = string(L24)
		if a.forwarded[0].To.Container != "" {
			j.Cause = string(D8)
		}
		j.Fix = append([]monban.Fix{a.otherPort()}, stop(&a.forwarded[0], a.snap)...)
		if a.forwarded[0].To.Container == "" {
			j.Fix = j.Fix[:1] // a rule has no program to stop
		}
		restarted(j, &a.forwarded[0], a.snap)
		return
	}
	if d := a.away(); d != nil {
		j.Cause, j.Against = string(L24), []monban.Door{*d}
		j.Fix = []monban.Fix{a.otherPort()}
		return
	}
	if d := a.stranger(); d != nil {
		j.Cause, j.Against = string(L5), []monban.Door{*d}
		j.Fix = append([]monban.Fix{a.otherPort()}, stop(d, a.snap)...)
		return
	}
	if d := otherLoopback(a.want, a.snap); d != nil {
		j.Cause = string(L4)
		j.Against = []monban.Door{*d}
		j.Fix = []monban.Fix{{Code: FixExplicitAddress, Args: []string{num, a.want.Addr.String()}},
			a.otherPort()}
		return
	}
	if d := a.elsewhere(); d != nil {
		j.Cause, j.Against = string(L20), []monban.Door{*d}
		return
	}
	if fix, ok := willStart(a.want, a.snap, a.who.own); ok {
		j.Cause, j.Fix = string(D5), []monban.Fix{fix, a.otherPort()}
	}
}

// onHostNetwork reports whether a program in a container holds a door of the host
// itself, with network_mode: host, and not one that was published for it. An
// engine has to know the container, or this may be inside of it.
func onHostNetwork(d *monban.Door, snap *monban.Snapshot) bool {
	return d.To == (monban.Target{}) && len(d.Owners) > 0 && snap.Container(d.Owners[0].Container) != nil && !forwarder(&d.Owners[0])
}

// stranger returns a server with which the port would be shared, because both set
// SO_REUSEPORT: the kernel gives each connection to one of them.
func (a *attempt) stranger() *monban.Door {
	if !a.sock.reusePort || a.want.Port.Proto != monban.TCP {
		return nil
	}
	for i := range a.snap.Doors {
		d := &a.snap.Doors[i]
		if d.Bind.Port == a.want.Port && d.State == monban.Listen && d.Bind.ReusePort == monban.On && d.Bind.Addr.IsValid() &&
			to16(d.Bind.Addr) == a.sock.at.addr && sameNetNS(d.Bind.NetNS, a.want.NetNS, a.snap.Host.NetNS) {
			return d
		}
	}
	return nil
}

// elsewhere returns a door of the same port in another network namespace, which
// is in nobody's way.
func (a *attempt) elsewhere() *monban.Door {
	for i := range a.snap.Doors {
		if d := &a.snap.Doors[i]; d.Bind.Port == a.want.Port && !sameNetNS(d.Bind.NetNS, a.want.NetNS, a.snap.Host.NetNS) {
			return d
		}
	}
	return nil
}

// hiddenPrivilege returns the gap that hides where the privileged ports end, if
// that decides. The zero of Host.Unprivileged is a value of its own.
func (a *attempt) hiddenPrivilege() []monban.Gap {
	if a.want.Port.Num >= 1024 || a.who.bindService == monban.On || a.snap.Host.Unprivileged != 0 {
		return nil
	}
	var out []monban.Gap
	for _, g := range gaps(a.snap, monban.HidesHost) {
		if strings.Contains(g.Source, "unprivileged") {
			out = append(out, g)
		}
	}
	return out
}

// otherLoopback returns the door at the loopback address of the other family.
func otherLoopback(want monban.Bind, snap *monban.Snapshot) *monban.Door {
	if !want.Addr.Unmap().IsLoopback() || want.Port.Proto != monban.TCP {
		return nil
	}
	for i := range snap.Doors {
		d := &snap.Doors[i]
		if d.Bind.Port == want.Port && d.Bind.Addr.Unmap().IsLoopback() &&
			d.Bind.Addr.Unmap().Is4() != want.Addr.Unmap().Is4() &&
			sameNetNS(d.Bind.NetNS, want.NetNS, snap.Host.NetNS) {
			return d
		}
	}
	return nil
}

func gaps(snap *monban.Snapshot, hides monban.Subject) []monban.Gap {
	var out []monban.Gap
	for _, g := range snap.Gaps {
		if g.Hides == hides {
			out = append(out, g)
		}
	}
	return out
}
