package probe

import (
	"encoding/binary"
	"net/netip"
)

// template is a SYN with everything filled in but what differs from door to
// door. Its options are those of an ordinary system, in the order in which Linux
// writes them: some hosts do not answer a bare SYN.
type template struct {
	bytes []byte
	tcp   int    // where TCP begins
	sum   uint64 // of everything that stays, for the TCP checksum
	ipSum uint64 // the same for the IPv4 header
	self  bool   // what is sent comes from where it goes
}

const (
	ip4Len = 20
	ip6Len = 40
	tcpLen = 40 // with options
)

// newTemplate returns a SYN from a source address; an unspecified one stands for
// the address that the SYN goes to. hops is its TTL.
func newTemplate(from netip.Addr, stamp uint32) template {
	const hops = 64
	t := template{self: from.IsUnspecified()}
	if from.Is4() {
		t.tcp = ip4Len
		t.bytes = make([]byte, ip4Len+tcpLen)
		b := t.bytes
		b[0], b[6], b[8], b[9] = 0x45, 0x40, hops, 6 // version and length, don't fragment, TTL, TCP
		binary.BigEndian.PutUint16(b[2:], ip4Len+tcpLen)
		source := from.As4()
		copy(b[12:], source[:])
		t.ipSum = sum16(b[:ip4Len])
		t.sum = sum16(source[:])
	} else {
		t.tcp = ip6Len
		t.bytes = make([]byte, ip6Len+tcpLen)
		b := t.bytes
		b[0], b[6], b[7] = 0x60, 6, hops
		binary.BigEndian.PutUint16(b[4:], tcpLen)
		source := from.As16()
		copy(b[8:], source[:])
		t.sum = sum16(source[:])
	}
	tcp := t.bytes[t.tcp:]
	tcp[12], tcp[13] = tcpLen/4<<4, 2 // length, SYN
	binary.BigEndian.PutUint16(tcp[14:], 64240)
	mss := uint16(1460)
	if from.Is6() {
		mss = 1440
	}
	copy(tcp[20:], []byte{2, 4, byte(mss >> 8), byte(mss), 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7})
	binary.BigEndian.PutUint32(tcp[28:], stamp)
	t.sum += sum16(tcp) + 6 + tcpLen
	return t
}

// len is how many bytes a packet takes.
func (t *template) len() int { return len(t.bytes) }

// put writes the SYN for a door to b, which is len bytes long.
func (t *template) put(b []byte, to netip.Addr, port, from uint16, seq uint32) {
	copy(b, t.bytes)
	var sum uint64
	if t.tcp == ip4Len {
		a := to.As4()
		copy(b[16:], a[:])
		addr := binary.BigEndian.Uint32(a[:])
		id := uint16(seq >> 7)
		binary.BigEndian.PutUint16(b[4:], id)
		sum = uint64(addr>>16) + uint64(addr&0xffff)
		if t.self {
			copy(b[12:], a[:])
			sum *= 2
		}
		binary.BigEndian.PutUint16(b[10:], ^fold(t.ipSum+sum+uint64(id)))
	} else {
		a := to.As16()
		copy(b[24:], a[:])
		sum = sum16(a[:])
		if t.self {
			copy(b[8:], a[:])
			sum *= 2
		}
	}
	tcp := b[t.tcp:]
	binary.BigEndian.PutUint16(tcp, from)
	binary.BigEndian.PutUint16(tcp[2:], port)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	sum += uint64(from) + uint64(port) + uint64(seq>>16) + uint64(seq&0xffff)
	binary.BigEndian.PutUint16(tcp[16:], ^fold(t.sum+sum))
}

// sum16 adds up the 16-bit words of b (RFC 1071); b has an even length.
func sum16(b []byte) (sum uint64) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	return sum
}

func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// reply is what a received packet says about a question of ours.
type reply struct {
	host  netip.Addr
	port  uint16 // of the door
	from  uint16 // our source port
	seq   uint32 // the cookie that the packet proves to know
	state uint64
	stack uint32 // who made a SYN-ACK: see stackOf
}

