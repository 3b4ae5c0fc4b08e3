package firewall

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// This file turns the steps of a rule into expressions: the part of the language
// that package policy speaks. Another step is an error.

// expr adds an expression.
func (b *batch) expr(name string, fill func()) {
	b.nest(1, func() {
		b.text(1, name)
		b.nest(2, fill)
	})
}

// register is the number of the register that begins at byte at: NFT_REG32_00
// and on.
func register(at int) uint32 { return uint32(8 + at/4) }

func (b *batch) step(s *monban.Step) {
	switch s.Op {
	case monban.OpTest:
		b.test(s)
	case monban.OpLookup, monban.OpVerdict:
		b.key(s.Key)
		b.expr("lookup", func() {
			b.text(1, s.Set)
			b.u32(2, register(0))
			if s.Op == monban.OpVerdict {
				b.u32(3, 0) // NFT_REG_VERDICT
			} else if s.Not {
				b.u32(5, 1) // NFT_LOOKUP_F_INV
			}
		})
	case monban.OpUpdate:
		b.update(s)
	case monban.OpDecide:
		b.expr("immediate", func() {
			b.u32(1, 0)
			b.nest(2, func() { b.verdict(s.Action) })
		})
	default:
		b.fail(fmt.Errorf("a step %s cannot be written", s.Op))
	}
}

func (b *batch) verdict(a monban.Action) {
	code := int32(0)
	switch a.Kind {
	case monban.ActDrop:
	case monban.ActAccept:
		code = 1
	case monban.ActJump:
		code = -3
	case monban.ActGoto:
		code = -4
	case monban.ActReturn:
		code = -5
	default:
		b.fail(fmt.Errorf("a verdict %s cannot be written", a.Kind))
	}
	b.nest(2, func() {
		b.u32(1, uint32(code))
		if a.Chain != "" {
			b.text(2, a.Chain)
		}
	})
}

// key loads the parts of a key one behind the other.
func (b *batch) key(loads []monban.Load) {
	at := 0
	for _, l := range loads {
		b.load(l, at)
		at += (l.Len + 3) &^ 3
	}
}

func (b *batch) test(s *monban.Step) {
	if len(s.Key) != 1 || len(s.Within) != 1 {
		b.fail(fmt.Errorf("a test of %d values cannot be written", len(s.Key)))
		return
	}
	l, first, last := s.Key[0], s.Within[0].First, s.Within[0].Last
	b.load(l, 0)
	op := uint32(0)
	if s.Not {
		op = 1
	}
	if l.Little {
		first, last = reversed(first), reversed(last)
	}
	if bytes.Equal(first, last) {
		b.expr("cmp", func() {
			b.u32(1, register(0))
			b.u32(2, op)
			b.nest(3, func() { b.attr(1, first) })
		})
		return
	}
	if l.Little {
		b.fail(fmt.Errorf("a range of %s cannot be written", l.Field))
	}
	b.expr("range", func() {
		b.u32(1, register(0))
		b.u32(2, op)
		b.nest(3, func() { b.attr(1, first) })
		b.nest(4, func() { b.attr(1, last) })
	})
}

// load puts a value into the registers from byte at on.
func (b *batch) load(l monban.Load, at int) {
	payload := func(base, offset uint32) {
		b.expr("payload", func() {
			b.u32(1, register(at))
			b.u32(2, base)
			b.u32(3, offset)
			b.u32(4, uint32(l.Len))
		})
	}
	two := func(name string, number uint32) {
		b.expr(name, func() {
			b.u32(1, register(at))
			b.u32(2, number)
		})
	}
	switch l.Field {
	case monban.FieldSource:
		if l.Len == 4 {
			payload(1, 12)
		} else {
			payload(1, 8)
		}
	case monban.FieldSourcePort:
		payload(2, 0)
	case monban.FieldDestPort:
		payload(2, 2)
	case monban.FieldTCPFlags:
		payload(2, 13)
	case monban.FieldL4Proto:
		two("meta", 16)
	case monban.FieldFamily:
		two("meta", 15)
	case monban.FieldInName:
		two("meta", 6)
	case monban.FieldConnState:
		two("ct", 0)
	case monban.FieldDestType:
		flags := uint32(2) // NFTA_FIB_F_DADDR
		if l.ByDevice {
			flags |= 8 // NFTA_FIB_F_IIF
		}
		b.expr("fib", func() {
			b.u32(1, register(at))
			b.u32(2, 3) // NFT_FIB_RESULT_ADDRTYPE
			b.u32(3, flags)
		})
	default:
		b.fail(fmt.Errorf("%s cannot be written", l.Field))
	}
	if l.Mask == nil {
		return
	}
	mask, xor := l.Mask, l.Xor
	if l.Little {
		mask, xor = reversed(mask), reversed(xor)
	}
	b.expr("bitwise", func() {
		b.u32(1, register(at))
		b.u32(2, register(at))
		b.u32(3, uint32(l.Len))
		b.nest(4, func() { b.attr(1, mask) })
		b.nest(5, func() { b.attr(1, xor) })
	})
}

// update counts the key in a dynamic set and goes on where its rate is exceeded.
// A full set counts nothing new: what comes then is let in.
func (b *batch) update(s *monban.Step) {
	var n, burst uint64
	var unit string
	if _, err := fmt.Sscanf(strings.ReplaceAll(s.Name, "/", " "), "limit rate over %d %s burst %d packets", &n, &unit, &burst); err != nil {
		b.fail(fmt.Errorf("%q cannot be written", s.Name))
		return
	}
	seconds := uint64(1)
	switch unit {
	case "minute":
		seconds = 60
	case "hour":
		seconds = 3600
	case "day":
		seconds = 86400
	}
	b.key(s.Key)
	b.expr("dynset", func() {
		b.text(1, s.Set)
		b.u32(3, 1) // NFT_DYNSET_OP_UPDATE
		b.u32(4, register(0))
		b.u64(6, max(2*seconds, 60)*1000) // how long an element stays after its last packet
		b.nest(7, func() {
			b.text(1, "limit")
			b.nest(2, func() {
				b.u64(1, n)
				b.u64(2, seconds)
				b.u32(3, uint32(burst))
				b.u32(4, 0) // NFT_LIMIT_PKTS
				b.u32(5, 1) // NFT_LIMIT_F_INV
			})
		})
	})
}
