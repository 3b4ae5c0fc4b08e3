package monban

import (
	"net/netip"
	"time"
)

// Sighting is what a look from outside saw of one door. It is an observation
// from one place at one time: another observer may see something else.
type Sighting struct {
	Target netip.Addr
	// From names the network namespace looked from, as [Bind.NetNS] does; "" is
	// the observer's own.
	From    string
	Port    Port
	State   SightState
	Service Service // the zero Service was not asked for, or said nothing
	At      time.Time
}

// SightState is how a door answered.
type SightState uint8

// The states of a sighting. For UDP only an answer makes a door Open.
const (
	// SightUnknown is undecided: silence that loss, a rate limit or a silent
	// server explains as well as a filter.
	SightUnknown SightState = iota
	// SightOpen answered: SYN-ACK, or a datagram.
	SightOpen
	// SightClosed said so: RST (RFC 9293 section 3.10.7.1), or ICMP port
	// unreachable from the target itself.
	SightClosed
	// SightFiltered is an ICMP prohibition, or silence while a port known to
	// answer went on answering.
	SightFiltered
)

var sightNames = [...]string{SightUnknown: "unknown", SightOpen: "open", SightClosed: "closed", SightFiltered: "filtered"}

// String returns "open", "closed", "filtered" or "unknown".
func (s SightState) String() string { return nameOf(sightNames[:], s) }

// MarshalText encodes s as [SightState.String] does.
func (s SightState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of [SightState.MarshalText].
func (s *SightState) UnmarshalText(text []byte) error {
	return parseName(sightNames[:], text, "state of a sighting", s)
}

// Service is what was found behind a door by talking to it. It follows from
// what the server said and never from the port's number.
type Service struct {
	// Protocol is the application protocol in lower case: "ssh", "http",
	// "postgresql"; inside TLS the protocol within. "" is not known.
	Protocol string
	// Product and Version are the server's own words, raw; "" is not said.
	Product, Version string
	// TLS reports that the protocol is spoken inside TLS, from the first byte or
	// after STARTTLS.
	TLS         bool
	Certificate Certificate
	Grade       Grade
	// Evidence is what the server said that decided, raw and cut short; with
	// GradeUnknown its first bytes.
	Evidence string
}

// Certificate is the leaf certificate a TLS server showed, unverified. The zero
// Certificate is none.
type Certificate struct {
	Subject, Issuer string // RFC 4514 strings
	Names           []string
	NotAfter        time.Time
}

// Grade says how sure a [Service] is.
type Grade uint8

// The grades.
const (
	// GradeUnknown: no signature fits; Evidence has the first bytes, if any.
	GradeUnknown Grade = iota
	// GradeLikely: a banner resembles the protocol's, and nothing confirmed it.
	GradeLikely
	// GradeIdentified: a valid answer of the protocol confirmed it.
	GradeIdentified
)

var gradeNames = [...]string{GradeUnknown: "unknown", GradeLikely: "likely", GradeIdentified: "identified"}

// String returns "identified", "likely" or "unknown".
func (g Grade) String() string { return nameOf(gradeNames[:], g) }

// MarshalText encodes g as [Grade.String] does.
func (g Grade) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText is the inverse of [Grade.MarshalText].
func (g *Grade) UnmarshalText(text []byte) error { return parseName(gradeNames[:], text, "grade", g) }
