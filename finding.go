package monban

import "fmt"

// Severity says how much a finding matters. The zero value is SeverityUnknown.
type Severity uint8

// The severities, from the least.
const (
	SeverityUnknown Severity = iota
	Info
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{SeverityUnknown: "unknown", Info: "info", Low: "low", Medium: "medium",
	High: "high", Critical: "critical"}

// ParseSeverity reads "info", "low", "medium", "high" or "critical".
func ParseSeverity(s string) (Severity, error) {
	var v Severity
	if err := v.UnmarshalText([]byte(s)); err != nil || v == SeverityUnknown {
		return SeverityUnknown, fmt.Errorf("unknown severity %q: want info, low, medium, high or critical", s)
	}
	return v, nil
}

// String returns "info", "low", "medium", "high" or "critical".
func (s Severity) String() string { return nameOf(severityNames[:], s) }

// MarshalText encodes s as [Severity.String] does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of [Severity.MarshalText].
func (s *Severity) UnmarshalText(text []byte) error {
	return parseName(severityNames[:], text, "severity", s)
}

// Kind is the machine code of a finding, stable across releases.
type Kind string

// The findings about what is open now.
const (
	// SplitLoopback: different programs answer 127.0.0.1:N and [::1]:N.
	SplitLoopback Kind = "split-loopback"
	// SplitWildcard: one program has every address, another a specific one.
	SplitWildcard Kind = "split-wildcard"
	// SharedPort: unrelated programs listen on the very same address and port.
	SharedPort Kind = "shared-port"
	// UnnamedOwner: nobody can say whose door it is.
	UnnamedOwner Kind = "unnamed-owner"
	// WideService: a database, cache or administration service is bound to
	// every address.
	WideService Kind = "wide-service"
	// EphemeralServer: a TCP server listens inside the ephemeral range.
	EphemeralServer Kind = "ephemeral-server"
	// DeletedExe: the executable of a holder is no longer on disk.
	DeletedExe Kind = "deleted-exe"
	// OrphanHolder: the program that started a holder is gone.
	OrphanHolder Kind = "orphan-holder"
	// ContainerLoopback: a published port leads to a program that listens on
	// its container's loopback address only. The published door comes first.
	ContainerLoopback Kind = "container-loopback"
)

// The findings about who can reach what is open.
const (
	// ExposedService: a WideService that most addresses can reach.
	ExposedService Kind = "exposed-service"
	// PastFirewall: a published port of a container is open to those whom the
	// rules for this machine's own ports would turn away.
	PastFirewall Kind = "past-firewall"
	// IPv6Open: the rules close a port for IPv4 and leave it open for IPv6.
	IPv6Open Kind = "ipv6-open"
	// AdminDoor: a door for administrators, such as SSH, on its usual port, open to
	// most addresses.
	AdminDoor Kind = "admin-door"
	// OverlayOpen: by a tunnel, a VPN or a bridge of containers everybody gets to
	// doors that the rules close elsewhere. The first evidence is the interface.
	OverlayOpen Kind = "overlay-open"
	// IdlePermit: a rule or a policy opens ports on which nobody listens. The first
	// evidence are the ports.
	IdlePermit Kind = "idle-permit"
	// DeadRule: a rule of the firewall that never matches. The first evidence is the
	// rule, the second, where there is one, the rule before it that decides instead.
	DeadRule Kind = "dead-rule"
)

// The findings about what was computed and what was seen from outside.
const (
	// SeenOpen: a door answered that by the rules nobody who looked could reach.
	SeenOpen Kind = "seen-open"
	// SeenShut: a door did not answer that the rules leave open.
	SeenShut Kind = "seen-shut"
)

// The findings of a scan alone.
const (
	// AnsweringService: a service that is meant for this machine or a trusted
	// network answers a scan. It is Likely if only its number says what it is.
	AnsweringService Kind = "answering-service"
	// OpenedDoor: a door is open that was not in an earlier scan.
	OpenedDoor Kind = "opened-door"
)

// The findings about what programs ask for. They warn and change no outcome.
const (
	// ClaimEphemeral: the port lies where outgoing connections take theirs from.
	ClaimEphemeral Kind = "claim-ephemeral"
	// ClaimReserved: an administrator has reserved the port, for somebody.
	ClaimReserved Kind = "claim-reserved"
	// ClaimBrowserBlocked: browsers refuse to connect to this port number.
	ClaimBrowserBlocked Kind = "claim-browser-blocked"
	// ClaimMoved: the program takes a later port than the one that is asked for,
	// because that is taken.
	ClaimMoved Kind = "claim-moved"
	// ClaimPrivileged: the program has to be started by root, and whoever looks
	// is somebody else.
	ClaimPrivileged Kind = "claim-privileged"
)

// Finding is something worth telling the user, as data: a code, the doors it is
// about, and the evidence. Its sentence is made by whoever shows it.
type Finding struct {
	Kind     Kind
	Severity Severity
	Bind     Bind
	// Cause is the cause id of package conflict that says why there is such a
	// thing, where the kind leaves that open; "" is none.
	Cause string
	// Doors are the doors it is about, the one to blame first.
	Doors []Door
	// Service is the port book's name of the service it is about; "" is none.
	Service string
	// Likely says that Service follows from the port number alone, because the
	// program behind the door is hidden or is a runtime that runs many.
	Likely   bool
	Evidence []Evidence
	Fix      []Fix
}

// Evidence is one fact that a finding rests on.
type Evidence struct {
	Source string // where it was seen: "sock_diag", "/proc/812/exe", "port book"
	Text   string // what was seen, raw
	File   string // "" is none
	Line   int    // from 1; 0 is none
}

// Fix is one thing the user can do. Code is a machine code whose sentence is
// made by whoever shows it; Command is what to run, if it is a command.
type Fix struct {
	Code    string
	Args    []string // what the sentence speaks of: a unit, an address, a port
	Command []string
}

// Subject is a part of the answer that a Gap hides.
type Subject string

// The subjects.
const (
	HidesDoors      Subject = "doors"      // whole sockets
	HidesBound      Subject = "bound"      // TCP sockets that are bound but do not listen
	HidesOwners     Subject = "owners"     // who is behind a door
	HidesDetails    Subject = "details"    // something about a known owner
	HidesContainers Subject = "containers" // containers and their published ports
	HidesRestarts   Subject = "restarts"   // what an engine starts by itself
	HidesNamespaces Subject = "namespaces" // other network namespaces
	HidesTraffic    Subject = "traffic"    // connections
	HidesHost       Subject = "host"       // facts about the machine
	HidesOutside    Subject = "outside"    // the rest of the machine around a container, WSL or VM
	HidesRegistry   Subject = "registry"   // names and purposes of ports
	HidesSightings  Subject = "sightings"  // doors seen from outside
	HidesRules      Subject = "rules"      // rules of a firewall, and so who can reach a door
	HidesReach      Subject = "reach"      // who can reach some doors: Source is the rule that decides, Count how many doors
)

// Gap is something that could not be seen. It stands beside the answer and is
// as much a part of it as what was seen.
type Gap struct {
	Source string // who was asked: "sock_diag", "/proc/812/fd", "docker"
	Err    string // what it said, in its own words
	Hides  Subject
	// Reason refines Hides where whole groups of doors share one.
	Reason Hidden
	// Count is how many doors it concerns; 0 is unknown.
	Count int
}
