package cli

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/lease"
	"github.com/monban-dev/monban/internal/report"
)

// leaseWait is how long to wait for others to write the leases: hundreds of
// callers take their turns within it.
const leaseWait = 30 * time.Second

type pickOptions struct {
	name          string
	count         int
	within        string
	list, release bool
}

func (a *app) pickCommand() *cobra.Command {
	var o pickOptions
	cmd := &cobra.Command{
		Use: "pick",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return err
			}
			switch {
			case o.list:
				return a.listLeases(cmd.Context())
			case o.release:
				return a.releaseLeases(cmd.Context(), args)
			}
			return a.pick(cmd.Context(), &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.name, "for", "", "")
	flags.IntVarP(&o.count, "count", "n", 1, "")
	flags.StringVar(&o.within, "range", "", "")
	flags.BoolVar(&o.list, "list", false, "")
	flags.BoolVar(&o.release, "release", false, "")
	return cmd
}

// check refuses what does not go together, before anything is looked at.
func (o *pickOptions) check(cmd *cobra.Command, args []string) error {
	set := cmd.Flags().Changed
	if o.list || o.release {
		for _, other := range []string{"for", "count", "range"} {
			if set(other) {
				return report.OnlyForPicking("--" + other)
			}
		}
	}
	switch {
	case o.list && o.release:
		return report.OneOf("--list", "--release")
	case !o.release && len(args) > 0:
		return report.PickTakesFlags(args[0])
	case set("for") && !lease.ValidName(o.name):
		return report.BadLeaseName(o.name, lease.MaxName)
	case o.count < 1 || o.count > lease.MaxNth:
		return report.BadCount(o.count, lease.MaxNth)
	}
	return nil
}

// pick prints ports that stay this project's.
func (a *app) pick(ctx context.Context, o *pickOptions) error {
	p, err := a.newPicker(o.name, o.count, o.within)
	if err != nil {
		return err
	}
	data, err := p.pick(ctx)
	if err != nil {
		return err
	}
	report.PickNotes(a.sys.Stderr, data, p.snap, a.lang)
	return a.show(report.Result{Verb: "pick", Snapshot: p.snap, Data: data}, a.style(), monban.SeverityUnknown)
}

// picker leases ports for one purpose.
type picker struct {
	app      *app
	file     *lease.File
	purposes []lease.Purpose
	haven    conflict.Haven
	snap     *monban.Snapshot
	// chooser is nil until a port has to be chosen.
	chooser *conflict.Chooser
}

func (a *app) newPicker(name string, count int, within string) (*picker, error) {
	p := &picker{app: a}
	var err error
	if p.file, err = a.leases(); err != nil {
		return nil, err
	}
	dir, err := workTree()
	if err != nil {
		return nil, err
	}
	for nth := range count {
		if name == "" {
			nth = 0
		}
		p.purposes = append(p.purposes, lease.Purpose{Dir: dir, Name: name, Nth: nth})
	}
	h, gaps := host.Read(host.Ranges | host.Caps)
	p.snap = &monban.Snapshot{At: time.Now(), Host: h, Gaps: gaps}
	p.haven = conflict.FindHaven(&h)
	if within != "" {
		book, _ := a.book()
		list, err := parsePorts(book, []string{within})
		if err != nil {
			return nil, err
		}
		if list = slices.Compact(inTCP(list)); len(list) != 1 || list[0].First == 0 || list[0].Proto != monban.TCP {
			return nil, report.BadPickRange(within)
		}
		p.haven = conflict.Haven{Range: monban.PortRange{First: list[0].First, Last: list[0].Last}, Kind: conflict.Asked}
	}
	return p, nil
}

func (a *app) leases() (*lease.File, error) {
	f, err := lease.Find(a.sys.Getenv)
	if err != nil {
		return nil, leaseProblem(err)
	}
	return f, nil
}

