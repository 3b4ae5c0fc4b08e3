package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// findingSentence says what was found and why it matters.
func (v *view) findingSentence(f monban.Finding) string {
	l := v.style.Lang
	say := l.say
	var a, b monban.Door
	if len(f.Doors) > 0 {
		a = f.Doors[0]
	}
	if len(f.Doors) > 1 {
		b = f.Doors[1]
	}
	switch f.Kind {
	case monban.SplitLoopback:
		return say(
			"localhost:%[1]d leads to two different programs: %[2]s is %[3]s, %[4]s is %[5]s. Which one answers depends on whether the client tries IPv4 or IPv6 first.",
			"localhost:%[1]d の先に別々のプログラムがいます。%[2]s は %[3]s、%[4]s は %[5]s です。どちらが応答するかは、クライアントが IPv4 と IPv6 のどちらを先に試すかで変わります。",
			f.Bind.Port.Num, place(a.Bind), v.who(&a), place(b.Bind), v.who(&b))
	case monban.SplitWildcard:
		return say(
			"Port %[1]s is split between two programs: %[2]s has %[3]s, %[4]s has %[5]s. The more specific address wins, so the same number reaches different programs.",
			"ポート %[1]s を 2 つのプログラムが分け合っています。%[3]s は %[2]s、%[5]s は %[4]s が待ち受けています。より具体的なアドレスが優先されるため、同じポート番号でも宛先によって別のプログラムにつながります。",
			f.Bind.Port, v.who(&a), place(a.Bind), v.who(&b), place(b.Bind)) + v.causeOf(f)
	case monban.SharedPort:
		return say(
			"%[1]s is shared by programs that have nothing to do with each other (SO_REUSEPORT): %[2]s. The kernel splits new connections between them.",
			"%[1]s を無関係なプログラムが SO_REUSEPORT で共有しています: %[2]s。新しい接続はカーネルがどちらかへ振り分けます。",
			place(f.Bind), v.everyone(f.Doors))
	case monban.UnnamedOwner:
		return v.unnamedSentence(f, &a)
	case monban.WideService:
		if f.Likely {
			return say(
				"Port %[2]s is usually %[1]s, and it is open on every address (%[3]s, behind it %[4]s). If it is %[1]s: a service of this kind is meant for this machine or a trusted network.",
				"ポート %[2]s は通常 %[1]s が使うもので、すべてのアドレスに開いています(%[3]s、持ち主: %[4]s)。%[1]s だとすれば、この種のサービスは、このマシンの中か信頼できるネットワークだけで使うものです。",
				v.serviceName(f.Bind.Port, f.Service), f.Bind.Port, place(f.Bind), v.who(&a)) + v.riskText(f)
		}
		return say(
			"%[1]s answers on every address (%[2]s, %[3]s). A service of this kind is meant for this machine or a trusted network.",
			"%[1]s がすべてのアドレスで待ち受けています(%[2]s、%[3]s)。この種のサービスは、このマシンの中か信頼できるネットワークだけで使うものです。",
			v.serviceName(f.Bind.Port, f.Service), place(f.Bind)+"/"+f.Bind.Port.Proto.String(), v.who(&a)) + v.riskText(f)
	case monban.ExposedService:
		if last := f.Evidence[len(f.Evidence)-1]; last.Source == "sources" {
			return say(
				"Computers beyond this network (%[5]s) can reach %[1]s%[4]s on %[2]s (%[3]s). A service of this kind is meant for this machine or a trusted network.",
				"%[1]s%[4]s に、このネットワークの外(%[5]s)からも届きます(%[2]s、%[3]s)。この種のサービスは、このマシンの中か信頼できるネットワークだけで使うものです。",
				f.Service, place(f.Bind)+"/"+f.Bind.Port.Proto.String(), v.who(&a), v.likely(f), last.Text) + v.riskText(f)
		}
		return say(
			"Everyone can reach %[1]s%[4]s on %[2]s (%[3]s), and nothing here turns them away. A service of this kind is meant for this machine or a trusted network.",
			"%[1]s%[4]s に誰でも届きます(%[2]s、%[3]s)。途中で拒むものはありません。この種のサービスは、このマシンの中か信頼できるネットワークだけで使うものです。",
			f.Service, place(f.Bind)+"/"+f.Bind.Port.Proto.String(), v.who(&a), v.likely(f)) + v.riskText(f)
	case monban.PastFirewall:
		if a.To.Container == "" {
			return say(
				"Port %[1]s is open to everyone, although the firewall would turn them away from this machine's own ports: a rule forwards it (%[2]s), and what is forwarded passes other rules.",
				"ポート %[1]s には誰でも届きます。ファイアウォールはこのマシン自身のポートへの接続なら拒みますが、このポートはルールで転送され(%[2]s)、転送される通信は別のルールを通ります。",
				f.Bind.Port, v.targetText(&a))
		}
		return say(
			"Port %[1]s of %[2]s is open to everyone, although the firewall would turn them away from this machine's own ports: published ports are forwarded, and pass other rules.",
			"%[2]s のポート %[1]s には誰でも届きます。ファイアウォールはこのマシン自身のポートへの接続なら拒みますが、公開されたポートは転送されるため、別のルールを通ります。",
			f.Bind.Port, v.who(&a))
	case monban.IPv6Open:
		return say(
			"Port %[1]s is closed to the outside for IPv4 but open to everyone for IPv6 (%[2]s).",
			"ポート %[1]s は IPv4 では外から閉じられていますが、IPv6 では誰でも届きます(%[2]s)。",
			f.Bind.Port, v.who(&a))
	case monban.AdminDoor:
		return say(
			"%[3]s%[4]s is open to everyone on its usual port %[1]d (%[2]s), where automatic attacks try it first.",
			"%[3]s%[4]s が既定のポート %[1]d で誰にでも開いています(%[2]s)。自動攻撃が真っ先に試す場所です。",
			f.Bind.Port.Num, v.who(&a), v.serviceName(f.Bind.Port, f.Service), v.likely(f)) + v.riskText(f)
	case monban.OverlayOpen:
		return say(
			"Whoever is on %[1]s gets to %[2]s, although the rules close that everywhere else: what comes by %[1]s is let in whatever the port.",
			"%[1]s の先にいる相手は、誰でも %[2]s に届きます。ほかのインターフェースではルールで閉じられていますが、%[1]s から来る通信は、ポートを問わず通されています。",
			text(f, 0), doorList(l, f.Doors))
	case monban.IdlePermit:
		if len(f.Evidence) > 1 && f.Evidence[1].Source == "policy" {
			return say(
				"The policy opens %s, but nobody listens there: whatever is started on it can be reached at once.",
				"ポリシーで %s を開けていますが、待ち受けているプログラムがありません。ここで何かが起動すると、すぐに外から届きます。", text(f, 0))
		}
		return say(
			"A firewall rule opens %s, but nobody listens there: whatever is started on it can be reached at once.",
			"ファイアウォールのルールで %s が開いていますが、待ち受けているプログラムがありません。ここで何かが起動すると、すぐに外から届きます。", text(f, 0))
	case monban.DeadRule:
		switch {
		case len(f.Evidence) < 2:
			return say(
				"A firewall rule never matches: what it asks for excludes itself (%s).",
				"決して当てはまらないファイアウォールのルールがあります。条件が互いに矛盾しています(%s)。", text(f, 0))
		case f.Severity == monban.Medium:
			return say(
				"A firewall rule that should keep packets out never matches: %[1]s. The rule before it has already let them pass: %[2]s.",
				"拒否するはずのファイアウォールのルールが、決して当てはまりません: %[1]s。手前のルールが先に通しています: %[2]s。", text(f, 0), text(f, 1))
		case f.Severity == monban.Low:
			return say(
				"A firewall rule that should let packets in never matches: %[1]s. The rule before it has already turned them away: %[2]s.",
				"許可するはずのファイアウォールのルールが、決して当てはまりません: %[1]s。手前のルールが先に拒んでいます: %[2]s。", text(f, 0), text(f, 1))
		}
		return say(
			"A firewall rule never matches: %[1]s. The rule before it decides about the same packets: %[2]s.",
			"決して当てはまらないファイアウォールのルールがあります: %[1]s。手前のルールが同じパケットを先に処理しています: %[2]s。", text(f, 0), text(f, 1))
	case monban.SeenOpen:
		return say(
			"Port %[1]s answered when it was looked at from outside, although by this machine's rules it could not be reached from there. Something else may answer in its place, the rules may have changed since, or this report is wrong about it.",
			"ポート %[1]s は外から調べると応答がありましたが、このマシンのルールでは、そこからは届かないはずです。別の何かが代わりに応答している、調べたあとでルールが変わった、またはこのレポートの判定が誤っている可能性があります。",
			f.Bind.Port)
	case monban.SeenShut:
		return say(
			"Port %[1]s did not open when it was looked at from outside, although this machine's rules let that through. Something on the way may turn it away, such as another firewall or the provider's filter, or the program does not answer.",
			"ポート %[1]s は外から調べると開いていませんでしたが、このマシンのルールでは通るはずです。途中にある別のファイアウォールやプロバイダーのフィルターが拒んでいるか、プログラムが応答していない可能性があります。",
			f.Bind.Port)
	case monban.AnsweringService:
		if seems(f) {
			return say(
				"What answers at %[3]s on port %[2]s seems to be %[1]s. If it is: a service of this kind is meant for its own machine or a trusted network.",
				"%[3]s のポート %[2]s の応答は %[1]s のものと思われます。%[1]s だとすれば、この種のサービスは、そのマシンの中か信頼できるネットワークだけで使うものです。",
				f.Service, f.Bind.Port, hostText(f.Bind.Addr)) + v.riskText(f)
		}
		if f.Likely {
			return say(
				"Port %[2]s of %[3]s is open, and usually %[1]s. If it is %[1]s: a service of this kind is meant for its own machine or a trusted network.",
				"%[3]s のポート %[2]s が開いています。通常は %[1]s が使うもので、%[1]s だとすれば、この種のサービスは、そのマシンの中か信頼できるネットワークだけで使うものです。",
				f.Service, f.Bind.Port, hostText(f.Bind.Addr)) + v.riskText(f)
		}
		return say(
			"%[1]s answers at %[3]s on port %[2]s. A service of this kind is meant for its own machine or a trusted network.",
			"%[3]s のポート %[2]s で %[1]s が応答しています。この種のサービスは、そのマシンの中か信頼できるネットワークだけで使うものです。",
			f.Service, f.Bind.Port, hostText(f.Bind.Addr)) + v.riskText(f)
	case monban.OpenedDoor:
		return say(
			"Port %[1]s of %[2]s is open, and was not in the earlier scan.",
			"%[2]s のポート %[1]s が開いています。前回のスキャンでは開いていませんでした。",
			f.Bind.Port, hostText(f.Bind.Addr))
	case monban.EphemeralServer:
		r := v.Snapshot.Host.Ephemeral
		return say(
			"%[2]s, where %[1]s listens, is inside the range %[3]d–%[4]d from which outgoing connections borrow their ports. After a restart the number may be taken by a client, and the server will not start.",
			"%[1]s が %[2]s で待ち受けています。外向きの接続が使う一時ポートの範囲 %[3]d–%[4]d の中なので、再起動したときに番号を先に取られて起動できないことがあります。",
			v.who(&a), place(a.Bind), r.First, r.Last)
	case monban.ClaimEphemeral:
		r := v.Snapshot.Host.Ephemeral
		return say(
			"%[1]s wants %[2]s, inside the range %[3]d–%[4]d from which outgoing connections borrow their ports. Some day the number will be taken before the program starts.",
			"%[1]s が必要とする %[2]s は、外向きの接続が使う一時ポートの範囲 %[3]d–%[4]d の中です。起動前に番号を先に取られることがあります。",
			claimOf(f), place(f.Bind), r.First, r.Last)
	case monban.ClaimReserved:
		return say(
			"%[1]s wants %[2]s, which an administrator has reserved. The program gets it; see that it is meant for this one.",
			"%[1]s が必要とする %[2]s は、管理者が予約したポートです。開くことはできますが、このプログラム用の予約か確認してください。",
			claimOf(f), place(f.Bind))
	case monban.ClaimBrowserBlocked:
		return say(
			"%[1]s wants %[2]s, but browsers refuse to connect to port %[3]d.",
			"%[1]s は %[2]s を必要としていますが、ブラウザーはポート %[3]d への接続を拒否します。",
			claimOf(f), place(f.Bind), f.Bind.Port.Num)
	case monban.ClaimMoved:
		if len(f.Evidence) > 2 {
			return say(
				"%[1]s asks for port %[3]s, which %[4]s takes; the program goes on and will open %[2]s instead.",
				"%[1]s が求めるポート %[3]s は %[4]s が使います。プログラムは次の空きポートに移り、%[2]s を開きます。",
				claimOf(f), place(f.Bind), f.Evidence[1].Text, whoTakes(&f.Evidence[2]))
		}
		return say(
			"%[1]s asks for port %[3]s, which is taken; the program goes on and will open %[2]s instead.",
			"%[1]s が求めるポート %[3]s は使用中です。プログラムは次の空きポートに移り、%[2]s を開きます。",
			claimOf(f), place(f.Bind), f.Evidence[1].Text)
	case monban.ClaimPrivileged:
		return say(
			"%[1]s wants %[2]s: ports below %[3]d are opened by root only, so start it with sudo or as a service.",
			"%[1]s は %[2]s を必要としています。%[3]d 未満のポートを開けるのは root だけなので、sudo を付けるかサービスとして起動してください。",
			claimOf(f), place(f.Bind), v.Snapshot.Host.Unprivileged)
	case monban.DeletedExe:
		return say(
			"%[1]s on %[2]s runs from a file that is no longer on disk (%[3]s), usually because it was upgraded: the old version still serves.",
			"%[2]s の %[1]s は、ディスクから削除された実行ファイル(%[3]s)で動き続けています。多くは更新後の再起動忘れで、古い版のまま応答しています。",
			v.who(&a), place(a.Bind), ownerExe(&a))
	case monban.OrphanHolder:
		return say(
			"%[1]s still holds %[2]s, but whatever started it is gone%[3]s. It may be left over from a closed terminal or editor.",
			"%[1]s が %[2]s を持ったままですが、起動元は既に終了しています%[3]s。閉じた端末やエディターの残りかもしれません。",
			v.who(&a), place(a.Bind), v.fromDir(&a))
	case monban.ContainerLoopback:
		inner := f.Doors[len(f.Doors)-1]
		return say(
			"%[1]s leads to port %[3]d of %[2]s, whose program listens on %[4]s only, the container's own loopback address: nobody outside reaches it [B2].",
			"%[1]s は %[2]s のポート %[3]d につながりますが、中のプログラムはコンテナ自身のループバックアドレス %[4]s だけで待ち受けているため、外からは接続できません [B2]。",
			place(a.Bind), v.who(&a), a.To.Port, place(inner.Bind))
	default:
		return string(f.Kind) + " " + place(f.Bind)
	}
}

