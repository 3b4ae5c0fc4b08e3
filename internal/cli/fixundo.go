package cli

import (
	"bufio"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban/internal/edit"
	"github.com/monban-dev/monban/internal/report"
)

// undo takes back the latest change that was made here, or the one that is
// named.
func (a *app) undo(cmd *cobra.Command, o *fixOptions, args []string) error {
	switch {
	case o.system:
		return report.Together("--undo", "--system")
	case o.in.load != "":
		return report.Together("--undo", "--load")
	case len(args) > 1:
		return report.ExtraArguments(cmd.CommandPath()+" --undo", args[1:])
	}
	f := &fixing{app: a, o: o, stdin: bufio.NewReader(a.sys.Stdin), snap: identity(nil)}
	f.out.Undo = true
	var err error
	if f.dir, err = workTree(); err != nil {
		return err
	}
	r, err := f.latest(args)
	if err != nil {
		return err
	}
	f.out.Backup, f.out.At = r.ID, r.At
	u, err := f.store.Undo(r)
	if err != nil {
		return f.failed(err)
	}
	for _, c := range u.Changes {
		f.out.Files = append(f.out.Files, report.FixFile{Name: shownPath(c.File.Path), Before: c.File.Data, After: c.Data})
	}
	if o.dryRun {
		return f.end(report.FixPlanned, "")
	}
	if err := f.confirm(); err != nil || f.out.Outcome == report.FixDeclined {
		return err
	}
	if err := f.store.Revert(u); err != nil {
		return f.failed(err)
	}
	f.out.Released = f.giveBack(cmd.Context(), r.Dir, r.Leases)
	return f.end(report.FixUndone, "")
}

// latest finds the record to take back, and its store.
func (f *fixing) latest(args []string) (*edit.Record, error) {
	all, err := stores(f.app.sys.Getenv)
	if err != nil {
		return nil, err
	}
	var found, elsewhere *edit.Record
	for _, s := range all {
		records, err := s.Records()
		if err != nil {
			return nil, editProblem(err)
		}
		for _, r := range records {
			here := r.Dir == f.dir
			if len(args) > 0 {
				here = r.ID == args[0]
			}
			switch {
			case here && (found == nil || r.At.After(found.At)):
				found, f.store = r, s
			case !here && (elsewhere == nil || r.At.After(elsewhere.At)):
				elsewhere = r
			}
		}
	}
	switch {
	case found != nil:
		return found, nil
	case len(args) > 0:
		return nil, report.NoSuchFix(args[0])
	case elsewhere != nil:
		return nil, report.FixedElsewhere(f.dir, elsewhere.Dir, elsewhere.ID)
	}
	return nil, report.NothingToUndo(f.dir)
}

// shownPath is a path as a person would type it.
func shownPath(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
