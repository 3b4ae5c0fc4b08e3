package yaml

// blockNode reads a node in block context (section 8.2.3), and the space before
// it. Where there is none, because the collection that wants it goes on or ends,
// it is an empty one behind the indicator.
//
// dash says that a sequence may begin at the indentation of the mapping it is a
// value in (section 8.2.3, example 8.22).
func (p *parser) blockNode(dash bool, behind mark) *Node {
	// The properties that stand on lines of their own are the whole node's.
	// Those before the first key of a mapping, on its line, are the key's.
	var whole properties
	for {
		p.space()
		if p.outside() || p.column() < p.indent || p.column() == p.indent && p.fresh && !p.atIndent(dash) {
			return p.empty(behind, whole)
		}
		start, fresh := p.mark, p.fresh
		own := p.properties()
		if p.line == start.line && !p.outside() {
			return p.content(whole, own, start, fresh, dash)
		}
		if fresh && start.column() == p.indent {
			p.fail(start, NoColon)
		}
		whole = p.join(whole, own)
	}
}

// atIndent reports whether a value begins here although the mapping that it is in
// is not indented less. A block scalar should not, but everybody reads it.
func (p *parser) atIndent(dash bool) bool {
	return p.at(0) == '|' || p.at(0) == '>' || dash && p.indicator('-')
}

// content reads a node behind its properties. start is where those on this line
// begin, and fresh whether a mapping may.
func (p *parser) content(whole, own properties, start mark, fresh, dash bool) *Node {
	switch c := p.at(0); {
	case p.indicator('-'):
		if !p.fresh {
			p.fail(p.mark, EntryHere)
		}
		return p.sequence(p.node(Sequence, p.join(whole, own)), p.column() > p.indent)
	case p.indicator('?'):
		if !p.fresh {
			p.fail(p.mark, KeyHere)
		}
		return p.mapping(p.node(Mapping, p.join(whole, own)), p.mark, nil)
	case p.indicator(':') && own.none():
		if !p.fresh {
			p.fail(p.mark, ValueHere)
		}
		p.fail(p.mark, NoKey)
	case c == '|' || c == '>':
		if fresh && start.column() == p.indent && !own.none() {
			p.fail(start, NoColon)
		}
		n := p.node(Scalar, p.join(whole, own))
		p.blockScalar(n)
		return n
	}
	if whole.none() {
		n := p.inline(own)
		if fresh && p.colon(start) {
			m := p.node(Mapping, properties{})
			p.place(m, start)
			return p.mapping(m, start, n)
		}
		return n
	}
	// The node of these properties is needed before it is known what it is: an
	// alias within it may refer to it.
	outer := p.node(Scalar, whole)
	n := p.inline(own)
	if fresh && p.colon(start) {
		outer.Kind = Mapping
		p.place(outer, start)
		return p.mapping(outer, start, n)
	}
	p.join(whole, own)
	if n.Kind == Alias {
		p.fail(start, AliasProperties)
	}
	if whole.anchor == "" {
		n.give(whole)
		return n
	}
	*outer = *n
	outer.give(whole)
	return outer
}

// inline reads what may be an implicit key, behind its properties.
func (p *parser) inline(own properties) *Node {
	if p.flow == 0 {
		p.fresh = false
	}
	kind := Scalar
	switch p.at(0) {
	case '[':
		kind = Sequence
	case '{':
		kind = Mapping
	case '*':
		kind = Alias
	}
	n := p.node(kind, own)
	switch c := p.at(0); {
	case c == '[':
		p.flowSequence(n)
	case c == '{':
		p.flowMapping(n)
	case c == '*':
		p.alias(n, own)
	case c == '\'' || c == '"':
		p.quoted(n, c)
	case p.plainBegins():
		p.plain(n)
	case own.none() || !p.indicator(':'): // behind properties, a key may be empty
		p.unexpected()
	}
	return n
}

