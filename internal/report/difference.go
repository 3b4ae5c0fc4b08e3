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
	// Judged says that the rules of both sides are known, and Reach at which doors
	// that both have others come in now.
	Judged bool
	Reach  []ReachChange
}

// ReachChange is a door, or the doors of one port, that others can reach now.
type ReachChange struct {
	Port   monban.Port
	Device string // the interface that it is about; "" is every one alike
	// Gain come in now and did not before, Lose no longer do.
	Gain, Lose []monban.AddrRange
	// Opened: everybody comes in, and nobody did. Closed: nobody does any more.
	Opened, Closed bool
	Doors          []monban.Door
}

// NotSaved is the error of a gap: what a saved view does not hold.
const NotSaved = "not saved"

func (d Difference) hideSecrets(m masker) Data { return d.masked(m) }

func (d Difference) masked(m masker) Difference {
	d.Change.Opened = m.doors(d.Change.Opened)
	d.Change.Closed = m.doors(d.Change.Closed)
	d.Change.Changed = slices.Clone(d.Change.Changed)
	for i, h := range d.Change.Changed {
		pair := m.doors([]monban.Door{h.Before, h.After})
		d.Change.Changed[i] = monban.Handover{Before: pair[0], After: pair[1]}
	}
	d.Reach = slices.Clone(d.Reach)
	for i := range d.Reach {
		d.Reach[i].Doors = m.doors(d.Reach[i].Doors)
	}
	return d
}

type differenceWire struct {
	Since   time.Time      `json:"since"`
	Opened  []doorWire     `json:"opened"`
	Closed  []doorWire     `json:"closed"`
	Changed []handoverWire `json:"changed"`
	// Reach is absent where it was not judged on both sides: absent is not nothing.
	Reach *[]reachChangeWire `json:"reach,omitempty"`
}

type reachChangeWire struct {
	Proto  monban.Proto       `json:"proto"`
	Port   uint16             `json:"port"`
	Device string             `json:"device"`
	Gain   []monban.AddrRange `json:"gain"`
	Lose   []monban.AddrRange `json:"lose"`
	Opened bool               `json:"opened"`
	Closed bool               `json:"closed"`
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
	if d.Judged {
		reach := []reachChangeWire{}
		for _, c := range d.Reach {
			reach = append(reach, reachChangeWire{c.Port.Proto, c.Port.Num, c.Device, nonNil(c.Gain), nonNil(c.Lose), c.Opened, c.Closed})
		}
		w.Reach = &reach
	}
	return w
}

func (d Difference) text(p *printer, v *view) {
	d.changes(p, v)
	v.gapsText(p)
}

// changes writes one line for each door that opened, closed, changed hands or is
// reached by others.
func (d Difference) changes(p *printer, v *view) {
	since := d.Since.Local().Format("2006-01-02 15:04:05")
	opened, clientsCame := v.withoutClients(d.Change.Opened)
	closed, clientsWent := v.withoutClients(d.Change.Closed)
	switch {
	case len(opened)+len(closed)+len(d.Change.Changed)+len(d.Reach) > 0:
		p.paragraph(span{}, p.f("Since %s:", "%s 以降の変化:", since))
	case d.Judged:
		p.paragraph(span{}, p.f("No door opened, closed or changed hands since %s, and who can reach them is the same.", "%s 以降、開いたドア、閉じたドア、持ち主が変わったドアはありません。届く相手も変わっていません。", since))
	default:
		p.paragraph(span{}, p.f("No door opened, closed or changed hands since %s.", "%s 以降、開いたドア、閉じたドア、持ち主が変わったドアはありません。", since))
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
	for i := range d.Reach {
		d.Reach[i].line(p, v)
	}
	if clientsCame+clientsWent > 0 {
		p.paragraph(span{dim, ""}, p.f("(probable UDP clients: %d came, %d went)", "(UDP クライアントと思われるソケットの増減: +%d −%d)", clientsCame, clientsWent))
	}
}

// line says who comes in now, or no longer.
func (c *ReachChange) line(p *printer, v *view) {
	const most = 6
	list := func(r []monban.AddrRange) string { return v.sourcesText(r, most) }
	var text string
	switch {
	case c.Opened:
		text = p.f("everyone can reach it now; before, nobody could", "いまは誰でも届きます(以前は誰にも届きませんでした)")
	case c.Closed:
		text = p.f("nobody outside can reach it any more; before: %s", "いまは外から届きません(以前届いた相手: %s)", list(c.Lose))
	case len(c.Lose) == 0:
		text = p.f("now also reached from: %s", "新たに届く相手: %s", list(c.Gain))
	case len(c.Gain) == 0:
		text = p.f("no longer reached from: %s", "届かなくなった相手: %s", list(c.Lose))
	default:
		text = p.f("now also reached from: %[1]s; no longer from: %[2]s", "新たに届く相手: %[1]s、届かなくなった相手: %[2]s", list(c.Gain), list(c.Lose))
	}
	where := ""
	if c.Device != "" {
		where = p.f(" (by %s)", "(%s から)", c.Device)
	}
	name := ""
	if len(c.Doors) > 0 {
		name = "  " + v.who(&c.Doors[0])
	}
	style := yellow
	if c.Closed {
		style = green
	}
	p.paragraph(span{style, p.f("~ reach    ", "~ 届く相手  ")}, c.Port.String()+name+": "+text+where)
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
