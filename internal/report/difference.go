package report

import (
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// Difference is what changed since a saved snapshot.
type Difference struct {
	Since  time.Time
	Change monban.Change
}

func (d Difference) hideSecrets(m masker) Data { return d.masked(m) }

func (d Difference) masked(m masker) Difference {
	d.Change.Opened = m.doors(d.Change.Opened)
	d.Change.Closed = m.doors(d.Change.Closed)
	d.Change.Changed = slices.Clone(d.Change.Changed)
	for i, h := range d.Change.Changed {
		pair := m.doors([]monban.Door{h.Before, h.After})
		d.Change.Changed[i] = monban.Handover{Before: pair[0], After: pair[1]}
	}
	return d
}

type differenceWire struct {
	Since   time.Time      `json:"since"`
	Opened  []doorWire     `json:"opened"`
	Closed  []doorWire     `json:"closed"`
	Changed []handoverWire `json:"changed"`
}

type handoverWire struct {
	Before doorWire `json:"before"`
	After  doorWire `json:"after"`
}

func (d Difference) wire(v *view) any { return v.difference(d) }

func (v *view) difference(d Difference) differenceWire {
	w := differenceWire{Since: d.Since.UTC(), Opened: v.doors(d.Change.Opened),
		Closed: v.doors(d.Change.Closed), Changed: []handoverWire{}}
	for _, h := range d.Change.Changed {
		w.Changed = append(w.Changed, handoverWire{v.door(&h.Before), v.door(&h.After)})
	}
	return w
}

func (d Difference) text(p *printer, v *view) {
	d.changes(p, v)
	v.gapsText(p)
}

// changes writes one line for each door that opened, closed or changed hands.
func (d Difference) changes(p *printer, v *view) {
	since := d.Since.Local().Format("2006-01-02 15:04:05")
	opened, clientsCame := v.withoutClients(d.Change.Opened)
	closed, clientsWent := v.withoutClients(d.Change.Closed)
	if len(opened)+len(closed)+len(d.Change.Changed) == 0 {
		p.paragraph(span{}, p.f("No door opened, closed or changed hands since %s.", "%s 以降、開いたドア、閉じたドア、持ち主が変わったドアはありません。", since))
	} else {
		p.paragraph(span{}, p.f("Since %s:", "%s 以降の変化:", since))
	}
	for _, e := range opened {
		v.changeLine(p, span{green, p.f("+ opened   ", "+ 開いた    ")}, e)
	}
	for _, e := range closed {
		v.changeLine(p, span{red, p.f("- closed   ", "- 閉じた    ")}, e)
	}
	for i := range d.Change.Changed {
		h := &d.Change.Changed[i]
		p.paragraph(span{yellow, p.f("~ changed  ", "~ 持ち主交代 ")}, p.f("%[1]s/%[2]s: was %[3]s, is now %[4]s", "%[1]s/%[2]s: %[3]s → %[4]s",
			place(h.After.Bind), h.After.Bind.Port.Proto, v.who(&h.Before), v.who(&h.After)))
	}
	if clientsCame+clientsWent > 0 {
		p.paragraph(span{dim, ""}, p.f("(probable UDP clients: %d came, %d went)", "(UDP クライアントと思われるソケットの増減: +%d −%d)", clientsCame, clientsWent))
	}
}

func (v *view) changeLine(p *printer, lead span, e entry) {
	d := e.first()
	p.paragraph(lead, d.Bind.Port.String()+" "+v.addressCell(e)+"  "+v.who(d))
}

// withoutClients groups doors and counts the probable clients apart: they come
// and go with every query.
func (v *view) withoutClients(doors []monban.Door) (out []entry, clients int) {
	for _, e := range entries(doors) {
		if v.probableClient(e.first()) {
			clients++
			continue
		}
		out = append(out, e)
	}
	return out, clients
}
