package conflict

import (
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// unnamed reports the doors whose owner cannot be named, one finding for each
// reason. Info: it is about what could be seen, not about what is wrong. Only a
// socket without a process and without a kernel feature to explain it is Low:
// that is also how a hidden process looks.
func (in *inspection) unnamed() {
	type group struct {
		reason monban.Hidden
		kernel string
		others bool // hidden because it is another user's
	}
	var order []group
	doors := map[group][]monban.Door{}
	for _, d := range in.snap.Doors {
		if d.Unnamed == monban.NotHidden || d.Unnamed == monban.HiddenNotAsked || d.State == monban.Forwarded ||
			len(d.Owners) > 0 || containerOf(&d, in.snap) != nil {
			continue
		}
		g := group{d.Unnamed, d.Kernel, othersOwn(&d, &in.snap.Host)}
		if len(doors[g]) == 0 {
			order = append(order, g)
		}
		doors[g] = append(doors[g], d)
	}
	for _, g := range order {
		f := monban.Finding{Kind: monban.UnnamedOwner, Severity: monban.Info,
			Evidence: []monban.Evidence{{Source: "owners", Text: g.reason.String()}}}
		switch {
		case g.reason == monban.HiddenPrivilege && in.snap.Host.UID != 0:
			f.Fix = lookAsRoot(monban.Port{}, in.snap)
		case g.reason == monban.HiddenKernel && g.kernel == "":
			f.Severity = monban.Low
		case g.reason == monban.HiddenKernel:
			f.Evidence[0].Text += " " + g.kernel
		}
		in.add(f, doors[g]...)
	}
}

// ephemeral reports TCP servers inside the range that outgoing connections take
// their ports from: at the next start the number may be lent to a client. Low,
// because it works until it does not. Info where the number was most likely the
// kernel's own choice, which is asked for anew at each start: behind the
// loopback address (development tools talking to themselves), for the helpers of
// the port mapper, and for ports that a container engine chose. Those are one
// finding for each program, however many doors it has.
func (in *inspection) ephemeral() {
	type key struct {
		program string
		port    uint16
	}
	var order []key
	doors := map[key][]monban.Door{}
	for _, d := range in.snap.Doors {
		if d.Bind.Port.Proto != monban.TCP || d.State != monban.Listen || !lendable(&in.snap.Host, d.Bind.Port) {
			continue
		}
		k := key{program: programKey(&d, in.snap)}
		if !chosen(&d, in.snap) {
			k.port = d.Bind.Port.Num
		}
		if len(doors[k]) == 0 {
			order = append(order, k)
		}
		doors[k] = append(doors[k], d)
	}
	for _, k := range order {
		d := doors[k][0]
		f := monban.Finding{Kind: monban.EphemeralServer, Severity: monban.Info, Evidence: []monban.Evidence{{
			Source: "ip_local_port_range", Text: monban.PortRange{First: in.snap.Host.Ephemeral.First,
				Last: in.snap.Host.Ephemeral.Last}.String()}}}
		if k.port != 0 {
			f.Severity = monban.Low
			f.Fix = []monban.Fix{otherPort(d.Bind, &in.snap.Host, in.open), reserve(&in.snap.Host, d.Bind.Port)}
		}
		in.add(f, doors[k]...)
	}
}

// chosen reports whether the kernel or an engine most likely chose the number.
func chosen(d *monban.Door, snap *monban.Snapshot) bool {
	if d.Bind.Scope() == monban.ScopeLoopback || containerOf(d, snap) != nil {
		return true
	}
	for i := range d.Owners {
		if strings.HasPrefix(d.Owners[i].Name, "rpc.") || d.Owners[i].Name == "rpcbind" {
			return true
		}
	}
	return d.Unnamed == monban.HiddenKernel // lockd and callbacks of NFS
}

// programKey tells programs apart where one finding each is enough.
func programKey(d *monban.Door, snap *monban.Snapshot) string {
	if id := behind(d, snap); id != "" {
		return "container " + id
	}
	if len(d.Owners) == 0 {
		return "hidden " + d.Unnamed.String() + " " + strconv.Itoa(int(d.UID))
	}
	o := &d.Owners[0]
	if s := service(o); s != "" {
		return "unit " + s
	}
	return "pid " + strconv.Itoa(o.PID)
}

// processes reports holders that run a deleted executable, and holders that
// nobody is responsible for, once for each process. Low: an upgrade that waits
// for a restart, a leftover of a closed terminal.
func (in *inspection) processes() {
	var order []int
	doors := map[int][]monban.Door{}
	owner := map[int]monban.Owner{}
	for _, d := range in.snap.Doors {
		if len(d.Owners) == 0 {
			continue
		}
		o := d.Owners[0] // the topmost: its workers are as old as it is
		if !o.Deleted && !o.Orphan {
			continue
		}
		if _, ok := owner[o.PID]; !ok {
			owner[o.PID] = o
			order = append(order, o.PID)
		}
		doors[o.PID] = append(doors[o.PID], d)
	}
	for _, pid := range order {
		o := owner[pid]
		where := "/proc/" + strconv.Itoa(pid)
		if o.Deleted {
			in.add(monban.Finding{Kind: monban.DeletedExe, Severity: monban.Low, Fix: restart(&o),
				Evidence: []monban.Evidence{{Source: where + "/exe", Text: o.Exe}}}, doors[pid]...)
		}
		if o.Orphan {
			in.add(monban.Finding{Kind: monban.OrphanHolder, Severity: monban.Low, Fix: stop(&doors[pid][0], in.snap),
				Evidence: []monban.Evidence{{Source: where + "/stat", Text: parents(&o)}}}, doors[pid]...)
		}
	}
}

func parents(o *monban.Owner) string {
	var b strings.Builder
	b.WriteString(o.Name)
	for _, p := range o.Parents {
		b.WriteString(" ← " + p.Name + " (" + strconv.Itoa(p.PID) + ")")
	}
	return b.String()
}

// restart returns how to run a program's new executable.
func restart(o *monban.Owner) []monban.Fix {
	switch {
	case o.PID == 1:
		return []monban.Fix{{Code: FixReexec, Command: []string{"systemctl", "daemon-reexec"}}}
	case strings.HasSuffix(o.Unit, ".service") && !strings.HasPrefix(o.Unit, "user@"):
		return []monban.Fix{{Code: FixRestartUnit, Args: []string{o.Unit}, Command: systemctl(o, "restart", o.Unit)}}
	}
	return []monban.Fix{{Code: FixRestartProgram, Args: []string{o.Name, strconv.Itoa(o.PID)}}}
}
