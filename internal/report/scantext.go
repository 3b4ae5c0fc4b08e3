package report

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

func (s Scan) text(p *printer, v *view) {
	if s.Diff != nil {
		s.diffText(p, v)
		v.gapsText(p)
		return
	}
	s.table(p, v)
	s.closing(p, v)
	s.risks(p, v)
	v.gapsText(p)
}

// listed returns the doors that the table shows. Where something else answers for
// them, a list of doors says nothing but where somebody was talked to; omit is told
// of those that it leaves out, and of which host or network they are.
func (s Scan) listed(v *view, omit func(of string)) iter.Seq[Seen] {
	doubtful := v.doubtful()
	return func(yield func(Seen) bool) {
		for seen := range s.Seen {
			if !s.All && seen.Service.Protocol == "" && len(seen.Doors) == 0 {
				if of := doubtful(seen.Target, seen.Port); of != "" {
					omit(of)
					continue
				}
			}
			if !yield(seen) {
				return
			}
		}
	}
}

func (s Scan) table(p *printer, v *view) {
	hidden := make(map[string]int)
	states, several, rows := s.All, false, 0
	var first netip.Addr
	for seen := range s.listed(v, func(of string) { hidden[of]++ }) {
		if rows++; rows == 1 {
			first = seen.Target
		}
		states = states || seen.State != monban.SightOpen
		several = several || seen.Target != first
	}
	for _, of := range slices.Sorted(maps.Keys(hidden)) {
		p.paragraph(span{yellow, ""}, p.f("%[1]s: %[2]d doors answer alike and are not listed (--all lists them).",
			"%[1]s: 同じように応答するドア %[2]d 個は省略しました(--all で表示)。", of, hidden[of]))
	}
	if rows == 0 {
		if len(hidden) > 0 {
			p.blank()
		}
		return
	}
	cols := []column{{title: p.f("PORT", "ポート")}}
	if several {
		cols = append([]column{{title: p.f("TARGET", "対象")}}, cols...)
	}
	if states {
		cols = append(cols, column{title: p.f("STATE", "状態")})
	}
	cols = append(cols, column{title: p.f("USUALLY", "通常の用途"), min: 8, rank: 3})
	if s.Identified {
		cols = append(cols, column{title: p.f("SERVICE", "サービス"), min: 10}, column{title: p.f("GRADE", "確度"), rank: 1})
	}
	if s.Inside {
		cols = append(cols, column{title: p.f("PROGRAM", "プログラム"), min: 12}, column{title: p.f("INSIDE", "内側からの見え方"), min: 8, rank: 2})
	}
	left := p.longTable(cols, func(yield func([]cell) bool) {
		row := make([]cell, 0, len(cols))
		for seen := range s.listed(v, func(string) {}) {
			row = row[:0]
			if several {
				row = append(row, cell{plain, seen.Target.String()})
			}
			row = append(row, cell{bold, seen.Port.String()})
			if states {
				row = append(row, v.stateCell(seen.State))
			}
			row = append(row, cell{dim, v.usually(seen.Port)})
			if s.Identified {
				row = append(row, v.serviceCell(seen), v.gradeCell(seen))
			}
			if s.Inside {
				row = append(row, v.behindCell(seen), v.differsCell(seen))
			}
			if !yield(row) {
				return
			}
		}
	})
	if left > 0 {
		p.line(span{dim, p.f("(%d columns do not fit here)", "(幅が足りないため %d 列を省略しています)", left)})
	}
	p.blank()
}

// usually says what the number is for, which is not what was found there.
func (v *view) usually(port monban.Port) string {
	name := v.Book.Name(port)
	uses := v.uses(port)
	if len(uses) == 0 || sameName(uses[0].Name, name) {
		return orDash(name)
	}
	if name == "" {
		return uses[0].Name
	}
	return name + " / " + uses[0].Name
}

