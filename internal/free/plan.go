package free

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
)

// Make plans how to make the doors free that q asks about, as far as a snapshot
// tells. snap has to hold every door of the machine, so that the plan can say
// what else closes.
func Make(q Question, snap *monban.Snapshot, self Self) *Plan {
	m := maker{q: q, snap: snap, self: self}
	m.plan.Question = q
	m.programs()
	if len(m.plan.Programs) != 1 {
		return &m.plan
	}
	for i := range m.plan.Programs[0] {
		m.door(&m.plan.Programs[0][i])
	}
	for i := range m.plan.Steps {
		m.also(&m.plan.Steps[i])
	}
	return &m.plan
}

// maker is one plan in the making.
type maker struct {
	q    Question
	snap *monban.Snapshot
	self Self
	plan Plan
}

// programs sorts the doors that are asked about by the program behind them.
func (m *maker) programs() {
	var groups [][]monban.Door
	for i := range m.snap.Doors {
		d := &m.snap.Doors[i]
		if !m.q.Asks(d) {
			continue
		}
		group := []monban.Door{*d}
		// A door may show that two groups are one.
		groups = slices.DeleteFunc(groups, func(g []monban.Door) bool {
			if !slices.ContainsFunc(g, func(o monban.Door) bool { return m.one(d, &o) }) {
				return false
			}
			group = append(slices.Clone(g), group...)
			return true
		})
		groups = append(groups, group)
	}
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b monban.Door) int {
			return cmp.Or(a.Bind.Addr.Compare(b.Bind.Addr), cmp.Compare(a.Inode, b.Inode))
		})
	}
	slices.SortStableFunc(groups, func(a, b []monban.Door) int { return a[0].Bind.Addr.Compare(b[0].Bind.Addr) })
	m.plan.Programs = groups
}

// one reports whether two doors are to be treated as one program's. Two without
// a name are, if they are hidden for the same reason and of one user: there is
// nothing to choose between them.
func (m *maker) one(a, b *monban.Door) bool {
	if conflict.SameProgram(a, b, m.snap) {
		return true
	}
	return len(a.Owners)+len(b.Owners) == 0 && a.Unnamed == b.Unnamed && a.UID == b.UID && a.Kernel == b.Kernel &&
		conflict.ContainerOf(a, m.snap) == nil && conflict.ContainerOf(b, m.snap) == nil
}

// door adds the step that makes one door free, or says why there is none.
func (m *maker) door(d *monban.Door) {
	if d.Bind.Port == (monban.Port{Num: m.self.SSHPort, Proto: monban.TCP}) && m.self.SSHPort != 0 {
		m.refuse(IsSession, d, nil)
		return
	}
	if c := conflict.ContainerOf(d, m.snap); c != nil {
		if c.Engine != "" || m.snap.Host.Container == "" {
			m.container(d, c)
			return
		}
		// Seen from inside a container, its own processes are just processes.
		d = outsideContainers(d)
	}
	for i := range d.Owners {
		if o := &d.Owners[i]; slices.Contains(m.self.Ancestors, o.PID) && o.PID != 1 {
			m.refuse(IsAncestor, d, o)
			return
		}
	}
	m.holder(d)
}

// outsideContainers returns d as if nobody had spoken of containers.
func outsideContainers(d *monban.Door) *monban.Door {
	out := *d
	out.To = monban.Target{}
	out.Owners = slices.Clone(d.Owners)
	for i := range out.Owners {
		out.Owners[i].Container = ""
	}
	return &out
}

// holder decides about a door that processes of this machine hold, or nobody
// that is known.
func (m *maker) holder(d *monban.Door) {
	fixes := conflict.Stop(d, m.snap)
	if len(d.Owners) == 0 {
		m.nobody(d, fixes)
		return
	}
	o := &d.Owners[0]
	if len(fixes) == 0 {
		switch {
		case o.PID == 1 && o.Unit == "":
			m.refuse(IsInit, d, o)
		case o.Container != "":
			m.refuse(IsForwarder, d, o)
		default:
			m.refuse(IsLifeline, d, o, userSockets(o)...)
		}
		return
	}
	switch fix := fixes[0]; fix.Code {
	case conflict.FixStopUnit:
		m.unit(d, o, fix)
	case conflict.FixStopSocket:
		m.socket(d, o, fix)
	case conflict.FixStopProgram:
		m.signal(d, false)
	case conflict.FixCloseForward:
		if o.Name != "ssh" && o.Name != "kubectl" {
			m.refuse(IsForwarder, d, o, fix) // an editor: there is more in it than the forwarding
			return
		}
		m.signal(d, o.Name == "ssh")
	case conflict.FixStubListener:
		m.refuse(IsResolver, d, o, fix)
	case conflict.FixLookAsRoot:
		m.refuse(IsPrivileged, d, o)
	default:
		m.refuse(IsForwarder, d, o, fixes...)
	}
}

