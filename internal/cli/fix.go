package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/claims"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/edit"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/lease"
	"github.com/monban-dev/monban/internal/mend"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
)

// fixOptions are the flags of fix.
type fixOptions struct {
	in                  inside
	system, dryRun, yes bool
	undo                bool
}

func (a *app) fixCommand() *cobra.Command {
	var o fixOptions
	cmd := &cobra.Command{
		Use: "fix [PATH…]",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := given(cmd, "load"); err != nil {
				return err
			}
			// It executes nothing, and leaves the starting of programs to people.
			keep := append(toSurvey(), toChange()...)
			if caller(a.sys.Getenv) != os.Geteuid() {
				keep = append(keep, privilege.SetUID, privilege.SetGID)
			}
			a.keep(keep...)
			if o.undo {
				return a.undo(cmd, &o, args)
			}
			return a.fix(cmd.Context(), &o, args)
		},
	}
	cmd.Flags().BoolVar(&o.system, "system", false, "")
	cmd.Flags().StringVar(&o.in.load, "load", "", "")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "")
	cmd.Flags().BoolVar(&o.undo, "undo", false, "")
	return cmd
}

// fixing is one run of fix.
type fixing struct {
	app   *app
	o     *fixOptions
	paths []string
	saved *monban.Snapshot
	dir   string // the work tree
	store *edit.Store
	out   report.Fix
	stdin *bufio.Reader

	// What one look has found.
	snap  *monban.Snapshot
	files map[string]*edit.File // by their names in claims
	why   map[string]error      // why a file of files cannot be changed
	seen  []lease.Lease
}

func (a *app) fix(ctx context.Context, o *fixOptions, paths []string) error {
	f := &fixing{app: a, o: o, paths: paths, stdin: bufio.NewReader(a.sys.Stdin)}
	var err error
	if f.dir, err = workTree(); err != nil {
		return err
	}
	if o.in.load != "" {
		if f.saved, err = f.app.loadSnapshot(o.in.load); err != nil {
			return err
		}
	}
	q, plan, err := f.plan(ctx)
	if err != nil {
		return err
	}
	f.tell(q, plan)
	switch {
	case len(plan.Moves) == 0 && len(plan.Left) == 0:
		return f.end(report.FixNothing, "")
	case len(plan.Moves) == 0:
		return f.end(report.FixRefused, "")
	}
	switch {
	case o.dryRun:
		return f.end(report.FixPlanned, "")
	case !edit.Supported():
		return f.end(report.FixFailed, edit.Unsupported.String())
	}
	if f.store, err = f.storeFor(plan); err != nil {
		return err
	}
	if err := interrupted(f.store); err != nil {
		return err
	}
	if err := f.confirm(); err != nil || f.out.Outcome == report.FixDeclined {
		return err
	}
	return f.act(ctx, plan)
}

// plan looks at the files and the machine and makes a plan.
func (f *fixing) plan(ctx context.Context) (*mend.Question, *mend.Plan, error) {
	f.files, f.why = map[string]*edit.File{}, map[string]error{}
	asked, gaps, err := f.app.asked(f.saved, f.o.system, f.paths)
	if err != nil {
		return nil, nil, err
	}
	if f.snap = f.saved; f.snap == nil {
		all := []monban.PortRange{{First: 0, Last: 65535}}
		f.snap = gather.Snapshot(ctx, gather.Want{Traffic: all, Host: host.Ranges | host.Caps | host.Network})
	}
	ran, ranGaps := []monban.Claim(nil), []monban.Gap(nil)
	if f.o.system {
		ran, ranGaps = running(f.snap)
	}
	q := f.question(append(asked, ran...), append(gaps, ranGaps...), ran, ranGaps)
	q.Snapshot = f.snap
	if q.Numbers, err = f.numbers(q.Claims); err != nil {
		return nil, nil, err
	}
	plan := mend.Make(q)
	q.AdviseBy(plan, plan.Before)
	return q, plan, nil
}

// question asks about claims, the last of which are those of running programs.
func (f *fixing) question(asked []monban.Claim, gaps []monban.Gap, ran []monban.Claim, ranGaps []monban.Gap) *mend.Question {
	return &mend.Question{Claims: asked, Gaps: gaps, File: f.source,
		Read: func(edited map[string][]byte) ([]monban.Claim, []monban.Gap) {
			again, againGaps, err := f.read(edited)
			if err != nil {
				return nil, nil
			}
			return append(again, ran...), append(againGaps, ranGaps...)
		},
	}
}

