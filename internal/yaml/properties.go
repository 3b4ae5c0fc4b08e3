package yaml

import (
	"strings"
	"unicode/utf8"
)

// coreTags is the prefix of YAML's own tags, for which "!!" stands.
const coreTags = "tag:yaml.org,2002:"

// properties are what stands before a node (section 6.9). The tag "!" is kept
// here only; it says what is so anyway.
type properties struct{ anchor, tag string }

func (p properties) none() bool { return p == properties{} }

// properties reads an anchor and a tag, in either order, and the space behind
// them; not what is on further lines.
func (p *parser) properties() (props properties) {
	line := p.line
	for p.line == line {
		start := p.mark
		switch p.at(0) {
		case '&':
			p.pos++
			name := p.name(start)
			if props.anchor != "" {
				p.fail(start, Twice)
			}
			props.anchor = name
		case '!':
			tag := p.tag()
			if props.tag != "" {
				p.fail(start, Twice)
			}
			props.tag = tag
		default:
			return props
		}
		p.fresh = false
		p.space()
	}
	return props
}

// join adds properties that stand on an earlier line.
func (p *parser) join(a, b properties) properties {
	if a.anchor != "" && b.anchor != "" || a.tag != "" && b.tag != "" {
		p.fail(p.mark, Twice)
	}
	return properties{anchor: a.anchor + b.anchor, tag: a.tag + b.tag}
}

// give adds properties to a node.
func (n *Node) give(props properties) {
	if props.anchor != "" {
		n.Anchor = props.anchor
	}
	if props.tag != "" && props.tag != "!" {
		n.Tag = props.tag
	}
}

// wordByte reports whether c is a letter, digit, dash or underline.
func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func (p *parser) word() string {
	from := p.pos
	for wordByte(p.at(0)) {
		p.pos++
	}
	return p.text[from:p.pos]
}

// name reads the name of an anchor or alias. The specification would have almost
// any character in it (section 6.9.2); libyaml and who came of it stay with 1.0's.
func (p *parser) name(start mark) string {
	name := p.word()
	if name == "" || !gap(p.at(0)) && strings.IndexByte("?:,]}%@`", p.at(0)) < 0 {
		p.fail(start, BadName)
	}
	return name
}

// tag reads a tag (section 6.9.1).
func (p *parser) tag() (tag string) {
	start := p.mark
	if p.at(1) == '<' { // as it is
		p.pos += 2
		if tag = p.uri(); tag == "" || p.at(0) != '>' {
			p.fail(start, BadTag)
		}
		p.pos++
	} else {
		h := p.handle()
		if len(h) > 1 && h[len(h)-1] == '!' {
			suffix := p.uri()
			if suffix == "" {
				p.fail(start, BadTag)
			}
			tag = p.resolve(start, h) + suffix
		} else if tag = h + p.uri(); tag != "!" {
			tag = p.resolve(start, "!") + tag[1:]
		}
	}
	if !gap(p.at(0)) {
		p.fail(start, BadTag)
	}
	if rest, ok := strings.CutPrefix(tag, coreTags); ok {
		tag = "!!" + rest
	}
	return tag
}

// handle reads "!", "!!" or "!name!", or the "!name" that a tag begins with.
func (p *parser) handle() string {
	from := p.pos
	if p.at(0) != '!' {
		p.fail(p.mark, BadTag)
	}
	p.pos++
	p.word()
	if p.at(0) == '!' {
		p.pos++
	}
	return p.text[from:p.pos]
}

// resolve returns what a handle stands for.
func (p *parser) resolve(at mark, name string) string {
	for _, h := range p.handles {
		if h.name == name {
			return h.prefix
		}
	}
	switch name {
	case "!":
		return "!"
	case "!!":
		return coreTags
	}
	p.fail(at, UnknownHandle, name)
	return ""
}

// uri reads the characters of a tag, with their %-escapes taken back.
func (p *parser) uri() string {
	from := p.pos
	escaped := false
	for wordByte(p.at(0)) || p.at(0) != 0 && strings.IndexByte(";/?:@&=+$,.!~*'()[]%", p.at(0)) >= 0 {
		escaped = escaped || p.at(0) == '%'
		p.pos++
	}
	if !escaped {
		return p.text[from:p.pos]
	}
	var out []byte
	for i := from; i < p.pos; i++ {
		c := p.text[i]
		if c == '%' {
			v, ok := hex(p.text[i+1 : min(i+3, p.pos)])
			if !ok || i+3 > p.pos {
				p.fail(p.mark, BadTag)
			}
			c = byte(v)
			i += 2
		}
		out = append(out, c)
	}
	if !utf8.Valid(out) {
		p.fail(p.mark, BadTag)
	}
	return string(out)
}

// hex returns the value of hexadecimal digits.
func hex(s string) (v rune, ok bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return v, s != ""
}
