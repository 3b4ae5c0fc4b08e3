package guard

import (
	"errors"
	"slices"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/durable"
	"github.com/monban-dev/monban/policy"
)

// Proof says that a trial ends by itself on this kernel. The zero Proof says nothing.
type Proof struct{ proven bool }

// Prove tries a trial out in a network namespace made for that. It takes half a
// second and CAP_SYS_ADMIN, which nothing that comes after needs.
func Prove() (Proof, error) {
	err := firewall.Prove()
	return Proof{err == nil}, err
}

// Try puts a resolved policy on trial, which a proof has been given for. With a
// generation other than 0, only if the kernel's ruleset has that one: what was
// planned on is then still so. The record is on disk before the kernel is touched,
// so that a disk that is full changes nothing.
func (s Store) Try(proof Proof, r *Record, timeout time.Duration, generation uint32) error {
	if !proof.proven {
		return firewall.ErrUnproven
	}
	switch g, err := firewall.ReadGuard(); {
	case err != nil:
		return err
	case g.Trial != nil:
		return firewall.ErrTrial
	}
	record, err := prepare(s.trialFile(), r)
	if err != nil {
		return err
	}
	// Now, because the time that a door has left goes on meanwhile.
	rules, err := policy.Compile(&r.Policy, time.Now())
	if err != nil {
		record.drop()
		return err
	}
	if err := record.commit(); err != nil {
		record.drop()
		return err
	}
	if err := firewall.Try(rules, timeout, generation); err != nil {
		if !errors.Is(err, firewall.ErrTrial) { // then the record is somebody else's
			err = errors.Join(err, durable.Forget(s.trialFile()))
		}
		return err
	}
	return nil
}

// Confirm makes the policy on trial the one that stays and saves it. It is
// refused over the connection that began the trial, or where that may be so, unless
// same is set. from are the connections that this is run over; where none is known,
// unclear says that it may be some. Where an
// earlier one could only not save it ([NotSavedError]), that is done now.
func (s Store) Confirm(from []Session, unclear, same bool) (*Record, error) {
	g, err := firewall.ReadGuard()
	if err != nil {
		return nil, err
	}
	if g.Trial == nil {
		return s.saveConfirmed(g)
	}
	r, err := s.Trial()
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, ErrNoRecord
	}
	rules, err := policy.Compile(&r.Policy, time.Now())
	switch {
	case err != nil:
		return r, err
	case len(Differences(&rules.Tables[0], g.Trial)) > 0:
		return r, ErrTouched
	case !same && r.From.Known() && len(from) > 0 && from[0] == r.From:
		return r, ErrSameSession
	case !same && slices.ContainsFunc(from, func(s Session) bool { return slices.Contains(r.Perhaps, s) }),
		!same && unclear && (r.From.Known() || len(r.Perhaps) > 0):
		return r, ErrUnclearSession
	}
	saved, err := prepare(s.SavedFile(), r)
	if err != nil {
		return r, err
	}
	if err := firewall.Confirm(); err != nil {
		saved.drop()
		return r, err
	}
	return r, s.keep(saved)
}

// saveConfirmed saves the policy of a trial that is over and that has become the one
// that stays: only a confirmation does that.
func (s Store) saveConfirmed(g *firewall.Guard) (*Record, error) {
	r, err := s.Trial()
	if err != nil || r == nil || g.Table == nil {
		return nil, firewall.ErrNoTrial
	}
	rules, err := policy.Compile(&r.Policy, time.Now())
	if err != nil || len(Differences(&rules.Tables[0], g.Table)) > 0 {
		return nil, firewall.ErrNoTrial
	}
	saved, err := prepare(s.SavedFile(), r)
	if err != nil {
		return r, &NotSavedError{s.SavedFile(), err}
	}
	return r, s.keep(saved)
}

// keep makes a policy that is in force the saved one.
func (s Store) keep(saved *pending) error {
	if err := saved.commit(); err != nil {
		saved.drop()
		return &NotSavedError{s.SavedFile(), err}
	}
	return durable.Forget(s.trialFile())
}

// Rollback ends a trial at once, or clears away what is left of one.
func (s Store) Rollback() error {
	if err := firewall.Rollback(); err != nil {
		return err
	}
	return durable.Forget(s.trialFile())
}

// Load puts the saved policy in force, as at boot, and returns it.
func (s Store) Load(now time.Time) (*Record, error) {
	r, err := s.Saved()
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, ErrNothingSaved
	}
	// A machine without a clock of its own thinks of some past at boot, and a door
	// would be open for longer than anybody said.
	if now.Before(r.At) {
		now = r.At
	}
	rules, err := policy.Compile(&r.Policy, now)
	if err != nil {
		return r, err
	}
	return r, firewall.Load(rules)
}

// Off takes the rules, the saved policy and what loads it at boot away.
func (s Store) Off(b Boot) error {
	if err := firewall.Remove(); err != nil {
		return err
	}
	return errors.Join(b.Remove(), durable.Forget(s.SavedFile()), durable.Forget(s.trialFile()))
}

// Difference is a rule or element that one of two tables has alone.
type Difference struct {
	Missing bool // wanted, and not there; else there, and not wanted
	Line    string
}

// Differences compares the table that a policy compiles to with the one in force.
func Differences(want, have *monban.Table) []Difference {
	wanted, there := firewall.Lines(want), firewall.Lines(have)
	var out []Difference
	for _, line := range wanted {
		if i := slices.Index(there, line); i >= 0 {
			there = slices.Delete(there, i, i+1)
		} else {
			out = append(out, Difference{Missing: true, Line: line})
		}
	}
	for _, line := range there {
		out = append(out, Difference{Line: line})
	}
	return out
}

// Replace puts a policy in force at once and keeps it, in place of the one that was
// confirmed. None may be on trial. The caller has made sure that somebody comes in
// under it.
func (s Store) Replace(r *Record) error {
	rules, err := policy.Compile(&r.Policy, time.Now())
	if err != nil {
		return err
	}
	saved, err := prepare(s.SavedFile(), r)
	if err != nil {
		return err
	}
	if err := firewall.Load(rules); err != nil {
		saved.drop()
		return err
	}
	return s.keep(saved)
}
