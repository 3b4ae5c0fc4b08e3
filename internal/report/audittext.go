package report

import (
	"io"
	"strings"
)

// text writes the report for a terminal or a pipe.
func (a Audit) text(p *printer, v *view) {
	d := a.document(v)
	p.line(span{bold, d.title})
	for _, s := range d.lead {
		p.paragraph(span{}, s)
	}
	for _, part := range d.parts {
		p.blank()
		p.line(span{cyan, part.title})
		lead := span{}
		if part.id == "gaps" || part.id == "not-examined" {
			lead = span{dim, "- "}
		}
		for _, s := range part.lead {
			p.paragraph(lead, s)
		}
		for _, item := range part.items {
			item.print(p)
		}
		part.table(p, v.style.Verbose)
	}
}

// table writes the rows; on a terminal only those that are worth a look, unless
// told otherwise.
func (part docPart) table(p *printer, all bool) {
	var g group
	for _, row := range part.rows {
		if p.width > 0 && !all && !row.marked {
			continue
		}
		style := plain
		if row.marked {
			style = red
		}
		cells := make([]cell, 0, len(row.cells))
		for _, c := range row.cells {
			cells = append(cells, cell{style, c})
		}
		g.rows = append(g.rows, cells)
	}
	if len(g.rows) == 0 {
		return
	}
	cols := make([]column, 0, len(part.head))
	for i, title := range part.head {
		c := column{title: title}
		if i >= len(part.head)-2 {
			c.min, c.rank = 12, i
		}
		cols = append(cols, c)
	}
	p.table(cols, []group{g})
}

func (item docItem) print(p *printer) {
	indent := "    "
	if item.severity != 0 {
		p.paragraph(severityTag(p.lang, item.severity), item.text)
	} else {
		p.styledParagraph(span{}, bold, item.head)
	}
	for _, n := range item.notes {
		switch n.kind {
		case noteWho:
			lead := ""
			if n.label != "" {
				lead = n.label + ": "
			}
			p.paragraph(span{plain, indent}, lead+n.text)
		case noteRule:
			p.styledParagraph(span{dim, indent + "    "}, dim, n.text)
		case noteEvidence:
			p.styledParagraph(span{dim, indent}, dim, n.label+": "+n.text)
		case noteFix:
			p.paragraph(span{green, "  → "}, n.text)
		case noteCommand:
			p.line(span{plain, indent + "  "}, span{bold, n.text})
		}
	}
}

// writeMarkdown writes the report as CommonMark with GitHub's tables.
func (a Audit) writeMarkdown(w io.Writer, v *view) error {
	d := a.document(v)
	l := v.style.Lang
	m := &markup{}
	m.add("# ", markdown(d.title), "\n")
	for _, s := range d.lead {
		m.add("\n", markdown(s), "\n")
	}
	for _, part := range d.parts {
		m.add("\n## ", markdown(part.title), "\n\n")
		for _, s := range part.lead {
			m.add("- ", markdown(s), "\n")
		}
		for _, item := range part.items {
			if item.severity != 0 {
				m.add("\n### ", severityWord(l, item.severity), ": ", markdown(item.head), "\n\n", markdown(item.text), "\n\n")
			} else {
				m.add("\n### ", markdown(item.head), "\n\n")
				if item.text != "-" {
					m.add(markdown(item.text), "\n\n")
				}
			}
			for _, n := range item.notes {
				switch n.kind {
				case noteWho:
					label := ""
					if n.label != "" {
						label = "**" + markdown(n.label) + "**: "
					}
					m.add("- ", label, markdown(n.text), "\n")
				case noteRule:
					m.add("  - ", codeSpan(n.text), "\n")
				case noteEvidence:
					m.add("- ", l.pick("Evidence", "根拠"), " (", markdown(n.label), "): ", codeSpan(n.text), "\n")
				case noteFix:
					m.add("- **", l.pick("Remedy", "対策"), "**: ", markdown(n.text), "\n")
				case noteCommand:
					m.add("  - ", codeSpan(n.text), "\n")
				}
			}
		}
		if len(part.rows) > 0 {
			m.add("\n| ", strings.Join(mapped(part.head, markdown), " | "), " |\n|", strings.Repeat(" --- |", len(part.head)), "\n")
		}
		for _, row := range part.rows {
			cells := mapped(row.cells, markdown)
			if row.marked {
				for i := range cells {
					cells[i] = "**" + cells[i] + "**"
				}
			}
			m.add("| ", strings.Join(cells, " | "), " |\n")
		}
	}
	_, err := io.WriteString(w, m.String())
	return err
}

// markup is text on its way out.
type markup struct{ strings.Builder }

func (m *markup) add(parts ...string) {
	for _, s := range parts {
		m.WriteString(s)
	}
}

func mapped(in []string, f func(string) string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

// markdown escapes text so that Markdown shows it as it is: nothing in it is a
// heading, a link, an image, HTML, a table's cell or emphasis. GitHub makes links of
// bare addresses, too, which an escaped colon or dot prevents.
func markdown(s string) string {
	s = safe(s)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '\\', '`', '*', '_', '[', ']', '|', '~', '$', '#', '!':
			b.WriteByte('\\')
			b.WriteByte(c)
		case ':':
			if strings.HasPrefix(s[i:], "://") {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case '.':
			if i >= 3 && strings.EqualFold(s[i-3:i], "www") {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case '@':
			b.WriteString("&#64;")
		case '+', '-', '=':
			if i == 0 { // a list, or a heading's underline
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case ')':
			if i > 0 && strings.Trim(s[:i], "0123456789") == "" { // a list
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	out := b.String()
	if n := len(out) - len(strings.TrimLeft(out, "0123456789")); n > 0 && n < len(out) && out[n] == '.' {
		out = out[:n] + `\` + out[n:] // "1. " begins a list
	}
	return strings.TrimSpace(out)
}

// codeSpan shows text as code: inside, only backquotes have a meaning.
func codeSpan(s string) string {
	s = safe(s)
	longest, run := 0, 0
	for i := 0; i < len(s); i++ {
		if s[i] == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", longest+1)
	if s == "" {
		return ""
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.TrimSpace(s) != s {
		s = " " + s + " "
	}
	return fence + s + fence
}
