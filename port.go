package monban

import (
	"fmt"
	"strconv"
	"strings"
)

// PortProblem is what is wrong with the text of a port.
type PortProblem uint8

// The problems.
const (
	NotANumber    PortProblem = iota + 1 // perhaps a service name
	OutOfRange                           // above 65535
	BackwardRange                        // "90-80"
	UnknownProto                         // "80/foo"
	NotOnePort                           // a range where one port is wanted
)

// PortError says why a text is not a port, a range or a protocol.
type PortError struct {
	Text    string // the offending part
	Problem PortProblem
}

// Error implements error.
func (e *PortError) Error() string {
	switch e.Problem {
	case OutOfRange:
		return fmt.Sprintf("port %s is out of range: want 0 to 65535", e.Text)
	case BackwardRange:
		return fmt.Sprintf("port range %q runs backwards", e.Text)
	case UnknownProto:
		return fmt.Sprintf("unknown protocol %q: want tcp, udp, sctp or dccp", e.Text)
	case NotOnePort:
		return fmt.Sprintf("%q is a range of ports: want one", e.Text)
	default:
		return fmt.Sprintf("%q is not a port number", e.Text)
	}
}

// Proto is a transport protocol. The zero value, AnyProto, stands for every
// transport: it is what a bare "80" means in a view.
type Proto uint8

// The transports that have port numbers (RFC 6335 section 5).
const (
	AnyProto Proto = iota
	TCP
	UDP
	SCTP
	DCCP
)

var protoNames = [...]string{AnyProto: "", TCP: "tcp", UDP: "udp", SCTP: "sctp", DCCP: "dccp"}

// Protos lists the four transports in the order in which they are shown.
func Protos() [4]Proto { return [4]Proto{TCP, UDP, SCTP, DCCP} }

// ParseProto reads "tcp", "udp", "sctp" or "dccp", in any case.
func ParseProto(s string) (Proto, error) {
	for p, name := range protoNames {
		if name != "" && strings.EqualFold(s, name) {
			return Proto(p), nil
		}
	}
	return AnyProto, &PortError{Text: s, Problem: UnknownProto}
}

// String returns the lower-case name; AnyProto is the empty string.
func (p Proto) String() string {
	if int(p) < len(protoNames) {
		return protoNames[p]
	}
	return "proto" + strconv.Itoa(int(p))
}

// Number returns the number of p in the header of IP, 0 for AnyProto
// (https://www.iana.org/assignments/protocol-numbers).
func (p Proto) Number() IPProto {
	switch p {
	case TCP:
		return 6
	case UDP:
		return 17
	case DCCP:
		return 33
	case SCTP:
		return 132
	}
	return 0
}

// MarshalText encodes p as [Proto.String] does.
func (p Proto) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is the inverse of [Proto.MarshalText].
func (p *Proto) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*p = AnyProto
		return nil
	}
	*p, err = ParseProto(string(text))
	return err
}

// Port is a port number of one transport, or of all of them. It is comparable
// and so a map key. Its text form is "443/tcp", or "443" for every transport.
type Port struct {
	Num   uint16
	Proto Proto
}

// ParsePort reads the form that [Port.String] writes.
func ParsePort(s string) (Port, error) {
	r, err := ParsePortRange(s)
	if err != nil {
		return Port{}, err
	}
	if r.First != r.Last {
		return Port{}, &PortError{Text: s, Problem: NotOnePort}
	}
	return Port{Num: r.First, Proto: r.Proto}, nil
}

// String returns "443/tcp", or "443" when p stands for every transport.
func (p Port) String() string { return withProto(strconv.Itoa(int(p.Num)), p.Proto) }

// MarshalText encodes p as [Port.String] does.
func (p Port) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is the inverse of [Port.MarshalText].
func (p *Port) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePort(string(text))
	return err
}

// Class returns the part of the number space that p lies in.
func (p Port) Class() Class {
	switch {
	case p.Num < 1024:
		return WellKnown
	case p.Num < 49152:
		return Registered
	default:
		return Dynamic
	}
}

// Class is one of the three parts of the port number space (RFC 6335 section 6).
type Class uint8

// The classes. WellKnown is 0–1023 (the RFC calls them System Ports), Registered
// is 1024–49151 (User Ports), Dynamic is 49152–65535 (Dynamic or Private Ports).
const (
	UnknownClass Class = iota
	WellKnown
	Registered
	Dynamic
)

var classNames = [...]string{UnknownClass: "unknown", WellKnown: "well-known", Registered: "registered", Dynamic: "dynamic"}

// String returns "well-known", "registered" or "dynamic".
func (c Class) String() string { return nameOf(classNames[:], c) }

// MarshalText encodes c as [Class.String] does.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of [Class.MarshalText].
func (c *Class) UnmarshalText(text []byte) error {
	return parseName(classNames[:], text, "port class", c)
}

// PortRange is a run of port numbers, both ends included. One port is a range
// with First equal to Last. Its text form is "80", "80/tcp", "8000-8100" or
// "8000-8100/udp".
type PortRange struct {
	First, Last uint16
	Proto       Proto
}

// ParsePortRange reads the numeric half of the port grammar: N or N-M, either
// with /tcp, /udp, /sctp or /dccp. Service names are the port book's business.
func ParsePortRange(s string) (PortRange, error) {
	nums, proto, hasProto := strings.Cut(s, "/")
	var r PortRange
	var err error
	if hasProto {
		if r.Proto, err = ParseProto(proto); err != nil {
			return PortRange{}, err
		}
	}
	first, last, isRange := strings.Cut(nums, "-")
	if r.First, err = parseNum(first); err != nil {
		return PortRange{}, err
	}
	r.Last = r.First
	if isRange {
		if r.Last, err = parseNum(last); err != nil {
			return PortRange{}, err
		}
	}
	if r.Last < r.First {
		return PortRange{}, &PortError{Text: s, Problem: BackwardRange}
	}
	return r, nil
}

// parseNum reads a decimal port number. It is stricter than strconv: no sign.
func parseNum(s string) (uint16, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, &PortError{Text: s, Problem: NotANumber}
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, &PortError{Text: s, Problem: OutOfRange}
	}
	return uint16(n), nil
}

// Contains reports whether p lies in r. AnyProto on either side matches every
// transport.
func (r PortRange) Contains(p Port) bool {
	return r.First <= p.Num && p.Num <= r.Last &&
		(r.Proto == AnyProto || p.Proto == AnyProto || r.Proto == p.Proto)
}

// Len returns how many port numbers r holds.
func (r PortRange) Len() int { return int(r.Last) - int(r.First) + 1 }

// String returns the form that [ParsePortRange] reads.
func (r PortRange) String() string {
	s := strconv.Itoa(int(r.First))
	if r.Last != r.First {
		s += "-" + strconv.Itoa(int(r.Last))
	}
	return withProto(s, r.Proto)
}

// MarshalText encodes r as [PortRange.String] does.
func (r PortRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of [PortRange.MarshalText].
func (r *PortRange) UnmarshalText(text []byte) (err error) {
	*r, err = ParsePortRange(string(text))
	return err
}

func withProto(s string, p Proto) string {
	if p == AnyProto {
		return s
	}
	return s + "/" + p.String()
}
