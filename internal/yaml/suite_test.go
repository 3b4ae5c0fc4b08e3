package yaml

import (
	"fmt"
	"strconv"
	"testing"

	suite "github.com/goccy/go-yaml/testdata/yaml-test-suite"
)

// TestSuite reads the YAML test suite, which github.com/goccy/go-yaml (MIT) has
// with it: https://github.com/yaml/yaml-test-suite. What is wrong there has to be
// refused, and the rest has to mean what its JSON says, but for what deviations
// lists.
func TestSuite(t *testing.T) {
	t.Parallel()
	all, err := suite.TestSuites()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 400 {
		t.Errorf("only %d tests", len(all))
	}
	left := deviations()
	passed := 0
	for _, test := range all {
		complaint := ""
		docs, err := Parse(test.InYAML)
		switch {
		case test.Error && err == nil:
			complaint = "read: " + show(docs)
		case test.Error:
		case err != nil:
			complaint = err.Error()
		case test.InJSON != nil:
			complaint = means(docs, test.InJSON)
		}
		why, listed := left[test.Name]
		delete(left, test.Name)
		switch {
		case complaint == "":
			passed++
			if listed {
				t.Errorf("%s passes: take it from the list", test.Name)
			}
		case !listed:
			t.Errorf("%s: %s\n%s", test.Name, complaint, test.InYAML)
		default:
			if diff := differs(test.InYAML); diff != "" {
				t.Errorf("%s (%s): the oracle differs: %s", test.Name, why, diff)
			}
		}
	}
	for name := range left {
		t.Errorf("no test %s", name)
	}
	t.Logf("%d of %d tests pass", passed, len(all))
}

// means compares documents with the JSON of the same meaning.
func means(docs []*Node, want []any) string {
	if len(docs) != len(want) {
		return fmt.Sprintf("%d documents, want %d", len(docs), len(want))
	}
	for i, n := range docs {
		if complaint := meansValue(n, want[i]); complaint != "" {
			return complaint
		}
	}
	return ""
}

func meansValue(n *Node, want any) string {
	if n.Kind == Alias {
		n = n.Alias
	}
	complaint := fmt.Sprintf("%s, want %v", show([]*Node{n}), want)
	switch want := want.(type) {
	case nil:
		if !n.IsNull() {
			return complaint
		}
	case string:
		if n.Kind != Scalar || n.Value != want {
			return complaint
		}
	case bool:
		if n.Value != strconv.FormatBool(want) {
			return complaint
		}
	case float64:
		if got, err := strconv.ParseFloat(n.Value, 64); err != nil || got != want {
			if i, err := strconv.ParseInt(n.Value, 0, 64); err != nil || float64(i) != want {
				return complaint
			}
		}
	case []any:
		if n.Kind != Sequence || len(n.Content) != len(want) {
			return complaint
		}
		for i, item := range n.Content {
			if complaint := meansValue(item, want[i]); complaint != "" {
				return complaint
			}
		}
	case map[string]any:
		if n.Kind != Mapping || len(n.Content) != 2*len(want) {
			return complaint
		}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == Alias {
				key = key.Alias
			}
			value, ok := want[key.Value]
			if !ok {
				return complaint
			}
			if complaint := meansValue(n.Content[i+1], value); complaint != "" {
				return complaint
			}
		}
	}
	return ""
}

// deviations are the tests that are not met, and why. In all of them the oracle
// does as we do, and so do Compose and Kubernetes's tools with it: a file that
// they refuse must not be read here as if it ran, nor the other way round.
func deviations() map[string]string {
	list := map[string]string{}
	for why, names := range map[string][]string{
		"6.9.2: names of anchors have letters, digits, '-' and '_' only": {
			"aliases-in-explicit-block-mapping", "allowed-characters-in-alias", "anchor-with-colon-in-the-middle", "anchor-with-unicode-character", "anchors-with-colon-in-name"},
		"6.1, 8.1: a tab in front of what is indented is refused, and in flow collections passed over": {
			"leading-tab-content-in-literals/00", "leading-tab-content-in-literals/01", "spec-example-6-2-indentation-indicators", "spec-example-6-3-separation-spaces",
			"spec-example-8-2-block-indentation-indicator", "tab-at-beginning-of-line-followed-by-a-flow-mapping", "tab-indented-top-flow", "tabs-in-various-contexts/001",
			"tabs-in-various-contexts/003", "tabs-in-various-contexts/010", "tabs-that-look-like-indentation/00", "tabs-that-look-like-indentation/01"},
		"7.2, 7.4: an implicit key has a text, and its colon is on the line it begins on": {
			"block-mapping-with-missing-keys", "colon-and-adjacent-value-after-comment-on-next-line", "colon-and-adjacent-value-on-next-line", "empty-implicit-key-in-single-pair-flow-sequences",
			"empty-keys-in-block-and-flow-mapping", "empty-lines-at-end-of-document", "flow-collections-over-many-lines/01", "flow-mapping-colon-on-line-after-key/00",
			"flow-mapping-colon-on-line-after-key/01", "flow-mapping-colon-on-line-after-key/02", "multiline-double-quoted-flow-mapping-key", "multiline-plain-flow-mapping-key",
			"question-mark-edge-cases/00", "single-character-streams/01", "spec-example-7-3-completely-empty-flow-nodes", "spec-example-8-18-implicit-block-mapping-entries", "syntax-character-edge-cases/00"},
		"7.3.3: in flow collections ':' is always the colon behind a key, '-' may be a plain scalar, and 'a:' too": {
			"colon-at-the-beginning-of-adjacent-flow-scalar", "dash-in-flow-sequence", "flow-mapping-edge-cases", "plain-dashes-in-flow-sequence", "scalars-in-flow-start-with-syntax-char/00", "spec-example-7-10-plain-characters"},
		"9.1, 9.2: '%' at the start of a line is a directive, with or without '...' before it, and '...' is followed by '---' or one": {
			"bare-document-after-document-end-marker", "comment-and-document-end-marker", "directive-variants/00", "directive-variants/01", "document-end-marker", "missing-document-end-marker-before-directive",
			"need-document-footer-before-directives", "spec-example-9-3-bare-documents", "spec-example-9-4-explicit-documents", "spec-example-9-5-directives-documents", "yaml-directive-without-document-end-marker"},
		"6.8: unknown directives are refused": {
			"directive-variants/05", "directive-variants/06", "spec-example-6-13-reserved-directives", "spec-example-6-13-reserved-directives-1-3"},
		"6.6: a comment needs no blank before it but behind a plain scalar": {
			"comment-without-whitespace-after-block-scalar-indicator", "comment-without-whitespace-after-doublequoted-scalar", "invalid-comment-after-comma", "invalid-comment-after-end-of-flow-sequence"},
		"6.1: the lines of flow collections and quotes may be indented less": {
			"wrong-indented-flow-sequence", "wrong-indented-multiline-quoted-scalar"},
		"8.1.1.1: a block scalar is indented, at the top too, as deep as the longest line before its text": {
			"block-scalar-with-more-spaces-than-first-content-line", "zero-indented-block-scalar", "zero-indented-block-scalar-with-line-that-looks-like-a-comment"},
		"8.1.1.2: blanks at the very end, beyond the indentation, are a line of a block scalar": {
			"trailing-line-of-spaces/01", "trailing-whitespace-in-streams/02"},
		"5.7, 6.9.1: \\' is an escape, and a tag may have a comma": {
			"double-quoted-scalar-with-escaped-single-quote", "invalid-comma-in-tag", "spec-example-7-2-empty-content"},
	} {
		for _, name := range names {
			list[name] = why
		}
	}
	return list
}
