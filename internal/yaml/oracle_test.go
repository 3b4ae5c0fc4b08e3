package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	oracle "go.yaml.in/yaml/v3"
)

// theirs reads all documents of a stream with the oracle.
func theirs(data []byte) (docs []*oracle.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	for d := oracle.NewDecoder(bytes.NewReader(data)); ; {
		var doc oracle.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, &doc)
	}
}

// differs compares both readers and says what differs, "" for nothing or for what
// is listed in accepted.
func differs(data []byte) string {
	ours, err := Parse(data)
	want, wantErr := theirs(data)
	if reason := accepted(data, err, want, wantErr); reason != "" {
		return ""
	}
	switch {
	case err != nil && wantErr != nil:
		return badError(data, err)
	case err != nil:
		return fmt.Sprintf("we refuse: %v", err)
	case wantErr != nil:
		return fmt.Sprintf("they refuse: %v; we read %s", wantErr, show(ours))
	case len(ours) != len(want):
		return fmt.Sprintf("%d documents, want %d", len(ours), len(want))
	}
	c := comparison{text: strings.TrimPrefix(string(data), bom), pairs: map[*Node]*oracle.Node{}, starts: []int{0}}
	for i := range len(c.text) {
		if c.text[i] == '\n' || c.text[i] == '\r' && !strings.HasPrefix(c.text[i:], "\r\n") {
			c.starts = append(c.starts, i+1)
		}
	}
	for i := range ours {
		c.vague = true
		c.compare(ours[i], want[i].Content[0], fmt.Sprintf("%d", i))
	}
	return c.found
}

// badError wants an error with a place in the text.
func badError(data []byte, err error) string {
	var e *Error
	switch lines := strings.Split(string(data), "\n"); {
	case !errors.As(err, &e):
		return fmt.Sprintf("an error of type %T", err)
	case e.Problem.String() == "" || e.Line < 1 || e.Column < 1:
		return fmt.Sprintf("bad error %+v", e)
	case !bytes.ContainsAny(data, "\r\xfe\xff") && (e.Line > len(lines) || e.Column > len(lines[e.Line-1])+1):
		return fmt.Sprintf("error outside of the text: %+v", e)
	}
	return ""
}

// comparison walks two trees.
type comparison struct {
	text   string
	pairs  map[*Node]*oracle.Node
	found  string
	starts []int // where each line begins
	vague  bool  // the place of an empty node here is nowhere in particular
}

func (c *comparison) compare(got *Node, want *oracle.Node, path string) {
	if c.found != "" {
		return
	}
	fail := func(what string, got, want any) {
		if c.found == "" {
			c.found = fmt.Sprintf("%s: %s is %v, want %v", path, what, got, want)
		}
	}
	c.pairs[got] = want
	if kind := kindOf(want); got.Kind != kind {
		fail("kind", got.Kind, kind)
		return
	}
	if tag := tagOf(want); got.Tag != tag {
		fail("tag", got.Tag, tag)
	}
	if style := styleOf(want); got.Style != style {
		fail("style", got.Style, style)
	}
	if got.Anchor != want.Anchor {
		fail("anchor", got.Anchor, want.Anchor)
	}
	if got.Value != want.Value {
		fail("value", fmt.Sprintf("%q", got.Value), fmt.Sprintf("%q", want.Value))
	}
	if got.Kind == Alias && c.pairs[got.Alias] != want.Alias {
		fail("alias", got.Alias, want.Alias)
	}
	if null := want.ShortTag() == "!!null"; got.IsNull() != null {
		fail("null", got.IsNull(), null)
	}
	if merge := want.ShortTag() == "!!merge"; got.IsMerge() != merge {
		fail("merge", got.IsMerge(), merge)
	}
	c.place(got, want, fail)
	if len(got.Content) != len(want.Content) {
		fail("length", len(got.Content), len(want.Content))
		return
	}
	for i, n := range got.Content {
		key := got.Content[i&^1].Start
		c.vague = got.Style == Flow || got.Kind == Mapping && explicit.MatchString(c.text[max(0, key-200):key])
		c.compare(n, want.Content[i], fmt.Sprintf("%s.%d", path, i))
	}
}

