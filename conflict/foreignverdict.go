package conflict

import (
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// judge is the verdict of the rules, with its cause and what to do about it.
func (f *foreign) judge() (monban.Judgement, met) {
	j := monban.Judgement{Bind: f.want}
	m := f.meet()
	for _, o := range m.against {
		if o.door != nil {
			j.Against = append(j.Against, *o.door)
		}
	}
	switch m.chance {
	case fails:
		j.Outcome, j.Stage, j.Errno = monban.Fails, StageBind, f.errno(m.errno)
		f.explain(&j, m)
	case depends:
		j.Reason = ReasonOptions
		if len(m.against) == 0 {
			j.Reason, j.Missing = ReasonHost, gaps(f.snap, monban.HidesHost)
		}
	default:
		f.free(&j, m)
	}
	return j, m
}

// errno is the name that the system's own programmers know.
func (f *foreign) errno(e Errno) string {
	if f.windows() {
		return "WSA" + string(e)
	}
	return string(e)
}

// free is the verdict where nobody that was seen is in the way.
func (f *foreign) free(j *monban.Judgement, m met) {
	for _, unseen := range [...]struct {
		hides  monban.Subject
		reason string
	}{{monban.HidesDoors, ReasonDoors}, {monban.HidesTraffic, ReasonTraffic}} {
		if missing := gaps(f.snap, unseen.hides); len(missing) > 0 {
			j.Reason, j.Missing = unseen.reason, missing
			return
		}
	}
	if !within(f.snap.TrafficOf, f.want.Port) {
		j.Reason = ReasonTraffic
		return
	}
	if f.windows() && f.excludedUnseen(j) {
		return
	}
	j.Outcome = monban.Starts
	j.Missing = gaps(f.snap, monban.HidesBound)
	for _, o := range m.beside {
		if o.door == nil || o.door.State == monban.Bound && o.door.Bind.Port.Proto == monban.TCP {
			continue
		}
		switch same := o.door.Bind.Addr.Unmap() == f.want.Addr.Unmap(); {
		case f.windows() && same:
			j.Cause = string(W11)
		case !f.windows() && same:
			j.Cause = string(L5)
		case !f.windows() && !f.want.Addr.IsUnspecified():
			j.Cause = string(M2)
		default:
			continue
		}
		j.Against = []monban.Door{*o.door}
		j.Fix = append([]monban.Fix{f.otherPort()}, stop(o.door, f.snap)...)
		return
	}
	if d := otherLoopback(f.want, f.snap); d != nil {
		num := strconv.Itoa(int(f.want.Port.Num))
		j.Cause, j.Against = string(L4), []monban.Door{*d}
		j.Fix = []monban.Fix{{Code: FixExplicitAddress, Args: []string{num, f.want.Addr.String()}}, f.otherPort()}
	}
}

// excludedUnseen reports whether Windows did not tell which ports it keeps.
func (f *foreign) excludedUnseen(j *monban.Judgement) bool {
	for _, g := range gaps(f.snap, monban.HidesHost) {
		if strings.Contains(g.Source, "excludedportrange "+f.want.Port.Proto.String()) {
			j.Reason = ReasonHost
			j.Missing = append(j.Missing, g)
		}
	}
	return j.Reason != ""
}

// explain names the cause of a failure.
func (f *foreign) explain(j *monban.Judgement, m met) {
	j.Fix = []monban.Fix{f.otherPort()}
	switch m.errno {
	case EACCES:
		if f.windows() {
			j.Cause = string(W2)
			break
		}
		j.Cause = string(M4)
		return
	case EADDRNOTAVAIL:
		f.notHere(j)
		return
	case EAFNOSUPPORT:
		j.Fix = nil // a multicast address for TCP: there is no such thing
		return
	}
	if len(j.Against) > 0 {
		slices.SortStableFunc(j.Against, func(a, b monban.Door) int { return f.rank(&a) - f.rank(&b) })
		d := &j.Against[0]
		j.Cause = string(f.causeOf(d, m.errno))
		j.Fix = append(j.Fix, stop(d, f.snap)...)
		restarted(j, d, f.snap)
		return
	}
	for _, o := range m.against {
		if o.conns != nil {
			j.Cause = string(f.leftBy(o.conns))
			if j.Cause == string(L7) {
				j.Fix = append([]monban.Fix{{Code: FixReuseAddr}}, j.Fix...)
			}
		}
	}
}

// rank puts the very address before one that overlaps, and a door whose holder
// has a name before one without.
func (f *foreign) rank(d *monban.Door) int {
	r := 0
	if d.Bind.Addr.Unmap() != f.want.Addr.Unmap() {
		r = 2
	}
	if len(d.Owners) == 0 {
		r++
	}
	return r
}

func (f *foreign) notHere(j *monban.Judgement) {
	addr := f.want.Addr.Unmap()
	j.Cause, j.Fix = string(L13), nil
	switch {
	case addr.Is6() && f.snap.Host.IPv6 == monban.Off:
		j.Cause = string(L14)
		j.Fix = []monban.Fix{{Code: FixUseIPv4, Args: []string{strconv.Itoa(int(f.want.Port.Num)), loopbackLike(wildcard4().Unmap()).String()}}}
	case addr.Is4() && addr.IsLoopback() && !f.windows():
		j.Cause = string(M5)
	case !addr.IsLoopback():
		j.Fix = []monban.Fix{{Code: FixWildcard, Args: []string{addr.String()}}}
	}
}

// leftBy names the cause of a port that only connections use.
func (f *foreign) leftBy(t *monban.Traffic) Cause {
	c := leftBy(*t, &f.snap.Host)
	switch {
	case c == L8 && f.windows():
		return W6
	case c == L8:
		return M10
	}
	return c
}

// causeOf names why a door is in the way, by who holds it if that is what
// matters for the fix.
func (f *foreign) causeOf(d *monban.Door, errno Errno) Cause {
	if d.To.Container != "" || len(d.Owners) > 0 && d.Owners[0].Container != "" {
		return D1
	}
	if f.windows() {
		return windowsHolder(d, errno)
	}
	if len(d.Owners) == 0 {
		switch d.Unnamed {
		case monban.HiddenKernel:
			return L18
		case monban.HiddenPrivilege:
			return M8
		}
		return f.overlap(d)
	}
	o := &d.Owners[0]
	switch {
	case o.PID == 1, o.Name == "launchd":
		return M6
	case strings.HasPrefix(o.Name, "ControlCe") && (d.Bind.Port.Num == 5000 || d.Bind.Port.Num == 7000):
		return M1
	case o.Name == "mDNSResponder":
		return M9
	case forwarder(o):
		return M7
	case tunnel(o):
		return D13
	case o.Orphan:
		return L17
	}
	return f.overlap(d)
}

// overlap names the cause by how the two addresses meet.
func (f *foreign) overlap(d *monban.Door) Cause {
	at, own := socketAt(d.Bind).at, f.sock().at
	switch {
	case at.v6 != own.v6 && (at.any() || own.any()):
		return L3
	case at.addr != own.addr:
		return L2
	case d.Bind.Port.Proto == monban.UDP && f.want.ReuseAddr == monban.On:
		return L6
	}
	return L1
}

// windowsHolder names the cause by the holder of a port on Windows.
func windowsHolder(d *monban.Door, errno Errno) Cause {
	if len(d.Owners) == 0 {
		if d.Unnamed == monban.HiddenGone {
			return W12
		}
		return W1
	}
	o := &d.Owners[0]
	name := strings.TrimSuffix(strings.ToLower(o.Name), ".exe")
	switch {
	case httpSys(d):
		return W4
	case name == "svchost" && strings.EqualFold(o.Unit, "iphlpsvc") && d.Bind.Port.Proto == monban.TCP:
		return W8 // its own ports are of UDP
	case name == "svchost":
		return W7
	case name == "wslrelay" || name == "wslhost":
		return W9
	case forwarder(o):
		return D1
	case tunnel(o):
		return D13
	case errno == EACCES:
		return W3
	}
	return W1
}

func (f *foreign) otherPort() monban.Fix {
	if f.who.move != nil {
		return f.who.move(f.want)
	}
	return otherPort(f.want, &f.snap.Host, f.open)
}
