package move

import (
	"errors"
	"reflect"
	"time"

	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/guard"
)

// slack is how much longer monban guard's own trial lasts than the move's: what is
// put back is the server first and the firewall last.
const slack = 2 * time.Minute

// guardBoth puts the policy with both doors on trial in the kernel, which goes
// back by itself whatever becomes of everything else.
func (m *Machine) guardBoth(s *State) error {
	proof, err := guard.Prove()
	if err != nil {
		return err
	}
	r := s.Plan.Guard.Both
	r.From = s.From
	return m.Guard.Try(proof, &r, time.Until(s.Due)+slack, 0)
}

// guardKeep makes the policy with both doors the one that stays.
func (m *Machine) guardKeep(s *State) error {
	if s.Plan.Guard == nil {
		return nil
	}
	// After a reboot the trial is over, and the policy from before in force.
	_, err := m.Guard.Confirm(nil, false, true)
	if errors.Is(err, firewall.ErrNoTrial) || errors.Is(err, guard.ErrNoRecord) {
		return m.Guard.Replace(&s.Plan.Guard.Both)
	}
	return err
}

// guardAfter takes the old door out of the policy.
func (m *Machine) guardAfter(s *State) error { return m.Guard.Replace(&s.Plan.Guard.After) }

// guardBack ends the trial, and puts the policy back if it was replaced.
func (m *Machine) guardBack(s *State) error {
	if err := m.Guard.Rollback(); err != nil && !errors.Is(err, firewall.ErrNoTrial) {
		return err
	}
	saved, err := m.Guard.Saved()
	if err != nil || saved == nil || reflect.DeepEqual(saved.Policy, s.Plan.Guard.Before.Policy) {
		return err
	}
	return m.Guard.Replace(&s.Plan.Guard.Before)
}
