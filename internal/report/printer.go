package report

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// style is how a piece of text looks on a terminal that has colours.
type style uint8

const (
	plain style = iota
	bold
	dim
	red
	yellow
	green
	cyan
)

var styleCodes = [...]string{plain: "", bold: "1", dim: "2", red: "1;31", yellow: "33", green: "32", cyan: "36"}

// span is a piece of text in one style. Its text is raw.
type span struct {
	style style
	text  string
}

// printer writes text for people. It is the only place where text meets the
// terminal, so it is where hostile characters are escaped.
type printer struct {
	w     *bufio.Writer
	lang  Lang
	color bool
	// width is the terminal's width in cells; 0 is a pipe or a file: nothing is
	// cut or wrapped.
	width int
	// wide leaves tables uncut on a terminal too.
	wide bool
}

func newPrinter(w io.Writer, s Style) *printer {
	return &printer{w: bufio.NewWriterSize(w, 32<<10), lang: s.Lang, color: s.Color, width: s.Width, wide: s.Wide}
}

// f formats the sentence of the reader's language. The Japanese format may name
// its arguments by index where the order differs.
func (p *printer) f(en, ja string, args ...any) string {
	return p.lang.say(en, ja, args...)
}

// emit writes one piece of text. It is the terminal boundary.
func (p *printer) emit(s style, text string) { p.put(s, safe(text)) }

// put writes text that has been escaped.
func (p *printer) put(s style, text string) {
	if !p.color || s == plain || text == "" {
		p.w.WriteString(text)
		return
	}
	p.w.WriteString("\x1b[")
	p.w.WriteString(styleCodes[s])
	p.w.WriteByte('m')
	p.w.WriteString(text)
	p.w.WriteString("\x1b[0m")
}

// spaces writes n of them, none if n is negative.
func (p *printer) spaces(n int) {
	const blank = "                                                                "
	for ; n > len(blank); n -= len(blank) {
		p.w.WriteString(blank)
	}
	if n > 0 {
		p.w.WriteString(blank[:n])
	}
}

// line writes spans and ends the line.
func (p *printer) line(spans ...span) {
	for _, s := range spans {
		p.emit(s.style, s.text)
	}
	p.w.WriteByte('\n')
}

func (p *printer) blank() { p.w.WriteByte('\n') }

// paragraph writes a sentence after a lead, wrapped to the terminal with the
// continuation lines under the text.
func (p *printer) paragraph(lead span, text string) { p.styledParagraph(lead, plain, text) }

func (p *printer) styledParagraph(lead span, s style, text string) {
	indent := cells(safe(lead.text))
	for i, part := range wrap(safe(text), p.width-indent) {
		if i == 0 {
			p.emit(lead.style, lead.text)
		} else {
			p.w.WriteString(strings.Repeat(" ", indent))
		}
		p.emit(s, part)
		p.w.WriteByte('\n')
	}
}

// cells returns how many terminal cells s takes. Ambiguous characters count as
// narrow, as terminals in UTF-8 locales draw them.
func cells(s string) int {
	n := 0
	for n < len(s) && s[n] < utf8.RuneSelf {
		n++ // the usual case: every byte is one cell
	}
	for _, r := range s[n:] {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit cuts s to n cells, the last of them an ellipsis when something was cut.
func fit(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	used := 0
	for i, r := range s {
		if used+runeCells(r) > n-1 {
			return s[:i] + "…"
		}
		used += runeCells(r)
	}
	return s
}

// pad adds spaces to reach n cells.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-cells(s))) }

// noLineStart are characters that Japanese typesetting keeps off the beginning
// of a line (JIS X 4051).
const noLineStart = "、。，．）」』】〕》〉！？：；ー〜・…々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ)]}!?:;,."

// wrap breaks text into lines of at most n cells: between words, and between
// any two wide characters. With n below 20 nothing is broken.
func wrap(text string, n int) []string {
	if n < 20 || cells(text) <= n {
		return []string{text}
	}
	var lines []string
	start, used, breakAt := 0, 0, -1
	prevWide := false
	for i, r := range text {
		w := runeCells(r)
		wide := w == 2
		switch {
		case r == ' ':
			breakAt = i
		case i > start && (wide || prevWide) && !strings.ContainsRune(noLineStart, r):
			breakAt = i
		}
		if used+w > n && breakAt > start {
			lines = append(lines, strings.TrimRight(text[start:breakAt], " "))
			start = breakAt
			for start < len(text) && text[start] == ' ' {
				start++
			}
			used = cells(text[min(start, i):i])
			breakAt = -1
		}
		used += w
		prevWide = wide
	}
	if start < len(text) {
		lines = append(lines, text[start:])
	}
	return lines
}
