package cli

import (
	"bufio"
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/free"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
	"github.com/monban-dev/monban/sockets"
)

// Times of free.
const (
	maxGrace = time.Hour
	// patience is how long a door may take to close after its holder was stopped.
	patience = 2 * time.Second
	// watchFor is how long a door is watched for somebody who opens it again.
	// systemd waits 100 ms before it starts a service anew, and most others less.
	watchFor = 2 * time.Second
)

// freeOptions are the flags of free.
type freeOptions struct {
	address     string
	pid         int
	grace       time.Duration
	dryRun, yes bool
}

func (a *app) freeCommand() *cobra.Command {
	var o freeOptions
	cmd := &cobra.Command{
		Use: "free PORT",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return report.MissingArgument("monban free 8080")
			case 1:
				return a.free(cmd.Context(), &o, args[0])
			}
			return report.ExtraArguments(cmd.CommandPath(), args[1:])
		},
	}
	cmd.Flags().StringVar(&o.address, "address", "", "")
	cmd.Flags().IntVar(&o.pid, "pid", 0, "")
	cmd.Flags().DurationVar(&o.grace, "grace", 10*time.Second, "")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "")
	return cmd
}

// freeing is one run of free.
type freeing struct {
	app   *app
	o     *freeOptions
	book  *portbook.Book
	gaps  []monban.Gap
	arg   string
	q     free.Question
	self  free.Self
	out   report.Free
	stdin *bufio.Reader
}

func (a *app) free(ctx context.Context, o *freeOptions, arg string) error {
	f := &freeing{app: a, o: o, arg: arg, stdin: bufio.NewReader(a.sys.Stdin)}
	f.book, f.gaps = a.book()
	var err error
	if f.q, err = o.question(f.book, arg); err != nil {
		return err
	}
	f.out = report.Free{Port: f.q.Port, Addr: f.q.Addr}
	if f.self, err = free.Myself(a.sys.Getenv); errors.Is(err, errors.ErrUnsupported) {
		return report.NoFreeHere(runtime.GOOS)
	}
	return f.run(ctx)
}

// question reads the command line. A port without a transport is a TCP port.
func (o *freeOptions) question(book names, arg string) (free.Question, error) {
	q := free.Question{PID: o.pid, Grace: o.grace}
	if o.grace < 0 || o.grace > maxGrace {
		return q, report.BadGrace(o.grace.String(), maxGrace)
	}
	if o.address != "" {
		addr, err := netip.ParseAddr(strings.Trim(o.address, "[]"))
		if err != nil {
			return q, report.BadAddress("--address", o.address)
		}
		q.Addr = addr
	}
	ranges, err := parsePorts(book, []string{arg})
	if err != nil {
		return q, err
	}
	if !strings.Contains(arg, "/") {
		ranges = inTCP(ranges)
	}
	ranges = slices.Compact(ranges)
	switch {
	case len(ranges) > 1:
		return q, report.SeveralPorts(arg, ranges)
	case ranges[0].First != ranges[0].Last:
		return q, report.PortProblem(arg, &monban.PortError{Text: arg, Problem: monban.NotOnePort})
	}
	q.Port = monban.Port{Num: ranges[0].First, Proto: ranges[0].Proto}
	return q, nil
}

// inTCP keeps the TCP ports, if there are any.
func inTCP(ranges []monban.PortRange) []monban.PortRange {
	var tcp []monban.PortRange
	for _, r := range ranges {
		if r.Proto == monban.AnyProto {
			r.Proto = monban.TCP
		}
		if r.Proto == monban.TCP {
			tcp = append(tcp, r)
		}
	}
	if len(tcp) == 0 {
		return ranges
	}
	return tcp
}

// look takes a snapshot of every door, so that the plan can say what else
// closes.
func (f *freeing) look(ctx context.Context) *monban.Snapshot {
	snap := gather.Snapshot(ctx, gather.Want{
		Traffic: []monban.PortRange{{First: f.q.Port.Num, Last: f.q.Port.Num, Proto: f.q.Port.Proto}},
		Host:    host.Ranges | host.Caps | host.Network,
	})
	snap.Gaps = append(f.relevant(snap), f.gaps...)
	return snap
}

