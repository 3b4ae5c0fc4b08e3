package yaml

import "unicode/utf8"

// quoted reads a scalar in single or double quotes (sections 7.3.1 and 7.3.2).
func (p *parser) quoted(n *Node, quote byte) {
	n.Style = SingleQuoted
	if quote == '"' {
		n.Style = DoubleQuoted
	}
	start := p.mark
	p.pos++
	from := p.pos
	for {
		switch c := p.at(0); {
		case c == quote && (quote == '"' || p.at(1) != '\''):
			n.Value = p.text[from:p.pos]
			p.pos++
			n.End = p.pos
			return
		case c == quote || c == '\\' && quote == '"' || c == '\n' || c == '\r' || c == 0:
			p.buf = append(p.buf[:0], p.text[from:p.pos]...)
			p.quotedRest(start, quote)
			n.Value, n.End = string(p.buf), p.pos
			return
		}
		p.pos++
	}
}

// quotedRest reads on to the closing quote what is not in the text as it is.
func (p *parser) quotedRest(start mark, quote byte) {
	kept := 0 // what escapes gave is no white space to be folded away
	for {
		switch c := p.at(0); {
		case c == 0:
			p.fail(start, OpenQuote)
		case c == quote && quote == '\'' && p.at(1) == '\'':
			p.buf = append(p.buf, '\'')
			p.pos += 2
		case c == quote:
			p.pos++
			return
		case c == '\\' && quote == '"' && (p.at(1) == '\n' || p.at(1) == '\r'):
			p.pos++
			for range p.quotedBreaks(start) - 1 {
				p.buf = append(p.buf, '\n')
			}
			kept = len(p.buf)
		case c == '\\' && quote == '"':
			p.escape()
			kept = len(p.buf)
		case c == '\n' || c == '\r':
			for len(p.buf) > kept && blank(p.buf[len(p.buf)-1]) {
				p.buf = p.buf[:len(p.buf)-1]
			}
			p.buf = fold(p.buf, p.quotedBreaks(start))
			kept = len(p.buf)
		default:
			p.buf = append(p.buf, c)
			p.pos++
		}
	}
}

// quotedBreaks passes line breaks and the blanks around them.
func (p *parser) quotedBreaks(start mark) (breaks int) {
	for p.lineBreak() {
		breaks++
		if p.marker("---") || p.marker("...") {
			p.fail(start, MarkerInside)
		}
		p.blanks()
	}
	return breaks
}

// escape reads an escape (section 5.7).
func (p *parser) escape() {
	digits := 0
	var r rune
	switch c := p.at(1); c {
	case '0':
		r = 0
	case 'a':
		r = '\a'
	case 'b':
		r = '\b'
	case 't', '\t':
		r = '\t'
	case 'n':
		r = '\n'
	case 'v':
		r = '\v'
	case 'f':
		r = '\f'
	case 'r':
		r = '\r'
	case 'e':
		r = 0x1b
	case ' ', '"', '/', '\\', '\'': // the last one is libyaml's
		r = rune(c)
	case 'N':
		r = 0x85
	case '_':
		r = 0xa0
	case 'L':
		r = 0x2028
	case 'P':
		r = 0x2029
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		p.fail(p.mark, BadEscape)
	}
	at := p.mark
	p.pos += 2
	if digits > 0 {
		var ok bool
		if r, ok = hex(p.text[p.pos:min(p.pos+digits, len(p.text))]); !ok || p.pos+digits > len(p.text) || !utf8.ValidRune(r) {
			p.fail(at, BadEscape)
		}
		p.pos += digits
	}
	p.buf = utf8.AppendRune(p.buf, r)
}
