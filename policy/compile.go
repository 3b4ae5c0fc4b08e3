package policy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// TableName is the one table that monban owns, of family inet.
const TableName = "monban"

// Names in the table. The parts of a policy end in -a or -b: while a policy is on
// trial, the one before it stands beside it.
const (
	chainSelect = "select"
	mapTrial    = "trial"
	setRunning  = "running"
	setJudged   = "judged"
)

// priority of the chain that decides: behind connection tracking (-200) and
// before any translation, which must come later than that (nf_tables refuses a
// nat chain at or below -200), so that a door is judged by the number that was
// knocked at.
const priority = -199

// Compile returns the ruleset, of the one table, that keeps a resolved policy,
// with the doors that are not past their time at now. It fails with a
// [*LimitError].
//
// The table decides about new connections, and datagrams, of TCP, UDP, SCTP and
// DCCP to this machine's own addresses, about the protocols without ports that the
// policy lists, and about nothing else: not about ICMP, neighbour discovery or any
// other protocol, not about what belongs to a connection, and not about what is
// only forwarded. A door that leads to a
// container is knocked at by this machine's address, and so is judged like any
// other. What is not let in is dropped, which is final whatever other tables say.
func Compile(p *monban.Policy, now time.Time) (*monban.Ruleset, error) {
	c := compiler{now: now, table: monban.Table{Family: monban.TableInet, Name: TableName}}
	doors, err := c.doors(p)
	if err != nil {
		return nil, err
	}
	c.frame()
	c.table.Chains = append(c.table.Chains, doors...)
	return &monban.Ruleset{Tables: []monban.Table{c.table}}, nil
}

// slot is the suffix of the parts of a compiled policy.
const slot = "-a"

type compiler struct {
	now   time.Time
	table monban.Table
}

func value(b ...byte) monban.Span { return monban.Span{First: b, Last: b} }

func is(f monban.Field, b ...byte) monban.Step {
	return monban.Step{Op: monban.OpTest, Key: []monban.Load{{Field: f, Len: len(b)}}, Within: []monban.Span{value(b...)}}
}

// anyBit passes if one of the bits is set.
func anyBit(f monban.Field, host bool, mask ...byte) monban.Step {
	zero := make([]byte, len(mask))
	return monban.Step{Op: monban.OpTest, Not: true, Within: []monban.Span{value(zero...)},
		Key: []monban.Load{{Field: f, Len: len(mask), Mask: mask, Xor: zero, Little: host && little()}}}
}

// little reports whether this machine keeps numbers little-endian: the fields
// that the kernel keeps in its own order are such on it.
func little() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func decide(k monban.ActionKind, chain string) monban.Step {
	return monban.Step{Op: monban.OpDecide, Action: monban.Action{Kind: k, Chain: chain}}
}

func rule(comment string, steps ...monban.Step) monban.Rule {
	return monban.Rule{Comment: comment, Steps: steps}
}

const (
	afIPv4 = 2
	afIPv6 = 10

	rtnLocal     = 2 // enum rtn_type
	rtnBroadcast = 3
	rtnAnycast   = 4
	rtnMulticast = 5
)

// destination passes if the packet is for an address of the given kind.
func destination(kind byte, byDevice bool) monban.Step {
	s := is(monban.FieldDestType, 0, 0, 0, kind)
	s.Key[0].ByDevice, s.Key[0].Little = byDevice, little()
	return s
}

