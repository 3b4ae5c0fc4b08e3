package claims

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yamlError is what is wrong with a YAML document, and where.
type yamlError struct {
	word
	problem Problem
}

// maxNodes bounds the tree of a document with its aliases expanded: the billion
// laughs are cut short.
const maxNodes = 200_000

// readYAML parses a file of YAML documents. Aliases and merge keys are expanded.
func readYAML(data []byte) (docs []*value, failed *yamlError) {
	defer func() {
		// The parser is a third party's and its input a stranger's.
		if p := recover(); p != nil {
			docs, failed = nil, &yamlError{problem: BadSyntax, word: word{text: "YAML", line: 1, col: 1}}
		}
	}()
	if depthOf(data) > maxNesting {
		return nil, &yamlError{problem: TooDeep}
	}
	parsed, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, yamlProblem(err)
	}
	y := yamlTree{text: string(data)}
	y.index()
	for _, doc := range parsed.Docs {
		y.anchors = map[string]*value{}
		docs = append(docs, y.value(doc.Body))
	}
	if y.nodes > maxNodes {
		return nil, &yamlError{problem: TooLarge}
	}
	return docs, nil
}

// maxNesting bounds the brackets that may be open at once: the parser descends
// by recursion.
const maxNesting = 200

// depthOf returns an upper bound of the nesting of flow collections.
func depthOf(data []byte) int {
	depth, most := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth = max(0, depth-1)
		case '\n':
			// Brackets in prose are not nesting, and flow collections over
			// more than one line rarely nest deeply.
			if depth > maxNesting {
				return depth
			}
		}
	}
	return most
}

func yamlProblem(err error) *yamlError {
	out := &yamlError{problem: BadSyntax, word: word{text: "YAML"}}
	var positioned interface{ GetToken() *token.Token }
	if errors.As(err, &positioned) {
		if t := positioned.GetToken(); t != nil && t.Position != nil {
			out.line, out.col = t.Position.Line, t.Position.Column
		}
	}
	if msg, ok := errors.AsType[interface {
		error
		GetMessage() string
	}](err); ok {
		out.text = msg.GetMessage()
	}
	return out
}

// yamlTree turns the parser's nodes into values.
type yamlTree struct {
	text    string
	starts  []int // where each line begins
	anchors map[string]*value
	nodes   int
}

func (y *yamlTree) index() {
	y.starts = append(y.starts, 0)
	for i := range len(y.text) {
		if y.text[i] == '\n' {
			y.starts = append(y.starts, i+1)
		}
	}
}

// place returns the word that a token is. The parser counts columns in
// characters and not in bytes, and is off by some in rare cases (a quoted
// scalar, a carriage return), so the text itself is looked for.
func (y *yamlTree) place(t *token.Token, text string) word {
	w := word{text: text}
	if t == nil || t.Position == nil {
		return w
	}
	w.line, w.col = t.Position.Line, t.Position.Column
	w.quoted = t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType
	if w.line < 1 || w.line > len(y.starts) {
		return w
	}
	line, _, _ := strings.Cut(y.text[y.starts[w.line-1]:], "\n")
	from := 0
	for range w.col - 1 {
		_, size := utf8.DecodeRuneInString(line[from:])
		from += size
	}
	for _, start := range [...]int{from, 0} {
		if i := strings.Index(line[start:], text); i >= 0 && text != "" {
			w.col = start + i + 1
			return w
		}
	}
	w.col = from + 1
	if text != "" {
		w.long = max(1, len(strings.TrimRight(line, blanks))-from)
	}
	return w
}

// value converts a node.
func (y *yamlTree) value(n ast.Node) *value {
	if y.nodes++; y.nodes > maxNodes {
		return nil
	}
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.DocumentNode:
		return y.value(n.Body)
	case *ast.MappingNode:
		v := &value{kind: table, at: y.place(n.GetToken(), "")}
		for _, pair := range n.Values {
			y.pair(v, pair)
		}
		return v
	case *ast.MappingValueNode:
		v := &value{kind: table, at: y.place(n.GetToken(), "")}
		y.pair(v, n)
		return v
	case *ast.SequenceNode:
		v := &value{kind: list, at: y.place(n.GetToken(), "")}
		for _, item := range n.Values {
			v.items = append(v.items, y.value(item))
		}
		return v
	case *ast.AnchorNode:
		v := y.value(n.Value)
		if n.Name != nil {
			y.anchors[n.Name.String()] = v
		}
		return v
	case *ast.AliasNode:
		v := y.anchors[n.Value.String()]
		y.nodes += size(v, maxNodes-y.nodes)
		return v
	case *ast.TagNode:
		return y.value(n.Value)
	case *ast.LiteralNode:
		return &value{kind: scalar, at: y.place(n.Value.GetToken(), n.Value.Value)}
	case *ast.StringNode:
		return &value{kind: scalar, at: y.place(n.Token, n.Value)}
	case ast.ScalarNode:
		return &value{kind: scalar, at: y.place(n.GetToken(), n.GetToken().Value)}
	}
	return nil
}

// pair adds one entry to a table; a merge key adds those it does not have yet.
func (y *yamlTree) pair(v *value, n *ast.MappingValueNode) {
	if _, ok := n.Key.(*ast.MergeKeyNode); ok {
		y.merge(v, y.value(n.Value))
		return
	}
	key := n.Key.GetToken()
	text := key.Value
	if s, ok := n.Key.(*ast.StringNode); ok {
		text = s.Value
	}
	v.pairs = append(v.pairs, pair{key: y.place(key, text), value: y.value(n.Value)})
}

// merge puts the entries of a merged table before those of v, which win.
func (y *yamlTree) merge(v, from *value) {
	for _, item := range from.list() {
		y.merge(v, item)
	}
	if from.is(table) {
		v.pairs = append(append([]pair(nil), from.pairs...), v.pairs...)
	}
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

// documents reads the YAML documents of a file, or records why it cannot.
func (s *scan) documents(f file) []*value {
	docs, err := readYAML(f.data)
	if err != nil {
		s.gap(err.pos(f), err.problem, err.text)
	}
	return docs
}
