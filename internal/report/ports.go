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

type portsWire struct {
	Ports []portWire `json:"ports"`
	// Quiet counts the ports that were asked for and left out of a long list.
	Quiet int `json:"quiet"`
}

type portWire struct {
	Port        uint16         `json:"port"`
	Class       monban.Class   `json:"class"`
	Registry    []registryWire `json:"registry"`
	Practice    []practiceWire `json:"practice"`
	Risk        []riskWire     `json:"risk"`
	Doors       []doorWire     `json:"doors"`
	Connections trafficWire    `json:"connections"`
	Bind        []bindWire     `json:"bind"`
	Ephemeral   bool           `json:"ephemeral"`
	Reserved    bool           `json:"reserved"`
	Blocked     bool           `json:"browser_blocked"`
}

type registryWire struct {
	Proto       monban.Proto `json:"proto"`
	Name        string       `json:"name"`
	Aliases     []string     `json:"aliases"`
	Description string       `json:"description"`
}

type practiceWire struct {
	Name   string `json:"name"`
	Note   string `json:"note"`
	Source string `json:"source"`
}

type riskWire struct {
	Severity monban.Severity `json:"severity"`
	Text     string          `json:"text"`
	Remedy   string          `json:"remedy"`
	Source   string          `json:"source"`
}

type trafficWire struct {
	Established int        `json:"established"`
	TimeWait    int        `json:"time_wait"`
	Peers       []peerWire `json:"peers"`
}

type peerWire struct {
	Address string `json:"address"`
	Count   int    `json:"count"`
}

type bindWire struct {
	Proto   monban.Proto   `json:"proto"`
	Address string         `json:"address"`
	Outcome monban.Outcome `json:"outcome"`
	Errno   string         `json:"errno"`
	Cause   string         `json:"cause"`
	Fix     []fixWire      `json:"fix"`
}

