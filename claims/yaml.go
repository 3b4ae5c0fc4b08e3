package claims

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yamlError is what is wrong with a YAML document, and where.
type yamlError struct {
	word
	problem Problem
}

// maxNodes bounds the tree of a document with its aliases expanded: the billion
// laughs are cut short.
const maxNodes = 200_000

// maxNesting bounds the tree's depth, for whoever walks it by recursion.
const maxNesting = 200

// readYAML parses a file of YAML documents. Aliases and merge keys are expanded.
//
// The parser is the one that Compose and Kubernetes have descended from. It was
// chosen because its time is linear in its input: goccy/go-yaml 1.19 takes 14 s
// for 300 kB of "&a &a &a …".
func readYAML(data []byte) (docs []*value, failed *yamlError) {
	defer func() {
		// The parser is a third party's and its input a stranger's.
		if p := recover(); p != nil {
			docs, failed = nil, &yamlError{problem: BadSyntax, word: word{text: "YAML", line: 1, col: 1}}
		}
	}()
	y := yamlTree{text: string(data)}
	y.index()
	for parser := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := parser.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, y.problem(err)
		}
		y.known = map[*yaml.Node]*value{}
		docs = append(docs, y.value(&doc, 0))
		if y.failed != nil {
			return nil, y.failed
		}
	}
}

// problem finds the line in the parser's words, "yaml: line 3: ". They come
// from two places, of which one counts lines from 0.
func (y *yamlTree) problem(err error) *yamlError {
	out := &yamlError{problem: BadSyntax}
	out.text = strings.TrimPrefix(err.Error(), "yaml: ")
	if where, msg, ok := strings.Cut(out.text, ": "); ok {
		if n, isLine := strings.CutPrefix(where, "line "); isLine {
			out.line, _ = strconv.Atoi(n)
			out.text = msg
		}
	}
	if strings.HasPrefix(out.text, "did not find expected") {
		out.line++
	}
	out.line = min(max(out.line, 1), max(1, strings.Count(strings.TrimRight(y.text, "\n"), "\n")+1))
	return out
}

// yamlTree turns the parser's nodes into values.
type yamlTree struct {
	text   string
	starts []int // where each line begins
	known  map[*yaml.Node]*value
	nodes  int
	failed *yamlError
}

func (y *yamlTree) index() {
	y.starts = append(y.starts, 0)
	for i := range len(y.text) {
		if y.text[i] == '\n' {
			y.starts = append(y.starts, i+1)
		}
	}
}

// place returns the word that a node is. The parser counts characters, and from
// the anchor or the tag on.
func (y *yamlTree) place(n *yaml.Node, text string) word {
	w := word{text: text, line: n.Line, col: 1, quoted: n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0}
	if w.line < 1 || w.line > len(y.starts) {
		return w
	}
	line, _, _ := strings.Cut(y.text[y.starts[w.line-1]:], "\n")
	from := 0
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(line[from:])
		from += size
	}
	from += propertiesLen(line[from:])
	w.col = from + 1
	if text == "" {
		return w
	}
	if i := strings.Index(line[from:], text); i >= 0 {
		w.col += i
	} else { // escapes, or more than one line
		w.long = max(1, len(strings.TrimRight(line, blanks))-from)
	}
	return w
}

// propertiesLen is the length of the anchor and the tag that stand before a node.
func propertiesLen(line string) int {
	rest := line
	for rest != "" && (rest[0] == '&' || rest[0] == '!') {
		if end := strings.IndexAny(rest, blanks); end > 0 {
			rest = strings.TrimLeft(rest[end:], blanks)
		} else {
			break
		}
	}
	return len(line) - len(rest)
}

// fail ends the conversion at the first problem.
func (y *yamlTree) fail(n *yaml.Node, problem Problem, text string) *value {
	if y.failed == nil {
		y.failed = &yamlError{problem: problem, word: word{text: text, line: n.Line, col: max(1, n.Column)}}
	}
	return nil
}