func (v *view) stateCell(s monban.SightState) cell {
	l := v.style.Lang
	switch s {
	case monban.SightOpen:
		return cell{yellow, l.pick("open", "開")}
	case monban.SightClosed:
		return cell{plain, l.pick("closed", "閉")}
	case monban.SightFiltered:
		return cell{plain, l.pick("filtered", "遮断")}
	default:
		return cell{dim, l.pick("unknown", "不明")}
	}
}

func (v *view) serviceCell(seen Seen) cell {
	s := seen.Service
	switch {
	case seen.State != monban.SightOpen:
		return cell{dim, "-"}
	case s.Protocol == "" && s.Evidence != "":
		return cell{dim, v.style.Lang.pick("unknown: ", "不明: ") + fmt.Sprintf("%q", s.Evidence)}
	case s.Protocol == "":
		return cell{dim, v.style.Lang.pick("unknown", "不明")}
	}
	text := s.Protocol
	if s.TLS {
		text += "/tls"
	}
	if s.Product != "" {
		text += " " + s.Product
	}
	if s.Version != "" {
		text += " " + s.Version
	}
	return cell{plain, text}
}

func (v *view) gradeCell(seen Seen) cell {
	l := v.style.Lang
	switch {
	case seen.State != monban.SightOpen:
		return cell{dim, "-"}
	case seen.Service.Grade == monban.GradeIdentified:
		return cell{green, l.pick("identified", "確認済み")}
	case seen.Service.Grade == monban.GradeLikely:
		return cell{plain, l.pick("likely", "おそらく")}
	default:
		return cell{dim, l.pick("unknown", "不明")}
	}
}

func (v *view) behindCell(seen Seen) cell {
	if len(seen.Doors) == 0 {
		return cell{dim, "-"}
	}
	return v.programCell(entry{[]*monban.Door{&seen.Doors[0]}})
}

func (v *view) differsCell(seen Seen) cell {
	l := v.style.Lang
	switch seen.Differs {
	case OnlyOutside:
		return cell{yellow, l.pick("no socket here", "このマシンにソケットなし")}
	case OnlyInside:
		return cell{yellow, l.pick("listens, but is not reached", "待ち受けているが届かない")}
	}
	if len(seen.Doors) > 0 {
		return cell{plain, l.pick("agrees", "一致")}
	}
	return cell{dim, "-"}
}

// closing says how sure the scan is.
func (s Scan) closing(p *printer, v *view) {
	sum := s.Total
	p.paragraph(span{}, p.f(plural(sum.Open, "%d open door", "%d open doors")+", %d closed, %d filtered, %d unknown.",
		"開いているドア %d、閉じている %d、遮断 %d、不明 %d。", sum.Open, sum.Closed, sum.Filtered, sum.Unknown))
	p.paragraph(span{dim, ""}, p.f(plural(int(s.Stats.Probes), "%d probe", "%d probes")+" and "+plural(int(s.Stats.Answers), "%d answer", "%d answers")+" in %.2f s, %s; %s.",
		"%d 個のプローブと %d 個の応答、%.2f 秒、%s。%s。",
		s.Stats.Probes, s.Stats.Answers, s.Stats.Seconds,
		p.f(plural(s.Stats.Passes, "%d pass", "%d passes"), "%d 周", s.Stats.Passes), s.missed(p, v)))
	if s.Inside {
		p.paragraph(span{dim, ""}, p.f("What this machine asks itself goes by loopback, which firewalls usually let pass; monban without a command tells who comes in from elsewhere.",
			"このマシン自身への問い合わせはループバックを通り、ファイアウォールは通常これを通します。外から誰が入れるかは、コマンドを付けない monban で分かります。"))
	}
	if s.Interrupted {
		p.paragraph(span{yellow, ""}, p.f("The scan was interrupted: doors that were not reached yet count as unknown.",
			"スキャンは中断されました。まだ調べていないドアは不明に数えています。"))
	}
}

