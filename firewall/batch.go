package firewall

import (
	"encoding/binary"
	"fmt"

	"github.com/monban-dev/monban"
)

// This file writes the messages of a transaction of nf_tables: what decode.go and
// objects.go read. Numbers are those of include/uapi/linux/netfilter/nf_tables.h.

const (
	msgNewTable   = 0
	msgDelTable   = 2
	msgNewChain   = 3
	msgDelChain   = 5
	msgNewRule    = 6
	msgDelRule    = 8
	msgNewSet     = 9
	msgDelSet     = 11
	msgNewElement = 12
	msgDelElement = 14

	batchBegin = 0x10
	batchEnd   = 0x11
	subsystem  = 10 // NFNL_SUBSYS_NFTABLES

	flagRequest = 0x1
	flagAck     = 0x4
	flagCreate  = 0x400
	flagAppend  = 0x800

	familyInet = 1 // NFPROTO_INET
)

// batch is a transaction for one table of family inet: all of it comes into
// force at once, or nothing does.
type batch struct {
	table string
	out   []byte
	seq   uint32
	sets  uint32 // ids given so far
	err   error
}

// newBatch begins a transaction. With a generation other than 0 the kernel only
// takes it if nobody has changed any rule since that one.
func newBatch(table string, generation uint32) *batch {
	b := &batch{table: table}
	at := b.begin(batchBegin, flagRequest)
	if generation != 0 {
		b.u32(1, generation) // NFNL_BATCH_GENID
	}
	b.finish(at)
	return b
}

// begin begins a message and returns where it begins.
func (b *batch) begin(kind, flags uint16) int {
	at := len(b.out)
	b.seq++
	ne := binary.NativeEndian
	family, resource := byte(familyInet), uint16(0)
	if kind >= batchBegin {
		family, resource = 0, subsystem
	} else {
		kind |= subsystem << 8
	}
	b.out = ne.AppendUint32(b.out, 0)
	b.out = ne.AppendUint16(b.out, kind)
	b.out = ne.AppendUint16(b.out, flags)
	b.out = ne.AppendUint32(b.out, b.seq)
	b.out = ne.AppendUint32(b.out, 0)
	b.out = append(b.out, family, 0)
	b.out = binary.BigEndian.AppendUint16(b.out, resource)
	return at
}

func (b *batch) finish(at int) {
	binary.NativeEndian.PutUint32(b.out[at:], uint32(len(b.out)-at))
}

// message adds a message about the table, whose name is attribute 1 of each.
func (b *batch) message(kind, flags uint16, fill func()) {
	at := b.begin(kind, flagRequest|flags)
	b.text(1, b.table)
	if fill != nil {
		fill()
	}
	b.finish(at)
}

// end ends the transaction and returns it, and the number of the message that
// the kernel will acknowledge last.
func (b *batch) end() (data []byte, last uint32, err error) {
	if b.err != nil {
		return nil, 0, b.err
	}
	// An acknowledgement of the last message that does something, because not
	// every kernel gives one of the end.
	at := lastMessage(b.out)
	ne := binary.NativeEndian
	ne.PutUint16(b.out[at+6:], ne.Uint16(b.out[at+6:])|flagAck)
	last = b.seq
	at = b.begin(batchEnd, flagRequest)
	b.finish(at)
	return b.out, last, nil
}

func lastMessage(out []byte) int {
	at := 0
	for {
		next := at + int(binary.NativeEndian.Uint32(out[at:]))
		if next >= len(out) {
			return at
		}
		at = next
	}
}

func (b *batch) attr(kind uint16, value []byte) {
	ne := binary.NativeEndian
	b.out = ne.AppendUint16(b.out, uint16(4+len(value)))
	b.out = ne.AppendUint16(b.out, kind)
	b.out = append(b.out, value...)
	for len(b.out)%4 != 0 {
		b.out = append(b.out, 0)
	}
}

func (b *batch) text(kind uint16, s string) { b.attr(kind, append([]byte(s), 0)) }

func (b *batch) u32(kind uint16, v uint32) {
	b.attr(kind, binary.BigEndian.AppendUint32(nil, v))
}

func (b *batch) u64(kind uint16, v uint64) {
	b.attr(kind, binary.BigEndian.AppendUint64(nil, v))
}

// nest adds an attribute that holds others.
func (b *batch) nest(kind uint16, fill func()) {
	const nested = 0x8000
	at := len(b.out)
	ne := binary.NativeEndian
	b.out = ne.AppendUint16(b.out, 0)
	b.out = ne.AppendUint16(b.out, kind|nested)
	fill()
	n := len(b.out) - at
	if n > 0xffff {
		b.fail(fmt.Errorf("an attribute of %d bytes", n))
		return
	}
	ne.PutUint16(b.out[at:], uint16(n))
}

func (b *batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *batch) newTable() { b.message(msgNewTable, flagCreate, func() { b.u32(2, 0) }) }
func (b *batch) delTable() { b.message(msgDelTable, 0, nil) }

// newChain adds a chain without its rules; a chain that is there stays.
func (b *batch) newChain(c *monban.Chain) {
	b.message(msgNewChain, flagCreate, func() {
		b.text(3, c.Name)
		if c.Hook == monban.NoHook {
			return
		}
		number, ok := hookNumber(c.Hook)
		if !ok || c.Policy.Kind != monban.ActAccept {
			b.fail(fmt.Errorf("chain %s: cannot be written", c.Name))
		}
		b.nest(4, func() {
			b.u32(1, number)
			b.u32(2, uint32(c.Priority))
		})
		b.u32(5, 1) // NF_ACCEPT
		b.text(7, c.Type)
	})
}

