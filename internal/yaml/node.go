package yaml

// Node is a node of a document's tree (section 3.2.2).
type Node struct {
	Kind  Kind
	Style Style
	// Tag is the tag that the text gives, "" for none. Those of YAML itself are
	// short, "!!str"; others are as they resolve, "!reset" or "tag:example.com,2000:x".
	Tag string
	// Anchor is the name by which aliases may refer to the node.
	Anchor string
	// Value is the text of a scalar, after escapes and folding, and the anchor's
	// name of an alias.
	Value string
	// Alias is the node that an alias stands for. It may be one that the alias is
	// in: whoever follows it must expect that.
	Alias *Node
	// Content has the items of a sequence; of a mapping each key and its value.
	Content []*Node
	// Line and Column are where the node begins, from 1 and in bytes; its own
	// anchor and tag are before that. A node without a text is behind the
	// indicator that wants it.
	Line, Column int
	// Start and End are the bytes of the input that a scalar or an alias takes,
	// quotes and indicators with it. Of collections only Start is known.
	// In an input of UTF-16 they count the bytes of its UTF-8.
	Start, End int
}

// Kind is what a node is.
type Kind uint8

// The kinds of nodes.
const (
	Scalar Kind = iota + 1
	Sequence
	Mapping
	Alias
)

// Style is how a node is written.
type Style uint8

// The styles. Collections have Block or Flow, scalars and aliases the others.
const (
	Plain Style = iota
	SingleQuoted
	DoubleQuoted
	Literal
	Folded
	Block
	Flow
)

// Quoted reports whether a scalar stands in quotes.
func (s Style) Quoted() bool { return s == SingleQuoted || s == DoubleQuoted }

// IsNull reports whether a node is nothing: "", ~ or null, or something with
// the tag !!null (section 10.2.1.1, and the spellings of section 10.3.2). An alias
// is what it stands for.
func (n *Node) IsNull() bool {
	if n.Kind == Alias {
		n = n.Alias
	}
	if n.Kind != Scalar || n.Tag != "" || n.Style != Plain {
		return n.Tag == "!!null"
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// IsMerge reports whether a key is the merge key of YAML 1.1,
// https://yaml.org/type/merge.html: "<<" without quotes.
func (n *Node) IsMerge() bool {
	if n.Kind == Alias {
		n = n.Alias
	}
	if n.Kind != Scalar || n.Tag != "" || n.Style != Plain {
		return n.Tag == "!!merge"
	}
	return n.Value == "<<"
}
