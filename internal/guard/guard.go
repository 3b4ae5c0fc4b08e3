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
	unlock, err := s.lock(true)
	if err != nil {
		return err
	}
	defer unlock()
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
		return errors.Join(err, durable.Forget(s.trialFile()))
	}
	return nil
}

// Confirm makes the policy on trial the one that stays and saves it. It is
// refused over a connection that proves nothing, or where that may be so, unless
// same is set. from are the connections that this is run over; where none is known,
// unclear says that it may be some. Where an
// earlier one could only not save it ([NotSavedError]), that is done now.
func (s Store) Confirm(from []Session, unclear, same bool) (*Record, error) {
	unlock, err := s.lock(false)
	if err != nil {
		return nil, err
	}
	defer unlock()
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
	case !same:
		if err := r.provenBy(from, unclear); err != nil {
			return r, err
		}
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

// provenBy says why a confirmation over some connections proves nothing: that somebody
// can come in now is shown by a connection that was not there when the trial began,
// and that came from outside if that one did.
func (r *Record) provenBy(from []Session, unclear bool) error {
	switch {
	case r.From.Known() && slices.Contains(from, r.From):
		return ErrSameSession
	case slices.ContainsFunc(from, func(s Session) bool { return slices.Contains(r.Before, s) }):
		return ErrOldSession
	case unclear && (r.From.Known() || len(r.Before) > 0):
		return ErrUnclearSession
	case r.From.Known() && !r.From.inside() && len(from) > 0 && !slices.ContainsFunc(from, func(s Session) bool { return !s.inside() }):
		return ErrInsideSession
	}
	return nil
}

// saveConfirmed saves the policy of a trial that is over and that has become the one
// that stays: only a confirmation does that.
func (s Store) saveConfirmed(g *firewall.Guard) (*Record, error) {
	r := s.Unsaved(g)
	if r == nil {
		return nil, firewall.ErrNoTrial
	}
	saved, err := prepare(s.SavedFile(), r)
	if err != nil {
		return r, &NotSavedError{s.SavedFile(), err}
	}
	return r, s.keep(saved)
}

// Unsaved returns the policy that was confirmed last if it is in force and could not
// be saved, or if who confirmed it was killed before it was; nil if there is none.
func (s Store) Unsaved(g *firewall.Guard) *Record {
	r, err := s.Trial()
	if err != nil || r == nil || g.Table == nil || g.Trial != nil {
		return nil
	}
	rules, err := policy.Compile(&r.Policy, time.Now())
	if err != nil || len(Differences(&rules.Tables[0], g.Table)) > 0 {
		return nil
	}
	return r
}

// keep makes a policy that is in force the saved one.
func (s Store) keep(saved *pending) error {
	if err := saved.commit(); err != nil {
		saved.drop()
		return &NotSavedError{s.SavedFile(), err}
	}
	s.forgetTrial()
	return nil
}

// forgetTrial removes the record of a trial that is over. Where it cannot, the record
// is of no use, and of no harm: nothing is believed of it that the kernel does not say.
func (s Store) forgetTrial() { _ = durable.Forget(s.trialFile()) }

// Rollback ends a trial at once, or clears away what is left of one. It does so beside
// a run that is stuck, too: it is the way out.
func (s Store) Rollback() error {
	unlock, err := s.lock(false)
	if err == nil {
		defer unlock()
	}
	if err := firewall.Rollback(); err != nil {
		return err
	}
	s.forgetTrial()
	return nil
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

// Off takes the rules, the saved policy and what loads it at boot away: the rules
// first, whatever becomes of the rest ([*LeftError]).
func (s Store) Off(b Boot) error {
	unlock, err := s.lock(false)
	if err == nil {
		defer unlock()
	}
	if err := firewall.Remove(); err != nil {
		return err
	}
	s.forgetTrial()
	if err := errors.Join(b.Remove(), durable.Forget(s.SavedFile())); err != nil {
		return &LeftError{err}
	}
	return nil
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
	unlock, err := s.lock(true)
	if err != nil {
		return err
	}
	defer unlock()
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
