package firewall

import (
	"bytes"
	"encoding/binary"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

// This file decodes the matches and targets of x_tables, which iptables-nft puts
// into rules as they are: C structures of include/uapi/linux/netfilter/xt_*.h,
// in the machine's own byte order. `nft -j` shows only their names.

// match decodes a match.
func (d *ruleDecoder) match(e *expression) {
	name, rev, info := e.text(1), e.u32(2), e.attrs[3]
	x := xtInfo{b: info}
	ok := true
	switch name {
	case "tcp", "udp":
		ok = d.xtPorts(name, x)
	case "multiport":
		ok = d.xtMultiport(rev, x)
	case "conntrack":
		ok = rev == 3 && d.xtConntrack(x)
	case "state":
		d.mask(monban.FieldConnState, x.u32(0), false)
	case "addrtype":
		ok = d.xtAddrtype(rev, x)
	case "mark", "connmark":
		field := monban.FieldMark
		if name == "connmark" {
			field = monban.FieldConnMark
		}
		d.masked(field, x.u32(0), x.u32(4), x.u8(8) != 0)
	case "iprange":
		ok = rev == 1 && d.xtIPRange(x)
	case "pkttype":
		d.equals(monban.FieldPacketType, []byte{byte(x.u32(0))}, x.u32(4) != 0)
	case "comment":
		d.note("comment")
	case "limit", "hashlimit", "connlimit", "quota", "rateest", "connbytes":
		d.chance(name)
	case "statistic":
		d.chance("random")
	case "time":
		d.chance("time")
	case "recent":
		// --set writes and always matches.
		const set = 2
		checks, inverted := x.u8(8), x.u8(9)
		if checks&set != 0 && inverted == 0 {
			d.note("recent")
		} else {
			d.chance("recent " + nfnl.String(x.from(10)))
		}
	case "rt", "frag", "hbh", "dst", "mh":
		d.never(name)
	case "tcpmss":
		if oddSegments(x.u16(0), x.u16(2), x.u8(4) != 0) {
			d.never("xt match tcpmss")
		} else {
			d.opaque("xt match tcpmss")
		}
	case "set":
		d.opaque("ipset")
	default: // owner, physdev, policy, string, bpf, u32, socket, length, ttl, …
		d.opaque("xt match " + name)
	}
	if !ok || x.short {
		d.opaque("xt match " + name)
	}
}

// target decodes a target.
func (d *ruleDecoder) target(e *expression) {
	name, rev, info := e.text(1), e.u32(2), e.attrs[3]
	x := xtInfo{b: info}
	ok := true
	switch name {
	case "REJECT":
		d.decide(monban.ActReject, "")
	case "LOG", "NFLOG", "TRACE", "AUDIT", "TCPMSS", "CHECKSUM", "CLASSIFY", "DSCP", "TOS", "HL", "TTL", "ECN", "RATEEST",
		"LED", "IDLETIMER", "SECMARK", "CONNSECMARK", "TEE", "TCPOPTSTRIP":
		d.note(name)
	case "NOTRACK":
		d.add(monban.Step{Op: monban.OpNoTrack})
	case "CT":
		if x.u16(0)&1 != 0 { // XT_CT_NOTRACK
			d.add(monban.Step{Op: monban.OpNoTrack})
			break
		}
		const byMark, zone1, zone2 = 1 << 4, 1 << 2, 1 << 3 // XT_CT_ZONE_MARK, XT_CT_ZONE_DIR_ORIG, _REPL
		if x.u16(0)&zone1 == 0 && x.u16(2) != 0 || x.u16(0)&(byMark|zone2) != 0 {
			d.zone()
		}
		d.note(name)
	case "SET":
		// Of the third set that it names it takes a mark, or none.
		const none = 0xffff
		if rev == 3 && x.u16(8) != none {
			d.add(monban.Step{Op: monban.OpAssign, To: monban.FieldMark, Key: []monban.Load{{Field: monban.FieldOther, Name: "ipset", Len: 4}}})
		}
		d.note(name)
	case "MARK":
		ok = rev == 2
		mark, mask := x.u32(0), x.u32(4)
		d.setMark(monban.FieldMark, monban.Load{Field: monban.FieldMark}, ^mask, mark)
	case "CONNMARK":
		ok = d.xtConnmark(rev, x)
	case "DNAT", "REDIRECT":
		ok = d.xtNAT(name, rev, x)
	case "SNAT", "MASQUERADE":
		d.add(monban.Step{Op: monban.OpSNAT, Name: name})
	case "TPROXY":
		port := 12 // struct xt_tproxy_target_info
		if rev == 1 {
			port = 24
		}
		d.add(monban.Step{Op: monban.OpAssign, To: monban.FieldMark, Key: []monban.Load{{Field: monban.FieldOther, Name: "TPROXY", Len: 4}}})
		d.proxy("xt target TPROXY", []monban.Load{{Field: monban.FieldConstant, Value: bytes.Clone(x.take(port, 2)), Len: 2}})
	case "NFQUEUE", "QUEUE":
		d.decide(monban.ActQueue, "")
	default: // SYNPROXY, NETMAP, TARPIT, …
		d.final("xt target " + name)
	}
	if !ok || x.short {
		d.final("xt target " + name)
	}
}

// xtInfo is a structure. A read beyond its end gives 0 and sets short.
type xtInfo struct {
	b     []byte
	short bool
}

func (x *xtInfo) take(at, n int) []byte {
	if at+n > len(x.b) {
		x.short = true
		return make([]byte, n)
	}
	return x.b[at : at+n]
}
func (x *xtInfo) u8(at int) byte     { return x.take(at, 1)[0] }
func (x *xtInfo) u16(at int) uint16  { return binary.NativeEndian.Uint16(x.take(at, 2)) }
func (x *xtInfo) u32(at int) uint32  { return binary.NativeEndian.Uint32(x.take(at, 4)) }
func (x *xtInfo) from(at int) []byte { return x.b[min(at, len(x.b)):] }

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// within adds a test of one field for ranges.
func (d *ruleDecoder) within(f monban.Field, not bool, spans ...monban.Span) {
	d.add(monban.Step{Op: monban.OpTest, Key: []monban.Load{{Field: f, Len: len(spans[0].First)}}, Not: not, Within: spans})
}

func (d *ruleDecoder) equals(f monban.Field, value []byte, not bool) {
	d.within(f, not, monban.Span{First: value, Last: value})
}

// mask adds a test for any of the bits.
func (d *ruleDecoder) mask(f monban.Field, bits uint32, not bool) {
	zero := make([]byte, 4)
	d.add(monban.Step{Op: monban.OpTest, Not: !not, Within: []monban.Span{{First: zero, Last: zero}},
		Key: []monban.Load{{Field: f, Len: 4, Mask: be32(bits), Xor: zero}}})
}

// masked adds a test for field & mask == value.
func (d *ruleDecoder) masked(f monban.Field, value, mask uint32, not bool) {
	v := be32(value)
	d.add(monban.Step{Op: monban.OpTest, Not: not, Within: []monban.Span{{First: v, Last: v}},
		Key: []monban.Load{{Field: f, Len: 4, Mask: be32(mask), Xor: make([]byte, 4)}}})
}

func (d *ruleDecoder) portRange(f monban.Field, first, last uint16, not bool) {
	if first == 0 && last == 0xffff && !not {
		return
	}
	d.within(f, not, monban.Span{First: be16(first), Last: be16(last)})
}

// xtPorts decodes struct xt_tcp and struct xt_udp.
func (d *ruleDecoder) xtPorts(name string, x xtInfo) bool {
	invert := x.u8(8)
	if name == "tcp" {
		option, mask, want := x.u8(8), x.u8(9), x.u8(10)
		invert = x.u8(11)
		if option != 0 {
			d.opaque("tcp option")
		}
		if mask != 0 {
			d.add(monban.Step{Op: monban.OpTest, Not: invert&4 != 0, Within: []monban.Span{{First: []byte{want}, Last: []byte{want}}},
				Key: []monban.Load{{Field: monban.FieldTCPFlags, Len: 1, Mask: []byte{mask}, Xor: []byte{0}}}})
		}
	}
	if x.u8(8); x.short {
		return false
	}
	d.portRange(monban.FieldSourcePort, x.u16(0), x.u16(2), invert&1 != 0)
	d.portRange(monban.FieldDestPort, x.u16(4), x.u16(6), invert&2 != 0)
	return true
}

// xtMultiport decodes struct xt_multiport_v1.
func (d *ruleDecoder) xtMultiport(rev uint32, x xtInfo) bool {
	kind, count := x.u8(0), int(x.u8(1))
	if rev != 1 || count > 15 || count == 0 {
		return false
	}
	var spans []monban.Span
	for i := 0; i < count; i++ {
		first := x.u16(2 + 2*i)
		last := first
		if x.u8(32+i) != 0 && i+1 < count { // the next port is the end of a range
			i++
			last = x.u16(2 + 2*i)
		}
		spans = append(spans, monban.Span{First: be16(first), Last: be16(last)})
	}
	not := x.u8(47) != 0
	switch {
	case x.short:
		return false
	case kind == 0:
		d.within(monban.FieldSourcePort, not, spans...)
	case kind == 1:
		d.within(monban.FieldDestPort, not, spans...)
	default: // either
		return false
	}
	return true
}

// xtConntrack decodes struct xt_conntrack_mtinfo3.
func (d *ruleDecoder) xtConntrack(x xtInfo) bool {
	const (
		state = 1 << iota
		proto
		origSrc
		origDst
		replSrc
		replDst
		status
		expires
		origSrcPort
		origDstPort
		replSrcPort
		replDstPort
		direction
	)
	flags, invert := x.u16(146), x.u16(148)
	stateMask, statusMask := x.u16(150), x.u16(152)
	if x.u16(160); x.short {
		return false
	}
	if flags&(replSrc|replDst|expires|replSrcPort|replDstPort) != 0 {
		return false
	}
	if flags&state != 0 {
		d.mask(monban.FieldConnStateNAT, uint32(stateMask), invert&state != 0)
	}
	if flags&proto != 0 {
		d.equals(monban.FieldL4Proto, []byte{byte(x.u16(136))}, invert&proto != 0)
	}
	if flags&status != 0 {
		d.mask(monban.FieldConnStatus, uint32(statusMask), invert&status != 0)
	}
	if flags&direction != 0 {
		// Set: original; inverted: reply.
		d.equals(monban.FieldConnDirection, []byte{0}, invert&direction != 0)
	}
	if flags&origSrc != 0 {
		d.address(monban.FieldConnSource, x.take(0, 16), x.take(16, 16), invert&origSrc != 0)
	}
	if flags&origDst != 0 {
		d.address(monban.FieldConnDest, x.take(32, 16), x.take(48, 16), invert&origDst != 0)
	}
	if flags&origSrcPort != 0 {
		d.portRange(monban.FieldConnSourcePort, x.u16(138), x.u16(154), invert&origSrcPort != 0)
	}
	if flags&origDstPort != 0 {
		d.portRange(monban.FieldConnDestPort, x.u16(140), x.u16(156), invert&origDstPort != 0)
	}
	return true
}

// address adds a test for addr & mask == value. The table's family says how long
// the address is.
func (d *ruleDecoder) address(f monban.Field, value, mask []byte, not bool) {
	n := 16
	if d.network != monban.IPv6 {
		n = 4
	}
	value, mask = bytes.Clone(value[:n]), bytes.Clone(mask[:n])
	d.add(monban.Step{Op: monban.OpTest, Not: not, Within: []monban.Span{{First: value, Last: value}},
		Key: []monban.Load{{Field: f, Len: n, Mask: mask, Xor: make([]byte, n)}}})
}

// xtAddrtype decodes struct xt_addrtype_info_v1.
func (d *ruleDecoder) xtAddrtype(rev uint32, x xtInfo) bool {
	source, dest, flags := x.u16(0), x.u16(2), x.u32(4)
	const notSource, notDest, byIn, byOut = 1, 2, 4, 8
	if rev != 1 || x.short || flags&byOut != 0 {
		return false
	}
	if d.network == monban.IPv6 {
		return d.xtAddrtype6(source, flags&notSource != 0) && d.xtAddrtype6(dest, flags&notDest != 0) &&
			d.addrtype(monban.FieldSourceType, source&^unicast6, flags&notSource != 0, flags&byIn != 0) &&
			d.addrtype(monban.FieldDestType, dest&^unicast6, flags&notDest != 0, flags&byIn != 0)
	}
	return d.addrtype(monban.FieldSourceType, source, flags&notSource != 0, flags&byIn != 0) &&
		d.addrtype(monban.FieldDestType, dest, flags&notDest != 0, flags&byIn != 0)
}

// unicast6 is what every address of a packet that knocks is, one's own, too, for
// IPv6, which asks the address itself and not a route (match_type6).
const unicast6 = 1 << 1

// xtAddrtype6 reports whether what is asked of an IPv6 address can be answered
// by a route alone, and adds what no such packet passes.
func (d *ruleDecoder) xtAddrtype6(types uint16, not bool) bool {
	const local, multicast = 1 << 2, 1 << 5
	if types&^(unicast6|local) != 0 && types != multicast {
		return false
	}
	if types == unicast6 && not {
		d.never("addrtype")
	}
	return true
}

// addrtype adds a test for any of the kinds of routes; none is no test.
func (d *ruleDecoder) addrtype(f monban.Field, types uint16, not, byIn bool) bool {
	if types == 0 {
		return true
	}
	s := monban.Step{Op: monban.OpTest, Not: not, Key: []monban.Load{{Field: f, Len: 4, ByDevice: byIn}}}
	for kind := range uint32(16) {
		if types&(1<<kind) != 0 {
			s.Within = append(s.Within, monban.Span{First: be32(kind), Last: be32(kind)})
		}
	}
	d.add(s)
	return true
}

// xtIPRange decodes struct xt_iprange_mtinfo.
func (d *ruleDecoder) xtIPRange(x xtInfo) bool {
	n := 16
	if d.network != monban.IPv6 {
		n = 4
	}
	flags := x.u8(64)
	if x.short {
		return false
	}
	if flags&0x01 != 0 {
		d.within(monban.FieldSource, flags&0x10 != 0, monban.Span{First: bytes.Clone(x.take(0, n)), Last: bytes.Clone(x.take(16, n))})
	}
	if flags&0x02 != 0 {
		d.within(monban.FieldDest, flags&0x20 != 0, monban.Span{First: bytes.Clone(x.take(32, n)), Last: bytes.Clone(x.take(48, n))})
	}
	return true
}

// setMark adds `to = from & mask ^ xor`.
func (d *ruleDecoder) setMark(to monban.Field, from monban.Load, mask, xor uint32) {
	from.Len, from.Mask, from.Xor = 4, be32(mask), be32(xor)
	d.add(monban.Step{Op: monban.OpAssign, To: to, Key: []monban.Load{from}})
}

// mixMarks adds `to = to & ^clear ^ from & mask`.
func (d *ruleDecoder) mixMarks(to monban.Field, clear uint32, from monban.Field, mask uint32) {
	zero := make([]byte, 4)
	d.add(monban.Step{Op: monban.OpAssign, To: to, Key: []monban.Load{
		{Field: to, Len: 4, Mask: be32(^clear), Xor: zero}, {Field: from, Len: 4, Mask: be32(mask), Xor: zero}}})
}

// xtConnmark decodes struct xt_connmark_tginfo1, and 2 where it does not shift.
func (d *ruleDecoder) xtConnmark(rev uint32, x xtInfo) bool {
	ctmark, ctmask, nfmask, mode := x.u32(0), x.u32(4), x.u32(8), x.u8(12)
	if rev == 2 {
		if x.u8(13) != 0 {
			return false
		}
		mode = x.u8(14)
	}
	if rev < 1 || rev > 2 || x.short {
		return false
	}
	switch {
	case mode == 0: // set
		d.setMark(monban.FieldConnMark, monban.Load{Field: monban.FieldConnMark}, ^ctmask, ctmark)
	case mode == 1 && ctmask == 0xffffffff && nfmask == 0xffffffff: // save
		d.setMark(monban.FieldConnMark, monban.Load{Field: monban.FieldMark}, 0xffffffff, 0)
	case mode == 2 && ctmask == 0xffffffff && nfmask == 0xffffffff: // restore
		d.setMark(monban.FieldMark, monban.Load{Field: monban.FieldConnMark}, 0xffffffff, 0)
	case mode == 1: // the bits that ctmask leaves, and the mark's of nfmask
		d.mixMarks(monban.FieldConnMark, ctmask, monban.FieldMark, nfmask)
	default:
		d.mixMarks(monban.FieldMark, nfmask, monban.FieldConnMark, ctmask)
	}
	return true
}

// xtNAT decodes struct nf_nat_range and nf_nat_range2, and the older form of IPv4
// with its count of ranges.
func (d *ruleDecoder) xtNAT(name string, rev uint32, x xtInfo) bool {
	const byAddr, byPort, byOffset = 1, 2, 32
	var flags uint32
	var addrs, ports [2][]byte
	if rev == 0 && d.network != monban.IPv6 { // struct nf_nat_ipv4_multi_range_compat
		if x.u32(0) != 1 {
			return false
		}
		flags = x.u32(4)
		addrs = [2][]byte{x.take(8, 4), x.take(12, 4)}
		ports = [2][]byte{x.take(16, 2), x.take(18, 2)}
	} else {
		n := 16
		if d.network != monban.IPv6 {
			n = 4
		}
		flags = x.u32(0)
		addrs = [2][]byte{x.take(4, n), x.take(20, n)}
		ports = [2][]byte{x.take(36, 2), x.take(38, 2)}
	}
	if x.short || flags&byOffset != 0 {
		return false
	}
	s := monban.Step{Op: monban.OpDNAT, Name: portChoice(flags)}
	if name == "REDIRECT" {
		s.Op = monban.OpRedirect
	} else if flags&byAddr != 0 {
		s.Addr = constants(addrs)
	}
	if flags&byPort != 0 {
		s.Port = constants(ports)
	}
	d.add(s)
	return true
}

func constants(pair [2][]byte) []monban.Load {
	out := []monban.Load{{Field: monban.FieldConstant, Value: bytes.Clone(pair[0]), Len: len(pair[0])}}
	if !bytes.Equal(pair[0], pair[1]) {
		out = append(out, monban.Load{Field: monban.FieldConstant, Value: bytes.Clone(pair[1]), Len: len(pair[1])})
	}
	return out
}

// maxSegment names a load of the maximum segment size that a TCP packet announces.
const maxSegment = "tcp option 2"

// oddSegments reports whether nobody announces a segment size of those from first to
// last, or, with not, of all others: computers announce at least what every IPv4 host
// has to take (RFC 9293 section 3.7.1), and at most what fits into a packet on
// loopback.
func oddSegments(first, last uint16, not bool) bool {
	const least, most = 536, 65495
	if not {
		return first <= least && last >= most
	}
	return last < least || first > most
}
