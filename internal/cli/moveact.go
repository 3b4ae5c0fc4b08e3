package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/report"
)

// ssh moves the SSH server.
func (m *moving) ssh(args []string) error {
	if m.o.timeout < leastTrial || m.o.timeout > mostTrial {
		return report.BadTimeout(m.o.timeout, leastTrial, mostTrial)
	}
	num, err := m.port(args)
	if err != nil {
		return err
	}
	if ok, err := m.here(); !ok {
		return err
	}
	if done, err := m.earlier(); done || err != nil {
		return err
	}
	p, err := m.plan(num)
	if err != nil || p == nil {
		return err
	}
	if m.o.dryRun {
		return m.end(report.MovePlanned)
	}
	if yes, err := m.agree(); err != nil || !yes {
		return err
	}
	var from guard.Session
	sessions, _ := guard.Sessions(m.app.sys.Getenv)
	if len(sessions) > 0 {
		from = sessions[0]
	}
	s, err := m.machine.Begin(p, from, m.o.timeout, m.app.now())
	m.out.PlanShown = m.out.PlanShown || err == nil && m.app.style().Format == report.Text
	if err != nil {
		return m.failed(s, err)
	}
	m.out.Left = time.Until(s.Due)
	return m.end(report.MoveOnTrial)
}

// earlier looks for a move that has begun. One whose time is over is put back.
func (m *moving) earlier() (done bool, err error) {
	s, err := m.machine.Store.Load()
	switch {
	case err != nil:
		return true, m.refuse("state", err.Error())
	case s == nil:
		return false, nil
	case m.o.dryRun, !s.Over(m.app.now(), move.BootID()):
		m.about(s)
		return true, m.refuse("trial")
	}
	if _, _, err := m.machine.Back(s.ID); err != nil {
		return true, m.failed(s, err)
	}
	m.note("put-back", fmt.Sprint(s.Plan.New))
	return false, nil
}

// about takes over what a move is about.
func (m *moving) about(s *move.State) {
	t := &s.Plan.Truth
	m.out.Old, m.out.New, m.out.Way, m.out.Unit = t.Old, s.Plan.New, string(t.Way), t.Unit
	m.out.Left = max(0, time.Until(s.Due))
	m.out.Client = m.client()
}

// agree shows the plan and asks; it has ended after a no.
func (m *moving) agree() (bool, error) {
	if m.o.yes {
		return true, nil
	}
	if !m.app.sys.StdinTerminal {
		return false, report.GuardNeedsYes()
	}
	s, to := m.app.style(), m.app.sys.Stdout
	if s.Format == report.JSON {
		s.Format, s.Lang = report.Text, m.app.lang
		to = m.app.sys.Stderr
	}
	if err := report.WriteMovePlan(to, report.Result{Verb: "move", Snapshot: m.snap, Book: m.book, Data: m.out}, s); err != nil {
		return false, report.CannotWrite("stdout", err)
	}
	m.out.PlanShown = true
	if err := report.WritePrompt(m.app.sys.Stderr, report.ConfirmMove(m.app.lang, m.o.timeout)); err != nil {
		return false, report.CannotWrite("stderr", err)
	}
	line, err := m.stdin.ReadString('\n')
	if err != nil || !report.Agrees(line) {
		return false, m.end(report.MoveDeclined)
	}
	return true, nil
}

// failed tells which step failed, and whether everything is as it was.
func (m *moving) failed(s *move.State, err error) error {
	if s != nil {
		m.about(s)
	}
	m.out.PlanShown = true
	var step *move.StepError
	var refused *move.Refusal
	switch {
	case errors.Is(err, move.ErrTrial):
		return m.refuse("trial")
	case errors.Is(err, move.ErrNoTrial):
		return m.refuse("no-trial")
	case errors.Is(err, move.ErrSession):
		return m.refuse("session", m.out.Client)
	case errors.As(err, &step):
		if errors.Is(step.Err, move.ErrOver) {
			m.out.Refused = append(m.out.Refused, report.MoveReason{Code: "over"})
		} else if errors.As(step.Err, &refused) {
			m.out.Refused = append(m.out.Refused, report.MoveReason{Code: refused.Reason, Args: refused.Args})
		} else {
			text := report.MoveStepText(m.app.style().Lang, shownStep(step.Step))
			m.out.Refused = append(m.out.Refused, report.MoveReason{Code: "failed", Args: []string{text, step.Err.Error()}})
		}
		if step.Undone == nil {
			return m.end(report.MoveFailed)
		}
		err = step.Undone
	case denied(err):
		return m.refuse("privilege")
	case s == nil:
		return m.refuse("state", err.Error())
	}
	m.out.Refused = append(m.out.Refused, report.MoveReason{Code: "not-undone", Args: []string{err.Error()}})
	return m.end(report.MoveStuck)
}

// confirm closes the old door.
func (m *moving) confirm([]string) error {
	if ok, err := m.here(); !ok {
		return err
	}
	sessions, _ := guard.Sessions(m.app.sys.Getenv)
	s, err := m.machine.Finish(sessions, m.o.sameSession, m.app.now())
	if err != nil {
		return m.failed(s, err)
	}
	m.about(s)
	m.out.Left = 0
	return m.end(report.MoveConfirmed)
}

// rollback puts everything back.
func (m *moving) rollback([]string) error {
	if ok, err := m.here(); !ok {
		return err
	}
	if m.o.after > 0 {
		select {
		case <-time.After(m.o.after):
		case <-m.ctx.Done():
			return m.ctx.Err()
		}
	}
	s, finished, err := m.machine.Back(m.o.trial)
	if err != nil {
		return m.failed(s, err)
	}
	if s != nil {
		m.about(s)
		m.out.Left = 0
	}
	if finished {
		return m.end(report.MoveConfirmed)
	}
	return m.end(report.MoveRolledBack)
}

// status says whether a move is on trial.
func (m *moving) status([]string) error {
	s, err := m.machine.Store.Load()
	if err != nil {
		return m.refuse("state", err.Error())
	}
	if s == nil {
		return m.end(report.MoveNone)
	}
	m.about(s)
	switch {
	case s.Stage == move.Closing:
		return m.end(report.MoveClosing)
	case s.Over(m.app.now(), move.BootID()):
		return m.end(report.MoveOver)
	}
	return m.end(report.MoveOnTrial)
}
