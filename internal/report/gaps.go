package report

import (
	"strings"

	"github.com/monban-dev/monban"
)

// gapsText writes what could not be seen.
func (v *view) gapsText(p *printer) {
	if len(v.Snapshot.Gaps) == 0 {
		return
	}
	p.blank()
	for _, g := range v.Snapshot.Gaps {
		p.paragraph(span{yellow, p.f("not seen  ", "未確認  ")}, v.gapSentence(g))
		if v.style.Verbose && g.Err != "" {
			p.styledParagraph(span{dim, "          "}, dim, g.Source+": "+g.Err)
		}
	}
}

// onceEachGap returns snap without the gaps that say again what another one has said:
// two sources that stumble over one thing, or one that was asked twice.
func (v *view) onceEachGap(snap *monban.Snapshot) *monban.Snapshot {
	if snap == nil || len(snap.Gaps) < 2 {
		return snap
	}
	type said struct{ source, err, sentence string }
	seen := make(map[said]bool, len(snap.Gaps))
	out := *snap
	out.Gaps = nil
	for _, g := range snap.Gaps {
		if s := (said{g.Source, g.Err, v.gapSentence(g)}); !seen[s] {
			seen[s] = true
			out.Gaps = append(out.Gaps, g)
		}
	}
	return &out
}

// gapSentence says what a gap hides and, where the user can do something about
// it, what.
func (v *view) gapSentence(g monban.Gap) string {
	l := v.style.Lang
	if g.Hides == monban.HidesRules && g.Err == NotSaved {
		return l.pick("The earlier view does not hold the firewall's rules, so whether others can reach a door now is not known.",
			"以前の状態にファイアウォールのルールが保存されていないため、届く相手が変わったかどうかは分かりません。")
	}
	if g.Hides != monban.HidesOutside && g.Hides != monban.HidesSightings { // there it is a name or a code
		g.Err = l.errorText(g.Err)
	}
	say := l.say
	switch g.Hides {
	case monban.HidesOwners:
		return v.ownersGap(g)
	case monban.HidesDoors:
		return say("Some doors may be missing here (%s: %s).",
			"ここに出ていないドアがあるかもしれません(%s: %s)。", g.Source, g.Err)
	case monban.HidesBound:
		return say("Programs that hold a TCP port without listening on it are not shown (%s).",
			"TCP ポートを確保しているだけで待ち受けていないプログラムは表示されません(%s)。", g.Err)
	case monban.HidesDetails:
		return say("Some details of the programs could not be read (%s: %s).",
			"プログラムの詳細の一部を読めませんでした(%s: %s)。", g.Source, g.Err)
	case monban.HidesContainers:
		return say("Containers and their published ports could not be asked about (%s: %s).",
			"コンテナと公開ポートを問い合わせられませんでした(%s: %s)。", g.Source, g.Err)
	case monban.HidesRestarts:
		return say("Which containers are started by themselves could not be asked (%s: %s).",
			"自動で起動されるコンテナを問い合わせられませんでした(%s: %s)。", g.Source, g.Err)
	case monban.HidesNamespaces:
		return say("Doors inside other network namespaces (containers, VPNs) are not shown (%s: %s).",
			"ほかのネットワーク名前空間(コンテナ、VPN など)のドアは表示されていません(%s: %s)。", g.Source, g.Err)
	case monban.HidesTraffic:
		return say("Connections could not be counted (%s: %s).",
			"接続数を数えられませんでした(%s: %s)。", g.Source, g.Err)
	case monban.HidesHost:
		if g.Source == "user" {
			return say("You may open this port; the program was perhaps run by another user.",
				"いまのユーザーはこのポートを開けます。プログラムを実行したのは別のユーザーかもしれません。")
		}
		if g.Source == "/proc" {
			return say("Nothing could be read about this machine and its programs, because /proc cannot be read (%s). Where it is missing: mount -t proc proc /proc",
				"/proc を読めないため、このマシンとプログラムについての情報を確認できませんでした(%s)。/proc がない場合は mount -t proc proc /proc で用意できます。", g.Err)
		}
		return say("A fact about this machine could not be read (%s: %s).",
			"このマシンについての情報の一部を読めませんでした(%s: %s)。", g.Source, g.Err)
	case monban.HidesOutside:
		return v.outsideGap(g)
	case monban.HidesRegistry:
		return say("The updated port registry could not be used; the built-in one was (%s: %s).",
			"更新されたポート台帳を使えないため、内蔵の台帳を使いました(%s: %s)。", g.Source, g.Err)
	case monban.HidesSightings:
		return v.sightingsGap(g)
	case monban.HidesRules:
		return v.rulesGap(g)
	case monban.HidesReach:
		if g.Err != "" {
			return say("Who can reach some ports could not be judged (%s: %s).",
				"届く相手を判定できないポートがあります(%s: %s)。", g.Source, g.Err)
		}
		return say(plural(g.Count, "Who can reach %[1]d door depends on something that cannot be judged here: %[2]s.", "Who can reach %[1]d doors depends on something that cannot be judged here: %[2]s."),
			"%[1]d 個のドアに届く相手は、ここでは判定できないものしだいです: %[2]s。", g.Count, g.Source)
	case monban.HidesClaims:
		return say("%s: what it asks for is not known here (%s).",
			"%s: どのポートを必要とするか読み取れませんでした(%s)。", g.Source, g.Err)
	default:
		return say("Something could not be seen (%s: %s).", "確認できなかったものがあります(%s: %s)。", g.Source, g.Err)
	}
}