// unexpected fails at what begins no node.
func (p *parser) unexpected() {
	switch p.at(0) {
	case 0, ',', ']', '}':
		p.fail(p.mark, NoNode)
	}
	p.fail(p.mark, BadStart)
}

// alias reads an alias (section 7.1).
func (p *parser) alias(n *Node, own properties) {
	start := p.mark
	p.pos++
	n.Value = p.name(start)
	n.End = p.pos
	if !own.none() {
		p.fail(start, AliasProperties)
	}
	var ok bool
	if n.Alias, ok = p.anchors[n.Value]; !ok {
		p.fail(start, UnknownAnchor, n.Value)
	}
}

// colon reports whether the node that began at start is an implicit key: a colon
// follows on its line, at most 1024 characters on (section 7.4.2).
func (p *parser) colon(start mark) bool {
	p.space()
	return p.line == start.line && p.at(0) == ':' && (p.flow > 0 || gap(p.at(1))) && short(p.text[start.pos:p.pos])
}

// short reports whether a text has at most maxKey characters, of up to 4 bytes.
func short(s string) bool {
	if len(s) <= maxKey {
		return true
	}
	return len(s) <= 4*maxKey && len([]rune(s)) <= maxKey
}

// sequence reads a block sequence (section 8.2.1) from its first dash on. One
// that is not indented has the indentation of the mapping around it.
func (p *parser) sequence(n *Node, indented bool) *Node {
	n.Style = Block
	base := p.open()
	around := p.indent
	if indented {
		p.indent = p.column()
	}
	for p.column() == p.indent && p.fresh && p.indicator('-') && !p.outside() {
		p.pos++
		p.fresh = true
		p.push(p.blockNode(false, p.mark))
		p.space()
	}
	if indented && !p.outside() && p.column() >= p.indent {
		p.stray(NoDash)
	}
	p.indent = around
	return p.close(n, base)
}

// stray fails at something that is no further entry of a block collection, or
// behind the last one. What stands on the line of a value is another mistake.
func (p *parser) stray(problem Problem) {
	switch {
	case p.indicator(':') && (!p.fresh || problem == NoDocument):
		problem = ValueHere
	case !p.fresh:
		problem = Behind
	}
	p.fail(p.mark, problem)
}

// mapping reads a block mapping (section 8.2.2) that begins at start. Its first
// key has been read, or is nil if a "?" is before it.
func (p *parser) mapping(n *Node, start mark, key *Node) *Node {
	n.Style = Block
	base := p.open()
	around := p.indent
	p.indent = start.column()
	if key != nil {
		p.push(key)
		p.value(false)
	}
	for {
		p.space()
		if p.outside() || p.column() < p.indent {
			break
		}
		if p.column() > p.indent || !p.fresh {
			p.stray(NoKey)
		}
		if p.indicator('?') {
			p.pos++
			p.fresh = true
			p.push(p.blockNode(true, p.mark))
			p.space()
			if p.column() == p.indent && p.fresh && p.indicator(':') && !p.outside() {
				p.value(true)
			} else {
				p.push(p.empty(p.mark, properties{}))
			}
			continue
		}
		p.push(p.key())
		p.value(false)
	}
	p.indent = around
	return p.close(n, base)
}

// key reads an implicit key and stops at its colon.
func (p *parser) key() *Node {
	start := p.mark
	if p.indicator('-') || p.indicator(':') || p.at(0) == '|' || p.at(0) == '>' {
		p.fail(start, NoKey)
	}
	own := p.properties()
	if p.line != start.line || p.pos >= len(p.text) {
		p.fail(start, NoColon)
	}
	n := p.inline(own)
	if !p.colon(start) {
		p.fail(start, NoColon)
	}
	return n
}

// value reads a colon and the value behind it. Behind the one of an implicit key
// no block collection begins on the same line.
func (p *parser) value(explicit bool) {
	p.pos++
	p.fresh = explicit
	p.push(p.blockNode(true, p.mark))
}
