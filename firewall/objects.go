package firewall

import (
	"bytes"
	"slices"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

// This file decodes what a dump of nf_tables tells: tables, chains, rules, sets
// and their elements.

// tableFamily turns one of the kernel's NFPROTO_* numbers into a family.
func tableFamily(n uint8) monban.TableFamily {
	switch n {
	case 1:
		return monban.TableInet
	case 2:
		return monban.TableIP
	case 3:
		return monban.TableARP
	case 5:
		return monban.TableNetdev
	case 7:
		return monban.TableBridge
	case 10:
		return monban.TableIP6
	}
	return monban.TableFamilyUnknown
}

func parseTable(family uint8, attrs []byte) (monban.Table, error) {
	const dormant = 1 // NFT_TABLE_F_DORMANT
	t := monban.Table{Family: tableFamily(family)}
	err := nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		switch kind {
		case 1:
			t.Name = nfnl.String(b)
		case 2:
			t.Dormant = nfnl.Uint32(b)&dormant != 0
		case 4:
			t.Handle = nfnl.Uint64(b)
		}
		return nil
	})
	return t, err
}

// parseChain returns a chain and the name of its table.
func parseChain(family uint8, attrs []byte) (table string, c monban.Chain, err error) {
	c.Policy.Kind = monban.ActAccept
	err = nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		switch kind {
		case 1:
			table = nfnl.String(b)
		case 2:
			c.Handle = nfnl.Uint64(b)
		case 3:
			c.Name = nfnl.String(b)
		case 4:
			return parseHook(family, b, &c)
		case 5:
			if nfnl.Uint32(b) == 0 {
				c.Policy.Kind = monban.ActDrop
			}
		case 7:
			c.Type = nfnl.String(b)
		}
		return nil
	})
	if c.Hook == monban.NoHook {
		c.Policy = monban.Action{}
	}
	return table, c, err
}

func parseHook(family uint8, attrs []byte, c *monban.Chain) error {
	return nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		switch kind {
		case 1:
			c.Hook = hook(family, nfnl.Uint32(b))
		case 2:
			c.Priority = int32(nfnl.Uint32(b))
		case 3:
			c.Devices = append(c.Devices, nfnl.String(b))
		case 4:
			return nfnl.Attrs(b, func(kind uint16, b []byte) error {
				name := nfnl.String(b)
				if kind == 2 { // NFTA_DEVICE_PREFIX (Linux 6.18)
					name += "*"
				}
				c.Devices = append(c.Devices, name)
				return nil
			})
		}
		return nil
	})
}

// hook turns the kernel's number of a hook, which depends on the family, into a
// Hook.
func hook(family uint8, n uint32) monban.Hook {
	if family == 5 { // netdev
		return [...]monban.Hook{monban.HookIngress, monban.HookEgress, monban.NoHook}[min(n, 2)]
	}
	hooks := [...]monban.Hook{monban.HookPrerouting, monban.HookInput, monban.HookForward, monban.HookOutput,
		monban.HookPostrouting, monban.HookIngress, monban.NoHook}
	return hooks[min(int(n), len(hooks)-1)]
}

// rawRule is a rule before its expressions are decoded, which needs the sets of
// its table.
type rawRule struct {
	family       uint8
	table, chain string
	rule         monban.Rule
	list         []byte
}

func parseRule(family uint8, attrs []byte) (r rawRule, err error) {
	r.family = family
	err = nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		switch kind {
		case 1:
			r.table = nfnl.String(b)
		case 2:
			r.chain = nfnl.String(b)
		case 3:
			r.rule.Handle = nfnl.Uint64(b)
		case 4:
			r.list = bytes.Clone(b)
		case 7:
			r.rule.Comment = userComment(b)
		}
		return nil
	})
	return r, err
}

// userComment finds the comment in the user data that nft(8) stores with a rule:
// runs of type, length and value (libnftnl's udata.h), the comment of type 0.
func userComment(b []byte) string {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		if b[0] == 0 {
			return nfnl.String(b[2 : 2+int(b[1])])
		}
		b = b[2+int(b[1]):]
	}
	return ""
}

// setHeader is a set without its elements, with what decoding them needs.
type setHeader struct {
	set             monban.Set
	table           string
	keyLen, dataLen int
	objType         uint32
	concat          bool
	used            bool
}

