package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

// This file turns the expressions of a rule into steps. Numbers are those of
// include/uapi/linux/netfilter/nf_tables.h (Linux 6.18).

// ruleDecoder reads one rule. It runs the rule's expressions on registers that
// hold where a value comes from instead of the value.
type ruleDecoder struct {
	regs  registers
	steps []monban.Step
	temps int
	// network is the protocol that an earlier test of the rule has left:
	// monban's IPv4 or IPv6; the zero Family is either.
	network monban.Family
	// sets finds the sets of the rule's table.
	sets map[string]*setHeader
	// little says that the machine keeps numbers little-endian.
	little bool
}

func nativeLittle() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// expression is one expression's attributes by number.
type expression struct {
	name  string
	attrs [16][]byte
}

func (e *expression) has(i int) bool          { return e.attrs[i] != nil }
func (e *expression) u32(i int) uint32        { return nfnl.Uint32(e.attrs[i]) }
func (e *expression) text(i int) string       { return nfnl.String(e.attrs[i]) }
func (e *expression) place(i int) (int, bool) { return place(e.u32(i)) }

// data returns the value of a NFTA_DATA_VALUE below attribute i.
func (e *expression) data(i int) (value []byte) {
	_ = nfnl.Attrs(e.attrs[i], func(kind uint16, b []byte) error {
		if kind == 1 {
			value = b
		}
		return nil
	})
	return value
}

