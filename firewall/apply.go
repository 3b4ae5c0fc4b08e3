package firewall

import (
	"time"

	"github.com/monban-dev/monban"
)

// The functions of this file change the ruleset of the calling thread's network
// namespace: the table inet monban and nothing else, which is never flushed with
// others' and is never any other's. Each is one transaction of the kernel that
// is taken whole, only if nobody has changed any rule since the table was read,
// or not at all; what depends on nobody else's rules is then tried again. They need CAP_NET_ADMIN; on other systems than Linux they fail
// with errors.ErrUnsupported.

// ReadGuard reads monban's own table. It fails with [ErrForeign] where a table of
// that name has something else in it.
func ReadGuard() (*Guard, error) { return readGuard() }

// Try puts what package policy compiled on trial: it decides from now on, and
// for as long as timeout; then, unless [Confirm] comes before, the kernel goes
// back to what was before by itself. A generation other than 0 is what the
// ruleset must have. It fails with [ErrTrial], [ErrChanged] or [ErrForeign].
func Try(rules *monban.Ruleset, timeout time.Duration, generation uint32) error {
	return tryOut(rules, timeout, generation)
}

// Confirm makes the policy on trial the one that stays. It fails with
// [ErrNoTrial] if the trial has ended.
func Confirm() error { return settleTrial(confirm, true) }

// Rollback ends a trial, or takes what is left of one away.
func Rollback() error { return settleTrial(rollback, false) }

// Load puts what package policy compiled in force at once and to stay, in place of
// whatever the table had in it, as at boot.
func Load(rules *monban.Ruleset) error { return loadNow(rules) }

// Remove takes the table away, and with it every rule of monban's.
func Remove() error { return remove() }

// Prove tries a trial out, with real connections, in a network namespace made for
// that: that the policy on trial decides, and that the one before does again when
// nobody confirms. It takes less than a second and needs CAP_SYS_ADMIN. It fails
// with [ErrUnproven] where the kernel does something else.
func Prove() error { return prove() }
