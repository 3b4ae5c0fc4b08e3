package monban

import (
	"net/netip"
	"time"
)

// Ruleset is what the kernel's packet filter does with packets, in a closed
// little language: tables of chains of rules, and a rule is a list of steps that
// test a packet, change something about it, or decide its fate. Whatever the
// language has no words for is an [OpOpaque] step that names it, never left out.
//
// Numbers in it are big-endian, as on the wire, whatever the machine.
type Ruleset struct {
	// Generation is the kernel's count of changes to the ruleset (32 bits, may
	// wrap). Two readings with the same one are of the same ruleset.
	Generation uint32
	Tables     []Table
	// StrictTCP: connection tracking takes no TCP connection for new that it
	// has not seen the beginning of (net.netfilter.nf_conntrack_tcp_loose is 0).
	StrictTCP bool `json:",omitempty"`
}

// Table is a namespace of chains and sets.
type Table struct {
	Family TableFamily
	Name   string
	Handle uint64
	// Dormant: its chains see no packets.
	Dormant bool
	Chains  []Chain
	Sets    []Set
}

// Filter is something besides the rules and XDP (see [Interface]) that sees
// packets and may keep them back. What it does with them is not known.
type Filter struct {
	// Kind is "tc" for a filter of tc(8), "tcx" and "cgroup" for BPF programs at
	// these places, "sk_lookup" for one that chooses the socket for whatever
	// arrives in the network namespace, "xfrm" for a policy of IPsec.
	Kind string
	// Name is the filter's kind or the program's name, raw.
	Name string
	// Device is the interface that it is on, "" for a cgroup's or a namespace's.
	Device string
	// PIDs are the doors' owners in the cgroup.
	PIDs []int `json:",omitempty"`
	// From are the sources that a policy of IPsec is about, whose packets have to
	// be protected, or are not let in at all.
	From netip.Prefix `json:",omitzero"`
}

// String returns "tc flower on eth0" or "cgroup sd_fw_ingress".
func (p Filter) String() string {
	text := p.Kind + " " + p.Name
	if p.Device != "" {
		text += " on " + p.Device
	}
	if p.From.IsValid() {
		text += " from " + p.From.String()
	}
	return text
}

// TableFamily says which packets a table's chains see.
type TableFamily uint8

// The families, by nft's names "ip", "ip6", "inet" (both), "arp", "bridge" and
// "netdev".
const (
	TableFamilyUnknown TableFamily = iota
	TableIP
	TableIP6
	TableInet
	TableARP
	TableBridge
	TableNetdev
)

var tableFamilyNames = [...]string{TableFamilyUnknown: "unknown", TableIP: "ip", TableIP6: "ip6", TableInet: "inet",
	TableARP: "arp", TableBridge: "bridge", TableNetdev: "netdev"}

// String returns nft's name for f.
func (f TableFamily) String() string { return nameOf(tableFamilyNames[:], f) }

// MarshalText encodes f as [TableFamily.String] does.
func (f TableFamily) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of [TableFamily.MarshalText].
func (f *TableFamily) UnmarshalText(text []byte) error {
	return parseName(tableFamilyNames[:], text, "table family", f)
}

// Hook is a point on a packet's way where base chains are called.
type Hook uint8

// The hooks. A chain without one is only called by other chains.
const (
	NoHook Hook = iota
	HookIngress
	HookPrerouting
	HookInput
	HookForward
	HookOutput
	HookPostrouting
	HookEgress
)

var hookNames = [...]string{NoHook: "", HookIngress: "ingress", HookPrerouting: "prerouting", HookInput: "input",
	HookForward: "forward", HookOutput: "output", HookPostrouting: "postrouting", HookEgress: "egress"}

// String returns nft's name for h; [NoHook] is "".
func (h Hook) String() string { return nameOf(hookNames[:], h) }

// MarshalText encodes h as [Hook.String] does.
func (h Hook) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the inverse of [Hook.MarshalText].
func (h *Hook) UnmarshalText(text []byte) error { return parseName(hookNames[:], text, "hook", h) }

