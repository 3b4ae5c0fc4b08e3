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
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/free"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
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
	// DACOverride is for the sockets of container engines that are other users'.
	a.lower(append(toSurvey(), privilege.Kill, privilege.DACOverride)...)
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
		return q, report.BadGrace(o.grace, maxGrace)
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
		Host:    host.Ranges | host.Caps | host.Network, Rules: true,
	})
	if !slices.ContainsFunc(snap.Doors, func(d monban.Door) bool { return d.Bind.Port == f.q.Port }) {
		forwarded, _ := exposure.Forwarded(snap) // perhaps a rule answers there
		snap.Doors = append(snap.Doors, forwarded...)
	}
	snap.Gaps = append(f.relevant(snap), f.gaps...)
	return snap
}

// relevant are the gaps that bear on this port: whose the other doors are is
// of no account here.
func (f *freeing) relevant(snap *monban.Snapshot) []monban.Gap {
	unnamed := slices.ContainsFunc(snap.Doors, func(d monban.Door) bool {
		return d.Bind.Port == f.q.Port && d.Unnamed != monban.NotHidden
	})
	held := slices.ContainsFunc(snap.Doors, func(d monban.Door) bool { return d.Bind.Port == f.q.Port })
	return slices.DeleteFunc(snap.Gaps, func(g monban.Gap) bool {
		return !unnamed && (g.Hides == monban.HidesOwners || g.Hides == monban.HidesDetails) || held && g.Hides == monban.HidesRules
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

// end shows the result, which needs no privilege, and returns its exit code.
func (f *freeing) end(snap *monban.Snapshot, outcome report.FreeOutcome, reason string) error {
	f.app.keep()
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