func (ps Ports) wire(v *view) any {
	out := portsWire{Ports: []portWire{}}
	for _, pv := range ps.Ports {
		if len(ps.Ports) > completeList && v.quiet(pv) {
			out.Quiet++
			continue
		}
		out.Ports = append(out.Ports, v.port(pv))
	}
	return out
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

func (v *view) port(pv PortView) portWire {
	w := portWire{
		Port: pv.Port.Num, Class: pv.Port.Class(),
		Registry: []registryWire{}, Practice: []practiceWire{}, Risk: []riskWire{}, Bind: []bindWire{},
		Doors:     v.doors(pv.Doors),
		Ephemeral: v.ephemeral(pv.Port), Reserved: v.reserved(pv.Port), Blocked: portbook.BrowserBlocked(pv.Port.Num),
	}
	for _, e := range v.Book.Assigned(pv.Port) {
		w.Registry = append(w.Registry, registryWire{e.Port.Proto, e.Name, nonNil(e.Aliases), e.Description})
	}
	for _, u := range v.practice(pv.Port) {
		w.Practice = append(w.Practice, practiceWire{u.Title().In(v.style.Lang.String()), u.Note.In(v.style.Lang.String()), u.Source})
	}
	for _, r := range v.Book.Risks(pv.Port) {
		w.Risk = append(w.Risk, riskWire{r.Severity, r.Text.In(v.style.Lang.String()), r.Remedy.In(v.style.Lang.String()), r.Source})
	}
	w.Connections.Peers = []peerWire{}
	for _, t := range pv.Traffic {
		w.Connections.Established += t.Established
		w.Connections.TimeWait += t.TimeWait
		for _, peer := range t.Peers {
			w.Connections.Peers = append(w.Connections.Peers, peerWire{peer.Addr.String(), peer.Count})
		}
	}
	for _, j := range pv.Bind {
		w.Bind = append(w.Bind, bindWire{j.Bind.Port.Proto, addrText(j.Bind), j.Outcome, j.Errno, j.Cause, v.fixes(j.Fix)})
	}
	return w
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
	p.paragraph(span{bold, p.f("Port %s  ", "ポート %s  ", port)}, v.classSentence(port))
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

func (v *view) hereText(p *printer, pv PortView) {
	lead := p.label("Here now", "いまここでは")
	if len(pv.Doors) == 0 {
		if g := v.doorsGap(); g != nil {
			p.paragraph(lead, p.f("nothing seen, but not everything could be seen", "見つかりません(ただし、すべてを確認できたわけではありません)"))
		} else {
			p.paragraph(lead, p.f("nothing is open", "開いていません"))
		}
	}
	doors := entries(pv.Doors)
	for _, e := range doors {
		d := e.first()
		p.paragraph(lead, d.Bind.Port.String()+" "+v.addressCell(e)+"  "+v.who(d)+v.stateNote(d))
		lead = p.label("", "")
		v.ownerText(p, d)
	}
	lead = p.label("Who gets in", "届く範囲")
	for _, e := range doors {
		at := ""
		if len(doors) > 1 {
			at = e.first().Bind.Port.Proto.String() + " " + v.addressCell(e) + "  "
		}
		lead = v.reachText(p, e, lead, at)
	}
	for _, t := range pv.Traffic {
		if t.Established+t.TimeWait+t.Other == 0 {
			continue
		}
		text := p.f("%s: %d established, %d in TIME_WAIT", "%s: 接続中 %d、TIME_WAIT %d", t.Port.Proto, t.Established, t.TimeWait)
		if t.Other > 0 {
			text += p.f(", %d opening or closing", "、確立・終了の途中 %d", t.Other)
		}
		var peers []string
		for _, peer := range t.Peers {
			peers = append(peers, fmt.Sprintf("%s ×%d", peer.Addr, peer.Count))
		}
		if len(peers) > 0 {
			text += p.f("; peers: ", "。相手: ") + strings.Join(peers, ", ")
		}
		p.paragraph(p.label("Connections", "接続"), text)
	}
}

func (v *view) doorsGap() *monban.Gap {
	for i, g := range v.Snapshot.Gaps {
		if g.Hides == monban.HidesDoors {
			return &v.Snapshot.Gaps[i]
		}
	}
	return nil
}

func (v *view) stateNote(d *monban.Door) string {
	l := v.style.Lang
	switch {
	case d.State == monban.Forwarded:
		return l.pick(" — forwarded ", " — 転送先 ") + v.targetText(d)
	case d.To.Port != 0:
		return " " + v.targetText(d)
	case d.State == monban.Bound && d.Bind.Port.Proto == monban.TCP:
		return l.pick(" — holds the port but does not listen", " — ポートを確保しているが待ち受けていない")
	}
	return ""
}

// ownerText shows what is known about the programs behind one door.
func (v *view) ownerText(p *printer, d *monban.Door) {
	indent := pad("", 16)
	for i := range d.Owners {
		o := &d.Owners[i]
		if i > 0 {
			const most = 3
			if i > most {
				p.line(span{dim, indent + p.f("… and %d more processes", "… ほか %d プロセス", len(d.Owners)-i)})
				break
			}
			p.line(span{plain, indent + p.f("with %s (pid %d)", "同じソケット: %s(pid %d)", o.Name, o.PID)})
			continue
		}
		if o.Exe != "" {
			exe := o.Exe
			if o.Deleted {
				exe += p.f(" (deleted from disk)", "(ディスクから削除済み)")
			}
			p.line(span{dim, indent + pad(p.f("program", "実行ファイル"), 12) + " "}, span{plain, exe})
		}
		if len(o.Command) > 0 {
			p.line(span{dim, indent + pad(p.f("command", "コマンド"), 12) + " "}, span{plain, clip(strings.Join(o.Command, " "), p.width-29)})
		}
		if o.User != "" {
			p.line(span{dim, indent + pad(p.f("user", "ユーザー"), 12) + " "}, span{plain, o.User})
		}
		by := v.startedBy(o)
		if chain := parentChain(o); chain != "" && chain != by {
			by += "  (" + chain + ")"
		}
		if by != "-" {
			p.line(span{dim, indent + pad(p.f("started by", "起動元"), 12) + " "}, span{plain, by})
		}
		if !o.Started.IsZero() {
			p.line(span{dim, indent + pad(p.f("since", "開始"), 12) + " "}, span{plain, o.Started.Local().Format("2006-01-02 15:04:05") + p.f(" (%s ago)", "(%s前)", v.age(o.Started))})
		}
		if o.Project != "" {
			p.line(span{dim, indent + pad(p.f("project", "プロジェクト"), 12) + " "}, span{plain, o.Project})
		}
		if o.Dir != "" && o.Dir != o.Project {
			p.line(span{dim, indent + pad(p.f("directory", "フォルダー"), 12) + " "}, span{plain, o.Dir})
		}
	}
}

// clip cuts text for a terminal; in a pipe n is negative and nothing is cut.
func clip(s string, n int) string {
	if n < 10 {
		return s
	}
	return fit(safe(s), n)
}

// bindText answers "can I open it now".
func (v *view) bindText(p *printer, pv PortView) {
	lead := p.label("Open it now?", "いま開けるか")
	said := make(map[string]bool)
	for _, j := range pv.Bind {
		target := place(j.Bind) + "/" + j.Bind.Port.Proto.String()
		switch j.Outcome {
		case monban.Starts:
			text := p.f("%s — yes", "%s — 開けます", target)
			if len(j.Missing) > 0 {
				text += p.f(", unless a program holds it without listening, which this system does not show",
					"(待ち受けずにポートを確保しているプログラムがあれば別です。このシステムでは確認できません)")
			}
			v.butText(p, lead, text, j)
		case monban.Fails:
			title, why, _ := causeText(j.Cause, p.lang)
			title, why = fillPort(title, pv.Port.Num), fillPort(why, pv.Port.Num)
			text := p.f("%s — no: %s", "%s — 開けません: %s", target, j.Errno)
			if title != "" {
				text += " " + p.f("(%s, %s)", "(%s: %s)", j.Cause, title)
			}
			p.paragraph(lead, text)
			if !said[j.Cause] {
				said[j.Cause] = true
				if len(j.Against) > 0 {
					p.paragraph(span{plain, pad("", 16)}, p.f("in the way: %s", "妨げているもの: %s", v.everyone(j.Against)))
				}
				if why != "" {
					p.styledParagraph(span{plain, pad("", 16)}, dim, why)
				}
			}
			var fresh []monban.Fix
			for _, f := range j.Fix {
				key := v.fixSentence(f)
				if f.Code == "other-port" {
					key = f.Code // one free port is enough
				}
				if !said[key] {
					said[key] = true
					fresh = append(fresh, f)
				}
			}
			v.fixesText(p, fresh, pad("", 14))
		default:
			p.paragraph(lead, p.f("%s — cannot be told", "%s — 判断できません", target))
			if why := v.unknownSentence(j.Reason); why != "" && !said[j.Reason] {
				said[j.Reason] = true
				p.styledParagraph(span{plain, pad("", 16)}, dim, why)
			}
			for _, g := range j.Missing {
				p.styledParagraph(span{plain, pad("", 16)}, dim, v.gapSentence(g))
			}
		}
		lead = p.label("", "")
	}
}

// butText says yes, and what people would not expect of the door all the same.
func (v *view) butText(p *printer, lead span, yes string, j monban.Judgement) {
	title, _, _ := causeText(j.Cause, p.lang)
	if title == "" {
		p.paragraph(lead, yes)
		return
	}
	p.paragraph(lead, yes+p.f(", but: %s (%s)", "。ただし: %s(%s)", fillPort(title, j.Bind.Port.Num), j.Cause))
	if len(j.Against) > 0 {
		p.paragraph(span{plain, pad("", 16)}, p.f("concerned: %s", "関係するもの: %s", v.everyone(j.Against)))
	}
	v.fixesText(p, j.Fix, pad("", 14))
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
