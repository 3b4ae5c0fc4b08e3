package claims

import (
	"bytes"
	"errors"
	"slices"

	"github.com/monban-dev/monban/internal/yaml"
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
func readYAML(data []byte) (docs []*value, failed *yamlError) {
	roots, err := yaml.Parse(data)
	if err != nil {
		return nil, yamlProblem(err)
	}
	y := yamlTree{data: data}
	for _, root := range roots {
		clear(y.known)
		docs = append(docs, y.value(root, 0))
		if y.failed != nil {
			return nil, y.failed
		}
	}
	return docs, nil
}

// yamlProblem says in this package's words what the parser has found.
func yamlProblem(err error) *yamlError {
	out := &yamlError{problem: BadSyntax, word: word{text: err.Error(), line: 1, long: -1}}
	var e *yaml.Error
	if errors.As(err, &e) {
		out.text, out.line, out.col = e.Message(), e.Line, e.Column
		switch e.Problem {
		case yaml.TooDeep:
			out.problem = DeepText
		case yaml.TooLarge:
			out.problem = TooMuch
		}
	}
	return out
}

// yamlTree turns the parser's nodes into values.
type yamlTree struct {
	data   []byte
	known  map[*yaml.Node]*value // those with anchors
	nodes  int
	failed *yamlError
	spare  []value // for values to come, allocated together
}

// place returns the word that a node is.
func (y *yamlTree) place(n *yaml.Node, text string) word {
	w := word{text: text, line: n.Line, col: n.Column, quoted: n.Style.Quoted()}
	if text == "" {
		return w
	}
	is := func(from, to int) bool { return from <= to && to <= len(y.data) && string(y.data[from:to]) == text }
	switch {
	case is(n.Start, n.End):
	case w.quoted && is(n.Start+1, n.End-1):
		w.col++
	default: // escapes, or more than one line
		line, _, _ := bytes.Cut(y.data[min(n.Start, len(y.data)):min(n.End, len(y.data))], []byte("\n"))
		w.long = max(1, len(bytes.TrimRight(line, blanks)))
	}
	return w
}

// fail ends the conversion at the first problem.
func (y *yamlTree) fail(n *yaml.Node, problem Problem, text string) *value {
	if y.failed == nil {
		y.failed = &yamlError{problem: problem, word: word{text: text, line: n.Line, col: n.Column}}
	}
	return nil
}

// make returns a new value.
func (y *yamlTree) make(v value) *value {
	if len(y.spare) == 0 {
		y.spare = make([]value, min(max(8, len(y.data)/32), 128))
	}
	out := &y.spare[0]
	y.spare = y.spare[1:]
	*out = v
	return out
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
		return y.fail(n, DeepText, "")
	case n.Kind == yaml.Alias:
		return y.alias(n, depth)
	}
	v := value{tag: ownTag(n)}
	switch n.Kind {
	case yaml.Mapping:
		v.kind, v.at = table, y.place(n, "")
		y.pairs(&v, n, depth)
	case yaml.Sequence:
		v.kind, v.at = list, y.place(n, "")
		v.items = make([]*value, 0, len(n.Content))
		for _, item := range n.Content {
			v.items = append(v.items, y.value(item, depth+1))
		}
	default:
		switch {
		case !n.IsNull():
			v.kind, v.at = scalar, y.place(n, n.Value)
		case v.tag == "":
			return nil
		default:
			v.at = y.place(n, "")
		}
	}
	out := y.make(v)
	if n.Anchor != "" {
		if y.known == nil {
			y.known = make(map[*yaml.Node]*value)
		}
		y.known[n] = out
	}
	return out
}

// ownTag is a tag that is the application's: Compose has "!reset".
func ownTag(n *yaml.Node) string {
	if len(n.Tag) > 1 && n.Tag[1] == '!' {
		return ""
	}
	return n.Tag
}

// alias is the value with the anchor, which may not be around the alias. It
// counts anew each time, for whoever walks the tree goes there each time.
func (y *yamlTree) alias(n *yaml.Node, depth int) *value {
	v, ok := y.known[n.Alias]
	if !ok && !n.IsNull() {
		return y.fail(n, Cycle, n.Value)
	}
	y.nodes += size(v, maxNodes-y.nodes)
	if tooDeep(v, maxNesting-depth) {
		return y.fail(n, DeepText, "")
	}
	return v
}

// pairs adds the entries of a mapping to a table. Those of merge keys stand
// first, because the last of a name wins; of several merged ones the first does.
func (y *yamlTree) pairs(v *value, n *yaml.Node, depth int) {
	var merged []pair
	own := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], y.value(n.Content[i+1], depth+1)
		if !key.IsMerge() {
			if key.Kind == yaml.Alias {
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
	slices.Reverse(merged)
	v.pairs = own
	if len(merged) > 0 {
		v.pairs = slices.Concat(merged, own)
	}
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