// numbers knows which ports are free for whom.
func (f *fixing) numbers(asked []monban.Claim) (mend.Numbers, error) {
	// Without a home there are no leases; to change files takes one.
	if file, err := f.app.leases(); err == nil {
		if f.seen, err = file.Read(time.Now()); err != nil {
			return mend.Numbers{}, leaseProblem(err)
		}
	}
	// What nobody has asked about here must not be run into either.
	known := slices.Clone(asked)
	if f.saved == nil {
		if dir, err := os.Getwd(); err != nil || dir != f.dir || len(f.paths) > 0 || f.o.system {
			more, _ := f.app.projectClaims(f.dir)
			known = append(known, more...)
		}
		if p, err := place(nil); err == nil {
			system, _ := claims.System(p)
			// Of the machine's own daemons, those that it will start.
			system, _ = installed(p.FS, system, nil)
			system = slices.DeleteFunc(system, func(c monban.Claim) bool { return c.AtBoot != monban.On })
			known = append(known, system...)
		}
	}
	own := func(c *monban.Claim) lease.Purpose { return lease.Purpose{Dir: f.dir, Name: purposeName(c)} }
	return mend.Numbers{
		Chooser: conflict.NewChooser(f.snap, known), Host: &f.snap.Host,
		Leased: func(num uint16) bool {
			return slices.ContainsFunc(f.seen, func(l lease.Lease) bool { return l.Port == num })
		},
		Home: func(c *monban.Claim) (uint16, uint32) {
			for _, l := range f.seen {
				if l.Purpose == own(c) {
					return l.Port, own(c).Home()
				}
			}
			return 0, own(c).Home()
		},
	}, nil
}

// purposeName is what a program's port is leased for.
func purposeName(c *monban.Claim) string {
	if lease.ValidName(c.Name) {
		return c.Name
	}
	return c.By
}

// absolute is the path of a file by its name in claims.
func absolute(name string) string {
	if filepath.IsAbs(filepath.FromSlash(name)) {
		return filepath.FromSlash(name)
	}
	if dir, err := os.Getwd(); err == nil {
		return filepath.Join(dir, filepath.FromSlash(name))
	}
	return name
}

// source reads a file that is perhaps to be changed.
func (f *fixing) source(name string) mend.Source {
	file, err := edit.Open(absolute(name))
	f.why[name] = err
	if file == nil {
		o := mend.Unreadable
		if e, ok := errors.AsType[*edit.Error](err); ok {
			o = mend.Obstacle(e.Problem.String())
		}
		return mend.Source{Obstacle: o}
	}
	f.files[name] = file
	src := mend.Source{Path: file.Path, Data: file.Data, Own: file.OwnedBy(caller(f.app.sys.Getenv))}
	if e, ok := errors.AsType[*edit.Error](err); ok {
		src.Obstacle = mend.Obstacle(e.Problem.String())
	} else if bytes.HasPrefix(file.Data, []byte{0xff, 0xfe}) || bytes.HasPrefix(file.Data, []byte{0xfe, 0xff}) {
		src.Obstacle = mend.Wide
	}
	return src
}

// caller is the user who asks, also under sudo.
func caller(getenv func(string) string) int {
	uid := os.Geteuid()
	if uid == 0 {
		if invoker, err := strconv.ParseUint(getenv("SUDO_UID"), 10, 31); err == nil {
			return int(invoker)
		}
	}
	return uid
}

// storeFor is where the old contents are kept. The invoking user's store under
// sudo is for files that are that user's own: what is not must neither be
// readable there, nor be written by what stands there.
func (f *fixing) storeFor(plan *mend.Plan) (*edit.Store, error) {
	stores, err := stores(f.app.sys.Getenv)
	if err != nil {
		return nil, err
	}
	for _, name := range plan.Names {
		if !f.files[name].OwnedBy(caller(f.app.sys.Getenv)) {
			return stores[0], nil
		}
	}
	return stores[len(stores)-1], nil
}

// stores are those of the user who runs the program and, under sudo, of the one
// who called it.
func stores(getenv func(string) string) ([]*edit.Store, error) {
	own, err := lease.Find(func(name string) string {
		if name == "SUDO_UID" {
			return ""
		}
		return getenv(name)
	})
	if err != nil {
		return nil, leaseProblem(err)
	}
	dir := func(l *lease.File) string { return filepath.Join(filepath.Dir(l.Path()), "fixes") }
	out := []*edit.Store{{Dir: dir(own), Shared: os.Geteuid() == 0}}
	if caller(getenv) != os.Geteuid() {
		theirs, err := lease.Find(getenv)
		if err != nil {
			return nil, leaseProblem(err)
		}
		out = append(out, &edit.Store{Dir: dir(theirs), As: theirs.Act})
	}
	return out, nil
}

