package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
)

func (g *guarding) runApply([]string) error {
	if g.o.saved {
		return g.load()
	}
	if g.o.timeout < leastTrial || g.o.timeout > mostTrial {
		return report.BadTimeout(g.o.timeout, leastTrial, mostTrial)
	}
	p, err := g.plan(true)
	if err != nil {
		return err
	}
	switch {
	case len(g.out.Refused) > 0:
		return g.end(report.GuardRefused)
	case p.have == nil:
		return g.refuse("privilege", g.rulesGap())
	case p.have.Trial != nil:
		return g.refuse("trial")
	case len(g.out.Differences) == 0:
		return g.end(report.GuardSame)
	}
	if err := g.agree(report.ConfirmGuard(g.app.lang, g.o.timeout)); err != nil || g.out.Outcome == report.GuardDeclined {
		return err
	}
	r, err := g.record(p)
	if err != nil {
		return report.CannotRead(g.out.File, err)
	}
	if p.unproven != nil {
		return g.failed(p.unproven)
	}
	if err := g.try(p, r); err != nil {
		return g.failed(err)
	}
	g.out.State.Table, g.out.State.Left = true, g.o.timeout
	return g.end(report.GuardOnTrial)
}

// tries is how often a plan is judged anew that somebody else has outrun.
const tries = 20

// try puts the policy on trial, on the very ruleset that the plan was judged by. Where
// somebody changes rules all the time, as fail2ban under attack, the plan is judged
// anew, and goes on as long as it says what was shown.
func (g *guarding) try(p *planned, r *guard.Record) error {
	for range tries {
		generation := p.have.Generation
		if g.snap.Rules != nil {
			generation = g.snap.Rules.Generation
		}
		err := g.store.Try(p.proof, r, g.o.timeout, generation)
		if !errors.Is(err, firewall.ErrChanged) {
			return err
		}
		if same, again := g.again(p); again != nil || !same {
			return errors.Join(err, again)
		}
	}
	return firewall.ErrChanged
}

// again judges the plan by the rules as they are now, and reports whether it is the
// one that was shown.
func (g *guarding) again(p *planned) (same bool, err error) {
	shown, looked := g.out, *g.snap
	defer func() { g.out = shown }()
	g.out.Changes, g.out.Differences, g.out.Refused, g.out.Notes = nil, nil, nil, nil
	g.snap.Doors, g.snap.Gaps = p.looked, nil
	if g.snap.Rules, _ = firewall.Read(firewall.Options{}); g.snap.Rules == nil && looked.Rules != nil {
		return false, nil
	}
	if p.have, err = firewall.ReadGuard(); err != nil {
		return false, err
	}
	err = g.judge(p)
	g.snap.Gaps = looked.Gaps
	return err == nil && reflect.DeepEqual(g.out.Changes, shown.Changes) && reflect.DeepEqual(g.out.Differences, shown.Differences) &&
		reflect.DeepEqual(g.out.Refused, shown.Refused), err
}

// rulesGap is why the rules could not be read.
func (g *guarding) rulesGap() string {
	for _, gap := range g.snap.Gaps {
		if gap.Hides == monban.HidesRules {
			return gap.Err
		}
	}
	return ""
}

// agree shows the plan and asks; the outcome is GuardDeclined after a no.
func (g *guarding) agree(question string) error {
	if g.o.yes {
		return nil
	}
	if g.app.sys.StdinTerminal {
		s := g.app.style()
		to := g.app.sys.Stdout
		if s.Format == report.JSON {
			s.Format, s.Lang = report.Text, g.app.lang
			to = g.app.sys.Stderr
		}
		if err := report.WriteGuardPlan(to, report.Result{Verb: "guard", Snapshot: g.snap, Book: g.book, Data: g.out}, s); err != nil {
			return report.CannotWrite("stdout", err)
		}
		g.out.PlanShown = true
	}
	yes, err := g.ask(question)
	if err != nil {
		return err
	}
	if !yes {
		g.out.Outcome = report.GuardDeclined
		return g.end(report.GuardDeclined)
	}
	return nil
}