// nobody decides about a door without a known holder.
func (m *maker) nobody(d *monban.Door, fixes []monban.Fix) {
	switch {
	case d.State == monban.Forwarded:
		m.refuse(IsRule, d, nil, monban.Fix{Code: FixRemoveRule, Args: []string{d.Kernel}})
	case d.Unnamed == monban.HiddenKernel:
		m.refuse(IsKernel, d, nil, fixes...)
	case d.Unnamed == monban.HiddenPrivilege && m.self.UID != 0:
		m.refuse(IsPrivileged, d, nil)
	default:
		m.refuse(IsHidden, d, nil)
	}
}

// userSockets says how to find the .socket unit of a user's service manager.
func userSockets(o *monban.Owner) []monban.Fix {
	if o.Name != "systemd" || o.PID == 1 {
		return nil
	}
	return []monban.Fix{{Code: conflict.FixStopSocket, Args: []string{""}, Command: []string{"systemctl", "--user", "list-sockets"}}}
}

// container stops the container behind a door by the socket of its own engine:
// another engine may have one of the same name.
func (m *maker) container(d *monban.Door, c *monban.Container) {
	if m.self.inside(c.ID) {
		m.refuse(IsOwnUnit, d, nil)
		return
	}
	name := cmp.Or(c.Name, c.ID)
	address := "unix://" + c.Socket
	seconds := strconv.Itoa(int(m.q.Grace.Seconds()))
	s := Step{Action: StopContainer, Name: name, Supervisor: c.Engine, Container: c.ID, Grace: m.q.Grace}
	switch {
	case c.Socket == "" || strings.HasPrefix(name, "-"):
		m.unasked(d, c)
		return
	case c.Engine == "docker":
		s.Command = []string{"docker", "--host", address, "stop", "-t", seconds, name}
	case c.Engine == "podman":
		s.Command = []string{"podman", "--url", address, "stop", "-t", seconds, name}
	default:
		m.unasked(d, c)
		return
	}
	m.add(s, d)
}

// unasked refuses to stop a container whose engine is not known.
func (m *maker) unasked(d *monban.Door, c *monban.Container) {
	for _, g := range m.snap.Gaps {
		if g.Hides == monban.HidesContainers && g.Reason == monban.HiddenPrivilege && m.self.UID != 0 {
			m.refuse(IsPrivileged, d, nil)
			return
		}
	}
	m.refuse(IsContainer, d, &monban.Owner{Name: cmp.Or(c.Name, c.ID[:min(12, len(c.ID))])}, conflict.Stop(d, m.snap)...)
}

// unit stops a service.
func (m *maker) unit(d *monban.Door, o *monban.Owner, fix monban.Fix) {
	s := Step{Action: StopUnit, Name: o.Unit, Supervisor: "systemd", Command: fix.Command, unit: o.Unit}
	switch {
	case m.self.inside(o.Unit):
		m.refuse(IsOwnUnit, d, o)
		return
	case len(fix.Command) < 3:
		m.refuse(IsSilent, d, o, fix)
		return
	case fix.Command[1] == "--user":
		s.User = cmp.Or(o.User, strconv.FormatUint(uint64(o.UID), 10))
		if m.self.UID == 0 && o.UID != 0 {
			// Root talks to a user's manager by the machine's name for itself
			// (systemctl(1), --machine).
			s.Command = slices.Insert(slices.Clone(fix.Command), 2, "--machine="+s.User+"@.host")
		} else if m.self.UID != int(o.UID) {
			m.refuse(IsPrivileged, d, o)
			return
		}
	case m.self.UID != 0:
		m.refuse(IsPrivileged, d, o)
		return
	}
	m.add(s, d)
}

