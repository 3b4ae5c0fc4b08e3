package move

import (
	"errors"
	"strconv"
	"time"

	"github.com/monban-dev/monban/internal/guard"
)

// Errors of a move.
var (
	// ErrTrial says that a move is on trial already.
	ErrTrial = errors.New("a move is on trial")
	// ErrNoTrial says that none is.
	ErrNoTrial = errors.New("no move is on trial")
	// ErrSession says that whoever confirms has not come in by the new port.
	ErrSession = errors.New("not confirmed over a new connection to the new port")
	// ErrOver says that the time for the confirmation is over.
	ErrOver = errors.New("the time of the trial is over")
)

// Begin opens the second door. When it returns nil, both are open, a banner has
// been read at each, and everything is put back after timeout unless Finish is
// called before. When it returns an error, nothing has changed, or it is a
// [*StepError] that says otherwise.
func (m *Machine) Begin(p *Plan, from guard.Session, timeout time.Duration, now time.Time) (*State, error) {
	unlock, err := m.Store.lock(false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	switch old, err := m.Store.Load(); {
	case err != nil:
		return nil, err
	case old != nil:
		return old, ErrTrial
	}
	s := &State{Monban: 1, ID: strconv.FormatInt(now.UnixNano(), 36), At: now.UTC(), Due: now.Add(timeout).UTC(), Boot: BootID(), Stage: OnTrial, From: from, Plan: *p}
	if err := m.do(s, p.Steps(timeout, m.Boot), false); err != nil {
		return s, err
	}
	return s, nil
}

// do does the steps of one half, and puts everything back if one of them fails.
func (m *Machine) do(s *State, steps []Step, closing bool) error {
	for _, step := range steps {
		if step.Closing != closing {
			continue
		}
		if m.Tell != nil {
			m.Tell(step)
		}
		if step.do == nil {
			continue
		}
		if err := step.do(m, s); err != nil {
			return &StepError{Step: step, Err: err, Undone: m.back(s)}
		}
	}
	return nil
}

// Finish closes the old door. sessions are the connections that this is run over:
// one of them has to be to the new port, which proves that people can come in by
// it, unless same is set.
func (m *Machine) Finish(sessions []guard.Session, same bool, now time.Time) (*State, error) {
	unlock, err := m.Store.lock(false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := m.Store.Load()
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, ErrNoTrial
	case s.Stage == Closing:
		return s, m.finish(s)
	case s.Over(now, BootID()):
		return s, &StepError{Err: ErrOver, Undone: m.back(s)}
	}
	proven := same
	for _, session := range sessions {
		proven = proven || session.To.Port() == s.Plan.New && session != s.From
	}
	if !proven {
		return s, ErrSession
	}
	return s, m.finish(s)
}

func (m *Machine) finish(s *State) error {
	return m.do(s, s.Plan.Steps(s.Due.Sub(s.At), m.Boot), true)
}

// Back puts everything back as it was before Begin. Of id it is that trial only,
// and nothing happens, without an error, where it is not there any more: that is
// for the timer. A move that was confirmed and broken off is finished instead.
func (m *Machine) Back(id string) (s *State, finished bool, err error) {
	unlock, err := m.Store.lock(id != "")
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	s, err = m.Store.Load()
	switch {
	case err != nil:
		return nil, false, err
	case s == nil && id == "":
		return nil, false, ErrNoTrial
	case s == nil:
		return nil, false, m.unarm() // a run that was killed may have left it
	case id != "" && s.ID != id:
		return nil, false, nil
	case s.Stage == Closing:
		return s, true, m.finish(s)
	}
	return s, false, m.back(s)
}

// back undoes every step, in the reverse order: the server first, so that a door
// never leads nowhere, then the firewall, then what would do this again. Each part
// is done whether or not those before failed, and none minds that its step never
// came. The timer stays armed, and the record, until all of it is done.
func (m *Machine) back(s *State) error {
	p := &s.Plan
	begun, err := m.restore(s)
	if err == nil && begun {
		err = m.serveOld(s)
	}
	for i := len(p.Gates) - 1; i >= 0; i-- {
		err = errors.Join(err, m.ungate(&p.Gates[i], s.Stage == Closing))
	}
	if p.Guard != nil {
		err = errors.Join(err, m.guardBack(s))
	}
	if err != nil {
		return err
	}
	return m.disarm(s)
}

// serveOld makes the server listen at the old port alone, by what its files say
// again. A server that is told to read a configuration that has become bad in the
// meantime, by whomever, ends: it is left alone while it serves the old port.
func (m *Machine) serveOld(s *State) error {
	p := &s.Plan
	old, new := false, false
	snap := m.Look(p.Truth.Old, p.New)
	for i := range snap.Doors {
		if d := &snap.Doors[i]; server(d) {
			old = old || d.Bind.Port.Num == p.Truth.Old && p.Truth.has(d)
			new = new || d.Bind.Port.Num == p.New
		}
	}
	if old && !new {
		if p.Truth.Way != BySSHD {
			if err := m.daemonReload(s); err != nil {
				return err
			}
		}
		return m.answers(p, p.Truth.Old)
	}
	if p.Truth.Way != BySocket {
		if _, err := p.Truth.Ask("-t"); err != nil {
			return err
		}
	}
	if p.Truth.Way != BySSHD {
		if err := errors.Join(m.tie(s), m.daemonReload(s)); err != nil {
			return err
		}
	}
	if err := m.restart(s); err != nil {
		return err
	}
	// In this order: see verifyAfter.
	if err := m.gone(p.New); err != nil {
		return err
	}
	return m.answers(p, p.Truth.Old)
}
