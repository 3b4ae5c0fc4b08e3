package yaml

import "strings"

const (
	// maxDepth is how many collections may be in one another. The reader is
	// recursive, and so is whoever walks the tree.
	maxDepth = 1000
	// maxNodes bounds the memory, at 60 MB: "[,,,,,,,," has a node for each byte.
	maxNodes = 1 << 19
	// maxHandles is how many tag handles a document may have: they are looked through.
	maxHandles = 100
	// maxKey is how many characters an implicit key may have (section 7.4.2).
	maxKey = 1024
)

// Parse reads a stream and returns the root of each document (chapter 9). Its
// error is an [*Error].
func Parse(data []byte) (docs []*Node, err error) {
	text, bad := decode(data)
	if bad != nil {
		return nil, bad
	}
	p := parser{mark: mark{line: 1}, text: text, indent: -1, fresh: true}
	defer func() {
		switch bad := recover().(type) {
		case nil:
		case *Error:
			docs, err = nil, bad
		default:
			panic(bad)
		}
	}()
	return p.stream(), nil
}

// mark is a place in the text.
type mark struct {
	pos  int
	line int // from 1
	bol  int // where the line begins
}

// column counts from 0, in bytes. That only spaces, dashes and the like are
// before what is indented makes them characters.
func (m mark) column() int { return m.pos - m.bol }

// parser reads a text by recursive descent. Its methods leave it behind what
// they read, and panic with an *Error.
//
// The one difficulty of YAML is that "a" may turn out to be the key of a mapping,
// at the colon behind it. It is then put into the mapping that it has begun:
// nothing is read twice.
type parser struct {
	mark
	text    string
	indent  int  // the column of the innermost block collection, -1 outside of all
	flow    int  // how many flow collections are open
	bracket mark // where the innermost of them begins
	depth   int  // how many collections are open
	// fresh says that a block collection may begin here, and so may an implicit
	// key: only indicators of block collections stand before it on the line.
	fresh   bool
	handles []handle
	anchors map[string]*Node
	count   int
	spare   []Node  // for nodes to come, allocated together
	links   []*Node // for contents to come
	stack   []*Node // the contents of the collections that are open
	buf     []byte  // for texts that are not in the input as they are
}

// fail ends the reading.
func (p *parser) fail(at mark, problem Problem, text ...string) {
	e := &Error{Problem: problem, Line: at.line, Column: at.column() + 1}
	if len(text) > 0 {
		e.Text = text[0]
	}
	panic(e)
}

// at returns the byte n further on, 0 behind the end: the text has no NUL.
func (p *parser) at(n int) byte {
	if p.pos+n < len(p.text) {
		return p.text[p.pos+n]
	}
	return 0
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// gap reports whether c is white space, a line break or the end.
func gap(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == 0 }

// indicator reports whether c stands here and is followed by a gap: "- ", "? "
// and ": " mean something, "-a" does not.
func (p *parser) indicator(c byte) bool { return p.at(0) == c && gap(p.at(1)) }

// lineBreak passes a line break (section 5.4), if one is here.
func (p *parser) lineBreak() bool {
	switch p.at(0) {
	case '\r':
		if p.at(1) == '\n' {
			p.pos++
		}
	case '\n':
	default:
		return false
	}
	p.pos++
	p.line++
	p.bol = p.pos
	return true
}

// blanks passes spaces and tabs.
func (p *parser) blanks() {
	for blank(p.at(0)) {
		p.pos++
	}
}

// comment passes what is left of the line.
func (p *parser) comment() {
	if end := strings.IndexAny(p.text[p.pos:], "\r\n"); end >= 0 {
		p.pos += end
	} else {
		p.pos = len(p.text)
	}
}

// space passes white space, comments and line breaks (sections 6.6 and 6.7).
func (p *parser) space() {
	for {
		if p.pos == p.bol && p.indent < 0 && p.flow == 0 && strings.HasPrefix(p.text[p.pos:], bom) {
			p.pos += len(bom) // before a document (section 9.1.1)
			p.bol = p.pos
		}
		for p.at(0) == ' ' {
			p.pos++
		}
		if p.at(0) == '\t' {
			tab := p.mark
			p.blanks()
			if c := p.at(0); p.fresh && p.flow == 0 && c != '#' && c != '\n' && c != '\r' && c != 0 {
				p.fail(tab, Tab) // section 6.1
			}
		}
		if p.at(0) == '#' {
			p.comment()
		}
		if !p.lineBreak() {
			return
		}
		if p.flow == 0 {
			p.fresh = true
		}
	}
}

// marker reports whether a document ends or begins here: "---" or "..." at the
// start of a line (section 9.1.2).
func (p *parser) marker(text string) bool {
	return p.pos == p.bol && strings.HasPrefix(p.text[p.pos:], text) && gap(p.at(3))
}

// outside reports whether nothing more of the document can follow.
func (p *parser) outside() bool {
	if p.pos >= len(p.text) {
		return true
	}
	return p.pos == p.bol && (p.text[p.pos] == '%' || p.marker("---") || p.marker("..."))
}

// node makes a node that begins here.
func (p *parser) node(kind Kind, props properties) *Node {
	if len(p.spare) == 0 {
		p.spare = make([]Node, min(max(8, len(p.text)/16), 256))
	}
	if p.count++; p.count > maxNodes {
		p.fail(p.mark, TooLarge)
	}
	n := &p.spare[0]
	p.spare = p.spare[1:]
	n.Kind = kind
	n.give(props)
	p.place(n, p.mark)
	if props.anchor != "" {
		if p.anchors == nil {
			p.anchors = make(map[string]*Node)
		}
		p.anchors[props.anchor] = n
	}
	return n
}

// place says where a node begins.
func (p *parser) place(n *Node, at mark) {
	n.Line, n.Column, n.Start, n.End = at.line, at.column()+1, at.pos, at.pos
}

// empty makes a node without a text, at a place that may be behind us.
func (p *parser) empty(at mark, props properties) *Node {
	n := p.node(Scalar, props)
	p.place(n, at)
	return n
}

// open begins a collection and returns what close wants.
func (p *parser) open() (base int) {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.mark, TooDeep)
	}
	return len(p.stack)
}

// push adds a node to the contents of the innermost collection.
func (p *parser) push(n *Node) { p.stack = append(p.stack, n) }

// close gives a collection its contents. They are slices of one larger array:
// a mapping of two keys is worth no allocation of its own.
func (p *parser) close(n *Node, base int) *Node {
	p.depth--
	if size := len(p.stack) - base; size > 0 {
		if len(p.links) < size {
			p.links = make([]*Node, max(size, 64))
		}
		n.Content = p.links[:size:size]
		p.links = p.links[size:]
		copy(n.Content, p.stack[base:])
		p.stack = p.stack[:base]
	}
	return n
}
