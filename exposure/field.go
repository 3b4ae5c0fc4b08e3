package exposure

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/monban-dev/monban"
)

// knowledge says what is known of a field.
type knowledge uint8

const (
	certain    knowledge = iota
	unforeseen           // any value
	absent               // the packet has none: the rule ends (NFT_BREAK)
)

// role says whose address a field is.
type role uint8

const (
	noAddress role = iota
	theirs
	own
)

func (e *eval) role(f monban.Field) role {
	switch f {
	case monban.FieldSource:
		if e.reply {
			return own
		}
		return theirs
	case monban.FieldDest:
		if e.reply {
			return theirs
		}
		return own
	case monban.FieldConnSource:
		return theirs
	case monban.FieldConnDest:
		return own
	}
	return noAddress
}

// ours is the address of this side in a field.
func (e *eval) ours(f monban.Field, s *state) addr {
	if f == monban.FieldConnDest {
		return e.first.addr
	}
	return s.addr
}

// doubtful reports whether nobody can tell what a field is: of the connection, where
// it may not be found, and of the source behind a translation.
func (s *state) doubtful(e *eval, f monban.Field) bool {
	switch f {
	case monban.FieldSource, monban.FieldSourcePort, monban.FieldSourceType, monban.FieldReversePath:
		return s.source != nil && !e.reply && (e.hook == monban.HookInput || e.hook == monban.HookPostrouting || e.hook == monban.HookEgress)
	case monban.FieldConnState, monban.FieldConnStateNAT, monban.FieldConnMark, monban.FieldConnStatus, monban.FieldConnDirection,
		monban.FieldConnSource, monban.FieldConnDest, monban.FieldConnSourcePort, monban.FieldConnDestPort:
		return s.zone != nil && (e.reply || e.established)
	}
	return false
}

// unseen reports whether a field of the connection is asked of a packet without
// one.
func (s *state) unseen(e *eval, f monban.Field) bool {
	return (f == monban.FieldConnSource || f == monban.FieldConnDest) && (!e.tracked || s.unconnected(e))
}

// unconnected reports whether a packet that tracking has seen has no connection: it
// follows an answer, or a beginning, that tracking has not seen.
func (s *state) unconnected(e *eval) bool {
	return s.untracked || s.lost || s.unheard && e.established && e.proto == protoTCP
}

// The bits of ct state (include/uapi/linux/netfilter/nf_conntrack_common.h).
const (
	stateInvalid     = 1
	stateEstablished = 2
	stateNew         = 8
	stateUntracked   = 64

	xtStateDNAT      = 1 << 7 // of iptables
	xtStateUntracked = 1 << 8

	statusSeenReply = 1 << 1
	statusConfirmed = 1 << 3
	statusDNAT      = 1 << 5
	statusDNATDone  = 1 << 8
)

// value returns the value of a field that is no address of the other end.
func (e *eval) value(l *monban.Load, s *state, t *temps) ([]byte, knowledge) {
	v, known := e.raw(l, s, t)
	if known != certain {
		return nil, known
	}
	if l.Len > 0 {
		if l.Offset+l.Len > len(v) {
			return nil, unforeseen
		}
		v = v[l.Offset : l.Offset+l.Len]
	}
	if l.Field == monban.FieldTemp && l.Little {
		v = bytes.Clone(v)
		slices.Reverse(v)
	}
	if l.Mask != nil {
		if len(l.Mask) != len(v) || len(l.Xor) != len(v) {
			return nil, unforeseen
		}
		out := make([]byte, len(v))
		for i := range out {
			out[i] = v[i]&l.Mask[i] ^ l.Xor[i]
		}
		v = out
	}
	return v, certain
}

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// raw returns the whole field.
func (e *eval) raw(l *monban.Load, s *state, t *temps) ([]byte, knowledge) {
	hasConn := e.tracked && !s.unconnected(e)
	switch l.Field {
	case monban.FieldConstant:
		return l.Value, certain
	case monban.FieldTemp:
		if l.Temp < len(t) && t[l.Temp] != nil {
			return t[l.Temp], certain
		}
	case monban.FieldSource, monban.FieldDest, monban.FieldConnDest:
		if e.role(l.Field) == own {
			return e.ours(l.Field, s).bytes(e.family), certain
		}
	case monban.FieldSourcePort:
		if e.reply {
			return be16(s.port), certain
		}
	case monban.FieldDestPort:
		if !e.reply {
			return be16(s.port), certain
		}
	case monban.FieldConnDestPort:
		if !hasConn {
			return nil, absent
		}
		return be16(e.first.port), certain
	case monban.FieldConnSourcePort:
		if !hasConn {
			return nil, absent
		}
	case monban.FieldL4Proto:
		return []byte{e.proto}, certain
	case monban.FieldFamily:
		if e.hook == monban.HookIngress || e.hook == monban.HookEgress {
			return []byte{5}, certain // NFPROTO_NETDEV
		}
		return familyValue(l.Field, e.family), certain
	case monban.FieldEtherType:
		return familyValue(l.Field, e.family), certain
	case monban.FieldInName:
		return deviceName(e.in), certain
	case monban.FieldOutName:
		return deviceName(e.out), certain
	case monban.FieldInIndex:
		return deviceIndex(e.in), certain
	case monban.FieldOutIndex:
		return deviceIndex(e.out), certain
	case monban.FieldMark:
		if !s.unknownMark {
			return be32(s.mark), certain
		}
	case monban.FieldConnMark:
		if !hasConn {
			return nil, absent
		}
		if !s.unknownConnMark {
			return be32(s.connMark), certain
		}
	case monban.FieldConnState:
		return be32(e.connState(s, stateUntracked)), certain
	case monban.FieldConnStateNAT:
		state := e.connState(s, xtStateUntracked)
		if s.changed && hasConn {
			state |= xtStateDNAT
		}
		return be32(state), certain
	case monban.FieldConnStatus:
		if !hasConn {
			return nil, absent
		}
		return e.connStatus(l, s)
	case monban.FieldConnDirection:
		if !hasConn {
			return nil, absent
		}
		if e.reply {
			return []byte{1}, certain
		}
		return []byte{0}, certain
	case monban.FieldTCPFlags:
		if e.proto == 6 {
			switch {
			case e.reply:
				return []byte{0x12}, certain // SYN and ACK
			case e.established:
				return []byte{0x10}, certain // ACK
			}
			return []byte{0x02}, certain
		}
	case monban.FieldPacketType:
		if !e.reply {
			return []byte{0}, certain
		}
	}
	return nil, unforeseen
}

