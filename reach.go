package monban

import (
	"fmt"
	"net/netip"
	"strings"
)

// Family is a family of addresses.
type Family uint8

// The families.
const (
	FamilyUnknown Family = iota
	IPv4
	IPv6
)

var familyNames = [...]string{FamilyUnknown: "unknown", IPv4: "ipv4", IPv6: "ipv6"}

// FamilyOf returns the family of addr; an IPv4-mapped address is IPv4.
func FamilyOf(addr netip.Addr) Family {
	switch {
	case addr.Is4() || addr.Is4In6():
		return IPv4
	case addr.Is6():
		return IPv6
	}
	return FamilyUnknown
}

// String returns "ipv4" or "ipv6".
func (f Family) String() string { return nameOf(familyNames[:], f) }

// MarshalText encodes f as [Family.String] does.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of [Family.MarshalText].
func (f *Family) UnmarshalText(text []byte) error {
	return parseName(familyNames[:], text, "family", f)
}

// Verdict says whether a door can be reached. The zero value is VerdictUnknown.
type Verdict uint8

// The verdicts.
const (
	VerdictUnknown Verdict = iota
	VerdictOpen            // every source that there can be
	VerdictPartly          // some sources
	VerdictClosed          // nobody
)

var verdictNames = [...]string{VerdictUnknown: "unknown", VerdictOpen: "open", VerdictPartly: "partly", VerdictClosed: "closed"}

// String returns "open", "closed", "partly" or "unknown".
func (v Verdict) String() string { return nameOf(verdictNames[:], v) }

// MarshalText encodes v as [Verdict.String] does.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is the inverse of [Verdict.MarshalText].
func (v *Verdict) UnmarshalText(text []byte) error {
	return parseName(verdictNames[:], text, "verdict", v)
}

// Reach says who can reach a door from one interface in one family: who can
// complete a new connection, or for UDP get a datagram in, to any address of
// this machine where the door answers. Several stand side by side where sources
// differ: those of an Open or Partly one without Conditions come in as they are.
type Reach struct {
	Family  Family
	Device  string // the interface that packets come in by
	Verdict Verdict
	// Sources are who is meant, sorted and disjoint: for Partly exactly they
	// come in; for Unknown they are undecided, all when there are none.
	Sources []AddrRange
	// Conditions qualify an Open or Partly.
	Conditions []Condition
	// Rule decides for most of the sources, and Why where it is no rule.
	Rule RuleRef
	Why  Reason
}

// Condition is something that a way in depends on besides the source.
type Condition struct {
	Kind ConditionKind
	// Text is the condition in nft's words, or the set's or port's name, raw.
	Text string
	Rule RuleRef
}

// ConditionKind is the machine code of a [Condition], or of what is unknown.
type ConditionKind string

// The conditions.
const (
	ByRate       ConditionKind = "rate"        // a limit on packets, bytes or connections
	ByDynamicSet ConditionKind = "dynamic-set" // a set that rules fill
	ByTime       ConditionKind = "time"
	ByChance     ConditionKind = "chance"
	BySourcePort ConditionKind = "source-port" // only from some ports of the client
	ByFilter     ConditionKind = "filter"      // a program beside the rules, on the cgroup of who listens
	ByOpaque     ConditionKind = "opaque"      // a rule that cannot be decoded
)

// Reason says what decided where no rule did.
type Reason string

// The reasons.
const (
	ByRule       Reason = ""
	NoRule       Reason = "no-rule"       // no chain is in the way
	ByLoopback   Reason = "loopback"      // loopback addresses are not answered from outside
	ByAddress    Reason = "address"       // the interface's family has no address to answer at
	ByDevice     Reason = "device"        // the socket is bound to another interface
	ByRoute      Reason = "route"         // there is no way back to the other sources
	ByReverse    Reason = "reverse-path"  // rp_filter drops the other sources
	ByForwarding Reason = "no-forwarding" // translated elsewhere, and this machine does not forward
	ByNobody     Reason = "nobody"        // no rule translates them, and nobody listens here
	ByNoListener Reason = "no-listener"   // a rule leads it to a port of this machine on which nobody listens
	ByUnseen     Reason = "unseen"        // the ruleset could not be read: see the gaps
	ByProgram    Reason = "program"       // a BPF program sees packets first
	ByRouting    Reason = "policy-routing"
	ByOthers     Reason = "others" // of a comparison: whoever comes in, it is not who looked
)

// RuleRef names a rule, or the policy of a base chain where Handle is 0. The
// zero RuleRef is none.
type RuleRef struct {
	Family TableFamily
	Table  string
	Chain  string
	Handle uint64
	Text   string // the rule in nft's words; "policy drop"
}