// causeOf is a sentence with the cause of a finding, "" without one.
func (v *view) causeOf(f monban.Finding) string {
	title, _, _ := causeText(f.Cause, v.style.Lang)
	if title == "" {
		return ""
	}
	return v.style.Lang.pick(" ", "") + title + " [" + f.Cause + "]" + v.style.Lang.pick(".", "。")
}

// text is the text of one of a finding's pieces of evidence.
func text(f monban.Finding, i int) string {
	if i < len(f.Evidence) {
		return f.Evidence[i].Text
	}
	return ""
}

// likely says that a service is only known by the number.
func (v *view) likely(f monban.Finding) string {
	if f.Likely {
		return v.style.Lang.pick(" (going by the port number)", "(ポート番号からの推測)")
	}
	return ""
}

func (v *view) unnamedSentence(f monban.Finding, a *monban.Door) string {
	l := v.style.Lang
	say := l.say
	ports := doorList(l, f.Doors)
	switch a.Unnamed {
	case monban.HiddenKernel:
		if a.Kernel != "" {
			return say(
				"No program holds %[1]s: it belongs to the kernel itself (%[2]s). It cannot be closed by ending a program.",
				"%[1]s を持つプログラムはありません。カーネル自身のもの(%[2]s)で、プログラムを終了しても閉じられません。",
				ports, a.Kernel)
		}
		return say(
			"No program holds %s: it belongs to the kernel itself (NFS, WireGuard, VXLAN and the like). It cannot be closed by ending a program.",
			"%s を持つプログラムはありません。カーネル自身のもの(NFS、WireGuard、VXLAN など)で、プログラムを終了しても閉じられません。",
			ports)
	case monban.HiddenPrivilege:
		if v.asRoot() {
			return say(
				"Who has %s cannot be seen, even by this root: its process has rights that this one lacks.",
				"%s の持ち主は、この root からも確認できません(より強い権限で保護されています)。", ports)
		}
		if v.Snapshot.Host.OS == "windows" {
			return say(
				"Who has %s cannot be seen without an administrator's rights.",
				"%s の持ち主は、管理者の権限がないため確認できません。", ports)
		}
		if v.own(a) {
			return say(
				"Which program has %s cannot be seen without privilege. It is one of your own, but it is protected from being looked into, as key agents and programs with capabilities are.",
				"%s を持つプログラムは、権限がないため確認できません。自分のプログラムですが、鍵エージェントや特別な権限を持つプログラムのように、中を調べられないよう保護されています。", ports)
		}
		return say(
			plural(len(f.Doors), "Who has %s cannot be seen without privilege: it belongs to another user.", "Who has %s cannot be seen without privilege: they belong to other users."),
			"%s の持ち主は権限がないため確認できません(別のユーザーのものです)。", ports)
	case monban.HiddenNamespace:
		return say(
			"Who has %s cannot be seen from here: its process lives outside this container or process namespace.",
			"%s の持ち主はここからは見えません。プロセスがこのコンテナ(プロセス名前空間)の外にあります。", ports)
	default:
		return say(
			"Who has %s could not be found out.",
			"%s の持ち主は確認できませんでした。", ports)
	}
}

