package report

import (
	"fmt"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Search is what the port book has about a word.
type Search struct {
	Word string
	Hits []portbook.Hit
	// More is how many further hits were left out.
	More int
}

func (s Search) hideSecrets(masker) Data { return s }

type searchWire struct {
	Word string    `json:"word"`
	Hits []hitWire `json:"hits"`
	More int       `json:"more"`
}

type hitWire struct {
	Port        string       `json:"port"`
	Proto       monban.Proto `json:"proto"`
	First       uint16       `json:"first"`
	Last        uint16       `json:"last"`
	Class       monban.Class `json:"class"`
	Layer       string       `json:"layer"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
}

func (s Search) wire(v *view) any {
	out := searchWire{Word: s.Word, Hits: []hitWire{}, More: s.More}
	for _, h := range s.Hits {
		out.Hits = append(out.Hits, hitWire{
			Port: h.Ports.String(), Proto: h.Ports.Proto, First: h.Ports.First, Last: h.Ports.Last,
			Class: monban.Port{Num: h.Ports.First}.Class(),
			Layer: h.Layer.String(), Name: h.Title.In(v.style.Lang.String()), Description: h.Note.In(v.style.Lang.String()),
		})
	}
	return out
}

func (s Search) text(p *printer, v *view) {
	if len(s.Hits) == 0 {
		p.paragraph(span{}, p.f("Nothing in the port book matches %q.", "ポート台帳に %q に一致するものはありません。", s.Word))
		v.gapsText(p)
		return
	}
	cols := []column{
		{title: p.f("PORT", "ポート")},
		{title: p.f("FROM", "出所"), rank: 2},
		{title: p.f("NAME", "名前"), min: 8},
		{title: p.f("WHAT FOR", "用途"), min: 20},
	}
	var g group
	for _, h := range s.Hits {
		from := "IANA"
		st := plain
		if h.Layer == portbook.Practice {
			from, st = p.f("practice", "実用"), bold
		}
		g.rows = append(g.rows, []cell{{bold, h.Ports.String()}, {dim, from}, {st, orDash(h.Title.In(p.lang.String()))}, {plain, h.Note.In(p.lang.String())}})
	}
	p.table(cols, []group{g})
	if s.More > 0 {
		p.line(span{dim, p.f("… and %d more; a longer word narrows it, --all shows them.", "… ほか %d 件。言葉を長くすると絞り込めます。--all ですべて表示します。", s.More)})
	}
	v.gapsText(p)
}

// Update is what became of `ports update`.
type Update struct {
	From string // file or address it came from
	Path string // where it was put
	Rows int
	Date string
	// Before is the number of rows of the registry it replaces, DateBefore its date.
	Before     int
	DateBefore string
}

func (u Update) hideSecrets(masker) Data { u.From = maskText(u.From); return u }

type updateWire struct {
	From   string `json:"from"`
	Path   string `json:"path"`
	Rows   int    `json:"rows"`
	Date   string `json:"date"`
	Before int    `json:"before"`
}

func (u Update) wire(*view) any { return updateWire{u.From, u.Path, u.Rows, u.Date, u.Before} }

func (u Update) text(p *printer, v *view) {
	p.paragraph(span{}, p.f(
		"The port registry is now that of %[1]s with %[2]d rows (before: %[3]s, %[4]d rows). It was checked and put in %[5]s.",
		"ポート台帳を %[1]s 版(%[2]d 行)に更新しました(以前は %[3]s 版、%[4]d 行)。内容を検査し、%[5]s に保存しました。",
		u.Date, u.Rows, u.DateBefore, u.Before, u.Path))
	v.gapsText(p)
}

// Version is what this binary is.
type Version struct {
	Version  string
	Revision string
	Go       string
	OS, Arch string
	Registry string // date of the port registry
	Rows     int
	// Cgo: this program is linked with C, and cannot give up capabilities.
	Cgo bool
}

func (ver Version) hideSecrets(masker) Data { return ver }

type versionWire struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Registry struct {
		Date string `json:"date"`
		Rows int    `json:"rows"`
	} `json:"registry"`
	Cgo bool `json:"cgo"`
}

func (ver Version) wire(*view) any {
	w := versionWire{Version: ver.Version, Revision: ver.Revision, Go: ver.Go, OS: ver.OS, Arch: ver.Arch, Cgo: ver.Cgo}
	w.Registry.Date, w.Registry.Rows = ver.Registry, ver.Rows
	return w
}

func (ver Version) text(p *printer, v *view) {
	line := "monban " + ver.Version
	if ver.Revision != "" {
		line += " (" + ver.Revision + ")"
	}
	p.line(span{bold, line})
	p.line(span{plain, fmt.Sprintf("%s %s/%s", ver.Go, ver.OS, ver.Arch)})
	p.line(span{plain, p.f("port registry of %s, %d rows", "ポート台帳 %s、%d 行", ver.Registry, ver.Rows)})
	if ver.Cgo {
		p.line(span{plain, p.f("Linked with C: as root it cannot give up the capabilities that it does not need (monban's docs/security.md). Built with CGO_ENABLED=0 it can.",
			"C とリンクしてビルドされているため、root で動かしたとき、不要なケーパビリティーを手放せません(monban の docs/security.md)。CGO_ENABLED=0 でビルドすれば手放せます。")})
	}
	v.gapsText(p)
}