// relevant are the gaps that bear on this port: whose the other doors are is
// of no account here.
func (f *freeing) relevant(snap *monban.Snapshot) []monban.Gap {
	unnamed := slices.ContainsFunc(snap.Doors, func(d monban.Door) bool {
		return d.Bind.Port == f.q.Port && d.Unnamed != monban.NotHidden
	})
	return slices.DeleteFunc(snap.Gaps, func(g monban.Gap) bool {
		return !unnamed && (g.Hides == monban.HidesOwners || g.Hides == monban.HidesDetails)
	})
}

func (f *freeing) run(ctx context.Context) error {
	snap := f.look(ctx)
	plan := free.Make(f.q, snap, f.self)
	if len(plan.Programs) > 1 {
		var err error
		if plan, err = f.choose(plan, snap); err != nil || plan == nil {
			return err
		}
	}
	if len(plan.Programs) == 0 {
		return f.nobody(snap)
	}
	plan.Prepare(ctx, f.self)
	defer plan.Close()
	f.tell(plan, snap)
	if !plan.Ready() {
		return f.end(snap, report.FreeRefused, "")
	}
	if f.o.dryRun {
		return f.end(snap, report.FreePlanned, "")
	}
	if err := f.confirm(snap); err != nil || f.out.Outcome == report.FreeDeclined {
		return err
	}
	return f.act(ctx, plan, snap)
}

// tell puts a plan into the report.
func (f *freeing) tell(plan *free.Plan, snap *monban.Snapshot) {
	f.out.Addr = plan.Question.Addr
	f.out.Programs, f.out.Choices = plan.Programs, nil
	f.out.Steps, f.out.Refused = nil, nil
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if len(plan.Refused) > 0 {
			break
		}
		f.out.Steps = append(f.out.Steps, report.FreeStep{Action: string(s.Action), Name: s.Name, Supervisor: s.Supervisor,
			Command: s.Command, Processes: s.Processes, Grace: s.Grace, Session: s.Session, Also: s.Also})
	}
	for _, r := range plan.Refused {
		f.out.Refused = append(f.out.Refused, report.FreeRefusal{Reason: string(r.Reason), Door: r.Door, Name: r.Name,
			PID: r.PID, User: r.User, Output: r.Output, Fix: r.Fix})
		if r.Reason == free.IsPrivileged && f.self.UID != 0 {
			f.out.Again = append([]string{"sudo"}, f.commandLine(plan.Question)...)
		}
	}
	f.out.Others = f.others(plan, snap)
}

// others are the doors of the same number that the plan leaves alone.
func (f *freeing) others(plan *free.Plan, snap *monban.Snapshot) []monban.Door {
	var list []monban.Door
	mine := plan.Doors()
	for _, d := range snap.Doors {
		if d.Bind.Port.Num == f.q.Port.Num && f.q.Port.Num != 0 &&
			!slices.ContainsFunc(mine, func(o monban.Door) bool { return o.Bind == d.Bind && o.Inode == d.Inode }) {
			list = append(list, d)
		}
	}
	return list
}

// commandLine is the command line that asks q.
func (f *freeing) commandLine(q free.Question) []string {
	line := []string{"monban", "free", f.arg}
	if q.Addr.IsValid() {
		line = append(line, "--address", q.Addr.String())
	}
	if q.PID != 0 {
		line = append(line, "--pid", strconv.Itoa(q.PID))
	}
	return line
}

// narrowed returns the question about one of several programs: by its address
// if nobody else is there, else by its process.
func (f *freeing) narrowed(plan *free.Plan, i int) free.Question {
	q := plan.Question
	doors := plan.Programs[i]
	alone := q
	alone.Addr = doors[0].Bind.Addr
	asked := 0
	for _, d := range plan.Doors() {
		if alone.Asks(&d) {
			asked++
		}
	}
	pid := slices.IndexFunc(doors, func(d monban.Door) bool { return len(d.Owners) > 0 })
	if pid < 0 || asked == len(doors) && alone.Asks(&doors[len(doors)-1]) {
		return alone
	}
	q.PID = doors[pid].Owners[0].PID
	return q
}

