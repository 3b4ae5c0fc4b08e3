package monban

import (
	"fmt"
	"net/netip"
	"strings"
)

// RoutingRule is a rule that chooses the routing table for some packets, or decides
// their fate itself: one line of ip-rule(8). The selectors all have to fit; one that
// is zero is none.
type RoutingRule struct {
	Family   Family
	Priority uint32 // the lowest is asked first
	// Not: the rule is about the packets that the selectors do not fit.
	Not      bool         `json:",omitempty"`
	From, To netip.Prefix `json:",omitzero"`
	// In is the interface that packets came in by, "lo" for what this machine
	// sends; Out is that which a socket is bound to.
	In, Out string `json:",omitempty"`
	// Mark has to be that of the packet in the bits of Mask.
	Mark, Mask uint32 `json:",omitempty"`
	TOS        uint8  `json:",omitempty"`
	Proto      uint8  `json:",omitempty"` // 6 is TCP
	// SourcePorts and DestPorts are for any protocol that has ports.
	SourcePorts, DestPorts PortRange `json:",omitzero"`
	// UIDs is the range of users whose sockets send.
	UIDs *UIDRange `json:",omitempty"`
	// L3Mdev: it is about the interfaces of a VRF, and leads to their table.
	L3Mdev bool `json:",omitempty"`
	// Other names a selector of another kind, which may fit or not.
	Other string `json:",omitempty"`

	Action RoutingAction
	Table  uint32 `json:",omitempty"` // of RouteLookup: see TableMain
	Goto   uint32 `json:",omitempty"` // of RouteGoto: the priority to go on with
	// Suppress is how many bits a route has to have more than, plus one, for a
	// RouteLookup to find it (suppress_prefixlength); 0 is no such limit.
	Suppress uint32 `json:",omitempty"`
	// SuppressGroup: it finds no route by an interface of some group.
	SuppressGroup bool `json:",omitempty"`
}

// UIDRange is a range of users, both ends included.
type UIDRange struct{ First, Last uint32 }

// RoutingAction is what a [RoutingRule] does.
type RoutingAction string

// The actions. The last three end the search: there is no route.
const (
	RouteLookup      RoutingAction = "lookup" // search Table, and go on where it has no route
	RouteGoto        RoutingAction = "goto"
	RouteNop         RoutingAction = "nop"
	RouteBlackhole   RoutingAction = "blackhole"
	RouteUnreachable RoutingAction = "unreachable"
	RouteProhibit    RoutingAction = "prohibit"
)

// The routing tables that every system has (enum rt_class_t). A [Route] of the main
// one has the Table 0.
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// Standard reports whether r is one of the rules that every system has: look in the
// tables local, main and default for every packet.
func (r *RoutingRule) Standard() bool {
	plain := RoutingRule{Family: r.Family, Priority: r.Priority, Action: RouteLookup, Table: r.Table}
	return *r == plain && (r.Table == TableDefault || r.Table == TableMain || r.Table == TableLocal)
}

// String returns the rule as ip(8) writes it: "ip rule 100: from 10.0.0.0/8 lookup
// 200".
func (r *RoutingRule) String() string {
	var b strings.Builder
	b.WriteString("ip ")
	if r.Family == IPv6 {
		b.WriteString("-6 ")
	}
	fmt.Fprintf(&b, "rule %d:", r.Priority)
	if r.Not {
		b.WriteString(" not")
	}
	b.WriteString(" from " + prefixText(r.From))
	if r.To.IsValid() {
		b.WriteString(" to " + prefixText(r.To))
	}
	if r.TOS != 0 {
		fmt.Fprintf(&b, " tos 0x%02x", r.TOS)
	}
	switch {
	case r.Mask == ^uint32(0):
		fmt.Fprintf(&b, " fwmark %#x", r.Mark)
	case r.Mask != 0:
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	for _, one := range [...]struct{ word, value string }{{"iif", r.In}, {"oif", r.Out}} {
		if one.value != "" {
			b.WriteString(" " + one.word + " " + one.value)
		}
	}
	if r.L3Mdev {
		b.WriteString(" lookup [l3mdev-table]")
		return b.String()
	}
	if r.UIDs != nil {
		fmt.Fprintf(&b, " uidrange %d-%d", r.UIDs.First, r.UIDs.Last)
	}
	if r.Proto != 0 {
		b.WriteString(" ipproto " + protocolName(r.Proto))
	}
	for _, one := range [...]struct {
		word  string
		ports PortRange
	}{{"sport", r.SourcePorts}, {"dport", r.DestPorts}} {
		switch p := one.ports; {
		case p == PortRange{}:
		case p.First == p.Last:
			fmt.Fprintf(&b, " %s %d", one.word, p.First)
		default:
			fmt.Fprintf(&b, " %s %d-%d", one.word, p.First, p.Last)
		}
	}
	if r.Other != "" {
		b.WriteString(" " + r.Other)
	}
	b.WriteString(" " + string(r.Action))
	switch r.Action {
	case RouteLookup:
		b.WriteString(" " + tableText(r.Table))
	case RouteGoto:
		fmt.Fprintf(&b, " %d", r.Goto)
	}
	if r.Suppress != 0 {
		fmt.Fprintf(&b, " suppress_prefixlength %d", r.Suppress-1)
	}
	if r.SuppressGroup {
		b.WriteString(" suppress_ifgroup")
	}
	return b.String()
}

func prefixText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "all"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

func tableText(table uint32) string {
	switch table {
	case TableDefault:
		return "default"
	case TableMain:
		return "main"
	case TableLocal:
		return "local"
	}
	return fmt.Sprint(table)
}
