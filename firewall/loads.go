package firewall

import (
	"fmt"

	"github.com/monban-dev/monban"
)

// This file says what the expressions that load something load.

// payload decodes a load from the packet, or a change of it.
func (d *ruleDecoder) payload(e *expression) {
	base, offset, n := e.u32(2), int(e.u32(3)), int(e.u32(4))
	if e.has(5) { // NFTA_PAYLOAD_SREG
		addresses := 8 // where those of IPv6 begin
		if d.network == monban.IPv4 {
			addresses = 12
		}
		switch {
		case base == 1 && offset+n > addresses, base == 2 && offset < 4:
			d.final("payload set") // perhaps an address or a port
		default:
			d.note("payload set")
		}
		return
	}
	if n < 1 || n > registerBytes {
		d.final("payload")
		return
	}
	var loads []monban.Load
	for n > 0 {
		l := d.packetField(base, offset)
		l.Len = min(n, l.Len)
		// A field that is not loaded from its beginning on stays a part of it.
		loads = append(loads, l)
		offset, n = offset+l.Len, n-l.Len
	}
	d.load(e, 1, loads...)
}

// packetField returns the field that begins at, or goes on from, the offset into
// a header. Its Len is what is left of the field.
func (d *ruleDecoder) packetField(base uint32, offset int) monban.Load {
	type span struct {
		at, n int
		field monban.Field
	}
	var layout []span
	switch {
	case base == 1 && d.network == monban.IPv4:
		layout = []span{{9, 1, monban.FieldL4Proto}, {12, 4, monban.FieldSource}, {16, 4, monban.FieldDest}}
	case base == 1 && d.network == monban.IPv6:
		layout = []span{{6, 1, monban.FieldL4Proto}, {8, 16, monban.FieldSource}, {24, 16, monban.FieldDest}}
	case base == 2:
		layout = []span{{0, 2, monban.FieldSourcePort}, {2, 2, monban.FieldDestPort}, {13, 1, monban.FieldTCPFlags}}
	}
	next := 1 << 16
	for _, s := range layout {
		if s.at <= offset && offset < s.at+s.n {
			return monban.Load{Field: s.field, Offset: offset - s.at, Len: s.n - (offset - s.at)}
		}
		if s.at > offset {
			next = min(next, s.at-offset)
		}
	}
	names := [...]string{"ll", "nh", "th", "ih"}
	name := "payload"
	if int(base) < len(names) {
		name = fmt.Sprintf("@%s,%d", names[base], offset*8)
	}
	return monban.Load{Field: monban.FieldOther, Name: name, Len: next}
}

// meta decodes a load of, or a change to, what the kernel keeps beside a packet.
func (d *ruleDecoder) meta(e *expression) {
	key := e.u32(2)
	if e.has(3) { // NFTA_META_SREG
		if key == metaMark {
			d.assign(e, 3, monban.FieldMark)
			return
		}
		if key == metaPacketType { // what is to another host, no protocol takes
			d.final("meta pkttype set")
			return
		}
		d.note("meta set")
		return
	}
	l := monban.Load{Field: monban.FieldOther, Len: 4}
	host := false
	switch key {
	case 1: // protocol
		l.Field, l.Len = monban.FieldEtherType, 2
	case metaMark:
		l.Field, host = monban.FieldMark, true
	case 4:
		l.Field, host = monban.FieldInIndex, true
	case 5:
		l.Field, host = monban.FieldOutIndex, true
	case 6:
		l.Field, l.Len = monban.FieldInName, 16
	case 7:
		l.Field, l.Len = monban.FieldOutName, 16
	case 15:
		l.Field, l.Len = monban.FieldFamily, 1
	case 16:
		l.Field, l.Len = monban.FieldL4Proto, 1
	case metaPacketType:
		l.Field, l.Len = monban.FieldPacketType, 1
	case 24:
		l.Field, l.Name = monban.FieldRandom, "random"
	case 26, 27: // iifkind, oifkind
		l.Len = 16
	case 30: // time
		l.Len = 8
	case 31: // day
		l.Len = 1
	case 8, 9, 28, 29: // iftype, oiftype, pvid, vproto
		l.Len = 2
	case 17, 18, 34: // names
		l.Len = 16
	case 25, 35:
		l.Len = 1
	}
	if l.Field == monban.FieldOther {
		l.Name = metaName(key)
	}
	l.Little = host && d.little
	d.load(e, 1, l)
}

const (
	metaMark       = 3
	metaPacketType = 19
)

func metaName(key uint32) string {
	names := [...]string{"length", "protocol", "priority", "mark", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype",
		"skuid", "skgid", "nftrace", "rtclassid", "secmark", "nfproto", "l4proto", "ibrname", "obrname", "pkttype", "cpu",
		"iifgroup", "oifgroup", "cgroup", "random", "ipsec", "iifkind", "oifkind", "ibrpvid", "ibrvproto", "time", "day", "hour",
		"sdif", "sdifname", "broute"}
	if int(key) < len(names) {
		return "meta " + names[key]
	}
	return fmt.Sprintf("meta %d", key)
}