// Chain is a list of rules.
type Chain struct {
	Name   string
	Handle uint64
	// Hook is where the kernel calls the chain; the fields behind it are those
	// of a base chain and zero where it is NoHook.
	Hook     Hook
	Type     string // "filter", "nat", "route"
	Priority int32  // chains of one hook are called from the lowest
	// Policy is what becomes of a packet that comes to the end: Accept or Drop.
	Policy Action
	// Devices are the interfaces of an ingress or egress chain. A name that
	// ends in * stands for all that begin so.
	Devices []string
	Rules   []Rule
}

// Rule is one rule: its steps are done in order until a test among them fails.
type Rule struct {
	Handle uint64
	// Comment is the user's, raw; "" is none.
	Comment string
	Steps   []Step
}

// Op is what a step does.
type Op uint8

// The operations. Which fields of a [Step] they use stands beside them.
const (
	// OpOpaque is something this language has no words for: Name says what.
	// The packet may pass the step or fail it, and where Final is set its fate
	// may also be decided here: to go to Port, where there is one.
	OpOpaque Op = iota
	// OpTest passes if the value of Key[0] is in Within, or, with Not, is not.
	OpTest
	// OpLookup passes if Key is in Set, or, with Not, is not.
	OpLookup
	// OpMap passes if Key is in Set, and keeps the element's data as Temp.
	OpMap
	// OpVerdict looks Key up in Set, a verdict map, and does what the element
	// says; without an element the rule ends as if a test had failed.
	OpVerdict
	// OpDecide does Action.
	OpDecide
	// OpAssign sets To, Mark or ConnMark, to the value of Key[0], to that of
	// Key[0] ^ Key[1] where there are two; of ConnState it says that nobody can
	// tell from then on.
	OpAssign
	// OpDNAT sends the packet to Addr and Port, where they are given. Of a range
	// of ports the packet keeps its own where that is one of them, and gets the
	// first else; any where Name is PortRandom.
	OpDNAT
	// OpRedirect sends the packet to this machine itself, to Port where given.
	OpRedirect
	// OpSNAT changes the source.
	OpSNAT
	// OpNoTrack keeps the packet out of connection tracking.
	OpNoTrack
	// OpChance passes or not by what happened before or happens to be: a rate
	// limit, a quota, the time of day, chance. Name says which.
	OpChance
	// OpUpdate puts Key into Set, which rules change and nobody can foresee, and
	// passes unless the set is full. With Name, a limit kept for each element,
	// it is a chance. With Not it takes Key out, which always passes.
	OpUpdate
	// OpNote has no effect on the packet: a counter, a log, a comment.
	OpNote
)

var opNames = [...]string{OpOpaque: "opaque", OpTest: "test", OpLookup: "lookup", OpMap: "map", OpVerdict: "vmap",
	OpDecide: "decide", OpAssign: "assign", OpDNAT: "dnat", OpRedirect: "redirect", OpSNAT: "snat",
	OpNoTrack: "notrack", OpChance: "chance", OpUpdate: "update", OpNote: "note"}

// PortRandom is the name of a step that takes a port by chance.
const PortRandom = "random"

// String returns the operation's name.
func (o Op) String() string { return nameOf(opNames[:], o) }

// MarshalText encodes o as [Op.String] does.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText is the inverse of [Op.MarshalText].
func (o *Op) UnmarshalText(text []byte) error { return parseName(opNames[:], text, "operation", o) }

// Step is one part of a rule. Op says which of the other fields have a meaning.
type Step struct {
	Op     Op
	Key    []Load `json:",omitempty"`
	Not    bool   `json:",omitempty"`
	Within []Span `json:",omitempty"`
	Set    string `json:",omitempty"` // a set of the same table
	Temp   int    `json:",omitempty"`
	To     Field  `json:",omitempty"`
	Action Action `json:",omitzero"`
	// Addr and Port are where NAT leads; a pair is a range, nil is unchanged.
	Addr []Load `json:",omitempty"`
	Port []Load `json:",omitempty"`
	Name string `json:",omitempty"`
	// Final says that an opaque step may decide the packet's fate.
	Final bool `json:",omitempty"`
}

