package monban

// Outcome is what will come of an attempt to open a door. The zero value,
// OutcomeUnknown, is an answer: something that decides could not be seen.
type Outcome uint8

// The outcomes.
const (
	OutcomeUnknown Outcome = iota
	Starts                 // bind and listen succeed
	Running                // its own program already holds the place: no conflict
	Fails
)

var outcomeNames = [...]string{OutcomeUnknown: "unknown", Starts: "ok", Running: "running", Fails: "fails"}

// String returns "ok", "running", "fails" or "unknown".
func (o Outcome) String() string { return nameOf(outcomeNames[:], o) }

// MarshalText encodes o as [Outcome.String] does.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText is the inverse of [Outcome.MarshalText].
func (o *Outcome) UnmarshalText(text []byte) error {
	return parseName(outcomeNames[:], text, "outcome", o)
}

// Judgement is the verdict on one attempt to open a door, reached from tables
// and rules and never by trying.
type Judgement struct {
	Bind    Bind
	Outcome Outcome
	Stage   string // "bind" or "listen" when Outcome is Fails
	Errno   string // "EADDRINUSE", "EACCES", … when Outcome is Fails
	Cause   string // cause id of package conflict, "L1"; "" is none
	// Also are causes that come on top of Cause: why who is in the way is there.
	Also []string
	// Against are the doors in the way.
	Against []Door
	Fix     []Fix
	// Reason is a machine code that says what made the outcome unknown; "" is
	// none.
	Reason string
	// Missing says what could not be seen and would decide, when Outcome is
	// OutcomeUnknown. With Starts it is what remains possible and is rare: a
	// socket that is bound but does not listen, on a system that lists none.
	Missing []Gap
}

// Checked is a claim and what will come of it once the claims before it, in the
// order in which their programs start, have opened their doors.
type Checked struct {
	Claim Claim
	// Judgement is of the claim alone. Its Bind is what the program really
	// binds on this machine, which differs from the claim's where the program
	// falls back to IPv4 (Claim.OrIPv4) or takes the first free port of a range
	// (Claim.UpTo). With Starts it may have a Cause and Against as that of a
	// single bind has: the door opens and yet will not do what is expected.
	Judgement Judgement
	// Rivals are the other claims in the way, or that may be: indexes into the
	// list of results. A running rival's doors are in Judgement.Against, too.
	Rivals []int
	// Own are the doors that the claim's own program holds already.
	Own []Door
}