// failed puts an error of a step into words.
func (g *guarding) failed(err error) error {
	var untrusted *guard.UntrustedError
	var notSaved *guard.NotSavedError
	var left *guard.LeftError
	var file *fs.PathError
	var name *os.LinkError
	switch {
	case notHere(err):
		return g.refuse("unsupported")
	case errors.Is(err, firewall.ErrTrial):
		return g.refuse("trial")
	case errors.Is(err, firewall.ErrNoTrial):
		return g.refuse("no-trial")
	case errors.Is(err, firewall.ErrChanged):
		return g.refuse("changed")
	case errors.Is(err, firewall.ErrForeign):
		return g.refuse("foreign")
	case errors.Is(err, firewall.ErrUnproven):
		return g.refuse("unproven", err.Error())
	case errors.Is(err, guard.ErrSameSession):
		return g.refuse("same-session")
	case errors.Is(err, guard.ErrOldSession):
		return g.refuse("old-session")
	case errors.Is(err, guard.ErrInsideSession):
		return g.refuse("inside-session")
	case errors.Is(err, guard.ErrBusy):
		return g.refuse("busy", g.store.Run)
	case errors.Is(err, guard.ErrUnclearSession):
		return g.refuse("unclear-session")
	case errors.Is(err, guard.ErrTouched):
		return g.refuse("touched")
	case errors.Is(err, guard.ErrNoRecord):
		return g.refuse("no-record", g.store.Run)
	case errors.Is(err, guard.ErrNothingSaved):
		return g.refuse("nothing-saved")
	case errors.As(err, &notSaved):
		g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "not-saved", Args: []string{notSaved.Path, notSaved.Err.Error()}})
		return g.end(report.GuardUnsaved)
	case errors.As(err, &untrusted):
		return report.UntrustedFile(untrusted.Path, fmt.Sprintf("%04o", untrusted.Mode), untrusted.UID)
	case errors.As(err, &left):
		g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "left", Args: []string{left.Err.Error()}})
		return g.end(report.GuardLeft)
	case denied(err):
		return g.refuse("privilege", err.Error())
	case errors.As(err, &file), errors.As(err, &name):
		return g.refuse("cannot-save", err.Error())
	}
	return g.refuse("failed", err.Error())
}

// load puts the saved policy in force, as at boot.
func (g *guarding) load() error {
	g.app.keep(privilege.NetAdmin)
	g.identity()
	r, err := g.store.Load(g.app.now())
	if err != nil {
		return g.failed(err)
	}
	g.out.Policy, g.out.File = &r.Policy, r.File
	g.out.PlanShown = true
	g.out.State = report.GuardState{Table: true, Saved: true, At: r.At, Boot: g.boot.Installed(), Manager: string(g.boot.Manager())}
	return g.end(report.GuardLoaded)
}

func (g *guarding) runConfirm([]string) error {
	from, perhaps := guard.Sessions(g.app.sys.Getenv)
	unclear := len(from) == 0 && len(perhaps) > 0
	g.app.keep(g.toSettle()...)
	g.identity()
	r, err := g.store.Confirm(from, unclear, g.o.sameSession)
	if r != nil {
		g.out.Policy, g.out.File = &r.Policy, r.File
	}
	if errors.Is(err, firewall.ErrNoTrial) {
		if r = g.notAtBoot(); r != nil { // that is left to do
			g.out.Policy, g.out.File, err = &r.Policy, r.File, nil
		}
	}
	if err != nil {
		return g.failed(err)
	}
	manager, err := g.boot.Install()
	if err != nil {
		g.note("boot", err.Error())
	}
	g.out.State = report.GuardState{Table: true, Saved: true, At: r.At, Boot: err == nil && manager != guard.NoManager, Manager: string(manager)}
	return g.end(report.GuardConfirmed)
}

