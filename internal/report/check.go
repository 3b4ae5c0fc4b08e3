package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// Check is what will come of the doors that files and programs ask for.
type Check struct {
	Claims []monban.Checked
	// System says that the machine's known places were read, not named ones.
	System bool
	// Release is the version of monban, for formats that name their producer.
	Release string
}

func (c Check) hideSecrets(m masker) Data {
	out := slices.Clone(c.Claims)
	for i := range out {
		done := &out[i]
		done.Claim.Name = maskText(done.Claim.Name)
		done.Own = m.doors(done.Own)
		done.Judgement = m.judgement(done.Judgement)
	}
	c.Claims = out
	return c
}

type checkWire struct {
	Claims []claimWire `json:"claims"`
}

type claimWire struct {
	Name    string         `json:"name"`
	By      string         `json:"by"`
	Proto   monban.Proto   `json:"proto"`
	Address string         `json:"address"`
	Port    uint16         `json:"port"`
	File    string         `json:"file"`
	Line    int            `json:"line"`
	Outcome monban.Outcome `json:"outcome"`
	Stage   string         `json:"stage"`
	Errno   string         `json:"errno"`
	Cause   string         `json:"cause"`
	Also    []string       `json:"also,omitempty"`
	Against []string       `json:"against"`
	Why     string         `json:"why"`
	Fix     []fixWire      `json:"fix"`
}

func (c Check) wire(v *view) any {
	out := checkWire{Claims: []claimWire{}}
	for i := range c.Claims {
		done := &c.Claims[i]
		j := &done.Judgement
		out.Claims = append(out.Claims, claimWire{
			Name: done.Claim.Name, By: done.Claim.By, Proto: j.Bind.Port.Proto, Address: addrText(j.Bind), Port: j.Bind.Port.Num,
			File: done.Claim.Pos.File, Line: done.Claim.Pos.Line,
			Outcome: j.Outcome, Stage: j.Stage, Errno: j.Errno, Cause: j.Cause, Also: j.Also,
			Against: c.against(v, done), Why: c.why(v, done), Fix: v.fixes(j.Fix),
		})
	}
	return out
}

// against names who is in the way, or may be: claims, then what is open.
func (c Check) against(v *view, done *monban.Checked) []string {
	out := []string{}
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if o := done.Judgement.Outcome; o != monban.Fails && o != monban.OutcomeUnknown {
		return out
	}
	for _, r := range done.Rivals {
		rival := &c.Claims[r].Claim
		if rival.By == "claims" || rival.Pos.File == "" {
			add(rival.Name) // its author has named it
		} else {
			add(rival.Pos.String())
		}
	}
	for i := range done.Judgement.Against {
		d := &done.Judgement.Against[i]
		for k := range d.Owners {
			add(strconv.Itoa(d.Owners[k].PID))
		}
		if c := v.Snapshot.Container(d.To.Container); c != nil && len(d.Owners) == 0 {
			add(containerName(c))
		} else if len(d.Owners) == 0 {
			add(place(d.Bind) + "/" + d.Bind.Port.Proto.String())
		}
	}
	return out
}

// claimPlace is a claim as a sentence names it: "compose.yaml:7 (db)".
func claimPlace(c *monban.Claim) string {
	if c.Pos.File == "" {
		return c.Name
	}
	return c.Pos.String() + " (" + c.Name + ")"
}

func wanted(done *monban.Checked) string {
	b := done.Judgement.Bind
	return place(b) + "/" + b.Port.Proto.String()
}

// why says in a sentence or two why the outcome is what it is; "" where there is
// nothing to say.
func (c Check) why(v *view, done *monban.Checked) string {
	l, j := v.style.Lang, &done.Judgement
	title := v.causeTitle(j)
	switch j.Outcome {
	case monban.Running:
		return c.runningSentence(v, done)
	case monban.Fails:
		return joined(l, c.sides(v, done)+l.pick(".", "。"), title, v.also(j.Also, j.Fix, j.Bind.Port.Num))
	case monban.OutcomeUnknown:
		text := v.unknownSentence(j.Reason)
		if len(done.Rivals)+len(j.Against) > 0 {
			text = joined(l, c.sides(v, done)+l.pick(".", "。"), text)
		}
		return text
	}
	switch {
	case j.Cause == "L13" || j.Cause == "L14":
		return joined(l, l.say("The program starts without %s.", "プログラムは %s なしで起動します。", wanted(done)), title)
	case j.Cause == "D14":
		return joined(l, c.sides(v, done)+l.pick(".", "。"), l.say("The editor will forward it from %s instead, without a word.", "エディターは何も言わず、代わりに %s から転送します。", wanted(done)))
	case len(j.Against)+len(done.Rivals) > 0:
		return joined(l, c.sides(v, done)+l.pick(".", "。"), title, v.also(j.Also, j.Fix, j.Bind.Port.Num))
	case j.Cause == "D5":
		return joined(l, c.sides(v, done)+l.pick(".", "。"), v.restartSentence(j.Fix))
	}
	return ""
}

