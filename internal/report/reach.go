package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

type reachWire struct {
	Family     monban.Family      `json:"family"`
	Device     string             `json:"device"`
	Verdict    monban.Verdict     `json:"verdict"`
	Sources    []monban.AddrRange `json:"sources"`
	Conditions []string           `json:"conditions"`
	Rule       string             `json:"rule"`
}

// reach returns the shapes of who can come in; nil where it was not judged.
func (v *view) reach(d *monban.Door) []reachWire {
	if d.Reach == nil {
		return nil
	}
	beyond := v.beyond(d)
	out := make([]reachWire, 0, len(d.Reach))
	for i := range d.Reach {
		r := &d.Reach[i]
		w := reachWire{r.Family, r.Device, r.Verdict, nonNil(r.Sources), []string{}, r.Rule.String()}
		if w.Rule == "" {
			w.Rule = cmp.Or(r.Rule.Text, string(r.Why))
		}
		for _, c := range r.Conditions {
			w.Conditions = append(w.Conditions, strings.TrimSuffix(string(c.Kind)+": "+c.Text+" ("+c.Rule.String()+")", " ()"))
		}
		if beyond != "" && (r.Verdict == monban.VerdictOpen || r.Verdict == monban.VerdictPartly) {
			w.Conditions = append(w.Conditions, "answer: "+beyond)
		}
		out = append(out, w)
	}
	return out
}

// beyond is where a door without a listener leads to, if that is not this machine:
// whether somebody answers there is taken for granted.
func (v *view) beyond(d *monban.Door) string {
	if d.State != monban.Forwarded || !d.To.Addr.IsValid() || d.To.Addr.IsLoopback() || v.Snapshot.Host.HasAddr(d.To.Addr) {
		return ""
	}
	return netip.AddrPortFrom(d.To.Addr, d.To.Port).String()
}

// audience says in a few words who can come in by some of a door's entries.
func (v *view) audience(r *monban.Reach) string {
	l := v.style.Lang
	text := ""
	switch r.Verdict {
	case monban.VerdictOpen:
		text = l.pick("everyone", "誰でも")
	case monban.VerdictClosed:
		if r.Why == monban.ByLoopback {
			return l.pick("this machine", "このマシン")
		}
		return l.pick("nobody", "届かない")
	case monban.VerdictPartly:
		text = v.sourcesText(r.Sources, 1)
	default:
		return l.pick("unknown", "不明")
	}
	if len(r.Conditions) > 0 {
		text += l.pick(" (limited)", "(条件付き)")
	}
	return text
}

// sourcesText names up to most ranges of sources, or says that they are nearly all
// there are.
func (v *view) sourcesText(sources []monban.AddrRange, most int) string {
	l := v.style.Lang
	if v.nearlyAll(sources) {
		return l.pick("nearly everyone", "ほぼ誰でも")
	}
	sources = v.joined(sources)
	var names []string
	for i := range sources {
		if i == most {
			names = append(names, fmt.Sprintf("+%d", len(sources)-most))
			break
		}
		names = append(names, sources[i].String())
	}
	return strings.Join(names, " ")
}

// joined returns the sources with the addresses of this machine among them, which
// nobody outside can come from: people wrote 10.0.0.0/8, and not the two ranges
// beside 10.9.0.1.
func (v *view) joined(sources []monban.AddrRange) []monban.AddrRange {
	if len(sources) < 2 || v.Snapshot == nil {
		return sources
	}
	var own []netip.Addr
	for i := range v.Snapshot.Host.Interfaces {
		for _, p := range v.Snapshot.Host.Interfaces[i].Addrs {
			own = append(own, p.Addr().Unmap().WithZone(""))
		}
	}
	slices.SortFunc(own, netip.Addr.Compare)
	own = slices.Compact(own)
	copied := false
	for i, addr := range own {
		k, _ := slices.BinarySearchFunc(sources, addr, func(r monban.AddrRange, a netip.Addr) int { return r.First.Compare(a) })
		if k == 0 || k == len(sources) || sources[k-1].Last.Next() != addr {
			continue // among them already, or between no two
		}
		for _, next := range own[i:] {
			if next != addr {
				break
			}
			addr = next.Next()
		}
		if addr != sources[k].First {
			continue // others are missing there, too
		}
		if !copied {
			sources, copied = slices.Clone(sources), true
		}
		sources[k-1].Last = sources[k].Last
		sources = slices.Delete(sources, k, k+1)
	}
	return sources
}

