package claims

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// readJSON parses JSON as editors write it: with comments, commas at the end of
// lists, and several bytes of nothing after it. failed is where it stopped.
func readJSON(data []byte) (root *value, failed *word) {
	p := jsonParser{text: string(data), line: 1}
	p.space()
	root = p.value(0)
	p.space()
	if p.failed == nil && p.at < len(p.text) {
		p.fail()
	}
	if p.failed != nil {
		return nil, p.failed
	}
	return root, nil
}

// json reads a JSON file, or records why it cannot.
func (s *scan) json(f file) *value {
	root, failed := readJSON(f.data)
	if failed != nil {
		s.gap(failed.pos(f), BadSyntax, failed.text)
	}
	return root
}

type jsonParser struct {
	text   string
	at     int
	line   int
	start  int
	failed *word
}

func (p *jsonParser) word(from, to int) word {
	return word{text: p.text[from:to], line: p.line, col: from - p.start + 1}
}

func (p *jsonParser) fail() {
	if p.failed == nil {
		w := p.word(p.at, min(p.at+1, len(p.text)))
		p.failed = &w
	}
	p.at = len(p.text)
}

// space skips blanks and comments.
func (p *jsonParser) space() {
	for p.at < len(p.text) {
		switch rest := p.text[p.at:]; {
		case rest[0] == '\n':
			p.at++
			p.line, p.start = p.line+1, p.at
		case strings.IndexByte(blanks, rest[0]) >= 0:
			p.at++
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			p.at += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				p.fail()
				return
			}
			for i := p.at; i < p.at+end; i++ {
				if p.text[i] == '\n' {
					p.line, p.start = p.line+1, i+1
				}
			}
			p.at += end + 2
		default:
			return
		}
	}
}

// next skips space and reports whether c follows; then it is skipped too.
func (p *jsonParser) next(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jsonParser) value(depth int) *value {
	p.space()
	if p.at >= len(p.text) || depth > maxNesting {
		p.fail()
		return nil
	}
	at := p.word(p.at, p.at)
	switch c := p.text[p.at]; c {
	case '{':
		p.at++
		return p.table(at, depth)
	case '[':
		p.at++
		return p.list(at, depth)
	case '"':
		return &value{kind: scalar, at: p.quoted()}
	}
	from := p.at
	for p.at < len(p.text) && strings.IndexByte(blanks+"\n,]}:/\"{[", p.text[p.at]) < 0 {
		p.at++
	}
	w := p.word(from, p.at)
	switch {
	case w.text == "null":
		return nil
	case w.text == "true" || w.text == "false" || w.text != "" && strings.IndexByte("-0123456789", w.text[0]) >= 0:
		return &value{kind: scalar, at: w}
	}
	p.fail()
	return nil
}

func (p *jsonParser) table(at word, depth int) *value {
	v := &value{kind: table, at: at}
	for !p.next('}') {
		p.space()
		if p.at >= len(p.text) || p.text[p.at] != '"' {
			p.fail()
			return v
		}
		key := p.quoted()
		if !p.next(':') {
			p.fail()
			return v
		}
		v.pairs = append(v.pairs, pair{key: key, value: p.value(depth + 1)})
		if !p.next(',') && !(p.at < len(p.text) && p.text[p.at] == '}') {
			p.fail()
			return v
		}
	}
	return v
}

func (p *jsonParser) list(at word, depth int) *value {
	v := &value{kind: list, at: at}
	for !p.next(']') {
		v.items = append(v.items, p.value(depth+1))
		if !p.next(',') && !(p.at < len(p.text) && p.text[p.at] == ']') {
			p.fail()
			return v
		}
	}
	return v
}

// quoted reads a string.
func (p *jsonParser) quoted() word {
	from := p.at + 1
	var b strings.Builder
	for i := from; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '\n':
			p.fail()
			return word{}
		case '"':
			w := p.word(from, i)
			w.quoted = true
			if b.Len() > 0 {
				w.long = max(1, len(w.text))
				w.text = b.String()
			}
			p.at = i + 1
			return w
		case '\\':
			if b.Len() == 0 {
				b.WriteString(p.text[from:i])
			}
			i += p.escape(&b, i+1)
		default:
			if b.Len() > 0 || i > from && p.text[i-1] == '\\' {
				b.WriteByte(c)
			}
		}
	}
	p.fail()
	return word{}
}

// escape writes the character that the escape at i stands for, and returns the
// length of the escape.
func (p *jsonParser) escape(b *strings.Builder, i int) int {
	if i >= len(p.text) {
		return 0
	}
	switch c := p.text[i]; c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b', 'f':
		b.WriteByte(' ')
	case 'u':
		if i+5 <= len(p.text) {
			if r, err := strconv.ParseUint(p.text[i+1:i+5], 16, 16); err == nil {
				b.WriteRune(rune(r))
				return 5
			}
		}
		b.WriteRune(utf8.RuneError)
	default:
		b.WriteByte(c)
	}
	return 1
}