func (s Scan) missed(p *printer, v *view) string {
	if s.Stats.Answers == 0 {
		return p.f("nothing answered, so it cannot be said how many open doors were missed", "応答がないため、見落としの数は見積もれません")
	}
	gone := slices.ContainsFunc(v.Snapshot.Gaps, func(g monban.Gap) bool { return g.Err == "stopped answering" })
	if gone && s.Stats.Missed < 0.005 {
		return p.f("of the doors that could be decided, an open one was hardly missed", "判断できたドアのうち、見落としはほぼありません")
	}
	if s.Interrupted {
		return p.f("how many open doors were missed is not known yet", "見落としの数は、最後まで調べていないため見積もれません")
	}
	if s.Stats.Missed < 0.005 {
		return p.f("an open door was hardly missed (expected number: less than 0.005)", "見落としはほぼありません(見落としの期待値 0.005 個未満)")
	}
	return p.f("expected number of open doors missed: %.2g", "見落とした開いているドアの期待値: %.2g 個", s.Stats.Missed)
}

// risks says what exposing the services leads to: of those that were identified,
// and, shorter, of those that their answers resemble or only their numbers tell.
func (s Scan) risks(p *printer, v *view) {
	const most = 10
	var sure, resemble, byNumber []monban.Finding
	type place struct { // where one line tells of several hosts
		port    monban.Port
		service string
	}
	told := make(map[place]bool)
	for _, f := range v.Findings {
		at := place{f.Bind.Port, f.Service}
		switch {
		case f.Kind != monban.AnsweringService:
		case !f.Likely:
			sure = append(sure, f)
		case told[at]:
		case seems(f):
			told[at] = true
			resemble = append(resemble, f)
		default:
			told[at] = true
			byNumber = append(byNumber, f)
		}
	}
	more := func(n int) {
		if n > most {
			p.paragraph(span{}, p.f("… and %d more; monban PORT tells about each.", "… ほか %d 件。monban ポート番号 で確認できます。", n-most))
		}
	}
	if len(sure) > 0 {
		p.blank()
		for _, f := range sure[:min(len(sure), most)] {
			p.paragraph(severityTag(p.lang, f.Severity), v.findingSentence(f))
		}
		more(len(sure))
	}
	list := func(heading string, findings []monban.Finding) {
		if len(findings) == 0 {
			return
		}
		p.blank()
		p.paragraph(span{bold, ""}, heading)
		for _, f := range findings[:min(len(findings), most)] {
			p.paragraph(span{severityTag(p.lang, f.Severity).style, fmt.Sprintf("  %-9s ", f.Bind.Port)}, strings.TrimSpace(v.riskText(f)))
		}
		more(len(findings))
	}
	list(p.f("If what answers at these ports is what it seems to be, exposing it is a risk:",
		"応答から推定したとおりのサービスであれば、公開には次の危険があります:"), resemble)
	list(p.f("If these ports are what their numbers are known for, exposing them is a risk:",
		"番号どおりのサービスであれば、公開には次の危険があります:"), byNumber)
}

// doubtful returns what tells of a door whether something in the path may have
// answered for it: then it names the host, or the network and the port.
func (v *view) doubtful() func(netip.Addr, monban.Port) string {
	type network struct {
		of netip.Prefix
		at monban.Port
	}
	hosts, networks := make(map[netip.Addr]bool), make(map[network]string)
	for _, g := range v.Snapshot.Gaps {
		of, at, _ := strings.Cut(g.Source, " ")
		switch g.Err {
		case "everything answers":
			if host, err := netip.ParseAddr(g.Source); err == nil {
				hosts[host] = true
			}
		case "one answers for all":
			prefix, err := netip.ParsePrefix(of)
			port, err2 := monban.ParsePort(at)
			if err == nil && err2 == nil {
				networks[network{prefix, port}] = g.Source
			}
		}
	}
	return func(a netip.Addr, port monban.Port) string {
		if hosts[a] {
			return hostText(a)
		}
		for n, source := range networks {
			if n.at == port && n.of.Contains(a) {
				return source
			}
		}
		return ""
	}
}

