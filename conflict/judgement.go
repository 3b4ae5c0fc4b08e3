package conflict

import (
	"fmt"

	"github.com/monban-dev/monban"
)

// Outcome is what becomes of a bind.
type Outcome uint8

// The outcomes. Unknown is an answer: something that cannot be seen decides.
const (
	Unknown Outcome = iota
	OK
	Fails
)

// String returns "unknown", "ok" or "fails".
func (o Outcome) String() string {
	switch o {
	case Unknown:
		return "unknown"
	case OK:
		return "ok"
	case Fails:
		return "fails"
	}
	return fmt.Sprintf("outcome%d", uint8(o))
}

// MarshalText encodes o as [Outcome.String] does.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Stage is the system call at which a bind fails.
type Stage string

// The stages. A stream socket can pass bind(2) and fail at listen(2), where the
// kernel checks again.
const (
	NoStage     Stage = ""
	SocketStage Stage = "socket"
	BindStage   Stage = "bind"
	ListenStage Stage = "listen"
)

// Reason says what made a judgement Unknown, or what the door would not do
// although it opens.
type Reason string

// The reasons.
const (
	// NoReason goes with a plain yes or no.
	NoReason Reason = ""
	// NotLinux: the rules of this operating system are not modelled.
	NotLinux Reason = "not-linux"
	// HiddenDoors: whole sockets could not be seen.
	HiddenDoors Reason = "hidden-doors"
	// HiddenTraffic: the connections of this port could not be seen.
	HiddenTraffic Reason = "hidden-traffic"
	// HiddenOptions: a socket's options or the order in which it was opened
	// decide, and the kernel does not tell them.
	HiddenOptions Reason = "hidden-options"
	// HiddenHost: a fact about the machine is missing: its addresses, its
	// privileged range, its default for IPV6_V6ONLY, what this user may do.
	HiddenHost Reason = "hidden-host"
	// AnyFreePort: port 0 asks the kernel for a port of its own choice.
	AnyFreePort Reason = "any-free-port"
)

// Judgement says what becomes of one bind, and why.
type Judgement struct {
	Want    monban.Bind
	Outcome Outcome
	Stage   Stage
	// Errno is the symbolic name of the error, "EADDRINUSE"; "" unless it Fails.
	Errno string
	// Cause is why it fails. With OK it is why the door will not do what people
	// expect of it all the same: D8 and L24 (what arrives is led elsewhere
	// before it reaches the door), L4 (the other loopback address belongs to
	// somebody else). "" is none.
	Cause Cause
	// Against are the doors in the way, the one to blame first. With Unknown
	// they are the ones that may be in the way.
	Against []monban.Door
	// Fix is what the user can do, the smallest safe step first.
	Fix []monban.Fix
	// Reason and Gaps say what an Unknown lacks.
	Reason Reason
	Gaps   []monban.Gap
}

// CanBind judges bind(2) and, for TCP, listen(2) of want by the user who made
// the snapshot, against the doors and traffic in it. An option of want that is
// FlagUnknown counts as Off, except V6Only, which falls back to the machine's
// default (net.ipv6.bindv6only).
func CanBind(want monban.Bind, snap *monban.Snapshot) Judgement {
	return Judgement{Want: want}
}
