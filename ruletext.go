package monban

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Text returns the rule in the words of nft(8), as close as the language goes:
// it is for people to recognise a rule by, and not for nft to read back. The
// table is the rule's own.
func (r *Rule) Text(t *Table) string {
	w := ruleWriter{table: t}
	for i := range r.Steps {
		w.step(r.Steps, i)
	}
	if r.Comment != "" {
		w.say(`comment "` + r.Comment + `"`)
	}
	return strings.Join(w.words, " ")
}

type ruleWriter struct {
	table *Table
	words []string
	// What earlier tests of the rule have said about the packet.
	family   Family
	protocol string
}

func (w *ruleWriter) say(words ...string) { w.words = append(w.words, words...) }

func (w *ruleWriter) step(steps []Step, i int) {
	switch s := &steps[i]; s.Op {
	case OpTest:
		w.test(steps, i)
	case OpLookup:
		w.say(w.key(s.Key))
		if s.Not {
			w.say("!=")
		}
		w.say(w.set(s.Set, s.Key))
	case OpMap:
		// Said where its data is used.
	case OpVerdict:
		w.say(w.key(s.Key), "vmap", w.set(s.Set, s.Key))
	case OpDecide:
		if s.Action.Chain != "" {
			w.say(s.Action.Kind.String(), s.Action.Chain)
		} else {
			w.say(s.Action.Kind.String())
		}
	case OpAssign:
		w.say(w.fieldName(&Load{Field: s.To}), "set", w.value(steps, &s.Key[0]))
	case OpDNAT:
		w.say("dnat to", w.target(steps, s))
	case OpRedirect:
		w.say("redirect")
		if len(s.Port) > 0 {
			w.say("to", w.target(steps, s))
		}
	case OpSNAT:
		w.say(strings.ToLower(s.Name))
	case OpNoTrack:
		w.say("notrack")
	case OpUpdate:
		w.say("update @" + s.Set + " { " + w.key(s.Key) + " }")
	case OpNote:
		if s.Name != "comment" && s.Name != "last" {
			w.say(strings.ToLower(s.Name))
		}
	default: // OpOpaque, OpChance
		w.say(s.Name)
	}
}

// test writes one test; a protocol that the next word repeats is left out.
func (w *ruleWriter) test(steps []Step, i int) {
	s := &steps[i]
	l := &s.Key[0]
	var next Field
	if i+1 < len(steps) && len(steps[i+1].Key) > 0 {
		next = steps[i+1].Key[0].Field
	}
	if !s.Not && len(s.Within) == 1 && slices.Equal(s.Within[0].First, s.Within[0].Last) && l.Mask == nil {
		v := s.Within[0].First
		switch {
		case l.Field == FieldFamily && (next == FieldSource || next == FieldDest || next == FieldConnSource || next == FieldConnDest), l.Field == FieldEtherType && (next == FieldSource || next == FieldDest):
			w.family = IPv6
			if v[0] == 2 || v[0] == 8 {
				w.family = IPv4
			}
			return
		case l.Field == FieldL4Proto:
			w.protocol = protocolName(v[0])
			if next == FieldSourcePort || next == FieldDestPort || next == FieldTCPFlags {
				return
			}
		}
	}
	if raw := w.rawName(l); raw != "" {
		w.say(raw)
		l = &Load{Field: FieldOther, Len: l.Len, Mask: l.Mask}
	} else {
		w.say(w.fieldName(l))
	}
	if l.Mask != nil && !prefixMask(l.Mask) {
		w.say("&", w.number(l.Field, l.Mask))
	}
	if s.Not {
		w.say("!=")
	}
	var parts []string
	for _, span := range s.Within {
		parts = append(parts, w.span(l, span, len(s.Within) == 1 && !s.Not))
	}
	switch len(parts) {
	case 0:
		w.say("{ }")
	case 1:
		w.say(parts[0])
	default:
		w.say("{ " + strings.Join(parts, ", ") + " }")
	}
}

// rawName is how nft writes a part of an address that is no network: by where it is in
// the header.
func (w *ruleWriter) rawName(l *Load) string {
	if l.Offset == 0 || l.Field != FieldSource && l.Field != FieldDest {
		return ""
	}
	at := map[Family][2]int{IPv4: {12, 16}, IPv6: {8, 24}}[w.familyOf(l)]
	begin := at[0]
	if l.Field == FieldDest {
		begin = at[1]
	}
	return fmt.Sprintf("@nh,%d,%d", 8*(begin+l.Offset), 8*l.Len)
}

// familyOf is the family that an address in a rule is of.
func (w *ruleWriter) familyOf(l *Load) Family {
	if l.Len == 16 || w.family == IPv6 || w.table != nil && w.table.Family == TableIP6 {
		return IPv6
	}
	return IPv4
}