func workTree() (string, error) {
	dir, err := os.Getwd()
	if err == nil {
		dir, err = lease.WorkTree(dir)
	}
	if err != nil {
		return "", report.NoDirectory(err)
	}
	return dir, nil
}

// pick returns the leases of the purposes, those there are and new ones.
func (p *picker) pick(ctx context.Context) (report.Pick, error) {
	kept, err := p.kept()
	if err != nil {
		return report.Pick{}, leaseProblem(err)
	}
	// What everybody else has open and declares takes longer to look at than the
	// lock should be held.
	if len(kept) == len(p.purposes) {
		p.look(ctx, kept)
	} else {
		p.lookForFree(ctx, kept)
	}
	out := p.data()
	err = p.update(ctx, &out)
	if errors.Is(err, errLookAgain) {
		p.lookForFree(ctx, kept)
		out = p.data()
		err = p.update(ctx, &out)
	}
	if err != nil {
		return report.Pick{}, leaseProblem(err)
	}
	p.addDoors(&out)
	return out, nil
}

// errLookAgain says that a lease has gone between reading and locking.
var errLookAgain = errors.New("a lease has gone")

// kept returns the ports that the purposes have already and may keep.
func (p *picker) kept() (kept []monban.PortRange, err error) {
	leases, err := p.file.Read(p.snap.At)
	for _, l := range leases {
		if l.Name != "" && slices.Contains(p.purposes, l.Purpose) && p.mayKeep(l) {
			kept = append(kept, onePort(l.Port))
		}
	}
	return kept, err
}

// mayKeep reports whether a lease is what was asked for. It may be open: by the
// very program it is for. It may lie where none would be given today: a port
// that changes is worse.
func (p *picker) mayKeep(l lease.Lease) bool {
	return p.haven.Kind != conflict.Asked || p.haven.Range.Contains(monban.Port{Num: l.Port})
}

func onePort(num uint16) monban.PortRange { return monban.PortRange{First: num, Last: num} }

// look asks who has ports open now.
func (p *picker) look(ctx context.Context, ports []monban.PortRange) {
	snap := gather.Snapshot(ctx, gather.Want{Ports: ports, Traffic: ports})
	snap.Host, snap.Gaps = p.snap.Host, append(snap.Gaps, p.snap.Gaps...)
	p.snap = snap
}

// lookForFree asks what is open, connected and declared where a port may be chosen.
func (p *picker) lookForFree(ctx context.Context, kept []monban.PortRange) {
	p.look(ctx, append(kept, p.haven.Range))
	claims, gaps := p.app.projectClaims(p.purposes[0].Dir)
	p.snap.Gaps = append(p.snap.Gaps, gaps...)
	p.chooser = conflict.NewChooser(p.snap, claims)
}

func (p *picker) data() report.Pick {
	return report.Pick{Action: report.Picked, File: p.file.Path(), Range: p.haven.Range, Haven: p.haven.Kind.String()}
}

// update takes the purposes' leases, under the lock.
func (p *picker) update(ctx context.Context, out *report.Pick) error {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	return p.file.Update(ctx, p.snap.At, func(t *lease.Table) error {
		for _, purpose := range p.purposes {
			if l, ok := t.Use(purpose); ok && p.mayKeep(l) {
				out.Leases = append(out.Leases, shownLease(l))
				continue
			}
			if p.chooser == nil {
				return errLookAgain
			}
			num, why, ok := p.chooser.Choose(p.haven, start(purpose), t.Has)
			if !ok {
				return p.noneFree(why)
			}
			l := shownLease(t.Grant(purpose, num))
			l.New = true
			out.Leases = append(out.Leases, l)
		}
		return nil
	})
}

// start is where the search for a port begins.
func start(p lease.Purpose) uint32 {
	if p.Name == "" {
		return rand.Uint32()
	}
	return p.Home()
}