// nearlyAll reports whether the sources are most of the addresses in use.
func (v *view) nearlyAll(sources []monban.AddrRange) bool { return v.shares.Of(sources) > 0.5 }

// spoken is an entry as people speak of it. A link answers the link-local addresses
// of its own neighbours, fe80::/64, and no other (RFC 4291 section 2.5.6), so that the
// rest of fe80::/10 is missing nearly everywhere: that is still everyone. JSON and -v
// have the exact sources.
func (v *view) spoken(r *monban.Reach) *monban.Reach {
	if r.Verdict != monban.VerdictPartly || r.Family != monban.IPv6 || v.style.Verbose || !allButLinkLocal(v.joined(r.Sources)) {
		return r
	}
	all := *r
	all.Verdict, all.Sources = monban.VerdictOpen, nil
	return &all
}

// allButLinkLocal reports whether IPv6 sources lack nothing that somebody can send
// from but link-local addresses.
func allButLinkLocal(sources []monban.AddrRange) bool {
	end := netip.MustParseAddr("ff00::") // multicast, which nobody sends from
	if len(sources) < 2 || sources[0].First.Compare(netip.MustParseAddr("::2")) > 0 || sources[len(sources)-1].Last.Next().Less(end) {
		return false
	}
	link, mapped := netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::ffff:0:0/96")
	for i := range sources[1:] {
		first, last := sources[i].Last.Next(), sources[i+1].First.Prev()
		if (!link.Contains(first) || !link.Contains(last)) && (!mapped.Contains(first) || !mapped.Contains(last)) {
			return false
		}
	}
	return true
}

// reachGroup is what several families and interfaces of a door have in common.
type reachGroup struct {
	*monban.Reach
	where []string // "IPv4 eth0"
}

// groups puts entries together that say the same.
func (v *view) groups(e entry) []reachGroup {
	var out []reachGroup
	for _, d := range e.doors {
	next:
		for i := range d.Reach {
			r := v.spoken(&d.Reach[i])
			where := familyName(r.Family) + " " + r.Device
			for k := range out {
				o := &out[k]
				if o.Verdict == r.Verdict && o.Why == r.Why && o.Rule == r.Rule && v.audience(o.Reach) == v.audience(r) &&
					(o.Family == r.Family || len(o.Sources) == 0) && slices.Equal(o.Sources, r.Sources) && slices.Equal(o.Conditions, r.Conditions) {
					if !slices.Contains(o.where, where) {
						o.where = append(o.where, where)
					}
					continue next
				}
			}
			out = append(out, reachGroup{r, []string{where}})
		}
	}
	return out
}

func familyName(f monban.Family) string {
	if f == monban.IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// judged reports whether some door's reach is known.
func judged(doors []monban.Door) bool {
	return slices.ContainsFunc(doors, func(d monban.Door) bool { return d.Reach != nil })
}

// reachCell says in one cell who can come in: for all families and interfaces
// alike, or what differs.
func (v *view) reachCell(e entry) cell {
	l := v.style.Lang
	type part struct {
		text  string
		where []string
	}
	var parts []part
	all := map[string]bool{}
	for _, d := range e.doors {
		for i := range d.Reach {
			r := v.spoken(&d.Reach[i])
			text, where := v.audience(r), familyName(r.Family)+" "+r.Device
			all[where] = true
			if r.Why == monban.ByAddress || r.Why == monban.ByDevice {
				continue // of the socket's own choice: no answer there
			}
			k := slices.IndexFunc(parts, func(p part) bool { return p.text == text })
			if k < 0 {
				parts = append(parts, part{text: text})
				k = len(parts) - 1
			}
			if !slices.Contains(parts[k].where, where) {
				parts[k].where = append(parts[k].where, where)
			}
		}
	}
	switch {
	case len(parts) == 0:
		return cell{dim, "-"}
	case len(parts) > 1:
		// Where somebody comes in, nobody needs to be told where nobody does.
		parts = slices.DeleteFunc(parts, func(p part) bool {
			return p.text == l.pick("nobody", "届かない") || p.text == l.pick("this machine", "このマシン")
		})
		if len(parts) == 1 {
			parts[0].text += " (" + whereText(parts[0].where, all) + ")"
		}
	}
	style := plain
	// Those who are the most come first, as a narrow terminal may cut off what is last.
	rank := func(p part) int {
		for i, word := range [...]string{l.pick("everyone", "誰でも"), l.pick("nearly everyone", "ほぼ誰でも"), l.pick("unknown", "不明")} {
			if strings.HasPrefix(p.text, word) {
				return i
			}
		}
		return 3
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(rank(a), rank(b)) })
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.text)
		if rank(p) < 2 {
			style = yellow
		}
	}
	return cell{style, strings.Join(texts, " / ")}
}