// Span is a range of values of the same length, both ends included.
type Span struct{ First, Last []byte }

// Load is a value that a step needs: a field of the packet or of its connection,
// a constant, or what a map gave.
type Load struct {
	Field Field
	// Name says what a FieldOther is, in nft's words.
	Name string `json:",omitempty"`
	// Offset and Len select bytes of the field; Len 0 is the whole.
	Offset int `json:",omitempty"`
	Len    int `json:",omitempty"`
	// Mask and Xor change the value: value & Mask ^ Xor. Nil changes nothing.
	Mask []byte `json:",omitempty"`
	Xor  []byte `json:",omitempty"`
	// Little says that sets hold the value little-endian.
	Little bool `json:",omitempty"`
	// Value is that of a FieldConstant.
	Value []byte `json:",omitempty"`
	// Temp is the OpMap that a FieldTemp comes from.
	Temp int `json:",omitempty"`
	// Below is what all numbers of a FieldRandom are less than; 0 is not known.
	Below uint32 `json:",omitempty"`
	// ByDevice limits a FieldDestType or FieldSourceType to the interface the
	// packet came in by.
	ByDevice bool `json:",omitempty"`
	// ByMark has routing rules asked with the packet's mark, where without there
	// is none.
	ByMark bool `json:",omitempty"`
}

// Field is what can be asked about a packet.
type Field uint8

// The fields. Those of the connection are of its first packet's direction.
const (
	FieldOther Field = iota // something else, which cannot be foreseen
	FieldConstant
	FieldTemp
	FieldSource         // address, 4 or 16 bytes
	FieldDest           // address
	FieldSourcePort     // 2 bytes
	FieldDestPort       // 2 bytes
	FieldL4Proto        // 1 byte: 6 is TCP
	FieldFamily         // 1 byte: 2 is IPv4, 10 is IPv6
	FieldEtherType      // 2 bytes
	FieldInName         // 16 bytes, padded with NULs
	FieldOutName        // 16 bytes
	FieldInIndex        // 4 bytes
	FieldOutIndex       // 4 bytes
	FieldMark           // 4 bytes
	FieldConnMark       // 4 bytes
	FieldConnState      // 4 bytes of bits: invalid 1, established 2, related 4, new 8, untracked 64
	FieldConnStateNAT   // the same of iptables: source NAT 64, destination NAT 128, untracked 256
	FieldConnStatus     // 4 bytes of bits (enum ip_conntrack_status)
	FieldConnDirection  // 1 byte: 0 is original, 1 is reply
	FieldConnSource     // address of who began it
	FieldConnDest       // address it was begun to
	FieldConnSourcePort // 2 bytes
	FieldConnDestPort   // 2 bytes
	FieldSourceType     // 4 bytes: the kind of route to it, 1 is unicast, 2 is local (enum rtn_type)
	FieldDestType       // 4 bytes
	FieldReversePath    // 1 byte: whether the source's route leaves by the interface the packet came in by
	FieldTCPFlags       // 1 byte
	FieldPacketType     // 1 byte: 0 is to this host
	FieldRandom         // a number drawn at random
)

var fieldNames = [...]string{FieldOther: "other", FieldConstant: "constant", FieldTemp: "temp", FieldSource: "saddr",
	FieldDest: "daddr", FieldSourcePort: "sport", FieldDestPort: "dport", FieldL4Proto: "l4proto", FieldFamily: "nfproto",
	FieldEtherType: "ethertype", FieldInName: "iifname", FieldOutName: "oifname", FieldInIndex: "iif", FieldOutIndex: "oif",
	FieldMark: "mark", FieldConnMark: "ct mark", FieldConnState: "ct state", FieldConnStateNAT: "ctstate",
	FieldConnStatus: "ct status", FieldConnDirection: "ct direction", FieldConnSource: "ct original saddr",
	FieldConnDest: "ct original daddr", FieldConnSourcePort: "ct original proto-src", FieldConnDestPort: "ct original proto-dst",
	FieldSourceType: "fib saddr type", FieldDestType: "fib daddr type", FieldReversePath: "fib saddr . iif oif",
	FieldTCPFlags: "tcp flags", FieldPacketType: "meta pkttype", FieldRandom: "random"}

