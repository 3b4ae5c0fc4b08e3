package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/internal/free"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/sockets"
)

// act does what was confirmed, after it has been proven that everything is still
// as it was shown.
func (f *freeing) act(ctx context.Context, plan *free.Plan, snap *monban.Snapshot) error {
	before := f.look(ctx)
	again := free.Make(f.q, before, f.self)
	if len(again.Programs) == 0 {
		return f.nobody(before)
	}
	again.Prepare(ctx, f.self)
	defer again.Close()
	if !again.Ready() || !plan.Same(again) {
		f.out.Left = again.Doors()
		return f.end(before, report.FreeFailed, report.FreeChanged)
	}
	if f.app.sys.Terminal {
		// A terminal that cannot be written to shows nothing else either.
		_ = report.WritePrompt(f.app.sys.Stderr, report.StoppingFree(f.app.lang, watchFor))
	}
	failed := false
	for i := range plan.Steps {
		r := plan.Act(ctx, i)
		s := &f.out.Steps[i]
		s.Done, s.Output = true, r.Output
		for _, sent := range r.Sent {
			s.Sent = append(s.Sent, report.FreeSignal(sent))
		}
		if r.Err != nil {
			s.Err, failed = r.Err.Error(), true
		}
	}
	return f.verify(ctx, plan, before, failed)
}

// verify watches the door and says what came of it.
func (f *freeing) verify(ctx context.Context, plan *free.Plan, before *monban.Snapshot, failed bool) error {
	wait := patience
	if failed {
		wait = 0
	}
	mine := f.scope(plan, before)
	free.Watch(ctx, plan.Doors(), wait, watchFor, func() []monban.Door {
		doors, _ := sockets.Doors(sockets.Options{Ports: []monban.PortRange{{First: f.q.Port.Num, Last: f.q.Port.Num, Proto: f.q.Port.Proto}}})
		return slices.DeleteFunc(doors, func(d monban.Door) bool { return !mine(&d) })
	})
	after := f.look(ctx)
	f.out.Left = nil
	for _, d := range after.Doors {
		if mine(&d) {
			f.out.Left = append(f.out.Left, d)
		}
	}
	f.out.Others = slices.DeleteFunc(f.others(plan, after), func(d monban.Door) bool { return mine(&d) })
	f.out.Bind = f.stillInTheWay(plan, after)
	switch {
	case len(f.out.Left) == 0 && ctx.Err() == nil:
		f.out.Watched = watchFor
		return f.end(after, report.FreeFreed, "")
	case ctx.Err() != nil:
		return f.end(after, report.FreeFailed, report.FreeInterrupted)
	}
	reason := f.reason(plan)
	if reason == report.FreeCameBack {
		f.out.Fix = f.atTheRoot(ctx, after)
	} else {
		f.out.Fix = conflict.Stop(&f.out.Left[0], after)
	}
	return f.end(after, report.FreeFailed, reason)
}

// scope returns what tells whether a door is in the place that was to become
// free. Doors that were there before, beside those of the plan, are not.
func (f *freeing) scope(plan *free.Plan, before *monban.Snapshot) func(*monban.Door) bool {
	place := free.Question{Port: f.q.Port, Addr: f.q.Addr}
	mine, others := plan.Doors(), f.others(plan, before)
	return func(d *monban.Door) bool {
		same := func(o monban.Door) bool { return o.Bind == d.Bind && o.Inode == d.Inode }
		at := func(o monban.Door) bool { return o.Bind.Addr.Unmap() == d.Bind.Addr.Unmap() }
		switch {
		case !place.Asks(d), slices.ContainsFunc(others, same):
			return false
		case slices.ContainsFunc(mine, at):
			return true
		}
		return len(others) == 0 && f.q.PID == 0
	}
}

// reason tells a holder that stayed from one that was started again, and from
// somebody else.
func (f *freeing) reason(plan *free.Plan) string {
	var stayed, back bool
	for _, left := range f.out.Left {
		for _, was := range plan.Doors() {
			stayed = stayed || left.Inode == was.Inode
			back = back || again(&was, &left)
		}
	}
	switch {
	case stayed:
		return report.FreeStillOpen
	case back:
		return report.FreeCameBack
	}
	return report.FreeTaken
}