// frame adds what is the same for every policy.
func (c *compiler) frame() {
	accept, toSelect := decide(monban.ActAccept, ""), decide(monban.ActGoto, chainSelect)
	tcp, udp := is(monban.FieldL4Proto, byte(monban.TCP.Number())), is(monban.FieldL4Proto, byte(monban.UDP.Number()))
	v4, v6 := is(monban.FieldFamily, afIPv4), is(monban.FieldFamily, afIPv6)
	ack := anyBit(monban.FieldTCPFlags, false, 0x10)
	loopback := is(monban.FieldInName, deviceKey("lo")...)
	known := anyBit(monban.FieldConnState, true, 0, 0, 0, 2|4) // established, related
	untracked := anyBit(monban.FieldConnState, true, 0, 0, 0, 64)
	lookup := func(set string, not bool, keys ...monban.Load) monban.Step {
		return monban.Step{Op: monban.OpLookup, Key: keys, Set: set, Not: not}
	}
	port := func(f monban.Field, n uint16) monban.Step { return is(f, byte(n>>8), byte(n)) }
	linkLocal := monban.Step{Op: monban.OpTest, Within: []monban.Span{value(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		Key: []monban.Load{{Field: monban.FieldSource, Len: 16, Mask: append([]byte{0xff, 0xc0}, make([]byte, 14)...), Xor: make([]byte, 16)}}}

	always := []monban.Rule{
		rule("this machine itself", loopback, accept),
		rule("what belongs to a connection", known, accept),
	}
	first := slices.Concat(always, []monban.Rule{
		// Segments with ACK cannot open a connection.
		rule("answers without connection tracking", untracked, tcp, ack, accept),
		rule("connections from before the policy", tcp, ack, lookup(setRunning, false, monban.Load{Field: monban.FieldFamily, Len: 1}), accept),
		rule("DHCP client", v4, udp, port(monban.FieldSourcePort, 67), port(monban.FieldDestPort, 68), accept),
		rule("DHCPv6 client", v6, linkLocal, udp, port(monban.FieldSourcePort, 547), port(monban.FieldDestPort, 546), accept),
		rule("", destination(rtnLocal, false), toSelect),
		rule("addresses of a VRF", destination(rtnLocal, true), toSelect),
		rule("", destination(rtnBroadcast, false), toSelect),
		rule("", destination(rtnAnycast, false), toSelect),
	})
	base := func(name string, hook monban.Hook, priority int32, rules []monban.Rule) monban.Chain {
		return monban.Chain{Name: name, Hook: hook, Type: "filter", Priority: priority, Policy: monban.Action{Kind: monban.ActAccept}, Rules: rules}
	}
	c.table.Chains = append(c.table.Chains,
		base("prerouting", monban.HookPrerouting, priority, first),
		// Whether a multicast packet is for this machine is only known here.
		base("input", monban.HookInput, 0, append(slices.Clone(always), rule("", destination(rtnMulticast, false), toSelect))),
		monban.Chain{Name: chainSelect, Rules: []monban.Rule{
			rule("a policy on trial", monban.Step{Op: monban.OpVerdict, Key: []monban.Load{{Field: monban.FieldFamily, Len: 1}}, Set: mapTrial}),
			rule("", decide(monban.ActGoto, "doors"+slot)),
		}})
	c.table.Sets = append([]monban.Set{
		{Name: setRunning, Fields: []int{1}},
		{Name: mapTrial, Fields: []int{1}, VerdictMap: true},
	}, c.table.Sets...)
}

// doors returns the chains of the policy's doors and adds their sets.
func (c *compiler) doors(p *monban.Policy) ([]monban.Chain, error) {
	chain := monban.Chain{Name: "doors" + slot}
	c.protocols(&chain, p)
	var free, limited [2][]entry // by family
	var freeDoors, limitedDoors []*monban.PolicyDoor
	var freeLimits, limitedLimits []int
	var limitChains []monban.Chain
	for i := range p.Doors {
		d := &p.Doors[i]
		if d.Protocol != 0 {
			continue
		}
		limit := -1
		list, doors, limits := &free, &freeDoors, &freeLimits
		if d.Limit.N > 0 {
			limit = len(limitChains)
			limitChains = append(limitChains, c.limitChain(limit, d.Limit))
			list, doors, limits = &limited, &limitedDoors, &limitedLimits
		}
		for f := range list {
			if s := audience(d, families[f]); len(s) > 0 {
				list[f] = append(list[f], entry{d, s, limit})
			}
		}
		*doors, *limits = append(*doors, d), append(*limits, limit)
	}
	// Those without a limit come first, so that the administrators of a narrow
	// entry are not counted by a wide one.
	for _, part := range [...]struct {
		name    string
		entries [2][]entry
		doors   []*monban.PolicyDoor
		limits  []int
	}{{"open", free, freeDoors, freeLimits}, {"limited", limited, limitedDoors, limitedLimits}} {
		for f, family := range families {
			list, err := boxes(part.entries[f])
			if err != nil {
				return nil, err
			}
			c.addressMap(&chain, part.name+[...]string{"4", "6"}[f]+slot, family, list)
		}
		list, err := portals(part.doors, part.limits)
		if err != nil {
			return nil, err
		}
		c.deviceMap(&chain, part.name+"-if"+slot, list)
	}
	chain.Rules = append(chain.Rules, rule("every other door", decide(monban.ActDrop, "")))
	return append([]monban.Chain{chain}, limitChains...), nil
}

var families = [2]monban.Family{monban.IPv4, monban.IPv6}

// audience returns the addresses of a family that a door lets in.
func audience(d *monban.PolicyDoor, family monban.Family) set {
	var ranges []monban.AddrRange
	for _, a := range d.To {
		if a.Kind == monban.Anybody {
			ranges = append(ranges, everything(family))
		}
		ranges = append(ranges, a.Ranges...)
	}
	return newSet(family, ranges...)
}

var (
	loadProto = monban.Load{Field: monban.FieldL4Proto, Len: 1}
	loadPort  = monban.Load{Field: monban.FieldDestPort, Len: 2}
)

func (c *compiler) addressMap(chain *monban.Chain, name string, family monban.Family, list []box) {
	if len(list) == 0 {
		return
	}
	size, number := 4, byte(afIPv4)
	if family == monban.IPv6 {
		size, number = 16, afIPv6
	}
	m := monban.Set{Name: name, Fields: []int{1, 2, size}, Interval: true, VerdictMap: true}
	for _, b := range list {
		if c.ended(b.until) {
			continue
		}
		m.Elements = append(m.Elements, monban.Element{
			First: key(b.ports.Proto, b.ports.First, b.from.First.AsSlice()), Last: key(b.ports.Proto, b.ports.Last, b.from.Last.AsSlice()),
			Action: c.action(b.limit), Expires: c.left(b.until)})
	}
	c.addMap(m)
	chain.Rules = append(chain.Rules, rule("", is(monban.FieldFamily, number),
		monban.Step{Op: monban.OpVerdict, Key: []monban.Load{loadProto, loadPort, {Field: monban.FieldSource, Len: size}}, Set: name}))
}

func (c *compiler) deviceMap(chain *monban.Chain, name string, list []portal) {
	if len(list) == 0 {
		return
	}
	m := monban.Set{Name: name, Fields: []int{1, 2, 16}, Interval: true, VerdictMap: true}
	for _, p := range list {
		if c.ended(p.until) {
			continue
		}
		m.Elements = append(m.Elements, monban.Element{
			First: key(p.ports.Proto, p.ports.First, deviceKey(p.device)), Last: key(p.ports.Proto, p.ports.Last, deviceKey(p.device)),
			Action: c.action(p.limit), Expires: c.left(p.until)})
	}
	c.addMap(m)
	chain.Rules = append(chain.Rules, rule("", monban.Step{Op: monban.OpVerdict,
		Key: []monban.Load{loadProto, loadPort, {Field: monban.FieldInName, Len: 16}}, Set: name}))
}

func (c *compiler) addMap(m monban.Set) {
	slices.SortFunc(m.Elements, func(a, b monban.Element) int { return bytes.Compare(a.First, b.First) })
	c.table.Sets = append(c.table.Sets, m)
}

// key lays out transport, port and the last part, each from a multiple of four
// bytes on.
func key(p monban.Proto, port uint16, last []byte) []byte {
	b := []byte{byte(p.Number()), 0, 0, 0, byte(port >> 8), byte(port), 0, 0}
	return append(b, last...)
}

// deviceKey is an interface's name as the kernel keeps it.
func deviceKey(name string) []byte {
	b := make([]byte, 16)
	copy(b[:15], name)
	return b
}

func (c *compiler) action(limit int) monban.Action {
	if limit < 0 {
		return monban.Action{Kind: monban.ActAccept}
	}
	return monban.Action{Kind: monban.ActGoto, Chain: limitName(limit)}
}

// ended reports whether an entry is past its time. Its map is there all the same:
// the rules of a policy do not change while its doors end.
func (c *compiler) ended(until time.Time) bool { return !until.IsZero() && !until.After(c.now) }

// left is how long an entry has to live; what ends in more than 200 years lives
// for ever.
func (c *compiler) left(until time.Time) time.Duration {
	if until.IsZero() || until.Sub(c.now) > math.MaxInt64/2 {
		return 0
	}
	return until.Sub(c.now)
}

func limitName(i int) string { return fmt.Sprintf("limit%d%s", i, slot) }

// limitChain lets in what is within a rate, counted for each source: an IPv4
// address, or the first 64 bits of an IPv6 one, which is what a subscriber has at
// least (RFC 6177). One count for all would let anybody keep everybody out.
func (c *compiler) limitChain(i int, r monban.Rate) monban.Chain {
	over := fmt.Sprintf("limit rate over %s burst %d packets", r, r.N)
	half := bytes.Repeat([]byte{0xff}, 8)
	half = append(half, make([]byte, 8)...)
	meter := func(n int) string { return fmt.Sprintf("rate%d-%d-per-%s%s", n, r.N, unit(r), slotOf(i)) }
	update := func(name string, l monban.Load) monban.Step {
		c.table.Sets = append(c.table.Sets, monban.Set{Name: name, Fields: []int{l.Len}, Dynamic: true})
		return monban.Step{Op: monban.OpUpdate, Key: []monban.Load{l}, Set: name, Name: over}
	}
	drop := decide(monban.ActDrop, "")
	return monban.Chain{Name: limitName(i), Rules: []monban.Rule{
		rule("", is(monban.FieldFamily, afIPv4), update(meter(4), monban.Load{Field: monban.FieldSource, Len: 4}), drop),
		rule("", is(monban.FieldFamily, afIPv6), update(meter(6), monban.Load{Field: monban.FieldSource, Len: 16, Mask: half, Xor: make([]byte, 16)}), drop),
		rule("", decide(monban.ActAccept, "")),
	}}
}

func unit(r monban.Rate) string {
	_, u, _ := bytes.Cut([]byte(r.String()), []byte("/"))
	return string(u)
}

func slotOf(i int) string { return fmt.Sprintf("-%d%s", i, slot) }
