package yaml

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var rounds = flag.Int("rounds", 20_000, "how many random texts of each kind are compared with the oracle")

// TestRandomPieces puts together what means something in YAML, at random: most
// of it is wrong, and nearly right.
func TestRandomPieces(t *testing.T) {
	pieces := []string{"a", "b", "c: d", "a: ", "b:", "- ", "-", "? ", "?", ": ", ":", "\n", "\n", "\n", "\n  ", "\n    ", "\n ", "  ", " ", "\t", "\r\n",
		"[", "]", "{", "}", ",", ", ", "&x ", "&y", "*x", "*y ", "!t ", "!!str ", "!!null ", "!", "'", "\"", "'a'", "\"b\"", "'a\n b'", "\"\n\"", "'\n  '", "[\n]", "{\n  }", "[a,\n b]", "\"a\\n\\\n b\"", "|", ">", "|\n", ">-\n", "|+2\n", "\n  |\n",
		"# c", " # c\n", "#", "\n---\n", "--- ", "\n...\n", "\n%YAML 1.1\n---\n", "%TAG ! !z\n", "<<: ", "~", "null", "é", "日本", "\\", "\\x41", "@", "`", "%", "1", "0x1f", "a b", "a#b", "a:b"}
	compareRandom(t, 0.1, func(r *rand.Rand) string {
		var b strings.Builder
		for range 1 + r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		return b.String()
	})
}

// TestRandomDocuments writes right documents, in every style, and spoils some of
// them by a byte.
func TestRandomDocuments(t *testing.T) {
	compareRandom(t, 0.2, func(r *rand.Rand) string {
		w := writer{r: r}
		for range 1 + r.IntN(2) {
			if r.IntN(3) == 0 || w.b.Len() > 0 {
				w.b.WriteString("---\n")
			}
			w.block(0, 4)
			w.eol()
		}
		text := w.b.String()
		if r.IntN(3) == 0 && text != "" {
			i := r.IntN(len(text))
			text = text[:i] + []string{"", " ", "\n", "\t", ":", "-", "#", "'", "\"", "[", "}", ",", "&", "*", "!", "|", "é"}[r.IntN(17)] + text[i+r.IntN(2):]
		}
		return strings.ToValidUTF8(text, "?")
	})
}

// compareRandom wants at least a share of the texts to be read and not refused.
func compareRandom(t *testing.T, share float64, text func(*rand.Rand) string) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	failed, read := 0, 0
	for range *rounds {
		s := text(r)
		if docs, err := Parse([]byte(s)); err == nil && len(docs) > 0 {
			read++
		}
		if diff := differs([]byte(s)); diff != "" {
			t.Errorf("seed %d: %q: %s", seed, shrink(s), diff)
			if failed++; failed > 10 {
				return
			}
		}
	}
	if float64(read) < share*float64(*rounds) {
		t.Errorf("only %d of %d texts are YAML", read, *rounds)
	}
	t.Logf("%d of %d texts are YAML", read, *rounds)
}

// shrink drops bytes for as long as the readers differ.
func shrink(s string) string {
	for size := len(s) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(s); {
			if shorter := s[:i] + s[i+size:]; differs([]byte(shorter)) != "" {
				s = shorter
			} else {
				i++
			}
		}
	}
	return s
}

// writer writes a random document.
type writer struct {
	b strings.Builder
	r *rand.Rand
}

func (w *writer) one(list ...string) string { return list[w.r.IntN(len(list))] }

func (w *writer) eol() {
	w.b.WriteString(w.one("\n", "\n", "\n", "\n", " # c\n", "\n\n", "\n# c\n", " \n", "\n  # c\n", "\r\n"))
}

func (w *writer) properties() {
	w.b.WriteString(w.one("", "", "", "", "", "", "&a ", "&b ", "!!str ", "!t ", "&a !t ", "!!map &b "))
}

