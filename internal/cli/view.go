package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// inside are the flags of the verbs that look at this machine from inside.
type inside struct {
	save, load, diff string
	failOn           string
}

func (in *inside) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&in.save, "save", "", "")
	cmd.Flags().StringVar(&in.load, "load", "", "")
	cmd.Flags().StringVar(&in.diff, "diff", "", "")
	cmd.Flags().StringVar(&in.failOn, "fail-on", "", "")
}

// earlier returns the view to compare with, nil if none was asked for.
func (a *app) earlier(in *inside) (*monban.Snapshot, error) {
	if in.diff == "" {
		return nil, nil
	}
	if in.diff == stdio && in.load == stdio {
		return nil, report.OneStdin("--diff", "--load")
	}
	return a.loadSnapshot(in.diff)
}

// given refuses flags of the inside view without a value, which would silently
// do nothing.
func given(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if f := cmd.Flags().Lookup(name); f.Changed && strings.Trim(f.Value.String(), ", ") == "" {
			return report.EmptyValue("--" + name)
		}
	}
	return nil
}

// difference shows what changed between two views, and what neither could see.
func (a *app) difference(before, now *monban.Snapshot, book *portbook.Book, s report.Style) error {
	shown := *now
	shown.Gaps = union(now.Gaps, before.Gaps)
	return a.show(report.Result{Verb: "diff", Snapshot: &shown, Book: book, Data: differenceOf(before, now)}, s, monban.SeverityUnknown)
}

// differenceOf compares two views that [judgeBoth] has judged.
func differenceOf(before, now *monban.Snapshot) report.Difference {
	return report.Difference{Since: before.At, Change: monban.Compare(before, now),
		Judged: before.Rules != nil && now.Rules != nil, Reach: reachChanges(before, now)}
}

// union returns the gaps of two views, those they share once.
func union(a, b []monban.Gap) []monban.Gap {
	out := slices.Clone(a)
	for _, g := range b {
		if !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

func (in *inside) threshold() (monban.Severity, error) {
	if in.failOn == "" {
		return monban.SeverityUnknown, nil
	}
	s, err := monban.ParseSeverity(in.failOn)
	if err != nil {
		return s, report.BadChoice("--fail-on", in.failOn, "critical", "high", "medium", "low", "info")
	}
	return s, nil
}

// snapshot returns the saved view, or looks at the machine and saves it. A file
// is always the whole inside view, whatever part of it is shown now.
func (a *app) snapshot(ctx context.Context, in *inside, want gather.Want) (*monban.Snapshot, error) {
	if in.load != "" {
		if in.save != "" {
			return nil, report.Together("--load", "--save")
		}
		return a.loadSnapshot(in.load)
	}
	if in.save == "" {
		return gather.Snapshot(ctx, want), nil
	}
	snap := gather.Snapshot(ctx, want.Whole())
	if in.save == stdio {
		a.silent = true // one output for one reader
		if err := report.SaveSnapshot(a.sys.Stdout, snap, a.showSecrets); err != nil {
			return nil, report.CannotWrite("stdout", err)
		}
		return snap, nil
	}
	if err := writeAtomic(in.save, func(f *os.File) error { return report.SaveSnapshot(f, snap, a.showSecrets) }); err != nil {
		return nil, report.CannotWrite(in.save, err)
	}
	return snap, nil
}

// stdio is standard input or output in the place of a file's name.
const stdio = "-"

func (a *app) loadSnapshot(path string) (*monban.Snapshot, error) {
	if path == stdio {
		snap, err := report.LoadSnapshot(a.sys.Stdin)
		if err != nil {
			return nil, report.CannotRead("stdin", err)
		}
		return snap, nil
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, report.CannotRead(path, err)
	}
	defer f.Close()
	snap, err := report.LoadSnapshot(f)
	if err != nil {
		return nil, report.CannotRead(path, err)
	}
	return snap, nil
}

// openRegular opens a file that the user named. Anything else, such as a FIFO
// that nobody writes to, would keep us waiting for ever.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, report.NotAFile()
	}
	return os.Open(path)
}

// show writes a result, unless standard output has another use, and turns
// --fail-on into the exit code.
func (a *app) show(r report.Result, s report.Style, failOn monban.Severity) error {
	if !a.silent {
		if err := report.Write(a.sys.Stdout, r, s); err != nil {
			return report.CannotWrite("stdout", err)
		}
	}
	for _, f := range r.Findings {
		if failOn != monban.SeverityUnknown && f.Severity >= failOn {
			return foundError{}
		}
	}
	return nil
}

// registryPath is where `ports update` keeps a newer registry: one for the
// machine, which only root may replace, or one for the user.
func (a *app) registryPath() string {
	if a.registryAt != "" {
		return a.registryAt
	}
	if runtime.GOOS == "windows" {
		if dir := a.sys.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "monban", "registry")
		}
		return ""
	}
	if os.Geteuid() == 0 {
		return "/var/lib/monban/registry"
	}
	if dir := a.sys.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "monban", "registry")
	}
	if home := a.sys.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "monban", "registry")
	}
	return ""
}

// book opens the port book: the updated registry where there is one. A broken
// one is a gap; the built-in registry then serves.
func (a *app) book() (*portbook.Book, []monban.Gap) {
	paths := []string{a.registryPath()}
	if paths[0] != "/var/lib/monban/registry" && runtime.GOOS != "windows" {
		paths = append(paths, "/var/lib/monban/registry")
	}
	var gaps []monban.Gap
	for _, path := range paths {
		if path == "" {
			continue
		}
		book, err := portbook.Open(path)
		if err == nil {
			return book, gaps
		}
		// What a user cannot reach is not this user's: sudo -u keeps HOME.
		own := path == paths[0] && os.Geteuid() != 0
		if !errors.Is(err, fs.ErrNotExist) && !(own && errors.Is(err, fs.ErrPermission)) {
			gaps = append(gaps, monban.Gap{Source: path, Err: err.Error(), Hides: monban.HidesRegistry})
		}
	}
	return portbook.Builtin(), gaps
}

// writeAtomic writes a file whole or not at all, readable by its owner only
// when it is new. A symbolic link is followed and the mode of a file that is
// there is kept; anything that is no file, such as a device, is refused: to
// rename over it would put a file in its place.
func writeAtomic(path string, write func(*os.File) error) error {
	mode := fs.FileMode(0o600)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Lstat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file", info.Mode().Type())
		}
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".monban-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	err = errors.Join(write(f), f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
