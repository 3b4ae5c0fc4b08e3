package exposure

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/monban-dev/monban"
)

// lookup is a set made ready for one kind of key.
type lookup struct {
	set    *monban.Set
	table  *monban.Table
	family monban.Family
	space  *space
	key    []monban.Load
	at     []int // where each part of the key begins
	// remote is the index of the one part that is an address; -1 is none.
	remote int
	// exact finds elements by the bytes of the parts that are no address, where
	// they are not ranges; ranged are the others.
	exact  map[string][]int
	ranged []int
	// cache holds answers by the bytes of the same parts. It and what index makes
	// are behind the lock: doors are judged side by side.
	lock  sync.Mutex
	cache map[string]*answer
	// targets are the chains of a verdict map.
	targets map[string]*chain
}

// answer is what a set says about every address at once: groups of addresses
// with one element's data each. Without an address in the key, all is set.
type answer struct {
	groups []group
	any    set // the addresses of all groups
	all    *monban.Element
}

type group struct {
	atoms   set
	element *monban.Element
}

func (c *compiler) lookup(t *monban.Table, s *monban.Set, key []monban.Load) *lookup {
	if ready, ok := c.lookups[s]; ok && slices.EqualFunc(ready.key, key, func(a, b monban.Load) bool { return a.Field == b.Field && a.Len == b.Len }) {
		return ready
	}
	l := &lookup{set: s, table: t, family: c.family, space: c.space, key: key, remote: -1, cache: map[string]*answer{}, targets: map[string]*chain{}}
	c.lookups[s] = l
	at := 0
	for i := range key {
		l.at = append(l.at, at)
		if address(key[i].Field) && key[i].Mask == nil && key[i].Len == addrLen(c.family) && l.remote < 0 {
			l.remote = i
		}
		at += (key[i].Len + 3) &^ 3
	}
	for i := range s.Elements {
		if a := s.Elements[i].Action; a.Chain != "" && l.targets[a.Chain] == nil {
			l.targets[a.Chain] = c.target(t, a)
		}
	}
	if s.Else != nil && s.Else.Action.Chain != "" {
		l.targets[s.Else.Action.Chain] = c.target(t, s.Else.Action)
	}
	return l
}

// index prepares finding elements by the parts besides the address.
func (l *lookup) index() {
	l.exact = map[string][]int{}
	if l.remote == 0 && len(l.key) == 1 {
		return // any element
	}
	var buf []byte
	for i := range l.set.Elements {
		e := &l.set.Elements[i]
		buf = buf[:0]
		plain := true
		for k := range l.key {
			if k == l.remote {
				continue
			}
			first, last, ok := l.part(e, k)
			if !ok {
				plain = false
				break
			}
			plain = plain && bytes.Equal(first, last)
			buf = append(buf, first...)
		}
		if plain {
			l.exact[string(buf)] = append(l.exact[string(buf)], i)
		} else {
			l.ranged = append(l.ranged, i)
		}
	}
}

// part returns the bounds of one part of an element's key.
func (l *lookup) part(e *monban.Element, k int) (first, last []byte, ok bool) {
	from, to := l.at[k], l.at[k]+l.key[k].Len
	if len(e.First) < to || len(e.Last) < to {
		return nil, nil, false
	}
	return e.First[from:to], e.Last[from:to], true
}

