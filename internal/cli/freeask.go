package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/free"
	"github.com/monban-dev/monban/internal/report"
)

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
	if err := f.app.showPlan(f.result(snap)); err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(f.app.ask(f.stdin, report.ChooseFree(f.app.lang, len(plan.Programs)))))
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
		if err := f.app.showPlan(f.result(snap)); err != nil {
			return err
		}
	}
	f.out.PlanShown = true
	if f.o.yes || report.Agrees(f.app.ask(f.stdin, report.ConfirmFree(f.app.lang))) {
		return nil
	}
	return f.end(snap, report.FreeDeclined, "")
}
