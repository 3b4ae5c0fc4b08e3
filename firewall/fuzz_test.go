package firewall

import (
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

// FuzzObjects: whatever the kernel might say, the decoders neither panic nor
// leave a rule that its text cannot be made of.
func FuzzObjects(f *testing.F) {
	f.Add(uint8(1), nfnl.AppendString(nil, 1, "table"), []byte{})
	f.Add(uint8(2), nfnl.AppendString(nfnl.AppendString(nil, 1, "t"), 2, "s"), []byte{8, 0, 1, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, family uint8, object, list []byte) {
		_, _ = parseTable(family, object)
		_, _, _ = parseChain(family, object)
		h, _ := parseSet(object)
		var p elementParser
		_ = p.message(object)
		_, _, _ = parseOrigin(object)
		h.fill(p.elements)
		raw := rawRule{family: family, list: list}
		rule := decodeRule(&raw, map[string]*setHeader{h.set.Name: &h})
		table := monban.Table{Family: tableFamily(family), Sets: []monban.Set{h.set}}
		_ = rule.Text(&table)
	})
}

// FuzzExpression decodes one expression of every kind with arbitrary attributes.
func FuzzExpression(f *testing.F) {
	names := []string{"payload", "meta", "ct", "fib", "cmp", "range", "bitwise", "byteorder", "lookup", "immediate", "numgen",
		"hash", "nat", "redir", "limit", "connlimit", "dynset", "objref", "match", "target", "rt", "socket", "exthdr", "fwd"}
	xt := []string{"tcp", "udp", "multiport", "conntrack", "state", "addrtype", "mark", "connmark", "iprange", "recent",
		"DNAT", "REDIRECT", "MARK", "CONNMARK", "CT"}
	f.Add(uint8(0), uint8(0), []byte{0, 0, 0, 1}, []byte{0, 0, 0, 1}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, which, network uint8, a, b, c []byte) {
		e := expression{name: names[int(which)%len(names)]}
		for i := range e.attrs {
			e.attrs[i] = [][]byte{a, b, c, nil}[(i+int(network))%4]
		}
		if e.name == "match" || e.name == "target" {
			e.attrs[1], e.attrs[3] = []byte(xt[int(network)%len(xt)]+"\x00"), c
		}
		d := ruleDecoder{network: monban.Family(network % 3), little: nativeLittle(), sets: map[string]*setHeader{"": {keyLen: 4, dataLen: 4}}}
		d.regs.put(0, monban.Load{Field: monban.FieldSource, Len: 4}, monban.Load{Field: monban.FieldMark, Len: 4, Little: true})
		d.expression(&e)
		rule := monban.Rule{Steps: d.steps}
		_ = rule.Text(&monban.Table{})
	})
}
