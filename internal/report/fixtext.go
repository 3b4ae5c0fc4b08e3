package report

import (
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

func (f Fix) text(p *printer, v *view) {
	if !f.PlanShown {
		f.planText(p, v)
	}
	f.outcomeText(p, v)
	for _, g := range v.Snapshot.Gaps {
		if g.Hides == monban.HidesClaims {
			p.paragraph(span{yellow, pad(p.f("Not seen", "未確認"), 14)}, v.gapSentence(g))
		}
	}
}

// planText shows who moves where and why, and the difference in the files.
func (f Fix) planText(p *printer, v *view) {
	lead := p.label("Move", "移動")
	for i := range f.Moves {
		m := &f.Moves[i]
		p.paragraph(lead, f.moveSentence(v, m))
		p.styledParagraph(span{plain, pad("", 14)}, dim, f.whySentence(v, m))
		for _, pos := range m.Stay {
			p.paragraph(span{plain, pad("", 14)}, p.f("%s keeps %d: it speaks of the program that stays.", "%s は %d のままです。動かさないプログラムを指しています。", pos, m.From))
		}
		if m.Runs {
			p.paragraph(span{plain, pad("", 14)}, p.f("It runs already, with other ports: restart it afterwards.", "ほかのポートで動作中です。変更後に再起動してください。"))
		}
		lead = p.label("", "")
	}
	if f.Undo && len(f.Files) > 0 {
		p.paragraph(p.label("Take back", "取り消し"), p.f("the change of %s", "%s の変更", f.At.Local().Format("2006-01-02 15:04:05")))
	}
	check := Check{Claims: f.Before}
	lead = p.label("Cannot fix", "修正不可")
	lead.style = red
	for i := range f.Left {
		l := &f.Left[i]
		p.paragraph(lead, check.sides(v, &f.Before[l.Claim])+p.f(".", "。"))
		p.paragraph(span{plain, pad("", 14)}, v.obstacleSentence(l))
		v.fixesText(p, l.Fix, pad("", 14))
		lead = p.label("", "")
	}
	for _, file := range f.Files {
		p.blank()
		file.diffText(p)
	}
	if len(f.Files) > 0 {
		p.blank()
	}
}

// around is how many lines a difference shows around what changes.
const around = 3

// diffText writes a unified difference. Line ends are left out: they stay what
// they are.
func (f FixFile) diffText(p *printer) {
	name := f.Name
	if f.Target != "" {
		name = f.Target
		p.line(span{dim, p.f("%s is a link to %s:", "%s は %s へのリンクです:", f.Name, f.Target)})
	}
	p.line(span{bold, "--- " + name})
	p.line(span{bold, "+++ " + name})
	before, after := splitLines(f.Before), splitLines(f.After)
	changed := f.lines()
	for len(changed) > 0 {
		n := 1
		for n < len(changed) && changed[n].num-changed[n-1].num <= 2*around+1 {
			n++
		}
		first, last := max(1, changed[0].num-around), min(len(before), changed[n-1].num+around)
		p.line(span{cyan, fmt.Sprintf("@@ -%[1]d,%[2]d +%[1]d,%[2]d @@", first, last-first+1)})
		for num := first; num <= last; {
			if before[num-1] == after[num-1] {
				p.sourceLine(plain, " ", before[num-1])
				num++
				continue
			}
			from := num
			for num <= last && before[num-1] != after[num-1] {
				p.sourceLine(red, "-", before[num-1])
				num++
			}
			for ; from < num; from++ {
				p.sourceLine(green, "+", after[from-1])
			}
		}
		changed = changed[n:]
	}
}

// sourceLine writes a line of a file. A tab stays one.
func (p *printer) sourceLine(s style, sign, line string) {
	parts := strings.Split(sign+line, "\t")
	for i := range parts {
		parts[i] = safe(parts[i])
	}
	p.put(s, strings.Join(parts, "\t"))
	p.w.WriteByte('\n')
}

// outcomeText says what came of it.
func (f Fix) outcomeText(p *printer, v *view) {
	lead := p.label("Result", "結果")
	switch {
	case f.Outcome == FixPlanned && len(f.Files) == 0:
	case f.Outcome == FixPlanned, f.Outcome == FixNothing:
		lead = span{}
	case f.Outcome == FixDone && len(f.Left) == 0, f.Outcome == FixUndone:
		lead.style = green
	case f.Outcome == FixFailed, f.Outcome == FixRefused:
		lead.style = red
	}
	p.paragraph(lead, f.sentence(v))
}
