package monban

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Policy says which doors of a machine should be open, and to whom. Every door
// that it does not list is to be closed. A protocol without ports is no door: it
// passes, unless an entry is about it.
type Policy struct {
	Doors []PolicyDoor
}

// PolicyDoor is one entry of a [Policy]. Several may be about the same port:
// what one of them lets in comes in.
type PolicyDoor struct {
	// Ports are of one transport; the zero PortRange where the entry is about an
	// IP protocol without ports: then Protocol is its number, and else 0.
	Ports    PortRange
	Protocol IPProto `json:",omitzero"`
	To       []Audience
	// Limit is how many new connections each source may open; the zero Rate is
	// no limit.
	Limit Rate `json:",omitzero"`
	// Until is when the entry ends; the zero time is never.
	Until time.Time `json:",omitzero"`
	// For is what the author says the door is for, raw.
	For string `json:",omitempty"`
	Pos Pos    `json:",omitzero"`
}

// About returns what the entry is about: "443/tcp", or "proto:esp".
func (d *PolicyDoor) About() string {
	if d.Protocol != 0 {
		return "proto:" + d.Protocol.String()
	}
	return d.Ports.String()
}

// Audience is who may come in by a door.
type Audience struct {
	Kind AudienceKind
	// Name is the host name of a ByName and the interface of a ByInterface.
	Name string `json:",omitempty"`
	// Ranges are the addresses of ToAddresses; and those that a ByName or a
	// ThisNetwork stood for when the policy was resolved.
	Ranges []AddrRange `json:",omitempty"`
}

// AudienceKind is a kind of [Audience].
type AudienceKind uint8

// The kinds of audience.
const (
	AudienceUnknown AudienceKind = iota
	Anybody
	ThisMachine // nobody from outside
	ThisNetwork // the networks that the machine's own interfaces are in
	ToAddresses
	ByName      // the addresses of a host name
	ByInterface // whoever comes in by an interface
)

var audienceNames = [...]string{AudienceUnknown: "unknown", Anybody: "any", ThisMachine: "local", ThisNetwork: "this-network",
	ToAddresses: "addresses", ByName: "name", ByInterface: "interface"}

// String returns the kind's name.
func (k AudienceKind) String() string { return nameOf(audienceNames[:], k) }

// MarshalText encodes k as [AudienceKind.String] does.
func (k AudienceKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse of [AudienceKind.MarshalText].
func (k *AudienceKind) UnmarshalText(text []byte) error {
	return parseName(audienceNames[:], text, "audience", k)
}

// String returns the audience as the policy file writes it; for ToAddresses of
// more than one range, separated by commas.
func (a Audience) String() string {
	switch a.Kind {
	case ByName:
		return "name:" + a.Name
	case ByInterface:
		return "if:" + a.Name
	case ToAddresses:
		var list []string
		for _, r := range a.Ranges {
			list = append(list, r.String())
		}
		return strings.Join(list, ", ")
	}
	return a.Kind.String()
}

// Rate is a number of events in a time: 1 to 65535 in a second, a minute, an
// hour or a day. The zero Rate is no rate.
type Rate struct {
	N   int
	Per time.Duration
}

// String returns "10/minute"; the zero Rate is "".
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r.Per == u.per {
			return strconv.Itoa(r.N) + "/" + u.name
		}
	}
	return ""
}

type rateUnit struct {
	name string
	per  time.Duration
}

var rateUnits = [...]rateUnit{{"second", time.Second}, {"minute", time.Minute}, {"hour", time.Hour}, {"day", 24 * time.Hour}}

// ParseRate is the inverse of [Rate.String].
func ParseRate(s string) (Rate, error) {
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	for _, u := range rateUnits {
		if err == nil && n > 0 && unit == u.name {
			return Rate{int(n), u.per}, nil
		}
	}
	return Rate{}, fmt.Errorf("%q is no rate such as 10/minute", s)
}

// MarshalText encodes r as [Rate.String] does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of [Rate.MarshalText].
func (r *Rate) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*r = Rate{}
		return nil
	}
	*r, err = ParseRate(string(text))
	return err
}
