package yaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostile reads what is made to overflow the stack, to fill the memory or to
// take a time that grows faster than the text.
func TestHostile(t *testing.T) {
	const n = 200_000
	for name, text := range map[string]string{
		"sequences":        strings.Repeat("[", n),
		"mappings":         strings.Repeat("{", n),
		"keys in braces":   strings.Repeat("{a: ", n),
		"closed":           strings.Repeat("[", n) + strings.Repeat("]", n),
		"keys of keys":     strings.Repeat("[", 900) + strings.Repeat("]: a, b", 900),
		"explicit":         strings.Repeat("? ", n),
		"explicit, flow":   "[" + strings.Repeat("? ", n),
		"dashes":           strings.Repeat("- ", n),
		"deeper":           deeper(2000),
		"anchors":          strings.Repeat("&a ", n),
		"anchors on lines": strings.Repeat("&a\n", n),
		"aliases":          "a: &x b\nc: [" + strings.Repeat("*x, ", n) + "]",
		"tags":             strings.Repeat("!a ", n),
		"handles":          directives(n),
		"tags of handles":  directives(maxHandles) + "--- [" + strings.Repeat("!a99!x b, ", n) + "]",
		"empty values":     "[" + strings.Repeat("a,", n) + "]",
		"nothings":         "[" + strings.Repeat("a:,", n*4) + "]",
		"long plain":       "a: " + strings.Repeat("b ", n),
		"plain lines":      "a: b\n" + strings.Repeat("  c\n", n),
		"empty lines":      "a: b\n" + strings.Repeat("\n", n) + "  c\n",
		"plain in flow":    "[" + strings.Repeat("a\n", n) + "]",
		"quoted lines":     "\"" + strings.Repeat(" \n", n) + "\"",
		"blanks in quotes": "\"" + strings.Repeat(" ", n) + "\n\"",
		"quotes":           strings.Repeat("'", n),
		"open quotes":      strings.Repeat("\"a\n", n),
		"escapes":          "\"" + strings.Repeat("\\x41", n) + "\"",
		"literal":          "|\n" + strings.Repeat("  a\n", n),
		"literal, blank":   "|\n" + strings.Repeat(" \n", n),
		"folded":           ">\n" + strings.Repeat("  a\n\n", n),
		"comments":         strings.Repeat("#\n", n),
		"tabs":             strings.Repeat("\t", n) + "a",
		"colons":           "a" + strings.Repeat(": ", n),
		"questions":        strings.Repeat("?\n", n),
		"documents":        strings.Repeat("---\n", n),
		"ends":             "a\n" + strings.Repeat("...\n", n),
		"long key":         strings.Repeat("a", n) + ": b",
		"long keys":        "{" + strings.Repeat("\""+strings.Repeat("é", 1000)+"\": a, ", 500) + "}",
		"returns":          "a: b\n" + strings.Repeat("\r", n),
		"marks":            "a\n" + strings.Repeat(bom, n),
		"UTF-16":           "\xff\xfe" + strings.Repeat("[\x00", n),
	} {
		t.Run(name, func(t *testing.T) {
			// Twenty times what it takes, and far below what n² would.
			started := time.Now()
			docs, err := Parse([]byte(text))
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("%d bytes took %v", len(text), took)
			}
			var e *Error
			if err != nil && (!errors.As(err, &e) || docs != nil) {
				t.Errorf("%T beside %d documents", err, len(docs))
			}
		})
	}
}

// TestLimits holds the limits, and what is just within them.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want Problem
	}{
		{strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), 0},
		{strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), TooDeep},
		{strings.Repeat("- ", maxDepth) + "a", 0},
		{strings.Repeat("- ", maxDepth+1) + "a", TooDeep},
		{strings.Repeat("? ", maxDepth+1) + "a", TooDeep},
		{deeper(maxDepth), 0},
		{deeper(maxDepth + 1), TooDeep},
		{strings.Repeat("- a\n", maxNodes-1), 0},
		{strings.Repeat("- a\n", maxNodes), TooLarge},
		{strings.Repeat("é", maxKey) + ": a", 0},
		{strings.Repeat("é", maxKey+1) + ": a", ValueHere},
		{strings.Repeat("𝄞", maxKey) + ": a", 0},
		{"{" + strings.Repeat("a", maxKey+1) + ": a}", NoFlowMapping},
	} {
		_, err := Parse([]byte(test.text))
		var e *Error
		if errors.As(err, &e); test.want == 0 && err != nil || test.want != 0 && (e == nil || e.Problem != test.want) {
			t.Errorf("%.20s…: %v, want problem %d", test.text, err, test.want)
		}
	}
}

func deeper(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func directives(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%%TAG !a%d! x\n", i)
	}
	return b.String()
}
