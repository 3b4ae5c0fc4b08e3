package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"

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
