package claims

import (
	"strings"

	"github.com/monban-dev/monban"
)

// template is text with the variables of Compose in it, replaced: every piece
// knows where it was written.
type template struct {
	text  string
	parts []templatePart
	whole monban.Pos // the place of the text with its variables
}

// templatePart says where text[at:at+pos.Len] stands word for word. Pieces that
// stand nowhere in that form have no part.
type templatePart struct {
	at  int
	pos monban.Pos
}

// maxTemplate bounds what is looked at for variables; a port is short.
const maxTemplate = 4096

// variable is the value of a variable.
type variable struct {
	text string
	pos  monban.Pos // where it stands word for word; zero is nowhere in a file
}

// variables finds the value of a variable.
type variables func(name string) (variable, bool)

// place returns the place of text[from:to], and the other place that has to be
// changed to change it: the number in the .env file behind a "${PORT}".
func (t template) place(from, to int) (monban.Pos, []monban.Pos) {
	for _, p := range t.parts {
		if from < p.at || to > p.at+p.pos.Len {
			continue
		}
		pos := p.pos
		pos.Col, pos.Len = pos.Col+from-p.at, to-from
		if pos.File == t.whole.File && pos.Line == t.whole.Line {
			return pos, nil
		}
		return t.at(), []monban.Pos{pos}
	}
	return t.at(), nil
}

// at is the place of the whole text. To replace it would lose the variables.
func (t template) at() monban.Pos {
	pos := t.whole
	pos.Len = 0
	return pos
}

// expand replaces the variables of a word as Compose does: $NAME, ${NAME},
// ${NAME:-default}, ${NAME-default}, ${NAME:+other}, ${NAME+other},
// ${NAME:?message}, ${NAME?message}, nested, and $$ for a dollar. A variable
// without a value is empty text, and its name is in unset.
func expand(f file, w word, vars variables) (t template, unset []string, failed *Error) {
	e := expansion{vars: vars, out: template{whole: w.pos(f)}}
	if len(w.text) > maxTemplate {
		return template{}, nil, &Error{Pos: e.out.at(), Problem: TooMuch}
	}
	if w.long == 0 {
		e.origin = e.out.whole
	}
	e.run(w.text, 0)
	if e.failed != nil {
		e.failed.Pos = e.out.at()
		return template{}, nil, e.failed
	}
	e.out.text = e.text.String()
	return e.out, e.unset, nil
}

type expansion struct {
	vars   variables
	origin monban.Pos // of the text's first byte; Len 0 when it stands nowhere
	text   strings.Builder
	out    template
	unset  []string
	failed *Error
}

// literal copies a piece of the text that begins at its byte off.
func (e *expansion) literal(s string, off int) {
	if s != "" && e.origin.Len > 0 {
		pos := e.origin
		pos.Col, pos.Len = pos.Col+off, len(s)
		e.out.parts = append(e.out.parts, templatePart{at: e.text.Len(), pos: pos})
	}
	e.text.WriteString(s)
}

// value writes the value of a variable.
func (e *expansion) value(v variable) {
	if e.text.Len()+len(v.text) > maxTemplate {
		e.fail(TooMuch, "")
		return
	}
	if v.pos.Len == len(v.text) && v.text != "" {
		e.out.parts = append(e.out.parts, templatePart{at: e.text.Len(), pos: v.pos})
	}
	e.text.WriteString(v.text)
}

func (e *expansion) fail(problem Problem, text string) {
	if e.failed == nil {
		e.failed = &Error{Problem: problem, Text: text}
	}
}

// run expands s, which begins at byte off of the text.
func (e *expansion) run(s string, off int) {
	for e.failed == nil {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			e.literal(s, off)
			return
		}
		e.literal(s[:i], off)
		s, off = s[i:], off+i
		n := 1
		switch {
		case strings.HasPrefix(s, "$$"):
			e.literal("$", off)
			n = 2
		case strings.HasPrefix(s, "${"):
			n = e.braced(s, off)
		case nameLen(s[1:]) > 0:
			n += nameLen(s[1:])
			e.plain(s[1:n])
		default:
			e.literal("$", off)
		}
		s, off = s[n:], off+n
	}
}

// plain writes the value of a variable that has no default.
func (e *expansion) plain(name string) {
	v, ok := e.vars(name)
	if !ok {
		e.unset = append(e.unset, name)
	}
	e.value(v)
}

// braced expands the "${…" that s begins with and returns its length.
func (e *expansion) braced(s string, off int) int {
	name := s[2 : 2+nameLen(s[2:])]
	rest := s[2+len(name):]
	op := operator(rest)
	end := closingBrace(s)
	switch {
	case name == "":
	case op == "" && strings.HasPrefix(rest, "}"):
		e.plain(name)
		return 2 + len(name) + 1
	case op != "" && end > 0:
		from := 2 + len(name) + len(op)
		e.choose(name, op, s[from:end], off+from)
		return end + 1
	}
	e.fail(BadSyntax, s)
	return len(s)
}

// choose writes the value of ${name op other}.
func (e *expansion) choose(name, op, other string, off int) {
	v, ok := e.vars(name)
	if op[0] == ':' && v.text == "" {
		ok = false
	}
	switch op[len(op)-1] {
	case '-':
		if !ok {
			e.run(other, off)
			return
		}
	case '+':
		if ok {
			e.run(other, off)
			return
		}
	case '?':
		if !ok {
			e.fail(Undefined, name)
			return
		}
	}
	e.value(v)
}

func operator(s string) string {
	n := 0
	if strings.HasPrefix(s, ":") {
		n++
	}
	if n < len(s) && strings.IndexByte("-+?", s[n]) >= 0 {
		return s[:n+1]
	}
	return ""
}

// closingBrace returns where the brace of "${…" closes, on the same line, or
// -1. Compose skips the byte after each opening brace while it counts, and
// takes the last brace when they do not match.
func closingBrace(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	last := strings.LastIndexByte(s, '}')
	open := 0
	for i := 0; i <= last; i++ {
		switch s[i] {
		case '}':
			if open--; open == 0 {
				return i
			}
		case '{':
			open++
			i++
		}
	}
	return last
}

// nameLen is the length of the variable's name at the beginning of s.
func nameLen(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}
