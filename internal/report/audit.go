package report

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Audit is the whole exposure of a machine: every door with who can reach it, and
// what somebody saw from outside.
type Audit struct {
	Doors []monban.Door
	// FrontEnds are the programs that keep this machine's rules: "ufw".
	FrontEnds []string
	// Policy is the file of the policy that was looked at; "" is none.
	Policy string
	// Observer is who looked from outside; nil is nobody.
	Observer *Observer
	Compared []monban.Comparison
	// Incomplete says that something unseen could change the answer.
	Incomplete bool
	// Release is the version of monban.
	Release string
}

// Observer is from where, and when, somebody looked at this machine.
type Observer struct {
	// Namespace is the network namespace that was looked from, as it was named, or
	// File the result of a scan made elsewhere.
	Namespace, File string
	NetNS           string
	At              time.Time
	// From are the addresses of the observer, Targets this machine's that were
	// looked at, and Foreign those that are not this machine's, left out.
	From, Targets, Foreign []netip.Addr
	// Unrouted are those of this machine's that there was no way to from there.
	Unrouted []netip.Addr
	// As are the addresses that were looked at in place of this machine's.
	As []SeenAs
}

// SeenAs is an address that is translated to one of this machine's, one to one, on
// the way.
type SeenAs struct {
	Seen  netip.Addr `json:"seen"`
	Local netip.Addr `json:"local"`
}

// TooManyAddresses is the error of a gap: not all of this machine's addresses were
// looked at from outside.
const TooManyAddresses = "too many addresses"

func (a Audit) hideSecrets(m masker) Data {
	a.Doors = m.doors(a.Doors)
	a.Compared = slices.Clone(a.Compared)
	for i := range a.Compared {
		a.Compared[i].Doors = m.doors(a.Compared[i].Doors)
	}
	return a
}

type auditWire struct {
	Doors       []doorWire       `json:"doors"`
	Counts      auditCounts      `json:"counts"`
	FrontEnds   []string         `json:"front_ends"`
	Policy      string           `json:"policy"`
	Observer    *observerWire    `json:"observer,omitempty"`
	Comparisons []comparisonWire `json:"comparisons"`
	NotExamined []notExamined    `json:"not_examined"`
	Incomplete  bool             `json:"incomplete"`
}

type auditCounts struct {
	Everyone int `json:"everyone"`
	Some     int `json:"some"`
	Nobody   int `json:"nobody"`
	Unknown  int `json:"unknown"`
}

type observerWire struct {
	Namespace string       `json:"namespace"`
	File      string       `json:"file"`
	NetNS     string       `json:"netns"`
	At        time.Time    `json:"at"`
	From      []netip.Addr `json:"from"`
	Targets   []netip.Addr `json:"targets"`
	Foreign   []netip.Addr `json:"foreign"`
	Unrouted  []netip.Addr `json:"unrouted"`
	SeenAs    []SeenAs     `json:"seen_as"`
}

type comparisonWire struct {
	Target   string         `json:"target"`
	From     string         `json:"from"`
	Proto    monban.Proto   `json:"proto"`
	Port     uint16         `json:"port"`
	Seen     string         `json:"seen"`
	Computed monban.Verdict `json:"computed"`
	Rule     string         `json:"rule"`
	Differs  monban.Kind    `json:"differs"`
}

// notExamined is something that no audit looks at, or that this one did not.
type notExamined struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

func (a Audit) wire(v *view) any {
	w := auditWire{Doors: v.doors(a.Doors), FrontEnds: nonNil(a.FrontEnds), Policy: a.Policy, Comparisons: []comparisonWire{},
		NotExamined: a.notExamined(v), Incomplete: a.Incomplete}
	w.Counts.Everyone, w.Counts.Some, w.Counts.Nobody, w.Counts.Unknown = v.reachCounts(entries(a.Doors))
	if o := a.Observer; o != nil {
		w.Observer = &observerWire{o.Namespace, o.File, o.NetNS, o.At.UTC(), nonNil(o.From), nonNil(o.Targets), nonNil(o.Foreign), nonNil(o.Unrouted), nonNil(o.As)}
	}
	for i := range a.Compared {
		c := &a.Compared[i]
		one := comparisonWire{Target: c.Target.String(), Proto: c.Port.Proto, Port: c.Port.Num, Seen: seenCode(c), Computed: c.Computed,
			Rule: c.Rule.String(), Differs: c.Differs}
		if c.From.IsValid() {
			one.From = c.From.String()
		}
		if one.Rule == "" {
			one.Rule = string(c.Why)
		}
		w.Comparisons = append(w.Comparisons, one)
	}
	return w
}

