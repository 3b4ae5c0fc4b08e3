package claims

import (
	"iter"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// word is a piece of a file's text and where it stands. Line and col are those
// of its first byte, from 1.
type word struct {
	text      string
	line, col int
	// quoted reports that it stood in quotes: then it is never a keyword or
	// an option.
	quoted bool
	// long is how many bytes of the file it takes where escapes make that
	// differ from its text; 0 is len(text), and -1 is not known: a piece of a
	// word with escapes.
	long int
	// joined is the line of several that it stands in, at off; nil for most.
	joined *line
	off    int
}

// pos returns the place of the word.
func (w word) pos(f file) monban.Pos {
	n := w.long
	if n == 0 && !w.broken() {
		n = len(w.text)
	}
	return monban.Pos{File: f.show, Line: w.line, Col: w.col, Len: max(n, 0)}
}

// broken reports whether the end of a line goes through the word.
func (w word) broken() bool {
	return w.joined != nil && slices.ContainsFunc(w.joined.parts, func(p part) bool {
		return p.at > w.off && p.at < w.off+len(w.text)
	})
}

// sub is the word w.text[from:to], at its own place.
func (w word) sub(from, to int) word {
	if w.joined != nil && w.long == 0 {
		return w.joined.word(w.off+from, w.off+to)
	}
	if w.long != 0 {
		if to-from < len(w.text) {
			w.text, w.long = w.text[from:to], -1
		}
		return w
	}
	w.text, w.col = w.text[from:to], w.col+from
	return w
}

// asLine is the word as a line of its own, to be taken apart again.
func (w word) asLine() line {
	l := line{text: w.text, num: w.line, line: w.line, col: w.col}
	if w.joined == nil {
		return l
	}
	for _, p := range w.joined.parts {
		if p.at <= w.off { // the piece that the word begins in
			l.parts = []part{{line: p.line, col: p.col + w.off - p.at}}
		} else {
			l.parts = append(l.parts, part{at: p.at - w.off, line: p.line, col: p.col})
		}
	}
	return l
}

// is reports whether the word is name, whatever the case.
func (w word) is(name string) bool { return strings.EqualFold(w.text, name) }

// trim is the word without blanks around it.
func (w word) trim() word {
	from := len(w.text) - len(strings.TrimLeft(w.text, blanks))
	return w.sub(from, max(from, len(strings.TrimRight(w.text, blanks))))
}

// cut splits the word around the first sep.
func (w word) cut(sep string) (before, after word, found bool) {
	i := strings.Index(w.text, sep)
	if i < 0 {
		return w, word{line: w.line, col: w.col + len(w.text)}, false
	}
	return w.sub(0, i), w.sub(i+len(sep), len(w.text)), true
}

// split takes the word apart at any of the bytes of seps. Empty pieces are left out.
func (w word) split(seps string) []word {
	var out []word
	for i := 0; i < len(w.text); {
		if strings.IndexByte(seps, w.text[i]) >= 0 {
			i++
			continue
		}
		end := i
		for end < len(w.text) && strings.IndexByte(seps, w.text[end]) < 0 {
			end++
		}
		out = append(out, w.sub(i, end))
		i = end
	}
	return out
}

// unquote is the word without one pair of quotes around it.
func (w word) unquote() word {
	n := len(w.text)
	if n < 2 || w.text[0] != w.text[n-1] || w.text[0] != '"' && w.text[0] != '\'' {
		return w
	}
	w = w.sub(1, n-1)
	w.quoted = true
	return w
}

const blanks = " \t\r\f\v"

// lineStyle says how a format with one directive a line is written.
type lineStyle struct {
	comment string // bytes that make a comment of a line that begins with them
	inline  string // bytes that begin a comment after a blank, outside quotes
	joined  bool   // a backslash at the end joins the next line
	apart   bool   // and stands for a blank, as in systemd's files and Dovecot's
	folded  bool   // a line that begins with a blank belongs to the one before
}

// line is one directive: one line, or several joined.
type line struct {
	text string // without comment and surrounding blanks
	num  int    // number of its first line
	// parts say where the pieces of a joined line stand; none for most lines.
	parts     []part
	line, col int // of text[0], when there are no parts
}

// part is a piece of a joined line: from text[at:] on, the file's line and col.
type part struct{ at, line, col int }

// lines takes a file apart into directives. Empty lines and comments are left out.
func lines(data []byte, style lineStyle) iter.Seq[line] {
	return func(yield func(line) bool) {
		text := string(data)
		var cur line
		pending, seam := false, false // seam: a blank stands where lines are joined
		for num := 1; text != ""; num++ {
			var raw string
			raw, text, _ = strings.Cut(text, "\n")
			body := strings.TrimLeft(raw, blanks)
			col := 1 + len(raw) - len(body)
			body = strings.TrimRight(body, blanks)
			joins := style.joined && strings.HasSuffix(body, `\`)
			if joins {
				body = body[:len(body)-1]
			}
			// "81\" and "01" make 8101 (measured: Apache 2.4, Squid 5.7, ProFTPD 1.3.8).
			seam = seam || style.apart || style.folded || col > 1
			goesOn := pending || style.folded && cur.text != "" && col > 1
			isComment := body != "" && strings.IndexByte(style.comment, body[0]) >= 0
			switch {
			case isComment && style.folded:
				continue // Postfix: a comment does not end the line it interrupts
			case isComment && !pending:
				joins, body = false, ""
				if style.joined && strings.HasSuffix(strings.TrimRight(raw, blanks), `\`) {
					// Apache joins lines before it looks for comments.
					text, num = skipJoined(text, num)
				}
			}
			whole := style.uncomment(body)
			body = strings.TrimRight(whole, blanks)
			if goesOn {
				cur.join(body, num, col, seam)
			} else {
				if cur.text != "" && !yield(cur) {
					return
				}
				cur = line{text: body, num: num, line: num, col: col}
			}
			seam = joins && body != whole
			pending = joins
		}
		if cur.text != "" {
			yield(cur)
		}
	}
}

// skipJoined drops the lines that a joined comment goes on over.
func skipJoined(text string, num int) (string, int) {
	for text != "" {
		var raw string
		raw, text, _ = strings.Cut(text, "\n")
		num++
		if !strings.HasSuffix(strings.TrimRight(raw, blanks), `\`) {
			break
		}
	}
	return text, num
}

// join appends the next line of a joined directive, behind a blank at a seam.
func (l *line) join(body string, num, col int, seam bool) {
	if l.text == "" { // nothing stood before the backslash
		*l = line{text: body, num: num, line: num, col: col}
		return
	}
	if body == "" {
		return
	}
	if l.parts == nil {
		l.parts = []part{{line: l.line, col: l.col}}
	}
	if seam {
		l.text += " "
	}
	l.parts = append(l.parts, part{at: len(l.text), line: num, col: col})
	l.text += body
}

// uncomment drops a comment at the end of a line.
func (style lineStyle) uncomment(s string) string {
	if style.inline == "" {
		return s
	}
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte(style.inline, c) >= 0 && (i == 0 || strings.IndexByte(blanks, s[i-1]) >= 0):
			return s[:i]
		}
	}
	return s
}

// word returns text[from:to] with its place.
func (l line) word(from, to int) word {
	w := word{text: l.text[from:to], line: l.line, col: l.col + from}
	for i := len(l.parts) - 1; i >= 0; i-- {
		if p := l.parts[i]; from >= p.at || i == 0 {
			w.line, w.col = p.line, p.col+from-p.at
			w.joined, w.off = &l, from
			break
		}
	}
	return w
}

// whole is the line as one word.
func (l line) whole() word { return l.word(0, len(l.text)) }

// pos is the place of the whole directive.
func (l line) pos(f file) monban.Pos { return l.whole().pos(f) }

// words takes a directive apart at blanks and at the bytes of seps. Quotes hold
// a word together and are dropped; a backslash inside double quotes takes the
// next byte as it is.
func (l line) words(seps string) []word {
	var out []word
	for i := 0; i < len(l.text); {
		c := l.text[i]
		if strings.IndexByte(blanks, c) >= 0 || strings.IndexByte(seps, c) >= 0 {
			i++
			continue
		}
		w, end := l.next(i, seps)
		out = append(out, w)
		i = end
	}
	return out
}

// next returns the word that begins at i, and where it ends.
func (l line) next(i int, seps string) (word, int) {
	if c := l.text[i]; c == '"' || c == '\'' {
		text, end := quotedText(l.text, i)
		w := l.word(i+1, i+1)
		w.text, w.quoted = text, true
		if n := end - i - 2; n != len(text) {
			w.long = max(n, 0)
		}
		return w, end
	}
	end := i
	for end < len(l.text) && strings.IndexByte(blanks, l.text[end]) < 0 && strings.IndexByte(seps, l.text[end]) < 0 {
		end++
	}
	return l.word(i, end), end
}

// quotedText returns what stands between the quote at i and its partner, and
// the index behind that. A quote without a partner goes to the end.
func quotedText(s string, i int) (string, int) {
	quote := s[i]
	var b strings.Builder
	start := i + 1
	for j := start; j < len(s); j++ {
		switch c := s[j]; {
		case c == quote:
			if b.Len() == 0 {
				return s[start:j], j + 1
			}
			return b.String() + s[start:j], j + 1
		case c == '\\' && quote == '"' && j+1 < len(s) && (s[j+1] == '"' || s[j+1] == '\\'):
			b.WriteString(s[start:j])
			start = j + 1
			j++
		}
	}
	return b.String() + s[start:], len(s)
}

// keyValue takes "key = value" or "key value" apart: the key ends at a blank or
// at sep, one sep may follow. With sep 0 only blanks separate.
func (l line) keyValue(sep byte) (key, value word) {
	end := 0
	for end < len(l.text) && l.text[end] != sep && strings.IndexByte(blanks, l.text[end]) < 0 {
		end++
	}
	from := end
	for from < len(l.text) && strings.IndexByte(blanks, l.text[from]) >= 0 {
		from++
	}
	if sep != 0 && from < len(l.text) && l.text[from] == sep {
		from++
	}
	return l.word(0, end), l.word(from, len(l.text)).trim()
}

// section returns the name in "[name]".
func (l line) section() (string, bool) {
	if len(l.text) < 2 || l.text[0] != '[' {
		return "", false
	}
	name, _, ok := strings.Cut(l.text[1:], "]")
	return strings.TrimSpace(name), ok
}

func lower(s string) string { return strings.ToLower(s) }