// span writes a range of values; open says that it may be written by one end.
func (w *ruleWriter) span(l *Load, s Span, open bool) string {
	addr := l.Field == FieldSource || l.Field == FieldDest || l.Field == FieldConnSource || l.Field == FieldConnDest
	if addr && l.Mask != nil && prefixMask(l.Mask) && slices.Equal(s.First, s.Last) {
		if a, ok := netip.AddrFromSlice(s.First); ok {
			return netip.PrefixFrom(a, maskBits(l.Mask)).String()
		}
	}
	if addr && l.Offset == 0 && l.Len < 16 && l.Len != 4 || addr && l.Offset == 0 && l.Len < 4 {
		full := make([]byte, 4)
		if l.Len > 4 || w.family == IPv6 {
			full = make([]byte, 16)
		}
		copy(full, s.First)
		if a, ok := netip.AddrFromSlice(full); ok && slices.Equal(s.First, s.Last) {
			return netip.PrefixFrom(a, 8*l.Len).String()
		}
	}
	first := w.number(l.Field, s.First)
	if slices.Equal(s.First, s.Last) {
		if l.Field == FieldInName && l.Len < 16 || l.Field == FieldOutName && l.Len < 16 {
			return strings.TrimSuffix(first, `"`) + `*"`
		}
		return first
	}
	if addr {
		a, ok1 := netip.AddrFromSlice(s.First)
		b, ok2 := netip.AddrFromSlice(s.Last)
		if ok1 && ok2 {
			return AddrRange{a, b}.String()
		}
	}
	last := w.number(l.Field, s.Last)
	switch {
	case l.Field != FieldSourcePort && l.Field != FieldDestPort && l.Field != FieldMark && l.Field != FieldConnMark:
	case open && bits.OnesCount64(uintOf(s.Last)) == 8*len(s.Last):
		return ">= " + first
	case open && uintOf(s.First) == 0:
		return "<= " + last
	}
	return first + "-" + last
}

func prefixMask(m []byte) bool { return maskBits(m) >= 0 }

// maskBits returns the length of a prefix, -1 where m is no prefix.
func maskBits(m []byte) int {
	n := 0
	for n < 8*len(m) && m[n/8]&(0x80>>(n%8)) != 0 {
		n++
	}
	for i := n; i < 8*len(m); i++ {
		if m[i/8]&(0x80>>(i%8)) != 0 {
			return -1
		}
	}
	return n
}

func protocolName(n byte) string {
	switch n {
	case 1:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 33:
		return "dccp"
	case 58:
		return "icmpv6"
	case 132:
		return "sctp"
	}
	return strconv.Itoa(int(n))
}

func (w *ruleWriter) fieldName(l *Load) string {
	switch l.Field {
	case FieldSource, FieldDest:
		return w.ip(l) + l.Field.String()
	case FieldConnSource:
		return "ct original " + w.ip(l) + "saddr"
	case FieldConnDest:
		return "ct original " + w.ip(l) + "daddr"
	case FieldSourcePort, FieldDestPort, FieldTCPFlags:
		if l.Field == FieldTCPFlags {
			return "tcp flags"
		}
		if w.protocol == "" {
			return "th " + l.Field.String()
		}
		return w.protocol + " " + l.Field.String()
	case FieldL4Proto, FieldFamily, FieldMark:
		return "meta " + l.Field.String()
	case FieldEtherType:
		return "meta protocol"
	case FieldConnStateNAT:
		return "ct state"
	case FieldOther:
		return l.Name
	case FieldConstant:
		if l.Name != "" {
			return l.Name
		}
	}
	return l.Field.String()
}

// ip is nft's word for the header that an address is in.
func (w *ruleWriter) ip(l *Load) string {
	if w.familyOf(l) == IPv6 {
		return "ip6 "
	}
	return "ip "
}

func (w *ruleWriter) key(loads []Load) string {
	var parts []string
	for i := range loads {
		parts = append(parts, w.fieldName(&loads[i]))
	}
	return strings.Join(parts, " . ")
}

// number writes a value of a field.
func (w *ruleWriter) number(f Field, v []byte) string {
	switch f {
	case FieldSource, FieldDest, FieldConnSource, FieldConnDest:
		if a, ok := netip.AddrFromSlice(v); ok {
			return a.String()
		}
	case FieldInName, FieldOutName:
		name, _, _ := strings.Cut(string(v), "\x00")
		return strconv.Quote(name)
	case FieldL4Proto:
		return protocolName(v[0])
	case FieldFamily:
		if v[0] == 2 {
			return "ipv4"
		} else if v[0] == 10 {
			return "ipv6"
		}
	case FieldConnState:
		return bitNames(v, "invalid", "established", "related", "new", "", "", "untracked")
	case FieldConnStateNAT:
		return bitNames(v, "invalid", "established", "related", "new", "", "", "snat", "dnat", "untracked")
	case FieldConnStatus:
		return bitNames(v, "expected", "seen-reply", "assured", "confirmed", "snat", "dnat")
	case FieldTCPFlags:
		return bitNames(v, "fin", "syn", "rst", "psh", "ack", "urg")
	case FieldSourceType, FieldDestType:
		names := [...]string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit"}
		if n := uintOf(v); n < uint64(len(names)) {
			return names[n]
		}
	case FieldMark, FieldConnMark:
		return fmt.Sprintf("0x%x", uintOf(v))
	case FieldReversePath:
		return [...]string{"missing", "exists"}[min(v[0], 1)]
	}
	if len(v) <= 8 {
		return strconv.FormatUint(uintOf(v), 10)
	}
	return "0x" + hex.EncodeToString(v)
}