func seenCode(c *monban.Comparison) string {
	if c.Shut {
		return "not-open"
	}
	return c.Seen.String()
}

// notExamined says what was not looked at, so that nobody takes the silence about
// it for a good sign.
func (a Audit) notExamined(v *view) []notExamined {
	l := v.style.Lang
	out := []notExamined{}
	add := func(code, en, ja string) { out = append(out, notExamined{code, l.pick(en, ja)}) }
	if a.Observer == nil {
		add("outside", "Nobody looked from outside: what is said here follows from this machine's sockets and rules. --from NAMESPACE and --seen SCAN.json compare it with what is seen.",
			"外からは調べていません。ここに書いたことは、このマシンのソケットとルールからの判定です。--from NAMESPACE や --seen SCAN.json で、外からの見え方と比べられます。")
	} else {
		add("ports", "From outside, UDP was asked only at the ports named in the scan, and link-local addresses were not asked at all.",
			"外からの調査では、UDP は指定したポートだけを調べ、リンクローカルアドレスは調べていません。")
	}
	add("network", "What is between this machine and its visitors: the provider's security groups, routers, other firewalls.",
		"このマシンと相手の間にあるもの(プロバイダーのセキュリティーグループ、ルーター、別のファイアウォール)。")
	add("programs", "What BPF programs and traffic control decide, such as systemd's IPAddressDeny=: a door says that they are there, not whom they let in.",
		"BPF プログラムやトラフィック制御の判断(systemd の IPAddressDeny= など)。ドアにはその存在だけを示し、誰を通すかは調べません。")
	add("applications", "What the programs ask of whoever has reached them: passwords, keys, their own access lists.",
		"届いた相手にプログラム自身が求めるもの(パスワード、鍵、独自のアクセス制限)。")
	add("vulnerabilities", "Whether the programs have known holes.", "プログラムに既知の脆弱性があるかどうか。")
	add("namespaces", "Doors inside other network namespaces, such as a container's own, unless they are published here.",
		"ほかのネットワーク名前空間の中のドア(コンテナの中のポートなど)。ただし、ここに公開されたものは含みます。")
	add("outgoing", "Connections that this machine makes itself.", "このマシンから外への接続。")
	return out
}

// document is an audit on its way to a reader, before it takes a shape.
type document struct {
	title string
	lead  []string
	parts []docPart
}

type docPart struct {
	id, title string
	lead      []string
	items     []docItem
	head      []string // of a table
	rows      []docRow
}

// docRow is a row of a table; marked says that it is worth a look.
type docRow struct {
	cells  []string
	marked bool
}

// docItem is a finding or a door.
type docItem struct {
	severity monban.Severity // SeverityUnknown is none
	head     string          // "22/tcp sshd (pid 812)"
	text     string
	notes    []docNote
}

type docNote struct {
	kind  noteKind
	label string // raw words from outside are only in text
	text  string
}

type noteKind uint8

const (
	noteWho      noteKind = iota // who comes in by label
	noteRule                     // why
	noteEvidence                 // from label
	noteFix
	noteCommand
)

