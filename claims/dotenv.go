package claims

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// dotenvEntry is one NAME=VALUE of a .env file.
type dotenvEntry struct {
	key   word
	value variable
}

// readDotenv reads a .env file with the rules of Compose: comments, "export",
// "NAME: value", quotes with escapes over several lines, and variables. A name
// without a value takes outer's. What it had read before a line that it does
// not understand is returned with the error.
func readDotenv(f file, outer variables) ([]dotenvEntry, *Error) {
	d := dotenv{f: f, text: string(f.data), line: 1, known: map[string]variable{}, outer: outer}
	for d.next() {
	}
	return d.entries, d.failed
}

type dotenv struct {
	f       file
	text    string
	at      int
	line    int
	start   int // where the line begins
	entries []dotenvEntry
	known   map[string]variable
	outer   variables
	failed  *Error
}

// lookup finds a variable; the environment has precedence over the file.
func (d *dotenv) lookup(name string) (variable, bool) {
	if v, ok := d.outer(name); ok {
		return v, true
	}
	v, ok := d.known[name]
	return v, ok
}

func (d *dotenv) word(from, to int) word {
	return word{text: d.text[from:to], line: d.line, col: from - d.start + 1}
}

func (d *dotenv) fail(w word, problem Problem) bool {
	d.failed = &Error{Pos: w.pos(d.f), Problem: problem, Text: w.text}
	return false
}

// move goes on to a place and counts the lines.
func (d *dotenv) move(to int) {
	for d.at < to {
		if d.text[d.at] == '\n' {
			d.line++
			d.start = d.at + 1
		}
		d.at++
	}
}

// rest is the remainder of the line.
func (d *dotenv) rest() string {
	line, _, _ := strings.Cut(d.text[d.at:], "\n")
	return line
}

// next reads one entry; false is the end.
func (d *dotenv) next() bool {
	for d.at < len(d.text) {
		r, size := utf8.DecodeRuneInString(d.text[d.at:])
		switch {
		case unicode.IsSpace(r):
			d.move(d.at + size)
		case r == '#':
			d.move(d.at + len(d.rest()))
		default:
			return d.entry()
		}
	}
	return false
}

func (d *dotenv) entry() bool {
	if after, ok := strings.CutPrefix(d.rest(), "export"); ok {
		if trimmed := strings.TrimLeftFunc(after, unicode.IsSpace); trimmed != after {
			d.move(d.at + len(d.rest()) - len(trimmed))
		}
	}
	line := d.rest()
	end := strings.IndexAny(line, "=:")
	name := line
	if end >= 0 {
		name = line[:end]
	}
	for i, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsSpace(r) && !strings.ContainsRune("_.-[]", r) {
			_, size := utf8.DecodeRuneInString(name[i:])
			return d.fail(d.word(d.at+i, d.at+i+size), BadSyntax)
		}
	}
	name = strings.TrimRightFunc(name, unicode.IsSpace)
	key := d.word(d.at, d.at+len(name))
	if strings.Contains(name, " ") {
		return d.fail(key, BadSyntax)
	}
	if end < 0 {
		if v, ok := d.outer(name); ok {
			d.add(key, v)
		}
		d.move(d.at + len(line))
		return true
	}
	d.move(d.at + end + 1)
	line = d.rest()
	d.move(d.at + len(line) - len(strings.TrimLeft(line, "\t\v\f\r \u0085\u00a0")))
	return d.value(key)
}

func (d *dotenv) add(key word, v variable) {
	d.known[key.text] = v
	d.entries = append(d.entries, dotenvEntry{key: key, value: v})
}

// value reads what stands behind the sign.
func (d *dotenv) value(key word) bool {
	line := d.rest()
	if line != "" && (line[0] == '"' || line[0] == '\'') {
		return d.quoted(key, line[0])
	}
	text, _, _ := strings.Cut(line, " #")
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	w := d.word(d.at, d.at+len(text))
	d.move(d.at + len(line))
	return d.expanded(key, w)
}

// expanded adds a value after replacing the variables in it.
func (d *dotenv) expanded(key, w word) bool {
	if !strings.Contains(w.text, "$") || len(w.text) > maxTemplate {
		v := variable{text: w.text} // a key or a certificate, not a port
		if w.long == 0 {
			v.pos = w.pos(d.f)
		}
		d.add(key, v)
		return true
	}
	t, _, err := expand(d.f, w, d.lookup)
	if err != nil {
		d.failed = err
		return false
	}
	d.add(key, variable{text: t.text})
	return true
}

// quoted reads a value in quotes. Double ones know escapes and variables.
func (d *dotenv) quoted(key word, quote byte) bool {
	from := d.at + 1
	var b strings.Builder
	for i := from; i < len(d.text); i++ {
		c := d.text[i]
		switch {
		case c == '\\' && i+1 < len(d.text):
			i++
			if d.text[i] != quote {
				b.WriteByte('\\')
			}
			b.WriteByte(d.text[i])
		case c != quote:
			b.WriteByte(c)
		default:
			w := d.word(from, i)
			w.text, w.quoted = b.String(), true
			if quote == '"' {
				w.text = unescape(w.text)
			}
			if w.text != d.text[from:i] || strings.Contains(w.text, "\n") {
				w.long = max(1, min(i-from, len(d.rest())-1))
			}
			d.move(i + 1)
			if quote == '"' {
				return d.expanded(key, w)
			}
			v := variable{text: w.text}
			if w.long == 0 {
				v.pos = w.pos(d.f)
			}
			d.add(key, v)
			return true
		}
	}
	return d.fail(d.word(d.at, d.at+1), BadSyntax)
}

// unescape replaces \n and its like. An escaped dollar becomes "$$", which
// [expand] makes one of again.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '$':
			b.WriteString("$$")
		case '"', '\\':
			b.WriteByte(c)
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// environment is what a project's variables come from: the files of .env, and
// outside of them the environment of whoever starts it, which has precedence.
type environment struct {
	outer variables
	own   map[string]variable
}

func (e *environment) lookup(name string) (variable, bool) {
	if v, ok := e.outer(name); ok {
		return v, true
	}
	v, ok := e.own[name]
	return v, ok
}

// read adds the entries of a .env file. Those of a later file win over those of
// an earlier one, and never over the outer environment.
func (e *environment) read(s *scan, f file) {
	entries, err := readDotenv(f, e.lookup)
	if err != nil {
		s.gaps = append(s.gaps, err.gap())
	}
	for _, entry := range entries {
		e.own[entry.key.text] = entry.value
	}
}

// placeVariables are those of the environment that Place gives.
func placeVariables(p Place) variables {
	return func(name string) (variable, bool) {
		text, ok := p.getenv(name)
		return variable{text: text}, ok
	}
}
