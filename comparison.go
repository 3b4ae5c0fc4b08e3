package monban

import "net/netip"

// Comparison is one door of this machine as somebody outside met it, beside what
// the machine's own rules say about that.
type Comparison struct {
	// Target is the address of this machine that was knocked at, and From the one
	// that the packets came from; the zero From is not known.
	Target, From netip.Addr
	Port         Port
	Seen         SightState
	// Shut says that the door was not open, where Seen is unknown because nobody
	// wrote down whether it was closed or filtered.
	Shut bool

	// Computed is what whoever looked should have met: Open, Closed, or Partly
	// where it depends on a condition, or on who that was.
	Computed Verdict
	// Rule, or Why where it is no rule, decided.
	Rule RuleRef
	Why  Reason
	// Doors are those of this machine that answer there.
	Doors []Door
	// Differs is SeenOpen or SeenShut; "" where both are the same, or where one of
	// them is not known.
	Differs Kind
}