// document puts an audit together for people.
func (a Audit) document(v *view) document {
	l, h := v.style.Lang, &v.Snapshot.Host
	d := document{title: l.say("Exposure of %s", "%s の公開状況", h.Name)}
	d.lead = append(d.lead, l.say("Looked at on %[1]s as %[2]s (%[3]s %[4]s, network namespace %[5]s).", "調査: %[1]s、ユーザー %[2]s(%[3]s %[4]s、ネットワーク名前空間 %[5]s)。",
		v.Snapshot.At.Local().Format("2006-01-02 15:04:05 MST"), orDash(h.User), h.OS, h.Kernel, orDash(h.NetNS)))
	d.lead = append(d.lead, a.summary(v)...)
	d.parts = append(d.parts, a.findingsPart(v))
	if a.Observer != nil {
		d.parts = append(d.parts, a.comparedPart(v))
	}
	d.parts = append(d.parts, a.doorsPart(v))
	gaps := docPart{id: "gaps", title: l.pick("Not seen", "確認できなかったもの")}
	for _, g := range v.Snapshot.Gaps {
		gaps.lead = append(gaps.lead, v.gapSentence(g))
	}
	if len(gaps.lead) == 0 {
		gaps.lead = []string{l.pick("Nothing was hidden from this look.", "確認を妨げるものはありませんでした。")}
	}
	d.parts = append(d.parts, gaps)
	rest := docPart{id: "not-examined", title: l.pick("Not looked at", "調べていないもの")}
	for _, n := range a.notExamined(v) {
		rest.lead = append(rest.lead, n.Text)
	}
	d.parts = append(d.parts, rest)
	return d
}

// summary is what a reader in a hurry needs.
func (a Audit) summary(v *view) []string {
	l := v.style.Lang
	counts := map[monban.Severity]int{}
	for _, f := range v.Findings {
		counts[f.Severity]++
	}
	var said []string
	for s := monban.Critical; s >= monban.Info; s-- {
		if counts[s] > 0 {
			said = append(said, l.pick(strconv.Itoa(counts[s])+" "+severityWord(l, s), severityWord(l, s)+" "+strconv.Itoa(counts[s])))
		}
	}
	var out []string
	if n := len(v.Findings); n == 0 {
		out = append(out, l.pick("No findings.", "指摘はありません。"))
	} else {
		out = append(out, l.say(plural(n, "%[1]d finding: %[2]s.", "%[1]d findings: %[2]s."), "指摘 %[1]d 件: %[2]s。", n, strings.Join(said, l.pick(", ", "、"))))
	}
	all := entries(a.Doors)
	if judged(a.Doors) {
		everyone, some, nobody, unknown := v.reachCounts(all)
		out = append(out, l.say(plural(len(all), "%[1]d door: ", "%[1]d doors: ")+"%[2]d can be reached by everyone, %[3]d by some, %[4]d by nobody outside this machine, %[5]d unknown.",
			"ドアは %[1]d 個: 誰でも届くもの %[2]d、一部から届くもの %[3]d、外からは届かないもの %[4]d、不明 %[5]d。", len(all), everyone, some, nobody, unknown))
	} else {
		out = append(out, l.say(plural(len(all), "%d door; who can reach it was not judged.", "%d doors; who can reach them was not judged."), "ドアは %d 個(誰が届くかは判定していません)。", len(all)))
	}
	if len(a.FrontEnds) > 0 {
		out = append(out, l.say("Rules are kept by: %s.", "ルールを管理しているもの: %s。", strings.Join(a.FrontEnds, ", ")))
	}
	if a.Incomplete {
		out = append(out, l.pick("Something that could not be seen may change this answer; it is named below.", "確認できなかったものがあり、結果が変わる可能性があります(下に示します)。"))
	}
	return out
}

func severityWord(l Lang, s monban.Severity) string {
	switch s {
	case monban.Critical:
		return l.pick("critical", "緊急")
	case monban.High:
		return l.pick("high", "高")
	case monban.Medium:
		return l.pick("medium", "中")
	case monban.Low:
		return l.pick("low", "低")
	}
	return l.pick("info", "情報")
}

func (a Audit) findingsPart(v *view) docPart {
	part := docPart{id: "findings", title: v.style.Lang.pick("Findings, worst first", "指摘(重大なものから)")}
	for _, f := range v.Findings {
		item := docItem{severity: f.Severity, head: string(f.Kind), text: v.findingSentence(f)}
		if f.Bind.Port.Num != 0 {
			item.head += " " + f.Bind.Port.String()
		}
		for _, fix := range f.Fix {
			item.notes = append(item.notes, docNote{noteFix, "", v.fixSentence(fix)})
			if len(fix.Command) > 0 {
				item.notes = append(item.notes, docNote{noteCommand, "", shellLine(fix.Command)})
			}
		}
		for _, e := range f.Evidence {
			e.Source, e.Text = v.evidenceWords(e)
			if pos := (monban.Pos{File: e.File, Line: e.Line}); e.File != "" {
				e.Text = strings.TrimSpace(pos.String() + " " + e.Text)
			}
			item.notes = append(item.notes, docNote{noteEvidence, e.Source, e.Text})
		}
		part.items = append(part.items, item)
	}
	if len(part.items) == 0 {
		part.lead = []string{v.style.Lang.pick("No findings.", "指摘はありません。")}
	}
	return part
}

