package report

import (
	"io"
	"strings"
	"time"
)

// guardOutcome says what was done.
func (v *view) guardOutcome(g Guard) string {
	l := v.style.Lang
	say := l.say
	switch g.Outcome {
	case GuardSame:
		return say("The doors are as the policy says.", "ドアはポリシーのとおりです。")
	case GuardDiffers:
		return g.differs(say)
	case GuardUnknown:
		return say("What is in force could not be read, so nothing is said about that.", "現在の設定を読み取れなかったため、ポリシーとの違いは分かりません。")
	case GuardDeclined:
		return say("Nothing was changed.", "何も変更していません。")
	case GuardRefused:
		return say("Nothing was changed.", "何も変更していません。")
	case GuardOnTrial:
		return say("On trial for %[1]s. Now open a NEW connection to this machine and run there: monban guard confirm\nWithout that, the kernel goes back to what was before, whatever happens to this program or this connection. To go back at once: monban guard rollback",
			"%[1]sの間、試しに適用しています。このマシンに新しく接続し直し、そこで monban guard confirm を実行してください。\n実行しなければ、このプログラムや接続がどうなっても、カーネルが自動で元の状態に戻します。すぐに戻すには: monban guard rollback", l.seconds(g.State.Left.Round(time.Second)))
	case GuardConfirmed:
		text := say("Confirmed and saved.", "確定し、保存しました。")
		if g.State.Boot {
			return text + say(" It is loaded at every boot, before the network.", "起動のたびに、ネットワークより先に読み込まれます。")
		}
		return text + say(" It is NOT loaded at boot. See to it that this is run there before the network: monban guard apply --saved", "起動時には読み込まれません。ネットワークより先に次が実行されるようにしてください: monban guard apply --saved")
	case GuardUnsaved:
		return say("The policy is in force and stays so until the next boot, which loads what was saved before.", "ポリシーは効いており、次の起動まで続きます。起動時には、前に保存した内容が読み込まれます。")
	case GuardLeft:
		return say("No rule of monban's is in force any more.", "monban のルールは、もう効いていません。")
	case GuardLoaded:
		return say("The saved policy is in force.", "保存したポリシーを適用しました。")
	case GuardRolledBack:
		return say("What was before is in force again.", "元の状態に戻しました。")
	case GuardOff:
		return say("No rule of monban's is left, and nothing is loaded at boot. The policy file was left alone.", "monban のルールをすべて取り除きました。起動時にも読み込まれません。ポリシーファイルはそのまま残しています。")
	case GuardEdited:
		return say("%s was changed. To put it in force: %s", "%s を変更しました。適用するには: %s", g.File, g.command("apply"))
	case GuardImported:
		return say("%s was written: every door that is open now. Take out what is not needed, and see what would change: %s",
			"%s に、いま開いているドアをすべて書き出しました。不要な行を消し、何が変わるかを確かめてください: %s", g.File, g.command("plan"))
	case GuardNoPolicy:
		if g.State.Left > 0 {
			return say("No policy has been confirmed on this machine; the one on trial is in force for another %s. To keep it, from a new connection: monban guard confirm",
				"このマシンで確定したポリシーはありません。試しに適用しているポリシーが効いています(残り %s)。残すには、新しい接続から monban guard confirm を実行してください。", l.seconds(g.State.Left.Round(time.Second)))
		}
		return say("No policy has been confirmed on this machine: monban keeps no door closed. To begin with what is in use now: sudo monban guard import -f /etc/monban/monban.yaml",
			"このマシンで確定したポリシーはありません。monban はどのドアも閉じていません。いま使われているドアから始めるには: sudo monban guard import -f /etc/monban/monban.yaml")
	}
	return ""
}

// command is how the next verb is given the same policy file.
func (g Guard) command(verb string) string {
	args := []string{"monban", "guard", verb}
	if g.Named {
		args = append(args, "-f", g.File)
	}
	return shellLine(args)
}