// expressions decodes the list of a rule's expressions.
func (d *ruleDecoder) expressions(list []byte) error {
	return nfnl.Attrs(list, func(_ uint16, elem []byte) error {
		var e expression
		var data []byte
		err := nfnl.Attrs(elem, func(kind uint16, b []byte) error {
			switch kind {
			case 1: // NFTA_EXPR_NAME
				e.name = nfnl.String(b)
			case 2: // NFTA_EXPR_DATA
				data = b
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = nfnl.Attrs(data, func(kind uint16, b []byte) error {
			if int(kind) < len(e.attrs) {
				e.attrs[kind] = b
			}
			return nil
		})
		if err != nil {
			return err
		}
		d.expression(&e)
		return nil
	})
}

func (d *ruleDecoder) add(s monban.Step) { d.steps = append(d.steps, s) }
func (d *ruleDecoder) note(name string)  { d.add(monban.Step{Op: monban.OpNote, Name: name}) }

// opaque adds a step that may pass or fail.
func (d *ruleDecoder) opaque(name string) { d.add(monban.Step{Op: monban.OpOpaque, Name: name}) }

// final adds a step that may do anything.
func (d *ruleDecoder) final(name string) {
	d.add(monban.Step{Op: monban.OpOpaque, Name: name, Final: true})
}

func (d *ruleDecoder) decide(k monban.ActionKind, chain string) {
	d.add(monban.Step{Op: monban.OpDecide, Action: monban.Action{Kind: k, Chain: chain}})
}

// chance adds a step whose outcome nobody can foresee. Two ends of a range, such as
// of hours, are one.
func (d *ruleDecoder) chance(name string) {
	if n := len(d.steps); n > 0 && d.steps[n-1].Op == monban.OpChance && d.steps[n-1].Name == name {
		return
	}
	d.add(monban.Step{Op: monban.OpChance, Name: name})
}

// expression decodes one expression.
func (d *ruleDecoder) expression(e *expression) {
	switch e.name {
	case "payload":
		d.payload(e)
	case "meta":
		d.meta(e)
	case "ct":
		d.ct(e)
	case "fib":
		d.fib(e)
	case "cmp":
		d.cmp(e)
	case "range":
		d.rangeTest(e)
	case "bitwise":
		d.bitwise(e)
	case "byteorder":
		d.byteorder(e)
	case "lookup":
		d.lookup(e)
	case "immediate":
		d.immediate(e)
	case "numgen", "hash":
		// jhash reads its source from attribute 1; symhash has none. Both write
		// to attribute 2, numgen to 1.
		dreg, modulus, offset := 1, 2, 4
		if e.name == "hash" {
			dreg, modulus, offset = 2, 4, 6
		}
		l := monban.Load{Field: monban.FieldRandom, Name: e.name, Len: 4, Little: d.little}
		if e.u32(offset) == 0 {
			l.Below = e.u32(modulus)
		}
		d.load(e, dreg, l)
	case "nat":
		d.nat(e)
	case "redir":
		s := monban.Step{Op: monban.OpRedirect, Name: portChoice(e.u32(3))}
		s.Port = d.pair(e, 1, 2, 2)
		if e.has(1) && s.Port == nil {
			d.final("redirect")
			return
		}
		d.add(s)
	case "masq":
		d.add(monban.Step{Op: monban.OpSNAT, Name: "masquerade"})
	case "limit":
		d.chance(limitText(e))
	case "quota":
		d.chance("quota")
	case "connlimit":
		over := ""
		if e.u32(2)&1 != 0 { // NFT_CONNLIMIT_F_INV
			over = "over "
		}
		d.chance(fmt.Sprintf("ct count %s%d", over, e.u32(1)))
	case "counter", "last", "flow_offload", "dup":
		d.note(e.name)
	case "log":
		d.note("log")
	case "reject":
		d.decide(monban.ActReject, "")
	case "queue":
		d.decide(monban.ActQueue, "")
	case "notrack":
		d.add(monban.Step{Op: monban.OpNoTrack})
	case "dynset":
		d.dynset(e)
	case "objref":
		d.objref(e)
	case "match":
		d.match(e)
	case "target":
		d.target(e)
	case "tproxy":
		d.proxy("tproxy", d.pair(e, 3, 3, 2))
	case "rt", "socket", "osf", "exthdr", "xfrm", "tunnel":
		d.other(e)
	default: // fwd, synproxy, inner and what later kernels bring
		d.regs = registers{}
		d.final(e.name)
	}
}

// proxy adds that packets may go to whoever listens on a port for others, wherever
// they were sent to.
func (d *ruleDecoder) proxy(name string, port []monban.Load) {
	d.add(monban.Step{Op: monban.OpOpaque, Name: name, Final: true, Port: port})
}

// other is an expression that loads something which cannot be foreseen.
func (d *ruleDecoder) other(e *expression) {
	dreg, n := 1, 4
	switch e.name {
	case "tunnel", "socket":
		dreg = 2
	case "exthdr":
		if e.has(7) || !e.has(1) { // NFTA_EXTHDR_SREG: it changes an option
			d.note("exthdr set")
			return
		}
		const ipv6, ipv4, present = 0, 2, 1
		if op := e.u32(6); op == ipv6 || op == ipv4 {
			if e.u32(5)&present == 0 {
				d.never("exthdr")
			}
			d.load(e, 1, monban.Load{Field: monban.FieldConstant, Name: "exthdr", Value: []byte{0}, Len: 1})
			return
		}
		n = int(e.u32(4))
	}
	d.load(e, dreg, monban.Load{Field: monban.FieldOther, Name: otherName(e), Len: max(1, min(n, 16))})
}

// otherName is nft's word for what an expression loads.
func otherName(e *expression) string {
	var names []string
	key := e.u32(2)
	switch e.name {
	case "socket":
		names, key = []string{"transparent", "mark", "wildcard", "cgroupv2"}, e.u32(1)
	case "rt":
		names = []string{"classid", "nexthop", "nexthop", "mtu", "ipsec"}
	case "exthdr":
		const tcp = 1
		if e.u32(6) == tcp {
			return fmt.Sprintf("tcp option %d", byteOf(e.attrs[2]))
		}
	}
	if int(key) < len(names) {
		return e.name + " " + names[key]
	}
	return e.name
}

func byteOf(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// never adds a test that no packet of somebody who wants to get in passes: it asks
// for an extension header or an option, which such packets need not have.
func (d *ruleDecoder) never(name string) {
	d.add(monban.Step{Op: monban.OpTest, Within: []monban.Span{{First: []byte{1}, Last: []byte{1}}},
		Key: []monban.Load{{Field: monban.FieldConstant, Name: name, Value: []byte{0}, Len: 1}}})
}

// load puts a load into the register that attribute i names.
func (d *ruleDecoder) load(e *expression, i int, loads ...monban.Load) {
	at, ok := e.place(i)
	if !ok {
		d.regs = registers{}
		d.final(e.name)
		return
	}
	d.regs.put(at, loads...)
}

func (d *ruleDecoder) immediate(e *expression) {
	if e.u32(1) == 0 { // NFT_REG_VERDICT
		var data []byte
		_ = nfnl.Attrs(e.attrs[2], func(kind uint16, b []byte) error {
			if kind == 2 { // NFTA_DATA_VERDICT
				data = b
			}
			return nil
		})
		a, ok := verdict(data)
		if !ok {
			d.final("verdict")
			return
		}
		d.add(monban.Step{Op: monban.OpDecide, Action: a})
		return
	}
	v := bytes.Clone(e.data(2))
	d.load(e, 1, monban.Load{Field: monban.FieldConstant, Value: v, Len: len(v)})
}

// verdict decodes the attributes of a NFTA_DATA_VERDICT.
func verdict(b []byte) (a monban.Action, ok bool) {
	code := int32(-100)
	err := nfnl.Attrs(b, func(kind uint16, v []byte) error {
		switch kind {
		case 1:
			code = int32(nfnl.Uint32(v))
		case 2:
			a.Chain = nfnl.String(v)
		}
		return nil
	})
	if err != nil {
		return a, false
	}
	switch code {
	case -1, -2: // NFT_CONTINUE, NFT_BREAK
		a.Kind = monban.ActContinue
	case -3:
		a.Kind = monban.ActJump
	case -4:
		a.Kind = monban.ActGoto
	case -5:
		a.Kind = monban.ActReturn
	default:
		switch code & 0xff {
		case 0:
			a.Kind = monban.ActDrop
		case 1:
			a.Kind = monban.ActAccept
		case 3:
			a.Kind = monban.ActQueue
		default:
			return a, false
		}
	}
	return a, true
}

// cmp decodes a comparison with one value.
func (d *ruleDecoder) cmp(e *expression) {
	data, op := e.data(3), e.u32(2)
	at, ok := e.place(1)
	var loads []monban.Load
	if ok {
		loads, ok = d.regs.get(at, len(data))
	}
	if !ok || len(data) == 0 || op > 5 || len(loads) > 1 && op != 0 {
		d.opaque(d.regs.name(at, "cmp"))
		return
	}
	for _, l := range loads {
		var value []byte
		value, data = bytes.Clone(data[:l.Len]), data[l.Len:]
		if l.Little {
			value = reversed(value)
		}
		d.test(l, op, value)
	}
}

// test adds the step for `load op value`, op being one of enum nft_cmp_ops.
func (d *ruleDecoder) test(l monban.Load, op uint32, value []byte) {
	zero, ones := make([]byte, len(value)), bytes.Repeat([]byte{0xff}, len(value))
	s := monban.Step{Op: monban.OpTest, Key: []monban.Load{l}}
	switch op {
	case 0, 1: // eq, neq
		s.Not = op == 1
		s.Within = []monban.Span{{First: value, Last: value}}
	case 2: // lt
		if v, ok := step(value, -1); ok {
			s.Within = []monban.Span{{First: zero, Last: v}}
		}
	case 3: // lte
		if d.endRange(l, value) {
			return
		}
		s.Within = []monban.Span{{First: zero, Last: value}}
	case 4: // gt
		if v, ok := step(value, 1); ok {
			s.Within = []monban.Span{{First: v, Last: ones}}
		}
	case 5: // gte
		s.Within = []monban.Span{{First: value, Last: ones}}
	}
	d.finishTest(s)
}

// endRange puts the end to a range whose beginning the step before asks for: nft
// writes one as two comparisons.
func (d *ruleDecoder) endRange(l monban.Load, last []byte) bool {
	if len(d.steps) == 0 {
		return false
	}
	s := &d.steps[len(d.steps)-1]
	if s.Op != monban.OpTest || s.Not || len(s.Within) != 1 || !wholeLoad(s.Key[0]) || !wholeLoad(l) || !sameLoad(s.Key[0], l) {
		return false
	}
	span := &s.Within[0]
	if len(span.Last) != len(last) || bytes.Count(span.Last, []byte{0xff}) != len(last) || bytes.Compare(span.First, last) > 0 {
		return false
	}
	span.Last = last
	return true
}

// wholeLoad reports whether a load is a field as it is.
func wholeLoad(l monban.Load) bool { return l.Mask == nil && l.Field != monban.FieldOther }

// finishTest adds a test, after it has been looked at for what it says about the
// protocol of the loads that follow.
func (d *ruleDecoder) finishTest(s monban.Step) {
	l := &s.Key[0]
	switch l.Field {
	case monban.FieldOther:
		if strings.HasPrefix(l.Name, "meta time") || l.Name == "meta day" || l.Name == "meta hour" {
			d.chance(l.Name)
			return
		}
		if w := s.Within; l.Name == maxSegment && l.Len == 2 && l.Mask == nil && len(w) == 1 && len(w[0].First) == 2 && len(w[0].Last) == 2 &&
			oddSegments(binary.BigEndian.Uint16(w[0].First), binary.BigEndian.Uint16(w[0].Last), s.Not) {
			d.never(l.Name)
			return
		}
		d.opaque(l.Name + " …")
		return
	case monban.FieldRandom:
		d.chance("random")
		return
	case monban.FieldReversePath:
		present, ok := d.present(l, s.Within)
		if !ok {
			d.opaque("fib saddr oif")
			return
		}
		l.Name, l.Len = "", 1
		s.Within = []monban.Span{{First: []byte{present}, Last: []byte{present}}}
	}
	if !s.Not && len(s.Within) == 1 && bytes.Equal(s.Within[0].First, s.Within[0].Last) && l.Mask == nil {
		v := s.Within[0].First
		switch {
		case l.Field == monban.FieldFamily && v[0] == 2, l.Field == monban.FieldEtherType && bytes.Equal(v, []byte{0x08, 0x00}):
			d.network = monban.IPv4
		case l.Field == monban.FieldFamily && v[0] == 10, l.Field == monban.FieldEtherType && bytes.Equal(v, []byte{0x86, 0xdd}):
			d.network = monban.IPv6
		}
	}
	d.add(s)
}

// present reads a test of a route's interface: 0 is how "there is none" looks, and
// anything else can only be answered where the load asks no more than that.
func (d *ruleDecoder) present(l *monban.Load, within []monban.Span) (byte, bool) {
	if len(within) != 1 || !bytes.Equal(within[0].First, within[0].Last) {
		return 0, false
	}
	zero := bytes.Count(within[0].First, []byte{0}) == len(within[0].First)
	switch {
	case zero:
		return 0, true
	case l.Name == fibPresent:
		return 1, true
	}
	return 0, false
}

// step returns the number one above or below v.
func step(v []byte, by int) ([]byte, bool) {
	out := bytes.Clone(v)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] += byte(by)
		if by > 0 && out[i] != 0 || by < 0 && out[i] != 0xff {
			return out, true
		}
	}
	return nil, false
}

func (d *ruleDecoder) rangeTest(e *expression) {
	from, to := bytes.Clone(e.data(3)), bytes.Clone(e.data(4))
	at, ok := e.place(1)
	var loads []monban.Load
	if ok {
		loads, ok = d.regs.get(at, len(from))
	}
	if !ok || len(loads) != 1 || len(from) != len(to) {
		d.opaque(d.regs.name(at, "range"))
		return
	}
	if loads[0].Little {
		from, to = reversed(from), reversed(to)
	}
	d.finishTest(monban.Step{Op: monban.OpTest, Key: loads, Not: e.u32(2) == 1, Within: []monban.Span{{First: from, Last: to}}})
}

func (d *ruleDecoder) bitwise(e *expression) {
	n := int(e.u32(3))
	from, ok1 := e.place(1)
	to, ok2 := e.place(2)
	mask, xor := e.data(4), e.data(5)
	loads, ok3 := d.regs.get(from, n)
	if !ok1 || !ok2 || !ok3 || e.u32(6) != 0 || len(mask) != n || len(xor) != n {
		// A shift, or an operation on two registers.
		if ok2 && n > 0 && n <= 16 {
			d.regs.put(to, monban.Load{Field: monban.FieldOther, Name: "bitwise", Len: n})
		} else {
			d.regs = registers{}
		}
		return
	}
	for i := range loads {
		l := &loads[i]
		m, x := bytes.Clone(mask[:l.Len]), bytes.Clone(xor[:l.Len])
		mask, xor = mask[l.Len:], xor[l.Len:]
		if l.Little {
			m, x = reversed(m), reversed(x)
		}
		if l.Mask != nil { // ((v & a) ^ b & m) ^ x
			for j := range m {
				x[j] ^= l.Xor[j] & m[j]
				m[j] &= l.Mask[j]
			}
		}
		l.Mask, l.Xor = m, x
		if d.network == monban.IPv4 && l.Name == fragmentField && l.Offset == 0 && l.Len == 2 && m[0]&0xc0 == 0 && x[0] == 0 && x[1] == 0 {
			// Which fragment a packet is: nobody has to send any.
			*l = monban.Load{Field: monban.FieldConstant, Name: "ip frag-off", Value: []byte{0, 0}, Len: 2}
		}
	}
	d.regs.put(to, loads...)
}

// fragmentField is the name of the bytes at 6 of the IPv4 header.
const fragmentField = "@nh,48"

func (d *ruleDecoder) byteorder(e *expression) {
	n, size := int(e.u32(4)), int(e.u32(5))
	from, ok1 := e.place(1)
	to, ok2 := e.place(2)
	if !ok1 || !ok2 || n == 0 || n > 16 {
		d.regs = registers{}
		return
	}
	loads, ok := d.regs.get(from, n)
	if !ok || len(loads) != 1 || size != loads[0].Len {
		d.regs.put(to, monban.Load{Field: monban.FieldOther, Name: "byteorder", Len: n})
		return
	}
	if d.little {
		loads[0].Little = !loads[0].Little
	}
	d.regs.put(to, loads...)
}

func (d *ruleDecoder) lookup(e *expression) {
	name := e.text(1)
	set, known := d.sets[name]
	at, ok := e.place(2)
	var key []monban.Load
	if ok && known {
		key, ok = d.regs.key(at, set.keyLen)
	}
	if !ok || !known {
		d.final("lookup @" + name)
		return
	}
	s := monban.Step{Op: monban.OpLookup, Key: key, Set: name, Not: e.u32(5)&1 != 0}
	switch {
	case !e.has(3):
		d.add(s)
	case e.u32(3) == 0:
		s.Op = monban.OpVerdict
		d.add(s)
	default:
		s.Op, s.Temp = monban.OpMap, d.temps
		d.temps++
		d.add(s)
		d.load(e, 3, monban.Load{Field: monban.FieldTemp, Temp: s.Temp, Len: max(1, set.dataLen)})
	}
}

// pair returns the loads of a range's two ends, of n bytes each, nil where there
// is none.
func (d *ruleDecoder) pair(e *expression, first, last, n int) []monban.Load {
	var out []monban.Load
	for _, i := range [...]int{first, last} {
		if !e.has(i) {
			continue
		}
		at, ok := e.place(i)
		if !ok {
			return nil
		}
		loads, ok := d.regs.get(at, n)
		if !ok || len(loads) != 1 {
			return nil
		}
		out = append(out, loads[0])
	}
	if len(out) == 2 && sameLoad(out[0], out[1]) {
		out = out[:1]
	}
	return out
}

func sameLoad(a, b monban.Load) bool {
	return a.Field == b.Field && a.Temp == b.Temp && a.Offset == b.Offset && a.Len == b.Len && bytes.Equal(a.Value, b.Value)
}

func (d *ruleDecoder) nat(e *expression) {
	if e.u32(1) == 0 { // NFT_NAT_SNAT
		// After routing, and never before it: what the source becomes decides
		// nothing here.
		d.add(monban.Step{Op: monban.OpSNAT, Name: "snat"})
		return
	}
	n, family := 4, byte(e.u32(2))
	if family == 10 {
		n = 16
	}
	if d.network == monban.FamilyUnknown && family != 1 {
		// In a table of both families it passes over the other one
		// (nft_nat_inet_eval).
		d.test(monban.Load{Field: monban.FieldFamily, Len: 1}, 0, []byte{family})
	}
	s := monban.Step{Op: monban.OpDNAT, Addr: d.pair(e, 3, 4, n), Port: d.pair(e, 5, 6, 2), Name: portChoice(e.u32(7))}
	const netmap = 1 << 6 // NF_NAT_RANGE_NETMAP: the host part of the address stays
	if e.has(3) && s.Addr == nil || e.has(5) && s.Port == nil || e.u32(7)&netmap != 0 {
		d.final("dnat")
		return
	}
	d.add(s)
}

// portChoice is how NAT takes a port of a range: any where it is told to, and else
// the packet's own if it is one of them, or the first.
func portChoice(flags uint32) string {
	const random, fullyRandom = 1 << 2, 1 << 4 // NF_NAT_RANGE_PROTO_RANDOM, NF_NAT_RANGE_PROTO_RANDOM_FULLY
	if flags&(random|fullyRandom) != 0 {
		return monban.PortRandom
	}
	return ""
}

func (d *ruleDecoder) dynset(e *expression) {
	const takeOut = 2 // NFT_DYNSET_OP_DELETE
	s := monban.Step{Op: monban.OpUpdate, Set: e.text(1), Not: e.u32(3) == takeOut}
	if set, ok := d.sets[s.Set]; ok {
		if at, ok := e.place(4); ok {
			s.Key, _ = d.regs.key(at, set.keyLen)
		}
	}
	// With an expression, such as a limit, or inverted, it is a test, too.
	const inverted = 1 // NFT_DYNSET_F_INV
	if decides(e) || e.u32(9)&inverted != 0 {
		s.Name = "update @" + s.Set
	}
	d.add(s)
}

// decides reports whether what a set keeps for each element is more than a count.
func decides(e *expression) (yes bool) {
	one := func(_ uint16, b []byte) error {
		return nfnl.Attrs(b, func(kind uint16, v []byte) error {
			if name := nfnl.String(v); kind == 1 && name != "counter" && name != "last" {
				yes = true
			}
			return nil
		})
	}
	if e.has(10) { // NFTA_DYNSET_EXPRESSIONS
		yes = nfnl.Attrs(e.attrs[10], one) != nil || yes
	} else if e.has(7) { // NFTA_DYNSET_EXPR
		yes = one(0, e.attrs[7]) != nil || yes
	}
	return yes
}

// objref decodes the use of a named object, or of the one that a map has for a key:
// where it has none the rule ends (nft_objref_map_eval).
func (d *ruleDecoder) objref(e *expression) {
	kind, name := e.u32(1), e.text(2)
	if e.has(4) {
		name = "@" + e.text(4)
		set, known := d.sets[e.text(4)]
		at, ok := e.place(3)
		var key []monban.Load
		if ok && known {
			key, ok = d.regs.key(at, set.keyLen)
		}
		if !ok || !known {
			d.final("object " + name)
			return
		}
		kind = set.objType
		d.add(monban.Step{Op: monban.OpLookup, Key: key, Set: set.set.Name})
	}
	names := [...]string{1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 5: "ct count", 7: "ct timeout", 8: "secmark", 9: "ct expectation"}
	switch kind {
	case 1, 3, 7, 8:
		d.note(names[kind])
	case 2, 4, 5:
		d.chance(names[kind] + " name " + name)
	case 9: // who has one already is dropped (nft_ct_expect_obj_eval)
		d.final(names[kind])
	default: // a tunnel, synproxy
		d.final("object " + name)
	}
}

// limitText writes a limit as nft does.
func limitText(e *expression) string {
	rate, unit := nfnl.Uint64(e.attrs[1]), nfnl.Uint64(e.attrs[2])
	over := ""
	if e.u32(5)&1 != 0 { // NFT_LIMIT_F_INV
		over = "over "
	}
	what := ""
	if e.u32(4) == 1 { // NFT_LIMIT_PKT_BYTES
		what = " bytes"
	}
	per := fmt.Sprintf("%ds", unit)
	switch unit {
	case 1:
		per = "second"
	case 60:
		per = "minute"
	case 3600:
		per = "hour"
	case 86400:
		per = "day"
	case 604800:
		per = "week"
	}
	return fmt.Sprintf("limit rate %s%d%s/%s", over, rate, what, per)
}
