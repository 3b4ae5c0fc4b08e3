package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

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
				if also := v.also(j.Also, j.Fix, pv.Port.Num); also != "" {
					p.paragraph(span{plain, pad("", 16)}, also)
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
				if why := v.gapSentence(g); !said[why] {
					said[why] = true
					p.styledParagraph(span{plain, pad("", 16)}, dim, why)
				}
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
	if also := cmp.Or(v.also(j.Also, j.Fix, j.Bind.Port.Num), v.restartSentence(j.Fix)); also != "" {
		p.paragraph(span{plain, pad("", 16)}, also)
	}
	v.fixesText(p, j.Fix, pad("", 14))
}