// differs says in which way the kernel is not as wanted.
func (g Guard) differs(say func(en, ja string, args ...any) string) string {
	if g.Action == "plan" && g.State.Left > 0 {
		return say("This is not confirmed yet; a policy is on trial.", "まだ確定していません。ポリシーを試しに適用しているところです。")
	}
	if g.Action == "plan" {
		return say("This is not in force yet. To put it on trial: %s", "まだ適用していません。試しに適用するには: %s", g.command("apply"))
	}
	if !g.State.Table {
		return say("The confirmed policy is not in force: somebody took the table inet monban away. To load it again: monban guard apply --saved",
			"確定したポリシーが効いていません。テーブル inet monban が取り除かれています。読み込み直すには: monban guard apply --saved")
	}
	return say("The rules in force are not those of the confirmed policy (%d differ; -v shows them). To load it again: monban guard apply --saved",
		"現在のルールが、確定したポリシーと違います(%d 件。-v で表示)。読み込み直すには: monban guard apply --saved", len(g.Differences))
}

// guardRefusal says why nothing was done.
func (v *view) guardRefusal(g Guard, r GuardRefusal) string {
	l := v.style.Lang
	switch r.Reason {
	case "left", "failed", "unproven", "privilege", "not-saved", "cannot-save":
		r.Args = l.errorTexts(r.Args)
	}
	arg := func(i int) string {
		if i < len(r.Args) {
			return r.Args[i]
		}
		return ""
	}
	say := func(en, ja string) string {
		return strings.NewReplacer("{0}", arg(0), "{1}", arg(1), "{apply}", g.command("apply")).Replace(l.pick(en, ja))
	}
	switch r.Reason {
	case "cuts-session":
		return say("The policy would not let {0} in at {1}, the connection that you are working over. Add a door for it (monban guard open {1} --to {0}), or say --allow-cut.",
			"このポリシーでは、いま作業に使っている接続({0} から {1})で入れなくなります。その相手のドアを加えるか(monban guard open {1} --to {0})、--allow-cut を指定してください。")
	case "may-cut-session":
		return say("The policy would not let {0} in at {1}. Somebody is connected from there by SSH, and it may be you: over which connection you work cannot be seen from here (tmux, screen, mosh). Add a door for it (monban guard open {1} --to {0}), or say --allow-cut.",
			"このポリシーでは {0} から {1} へ入れなくなります。そこから SSH で接続中の人がいて、あなた自身かもしれません(tmux、screen、mosh の中では、どの接続で作業しているか分かりません)。その相手のドアを加えるか(monban guard open {1} --to {0})、--allow-cut を指定してください。")
	case "last-administrator":
		return say("Every door for administrators ({0}) has an \"until\": after that nobody could come in to change it. Leave one without, or say --allow-cut.",
			"管理用のドア({0})すべてに until があり、期限が過ぎると誰も入れなくなります。期限のないドアを 1 つ残すか、--allow-cut を指定してください。")
	case "trial":
		return say("A policy is on trial already. Confirm it or take it back first: monban guard confirm, monban guard rollback",
			"別のポリシーを試している最中です。先に monban guard confirm で確定するか、monban guard rollback で戻してください。")
	case "no-trial":
		return say("No policy is on trial: it was not put there, its time is over and what was before is in force, or another program took all rules away. What is in force: monban guard status. To put a policy on trial: {apply}",
			"試しに適用しているポリシーはありません。適用していないか、時間切れで元の状態に戻ったか、ほかのプログラムがルールをすべて消したかのいずれかです。いまの状態は monban guard status で確認できます。試しに適用するには: {apply}")
	case "same-session":
		return say("This is the very connection that put the policy on trial. It stays open whatever the policy says and proves nothing. Open a new one and confirm there, or say --same-session.",
			"ポリシーを適用したときと同じ接続です。この接続はポリシーの内容に関係なく続くため、確認になりません。新しく接続し直してそこで確定するか、--same-session を指定してください。")
	case "old-session":
		return say("This connection was there before the trial began. It stays open whatever the policy says and proves nothing. Open a new one and confirm there, or say --same-session.",
			"この接続は、試しの適用より前からつながっています。ポリシーの内容に関係なく続くため、確認になりません。新しく接続し直してそこで確定するか、--same-session を指定してください。")
	case "inside-session":
		return say("This connection comes from this machine itself, which every policy lets in, so it proves nothing. Open a new one from where you work and confirm there, or say --same-session.",
			"このマシン自身からの接続です。どのポリシーでも入れるため、確認になりません。手元のマシンから新しく接続してそこで確定するか、--same-session を指定してください。")
	case "busy":
		return say("Another monban guard has been at work for a while ({0}). Try again when it has ended; if it is stuck, end that process. A policy that is on trial ends by itself, or at once: monban guard rollback",
			"別の monban guard が処理を続けています({0})。終わってから、もう一度実行してください。止まったままなら、そのプロセスを終了させてください。試しに適用しているポリシーは自動で元に戻ります。すぐに戻すには: monban guard rollback")
	case "left":
		return say("Files are left by which the next boot would put the saved policy in force again: {0}. Mend that, and say once more: monban guard off",
			"次の起動時に保存したポリシーが再び読み込まれるファイルが残っています: {0}。原因を取り除いてから、もう一度実行してください: monban guard off")
	case "failed":
		return say("It did not work ({0}), and nothing was changed.", "実行できませんでした({0})。何も変更していません。")
	case "unclear-session":
		return say("Over which connection you work cannot be seen from here (tmux, screen, mosh). It may be one from before the trial, which goes on whatever the policy says and proves nothing. Open a new SSH connection and confirm there, or say --same-session.",
			"どの接続で作業しているか分かりません(tmux、screen、mosh の中など)。試しの適用より前からの接続は、ポリシーの内容に関係なく続くため、確認になりません。新しく SSH で接続し、その接続で確定するか、--same-session を指定してください。")
	case "changed":
		return say("Somebody else changed the firewall at the same moment. Look again: monban guard plan", "同時にほかのプログラムがファイアウォールを変更しました。monban guard plan で確認し直してください。")
	case "touched":
		return say("The rules on trial are not those that were put there; somebody changed them. Begin again: monban guard rollback, and then {apply}",
			"試しに適用したルールが、ほかのプログラムによって変更されています。monban guard rollback で戻してから、もう一度 {apply} を実行してください。")
	case "foreign":
		return say("The table inet monban has rules in it that are not monban's; it is left alone. Look with: nft list table inet monban",
			"テーブル inet monban に monban のものではないルールがあるため、手を付けません。nft list table inet monban で確認してください。")
	case "unproven":
		return say("A trial does not end by itself on this kernel ({0}), so nothing is put on trial.", "このカーネルでは試用が自動で終わることを確かめられなかったため({0})、適用しません。")
	case "privilege":
		return say("This needs root, as with sudo: the kernel does not let this user change the firewall ({0}).", "root 権限が必要です。sudo などで実行してください。このユーザーはファイアウォールを変更できません({0})。")
	case "unsupported":
		return say("Putting a policy in force is for Linux only so far; monban guard plan prints what to tell this system's own firewall.",
			"ポリシーの適用は、いまのところ Linux だけで使えます。このシステムのファイアウォールに設定する内容は monban guard plan で表示できます。")
	case "nothing-saved":
		return say("No policy has been confirmed on this machine. First: {apply}, and then from a new connection: monban guard confirm",
			"このマシンで確定したポリシーはありません。先に {apply} を実行し、新しい接続から monban guard confirm で確定してください。")
	case "no-record":
		return say("There is no record of the policy on trial ({0}), so it cannot be confirmed. It ends by itself, or at once: monban guard rollback",
			"試しに適用しているポリシーの記録がないため({0})、確定できません。時間が来れば自動で元に戻ります。すぐに戻すには: monban guard rollback")
	case "not-saved":
		return say("It could NOT be saved in {0}: {1}. Mend that, and say once more: monban guard confirm",
			"{0} に保存できませんでした: {1}。原因を取り除いてから、もう一度実行してください: monban guard confirm")
	case "cannot-save":
		return say("It could not be written to disk ({0}), so nothing was changed.", "ディスクに書き込めないため({0})、何も変更していません。")
	}
	return say("{0}", "{0}")
}