var propertiesOnly = regexp.MustCompile(`^(?:[&!][^ \t\r\n]*|[ \t\r\n]|#[^\r\n]*)*$`)

// explicit is what stands before a key behind a "?".
var explicit = regexp.MustCompile(`\?([ \t\r\n]|#.*|[&!].*)*$`)

// nothing is an empty node with the tag "!", which counts for the oracle's place.
var nothing = regexp.MustCompile(`^([ \t\r\n]|#.*)*!`)

// place compares where a node begins: they count characters, and from its
// properties on.
func (c *comparison) place(got *Node, want *oracle.Node, fail func(string, any, any)) {
	if strings.HasPrefix(c.text, "\xfe") || strings.HasPrefix(c.text, "\xff") {
		return // UTF-16
	}
	if got.Start < 0 || got.Start > len(c.text) || got.End < got.Start || got.End > len(c.text) {
		fail("span", got.Start, got.End)
		return
	}
	if got.Line < 1 || got.Line > len(c.starts) || c.starts[got.Line-1]+got.Column-1 != got.Start || got.Line < len(c.starts) && c.starts[got.Line] <= got.Start {
		fail("line and column", [2]int{got.Line, got.Column}, got.Start)
	}
	if got.Kind == Scalar && got.Start == got.End {
		// Nothing is somewhere. Behind an indicator both agree on where.
		// It has none where it is not there at all: the value of "? a".
		if got.Anchor+got.Tag != "" || nothing.MatchString(c.text[got.Start:]) || c.vague {
			return
		}
	}
	if want.Line > len(c.starts) {
		fail("line", got.Line, want.Line)
		return
	}
	start := c.starts[want.Line-1]
	for range want.Column - 1 {
		_, size := utf8.DecodeRuneInString(c.text[start:])
		start += size
	}
	if got.Anchor+got.Tag == "" && want.Style&oracle.TaggedStyle == 0 && !strings.HasPrefix(c.text[min(start, len(c.text)):], "!") {
		if start != got.Start {
			fail("start", got.Start, start)
		}
	} else if start > got.Start || !propertiesOnly.MatchString(c.text[start:got.Start]) {
		fail("start behind properties", got.Start, start)
	}
}

func kindOf(n *oracle.Node) Kind {
	switch n.Kind {
	case oracle.ScalarNode:
		return Scalar
	case oracle.SequenceNode:
		return Sequence
	case oracle.MappingNode:
		return Mapping
	case oracle.AliasNode:
		return Alias
	}
	return 0
}

func tagOf(n *oracle.Node) string {
	if n.Style&oracle.TaggedStyle == 0 {
		return ""
	}
	return n.Tag
}

func styleOf(n *oracle.Node) Style {
	switch {
	case n.Kind == oracle.AliasNode:
		return Plain
	case n.Style&oracle.FlowStyle != 0:
		return Flow
	case n.Kind != oracle.ScalarNode:
		return Block
	case n.Style&oracle.DoubleQuotedStyle != 0:
		return DoubleQuoted
	case n.Style&oracle.SingleQuotedStyle != 0:
		return SingleQuoted
	case n.Style&oracle.LiteralStyle != 0:
		return Literal
	case n.Style&oracle.FoldedStyle != 0:
		return Folded
	}
	return Plain
}