// ask returns the answer for the parts of the key besides the address, whose
// bytes are in parts.
func (l *lookup) ask(parts [][]byte) *answer {
	id := string(bytes.Join(parts, nil))
	l.lock.Lock()
	defer l.lock.Unlock()
	if a, ok := l.cache[id]; ok {
		return a
	}
	if l.exact == nil {
		l.index()
	}
	a := &answer{}
	l.cache[id] = a
	from := 0 // elements are in order, and so are their atoms
	// Of two elements of a map that overlap the first one counts.
	overlap := l.set.Interval && len(l.key) > 1 && (l.set.Map || l.set.VerdictMap)
	take := func(i int) {
		e := &l.set.Elements[i]
		if l.remote < 0 {
			if a.all == nil {
				a.all = e
			}
			return
		}
		first, last, ok := l.part(e, l.remote)
		if !ok {
			return
		}
		from = l.space.atomNear(from, addrOfBytes(first))
		to := l.space.atomNear(from, addrOfBytes(last))
		if overlap {
			atoms := span(from, to)
			atoms.remove(&a.any)
			a.addAtoms(e, &atoms)
			a.any.add(&atoms)
			return
		}
		a.add(e, from, to)
	}
	if l.remote == 0 && len(l.key) == 1 {
		for i := range l.set.Elements {
			take(i)
		}
	}
	exact := l.exact[id]
	for _, i := range l.ranged {
		if !l.fits(&l.set.Elements[i], parts) {
			continue
		}
		for len(exact) > 0 && exact[0] < i {
			take(exact[0])
			exact = exact[1:]
		}
		take(i)
	}
	for _, i := range exact {
		take(i)
	}
	for i := range a.groups {
		a.any.add(&a.groups[i].atoms)
	}
	return a
}

func (l *lookup) fits(e *monban.Element, parts [][]byte) bool {
	n := 0
	for k := range l.key {
		if k == l.remote {
			continue
		}
		first, last, ok := l.part(e, k)
		if !ok || bytes.Compare(first, parts[n]) > 0 || bytes.Compare(parts[n], last) > 0 {
			return false
		}
		n++
	}
	return true
}

// add puts the atoms from first to last into the group of the element's data.
func (a *answer) add(e *monban.Element, first, last int) {
	const few = 64
	for i := range a.groups {
		g := &a.groups[i]
		if g.element.Action == e.Action && bytes.Equal(g.element.Data, e.Data) {
			if first/chunkAtoms < g.atoms.off {
				more := span(first, last)
				g.atoms.add(&more)
				return
			}
			g.atoms.extend(first, last)
			return
		}
		if i == few {
			break
		}
	}
	a.groups = append(a.groups, group{span(first, last), e})
}

// addAtoms puts atoms that no group has into that of the element's data.
func (a *answer) addAtoms(e *monban.Element, atoms *set) {
	if atoms.empty() {
		return
	}
	for i := range a.groups {
		if g := &a.groups[i]; g.element.Action == e.Action && bytes.Equal(g.element.Data, e.Data) {
			g.atoms.add(atoms)
			return
		}
	}
	a.groups = append(a.groups, group{*atoms, e})
}

// complete reports whether every packet has an element, whatever is drawn for it: a
// service is spread over its servers so.
func (l *lookup) complete() bool {
	const most = 1 << 12
	switch {
	case l.set.Else != nil:
		return true
	case len(l.key) != 1 || l.key[0].Below == 0 || l.key[0].Below > most || l.key[0].Mask != nil || l.key[0].Len != 4:
		return false
	}
	number := binary.BigEndian.Uint32
	if l.key[0].Little {
		number = binary.LittleEndian.Uint32
	}
	drawn := make([]bool, l.key[0].Below)
	missing := len(drawn)
	for i := range l.set.Elements {
		first, last, ok := l.part(&l.set.Elements[i], 0)
		if !ok {
			return false
		}
		for n := number(first); n <= number(last) && n < l.key[0].Below; n++ {
			if !drawn[n] {
				drawn[n] = true
				missing--
			}
		}
	}
	return missing == 0
}

// outcomes lists every different thing that a set may answer.
func (l *lookup) outcomes() []*monban.Element {
	const most = 64
	var out []*monban.Element
	add := func(e *monban.Element) {
		if !slices.ContainsFunc(out, func(o *monban.Element) bool { return o.Action == e.Action && bytes.Equal(o.Data, e.Data) }) {
			out = append(out, e)
		}
	}
	for i := range l.set.Elements {
		if add(&l.set.Elements[i]); len(out) > most {
			return nil
		}
	}
	if l.set.Else != nil {
		add(l.set.Else)
	}
	return out
}
