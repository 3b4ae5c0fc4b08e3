package yaml

import "strings"

// flowNode reads a node in flow context (section 7.5). A node may be empty only
// behind properties.
func (p *parser) flowNode() *Node {
	var props properties
	for own := p.flowProperties(); !own.none(); own = p.flowProperties() {
		props = p.join(props, own)
	}
	if !props.none() {
		switch p.at(0) {
		case ',', ']', '}', ':', 0:
			return p.empty(p.mark, props)
		}
	}
	p.inside()
	return p.inline(props)
}

func (p *parser) flowProperties() properties {
	p.inside()
	return p.properties()
}

// inside fails where a document ends although brackets are open.
func (p *parser) inside() {
	if p.outside() {
		if p.pos >= len(p.text) {
			p.fail(p.bracket, OpenBracket)
		}
		p.fail(p.mark, MarkerInside)
	}
}

// flowSequence reads "[a, b, c: d]" (section 7.4.1).
func (p *parser) flowSequence(n *Node) {
	n.Style = Flow
	base, around := p.openFlow()
	for p.more(len(p.stack) == base, ']', NoFlowSequence) {
		at := p.mark
		if p.explicit() {
			pair := p.node(Mapping, properties{})
			p.pair(pair, at, nil)
			continue
		}
		item := p.flowNode()
		if p.colon(at) {
			pair := p.node(Mapping, properties{})
			p.pair(pair, at, item)
		} else {
			p.push(item)
		}
	}
	p.closeFlow(n, base, around)
}

// pair reads an entry of a sequence that is a mapping without braces.
func (p *parser) pair(n *Node, at mark, key *Node) {
	p.place(n, at)
	n.Style = Flow
	base := p.open()
	p.entry(key)
	p.push(p.close(n, base))
}

// flowMapping reads "{a: b, c}" (section 7.4.2).
func (p *parser) flowMapping(n *Node) {
	n.Style = Flow
	base, around := p.openFlow()
	for p.more(len(p.stack) == base, '}', NoFlowMapping) {
		if p.explicit() {
			p.entry(nil)
			continue
		}
		at := p.mark
		key := p.flowNode()
		if p.colon(at) {
			p.entry(key)
		} else {
			p.push(key)
			p.push(p.empty(p.mark, properties{}))
		}
	}
	p.closeFlow(n, base, around)
}

// openFlow passes the opening bracket and returns what closeFlow wants.
func (p *parser) openFlow() (base int, around mark) {
	around, p.bracket = p.bracket, p.mark
	p.flow++
	p.pos++
	return p.open(), around
}

func (p *parser) closeFlow(n *Node, base int, around mark) {
	p.bracket = around
	p.pos++
	n.End = p.pos
	p.flow--
	p.fresh = false
	p.close(n, base)
}

// more passes the comma before a further entry, and says whether there is one.
func (p *parser) more(first bool, end byte, problem Problem) bool {
	p.space()
	if !first && p.at(0) == ',' {
		p.pos++
		p.space()
	} else if !first && p.at(0) != end {
		p.inside()
		p.fail(p.behind(), problem)
	}
	return p.at(0) != end
}

// behind is the end of the last text before this place: where a comma is missing
// is often lines above of where that shows.
func (p *parser) behind() mark {
	m := p.mark
	for m.pos > 0 && gap(p.text[m.pos-1]) {
		if m.pos--; p.text[m.pos] == '\n' || p.text[m.pos] == '\r' && p.text[m.pos+1] != '\n' {
			m.line--
		}
	}
	m.bol = 1 + strings.LastIndexAny(p.text[:m.pos], "\r\n")
	return m
}

// explicit passes the "?" before a key.
func (p *parser) explicit() bool {
	if p.at(0) != '?' || !gap(p.at(1)) && !flowIndicator(p.at(1)) {
		return false
	}
	p.pos++
	return true
}

// entry reads a key and its value. A nil key is one behind a "?", which may be
// empty; else the colon is here.
func (p *parser) entry(key *Node) {
	if key == nil {
		p.space()
		if key = p.flowOrEmpty(true); p.at(0) != ':' {
			p.push(key)
			p.push(p.empty(p.mark, properties{}))
			return
		}
	}
	p.push(key)
	p.pos++
	p.space()
	p.push(p.flowOrEmpty(false))
}

// flowOrEmpty reads a node that may be absent, and the space behind it.
func (p *parser) flowOrEmpty(key bool) *Node {
	switch c := p.at(0); {
	case c == ',' || c == ']' || c == '}', c == ':' && key:
		return p.empty(p.mark, properties{})
	}
	n := p.flowNode()
	p.space()
	return n
}

// flowIndicator reports whether c ends a plain scalar in a flow collection.
func flowIndicator(c byte) bool { return c == ',' || c == '[' || c == ']' || c == '{' || c == '}' }