// choose asks which of several programs is meant. It returns nil where nobody
// can be asked, or where the answer is none.
func (f *freeing) choose(plan *free.Plan, snap *monban.Snapshot) (*free.Plan, error) {
	f.out.Programs = plan.Programs
	for i := range plan.Programs {
		f.out.Choices = append(f.out.Choices, f.commandLine(f.narrowed(plan, i)))
	}
	if !f.app.sys.StdinTerminal || f.o.yes || f.o.dryRun {
		f.out.Outcome = report.FreeChoose
		if err := f.show(snap); err != nil {
			return nil, err
		}
		return nil, report.NeedsChoice(f.q.Port, len(plan.Programs), f.out.Choices[0])
	}
	if err := f.showPlan(snap); err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(f.ask(report.ChooseFree(f.app.lang, len(plan.Programs)))))
	if err != nil || n < 1 || n > len(plan.Programs) {
		f.out.PlanShown = true
		f.out.Choices = nil
		return nil, f.end(snap, report.FreeDeclined, "")
	}
	f.q = f.narrowed(plan, n-1)
	return free.Make(f.q, snap, f.self), nil
}

// confirm asks whether to go on. Outcome is FreeDeclined after a no.
func (f *freeing) confirm(snap *monban.Snapshot) error {
	if !f.o.yes && !f.app.sys.StdinTerminal {
		f.out.Outcome, f.out.Reason = report.FreePlanned, "not-confirmed"
		if err := f.show(snap); err != nil {
			return err
		}
		return report.NeedsYes()
	}
	if f.app.style().Format != report.JSON || !f.o.yes {
		if err := f.showPlan(snap); err != nil {
			return err
		}
	}
	f.out.PlanShown = true
	if f.o.yes || report.Agrees(f.ask(report.ConfirmFree(f.app.lang))) {
		return nil
	}
	return f.end(snap, report.FreeDeclined, "")
}

// ask asks a question at the terminal; "" is no answer.
func (f *freeing) ask(question string) string {
	if err := report.WritePrompt(f.app.sys.Stderr, question); err != nil {
		return ""
	}
	line, err := f.stdin.ReadString('\n')
	if err != nil {
		return "" // Ctrl-D is no yes
	}
	return line
}

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

// end shows the result and returns its exit code.
func (f *freeing) end(snap *monban.Snapshot, outcome report.FreeOutcome, reason string) error {
	f.out.Outcome, f.out.Reason = outcome, reason
	if reason == "" && len(f.out.Refused) > 0 {
		f.out.Reason = f.out.Refused[0].Reason
	}
	if err := f.show(snap); err != nil {
		return err
	}
	switch outcome {
	case report.FreeRefused, report.FreeFailed, report.FreeDeclined:
		return shownError{exitFailed}
	}
	return nil
}

func (f *freeing) show(snap *monban.Snapshot) error {
	return f.app.show(f.result(snap), f.app.style(), monban.SeverityUnknown)
}

func (f *freeing) result(snap *monban.Snapshot) report.Result {
	return report.Result{Verb: "free", Snapshot: snap, Book: f.book, Data: f.out}
}

// showPlan shows the plan to whoever is about to be asked: on standard output,
// unless that is for a program.
func (f *freeing) showPlan(snap *monban.Snapshot) error {
	s := f.app.style()
	to := f.app.sys.Stdout
	if s.Format == report.JSON {
		s.Format, s.Lang = report.Text, f.app.lang
		to = f.app.sys.Stderr
	}
	if err := report.WritePlan(to, f.result(snap), s); err != nil {
		return report.CannotWrite("stdout", err)
	}
	return nil
}