// String returns "inet filter input handle 7: tcp dport 22 accept".
func (r RuleRef) String() string {
	switch {
	case r.Table == "":
		return r.Text // something else that stands in the way
	case r.Handle == 0:
		return fmt.Sprintf("%s %s %s: %s", r.Family, r.Table, r.Chain, r.Text)
	}
	return fmt.Sprintf("%s %s %s handle %d: %s", r.Family, r.Table, r.Chain, r.Handle, r.Text)
}

// AddrRange is a range of addresses of one family, both ends included. Its text
// form is a prefix where it is one, such as "10.0.0.0/8", a single address, or
// "10.0.0.5-10.0.0.9".
type AddrRange struct{ First, Last netip.Addr }

// String returns the text form.
func (r AddrRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	if p, ok := r.Prefix(); ok {
		return p.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// Prefix returns r as a prefix, if it is one.
func (r AddrRange) Prefix() (netip.Prefix, bool) {
	a, b := r.First.AsSlice(), r.Last.AsSlice()
	if len(a) != len(b) {
		return netip.Prefix{}, false
	}
	n := 0 // bits in common
	for n < 8*len(a) && (a[n/8]^b[n/8])&(0x80>>(n%8)) == 0 {
		n++
	}
	for i := n; i < 8*len(a); i++ {
		bit := byte(0x80) >> (i % 8)
		if a[i/8]&bit != 0 || b[i/8]&bit == 0 {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(r.First, n), true
}

// Contains reports whether addr is in r.
func (r AddrRange) Contains(addr netip.Addr) bool {
	return r.First.BitLen() == addr.BitLen() && r.First.Compare(addr) <= 0 && addr.Compare(r.Last) <= 0
}

// MarshalText encodes r as [AddrRange.String] does.
func (r AddrRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of [AddrRange.MarshalText].
func (r *AddrRange) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "-")
	if !isRange {
		if p, err := netip.ParsePrefix(first); err == nil {
			*r = RangeOf(p)
			return nil
		}
		last = first
	}
	a, err := netip.ParseAddr(first)
	if err != nil {
		return fmt.Errorf("not a range of addresses: %w", err)
	}
	b, err := netip.ParseAddr(last)
	if err != nil {
		return fmt.Errorf("not a range of addresses: %w", err)
	}
	*r = AddrRange{a, b}
	return nil
}

// RangeOf returns the addresses of p.
func RangeOf(p netip.Prefix) AddrRange {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return AddrRange{p.Addr(), end}
}

// Share returns how much of the addresses in use the ranges are, from 0 to 1: of
// all IPv4 addresses, or of 2000::/3 for IPv6 (RFC 4291 section 2.4). The ranges
// are of one family and disjoint.
func Share(ranges []AddrRange) float64 {
	share := 0.0
	for _, r := range ranges {
		a, b := r.First.As16(), r.Last.As16()
		at, whole := 12, 1.0
		if r.First.Is6() {
			if a[0] > 0x3f || b[0] < 0x20 {
				continue
			}
			at, whole = 0, 8
			if a[0] < 0x20 {
				a = [16]byte{0: 0x20}
			}
			if b[0] > 0x3f {
				b = [16]byte{0: 0x40}
			}
		}
		for i, unit := at, 1.0; i < 16; i++ {
			unit /= 256
			share += whole * unit * float64(int(b[i])-int(a[i]))
		}
	}
	return share
}

// Shares is [Share] for the lists of many doors, which are mostly the same few: each is
// measured once. A list must not change meanwhile. The zero Shares is ready for use,
// by one at a time.
type Shares struct{ known map[rangesID]float64 }

// rangesID is the identity of a list of ranges.
type rangesID struct {
	first *AddrRange
	n     int
}

// Of returns the share of the ranges.
func (s *Shares) Of(ranges []AddrRange) float64 {
	const few = 8
	if len(ranges) < few {
		return Share(ranges)
	}
	id := rangesID{&ranges[0], len(ranges)}
	share, ok := s.known[id]
	if !ok {
		if s.known == nil {
			s.known = map[rangesID]float64{}
		}
		share = Share(ranges)
		s.known[id] = share
	}
	return share
}

// Public is [Reach.Public] of one among many.
func (s *Shares) Public(r *Reach) bool {
	return r.Verdict == VerdictOpen || r.Verdict == VerdictPartly && s.Of(r.Sources) > 0.5
}

// Public reports whether the reach is not limited to some networks: most addresses
// in use come in, perhaps on a condition.
func (r *Reach) Public() bool {
	return new(Shares).Public(r)
}