func (s Scan) diffText(p *printer, v *view) {
	d := s.Diff
	since := d.Since.Local().Format("2006-01-02 15:04:05")
	if len(d.Opened)+len(d.Closed)+len(d.Changed)+len(d.Undecided) == 0 {
		p.paragraph(span{}, p.f("Nothing has changed since %s.", "%s から変化はありません。", since))
		return
	}
	p.paragraph(span{}, p.f("Since %s:", "%s からの変化:", since))
	for _, o := range d.Opened {
		p.line(span{yellow, p.f("opened    ", "開いた     ")}, span{bold, hostText(o.Target) + ":" + o.Port.String()}, span{plain, "  " + v.serviceCell(Seen{Sighting: o}).text})
	}
	for _, c := range d.Closed {
		p.line(span{green, p.f("closed    ", "閉じた     ")}, span{bold, hostText(c.Target) + ":" + c.Port.String()}, span{plain, "  " + v.stateCell(c.State).text})
	}
	for _, u := range d.Undecided {
		p.line(span{yellow, p.f("undecided ", "判断できず ")}, span{bold, hostText(u.Target) + ":" + u.Port.String()}, span{plain, p.f("  was open; no answer now", "  以前は開いていたが、今回は応答なし")})
	}
	for _, c := range d.Changed {
		p.line(span{cyan, p.f("changed   ", "変わった   ")}, span{bold, hostText(c.After.Target) + ":" + c.After.Port.String()},
			span{plain, "  " + v.serviceCell(Seen{Sighting: c.Before}).text + " → " + v.serviceCell(Seen{Sighting: c.After}).text})
	}
}

// stoppedText says that a target stopped answering, and when, if that is known.
func (v *view) stoppedText(g monban.Gap) string {
	say := v.style.Lang.say
	var last *LastAnswer
	if scan, ok := v.Data.(Scan); ok {
		last = scan.Stopped[g.Source]
	}
	switch {
	case last == nil:
		return say(plural(g.Count, "%s stopped answering during the scan: it may be gone, or have shut this machine out. %d door is undecided.", "%s stopped answering during the scan: it may be gone, or have shut this machine out. %d doors are undecided."),
			"%s はスキャンの途中で応答しなくなりました。停止したか、このマシンが遮断された可能性があります。%d 個のドアは判断できません。", g.Source, g.Count)
	case last.Probes == 0:
		return say(plural(g.Count, "%[1]s stopped answering %.2[3]f s into the scan: it may be gone, or have shut this machine out. %[2]d door is undecided.", "%[1]s stopped answering %.2[3]f s into the scan: it may be gone, or have shut this machine out. %[2]d doors are undecided."),
			"%[1]s はスキャン開始から %.2[3]f 秒後を最後に応答しなくなりました。停止したか、このマシンが遮断された可能性があります。%[2]d 個のドアは判断できません。", g.Source, g.Count, last.Seconds)
	}
	return say(plural(g.Count, "%[1]s stopped answering %.2[3]f s into the scan, when %[4]d probes had been sent: it may be gone, or have shut this machine out. %[2]d door is undecided.", "%[1]s stopped answering %.2[3]f s into the scan, when %[4]d probes had been sent: it may be gone, or have shut this machine out. %[2]d doors are undecided."),
		"%[1]s はスキャン開始から %.2[3]f 秒後、プローブを %[4]d 個送ったところを最後に応答しなくなりました。停止したか、このマシンが遮断された可能性があります。%[2]d 個のドアは判断できません。", g.Source, g.Count, last.Seconds, last.Probes)
}