func (v *view) causeTitle(j *monban.Judgement) string {
	title, _, _ := causeText(j.Cause, v.style.Lang)
	if title == "" {
		return ""
	}
	return fillPort(title, j.Bind.Port.Num) + v.style.Lang.pick(".", "。")
}

func joined(l Lang, sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), l.pick(" ", ""))
}

func (c Check) runningSentence(v *view, done *monban.Checked) string {
	if len(done.Own) == 0 {
		return ""
	}
	d := &done.Own[0]
	return v.style.Lang.say("%[1]s has %[2]s already.", "%[1]s が %[2]s を使用中です。", v.who(d), place(d.Bind))
}

// sides names both sides: who asks for what, and who has it or asks before.
func (c Check) sides(v *view, done *monban.Checked) string {
	l := v.style.Lang
	asked := wanted(done)
	if done.Judgement.Cause == "D14" { // it gets another one
		asked = place(done.Claim.Bind) + "/" + done.Claim.Bind.Port.Proto.String()
	}
	parts := []string{l.say("%[1]s wants %[2]s", "%[1]s は %[2]s を必要としています", claimPlace(&done.Claim), asked)}
	var live []string
	for i := range done.Judgement.Against {
		d := &done.Judgement.Against[i]
		text := l.say("%[1]s has %[2]s", "%[2]s は %[1]s が使用中です", v.who(d), place(d.Bind))
		if !slices.Contains(live, text) {
			live = append(live, text)
		}
	}
	parts = append(parts, live...)
	for _, r := range done.Rivals {
		rival := &c.Claims[r]
		if rival.Judgement.Outcome == monban.Running {
			text := l.say("that is what %s asks for", "これは %s の設定によるものです", claimPlace(&rival.Claim))
			if !slices.Contains(parts, text) { // one line may open two sockets
				parts = append(parts, text)
			}
			continue
		}
		parts = append(parts, l.say("%[1]s asks for %[2]s, too", "%[1]s も %[2]s を使います",
			claimPlace(&rival.Claim), wanted(rival)))
	}
	if len(parts) == 1 && done.Judgement.Errno != "" {
		parts = append(parts, l.say("the system refuses: %s", "システムに拒否されます: %s", done.Judgement.Errno))
	}
	return strings.Join(parts, l.pick("; ", "。"))
}

func (c Check) text(p *printer, v *view) {
	told := 0
	for i := range c.Claims {
		if c.claimText(p, v, &c.Claims[i]) {
			told++
		}
	}
	if v.style.Verbose && len(c.Claims) > 0 {
		if told > 0 {
			p.blank()
		}
		c.tableText(p)
		p.blank()
	}
	for _, f := range v.Findings {
		if f.Severity > monban.Info || v.style.Verbose {
			p.paragraph(span{yellow, p.f("warning  ", "注意      ")}, v.findingSentence(f))
		}
	}
	c.gapsText(p, v)
	if told > 0 || v.style.Verbose && len(c.Claims) > 0 {
		p.blank()
	}
	unread := slices.ContainsFunc(v.Snapshot.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesClaims })
	p.paragraph(span{}, c.summary(p, unread))
	if slices.ContainsFunc(c.Claims, movable) {
		p.paragraph(span{dim, ""}, p.f("To move one side of a conflict to another port, in every file that has to agree: monban fix, with the same arguments (--dry-run shows it only)",
			"競合の一方を、関係するファイルごと別のポートに移すには: monban fix(引数は同じ。--dry-run を付けると表示だけ)"))
	}
	if len(c.Claims) == 0 && !c.System {
		p.paragraph(span{dim, ""}, p.f("For the daemons of this machine: monban check --system", "このマシンのデーモンを調べるには: monban check --system"))
	}
}

// movable reports whether monban fix may end what keeps a claim from starting.
func movable(done monban.Checked) bool {
	return done.Judgement.Outcome == monban.Fails && done.Judgement.Errno == "EADDRINUSE" && done.Claim.Pos.File != ""
}

// claimText writes a claim that has something to tell.
func (c Check) claimText(p *printer, v *view, done *monban.Checked) bool {
	j := &done.Judgement
	indent := pad("", 9)
	tag := span{red, p.f("fails    ", "失敗      ")}
	switch {
	case j.Outcome == monban.Fails:
	case j.Outcome == monban.OutcomeUnknown:
		tag = span{yellow, p.f("unknown  ", "不明      ")}
	case j.Outcome == monban.Starts && j.Cause != "":
		tag = span{yellow, p.f("note     ", "注意      ")}
	default:
		return false
	}
	if p.lang == JA {
		indent += " "
	}
	if j.Outcome == monban.Starts {
		p.paragraph(tag, c.why(v, done))
	} else {
		p.paragraph(tag, c.sides(v, done)+p.f(".", "。"))
	}
	switch title := v.causeTitle(j); {
	case j.Outcome == monban.OutcomeUnknown:
		p.paragraph(span{plain, indent}, v.unknownSentence(j.Reason))
	case title != "" && j.Outcome == monban.Fails:
		p.paragraph(span{plain, indent}, fmt.Sprintf("%s  [%s]", strings.TrimRight(title, ".。"), strings.Join(strings.Fields(j.Errno+" "+j.Cause), ", ")))
		if text := v.also(j.Also, j.Fix, j.Bind.Port.Num); text != "" {
			p.paragraph(span{plain, indent}, text)
		}
	}
	v.fixesText(p, j.Fix, indent)
	return true
}

