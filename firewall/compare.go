package firewall

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/monban-dev/monban"
)

// This file decodes the expressions that compare what others have loaded.

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

func sameLoad(a, b monban.Load) bool {
	return a.Field == b.Field && a.Temp == b.Temp && a.Offset == b.Offset && a.Len == b.Len && bytes.Equal(a.Value, b.Value)
}