func parseSet(attrs []byte) (h setHeader, err error) {
	const (
		anonymous = 1 << iota
		constant
		interval
		isMap
		timeout
		eval
		object
		concat
	)
	const verdictType = 0xffffff00 // NFT_DATA_VERDICT
	err = nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		switch kind {
		case 1:
			h.table = nfnl.String(b)
		case 2:
			h.set.Name = nfnl.String(b)
		case 3:
			flags := nfnl.Uint32(b)
			h.set.Anonymous = flags&anonymous != 0
			h.set.Interval = flags&interval != 0
			h.set.Map = flags&isMap != 0
			h.set.Dynamic = flags&eval != 0
			h.concat = flags&concat != 0
		case 5:
			h.keyLen = int(nfnl.Uint32(b))
		case 6:
			h.set.VerdictMap = nfnl.Uint32(b) == verdictType
		case 7:
			h.dataLen = int(nfnl.Uint32(b))
		case 9:
			return nfnl.Attrs(b, func(kind uint16, b []byte) error {
				if kind != 2 { // NFTA_SET_DESC_CONCAT
					return nil
				}
				h.set.Fields = nil
				return nfnl.Attrs(b, func(_ uint16, b []byte) error {
					return nfnl.Attrs(b, func(_ uint16, b []byte) error {
						h.set.Fields = append(h.set.Fields, int(nfnl.Uint32(b)))
						return nil
					})
				})
			})
		case 15: // NFTA_SET_OBJ_TYPE
			h.objType = nfnl.Uint32(b)
		case 17: // NFTA_SET_EXPR
			return h.keeps(b)
		case 18: // NFTA_SET_EXPRESSIONS
			return nfnl.Attrs(b, func(_ uint16, b []byte) error { return h.keeps(b) })
		}
		return nil
	})
	if h.keyLen < 1 || h.keyLen > registerBytes || h.dataLen < 0 || h.dataLen > registerBytes {
		h.keyLen, h.dataLen, h.set.Unread = 1, 1, true
	}
	return h, err
}

// keeps notes an expression that every element has one of. Those that only count
// let everything pass.
func (h *setHeader) keeps(expression []byte) error {
	name, err := expressionName(expression)
	if name != "" {
		h.set.Limit = name
	}
	return err
}

// expressionName is what an element's expression is called, "" for one that lets
// everything pass.
func expressionName(expression []byte) (name string, err error) {
	err = nfnl.Attrs(expression, func(kind uint16, b []byte) error {
		if kind == 1 { // NFTA_EXPR_NAME
			name = nfnl.String(b)
		}
		return nil
	})
	if name == "counter" || name == "last" {
		name = ""
	}
	return name, err
}

// rawElement is an element as the kernel tells it: of a set of ranges it is only
// one end of a range, unless it has an end of its own.
type rawElement struct {
	element monban.Element
	end     bool // the first key behind a range
	rest    bool // NFT_SET_ELEM_CATCHALL
}

// elementParser takes the elements of one set apart. Keys are kept in a few large
// slices, because a set may have a million.
type elementParser struct {
	elements []rawElement
	arena    []byte
	// limit is the name of an expression that some element has.
	limit string
}

func (p *elementParser) keep(b []byte) []byte {
	if len(p.arena)+len(b) > cap(p.arena) {
		p.arena = make([]byte, 0, max(min(2*cap(p.arena), 64<<10), len(b), 256))
	}
	n := len(p.arena)
	p.arena = append(p.arena, b...)
	return p.arena[n:len(p.arena):len(p.arena)]
}

// message decodes one NFT_MSG_NEWSETELEM.
func (p *elementParser) message(attrs []byte) error {
	return nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		if kind != 3 { // NFTA_SET_ELEM_LIST_ELEMENTS
			return nil
		}
		return nfnl.Attrs(b, func(_ uint16, b []byte) error {
			var e rawElement
			if err := p.element(&e, b); err != nil {
				return err
			}
			p.elements = append(p.elements, e)
			return nil
		})
	})
}