// String returns nft's word for f where there is one.
func (f Field) String() string { return nameOf(fieldNames[:], f) }

// MarshalText encodes f as [Field.String] does.
func (f Field) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of [Field.MarshalText].
func (f *Field) UnmarshalText(text []byte) error { return parseName(fieldNames[:], text, "field", f) }

// Action decides what becomes of a packet. The zero Action goes on with the rule's
// next step.
type Action struct {
	Kind  ActionKind
	Chain string `json:",omitempty"` // of ActJump and ActGoto
}

// ActionKind is a kind of [Action].
type ActionKind uint8

// The kinds. Accept ends the base chain only, so that later ones may still drop;
// Drop and Reject are final.
const (
	ActContinue ActionKind = iota
	ActAccept
	ActDrop
	ActReject
	ActReturn
	ActJump
	ActGoto
	ActQueue // a program outside the kernel decides
)

var actionNames = [...]string{ActContinue: "continue", ActAccept: "accept", ActDrop: "drop", ActReject: "reject",
	ActReturn: "return", ActJump: "jump", ActGoto: "goto", ActQueue: "queue"}

// String returns nft's word for k.
func (k ActionKind) String() string { return nameOf(actionNames[:], k) }

// MarshalText encodes k as [ActionKind.String] does.
func (k ActionKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse of [ActionKind.MarshalText].
func (k *ActionKind) UnmarshalText(text []byte) error {
	return parseName(actionNames[:], text, "action", k)
}

// Set is a set, or a map when its elements have data or actions.
type Set struct {
	Name string
	// Anonymous sets belong to one rule; their names mean nothing to people.
	Anonymous bool
	// Fields are the lengths in bytes of the parts of a key. Each part begins at
	// a multiple of four bytes.
	Fields []int
	// Interval: elements may be ranges; else First and Last of each are equal.
	Interval bool
	// Map and VerdictMap say what the elements carry.
	Map, VerdictMap bool
	// Dynamic: rules add elements while packets pass.
	Dynamic bool
	// Limit names what each element keeps and passes by, such as a rate limit or a
	// quota: who is in the set comes past a look-up only as long as that lets him.
	Limit string `json:",omitempty"`
	// Unread: the elements were not asked for, because no rule in question
	// looks the set up.
	Unread bool
	// Elements are sorted by First. Those of a set of single fields do not
	// overlap; those of a concatenation of ranges may, and of such a map they are
	// in the kernel's order: of several that fit the first one counts.
	Elements []Element
	// Else is the element for every key that no other has (nft's catch-all *).
	Else *Element `json:",omitempty"`
}

// Element is one element of a set: for a concatenation, First and Last hold the
// bounds of each part in the key's layout.
type Element struct {
	First, Last []byte
	Data        []byte `json:",omitempty"`
	Action      Action `json:",omitzero"`
	// Expires is the time left when it was read; 0 is never.
	Expires time.Duration `json:",omitempty"`
}

// Translates reports whether some rule sends packets elsewhere than they were sent
// to.
func (r *Ruleset) Translates() bool {
	if r == nil {
		return false
	}
	for i := range r.Tables {
		for j := range r.Tables[i].Chains {
			for k := range r.Tables[i].Chains[j].Rules {
				for _, s := range r.Tables[i].Chains[j].Rules[k].Steps {
					if s.Op == OpDNAT || s.Op == OpRedirect {
						return true
					}
				}
			}
		}
	}
	return false
}

// Table returns the table with the given family and name, or nil.
func (r *Ruleset) Table(family TableFamily, name string) *Table {
	for i := range r.Tables {
		if r.Tables[i].Family == family && r.Tables[i].Name == name {
			return &r.Tables[i]
		}
	}
	return nil
}

// Chain returns the chain with the given name, or nil.
func (t *Table) Chain(name string) *Chain {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}

// Set returns the set with the given name, or nil.
func (t *Table) Set(name string) *Set {
	for i := range t.Sets {
		if t.Sets[i].Name == name {
			return &t.Sets[i]
		}
	}
	return nil
}