// tableText lists every claim.
func (c Check) tableText(p *printer) {
	cols := []column{
		{title: p.f("OUTCOME", "結果")}, {title: p.f("ADDRESS", "アドレス"), min: 12}, {title: p.f("NAME", "名前"), min: 8, rank: 2},
		{title: p.f("FILE", "ファイル"), min: 16, rank: 1},
	}
	var rows [][]cell
	for i := range c.Claims {
		done := &c.Claims[i]
		style := plain
		switch done.Judgement.Outcome {
		case monban.Fails:
			style = red
		case monban.OutcomeUnknown:
			style = yellow
		}
		rows = append(rows, []cell{{style, outcomeWord(p, done.Judgement.Outcome)}, {plain, wanted(done)}, {plain, done.Claim.Name},
			{dim, done.Claim.Pos.String()}})
	}
	p.table(cols, []group{{rows: rows}})
}

func outcomeWord(p *printer, o monban.Outcome) string {
	switch o {
	case monban.Starts:
		return p.f("ok", "可")
	case monban.Running:
		return p.f("running", "動作中")
	case monban.Fails:
		return p.f("fails", "失敗")
	}
	return p.f("unknown", "不明")
}

// gapsText writes the gaps that can change the answer.
func (c Check) gapsText(p *printer, v *view) {
	gaps := DecidingGaps(c.Claims, v.Snapshot.Gaps)
	if v.style.Verbose {
		gaps = v.Snapshot.Gaps
	}
	for _, g := range gaps {
		p.paragraph(span{yellow, p.f("not seen ", "未確認    ")}, v.gapSentence(g))
	}
}

// DecidingGaps returns those of the gaps that could change what is said of the
// claims: what hides more claims, and what keeps one of them unknown.
func DecidingGaps(claims []monban.Checked, gaps []monban.Gap) []monban.Gap {
	var out []monban.Gap
	for _, g := range gaps {
		deciding := g.Hides == monban.HidesClaims
		for i := range claims {
			if j := &claims[i].Judgement; j.Outcome == monban.OutcomeUnknown {
				deciding = deciding || slices.ContainsFunc(j.Missing, func(m monban.Gap) bool { return m.Hides == g.Hides && m.Source == g.Source })
			}
		}
		if deciding {
			out = append(out, g)
		}
	}
	return out
}

// summary is the one line that is there when all is well.
func (c Check) summary(p *printer, unread bool) string {
	counts := map[monban.Outcome]int{}
	files := map[string]bool{}
	for i := range c.Claims {
		counts[c.Claims[i].Judgement.Outcome]++
		if f := c.Claims[i].Claim.Pos.File; f != "" {
			files[f] = true
		}
	}
	n := len(c.Claims)
	switch {
	case n == 0 && unread:
		return p.f("Nothing that could be read here asks for a port.", "読み取れた範囲では、ポートを必要とする設定は見つかりませんでした。")
	case n == 0:
		return p.f("Nothing here asks for a port.", "ポートを必要とする設定は見つかりませんでした。")
	}
	var said []string
	add := func(count int, en, ja string) {
		if count > 0 {
			said = append(said, p.f(en, ja, count))
		}
	}
	add(counts[monban.Fails], "%d cannot start", "%d 件は起動できません")
	add(counts[monban.OutcomeUnknown], "%d cannot be judged", "%d 件は判断できません")
	if len(said) == 0 && counts[monban.Starts] > 0 {
		said = append(said, p.f(plural(n, "it can start", "all can start"), "すべて起動できます"))
	}
	running := plural(counts[monban.Running], "%d is running already", "%d are running already")
	if counts[monban.Running] == n {
		said = append(said, p.f(plural(n, "it is running already", "all are running already"), "すべて動作中です"))
	} else {
		add(counts[monban.Running], running, "%d 件は既に動作中です")
	}
	if len(files) == 0 {
		return p.f(plural(n, "%[1]d claim", "%[1]d claims")+": %[2]s.", "%[1]d 件のポート指定: %[2]s。", n, strings.Join(said, p.lang.pick(", ", "、")))
	}
	return p.f(plural(n, "%[1]d claim", "%[1]d claims")+plural(len(files), " in %[2]d file", " in %[2]d files")+": %[3]s.",
		"%[2]d 個のファイルに %[1]d 件のポート指定: %[3]s。", n, len(files), strings.Join(said, p.lang.pick(", ", "、")))
}