func (w *writer) word() string {
	return w.one("a", "b", "key", "8080", "127.0.0.1:80", "80:80", "-x", "a b", "x#y", "http://h/?a=b", "null", "~", "<<", "é", "日本 語", "true", "1.5", "a'b", "a\"b", ":x", "?x", "--", "{x", "a{b", "a,b", "a]")
}

// inline writes a scalar, an alias or a flow collection on one line.
func (w *writer) inline(depth int, flow bool) {
	if depth <= 0 || w.r.IntN(4) > 0 {
		switch w.r.IntN(8) {
		case 0:
			w.b.WriteString(w.one("'x y'", "'it''s'", "''", "'a: b'", "'# c'"))
		case 1:
			w.b.WriteString(w.one(`"x y"`, `"\x41\t\u00e9"`, `""`, `"a: b"`, `"\\ \" "`))
		case 2:
			w.b.WriteString(w.one("*a", "*b"))
		default:
			s := w.word()
			if flow && strings.ContainsAny(s, ",[]{}?") || strings.HasPrefix(s, "{") {
				s = "w"
			}
			w.b.WriteString(s)
		}
		return
	}
	ends, mapping := "[]", w.r.IntN(2) == 0
	if mapping {
		ends = "{}"
	}
	w.b.WriteByte(ends[0])
	for i := range w.r.IntN(4) {
		if i > 0 {
			w.b.WriteString(w.one(", ", ",", " , ", ",\n   "))
		}
		w.properties()
		w.inline(depth-1, true)
		if mapping && w.r.IntN(4) > 0 || w.r.IntN(6) == 0 {
			w.b.WriteString(w.one(": ", " : ", ":\n   "))
			w.inline(depth-1, true)
		}
	}
	w.b.WriteString(w.one("", "", ",", " ", "\n "))
	w.b.WriteByte(ends[1])
}

// block writes a node whose lines are indented by n, at the start of a line.
func (w *writer) block(n, depth int) {
	pad := strings.Repeat(" ", n)
	kind := w.r.IntN(3)
	if depth <= 0 {
		kind = 2
	}
	for range 1 + w.r.IntN(3) {
		w.b.WriteString(pad)
		switch kind {
		case 0: // mapping
			if w.r.IntN(12) == 0 {
				w.b.WriteString("? ")
				w.inline(1, false)
				w.eol()
				w.b.WriteString(pad + ":")
			} else {
				w.properties()
				w.inline(w.r.IntN(2), false)
				w.b.WriteString(w.one(":", ":", ":", " :"))
			}
			w.value(n, depth)
		case 1: // sequence
			w.b.WriteString("-")
			if w.r.IntN(4) == 0 && depth > 1 { // compact
				w.b.WriteString(" ")
				w.inline(0, false)
				w.b.WriteString(": ")
				w.inline(1, false)
				w.eol()
				w.block(n+2, 0)
				continue
			}
			w.value(n, depth)
		default:
			w.properties()
			w.inline(2, false)
			if w.r.IntN(4) == 0 {
				w.b.WriteString("\n" + pad + w.one("more", " more", "\n"+pad+"more"))
			}
			w.eol()
			return
		}
	}
}

// value writes what stands behind "a:" or "-" of an indentation of n.
func (w *writer) value(n, depth int) {
	switch w.r.IntN(5) {
	case 0:
		w.eol()
	case 1:
		w.b.WriteString(" ")
		w.properties()
		w.b.WriteString(w.one("|", ">", "|-", ">+", "|2", ">-1", "|+ # c"))
		w.b.WriteString(w.one("\n", "\n\n", "\r\n"))
		for range w.r.IntN(4) {
			w.b.WriteString(strings.Repeat(" ", n+w.r.IntN(5)) + w.one("text", " more text", "# text", "", "a: b", "\ttab") + "\n")
		}
	case 2:
		w.b.WriteString(w.one(" ", "  ", "\t"))
		w.properties()
		w.inline(2, false)
		w.eol()
	default:
		w.b.WriteString(" ")
		w.properties()
		w.eol()
		w.block(n+w.r.IntN(4), depth-1)
	}
}
