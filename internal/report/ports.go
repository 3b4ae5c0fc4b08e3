package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Ports is everything about some port numbers.
type Ports struct {
	Ports []PortView
}

// PortView is one port number: what is open on it here, its connections, and
// whether it could be opened now. What the number means comes from the book.
type PortView struct {
	// Port is the number asked for; AnyProto asks about every transport.
	Port    monban.Port
	Doors   []monban.Door
	Traffic []monban.Traffic
	Bind    []monban.Judgement
	// Local is the name in this machine's /etc/services where it differs from
	// the registry's; "" is none.
	Local string
}

func (ps Ports) hideSecrets(m masker) Data {
	out := make([]PortView, len(ps.Ports))
	for i, pv := range ps.Ports {
		pv.Doors = m.doors(pv.Doors)
		pv.Bind = append([]monban.Judgement{}, pv.Bind...)
		for j := range pv.Bind {
			pv.Bind[j] = m.judgement(pv.Bind[j])
		}
		out[i] = pv
	}
	return Ports{out}
}

// completeList is how many ports JSON lists whatever there is to say of them. Of
// all 65,536, nine in ten are quiet, and to say so of each took 40 MB.
const completeList = 4096

// quiet reports whether everything about a port goes without saying: no
// assignment, no use or risk of its own, nothing open, no connection, not
// reserved, and no bind that is known to fail.
func (v *view) quiet(pv PortView) bool {
	return len(pv.Doors) == 0 && len(pv.Traffic) == 0 && pv.Local == "" &&
		!slices.ContainsFunc(pv.Bind, func(j monban.Judgement) bool { return j.Outcome == monban.Fails }) &&
		!v.reserved(pv.Port) && !portbook.BrowserBlocked(pv.Port.Num) &&
		!v.Book.Has(pv.Port) &&
		!slices.ContainsFunc(v.Book.Practice(pv.Port), func(u portbook.Use) bool { return u.Ports.Len() <= 1000 }) &&
		!slices.ContainsFunc(v.Book.Risks(pv.Port), func(r portbook.Risk) bool { return r.Ports.Len() <= 1000 })
}

func (v *view) ephemeral(p monban.Port) bool {
	r := v.Snapshot.Host.Ephemeral
	return r.Last > 0 && r.Contains(p)
}

func (v *view) reserved(p monban.Port) bool {
	for _, r := range v.Snapshot.Host.Reserved {
		if r.Contains(p) {
			return true
		}
	}
	return false
}

// manyPorts is from how many ports on the text view becomes a table of those
// that have something to say.
const manyPorts = 12

func (ps Ports) text(p *printer, v *view) {
	if len(ps.Ports) >= manyPorts {
		ps.rangeText(p, v)
	} else {
		for i, pv := range ps.Ports {
			if i > 0 {
				p.blank()
			}
			v.portText(p, pv)
		}
	}
	v.findingsText(p)
	v.gapsText(p)
}

// rangeText is one line for each port that is open here or that practice knows.
func (ps Ports) rangeText(p *printer, v *view) {
	cols := []column{
		{title: p.f("PORT", "ポート")},
		{title: p.f("REGISTRY (IANA)", "台帳 (IANA)"), min: 10, rank: 1},
		{title: p.f("IN PRACTICE", "実際の用途"), min: 12},
		{title: p.f("HERE", "このマシン"), min: 12},
	}
	var g group
	quiet := 0
	for _, pv := range ps.Ports {
		var uses []string
		for _, u := range v.practice(pv.Port) {
			if u.Ports.Len() <= 1000 { // not a whole part of the number space
				uses = append(uses, u.Title().In(p.lang.String()))
			}
		}
		var here []string
		for _, e := range entries(pv.Doors) {
			here = append(here, v.addressCell(e)+" "+v.programCell(e).text)
		}
		if len(uses) == 0 && len(here) == 0 {
			quiet++
			continue
		}
		name := ""
		if rows := v.Book.Assigned(pv.Port); len(rows) > 0 {
			name = rows[0].Name
		}
		g.rows = append(g.rows, []cell{{bold, pv.Port.String()}, {plain, orDash(name)},
			{plain, orDash(strings.Join(uses, ", "))}, {plain, orDash(strings.Join(here, ", "))}})
	}
	if len(g.rows) > 0 {
		p.table(cols, []group{g})
		p.blank()
	}
	p.paragraph(span{}, p.f(
		"%[1]d ports: %[2]d are open here or well known in practice; the other %[3]d are neither. Ask for one number to see everything about it.",
		"%[1]d ポート中、ここで開いているか実用でよく知られているものは %[2]d、残り %[3]d はどちらでもありません。番号を 1 つ指定すると詳しく表示します。",
		len(ps.Ports), len(g.rows), quiet))
}

// label is the left column of the one-door view.
func (p *printer) label(en, ja string) span { return span{cyan, pad(p.f(en, ja), 14)} }

func (v *view) portText(p *printer, pv PortView) {
	port := pv.Port
	p.paragraph(span{bold, p.f("Port %s  ", "ポート %s  ", port.String())}, v.classSentence(port))
	v.meaningText(p, pv)
	v.hereText(p, pv)
	v.bindText(p, pv)
	lead := p.label("If exposed", "公開すると")
	for _, r := range v.Book.Risks(port) {
		p.paragraph(lead, fmt.Sprintf("[%s] %s: %s", v.severityWord(r.Severity), r.Title().In(p.lang.String()), r.Text.In(v.style.Lang.String())))
		p.paragraph(span{green, pad("", 14) + "→ "}, r.Remedy.In(v.style.Lang.String())+" ["+r.Source+"]")
		lead = p.label("", "")
	}
	v.notesText(p, pv)
}

