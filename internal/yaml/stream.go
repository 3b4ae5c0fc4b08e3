package yaml

// stream reads all documents (section 9.2).
func (p *parser) stream() (docs []*Node) {
	for {
		p.space()
		for len(docs) > 0 && p.marker("...") {
			p.pos += len("...")
			p.fresh = false
			p.space()
		}
		if p.pos >= len(p.text) {
			return docs
		}
		directives := p.directives()
		behind := p.mark
		switch {
		case p.marker("---"):
			p.pos += len("---")
			p.fresh = false // nothing but a scalar or a flow collection can be on this line
			p.space()
			if behind = p.mark; p.outside() {
				docs = append(docs, p.empty(behind, properties{}))
				p.forget()
				continue
			}
		case directives || len(docs) > 0:
			p.fail(p.mark, NoDocument)
		case p.outside():
			p.fail(p.mark, NoNode) // "..." without a document before it
		}
		docs = append(docs, p.blockNode(false, behind))
		p.space()
		if !p.outside() {
			p.stray(NoDocument)
		}
		p.forget()
	}
}

// forget drops what counts for one document only: anchors (section 3.2.2.2) and
// handles (section 6.8.2).
func (p *parser) forget() {
	clear(p.anchors)
	p.handles = p.handles[:0]
}

// handle is a shorthand for the beginning of tags.
type handle struct{ name, prefix string }

// directives reads lines that begin with "%" (section 6.8).
func (p *parser) directives() (any bool) {
	versions := 0
	for p.pos == p.bol && p.at(0) == '%' {
		any = true
		start := p.mark
		p.pos++
		name := p.word()
		if name == "" || !gap(p.at(0)) {
			p.fail(start, BadDirective)
		}
		p.blanks()
		switch name {
		case "YAML":
			if versions++; versions > 1 {
				p.fail(start, Twice)
			}
			p.version(start)
		case "TAG":
			h := handle{name: p.handle()}
			if !blank(p.at(0)) || len(h.name) > 1 && h.name[len(h.name)-1] != '!' {
				p.fail(p.mark, BadDirective)
			}
			p.blanks()
			if h.prefix = p.uri(); h.prefix == "" || !gap(p.at(0)) {
				p.fail(p.mark, BadTag)
			}
			for _, other := range p.handles {
				if other.name == h.name {
					p.fail(start, Twice)
				}
			}
			if len(p.handles) == maxHandles {
				p.fail(start, TooLarge)
			}
			p.handles = append(p.handles, h)
		default:
			p.fail(start, BadDirective, name)
		}
		p.blanks()
		if p.at(0) == '#' {
			p.comment()
		}
		if !p.lineBreak() && p.at(0) != 0 {
			p.fail(p.mark, BadDirective)
		}
		p.space()
	}
	return any
}

// version reads the version of a %YAML directive (section 6.8.1): any 1.x, since
// 1.2 is to read later ones as itself, and 1.1 differs in nothing that matters here.
func (p *parser) version(start mark) {
	from := p.pos
	major := p.number()
	if p.at(0) != '.' {
		p.fail(p.mark, BadDirective)
	}
	p.pos++
	if minor := p.number(); major != 1 || minor < 0 {
		p.fail(start, BadVersion, p.text[from:p.pos])
	}
}

// number reads one or two digits; -1 is none, or more.
func (p *parser) number() int {
	n, from := 0, p.pos
	for c := p.at(0); c >= '0' && c <= '9' && p.pos-from < 3; c = p.at(0) {
		n = 10*n + int(c-'0')
		p.pos++
	}
	if digits := p.pos - from; digits == 0 || digits > 2 {
		return -1
	}
	return n
}