// guardNote says what else is worth knowing.
func (v *view) guardNote(n GuardNote) string {
	l := v.style.Lang
	if n.Code == "boot" {
		n.Args = l.errorTexts(n.Args)
	}
	arg := func(i int) string {
		if i < len(n.Args) {
			return n.Args[i]
		}
		return ""
	}
	say := func(en, ja string) string {
		return strings.NewReplacer("{0}", arg(0), "{1}", arg(1), "{2}", arg(2)).Replace(l.pick(en, ja))
	}
	switch n.Code {
	case "beside":
		return say("{0} is in charge, too. What monban keeps out stays out; but a door that {0} closes stays closed, whatever the policy says. Open it there as well.",
			"{0} も動作しています。monban が閉じたドアは閉じたままですが、{0} が閉じているドアは、ポリシーで開けても開きません。{0} でも開けてください。")
	case "closed-elsewhere":
		return say("{0} stays closed: {1}", "{0} は開きません: {1}")
	case "closed-to":
		return say("{0} stays closed to {2}: {1}", "{0} は {2} からは開きません: {1}")
	case "open-there":
		return say("To open them in {0}, too, for those whom the policy lets in (monban keeps the others out):", "ポリシーで入れる相手を {0} でも入れるには、次を実行します(ほかの相手は monban が閉じたままにします):")
	case "look-there":
		return say("A rule that somebody made in {0} says no; whether it is still wanted is for you to say. It is shown by:", "{0} に、誰かが作った拒否のルールがあります。いまも必要なルールか、次のコマンドで確認してください:")
	case "undecided":
		return say("Who can reach {0} could not be decided for everybody: a rule is not understood. monban {0} shows which.", "{0} に届く相手の一部は、理解できないルールがあるため判断できません。monban {0} でそのルールを確認できます。")
	case "no-listener":
		return say("Nothing listens now at: {0}", "いま待ち受けているプログラムがないポート: {0}")
	case "session":
		return say("This connection ({0}) is let in at {1}.", "いまの接続({0})は {1} で入れます。")
	case "session-closed":
		return say("A new connection from {0} to {1} is kept out already, whatever the policy says: {2}", "{0} から {1} への新しい接続は、ポリシーに関係なく既に閉じられています: {2}")
	case "left-out":
		return say("The entry for {0} says something that this system's firewall has no words for, and is only followed in part.", "{0} の指定には、このシステムのファイアウォールでは表せない内容があり、一部だけ反映しています。")
	case "native-others":
		return say("Rules that programs have made for themselves stay and let in what they say; look through them: netsh advfirewall firewall show rule name=all dir=in", "ほかのプログラムが登録した許可ルールはそのまま残ります。次のコマンドで確認してください: netsh advfirewall firewall show rule name=all dir=in")
	case "trial-running":
		return say("A policy is on trial for another {0} s. To keep it, from a new connection: monban guard confirm", "ポリシーを試しに適用しています(残り {0} 秒)。残すには、新しい接続から monban guard confirm を実行してください。")
	case "boot":
		return say("It could not be arranged that the policy is loaded at boot: {0}. Mend that, and say once more: monban guard confirm", "起動時に読み込まれるように設定できませんでした: {0}。原因を取り除いてから、もう一度実行してください: monban guard confirm")
	case "unsaved":
		return say("They are those of {0}, which was confirmed and is not saved yet. To save it, so that the next boot loads it: monban guard confirm",
			"いま効いているのは {0} のポリシーです。確定しましたが、まだ保存されていません。保存して次の起動から読み込むには: monban guard confirm")
	case "not-at-boot":
		return say("The policy is not loaded at boot. Where systemd or OpenRC starts services, this arranges it: monban guard confirm. Elsewhere, see to it that this is run before the network: monban guard apply --saved",
			"このポリシーは起動時に読み込まれません。systemd か OpenRC の環境では、monban guard confirm を実行すると読み込まれるようになります。それ以外では、ネットワークより先に monban guard apply --saved が実行されるようにしてください。")
	case "cut-allowed":
		return say("As told by --allow-cut, the policy may cut you off.", "--allow-cut の指定により、いまの接続が切れる場合があります。")
	}
	return n.Code
}