func (v *view) severityWord(s monban.Severity) string {
	return strings.TrimSpace(severityTag(v.style.Lang, s).text)
}

func (v *view) classSentence(port monban.Port) string {
	l := v.style.Lang
	if port.Num == 0 {
		return l.pick(
			"not a door: a program that binds port 0 asks the kernel to choose a free ephemeral port.",
			"ドアではありません。ポート 0 を指定すると、空いている一時ポートをカーネルが選びます。")
	}
	switch port.Class() {
	case monban.WellKnown:
		if first := v.Snapshot.Host.Unprivileged; v.Snapshot.Host.OS == "linux" && port.Num >= first {
			return l.pick(
				"well-known (0–1023): assigned by IANA to standard services. On this machine ordinary users may open it too.",
				"ウェルノウンポート (0–1023): 標準サービス用に IANA が割り当てています。このマシンでは一般ユーザーも開けます。")
		}
		return l.pick(
			"well-known (0–1023): assigned by IANA to standard services; opening it takes privilege on most systems.",
			"ウェルノウンポート (0–1023): 標準サービス用に IANA が割り当てています。開くには多くのシステムで特権が必要です。")
	case monban.Registered:
		return l.pick(
			"registered (1024–49151): assigned by IANA on request; any user may open it.",
			"登録済みポート (1024–49151): 申請に応じて IANA が割り当てています。一般ユーザーも開けます。")
	default:
		return l.pick(
			"dynamic (49152–65535): never assigned; free for private and short-lived use.",
			"動的ポート (49152–65535): 割り当ては行われず、私用や一時的な用途に自由に使えます。")
	}
}

// meaningText shows the registry and practice, visibly apart.
func (v *view) meaningText(p *printer, pv PortView) {
	lead := p.label("IANA", "IANA")
	rows := v.Book.Assigned(pv.Port)
	if len(rows) == 0 {
		p.paragraph(lead, p.f("not assigned", "割り当てなし"))
	}
	for i := 0; i < len(rows); {
		e := rows[i]
		protos := e.Port.Proto.String()
		for i++; i < len(rows) && rows[i].Name == e.Name && rows[i].Description == e.Description; i++ {
			protos += "," + rows[i].Port.Proto.String()
		}
		text := e.Name
		if text == "" {
			text = "-"
		}
		text += " (" + protos + ")"
		if len(e.Aliases) > 0 {
			text += p.f(", also ", "、別名 ") + strings.Join(e.Aliases, ", ")
		}
		if e.Description != "" {
			text += " — " + e.Description
		}
		p.paragraph(lead, text)
		lead = p.label("", "")
	}
	if pv.Local != "" {
		p.paragraph(p.label("", ""), p.f("called %s in this machine's /etc/services", "このマシンの /etc/services では %s", pv.Local))
	}
	v.practiceText(p, pv)
}

// mostUses is how many uses of a number are told with their notes; a popular
// number has many more.
const mostUses = 4

// practiceText tells what is met at the number: what runs here first.
func (v *view) practiceText(p *printer, pv PortView) {
	uses := v.practice(pv.Port)
	here := make(map[string]bool)
	for i := range pv.Doors {
		if u, ok := v.useOf(&pv.Doors[i], uses); ok {
			here[u.Name] = true
		}
	}
	slices.SortStableFunc(uses, func(a, b portbook.Use) int {
		switch {
		case here[a.Name] && !here[b.Name]:
			return -1
		case here[b.Name] && !here[a.Name]:
			return 1
		}
		return 0
	})
	lead := p.label("In practice", "実際の用途")
	for i, u := range uses {
		if i == mostUses && len(uses) > mostUses+1 && !v.style.Verbose {
			var names []string
			for _, u := range uses[i:] {
				names = append(names, u.Title().In(p.lang.String()))
			}
			p.paragraph(lead, p.f("also ", "ほかに ")+strings.Join(names, p.f(", ", "、"))+p.f(" (-v tells more)", "(-v で詳しく表示)"))
			return
		}
		p.paragraph(lead, u.Title().In(p.lang.String())+" — "+u.Note.In(p.lang.String())+" ["+u.Source+"]")
		lead = p.label("", "")
	}
}

// practice returns the uses of a port, those that this system cannot have last.
func (v *view) practice(p monban.Port) []portbook.Use {
	uses := v.Book.Practice(p)
	slices.SortStableFunc(uses, func(a, b portbook.Use) int {
		switch os := v.Snapshot.Host.OS; {
		case a.MetOn(os) == b.MetOn(os):
			return 0
		case a.MetOn(os):
			return -1
		}
		return 1
	})
	return uses
}

func (v *view) notesText(p *printer, pv PortView) {
	lead := p.label("Note", "注意")
	note := func(en, ja string, args ...any) {
		p.paragraph(lead, p.f(en, ja, args...))
		lead = p.label("", "")
	}
	if r := v.Snapshot.Host.Ephemeral; v.ephemeral(pv.Port) && !v.reserved(pv.Port) {
		note("it lies in this machine's ephemeral range %d–%d: an outgoing connection may borrow it at any time.",
			"このマシンの一時ポートの範囲 %d–%d に入っています。外向きの接続に先に使われることがあります。", r.First, r.Last)
	}
	if v.reserved(pv.Port) {
		note("it is reserved on this machine: the kernel never hands it out by itself.",
			"このマシンでは予約済みです。カーネルが自動的に割り当てることはありません。")
	}
	if portbook.BrowserBlocked(pv.Port.Num) {
		note("browsers refuse to open it (ERR_UNSAFE_PORT): do not put a web server here.",
			"ブラウザーはこのポートへの接続を拒否します(ERR_UNSAFE_PORT)。ウェブサーバーには使わないでください。")
	}
}