// socket stops a .socket unit, and with it the service that has been given the
// socket: each would leave the door open without the other.
func (m *maker) socket(d *monban.Door, o *monban.Owner, fix monban.Fix) {
	switch {
	case !strings.HasSuffix(o.Unit, ".socket"):
		m.refuse(IsInit, d, o, fix)
		return
	case m.self.UID != 0:
		m.refuse(IsPrivileged, d, o)
		return
	}
	s := Step{Action: StopUnit, Name: o.Unit, Supervisor: "systemd", Command: slices.Clone(fix.Command)}
	for _, other := range d.Owners[1:] {
		if m.self.inside(other.Unit) {
			m.refuse(IsOwnUnit, d, &other)
			return
		}
		if strings.HasSuffix(other.Unit, ".service") && !strings.HasPrefix(other.Unit, "user@") && !slices.Contains(s.Command, other.Unit) {
			s.Command = append(s.Command, other.Unit)
			s.unit = other.Unit
		}
	}
	m.add(s, d)
}

// signal ends the processes that hold a door.
func (m *maker) signal(d *monban.Door, session bool) {
	m.add(Step{Action: Signal, Name: d.Owners[0].Name, Session: session, Grace: m.q.Grace}, d)
}

// add takes a step into the plan, or joins it with one that does the same. All
// signals are one step: a master and those of its workers that have sockets of
// their own end together.
func (m *maker) add(s Step, d *monban.Door) {
	at := slices.IndexFunc(m.plan.Steps, func(o Step) bool {
		return o.Action == s.Action && slices.Equal(o.Command, s.Command)
	})
	if at < 0 {
		at = len(m.plan.Steps)
		m.plan.Steps = append(m.plan.Steps, s)
	}
	into := &m.plan.Steps[at]
	into.Doors = append(into.Doors, *d)
	into.Session = into.Session || s.Session
	for _, o := range d.Owners {
		if !slices.ContainsFunc(into.Processes, func(have monban.Owner) bool { return have.PID == o.PID }) {
			into.Processes = append(into.Processes, o)
		}
	}
	slices.SortStableFunc(into.Processes, func(a, b monban.Owner) int {
		return cmp.Or(cmp.Compare(len(a.Parents), len(b.Parents)), cmp.Compare(a.PID, b.PID))
	})
}

func (m *maker) refuse(why Reason, d *monban.Door, o *monban.Owner, instead ...monban.Fix) {
	r := Refusal{Reason: why, Door: *d, Fix: instead}
	if o != nil {
		r.Name, r.PID, r.User = o.Name, o.PID, o.User
	}
	// The two halves of a door, 0.0.0.0 and ::, are refused once.
	if !slices.ContainsFunc(m.plan.Refused, func(have Refusal) bool { return have.Reason == why && have.PID == r.PID }) {
		m.plan.Refused = append(m.plan.Refused, r)
	}
}

// also finds the other doors that close with a step.
func (m *maker) also(s *Step) {
	type place struct {
		port monban.Port
		addr netip.Addr
	}
	seen := make(map[place]bool)
	for i := range m.snap.Doors {
		d := &m.snap.Doors[i]
		at := place{d.Bind.Port, d.Bind.Addr}
		if d.Bind.NetNS != "" || seen[at] || slices.ContainsFunc(s.Doors, func(o monban.Door) bool { return o.Bind == d.Bind }) {
			continue
		}
		if m.closes(s, d) {
			seen[at] = true
			s.Also = append(s.Also, *d)
		}
	}
}

// closes reports whether a step closes the door d, too.
func (m *maker) closes(s *Step, d *monban.Door) bool {
	if s.Container != "" {
		c := conflict.ContainerOf(d, m.snap)
		return c != nil && c.ID == s.Container
	}
	if len(d.Owners) == 0 {
		return false
	}
	// It stays open as long as one holder stays.
	return !slices.ContainsFunc(d.Owners, func(o monban.Owner) bool {
		if s.Action == StopUnit {
			return !slices.Contains(s.Command, o.Unit)
		}
		return !slices.ContainsFunc(s.Processes, func(p monban.Owner) bool { return p.PID == o.PID })
	})
}