// rulesGap says why nobody can tell who comes in.
func (v *view) rulesGap(g monban.Gap) string {
	l := v.style.Lang
	switch {
	case !v.asRoot() && v.Snapshot.Host.OS == "linux":
		return l.pick("The firewall's rules can only be read with privilege (sudo), so who can reach a door, and whether a rule leads it elsewhere, is unknown.",
			"ファイアウォールのルールを読むには権限(sudo)が必要なため、ドアに誰が届くか、別の場所へ転送されるかは分かりません。")
	case strings.HasSuffix(g.Source, "_tables_names"):
		return l.say("Rules of iptables-legacy are in force, which are not read here, so who can reach a door is unknown (%s).",
			"iptables-legacy のルールが有効ですが、ここでは読めないため、ドアに誰が届くかは分かりません(%s)。", g.Err)
	}
	return l.say("The firewall's rules could not be read, so who can reach a door is unknown (%s: %s).",
		"ファイアウォールのルールを読めなかったため、ドアに誰が届くかは分かりません(%s: %s)。", g.Source, g.Err)
}

func (v *view) ownersGap(g monban.Gap) string {
	l := v.style.Lang
	say := l.say
	switch g.Reason {
	case monban.HiddenPrivilege:
		if v.asRoot() {
			return say(
				plural(g.Count, "The program behind %d door may not be looked at, even by this root.", "The programs behind %d doors may not be looked at, even by this root."),
				"%d 個のドアのプログラムは、この root からも調べることが許されていません。", g.Count)
		}
		if v.Snapshot.Host.OS == "windows" {
			return say(
				plural(g.Count, "The program behind %d door is closed to this user; run as administrator and it is named.", "The programs behind %d doors are closed to this user; run as administrator and they are named."),
				"%d 個のドアのプログラムは、このユーザーには確認できません。管理者として実行すると、プログラム名が分かります。", g.Count)
		}
		if own := v.ownHidden(); own > 0 {
			text := say(
				plural(own, "%d door belongs to a program of your own that is protected from being looked into; with sudo it is named.",
					"%d doors belong to programs of your own that are protected from being looked into; with sudo they are named."),
				"%d 個のドアは自分のプログラムのものですが、中を調べられないよう保護されています。sudo を付けて実行すると、プログラム名が分かります。", own)
			if g.Count <= own {
				return text
			}
			g.Count -= own
			return v.othersGap(g) + l.pick(" ", "") + text
		}
		return v.othersGap(g)
	case monban.HiddenNamespace:
		return say(
			plural(g.Count, "The program behind %d door is outside this process namespace and cannot be named from here.", "The programs behind %d doors are outside this process namespace and cannot be named from here."),
			"%d 個のドアのプログラムはこのプロセス名前空間の外にあり、ここからは名前が分かりません。", g.Count)
	case monban.HiddenGone:
		return say(
			plural(g.Count, "The program behind %d door ended while it was being looked at.", "The programs behind %d doors ended while they were being looked at."),
			"%d 個のドアのプログラムは、調べている間に終了しました。", g.Count)
	default:
		if g.Count > 0 {
			return say(
				plural(g.Count, "The program behind %d door could not be found out (%s: %s).", "The programs behind %d doors could not be found out (%s: %s)."),
				"%d 個のドアのプログラムを確認できませんでした(%s: %s)。", g.Count, g.Source, g.Err)
		}
		return say("Some programs could not be named (%s: %s).",
			"一部のプログラムの名前を確認できませんでした(%s: %s)。", g.Source, g.Err)
	}
}

// othersGap says how many doors belong to other users.
func (v *view) othersGap(g monban.Gap) string {
	return v.style.Lang.say(
		plural(g.Count, "%d door belongs to another user; with sudo its program is named.", "%d doors belong to other users; with sudo their programs are named."),
		"%d 個のドアは別のユーザーのものです。sudo を付けて実行すると、プログラム名が分かります。", g.Count)
}

// ownHidden counts the doors of the user who looks whose programs are hidden.
func (v *view) ownHidden() (n int) {
	for i := range v.Snapshot.Doors {
		if d := &v.Snapshot.Doors[i]; d.Unnamed == monban.HiddenPrivilege && v.own(d) {
			n++
		}
	}
	return n
}

func (v *view) outsideGap(g monban.Gap) string {
	switch kind := v.Snapshot.Host.Virtual; kind {
	case "wsl1", "wsl2":
		return v.style.Lang.pick(
			"This is WSL: the ports of Windows itself, and of other WSL distributions, cannot be seen from here. Run monban.exe on Windows as well.",
			"ここは WSL の中です。Windows 本体や他の WSL ディストリビューションのポートはここからは見えません。Windows 側でも monban.exe を実行してください。")
	}
	if g.Err == "container" { // of no kind that is known
		return v.style.Lang.pick(
			"This runs inside a container: the host's doors and programs, and those of other containers, cannot be seen from here.",
			"コンテナの中で実行されています。ホストや他のコンテナのドアとプログラムはここからは見えません。")
	}
	return v.style.Lang.say(
		"This runs inside a container (%s): the host's doors and programs, and those of other containers, cannot be seen from here.",
		"コンテナ(%s)の中で実行されています。ホストや他のコンテナのドアとプログラムはここからは見えません。", g.Err)
}

// plural picks the English form; Japanese has one.
func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