// show writes trees on one line, for messages.
func show(docs []*Node) string {
	var b strings.Builder
	var write func(n *Node)
	write = func(n *Node) {
		if n.Anchor != "" {
			b.WriteString("&" + n.Anchor + " ")
		}
		if n.Tag != "" {
			b.WriteString("<" + n.Tag + "> ")
		}
		switch n.Kind {
		case Scalar:
			fmt.Fprintf(&b, "%q", n.Value)
		case Alias:
			b.WriteString("*" + n.Value)
		case Sequence, Mapping:
			b.WriteString([]string{Sequence: "[", Mapping: "{"}[n.Kind])
			for i, item := range n.Content {
				if i > 0 {
					b.WriteString([]string{", ", ": "}[i%2*int(n.Kind-Sequence)])
				}
				write(item)
			}
			b.WriteString([]string{Sequence: "]", Mapping: "}"}[n.Kind])
		}
	}
	for i, doc := range docs {
		if i > 0 {
			b.WriteString(" | ")
		}
		write(doc)
	}
	return b.String()
}

// accepted names the reason for a difference from the oracle, with the section of
// the specification that says that we are right; "" is none.
func accepted(data []byte, err error, want []*oracle.Node, wantErr error) string {
	var e *Error
	errors.As(err, &e)
	text, _ := decode(data)
	weRefuse, theyRefuse := err != nil && wantErr == nil, err == nil && wantErr != nil
	switch {
	case e != nil && (e.Problem == TooDeep || e.Problem == TooLarge):
		return "the limits are ours"
	case strings.ContainsAny(text, "\u0085\u2028\u2029"):
		return "5.4: these are no line breaks since 1.2"
	case strings.Contains(text, bom):
		return "5.2: a byte order mark is no indentation"
	case weRefuse && e.Problem == UnknownAnchor && len(want) > 1:
		return "3.2.2.2: anchors count for one document"
	case theyRefuse && strings.Contains(text, `\/`) && strings.Contains(wantErr.Error(), "unknown escape"):
		return `5.7: "\/" is an escape`
	case theyRefuse && strings.Contains(wantErr.Error(), "incompatible YAML document"):
		return "6.8.1: other versions than 1.1 are read"
	case theyRefuse && blankTab.MatchString(strings.ReplaceAll(text, "\r", "\n")) && (strings.Contains(wantErr.Error(), "cannot start any token") || strings.Contains(wantErr.Error(), "tab character that violates")):
		return "6.6, 6.7: a line of blanks, and blanks before a comment, are no indentation"
	case weRefuse && e.Problem == BadTag && escapedOctet.MatchString(text):
		return "6.8.2: the octets that a tag has escaped are UTF-8, without overlong ones or surrogates"
	case flowQuestion(text):
		return `7.3.3, 7.4.1: in flow collections "?" is an indicator before a gap only, and the key behind it may be empty`
	}
	return ""
}

var blankTab = regexp.MustCompile(`(?m)\t[ \t]*(#.*)?$`)

var escapedOctet = regexp.MustCompile(`%[89a-fA-F][0-9a-fA-F]`)

// flowQuestion reports whether a "?" stands in brackets.
func flowQuestion(text string) bool {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '?':
			if depth > 0 {
				return true
			}
		}
	}
	return false
}

func TestNothingDiffers(t *testing.T) {
	for _, s := range seeds() {
		if diff := differs([]byte(s)); diff != "" {
			t.Errorf("%q: %s", s, diff)
		}
	}
}

func FuzzOracle(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip()
		}
		if diff := differs(data); diff != "" {
			t.Errorf("%q: %s", data, diff)
		}
	})
}

