package yaml

import "strings"

// plainBegins reports whether a plain scalar begins here (section 7.3.3).
func (p *parser) plainBegins() bool {
	switch c := p.at(0); c {
	case '-':
		return !gap(p.at(1))
	case '?':
		return !gap(p.at(1)) && (p.flow == 0 || !flowIndicator(p.at(1)))
	case ':':
		return !gap(p.at(1)) && p.flow == 0
	default:
		return !gap(c) && strings.IndexByte(",[]{}#&*!|>'\"%@`", c) < 0
	}
}

// plain reads a plain scalar.
func (p *parser) plain(n *Node) {
	from, to := p.plainLine()
	n.Value, n.End = p.text[from:to], to
	if c := p.at(0); c != '\n' && c != '\r' {
		return
	}
	folded := false
	for {
		breaks, ok := p.plainBreaks()
		if !ok {
			break
		}
		if from, to = p.plainLine(); from == to {
			break
		}
		if !folded {
			p.buf, folded = append(p.buf[:0], n.Value...), true
		}
		p.buf = append(fold(p.buf, breaks), p.text[from:to]...)
		n.End = to
		if c := p.at(0); c != '\n' && c != '\r' {
			p.fresh = false
			break
		}
	}
	if folded {
		n.Value = string(p.buf)
	}
}

// plainLine reads the part of a plain scalar that is on this line, and the blanks
// behind it.
func (p *parser) plainLine() (from, to int) {
	from, to = p.pos, p.pos
	i := from
scan:
	for ; i < len(p.text); i++ {
		switch p.text[i] {
		case ' ', '\t':
			continue
		case '\n', '\r':
			break scan
		case '#':
			if to < i || i == from {
				break scan
			}
		case ':':
			if i+1 == len(p.text) || gap(p.text[i+1]) {
				break scan
			}
		case ',', '[', ']', '{', '}':
			if p.flow > 0 {
				break scan
			}
		}
		to = i + 1
	}
	p.pos = i
	return from, to
}

// plainBreaks passes line breaks and what indents the next line, and reports
// whether the scalar may go on there.
func (p *parser) plainBreaks() (breaks int, ok bool) {
	for p.lineBreak() {
		breaks++
		for blank(p.at(0)) {
			if p.at(0) == '\t' && p.column() <= p.indent {
				p.fresh = true
				if p.flow > 0 {
					p.fail(p.mark, Tab)
				}
				return breaks, false
			}
			p.pos++
		}
	}
	p.fresh = true
	return breaks, (p.flow > 0 || p.column() > p.indent) && p.pos < len(p.text) && !p.marker("---") && !p.marker("...")
}

// fold adds what line breaks in a flow scalar mean: one is a space, and of more
// the first is nothing (section 6.5).
func fold(text []byte, breaks int) []byte {
	if breaks == 1 {
		return append(text, ' ')
	}
	for range breaks - 1 {
		text = append(text, '\n')
	}
	return text
}