// assign decodes `mark set` and `ct mark set`, whose value is a number of the
// machine's own byte order.
func (d *ruleDecoder) assign(e *expression, i int, to monban.Field) {
	at, ok := e.place(i)
	var loads []monban.Load
	if ok {
		loads, ok = d.regs.get(at, 4)
	}
	value := monban.Load{Field: monban.FieldOther, Name: "value", Len: 4}
	if ok && len(loads) == 1 {
		switch l := loads[0]; {
		case l.Field == monban.FieldConstant && l.Mask == nil:
			if d.little {
				l.Value = reversed(l.Value)
			}
			value = l
		case l.Field == monban.FieldTemp && l.Mask == nil:
			l.Little = d.little
			value = l
		case l.Little || !d.little:
			l.Little = false
			value = l
		}
	}
	d.add(monban.Step{Op: monban.OpAssign, To: to, Key: []monban.Load{value}})
}

// ct decodes a load of, or a change to, the connection's state.
func (d *ruleDecoder) ct(e *expression) {
	key := e.u32(2)
	if e.has(4) { // NFTA_CT_SREG
		if key == 3 {
			d.assign(e, 4, monban.FieldConnMark)
			return
		}
		if key == ctZone && !(e.has(3) && byteOf(e.attrs[3]) == 0) {
			d.zone()
			return
		}
		d.note("ct set")
		return
	}
	original := !e.has(3) || byteOf(e.attrs[3]) == 0
	l := monban.Load{Field: monban.FieldOther, Name: "ct", Len: 4}
	host := false
	size := 4
	if d.network == monban.IPv6 {
		size = 16
	}
	switch key {
	case 0:
		l.Field, host = monban.FieldConnState, true
	case 1:
		l.Field, l.Len = monban.FieldConnDirection, 1
	case 2:
		l.Field, host = monban.FieldConnStatus, true
	case 3:
		l.Field, host = monban.FieldConnMark, true
	case 6: // helper
		l.Len, l.Name = 16, "ct helper"
	case 7:
		l.Field, l.Len = monban.FieldFamily, 1
	case 8, 19, 21: // src
		l.Field, l.Len = monban.FieldConnSource, size
	case 9, 20, 22: // dst
		l.Field, l.Len = monban.FieldConnDest, size
	case 10:
		l.Field, l.Len = monban.FieldL4Proto, 1
	case 11:
		l.Field, l.Len = monban.FieldConnSourcePort, 2
	case 12:
		l.Field, l.Len = monban.FieldConnDestPort, 2
	case 13:
		l.Len, l.Name = 16, "ct label"
	case 14, 15, 16:
		l.Len, l.Name = 8, "ct packets"
	case ctZone:
		l.Len, l.Name = 2, "ct zone"
	}
	// An address of one family: for a connection of the other the rule ends.
	switch key {
	case 19, 20:
		l.Len = 4
		d.only(monban.IPv4)
	case 21, 22:
		l.Len = 16
		d.only(monban.IPv6)
	}
	switch l.Field {
	case monban.FieldConnSource, monban.FieldConnDest, monban.FieldConnSourcePort, monban.FieldConnDestPort:
		if !original {
			l.Field, l.Name = monban.FieldOther, "ct reply"
		}
	}
	l.Little = host && d.little
	d.load(e, 1, l)
}

const ctZone = 17

// zone adds that a packet's connection is looked for among those of a zone: whether
// its answers are, which other chains see, cannot be told.
func (d *ruleDecoder) zone() {
	d.add(monban.Step{Op: monban.OpAssign, To: monban.FieldConnState, Key: []monban.Load{{Field: monban.FieldOther, Name: "ct zone", Len: 4}}})
}

// only adds a test for packets of a family, where there are others.
func (d *ruleDecoder) only(f monban.Family) {
	if d.network == f {
		return
	}
	number := byte(2)
	if f == monban.IPv6 {
		number = 10
	}
	d.test(monban.Load{Field: monban.FieldFamily, Len: 1}, 0, []byte{number})
}

// fibPresent marks a load that only says whether there is a route.
const fibPresent = "present"

// fib decodes a question to the routing tables.
func (d *ruleDecoder) fib(e *expression) {
	const (
		saddr = 1 << iota
		daddr
		mark
		iif
		oif
		present
	)
	result, flags := e.u32(2), e.u32(3)
	l := monban.Load{Field: monban.FieldOther, Name: "fib", Len: 4, ByDevice: flags&iif != 0, ByMark: flags&mark != 0}
	switch {
	case flags&oif != 0:
	case result == 3 && flags&saddr != 0:
		l.Field, l.Little = monban.FieldSourceType, d.little
	case result == 3 && flags&daddr != 0:
		l.Field, l.Little = monban.FieldDestType, d.little
	case result < 3 && flags&saddr != 0:
		l.Field = monban.FieldReversePath
	}
	switch {
	case result < 3 && flags&present != 0:
		l.Name = fibPresent // 0 or 1 in the first byte of four (nft_reg_store8)
	case result == 2:
		l.Len = 16
	}
	d.load(e, 1, l)
}