// doorsPart lists the doors, those that most people reach first.
func (a Audit) doorsPart(v *view) docPart {
	l := v.style.Lang
	part := docPart{id: "doors", title: l.pick("Doors, and who can reach them", "ドアと、届く相手")}
	all := entries(a.Doors)
	slices.SortStableFunc(all, func(x, y entry) int { return v.openness(y) - v.openness(x) })
	clients := 0
	for _, e := range all {
		if v.probableClient(e.first()) && v.openness(e) < 2 {
			clients++
			continue
		}
		d := e.first()
		item := docItem{head: d.Bind.Port.String() + "  " + v.addressCell(e) + "  " + v.who(d), text: v.purpose(d)}
		for _, g := range v.groups(e) {
			item.notes = append(item.notes, docNote{noteWho, strings.Join(g.where, ", "), v.comers(g)})
			if why := v.whyText(g.Reach); why != "" {
				item.notes = append(item.notes, docNote{noteRule, "", why})
			}
			for _, c := range g.Conditions {
				if g.Verdict != monban.VerdictUnknown {
					item.notes = append(item.notes, docNote{noteRule, "", v.conditionText(c)})
				}
			}
		}
		if len(item.notes) == 0 {
			item.notes = append(item.notes, docNote{noteWho, "", v.unjudged(d)})
		}
		item.notes = append(item.notes, a.seenNotes(v, e)...)
		part.items = append(part.items, item)
	}
	if clients > 0 {
		part.lead = append(part.lead, l.say(plural(clients, "%d more UDP socket on an ephemeral port is probably a client's.", "%d more UDP sockets on ephemeral ports are probably clients'."),
			"ほかに、一時ポートの UDP ソケットが %d 個あります(おそらくクライアント)。", clients))
	}
	return part
}

// unjudged says why nothing is said of who reaches a door.
func (v *view) unjudged(d *monban.Door) string {
	l := v.style.Lang
	switch {
	case d.State == monban.Bound && d.Bind.Port.Proto != monban.UDP:
		return l.pick("it does not listen, so nobody can connect", "待ち受けていないため、誰も接続できません")
	case d.Bind.NetNS != "" && d.Bind.NetNS != v.Snapshot.Host.NetNS:
		return l.pick("in another network namespace, which was not judged", "別のネットワーク名前空間のため、判定していません")
	}
	return l.pick("not judged", "判定していません")
}

// openness orders entries by who reaches them.
func (v *view) openness(e entry) int {
	everyone, some, _, unknown := v.reachCounts([]entry{e})
	return 3*everyone + 2*some + unknown
}

// comers names who comes in by some families and interfaces.
func (v *view) comers(g reachGroup) string {
	const most = 12
	if g.Verdict != monban.VerdictPartly || v.nearlyAll(g.Sources) {
		return v.audience(g.Reach)
	}
	text := strings.ReplaceAll(v.sourcesText(g.Sources, most), " ", ", ")
	if len(g.Conditions) > 0 {
		text += v.style.Lang.pick(" (limited)", "(条件付き)")
	}
	return text
}

// seenNotes say of a door what was seen of it from outside.
func (a Audit) seenNotes(v *view, e entry) (out []docNote) {
	l := v.style.Lang
	for i := range a.Compared {
		c := &a.Compared[i]
		if !slices.ContainsFunc(c.Doors, func(d monban.Door) bool { return keyOf(&d) == keyOf(e.first()) && d.Bind.Port == e.first().Bind.Port }) {
			continue
		}
		text := v.seenWord(c)
		if c.Differs != "" {
			text += l.pick(" — DIFFERS from what the rules say", " — ルールからの判定と違います")
		}
		out = append(out, docNote{noteWho, l.say("seen at %s", "外から見た %s", c.Target), text})
	}
	return out
}

