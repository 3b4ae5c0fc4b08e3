package firewall

import (
	"fmt"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

// This file decodes the expressions that look sets up and change them, translate
// addresses, and use named objects.

func (d *ruleDecoder) lookup(e *expression) {
	name := e.text(1)
	set, key := d.asked(name, e, 2)
	if set == nil {
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

// asked returns the set of a name and what it is asked for, which begins in the
// register that the attribute n names; nil if either is not known.
func (d *ruleDecoder) asked(name string, e *expression, n int) (*setHeader, []monban.Load) {
	set, known := d.sets[name]
	at, ok := e.place(n)
	if !known || !ok {
		return nil, nil
	}
	key, ok := d.regs.key(at, set.keyLen)
	if !ok {
		return nil, nil
	}
	return set, key
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
		set, key := d.asked(e.text(4), e, 3)
		if set == nil {
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