func (e *eval) connState(s *state, untracked uint32) uint32 {
	switch {
	case s.untracked:
		return untracked
	case !e.tracked, s.lost && e.reply:
		// An answer without its question is invalid, too (tcp_new).
		return stateInvalid
	case s.lost && e.rules.StrictTCP && e.proto == protoTCP, s.unheard && e.established && e.proto == protoTCP:
		return stateInvalid
	case s.lost:
		return stateNew // and what follows begins a connection of its own
	case e.reply, e.established:
		return stateEstablished
	}
	return stateNew
}

// connStatus answers as far as the bits asked for are known.
func (e *eval) connStatus(l *monban.Load, s *state) ([]byte, knowledge) {
	known := uint32(statusSeenReply | statusConfirmed | statusDNAT | 1 | 1<<2)
	if l.Mask == nil || binary.BigEndian.Uint32(l.Mask)&^known != 0 {
		return nil, unforeseen
	}
	status := uint32(0)
	if s.changed {
		status |= statusDNAT | statusDNATDone
	}
	if e.reply || e.established {
		status |= statusSeenReply | statusConfirmed
	}
	return be32(status), certain
}

func deviceName(i *monban.Interface) []byte {
	name := make([]byte, 16)
	if i != nil {
		copy(name[:15], i.Name)
	}
	return name
}

func deviceIndex(i *monban.Interface) []byte {
	if i == nil {
		return be32(0)
	}
	return be32(uint32(i.Index))
}

// Kinds of routes (enum rtn_type).
const (
	typeUnicast   = 1
	typeLocal     = 2
	typeBroadcast = 3
	typeMulticast = 5
	typeBlackhole = 6
	typeThrow     = 9
)

// routeTest does a test of what the routing tables say about an address.
func (e *eval) routeTest(st *step, s *state, next *[]*state) *state {
	l := &st.Key[0]
	unknown := func() *state {
		*next = append(*next, s.fork(&st.tag))
		return s
	}
	if l.Mask != nil {
		return unknown()
	}
	if l.Field == monban.FieldReversePath {
		// Within is {0}, there is no route, or {1}, there is one.
		exists := st.Within[0].First[0] == 1
		switch {
		case e.in == nil || !e.host.sure():
			return unknown()
		case e.host.ruled(e.family):
			back, sure := e.reverse(l, s)
			if !sure {
				return unknown()
			}
			return e.split(s, &back, exists == st.Not, next)
		}
		dev := ""
		if l.ByDevice {
			dev = e.in.Name
		}
		routed := e.host.routed(e.program, dev)
		if e.reply { // of somebody to whom this machine leads on
			return choose(s, routed.has(e.space.atom(s.addr)) == exists != st.Not, next)
		}
		return e.split(s, &routed, exists == st.Not, next)
	}
	remote := l.Field == monban.FieldSourceType != e.reply
	if !remote {
		if e.family == monban.IPv6 && e.host.ruled(e.family) {
			return e.ownTypeTest6(st, s, next)
		}
		kind := uint32(typeUnicast)
		if e.host.own(e.family, s.addr) && (!l.ByDevice || e.host.ownOf(e.family, s.addr, e.in)) {
			kind = typeLocal
		}
		return choose(s, inSpans(be32(kind), st.Within) != st.Not, next)
	}
	if e.family == monban.IPv6 && !e.host.sure() {
		return unknown()
	}
	if e.family == monban.IPv6 {
		return e.typeTest6(st, s, next)
	}
	if odd := e.host.ofLocalTable(e.program); !odd.empty() {
		if odd = and(&s.src, &odd); !odd.empty() {
			return unknown()
		}
	}
	var all set
	for _, span := range st.Within {
		first, last := binary.BigEndian.Uint32(span.First), binary.BigEndian.Uint32(span.Last)
		for kind := first; kind <= last && kind < 16; kind++ {
			atoms := e.host.ofType(e.program, kind)
			all.add(&atoms)
		}
	}
	return e.split(s, &all, st.Not, next)
}