// ConfirmGuard asks at the terminal whether a policy is to be put on trial.
func ConfirmGuard(l Lang, timeout time.Duration) string {
	return l.say("Put it on trial for %s? [y/N] ", "%sの間、試しに適用しますか? [y/N] ", l.seconds(timeout))
}

// ConfirmOff asks whether everything is to be taken away.
func ConfirmOff(l Lang) string {
	return l.pick("Take every rule of monban's and the saved policy away? [y/N] ", "monban のルールと保存したポリシーをすべて取り除きますか? [y/N] ")
}

// GuardNeedsYes says that nobody can be asked.
func GuardNeedsYes() error {
	return usageProblem("nothing was done: without a terminal, say --yes", "何も実行していません。端末がない場合は --yes を付けてください")
}

// BadTimeout says how long a trial may be.
func BadTimeout(value, least, most time.Duration) error {
	return usageProblem("--timeout %[1]s: want %[2]s to %[3]s", "--timeout に %[1]s は指定できません。%[2]s から %[3]s までです", flagDuration(value), flagDuration(least), flagDuration(most))
}

// NoPolicyFile says that there is no policy file, and how to get one.
func NoPolicyFile(places ...string) error {
	list := strings.Join(places, ", ")
	return usageProblem("no policy file (%[1]s). To begin with what is in use now: sudo monban guard import -f /etc/monban/monban.yaml", "ポリシーファイルがありません(%[1]s)。いま使われているドアから作るには: sudo monban guard import -f /etc/monban/monban.yaml", list)
}