// seeds are texts from which the fuzzer sets out.
func seeds() []string {
	return []string{
		"? \"\n\"\"\":", "- \"\n\"- a", "? \"\n\": a", "- - \"\n\"- a", // what follows quotes stands where a key or an entry would
		"", "\n", "# c\n", "---\n", "...\n", "--- a\n...\n--- b\n", "a: b\n", "a:\n  - b\n  - c: d\n    e: f\n", "a:\n- b\n- c\nd: e\n",
		"- - a\n  - b\n- c\n", "? a\n: b\n? - c\n: - d\n", "? a\n? b\n", "?\n- a\n: b\n", "[a, b: c, {d: e, f}, [g]]\n", "{a: [b, c], 'd': \"e\"}",
		"a: |\n  x\n   y\n\n  z\n\nb: >-\n  x\n  y\n\n   z\n  w\n", "a: |+2\n    x\n\n\nb: c", "a: >1-\n  x", "|\n x\n", "a: |\nb: c", "a:\n|\n x",
		"a: 'x ''y''\n  z\n\n  w'\n", "a: \"x\\n\\x41\\u00e9\\U0001F600 \\\n   y\n\n z\"\n", "a: b\n  c\n\n  d # e\nf: g\n", "a: b#c #d\n", "a: b:c\nd: -e\n",
		"a: &x b\nc: *x\n", "&a\nb: *a\n", "&a b: *a\n", "&a\n&b c: d\n", "&a\n!!map\nb: c\n", "a: !!str 1\nb: !reset []\nc: !<tag:x.y,2:z> d\n", "%TAG !e! tag:e.org,1:\n---\n!e!x a\n",
		"%YAML 1.1\n---\na\n", "%YAML 1.2\n---\na\n", "<<: *a\n", "a: &x {b: c}\nd:\n  <<: *x\n", "a: !!null\nb: ~\n", "a:\tb\n", "a:\n\tb\n", "-\ta\n", "a: b\n\t\nc: d\n",
		"\xef\xbb\xbfa: b\r\nc:\r\n  - d\r\n", "\xff\xfea\x00:\x00 \x00b\x00", "a: b: c\n", "a: - b\n", "a\nb: c\n", "a: [b\n", "a: 'b\n", "a: *b\n", "a: &x\n- b\n", "a: &x\nb: c\n", "- &x\n- b\n",
		"[a: b, c : d, \"e\":f]", "{a: , b, c: }", "[&a, *a]", "[&a b: c]", "[&a : b]", "&a : b", "!!null : a", "\"a\"\n: b\n", "'a\n b': c", "[a\n]: b", "{a\n: b}", "--- |\n a\n--- >\n b\n",
		"\xff\xfe\x85\x00", "\xfe\xff\x00a\x00:\x00 \xd8\x3d\xde\x00", "\xff\xfea", "\xff\xfe\x00\xd8a\x00", "\xff\xfe\x00\xdc", "\xfe\xff\xff\xfd", "\xff\xfe\x00\xd8",
		"\t \r0", "a: b\r\t# c\rd: e", "a: |\r\n  b\r\n\r\n  c\r\n",
		"!%C3%A9 a", "!a%20b c", "!%C0%80 a", "!%ED%A0%80 a", "!%F4%90%80%80 a", "!%C3 a", "!%C3x a", "!% a", "!%4 a", "%TAG ! !%E2%82%AC\n--- !a b",
		"--- a: b\n", "--- - a\n", "--- [a,\nb]\n", "a: [\n---\n]", "a: \"b\n---\nc\"", "a: b\n---\n", "a: b\n...\nc: d\n", "a: b\n%c\n", " a: b\n c: d\n", "  - a\n - b\n", "a:\n    b: c\n  d: e\n",
		"a: |\n\tb", "a: |\n  b\n\t# c\n", "a: |# b\n  c\n", "a: | # b\n  c\n", "a: |10\n b", "a: @b", "a: `b", "a: %b", "a: ]", "}", ",", "a: \x01", "a: \x80", "* a", "& a", "! a: b", "!x", "!!", "!a!b c",
		"a: 1\na: 2\n", "'a' 'b': c", "[a] b: c", "*a : b", "a: {\n# b\n}\n", "[a,#b\nc]", "a: b\n c: d\n", "a: 'b'\n c: d", "- a\nb", "a:\n- b\n c: d", "? a: b\n  c: d\n: e", "? |\n  a\n: - b\n", "? &a\n: b",
	}
}