func hookNumber(h monban.Hook) (uint32, bool) {
	switch h {
	case monban.HookPrerouting:
		return 0, true
	case monban.HookInput:
		return 1, true
	case monban.HookForward:
		return 2, true
	case monban.HookOutput:
		return 3, true
	case monban.HookPostrouting:
		return 4, true
	}
	return 0, false
}

func (b *batch) delChain(name string) { b.message(msgDelChain, 0, func() { b.text(3, name) }) }

// flush takes the rules of a chain out.
func (b *batch) flush(chain string) { b.message(msgDelRule, 0, func() { b.text(2, chain) }) }

// addRules adds the rules of a chain behind those that it has.
func (b *batch) addRules(c *monban.Chain) {
	for i := range c.Rules {
		r := &c.Rules[i]
		b.message(msgNewRule, flagCreate|flagAppend, func() {
			b.text(2, c.Name)
			b.nest(4, func() {
				for j := range r.Steps {
					b.step(&r.Steps[j])
				}
			})
			if r.Comment != "" {
				b.attr(7, append([]byte{0, byte(len(r.Comment) + 1)}, append([]byte(r.Comment), 0)...))
			}
		})
	}
}

// Types of nft(8), by which it shows the keys of a set.
const (
	typeFamily  = 2
	typeIPv4    = 7
	typeIPv6    = 8
	typeL4Proto = 12
	typePort    = 13
	typeIfname  = 41
)

func (b *batch) delSet(name string) { b.message(msgDelSet, 0, func() { b.text(2, name) }) }

// newSet adds a set without its elements. meterSize bounds a dynamic one, and
// meterLife is how long its elements stay.
func (b *batch) newSet(s *monban.Set) {
	const (
		interval = 0x4
		isMap    = 0x8
		timeout  = 0x10
		eval     = 0x20
		concat   = 0x80

		verdictType = 0xffffff00

		meterSize = 65535
		meterLife = 3600 * 1000 // milliseconds
		sweep     = 1000        // milliseconds between looks for what has expired
	)
	b.sets++
	id := b.sets
	flags, keyType, keyLen := uint32(timeout), uint32(0), 0
	for _, n := range s.Fields {
		keyType = keyType<<6 | typeOf(s, n)
		keyLen += (n + 3) &^ 3
	}
	if len(s.Fields) == 1 {
		keyLen = s.Fields[0]
	}
	if s.Interval {
		flags |= interval
		if len(s.Fields) > 1 {
			flags |= concat
		}
	}
	if s.VerdictMap {
		flags |= isMap
	}
	if s.Dynamic {
		flags |= eval
	}
	b.message(msgNewSet, flagCreate, func() {
		b.text(2, s.Name)
		b.u32(3, flags)
		b.u32(4, keyType)
		b.u32(5, uint32(keyLen))
		if s.VerdictMap {
			b.u32(6, verdictType)
		}
		b.nest(9, func() {
			if s.Dynamic {
				b.u32(1, meterSize)
			}
			if flags&concat != 0 {
				b.nest(2, func() {
					for _, n := range s.Fields {
						b.nest(1, func() { b.u32(1, uint32(n)) })
					}
				})
			}
		})
		b.u32(10, id)
		if s.Dynamic {
			b.u64(11, meterLife)
		}
		b.u32(12, sweep)
	})
}

// typeOf tells nft what a part of a key is.
func typeOf(s *monban.Set, n int) uint32 {
	switch {
	case n == 1 && (s.VerdictMap || s.Name == setRunning) && len(s.Fields) == 1:
		return typeFamily
	case n == 1:
		return typeL4Proto
	case n == 2:
		return typePort
	case n == 4:
		return typeIPv4
	case s.VerdictMap && !isAddresses(s):
		return typeIfname
	}
	return typeIPv6
}

// isAddresses reports whether the last part of a set's key is an address, which
// its name says: an interface's name has 16 bytes, too.
func isAddresses(s *monban.Set) bool { return !isDevices(s.Name) }

// elementsAtOnce keeps a message of elements below the 64 KiB of an attribute.
const elementsAtOnce = 400

// addElements adds the elements of a set.
func (b *batch) addElements(s *monban.Set) {
	for list := s.Elements; len(list) > 0; {
		n := min(len(list), elementsAtOnce)
		b.elements(msgNewElement, flagCreate, s, list[:n])
		list = list[n:]
	}
}

// delElements takes elements out; it fails with ENOENT if one is not there any
// more.
func (b *batch) delElements(s *monban.Set) { b.elements(msgDelElement, 0, s, s.Elements) }

func (b *batch) elements(kind, flags uint16, s *monban.Set, list []monban.Element) {
	b.message(kind, flags, func() {
		b.text(2, s.Name)
		b.nest(3, func() {
			for i := range list {
				e := &list[i]
				b.nest(1, func() {
					b.nest(1, func() { b.attr(1, e.First) })
					if s.Interval {
						b.nest(10, func() { b.attr(1, e.Last) })
					}
					if s.VerdictMap && kind == msgNewElement {
						b.nest(2, func() { b.verdict(e.Action) })
					}
					if e.Expires > 0 {
						b.u64(4, uint64(max(1, e.Expires.Milliseconds())))
					}
				})
			}
		})
	})
}