// doorList names a few doors.
func doorList(l Lang, doors []monban.Door) string {
	const most = 4
	var names []string
	for i := range doors {
		if len(names) == most {
			names = append(names, fmt.Sprintf("… (%d)", len(doors)))
			break
		}
		if name := place(doors[i].Bind) + "/" + doors[i].Bind.Port.Proto.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, l.pick(", ", "、"))
}

func (v *view) everyone(doors []monban.Door) string {
	var names []string
	for i := range doors {
		if name := v.who(&doors[i]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, v.style.Lang.pick(", ", "、"))
}

// claimOf names the claim a warning is about, which is its first evidence.
func claimOf(f monban.Finding) string {
	e := f.Evidence[0]
	return claimPlace(&monban.Claim{Name: e.Text, Pos: monban.Pos{File: e.File, Line: e.Line}})
}

// whoTakes is a claim, or a running program: "postgres (pid 812)".
func whoTakes(e *monban.Evidence) string {
	if e.File != "" {
		return claimPlace(&monban.Claim{Name: e.Text, Pos: monban.Pos{File: e.File, Line: e.Line}})
	}
	return e.Text + " (" + e.Source + ")"
}

func ownerExe(d *monban.Door) string {
	for _, o := range d.Owners {
		if o.Deleted {
			return o.Exe
		}
	}
	return ""
}

func (v *view) fromDir(d *monban.Door) string {
	if len(d.Owners) == 0 || d.Owners[0].Dir == "" {
		return ""
	}
	o := d.Owners[0]
	dir := o.Project
	if dir == "" {
		dir = o.Dir
	}
	return v.style.Lang.say(" (started %s ago in %s)", "(%s前に %s で起動)", v.age(o.Started), dir)
}

// riskText appends what the port book says about exposing the service, at
// whatever port it is.
func (v *view) riskText(f monban.Finding) string {
	risks := v.Book.RisksOf(portbook.Use{Name: f.Service})
	if len(risks) == 0 {
		return ""
	}
	return v.style.Lang.pick(" ", "") + risks[0].Text.In(v.style.Lang.String())
}

// seems reports whether a service is likely because of what it answered, rather than
// by the number of its port alone.
func seems(f monban.Finding) bool { return f.Likely && len(f.Evidence) > 0 }

// serviceName is the name of a use of the port book for people.
func (v *view) serviceName(p monban.Port, name string) string {
	for _, u := range v.Book.Practice(p) {
		if u.Name == name {
			return u.Title().In(v.style.Lang.String())
		}
	}
	return name
}