// whereText shortens "IPv4 eth0, IPv4 eth1" to "IPv4" where those are all of a
// family, and to "eth0" where those are both of an interface's families.
func whereText(where []string, all map[string]bool) string {
	for _, family := range [...]string{"IPv4", "IPv6"} {
		n, mine := 0, true
		for w := range all {
			if strings.HasPrefix(w, family) {
				n++
			}
		}
		for _, w := range where {
			mine = mine && strings.HasPrefix(w, family)
		}
		if mine && n == len(where) {
			return family
		}
	}
	var names []string
	for _, w := range where {
		if _, dev, ok := strings.Cut(w, " "); ok && !slices.Contains(names, dev) {
			names = append(names, dev)
		}
	}
	return strings.Join(names, " ")
}

// reachText shows who can come in, and by which rule: the first line after lead,
// each with the place at. It returns what the next line begins with.
func (v *view) reachText(p *printer, e entry, lead span, at string) span {
	for _, g := range v.groups(e) {
		who := v.audience(g.Reach)
		if g.Verdict == monban.VerdictPartly && !v.nearlyAll(g.Sources) || v.style.Verbose && len(g.Sources) > 0 {
			most, sources := 6, v.joined(g.Sources)
			if v.style.Verbose {
				sources = g.Sources
				most = len(sources)
			}
			names := make([]string, 0, most)
			for i := range sources {
				if i == most {
					names = append(names, p.f("… and %d more (-v)", "… ほか %d 件(-v で表示)", len(sources)-most))
					break
				}
				names = append(names, sources[i].String())
			}
			who = strings.Join(names, ", ")
		}
		p.paragraph(lead, at+p.f("%s: %s", "%s: %s", strings.Join(g.where, ", "), who))
		lead = p.label("", "")
		if why := v.whyText(g.Reach); why != "" {
			p.styledParagraph(span{dim, pad("", 16)}, dim, why)
		}
		for _, c := range g.Conditions {
			if g.Verdict == monban.VerdictUnknown {
				continue // the rule above says it
			}
			p.styledParagraph(span{dim, pad("", 16)}, dim, v.conditionText(c))
		}
	}
	for _, d := range e.doors {
		beyond := v.beyond(d)
		if beyond != "" && slices.ContainsFunc(d.Reach, func(r monban.Reach) bool { return r.Verdict == monban.VerdictOpen || r.Verdict == monban.VerdictPartly }) {
			p.styledParagraph(span{dim, pad("", 16)}, dim, p.f("as long as %s, where the rule leads, answers: that was not asked",
				"ルールの転送先 %s が応答する場合に限ります(応答するかは確かめていません)", beyond))
			break
		}
	}
	return lead
}

