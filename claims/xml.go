package claims

import (
	"iter"
	"strings"
)

// element is a start tag: its name, its attributes, and the names of those
// around it.
type element struct {
	name  string
	attrs []attr
	path  []string // the elements around it, the outermost first
	at    word     // the name
	text  word     // what follows the tag, up to the next
}

type attr struct {
	name  string
	value word
}

// attr returns an attribute's value; a word without a place when it is absent.
func (e element) attr(name string) word {
	for _, a := range e.attrs {
		if a.name == name {
			return a.value
		}
	}
	return word{}
}

// inside reports whether the elements around e end with these names.
func (e element) inside(names ...string) bool {
	if len(e.path) < len(names) {
		return false
	}
	for i, name := range names {
		if e.path[len(e.path)-len(names)+i] != name {
			return false
		}
	}
	return true
}

// elements goes through the start tags of an XML file. It is tolerant: what is
// not a tag is passed over. encoding/xml tells no places of attributes.
func elements(data []byte) iter.Seq[element] {
	return func(yield func(element) bool) {
		x := xmlScanner{text: string(data), line: 1}
		x.run(yield)
	}
}

type xmlScanner struct {
	text        string
	at          int
	line, start int
	path        []string
}

// skipTo moves on and counts the lines.
func (x *xmlScanner) skipTo(to int) {
	for ; x.at < to; x.at++ {
		if x.text[x.at] == '\n' {
			x.line, x.start = x.line+1, x.at+1
		}
	}
}

// skipPast moves behind the next end, or to the end of the file.
func (x *xmlScanner) skipPast(end string) {
	if i := strings.Index(x.text[x.at:], end); i >= 0 {
		x.skipTo(x.at + i + len(end))
	} else {
		x.skipTo(len(x.text))
	}
}

func (x *xmlScanner) word(from, to int) word {
	return word{text: x.text[from:to], line: x.line, col: from - x.start + 1}
}

func (x *xmlScanner) run(yield func(element) bool) {
	for {
		i := strings.IndexByte(x.text[x.at:], '<')
		if i < 0 {
			return
		}
		x.skipTo(x.at + i)
		switch rest := x.text[x.at:]; {
		case strings.HasPrefix(rest, "<!--"):
			x.skipPast("-->")
		case strings.HasPrefix(rest, "<![CDATA["):
			x.skipPast("]]>")
		case strings.HasPrefix(rest, "<!"), strings.HasPrefix(rest, "<?"):
			x.skipPast(">")
		case strings.HasPrefix(rest, "</"):
			if len(x.path) > 0 {
				x.path = x.path[:len(x.path)-1]
			}
			x.skipPast(">")
		default:
			e, closed := x.tag()
			if !yield(e) {
				return
			}
			if !closed && len(x.path) < maxNesting {
				x.path = append(x.path[:len(x.path):len(x.path)], e.name)
			}
		}
	}
}

// tag reads a start tag; closed says that it ends in "/>".
func (x *xmlScanner) tag() (e element, closed bool) {
	x.at++
	from := x.at
	for x.at < len(x.text) && strings.IndexByte(blanks+"\n/>", x.text[x.at]) < 0 {
		x.at++
	}
	e = element{name: x.text[from:x.at], at: x.word(from, x.at), path: x.path}
	for x.at < len(x.text) {
		switch c := x.text[x.at]; {
		case c == '>':
			x.at++
			e.text = x.content()
			return e, closed
		case c == '/':
			closed = true
			x.at++
		case strings.IndexByte(blanks+"\n=", c) >= 0:
			x.skipTo(x.at + 1)
		case c == '"' || c == '\'':
			end := strings.IndexByte(x.text[x.at+1:], c)
			if end < 0 {
				x.at = len(x.text)
				return e, true
			}
			value := x.word(x.at+1, x.at+1+end)
			if n := len(e.attrs); n > 0 && e.attrs[n-1].value.line == 0 {
				e.attrs[n-1].value = value
			}
			x.skipTo(x.at + end + 2)
		default:
			from := x.at
			for x.at < len(x.text) && strings.IndexByte(blanks+"\n=/>\"'", x.text[x.at]) < 0 {
				x.at++
			}
			e.attrs = append(e.attrs, attr{name: x.text[from:x.at]})
		}
	}
	return e, true
}

// content is the text behind a tag.
func (x *xmlScanner) content() word {
	end := strings.IndexByte(x.text[x.at:], '<')
	if end < 0 {
		end = len(x.text) - x.at
	}
	w := x.word(x.at, x.at+end)
	if i := strings.IndexByte(w.text, '\n'); i >= 0 {
		w = w.sub(0, i)
	}
	return w.trim()
}
