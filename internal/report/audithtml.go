package report

import (
	"io"
	"strings"

	"github.com/monban-dev/monban"
)

// writeHTML writes the report as one file with nothing outside of it: no script, no
// font, no image. It is written by hand because html/template would cost every
// start of the program a third of a millisecond; all that is not markup goes through
// [htmlText].
func (a Audit) writeHTML(w io.Writer, v *view) error {
	d := a.document(v)
	l := v.style.Lang
	m := &markup{}
	m.add("<!doctype html>\n<html lang=\"", l.String(), "\">\n<head>\n<meta charset=\"utf-8\">\n",
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
		"<meta name=\"color-scheme\" content=\"light dark\">\n",
		"<title>", htmlText(d.title), " – monban</title>\n<style>\n", auditStyle, "</style>\n</head>\n<body>\n<header>\n<h1>", htmlText(d.title), "</h1>\n")
	for _, s := range d.lead {
		m.add("<p>", htmlText(s), "</p>\n")
	}
	m.add("</header>\n<nav><ul>\n")
	for _, part := range d.parts {
		m.add("<li><a href=\"#", part.id, "\">", htmlText(part.title), "</a></li>\n")
	}
	m.add("</ul></nav>\n<main>\n")
	for _, part := range d.parts {
		m.add("<section id=\"", part.id, "\">\n<h2>", htmlText(part.title), "</h2>\n")
		if len(part.lead) > 0 {
			m.add("<ul class=\"lead\">\n")
			for _, s := range part.lead {
				m.add("<li>", htmlText(s), "</li>\n")
			}
			m.add("</ul>\n")
		}
		for _, item := range part.items {
			item.html(m, l)
		}
		part.html(m)
		m.add("</section>\n")
	}
	m.add("</main>\n<footer><p>monban ", htmlText(a.Release), "</p></footer>\n</body>\n</html>\n")
	_, err := io.WriteString(w, m.String())
	return err
}

func (item docItem) html(m *markup, l Lang) {
	class := "door"
	if item.severity != 0 {
		class = "finding " + item.severity.String()
	}
	m.add("<article class=\"", class, "\">\n<h3>")
	if item.severity != 0 {
		m.add("<span class=\"tag\">", severityWord(l, item.severity), "</span> ")
	}
	m.add(htmlText(item.head), "</h3>\n")
	if item.text != "" && item.text != "-" {
		m.add("<p>", htmlText(item.text), "</p>\n")
	}
	m.add("<ul>\n")
	for _, n := range item.notes {
		switch n.kind {
		case noteWho:
			label := ""
			if n.label != "" {
				label = "<b>" + htmlText(n.label) + "</b>: "
			}
			m.add("<li>", label, htmlText(n.text), "</li>\n")
		case noteRule:
			m.add("<li class=\"why\">", htmlText(n.text), "</li>\n")
		case noteEvidence:
			m.add("<li class=\"why\">", htmlText(n.label), ": <code>", htmlText(n.text), "</code></li>\n")
		case noteFix:
			m.add("<li class=\"fix\"><b>", l.pick("Remedy", "対策"), "</b>: ", htmlText(n.text), "</li>\n")
		case noteCommand:
			m.add("<li class=\"command\"><code>", htmlText(n.text), "</code></li>\n")
		}
	}
	m.add("</ul>\n</article>\n")
}

func (part docPart) html(m *markup) {
	if len(part.rows) == 0 {
		return
	}
	m.add("<div class=\"wide\"><table>\n<thead><tr>")
	for _, h := range part.head {
		m.add("<th>", htmlText(h), "</th>")
	}
	m.add("</tr></thead>\n<tbody>\n")
	for _, row := range part.rows {
		class := ""
		if row.marked {
			class = " class=\"differs\""
		}
		m.add("<tr", class, ">")
		for _, c := range row.cells {
			m.add("<td>", htmlText(c), "</td>")
		}
		m.add("</tr>\n")
	}
	m.add("</tbody>\n</table></div>\n")
}

// htmlText escapes text for HTML, between tags and in quoted attributes.
func htmlText(s string) string {
	s = safe(s)
	if !strings.ContainsAny(s, `&<>"'`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '"':
			b.WriteString("&#34;")
		case '\'':
			b.WriteString("&#39;")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// auditStyle follows the reader's light or dark setting, fits a phone, and prints
// without its colours.
const auditStyle = `:root{color-scheme:light dark;--text:#1b1f24;--dim:#57606a;--page:#fff;--card:#f6f8fa;--line:#d0d7de;--link:#0550ae;--critical:#a40e26;--high:#cf222e;--medium:#9a6700;--low:#0969da;--info:#57606a}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--dim:#9da7b3;--page:#0d1117;--card:#161b22;--line:#30363d;--link:#79b8ff;--critical:#ff7b72;--high:#ff7b72;--medium:#e3b341;--low:#79b8ff;--info:#9da7b3}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--page);color:var(--text);font:1rem/1.55 system-ui,"Hiragino Sans","Noto Sans CJK JP","Yu Gothic UI",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:0 0 .3rem}
header p{margin:.2rem 0}nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1rem;list-style:none;padding:0}a{color:var(--link)}
article{background:var(--card);border:1px solid var(--line);border-left:.3rem solid var(--line);border-radius:.4rem;padding:.6rem .8rem;margin:.6rem 0;break-inside:avoid}
article p{margin:.2rem 0}article ul{margin:.3rem 0;padding-left:1.2rem}.why,footer{color:var(--dim);font-size:.9rem}.why{margin-left:1rem}.command{list-style:none}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.9em}.command code{background:var(--page);border:1px solid var(--line);border-radius:.3rem;padding:.1rem .4rem}
.tag{font-size:.8rem;text-transform:uppercase;letter-spacing:.03em}.critical{border-left-color:var(--critical)}.critical .tag{color:var(--critical)}.high{border-left-color:var(--high)}.high .tag{color:var(--high)}.medium{border-left-color:var(--medium)}.medium .tag{color:var(--medium)}.low{border-left-color:var(--low)}.low .tag{color:var(--low)}.info{border-left-color:var(--info)}.info .tag{color:var(--info)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;vertical-align:top;border-bottom:1px solid var(--line);padding:.3rem .5rem}.differs td{color:var(--critical);font-weight:600}
@media print{body{max-width:none;font-size:10pt}nav{display:none}article{background:none}.wide{overflow:visible}}
`

// severityScore is how severe a finding is on the scale that code hosts read
// ("security-severity", 0 to 10).
func severityScore(s monban.Severity) string {
	switch s {
	case monban.Critical:
		return "9.5"
	case monban.High:
		return "8.0"
	case monban.Medium:
		return "5.5"
	case monban.Low:
		return "2.5"
	}
	return "0.0"
}