func (v *view) whyText(r *monban.Reach) string {
	l := v.style.Lang
	if r.Why == monban.ByNoListener {
		return l.say("nobody listens where %s leads", "%s の転送先のポートで待ち受けているプログラムがありません", r.Rule.String())
	}
	if r.Rule != (monban.RuleRef{}) {
		text := r.Rule.String()
		if r.Rule.Table == "" {
			text = r.Rule.Text
		}
		if r.Verdict == monban.VerdictUnknown {
			return l.say("depends on %s, which cannot be judged here", "ここでは判定できない %s しだいです", text)
		}
		return l.pick("by ", "決めたルール: ") + text
	}
	switch r.Why {
	case monban.NoRule:
		return l.pick("no firewall rule is in the way", "妨げるファイアウォールのルールはありません")
	case monban.ByLoopback:
		return l.pick("a loopback address is not answered from outside", "ループバックアドレスには外から届きません")
	case monban.ByAddress:
		return l.pick("there is no address of this family to answer at", "応答できるアドレスがこのファミリーにありません")
	case monban.ByDevice:
		return l.pick("the socket is bound to another interface", "ソケットが別のインターフェースに結び付いています")
	case monban.ByRoute:
		if r.Verdict == monban.VerdictClosed {
			return l.pick("there is no route to where it would go", "届け先への経路がありません")
		}
		return l.pick("there is no route back to anyone else", "それ以外の相手へ戻る経路がありません")
	case monban.ByReverse:
		return l.pick("the reverse path filter (rp_filter) drops the others", "それ以外は逆経路フィルター(rp_filter)が破棄します")
	case monban.ByForwarding:
		return l.pick("it leads elsewhere, and this machine does not forward packets", "転送先が別の場所ですが、このマシンは転送をしません")
	case monban.ByNobody:
		return l.pick("no rule leads on from here, and nobody listens", "転送するルールも待ち受けるプログラムもありません")
	case monban.ByUnseen:
		return l.pick("the firewall's rules could not be read", "ファイアウォールのルールを読めませんでした")
	case monban.ByProgram:
		return l.pick("a BPF program sees the packets first", "BPF プログラムが先にパケットを処理します")
	case monban.ByRouting:
		return l.pick("it depends on routing rules that are not judged here", "ここでは判定できない経路ルールしだいです")
	}
	return ""
}

func (v *view) conditionText(c monban.Condition) string {
	l := v.style.Lang
	what := ""
	switch c.Kind {
	case monban.ByRate:
		what = l.pick("within a limit", "上限の範囲内で")
	case monban.ByDynamicSet:
		what = l.pick("depending on a list that changes by itself", "自動で変わる一覧しだいで")
	case monban.ByTime:
		what = l.pick("at some times", "時間帯によって")
	case monban.ByChance:
		what = l.pick("by chance", "確率で")
	case monban.BySourcePort:
		what = l.pick("from some source ports", "特定の送信元ポートからのみ")
	case monban.ByFilter:
		what = l.pick("if what sees its packets besides the firewall lets them in", "ファイアウォールとは別にパケットを調べるプログラムが通せば")
	default:
		what = l.pick("depending on", "次のルールしだいで")
	}
	if c.Rule.Table == "" {
		return what + ": " + c.Text
	}
	return what + ": " + c.Rule.String()
}

// reachCounts counts entries by who can come in from outside.
func (v *view) reachCounts(all []entry) (everyone, some, nobody, unknown int) {
	overlays := map[string]bool{}
	for _, e := range all {
		best := monban.VerdictClosed
		open, undecided := false, false
		for _, d := range e.doors {
			// A TCP socket that is bound and does not listen answers nobody.
			silent := d.State == monban.Bound && d.Bind.Port.Proto != monban.UDP
			if d.Reach == nil && !silent {
				undecided = true
			}
			for _, r := range d.Reach {
				overlay, known := overlays[r.Device]
				if !known { // whoever is at the other end of a VPN is not everyone
					overlay = v.Snapshot.Host.Overlay(r.Device)
					overlays[r.Device] = overlay
				}
				switch r.Verdict {
				case monban.VerdictOpen:
					best = monban.VerdictPartly
					open = open || !overlay
				case monban.VerdictPartly:
					best = monban.VerdictPartly
					open = open || !overlay && v.nearlyAll(r.Sources)
				case monban.VerdictUnknown:
					undecided = true
				}
			}
		}
		switch {
		case open:
			everyone++
		case best == monban.VerdictPartly:
			some++
		case undecided:
			unknown++
		default:
			nobody++
		}
	}
	return everyone, some, nobody, unknown
}