// again reports whether the program behind a door is another run of the one that
// was behind it before.
func again(was, now *monban.Door) bool {
	if len(was.Owners) == 0 || len(now.Owners) == 0 {
		return was.To.Container != "" && was.To.Container == now.To.Container
	}
	a, b := &was.Owners[0], &now.Owners[0]
	switch {
	case a.Container != "" || b.Container != "":
		return a.Container == b.Container
	case strings.HasSuffix(a.Unit, ".service") && a.Unit == b.Unit:
		return true
	}
	return a.Exe == b.Exe && a.Name == b.Name && a.UID == b.UID
}

// atTheRoot says how to stop what starts the program again.
func (f *freeing) atTheRoot(ctx context.Context, snap *monban.Snapshot) []monban.Fix {
	back := &f.out.Left[0]
	plan := free.Make(free.Question{Port: f.q.Port, Addr: back.Bind.Addr, Grace: f.q.Grace}, snap, f.self)
	plan.Prepare(ctx, f.self)
	defer plan.Close()
	if len(plan.Steps) == 1 && plan.Steps[0].Action == free.StopChild {
		s := &plan.Steps[0]
		return []monban.Fix{{Code: free.FixAtSupervisor, Args: []string{s.Supervisor, s.Name}, Command: s.Command}}
	}
	if len(back.Owners) == 0 {
		return conflict.Stop(back, snap)
	}
	o := &back.Owners[0]
	if strings.HasSuffix(o.Unit, ".service") && !strings.HasPrefix(o.Unit, "user@") {
		return append(conflict.Stop(back, snap), monban.Fix{Code: free.FixUnitStarter, Args: []string{o.Unit},
			Command: []string{"systemctl", "show", "--property=Restart,TriggeredBy,RequiredBy,WantedBy", o.Unit}})
	}
	if o.Container == "" && len(o.Parents) > 0 && o.Parents[0].PID != 1 && !slices.Contains(f.self.Ancestors, o.Parents[0].PID) {
		parent := o.Parents[0]
		return []monban.Fix{{Code: free.FixStopParent, Args: []string{parent.Name, strconv.Itoa(parent.PID)},
			Command: []string{"kill", strconv.Itoa(parent.PID)}}}
	}
	return conflict.Stop(back, snap)
}

// stillInTheWay judges whether a program can open the door now.
func (f *freeing) stillInTheWay(plan *free.Plan, snap *monban.Snapshot) []monban.Judgement {
	var binds []monban.Judgement
	switch {
	case plan == nil && f.q.Addr.IsValid():
		binds = append(binds, conflict.CanBind(monban.Bind{Port: f.q.Port, Addr: f.q.Addr}, snap))
	case plan == nil:
		binds = judge(f.q.Port, snap)
	default:
		for _, d := range plan.Doors() {
			if !slices.ContainsFunc(binds, func(j monban.Judgement) bool { return j.Bind.Addr == d.Bind.Addr }) {
				binds = append(binds, conflict.CanBind(monban.Bind{Port: d.Bind.Port, Addr: d.Bind.Addr}, snap))
			}
		}
	}
	return slices.DeleteFunc(binds, func(j monban.Judgement) bool {
		return j.Outcome != monban.Fails || j.Errno != "EADDRINUSE" || slices.ContainsFunc(j.Against, func(d monban.Door) bool {
			return slices.ContainsFunc(f.out.Left, func(l monban.Door) bool { return l.Inode == d.Inode })
		})
	})
}

// nobody is the answer where no door was found.
func (f *freeing) nobody(snap *monban.Snapshot) error {
	f.out.Programs, f.out.Steps = nil, nil
	f.out.Others = f.others(&free.Plan{}, snap)
	for _, g := range snap.Gaps {
		if g.Hides == monban.HidesDoors {
			return f.end(snap, report.FreeRefused, report.FreeBlind)
		}
	}
	if f.q.Port.Num != 0 && f.q.PID == 0 {
		f.out.Bind = f.stillInTheWay(nil, snap)
	}
	return f.end(snap, report.FreeNobody, "")
}