func uintOf(v []byte) uint64 {
	var b [8]byte
	if len(v) > 8 {
		v = v[len(v)-8:]
	}
	copy(b[8-len(v):], v)
	return binary.BigEndian.Uint64(b[:])
}

func bitNames(v []byte, names ...string) string {
	bits := uintOf(v)
	if bits == 0 {
		return "0"
	}
	var out []string
	for i, name := range names {
		if bits&(1<<i) != 0 && name != "" {
			out = append(out, name)
			bits &^= 1 << i
		}
	}
	if bits != 0 {
		out = append(out, fmt.Sprintf("0x%x", bits))
	}
	return strings.Join(out, ",")
}

// value writes what a step takes: a constant, a field, or a map's answer.
func (w *ruleWriter) value(steps []Step, l *Load) string {
	switch l.Field {
	case FieldConstant:
		switch {
		case len(l.Value) == 4 && l.Mask == nil:
			return fmt.Sprintf("0x%x", uintOf(l.Value))
		default:
			return "0x" + hex.EncodeToString(l.Value)
		}
	case FieldTemp:
		return w.mapOf(steps, l.Temp)
	}
	text := w.fieldName(l)
	if l.Mask != nil {
		text += fmt.Sprintf(" & 0x%x", uintOf(l.Mask))
		if x := uintOf(l.Xor); x != 0 {
			text += fmt.Sprintf(" ^ 0x%x", x)
		}
	}
	return text
}

func (w *ruleWriter) mapOf(steps []Step, temp int) string {
	for i := range steps {
		if s := &steps[i]; s.Op == OpMap && s.Temp == temp {
			return w.key(s.Key) + " map " + w.set(s.Set, s.Key)
		}
	}
	return "map"
}

// target writes where a translation leads.
func (w *ruleWriter) target(steps []Step, s *Step) string {
	var addr, port []string
	for i := range s.Addr {
		switch l := &s.Addr[i]; {
		case l.Field == FieldConstant:
			if a, ok := netip.AddrFromSlice(l.Value); ok {
				addr = append(addr, hostOf(a, len(s.Port) > 0))
			}
		default:
			return w.value(steps, l)
		}
	}
	for i := range s.Port {
		switch l := &s.Port[i]; {
		case l.Field == FieldConstant:
			port = append(port, strconv.FormatUint(uintOf(l.Value), 10))
		default:
			return w.value(steps, l)
		}
	}
	text := strings.Join(addr, "-")
	if len(port) > 0 {
		text += ":" + strings.Join(port, "-")
	}
	return text
}

func hostOf(a netip.Addr, port bool) string {
	if port && a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// set names a set, or writes the first elements of one without a name.
func (w *ruleWriter) set(name string, key []Load) string {
	var s *Set
	if w.table != nil {
		s = w.table.Set(name)
	}
	if s == nil || !s.Anonymous {
		return "@" + name
	}
	if s.Unread {
		return "{ … }"
	}
	const most = 6
	var parts []string
	for i := range s.Elements {
		if i == most {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, w.element(s, key, &s.Elements[i]))
	}
	if s.Else != nil {
		parts = append(parts, "*"+actionText(s.Else.Action))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func actionText(a Action) string {
	switch {
	case a == Action{}:
		return ""
	case a.Chain != "":
		return " : " + a.Kind.String() + " " + a.Chain
	}
	return " : " + a.Kind.String()
}

// element writes an element whose key is made up of the loads.
func (w *ruleWriter) element(s *Set, key []Load, e *Element) string {
	var parts []string
	at := 0
	for i := range key {
		l := &key[i]
		if at+l.Len > len(e.First) || at+l.Len > len(e.Last) {
			break
		}
		span := Span{slices.Clone(e.First[at : at+l.Len]), slices.Clone(e.Last[at : at+l.Len])}
		if l.Little {
			slices.Reverse(span.First)
			slices.Reverse(span.Last)
		}
		parts = append(parts, w.span(&Load{Field: l.Field, Len: l.Len}, span, false))
		at += (l.Len + 3) &^ 3
	}
	text := strings.Join(parts, " . ") + actionText(e.Action)
	if s.Map && !s.VerdictMap {
		text += " : 0x" + hex.EncodeToString(e.Data)
	}
	return text
}
