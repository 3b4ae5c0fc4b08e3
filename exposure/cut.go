package exposure

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/monban-dev/monban"
)

// address reports whether a field is an address of the packet or connection.
func address(f monban.Field) bool {
	switch f {
	case monban.FieldSource, monban.FieldDest, monban.FieldConnSource, monban.FieldConnDest:
		return true
	}
	return false
}

// portField reports whether a field is a port on this machine's side of some
// direction.
func portField(f monban.Field) bool {
	switch f {
	case monban.FieldSourcePort, monban.FieldDestPort, monban.FieldConnSourcePort, monban.FieldConnDestPort:
		return true
	}
	return false
}

// cutChain collects the addresses and ports that a chain and those it calls tell
// apart.
func (c *compiler) cutChain(cut *cutter, t *monban.Table, ch *monban.Chain, seen map[*monban.Chain]bool) {
	if seen[ch] {
		return
	}
	seen[ch] = true
	for i := range ch.Rules {
		for j := range ch.Rules[i].Steps {
			s := &ch.Rules[i].Steps[j]
			switch s.Op {
			case monban.OpTest:
				switch l := &s.Key[0]; {
				case address(l.Field):
					for _, sp := range s.Within {
						first, last, ok := addressSpan(l, sp, c.family)
						if ok {
							cut.between(first, last)
						}
						c.cutOurs(l, first, last, ok)
					}
				case portField(l.Field):
					for _, sp := range s.Within {
						c.ports.cut(l, sp)
					}
				}
			case monban.OpLookup, monban.OpMap, monban.OpVerdict:
				if set := c.sets[t][s.Set]; set != nil {
					c.cutSet(cut, set, s.Key)
					if set.VerdictMap {
						for k := range set.Elements {
							c.follow(cut, t, set.Elements[k].Action, seen)
						}
						if set.Else != nil {
							c.follow(cut, t, set.Else.Action, seen)
						}
					}
				}
			case monban.OpDNAT, monban.OpRedirect:
				c.translates = true
			case monban.OpOpaque:
				if port := constantOf(s.Port, nil); len(port) == 2 {
					c.ports.cut(&s.Port[0], monban.Span{First: port, Last: port})
				}
			}
			c.follow(cut, t, s.Action, seen)
		}
	}
}

func (c *compiler) follow(cut *cutter, t *monban.Table, a monban.Action, seen map[*monban.Chain]bool) {
	if a.Chain == "" {
		return
	}
	if next := c.named[t][a.Chain]; next != nil {
		c.cutChain(cut, t, next, seen)
	}
}

// cutOurs notes that a test tells destinations apart. One that is no range may
// tell any two apart.
func (c *compiler) cutOurs(l *monban.Load, first, last addr, isRange bool) {
	if l.Field != monban.FieldDest && l.Field != monban.FieldConnDest {
		return
	}
	if !isRange {
		c.eachAddress = true
		return
	}
	c.ours = append(c.ours, first)
	if n, ok := last.next(c.family); ok {
		c.ours = append(c.ours, n)
	}
}

// class returns the class of an address of this machine, alike in every rule that
// packets to it meet. Answers come from it, so what is asked of those counts, too.
func (p *program) class(a addr) int {
	if p.eachAddress || p.translates || len(p.hooks[monban.HookOutput])+len(p.hooks[monban.HookPostrouting])+len(p.hooks[monban.HookEgress]) > 0 {
		return p.space.atom(a)
	}
	n, found := slices.BinarySearchFunc(p.ours, a, compareAddr)
	if found {
		n++
	}
	return n
}

// cutSet collects the bounds of a set's elements in the parts of its key that are
// addresses or ports.
func (c *compiler) cutSet(cut *cutter, s *monban.Set, key []monban.Load) {
	if c.cut[s] {
		return
	}
	c.cut[s] = true
	at := 0
	for i := range key {
		l := &key[i]
		switch {
		case address(l.Field) && l.Len == addrLen(c.family) && l.Mask == nil:
			list := make([]addr, 0, 2*len(s.Elements))
			for k := range s.Elements {
				e := &s.Elements[k]
				if len(e.First) < at+l.Len {
					continue
				}
				list = append(list, addrOfBytes(e.First[at:at+l.Len]))
				if n, ok := addrOfBytes(e.Last[at : at+l.Len]).next(c.family); ok {
					list = append(list, n)
				}
			}
			if l.Field == monban.FieldDest || l.Field == monban.FieldConnDest {
				c.ours = append(c.ours, list...)
			}
			slices.SortFunc(list, compareAddr) // it is nearly sorted, and then quick
			cut.sorted = append(cut.sorted, list)
		case portField(l.Field):
			for k := range s.Elements {
				if e := &s.Elements[k]; len(e.First) >= at+l.Len {
					c.ports.cut(l, monban.Span{First: e.First[at : at+l.Len], Last: e.Last[at : at+l.Len]})
				}
			}
		}
		at += (l.Len + 3) &^ 3
	}
}

// addressSpan turns a test's span into addresses: x & mask in [first, last], for a
// mask that is a prefix and for the first bytes of an address.
func addressSpan(l *monban.Load, s monban.Span, f monban.Family) (first, last addr, ok bool) {
	n := addrLen(f)
	if l.Offset != 0 || l.Len > n || len(s.First) != l.Len || len(s.Last) != l.Len || bytes.Compare(s.First, s.Last) > 0 {
		return first, last, false
	}
	low, high := make([]byte, n), make([]byte, n)
	copy(low, s.First)
	copy(high, s.Last)
	for i := l.Len; i < n; i++ {
		high[i] = 0xff
	}
	if l.Mask != nil {
		ended := false
		for i := range l.Len {
			if l.Xor[i] != 0 {
				return first, last, false
			}
			for bit := byte(0x80); bit != 0; bit >>= 1 {
				switch {
				case l.Mask[i]&bit == 0:
					ended = true
				case ended:
					return first, last, false
				}
			}
			if low[i]&^l.Mask[i] != 0 || high[i]&^l.Mask[i] != 0 {
				return first, last, false
			}
			high[i] |= ^l.Mask[i]
		}
	}
	return addrOfBytes(low), addrOfBytes(high), true
}

// portClasses puts ports into classes that no rule tells apart.
type portClasses struct {
	begins map[int]bool
	sorted []int
	// each: a class for every port.
	each bool
}

func (p *portClasses) cut(l *monban.Load, s monban.Span) {
	if l.Mask != nil || l.Len != 2 || len(s.First) != 2 || len(s.Last) != 2 {
		p.each = true
		return
	}
	if p.begins == nil {
		p.begins = map[int]bool{}
	}
	p.begins[int(binary.BigEndian.Uint16(s.First))] = true
	p.begins[int(binary.BigEndian.Uint16(s.Last))+1] = true
}

// of returns the class of a port.
func (p *portClasses) of(port uint16) int32 {
	if p.each {
		return int32(port)
	}
	n, found := slices.BinarySearch(p.sorted, int(port))
	if found {
		n++
	}
	return int32(n)
}