// parseReply reads a packet from the network header on. false is a packet that
// answers no SYN. Lengths are checked first: anybody can send anything.
func parseReply(b []byte) (r reply, ok bool) {
	if len(b) < ip4Len {
		return r, false
	}
	switch b[0] >> 4 {
	case 4:
		header := int(b[0]&15) * 4
		if header < ip4Len || len(b) < header || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return r, false
		}
		switch b[9] {
		case 6:
			return parseTCP(netip.AddrFrom4([4]byte(b[12:16])), b[8], b[header:])
		case 1:
			return parseICMP(b[header:], false)
		}
	case 6:
		if len(b) < ip6Len {
			return r, false
		}
		switch b[6] {
		case 6:
			return parseTCP(netip.AddrFrom16([16]byte(b[8:24])), b[7], b[ip6Len:])
		case 58:
			return parseICMP(b[ip6Len:], true)
		}
	}
	return r, false
}

// parseTCP reads a SYN-ACK or a RST. Both acknowledge the SYN's sequence number
// (RFC 9293 section 3.10.7.1); one that does not is no answer to it.
func parseTCP(host netip.Addr, hops byte, b []byte) (r reply, ok bool) {
	if len(b) < 20 {
		return r, false
	}
	r = reply{host: host, port: binary.BigEndian.Uint16(b), from: binary.BigEndian.Uint16(b[2:]), seq: binary.BigEndian.Uint32(b[8:]) - 1}
	const syn, rst, ack = 2, 4, 16
	switch b[13] & (syn | rst | ack) {
	case syn | ack:
		r.state, r.stack = open, stackOf(hops, b)
	case rst | ack:
		r.state = closed
	default:
		return r, false
	}
	return r, true
}

// parseICMP reads an error about a SYN of ours, which it quotes: at least the
// ports and the sequence number (RFC 792, RFC 4443 section 2.4).
func parseICMP(b []byte, v6 bool) (r reply, ok bool) {
	const header = 8
	if len(b) < header {
		return r, false
	}
	switch code := (icmpCode{v6, b[0], b[1]}); {
	case forbids(code):
		r.state = prohibited
	case nobodyThere(code):
		r.state = nobody
	default:
		return r, false
	}
	q := b[header:]
	if v6 {
		if len(q) < ip6Len+8 || q[0]>>4 != 6 || q[6] != 6 {
			return r, false
		}
		r.host = netip.AddrFrom16([16]byte(q[24:40]))
		q = q[ip6Len:]
	} else {
		if len(q) < ip4Len || q[0]>>4 != 4 || q[9] != 6 {
			return r, false
		}
		n := int(q[0]&15) * 4
		if n < ip4Len || len(q) < n+8 {
			return r, false
		}
		r.host = netip.AddrFrom4([4]byte(q[16:20]))
		q = q[n:]
	}
	r.from, r.port, r.seq = binary.BigEndian.Uint16(q), binary.BigEndian.Uint16(q[2:]), binary.BigEndian.Uint32(q[4:])
	return r, true
}

// icmpCode is the type and code of an ICMP or ICMPv6 error.
type icmpCode struct {
	v6         bool
	kind, code uint8
}

// forbids reports whether an ICMP error is somebody's decision, rather than a
// failure of the network: for TCP also "port unreachable", which no TCP sends and
// which is how firewalls reject (RFC 1122 section 3.2.2.1, RFC 1812 section
// 5.2.7.1, RFC 4443 section 3.1).
func forbids(c icmpCode) bool {
	if c.v6 {
		return c.kind == 1 && (c.code == 1 || c.code >= 4 && c.code <= 6)
	}
	return c.kind == 3 && (c.code == 2 || c.code == 3 || c.code == 9 || c.code == 10 || c.code == 13)
}

// nobodyThere reports whether an ICMP error says that a router cannot reach the host:
// net or host unreachable or unknown (RFC 792, RFC 1122 section 3.2.2.1), no route or
// address unreachable (RFC 4443 section 3.1).
func nobodyThere(c icmpCode) bool {
	if c.v6 {
		return c.kind == 1 && (c.code == 0 || c.code == 3)
	}
	return c.kind == 3 && (c.code == 0 || c.code == 1 || c.code == 6 || c.code == 7)
}

// sourcePorts chooses where the sliceCount source ports of a scan begin: outside
// the range from which the kernel takes those of its own connections, so that no
// connection of this machine gets a RST of ours, and no answer to us reaches one.
func sourcePorts(first, last uint16) (uint16, bool) {
	const highest = 1<<16 - sliceCount
	switch {
	case last < highest:
		return highest, true
	case first >= 1024+sliceCount:
		return first - sliceCount, true
	}
	return 0, false
}