// value converts a node; nil is null.
func (y *yamlTree) value(n *yaml.Node, depth int) *value {
	y.nodes++
	switch {
	case y.failed != nil:
		return nil
	case y.nodes > maxNodes:
		return y.fail(n, TooMuch, "")
	case depth > maxNesting:
		return y.fail(n, TooDeep, "")
	}
	v := &value{at: y.place(n, ""), tag: ownTag(n)}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil
		}
		return y.value(n.Content[0], depth)
	case yaml.AliasNode:
		return y.alias(n, depth)
	case yaml.MappingNode:
		v.kind = table
		y.pairs(v, n, depth)
	case yaml.SequenceNode:
		v.kind = list
		for _, item := range n.Content {
			v.items = append(v.items, y.value(item, depth+1))
		}
	default:
		if n.ShortTag() != "!!null" {
			v.kind, v.at = scalar, y.place(n, n.Value)
		} else if v.tag == "" {
			return nil
		}
	}
	if n.Anchor != "" {
		y.known[n] = v
	}
	return v
}

// ownTag is a tag that is the application's: Compose has "!reset".
func ownTag(n *yaml.Node) string {
	if n.Style&yaml.TaggedStyle == 0 || strings.HasPrefix(n.ShortTag(), "!!") {
		return ""
	}
	return n.Tag
}

// alias is the value with the anchor, which may not be around the alias. It
// counts anew each time, for whoever walks the tree goes there each time.
func (y *yamlTree) alias(n *yaml.Node, depth int) *value {
	v, ok := y.known[n.Alias]
	if !ok && n.Alias.ShortTag() != "!!null" {
		return y.fail(n, Cycle, n.Value)
	}
	y.nodes += size(v, maxNodes-y.nodes)
	if tooDeep(v, maxNesting-depth) {
		return y.fail(n, TooDeep, "")
	}
	return v
}

// pairs adds the entries of a mapping to a table. Those of merge keys stand
// first, because the last of a name wins; of several merged ones the first does.
func (y *yamlTree) pairs(v *value, n *yaml.Node, depth int) {
	var merged, own []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], y.value(n.Content[i+1], depth+1)
		if key.ShortTag() != "!!merge" {
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			own = append(own, pair{key: y.place(key, key.Value), value: val})
			continue
		}
		for _, from := range mergedTables(val) {
			for k := len(from.pairs) - 1; k >= 0; k-- {
				merged = append(merged, from.pairs[k])
			}
		}
	}
	for i := len(merged) - 1; i >= 0; i-- {
		v.pairs = append(v.pairs, merged[i])
	}
	v.pairs = append(v.pairs, own...)
}

func mergedTables(v *value) []*value {
	if v.is(table) {
		return []*value{v}
	}
	var out []*value
	for _, item := range v.list() {
		if item.is(table) {
			out = append(out, item)
		}
	}
	return out
}

// size counts the nodes of a value, up to a limit.
func size(v *value, limit int) int {
	if v == nil || limit <= 0 {
		return 1
	}
	n := 1
	for _, item := range v.items {
		n += size(item, limit-n)
	}
	for _, p := range v.pairs {
		n += size(p.value, limit-n)
	}
	return n
}

// tooDeep reports whether a value is nested deeper than limit.
func tooDeep(v *value, limit int) bool {
	if v == nil {
		return false
	}
	if limit < 0 {
		return true
	}
	for _, item := range v.items {
		if tooDeep(item, limit-1) {
			return true
		}
	}
	for _, p := range v.pairs {
		if tooDeep(p.value, limit-1) {
			return true
		}
	}
	return false
}

// documents reads the YAML documents of a file, or records why it cannot.
func (s *scan) documents(f file) []*value {
	docs, err := readYAML(f.data)
	if err != nil {
		s.gap(err.pos(f), err.problem, err.text)
	}
	return docs
}