func (v *view) seenWord(c *monban.Comparison) string {
	if c.Shut {
		return v.style.Lang.pick("not open", "開いていない")
	}
	return v.stateCell(c.Seen).text
}

// comparedPart puts what was computed beside what was seen.
func (a Audit) comparedPart(v *view) docPart {
	l, o := v.style.Lang, a.Observer
	part := docPart{id: "compared", title: l.pick("Computed and seen", "判定と、外からの見え方")}
	where := l.say("from the network namespace %s", "ネットワーク名前空間 %s から", o.Namespace)
	if o.File != "" {
		where = l.say("by the scan in %s", "スキャン結果 %s", o.File)
	}
	from := l.pick("not known", "不明")
	if len(o.From) > 0 {
		from = addressList(o.From)
	}
	part.lead = append(part.lead, l.say("Seen %[1]s at %[2]s; this machine's addresses: %[3]s; the observer's: %[4]s.", "外からの調査: %[1]s(%[2]s)。調べたアドレス: %[3]s。調べた側のアドレス: %[4]s。",
		where, o.At.Local().Format("2006-01-02 15:04:05"), addressList(o.Targets), from))
	differ, unknown := 0, 0
	for i := range a.Compared {
		c := &a.Compared[i]
		mark := l.pick("same", "一致")
		switch {
		case c.Differs != "":
			differ++
			mark = l.pick("DIFFERS", "相違")
		case c.Computed == monban.VerdictUnknown || c.Seen == monban.SightUnknown && !c.Shut:
			unknown++
			mark = l.pick("not known", "不明")
		case c.Computed == monban.VerdictPartly:
			mark = l.pick("depends", "条件しだい")
		}
		name := "-"
		if len(c.Doors) > 0 {
			name = v.who(&c.Doors[0])
		}
		reason := monban.Reach{Verdict: c.Computed, Rule: c.Rule, Why: c.Why}
		part.rows = append(part.rows, docRow{[]string{netip.AddrPortFrom(c.Target, c.Port.Num).String() + "/" + c.Port.Proto.String(), v.computedWord(c.Computed), v.seenWord(c), mark, name, orDash(v.whyText(&reason))}, c.Differs != ""})
	}
	part.head = []string{l.pick("DOOR", "ドア"), l.pick("COMPUTED", "判定"), l.pick("SEEN", "見え方"), l.pick("COMPARED", "比較"), l.pick("PROGRAM", "プログラム"), l.pick("WHY", "判定の根拠")}
	part.lead = append(part.lead, l.say(plural(len(a.Compared), "%[1]d door compared: ", "%[1]d doors compared: ")+plural(differ, "%[2]d differs, %[3]d not known.", "%[2]d differ, %[3]d not known."),
		"比べたドア %[1]d 個: 相違 %[2]d、不明 %[3]d。", len(a.Compared), differ, unknown))
	for _, t := range o.As {
		part.lead = append(part.lead, l.say("%[1]s was looked at and stands for %[2]s, by address translation.", "調べたのは %[1]s で、アドレス変換により %[2]s にあたります。", t.Seen, t.Local))
	}
	if len(o.Unrouted) > 0 {
		part.lead = append(part.lead, l.say("No way leads from there to: %s.", "そこから経路がないアドレス: %s。", addressList(o.Unrouted)))
	}
	if len(o.Foreign) > 0 {
		part.lead = append(part.lead, l.say("Left out, because they are not this machine's: %s.", "このマシンのアドレスではないため除外: %s。", addressList(o.Foreign)))
	}
	return part
}

func (v *view) computedWord(verdict monban.Verdict) string {
	l := v.style.Lang
	switch verdict {
	case monban.VerdictOpen:
		return l.pick("open", "開")
	case monban.VerdictClosed:
		return l.pick("closed", "閉")
	case monban.VerdictPartly:
		return l.pick("depends", "条件しだい")
	}
	return l.pick("unknown", "不明")
}

func addressList(addrs []netip.Addr) string {
	const most = 8
	var names []string
	for i, a := range addrs {
		if i == most {
			names = append(names, "… (+"+strconv.Itoa(len(addrs)-most)+")")
			break
		}
		names = append(names, a.String())
	}
	return orDash(strings.Join(names, ", "))
}