func (p *elementParser) element(e *rawElement, attrs []byte) error {
	return nfnl.Attrs(attrs, func(kind uint16, b []byte) error {
		switch kind {
		case 1, 10: // key, key end
			return nfnl.Attrs(b, func(inner uint16, v []byte) error {
				if inner == 1 && kind == 1 {
					e.element.First = p.keep(v)
				} else if inner == 1 {
					e.element.Last = p.keep(v)
				}
				return nil
			})
		case 2:
			return nfnl.Attrs(b, func(inner uint16, v []byte) error {
				if inner == 1 {
					e.element.Data = p.keep(v)
					return nil
				}
				a, ok := verdict(v)
				if !ok {
					a = monban.Action{Kind: monban.ActQueue} // whatever it is, somebody else decides
				}
				e.element.Action = a
				return nil
			})
		case 3:
			flags := nfnl.Uint32(b)
			e.end, e.rest = flags&1 != 0, flags&2 != 0
		case 7: // NFTA_SET_ELEM_EXPR
			return p.keeps(b)
		case 11: // NFTA_SET_ELEM_EXPRESSIONS
			return nfnl.Attrs(b, func(_ uint16, b []byte) error { return p.keeps(b) })
		case 5:
			e.element.Expires = time.Duration(nfnl.Uint64(b)) * time.Millisecond
		}
		return nil
	})
}

func (p *elementParser) keeps(expression []byte) error {
	name, err := expressionName(expression)
	if name != "" {
		p.limit = name
	}
	return err
}

// fill puts the elements into the set, as sorted ranges.
func (h *setHeader) fill(raw []rawElement) {
	s := &h.set
	list := make([]monban.Element, 0, len(raw))
	var ends []rawElement
	for i := range raw {
		switch e := &raw[i]; {
		case e.rest:
			s.Else = &e.element
		case len(e.element.First) != h.keyLen:
			s.Unread = true // not what the set says it holds
		case e.end:
			ends = append(ends, *e)
		default:
			list = append(list, e.element)
		}
	}
	if !h.concat || !s.Interval || !s.Map {
		slices.SortFunc(list, func(a, b monban.Element) int { return bytes.Compare(a.First, b.First) })
	}
	if s.Interval && !h.concat {
		slices.SortFunc(ends, func(a, b rawElement) int { return bytes.Compare(a.element.First, b.element.First) })
		closeRanges(list, ends, h.keyLen)
	}
	for i := range list {
		if list[i].Last == nil {
			list[i].Last = list[i].First
		}
	}
	s.Elements = list
}

// closeRanges finds the end of each range: the last key before the next end, and
// before the next range, since two that touch have no end between them.
func closeRanges(list []monban.Element, ends []rawElement, keyLen int) {
	j := 0
	for i := range list {
		if list[i].Last != nil {
			continue
		}
		for j < len(ends) && bytes.Compare(ends[j].element.First, list[i].First) <= 0 {
			j++
		}
		var limit []byte
		if j < len(ends) {
			limit = ends[j].element.First
		}
		if i+1 < len(list) && (limit == nil || bytes.Compare(list[i+1].First, limit) < 0) {
			limit = list[i+1].First
		}
		if limit == nil {
			list[i].Last = bytes.Repeat([]byte{0xff}, keyLen)
			continue
		}
		list[i].Last, _ = step(limit, -1)
	}
}

// network is the protocol of the packets that a table of the family sees.
func network(family uint8) monban.Family {
	switch family {
	case 2:
		return monban.IPv4
	case 10:
		return monban.IPv6
	}
	return monban.FamilyUnknown
}

// decodeRule decodes the expressions of a rule.
func decodeRule(r *rawRule, sets map[string]*setHeader) monban.Rule {
	d := ruleDecoder{network: network(r.family), sets: sets, little: nativeLittle()}
	if err := d.expressions(r.list); err != nil {
		d.final(err.Error())
	}
	r.rule.Steps = d.steps
	return r.rule
}

// fieldsOf fills in how a key is made up, which the kernel tells only for
// concatenations of ranges, from a rule that looks the set up.
func (h *setHeader) fieldsOf(key []monban.Load) {
	if len(h.set.Fields) > 0 {
		return
	}
	for _, l := range key {
		h.set.Fields = append(h.set.Fields, l.Len)
	}
}