// notAtBoot returns the confirmed policy if it is in force and not loaded at boot,
// though it could be: what arranges that failed when it was confirmed, or has been taken
// away, or names a program that is gone.
func (g *guarding) notAtBoot() *guard.Record {
	if g.boot.Installed() || g.boot.Manager() == guard.NoManager {
		return nil
	}
	have, err := firewall.ReadGuard()
	if err != nil || have.Table == nil || have.Trial != nil {
		return nil
	}
	r, err := g.store.Saved()
	if err != nil || r == nil {
		return nil
	}
	if err := g.drift(r, have); err != nil || len(g.out.Differences) > 0 {
		g.out.Differences = nil
		return nil
	}
	return r
}

// toSettle is what it takes to change rules of monban's that are there, and what is
// kept of them.
func (g *guarding) toSettle() []privilege.Capability {
	return append(toWrite(append(g.store.Files(), g.boot.Files()...)...), privilege.NetAdmin)
}

func (g *guarding) runRollback([]string) error {
	g.app.keep(g.toSettle()...)
	g.identity()
	have, err := firewall.ReadGuard()
	if err != nil {
		return g.failed(err)
	}
	if have.Trial == nil {
		return g.refuse("no-trial")
	}
	if err := g.store.Rollback(); err != nil {
		return g.failed(err)
	}
	return g.end(report.GuardRolledBack)
}

func (g *guarding) runStatus([]string) error {
	g.app.keep(privilege.NetAdmin)
	g.identity()
	have, err := firewall.ReadGuard()
	switch {
	case notHere(err), errors.Is(err, firewall.ErrForeign):
		return g.failed(err)
	case err != nil:
		g.snap.Gaps = append(g.snap.Gaps, monban.Gap{Source: "nf_tables", Err: err.Error(), Hides: monban.HidesRules})
		return g.end(report.GuardUnknown)
	}
	g.state(have)
	saved, err := g.store.Saved()
	switch {
	case err != nil:
		return g.end(report.GuardUnknown) // state has told the gap
	case saved == nil && have.Table == nil:
		return g.end(report.GuardNoPolicy)
	case saved != nil:
		g.out.Policy, g.out.File = &saved.Policy, saved.File
		if !g.out.State.Boot {
			g.note("not-at-boot")
		}
	}
	if err := g.drift(saved, have); err != nil {
		return err
	}
	if len(g.out.Differences) > 0 {
		if r := g.store.Unsaved(have); r != nil {
			g.note("unsaved", r.File)
		}
		return g.end(report.GuardDiffers)
	}
	return g.end(report.GuardSame)
}

// drift compares what is in force with what was confirmed.
func (g *guarding) drift(saved *guard.Record, have *firewall.Guard) error {
	var want *monban.Table
	if saved != nil {
		rules, err := policy.Compile(&saved.Policy, g.app.now())
		if err != nil {
			return err
		}
		want = rules.Table(monban.TableInet, policy.TableName)
	}
	for _, d := range guard.Differences(want, have.Table) {
		g.out.Differences = append(g.out.Differences, report.GuardDifference(d))
	}
	return nil
}

func (g *guarding) runOff([]string) error {
	g.app.keep(g.toSettle()...)
	g.identity()
	yes, err := g.ask(report.ConfirmOff(g.app.lang))
	switch {
	case err != nil:
		return err
	case !yes:
		return g.end(report.GuardDeclined)
	}
	if err := g.store.Off(g.boot); err != nil {
		return g.failed(err)
	}
	return g.end(report.GuardOff)
}

// endOf reads the value of --until.
func endOf(text string, now time.Time) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, report.PolicyProblem("--until", 0, "bad-time", text, nil, 0)
	}
	if !t.After(now) {
		return t, report.PolicyProblem("--until", 0, "time-past", text, nil, 0)
	}
	return t.UTC(), nil
}
