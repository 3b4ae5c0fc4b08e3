package claims

import "strings"

// statement is one directive of a format with semicolons and braces: its words,
// and what stands in its braces.
type statement struct {
	words []word
	body  []statement
	block bool // it had braces
}

// name is the first word in lower case, "" when there is none.
func (st statement) name() string {
	if len(st.words) == 0 {
		return ""
	}
	return lower(st.words[0].text)
}

// args are the words after the first.
func (st statement) args() []word {
	if len(st.words) == 0 {
		return nil
	}
	return st.words[1:]
}

// arg returns the i-th argument, from 0; a word without text when absent.
func (st statement) arg(i int) word {
	if args := st.args(); i < len(args) {
		return args[i]
	}
	return word{}
}

// find returns the statements of a name inside a block.
func (st statement) find(name string) []statement {
	var out []statement
	for _, inner := range st.body {
		if inner.name() == name {
			out = append(out, inner)
		}
	}
	return out
}

// blockStyle says how a format with braces is written.
type blockStyle struct {
	slashes bool // comments are // and /* */ too
	// newlines end a statement, and semicolons do not: Dovecot, Caddy.
	newlines bool
	// raw names statements whose braces hold another language.
	raw func(name string) bool
}

// blocks takes a file apart. failed is where it stopped, when braces or quotes
// do not match.
func blocks(data []byte, style blockStyle) (statements []statement, failed *word) {
	p := blockParser{text: string(data), style: style, line: 1}
	statements = p.statements(0)
	return statements, p.failed
}

type blockParser struct {
	text   string
	style  blockStyle
	at     int
	line   int
	start  int // where the line begins
	failed *word
}

func (p *blockParser) fail() {
	if p.failed == nil {
		w := p.word(p.at, min(p.at+1, len(p.text)))
		p.failed = &w
	}
	p.at = len(p.text)
}

func (p *blockParser) word(from, to int) word {
	return word{text: p.text[from:to], line: p.line, col: from - p.start + 1}
}

// newline is called with p.at on a newline.
func (p *blockParser) newline() {
	p.at++
	p.line++
	p.start = p.at
}

// statements reads until the closing brace of the block, or the end of the file.
func (p *blockParser) statements(depth int) []statement {
	var out []statement
	var cur statement
	done := func() {
		if len(cur.words) > 0 || cur.block {
			out = append(out, cur)
		}
		cur = statement{}
	}
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '\n':
			p.newline()
			if p.style.newlines {
				done()
			}
		case strings.IndexByte(blanks, c) >= 0:
			p.at++
		case c == ';' && !p.style.newlines:
			p.at++
			done()
		case c == '\\' && p.style.newlines && strings.HasPrefix(p.text[p.at:], "\\\n"):
			p.at++
			p.newline()
		case p.comment():
		case c == '{' && p.opens():
			p.at++
			cur.block = true
			switch {
			case depth >= maxNesting:
				p.fail()
			case p.style.raw != nil && p.style.raw(cur.name()):
				p.skipRaw()
			default:
				cur.body = p.statements(depth + 1)
			}
			done()
		case c == '}':
			if depth == 0 {
				p.fail()
				break
			}
			p.at++
			done()
			return out
		case c == '"' || c == '\'' || c == '`' && p.style.newlines:
			cur.words = append(cur.words, p.quoted(c))
		default:
			cur.words = append(cur.words, p.plain())
		}
	}
	if depth > 0 {
		p.fail()
	}
	done()
	return out
}

// opens reports whether the brace at p.at opens a block. In Caddy's language a
// brace inside a word is a placeholder.
func (p *blockParser) opens() bool {
	return !p.style.newlines || p.at+1 >= len(p.text) || strings.IndexByte(blanks+"\n#", p.text[p.at+1]) >= 0
}

// comment skips a comment and reports whether there was one.
func (p *blockParser) comment() bool {
	rest := p.text[p.at:]
	switch {
	case rest[0] == '#', p.style.slashes && strings.HasPrefix(rest, "//"):
		if end := strings.IndexByte(rest, '\n'); end >= 0 {
			p.at += end
		} else {
			p.at = len(p.text)
		}
		return true
	case p.style.slashes && strings.HasPrefix(rest, "/*"):
		end := strings.Index(rest[2:], "*/")
		if end < 0 {
			p.fail()
			return true
		}
		p.skipTo(p.at + 2 + end + 2)
		return true
	}
	return false
}

// skipTo moves on and counts the lines.
func (p *blockParser) skipTo(to int) {
	for p.at < to {
		if p.text[p.at] == '\n' {
			p.newline()
		} else {
			p.at++
		}
	}
}

// skipRaw skips to the brace that closes the one just passed.
func (p *blockParser) skipRaw() {
	open := 1
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case '{':
			open++
		case '}':
			open--
		case '"', '\'':
			p.skipString()
		}
		if p.at < len(p.text) && p.text[p.at] == '\n' {
			p.newline()
		} else {
			p.at++
		}
		if open == 0 {
			return
		}
	}
	p.fail()
}

// skipString moves to the quote that closes the one at p.at, on the same line.
func (p *blockParser) skipString() {
	for i := p.at + 1; i < len(p.text) && p.text[i] != '\n'; i++ {
		switch p.text[i] {
		case '\\':
			i++
		case p.text[p.at]:
			p.at = i
			return
		}
	}
}

// quoted reads a word in quotes.
func (p *blockParser) quoted(quote byte) word {
	line, col := p.line, p.at-p.start+2
	var b strings.Builder
	i := p.at + 1
	for i < len(p.text) && p.text[i] != quote {
		if p.text[i] == '\\' && quote != '`' && i+1 < len(p.text) {
			i++
		}
		b.WriteByte(p.text[i])
		i++
	}
	if i >= len(p.text) {
		p.fail()
		return word{text: b.String(), line: line, col: col, quoted: true}
	}
	w := word{text: b.String(), line: line, col: col, quoted: true}
	if n := i - p.at - 1; n != len(w.text) {
		w.long = n
	}
	p.skipTo(i + 1)
	return w
}

// plain reads a word without quotes.
func (p *blockParser) plain() word {
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '\n' || strings.IndexByte(blanks, c) >= 0 {
			break
		}
		if !p.style.newlines {
			if c == '$' && strings.HasPrefix(p.text[p.at:], "${") {
				if end := strings.IndexByte(p.text[p.at:], '}'); end > 0 && strings.IndexByte(p.text[p.at:p.at+end], '\n') < 0 {
					p.at += end + 1
					continue
				}
			}
			if c == ';' || c == '{' || c == '}' {
				break
			}
			if c == '\\' && p.at+1 < len(p.text) && p.text[p.at+1] != '\n' {
				p.at++
			}
			if p.style.slashes && (strings.HasPrefix(p.text[p.at:], "/*") || strings.HasPrefix(p.text[p.at:], "//")) && p.at > from {
				break
			}
		}
		p.at++
	}
	if p.at == from { // a brace that is neither
		p.at++
	}
	return p.word(from, p.at)
}

// statements takes a file apart, or records where it cannot.
func (s *scan) statements(f file, style blockStyle) []statement {
	out, failed := blocks(f.data, style)
	if failed != nil {
		s.gap(failed.pos(f), BadSyntax, failed.text)
	}
	return out
}