func (p *picker) noneFree(why conflict.Tally) error {
	var counts []report.Count
	for o, n := range why {
		if n > 0 {
			counts = append(counts, report.Count{Code: conflict.Obstacle(o).String(), N: n})
		}
	}
	return report.NoFreePort(p.haven.Range, counts)
}

// addDoors puts what is open at the ports beside the leases.
func (p *picker) addDoors(out *report.Pick) {
	for i := range out.Leases {
		for _, d := range p.snap.Doors {
			if d.Bind.Port.Num == out.Leases[i].Port {
				out.Leases[i].Doors = append(out.Leases[i].Doors, d)
			}
		}
	}
}

func shownLease(l lease.Lease) report.Lease {
	return report.Lease{Port: l.Port, Name: l.Name, Nth: l.Nth, Dir: l.Dir, Since: l.Since, Until: l.Until}
}

// listLeases shows who has which port until when, and whether it is open.
func (a *app) listLeases(ctx context.Context) error {
	f, err := a.leases()
	if err != nil {
		return err
	}
	leases, err := f.Read(time.Now())
	if err != nil {
		return leaseProblem(err)
	}
	p := &picker{app: a, file: f, snap: identity(nil)}
	data := report.Pick{Action: report.Listed, File: f.Path()}
	var ports []monban.PortRange
	for _, l := range leases {
		data.Leases = append(data.Leases, shownLease(l))
		ports = append(ports, onePort(l.Port))
	}
	if len(ports) > 0 {
		p.look(ctx, ports)
		p.addDoors(&data)
	}
	book, _ := a.book()
	return a.show(report.Result{Verb: "pick", Snapshot: p.snap, Book: book, Data: data}, a.style(), monban.SeverityUnknown)
}

// releaseLeases gives ports back: those named, by number or by their name in
// this work tree, or all of this work tree.
func (a *app) releaseLeases(ctx context.Context, args []string) error {
	f, err := a.leases()
	if err != nil {
		return err
	}
	dir, err := workTree()
	if err != nil {
		return err
	}
	data := report.Pick{Action: report.Released, File: f.Path()}
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	err = f.Update(ctx, time.Now(), func(t *lease.Table) error {
		released, err := release(t, dir, args)
		for _, l := range released {
			data.Leases = append(data.Leases, shownLease(l))
		}
		return err
	})
	if err != nil {
		return leaseProblem(err)
	}
	return a.show(report.Result{Verb: "pick", Snapshot: identity(nil), Data: data}, a.style(), monban.SeverityUnknown)
}

func release(t *lease.Table, dir string, args []string) ([]lease.Lease, error) {
	if len(args) == 0 {
		return t.Release(func(l lease.Lease) bool { return l.Dir == dir }), nil
	}
	var out []lease.Lease
	for _, arg := range args {
		match := func(l lease.Lease) bool { return l.Dir == dir && l.Name == arg }
		if port, err := monban.ParsePort(arg); err == nil {
			match = func(l lease.Lease) bool { return l.Port == port.Num }
		}
		released := t.Release(match)
		if len(released) == 0 {
			return nil, report.NoSuchLease(arg, dir)
		}
		out = append(out, released...)
	}
	return out, nil
}

// leaseProblem finds the words for what is wrong with the leases.
func leaseProblem(err error) error {
	var bad *lease.Error
	if !errors.As(err, &bad) {
		return err
	}
	switch bad.Problem {
	case lease.NoHome:
		return report.NoLeaseHome(err)
	case lease.NoUser:
		return report.NoLeaseUser(err)
	case lease.Refused:
		return report.LeasesRefused(bad.Path, bad.Err)
	case lease.Busy:
		return report.LeasesBusy(bad.Path, err)
	case lease.NotRead:
		return report.LeasesUnreadable(bad.Path, bad.Err)
	case lease.Unsupported:
		return report.LeasesUnsupported(err)
	default:
		return report.LeasesNotSaved(bad.Path, bad.Err)
	}
}