// interrupted is the error where an earlier change was broken off.
func interrupted(s *edit.Store) error {
	records, err := s.Records()
	if err != nil {
		return editProblem(err)
	}
	for _, r := range records {
		if r.Pending {
			return report.FixInterrupted(r.Dir, r.ID)
		}
	}
	return nil
}

// act does what was confirmed, after it has been proven that everything is still
// as it was shown.
func (f *fixing) act(ctx context.Context, shown *mend.Plan) error {
	_, again, err := f.plan(ctx)
	if err != nil {
		return err
	}
	if !samePlan(shown, again) {
		return f.end(report.FixFailed, report.FixChanged)
	}
	changes := f.changes(again)
	granted, err := f.grant(ctx, again)
	if err != nil {
		return err
	}
	r, err := f.store.Apply(changes, edit.Record{Dir: f.dir, At: time.Now(), Leases: granted})
	if err != nil {
		f.giveBack(ctx, f.dir, granted)
		return f.failed(err)
	}
	f.out.Backup = r.ID
	return f.verify(ctx, again)
}

// samePlan reports whether two plans do the same for the same reasons.
func samePlan(a, b *mend.Plan) bool {
	return reflect.DeepEqual(a.Files, b.Files) && slices.EqualFunc(a.Moves, b.Moves, func(x, y mend.Move) bool {
		return x.From == y.From && x.To == y.To && x.Reason == y.Reason && slices.Equal(x.Claims, y.Claims) && slices.Equal(x.Edits, y.Edits)
	})
}

// changes are the new contents of the plan's files, each once.
func (f *fixing) changes(plan *mend.Plan) []edit.Change {
	var out []edit.Change
	for _, name := range plan.Names {
		file := f.files[name]
		out = append(out, edit.Change{File: file, Data: plan.Files[file.Path]})
	}
	return out
}

// grant leases the ports that no custom keeps, and returns those that are new.
func (f *fixing) grant(ctx context.Context, plan *mend.Plan) (granted []uint16, err error) {
	if !slices.ContainsFunc(plan.Moves, func(m mend.Move) bool { return m.Leased }) {
		return nil, nil
	}
	file, err := f.app.leases()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	err = file.Update(ctx, time.Now(), func(t *lease.Table) error {
		for _, m := range plan.Moves {
			p := lease.Purpose{Dir: f.dir, Name: purposeName(&plan.Before[m.Claims[0]].Claim)}
			if l, ok := t.Use(p); !m.Leased || ok && l.Port == m.To {
				continue
			}
			if t.Has(m.To) {
				return report.FixPortTaken(m.To)
			}
			for _, l := range t.All() {
				if l.Purpose == p { // two programs of one name: the second gets another
					p.Nth++
				}
			}
			t.Grant(p, m.To)
			granted = append(granted, m.To)
		}
		return nil
	})
	if err != nil {
		return nil, leaseProblem(err)
	}
	return granted, nil
}

// giveBack releases the leases that were granted for a change which was not made,
// or is taken back, and returns their ports.
func (f *fixing) giveBack(ctx context.Context, dir string, ports []uint16) (released []uint16) {
	file, err := f.app.leases()
	if err != nil || len(ports) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	// They expire by themselves if this fails.
	_ = file.Update(ctx, time.Now(), func(t *lease.Table) error {
		for _, l := range t.Release(func(l lease.Lease) bool { return l.Purpose.Dir == dir && slices.Contains(ports, l.Port) }) {
			released = append(released, l.Port)
		}
		return nil
	})
	return released
}

// verify reads what is on disk now, and says what came of it.
func (f *fixing) verify(ctx context.Context, plan *mend.Plan) error {
	found, _, err := f.app.asked(f.saved, f.o.system, f.paths)
	if err != nil {
		return err
	}
	if f.saved == nil {
		f.snap = gather.Snapshot(ctx, gather.Want{Traffic: trafficOf(found), Host: host.Ranges | host.Caps | host.Network})
	}
	after := conflict.Predict(found, f.snap)
	for _, m := range plan.Moves {
		for _, i := range m.Claims {
			if i >= len(after) || after[i].Judgement.Bind.Port.Num != m.To || after[i].Judgement.Outcome == monban.Fails && plan.After[i].Judgement.Outcome != monban.Fails {
				return f.end(report.FixFailed, report.FixInTheWay)
			}
		}
	}
	return f.end(report.FixDone, "")
}
