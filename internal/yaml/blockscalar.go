package yaml

// blockScalar reads a literal or folded scalar (section 8.1).
func (p *parser) blockScalar(n *Node) {
	n.Style = Literal
	if p.at(0) == '>' {
		n.Style = Folded
	}
	p.pos++
	chomp, indent := p.blockHeader()
	n.End = p.pos
	p.lineBreak()
	p.buf = p.buf[:0]
	blanks := p.blankLines(&indent)
	ended := false  // the line before ends in a line break
	spaced := false // the line before begins with a blank: it is not folded
	for p.column() == indent && p.pos < len(p.text) {
		now := blank(p.at(0))
		if ended && (n.Style == Literal || spaced || now) {
			p.buf = append(p.buf, '\n')
		} else if ended && blanks == 0 {
			p.buf = append(p.buf, ' ')
		}
		p.newlines(blanks)
		spaced = now
		from := p.pos
		p.comment() // the line
		p.buf = append(p.buf, p.text[from:p.pos]...)
		n.End = p.pos
		ended = p.lineBreak()
		blanks = p.blankLines(&indent)
	}
	if ended && chomp != '-' {
		p.newlines(1)
	}
	if chomp == '+' {
		p.newlines(blanks)
	}
	n.Value = string(p.buf)
	p.fresh = true
}

func (p *parser) newlines(n int) {
	for range n {
		p.buf = append(p.buf, '\n')
	}
}

// blockHeader reads the indicators of chomping, "+" and "-", and of indentation
// (section 8.1.1). An indentation of 0 is to be found out.
func (p *parser) blockHeader() (chomp byte, indent int) {
	for range 2 {
		switch c := p.at(0); {
		case (c == '+' || c == '-') && chomp == 0:
			chomp = c
		case c >= '1' && c <= '9' && indent == 0:
			indent = max(p.indent, 0) + int(c-'0')
		default:
			continue
		}
		p.pos++
	}
	p.blanks()
	if p.at(0) == '#' {
		p.comment()
	}
	if c := p.at(0); c != '\n' && c != '\r' && c != 0 {
		p.fail(p.mark, BadHeader)
	}
	return chomp, indent
}

// blankLines passes empty lines, and the indentation of the line behind them. If
// the indentation is not known yet, the longest of these lines has it.
func (p *parser) blankLines(indent *int) (breaks int) {
	longest := 0
	for {
		for p.at(0) == ' ' && (*indent == 0 || p.column() < *indent) {
			p.pos++
		}
		longest = max(longest, p.column())
		if p.at(0) == '\t' && (*indent == 0 || p.column() < *indent) {
			p.fail(p.mark, Tab)
		}
		if !p.lineBreak() {
			break
		}
		breaks++
	}
	if *indent == 0 {
		*indent = max(longest, p.indent+1, 1)
	}
	return breaks
}