// PolicyFileThere says that import does not write over a file.
func PolicyFileThere(path string) error {
	return usageProblem("%s is there already; name a new file, or take that one away first",
		"%s は既にあります。別のファイル名を指定するか、先にそのファイルを移動してください", path)
}

// UntrustedFile says that somebody else may write a policy file.
func UntrustedFile(path, mode string, uid int) error {
	return usageProblem("%[1]s: others may write it (mode %[2]s, owner %[3]d), so its word does not count; chown and chmod it, or keep the policy in /etc/monban/monban.yaml",
		"%[1]s: ほかのユーザーが書き込めるため(モード %[2]s、所有者 %[3]d)、使いません。chown と chmod で直すか、ポリシーを /etc/monban/monban.yaml に置いてください", path, mode, uid)
}

// OverlappingLimits says that two entries limit the same source differently.
func OverlappingLimits(file string, first, second int) error {
	return usageProblem("%[1]s:%[3]d: this limit and that of line %[2]d are about the same port and source; keep one of them",
		"%[1]s:%[3]d: この行と %[2]d 行目の limit が、同じポートの同じ相手を指しています。どちらか 1 つにしてください", file, first, second)
}

// UnresolvedName says that a host name of the policy has no address.
func UnresolvedName(file string, line int, name string, err error) error {
	p := newProblem("%[1]s:%[2]d: name:%[3]s could not be resolved: %[4]v", "%[1]s:%[2]d: name:%[3]s の名前解決に失敗しました: %[4]v", err, file, line, name, err)
	p.usage = true
	return p
}

// MissingFlag says that a flag is needed, with an example.
func MissingFlag(flag, example string) error {
	return usageProblem("%[1]s is missing, for example: %[2]s", "%[1]s がありません。例: %[2]s", flag, example)
}

// safeLines escapes every line and keeps the ends of lines.
func safeLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, nl := strings.CutSuffix(line, "\n")
		b.WriteString(safe(body))
		if nl {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// WriteGuardPlan shows the plan to whoever is about to be asked.
func WriteGuardPlan(w io.Writer, r Result, s Style) error {
	g := r.Data.(Guard)
	g.Outcome = ""
	r.Data = g
	return Write(w, r, s)
}
