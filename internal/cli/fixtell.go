package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/edit"
	"github.com/monban-dev/monban/internal/mend"
	"github.com/monban-dev/monban/internal/report"
)

// tell puts a plan into the report.
func (f *fixing) tell(q *mend.Question, plan *mend.Plan) {
	f.out.Before = plan.Before
	f.out.Unknown = 0
	for i := range plan.After {
		if plan.After[i].Judgement.Outcome == monban.OutcomeUnknown {
			f.out.Unknown++
		}
	}
	for _, m := range plan.Moves {
		shown := report.FixMove{Claims: m.Claims, From: m.From, To: m.To, Leased: m.Leased, Reason: string(m.Reason), Other: string(m.Other),
			Against: m.Against, Doors: m.Doors, Stay: m.Stay, Runs: m.Runs}
		f.out.Moves = append(f.out.Moves, shown)
	}
	for _, l := range plan.Left {
		shown := report.FixLeft{Claim: l.Claim, Obstacle: string(l.Obstacle), File: l.File}
		if err := f.why[l.File]; err != nil {
			shown.Err = errText(err)
		}
		c := &plan.After[l.Claim]
		shown.Fix = f.app.instead(l, c)
		f.out.Left = append(f.out.Left, shown)
	}
	for _, name := range plan.Names {
		file := f.files[name]
		shown := report.FixFile{Name: name, Before: file.Data, After: plan.Files[file.Path]}
		if file.Link != "" {
			shown.Target = file.Path
		}
		f.out.Files = append(f.out.Files, shown)
	}
	f.snap.Gaps = append(f.snap.Gaps, q.Gaps...)
}

func errText(err error) string {
	if e, ok := errors.AsType[*edit.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// instead is what to do where nothing can be edited.
func (a *app) instead(l mend.Left, c *monban.Checked) []monban.Fix {
	switch l.Obstacle {
	case mend.PackageUnit:
		unit := filepath.Base(c.Claim.Pos.File)
		return []monban.Fix{{Code: "drop-in", Args: []string{unit}, Command: []string{"systemctl", "edit", unit}}}
	case mend.Obstacle(edit.ReadOnly.String()), mend.Obstacle(edit.NotOwner.String()), mend.Obstacle(edit.ClosedDir.String()):
		if os.Geteuid() > 0 {
			return append([]monban.Fix{{Code: "fix-as-root", Command: append([]string{"sudo", "monban"}, a.args...)}}, c.Judgement.Fix...)
		}
	}
	return c.Judgement.Fix
}

// end shows the result, which needs no privilege, and returns its exit code.
func (f *fixing) end(outcome report.FixOutcome, reason string) error {
	f.app.keep()
	f.out.Outcome, f.out.Reason = outcome, reason
	if err := f.show(); err != nil {
		return err
	}
	if outcome == report.FixRefused || outcome == report.FixFailed || outcome == report.FixDeclined || len(f.out.Left) > 0 {
		return shownError{exitFailed}
	}
	return nil
}

// failed is the result where the files could not be changed.
func (f *fixing) failed(err error) error {
	e, ok := errors.AsType[*edit.Error](err)
	if !ok {
		return err
	}
	if e.Problem == edit.Interrupted || e.Problem == edit.Untrusted {
		return editProblem(err)
	}
	f.out.File, f.out.Err = e.Path, ""
	if e.Err != nil {
		f.out.Err = errText(err)
	}
	return f.end(report.FixFailed, e.Problem.String())
}

// editProblem finds the words for what is wrong with the records.
func editProblem(err error) error {
	e, ok := errors.AsType[*edit.Error](err)
	if !ok {
		return err
	}
	switch e.Problem {
	case edit.Untrusted:
		return report.FixUntrusted(e.Path, e.Err)
	case edit.Interrupted:
		return report.FixInterrupted("", strings.TrimSuffix(filepath.Base(e.Path), ".pending"))
	}
	return err
}

func (f *fixing) show() error {
	return f.app.show(f.result(), f.app.style(), monban.SeverityUnknown)
}

func (f *fixing) result() report.Result {
	book, _ := f.app.book()
	return report.Result{Verb: "fix", Snapshot: f.snap, Book: book, Data: f.out}
}

// confirm asks whether to go on. Outcome is FixDeclined after a no.
func (f *fixing) confirm() error {
	if !f.o.yes && !f.app.sys.StdinTerminal {
		f.out.Outcome, f.out.Reason = report.FixPlanned, "not-confirmed"
		if err := f.show(); err != nil {
			return err
		}
		return report.NeedsYes()
	}
	if f.app.style().Format != report.JSON || !f.o.yes {
		if err := f.app.showPlan(f.result()); err != nil {
			return err
		}
	}
	f.out.PlanShown = true
	if f.o.yes || report.Agrees(f.app.ask(f.stdin, report.ConfirmFix(f.app.lang, f.out.Undo))) {
		return nil
	}
	return f.end(report.FixDeclined, "")
}

// read reads the claims with the content of some files replaced.
func (f *fixing) read(edited map[string][]byte) ([]monban.Claim, []monban.Gap, error) {
	p, err := place(f.saved)
	if err != nil {
		return nil, nil, err
	}
	over := overlay{FS: p.FS}
	for _, file := range f.files {
		if data, ok := edited[file.Path]; ok {
			over.files = append(over.files, overlaid{file, data})
		}
	}
	p.FS = over
	return f.app.askedAt(p, f.saved, f.o.system, f.paths)
}

// overlay is a tree in which some files have another content, by whatever name
// they are opened.
type overlay struct {
	fs.FS
	files []overlaid
}

type overlaid struct {
	file *edit.File
	data []byte
}

// Open implements fs.FS.
func (o overlay) Open(name string) (fs.File, error) {
	file, err := o.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	for _, over := range o.files {
		if over.file.Same(info) {
			file.Close()
			return &edited{info, strings.NewReader(string(over.data))}, nil
		}
	}
	return file, nil
}

// Stat implements fs.StatFS.
func (o overlay) Stat(name string) (fs.FileInfo, error) { return fs.Stat(o.FS, name) }

// ReadDir implements fs.ReadDirFS.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(o.FS, name) }

// edited is an open file with another content.
type edited struct {
	info fs.FileInfo
	*strings.Reader
}

// Stat implements fs.File.
func (e *edited) Stat() (fs.FileInfo, error) { return e.info, nil }

// Close implements fs.File.
func (e *edited) Close() error { return nil }