// sightingsGap says what a scan could not see.
func (v *view) sightingsGap(g monban.Gap) string {
	l := v.style.Lang
	say := l.say
	switch g.Err {
	case "everything answers":
		return say("%s: more than half of the doors that were asked are open (%d). Something on the way may be answering for it, such as a SYN proxy or a tar pit; an answer here is no proof of a service.",
			"%s: 調べたドアの半分以上が開いています(%d 個)。SYN プロキシーやタールピットなど、途中の装置が代わりに応答している可能性があり、応答があってもサービスがあるとは限りません。", g.Source, g.Count)
	case "one answers for all":
		network, port, _ := strings.Cut(g.Source, " ")
		return say("%[1]s: nearly every one of the %[3]d addresses is open at %[2]s, and many of them say nothing else. Something on the way may be answering for them, such as a transparent proxy or a SYN proxy; an answer there proves neither a service nor that the address is in use.",
			"%[1]s: %[3]d 個のアドレスのほぼすべてで %[2]s が開いており、その多くはほかに何も応答しません。透過プロキシーや SYN プロキシーなど、途中の装置が代わりに応答している可能性があり、応答があっても、サービスがあるとも、アドレスが使われているとも限りません。", network, port, g.Count)
	case "no answer":
		return say(plural(g.Count, "%d target said nothing at all: it may be absent, or drop everything.", "%d targets said nothing at all: they may be absent, or drop everything."),
			"%d 個の対象からまったく応答がありません。存在しないか、すべて破棄している可能性があります。", g.Count)
	case "stopped answering":
		if g.Source == "network" {
			return say("%d targets stopped answering during the scan: they may be gone, or have shut this machine out. Their silent doors are undecided.",
				"%d 個の対象がスキャンの途中で応答しなくなりました。停止したか、このマシンを遮断した可能性があります。これらの対象で応答のないドアは判断できません。", g.Count)
		}
		return v.stoppedText(g)
	case "no route":
		if g.Source == "network" {
			return say(plural(g.Count, "%d question could not be sent: the system knows no route.", "%d questions could not be sent: the system knows no route."),
				"経路がないため、%d 個の問い合わせを送信できませんでした。", g.Count)
		}
		return say("%s cannot be reached: the system knows no route.", "%s に到達できません。経路がありません。", g.Source)
	case "no neighbour":
		if g.Source != "link" {
			return say(plural(g.Count, "The gateway %s does not answer; %d target could not be asked.", "The gateway %s does not answer; %d targets could not be asked."),
				"ゲートウェイ %s が応答しないため、%d 個の対象を調べられませんでした。", g.Source, g.Count)
		}
		return say(plural(g.Count, "%d target is not there: nobody on the link answers for its address.", "%d targets are not there: nobody on the link answers for their addresses."),
			"%d 個の対象は存在しません。そのアドレスに応答する機器がリンク上にありません。", g.Count)
	case "not sent":
		return say(plural(g.Count, "This machine did not let %d packet out by %s: a firewall rule of its own forbids it, or the device takes none.", "This machine did not let %d packets out by %s: a firewall rule of its own forbids it, or the device takes none."),
			"このマシンは %[2]s からパケット %[1]d 個を送り出しませんでした。自身のファイアウォールの規則で禁止されているか、デバイスが送信できない状態です。", g.Count, g.Source)
	case "not privileged":
		return say("This process may not send packets itself; ordinary connections were made instead.",
			"パケットを直接送信できないため、通常の接続で調べました。")
	case TooManyAddresses:
		return say(plural(g.Count, "This machine has more addresses than are scanned: %d was left out.", "This machine has more addresses than are scanned: %d were left out."),
			"このマシンのアドレスが多いため、%d 個は調べていません。", g.Count)
	case TooManyToAsk:
		return say("%s has so many open doors that %d of them were not asked what is behind them.",
			"%s は開いているドアが多すぎるため、%d 個については何のサービスかを確かめていません。", g.Source, g.Count)
	case "reply limit":
		return say("%s limits how often it says that a UDP door is closed: %d silent doors may be closed, or open and silent.",
			"%s は UDP の「閉じている」という応答の頻度を制限しています。応答のない %d 個のドアは、閉じているか、開いていて応答しないかを判断できません。", g.Source, g.Count)
	default:
		return say("Some doors could not be asked (%s: %s).", "一部のドアを調べられませんでした(%s: %s)。", g.Source, g.Err)
	}
}
