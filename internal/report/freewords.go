package report

import (
	"io"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// stepSentence says what a step does.
func (v *view) stepSentence(s *FreeStep) string {
	l := v.style.Lang
	say := l.say
	switch s.Action {
	case "stop-unit":
		if strings.HasSuffix(s.Name, ".socket") {
			return say("Stop %s, whose socket systemd holds, and the service behind it.", "systemd がソケットを持つ %s と、その背後のサービスを停止します。", s.Name)
		}
		return say("Stop the service %s.", "サービス %s を停止します。", s.Name)
	case "stop-container":
		return say("Stop the container %s.", "コンテナ %s を停止します。", s.Name)
	case "stop-child":
		return say("Stop %[1]s through %[2]s, which would start it again otherwise.", "%[2]s を通して %[1]s を停止します(プロセスだけを終了すると、%[2]s が再び起動します)。", s.Name, s.Supervisor)
	}
	names := make([]string, 0, len(s.Processes))
	for i := range s.Processes {
		names = append(names, say("%s (pid %d)", "%s(pid %d)", s.Processes[i].Name, s.Processes[i].PID))
	}
	first := ""
	if len(names) > 0 {
		first = names[0]
	}
	text := say("Send SIGTERM to %s.", "%s に SIGTERM を送ります。", first)
	if len(names) > 1 {
		const most = 8
		rest := names[1:]
		more := ""
		if len(rest) > most {
			more = say(" and %d more", " ほか %d 個", len(rest)-most)
			rest = rest[:most]
		}
		text = say("Send SIGTERM to %s; then, to whatever stays behind and still holds the port, of %s.",
			"%s に SIGTERM を送ります。それでもポートを持ち続けるものがあれば、%s にも送ります。", first, strings.Join(rest, l.pick(", ", "、"))+more)
	}
	text += say(" What still holds the port after %s gets SIGKILL.", "%sたってもポートを持っていれば SIGKILL で終了させます。", l.seconds(s.Grace))
	if s.Session {
		text += say(" This ends the whole ssh connection, not only the forwarding.", "ポート転送だけでなく、ssh の接続全体が切れます。")
	}
	return text
}

// sentence says in one sentence what came of it.
func (f Free) sentence(v *view) string {
	l := v.style.Lang
	say := l.say
	door := f.door()
	switch f.Outcome {
	case FreePlanned:
		return say("This is what would be done; nothing was.", "実行する内容です。まだ何も実行していません。")
	case FreeFreed:
		return say("%s is free. It was watched for %s and nobody opened it again.", "%s は空きました。%sの間、再び開かれないことを確認しました。", door, l.seconds(f.Watched))
	case FreeNobody:
		if f.Port.Num == 0 {
			return say("Port 0 is not a door: a program that asks for it is given a free port by the kernel. There is nothing to make free.",
				"ポート 0 はドアではありません。指定したプログラムには、空いているポートをカーネルが割り当てます。空ける必要はありません。")
		}
		return say("Nobody has %s: there is nothing to stop.", "%s を使っているプログラムはありません。止めるものはありません。", door)
	case FreeChoose:
		return say("Several programs have %s. Which one is to be stopped?", "%s は複数のプログラムが使っています。どれを止めるか選んでください。", door)
	case FreeDeclined:
		return say("Nothing was done.", "何も実行しませんでした。")
	case FreeRefused:
		if f.Reason == FreeBlind {
			return say("Not every socket of this machine can be seen, so nobody can say whether %s is free. Nothing was done.",
				"このマシンのソケットをすべて確認できないため、%s が空いているかどうか分かりません。何も実行していません。", door)
		}
		return say("%s was not made free, and nothing was stopped:", "%s は空けられません。何も停止していません。", door)
	}
	switch f.Reason {
	case FreeCameBack:
		return say("%s was free for a moment, then the same program was started again [L16].", "%s は一度空きましたが、同じプログラムがまた起動しました [L16]。", door)
	case FreeTaken:
		return say("%s was made free, but another program has opened it since.", "%s は空きましたが、別のプログラムがすぐに開きました。", door)
	case FreeChanged:
		return say("%s changed hands while this was being asked. Nothing was stopped; look again.", "確認している間に %s の持ち主が変わりました。何も停止していません。もう一度確認してください。", door)
	case FreeInterrupted:
		return say("This was broken off before %s was free.", "%s が空く前に中断されました。", door)
	}
	return say("%s is still not free.", "%s はまだ空いていません。", door)
}

// refusalSentence says why nothing is done about one door.
func (v *view) refusalSentence(r *FreeRefusal) string {
	l := v.style.Lang
	say := l.say
	who := say("%s (pid %d)", "%s(pid %d)", r.Name, r.PID)
	if r.PID == 0 {
		who = r.Name
	}
	switch r.Reason {
	case "init":
		if v.Snapshot.Host.Container != "" {
			return say("Pid 1 has it, the program that this container exists for. Stop the container from outside.",
				"PID 1(このコンテナの本体)が使っています。コンテナの外から、コンテナごと停止してください。")
		}
		return say("Pid 1 has it, without which nothing on this machine runs.", "PID 1 が使っています。PID 1 を止めるとマシン全体が止まります。")
	case "kernel":
		return say("The kernel itself has it; there is no process to stop.", "カーネル自身が使っています。停止できるプロセスはありません。")
	case "forwarder":
		return say("%s only forwards the port, and serves others too. Stop what it forwards to, or close the forwarding there.",
			"%s はポートを転送しているだけで、ほかの用途にも使われています。転送先を停止するか、そのプログラムの中で転送を閉じてください。", who)
	case "lifeline":
		return say("%s is a way into this machine, or others depend on it. Move it to another port in its configuration instead of stopping it.",
			"%s はこのマシンへの入口か、ほかのプログラムの土台です。停止せず、設定で別のポートに移してください。", who)
	case "manager":
		return say("%s holds it for one of the programs that it runs, and runs others too. Stop that program through it.",
			"%s が、管理しているプログラムの 1 つのためにポートを持っています。ほかのプログラムも管理しているため、これ自体は止めません。そのプログラムだけを停止してください。", who)
	case "ancestor":
		return say("This very command runs below %s: stopping it would stop this too. Run it from another terminal, or end the program by hand.",
			"このコマンド自身が %s の下で動いているため、停止すると自分も止まります。別の端末から実行するか、手動で終了してください。", who)
	case "session":
		return say("You came into this machine by this port (SSH_CONNECTION): stopping it would lock you out.",
			"このポートを通ってログインしています(SSH_CONNECTION)。停止すると接続できなくなります。")
	case "own-unit":
		return say("This very command runs inside what would be stopped. Run it from outside.",
			"このコマンド自身が、停止する対象の中で動いています。外から実行してください。")
	case "container":
		return say("The container %s has it, and its engine could not be asked. Stop it with the tool that started it.",
			"コンテナ %s が使っていますが、エンジンに問い合わせられませんでした。起動に使ったツールで停止してください。", r.Name)
	case "rule":
		return say("No program of this machine has it: %s leads what arrives there on to %s.",
			"このマシンのプログラムは使っていません。%s が、届いたものを %s へ送っています。", v.unnamedLong(&r.Door), strings.TrimPrefix(v.targetText(&r.Door), "→ "))
	case "hidden":
		return say("Who has it could not be found out: %s.", "持ち主が分かりませんでした: %s。", v.unnamedLong(&r.Door))
	case "privilege":
		return say("It takes more privilege than yours to stop it.", "停止するには、いまのユーザーより高い権限が必要です。")
	case "resolver":
		return say("%s answers the DNS queries of this machine here; without it names are not resolved.",
			"%s がここでこのマシンの DNS 問い合わせに答えています。停止すると名前解決ができなくなります。", who)
	case "other-user":
		return say("It is run by %s, which belongs to the user %s. Commands of another user's supervisor are not run with your rights: do it as that user.",
			"ユーザー %[2]s の %[1]s が動かしています。他のユーザーのスーパーバイザーをこの権限で操作することはしません。そのユーザーとして実行してください。", who, r.User)
	case "changed":
		return say("It is not the program any more that was found there a moment ago. Look again.",
			"さきほど見つかったプログラムとは変わっています。もう一度確認してください。")
	case "unsupported":
		return say("This kernel cannot keep hold of %s, so the signal might hit another process with the same number. End it by hand.",
			"このカーネルでは %s を確実に捉えておくことができず、同じ番号の別のプロセスに信号が届くおそれがあります。手動で終了してください。", who)
	case "supervisor":
		return say("%s supervises it, but could not be asked.", "%s が管理していますが、問い合わせられませんでした。", who)
	}
	return r.Reason
}

// WritePlan shows what would be done, and nothing else.
func WritePlan(w io.Writer, r Result, s Style) error {
	if !s.ShowSecrets {
		m := newMasker()
		r.Snapshot, r.Data = hideSecrets(r.Snapshot, m), r.Data.hideSecrets(m)
	}
	p := newPrinter(w, s)
	v := &view{Result: r, style: s, shapes: make(map[*monban.Owner][]ownerWire)}
	switch d := r.Data.(type) {
	case Free:
		d.planText(p, v)
	case Fix:
		d.planText(p, v)
	}
	return p.w.Flush()
}

// WritePrompt asks something at the terminal.
func WritePrompt(w io.Writer, question string) error {
	_, err := io.WriteString(w, question)
	return err
}

// StoppingFree says what is being waited for.
func StoppingFree(lang Lang, watch time.Duration) string {
	return lang.say("Stopping it, then watching the port for %.0f s …\n", "停止してから、%.0f 秒間ポートを見守ります…\n", watch.Seconds())
}

// ConfirmFree asks at the terminal whether the plan is to be carried out.
func ConfirmFree(lang Lang) string { return lang.pick("Do this? [y/N] ", "実行しますか? [y/N] ") }

// ChooseFree asks at the terminal which of n programs is meant.
func ChooseFree(lang Lang, n int) string {
	return lang.say("Which one? [1-%d, Enter for none] ", "どれですか? [1-%d、Enter で中止] ", n)
}

// Agrees reports whether an answer is a yes.
func Agrees(answer string) bool {
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "はい":
		return true
	}
	return false
}

// NeedsYes says that nobody can be asked.
func NeedsYes() error {
	return usageProblem("nothing was done: without a terminal, say --yes to do it or --dry-run to see it", "何も実行していません。端末がない場合は、--yes を付けると実行、--dry-run を付けると内容の確認だけを行います")
}

// NeedsChoice says that several programs have the port.
func NeedsChoice(port monban.Port, n int, example []string) error {
	return usageProblem("%d programs have %s: say which, for example: %s", "%[2]s は %[1]d 個のプログラムが使っています。どれかを指定してください。例: %[3]s", n, port, shellLine(example))
}

// SeveralPorts says that a name stands for more than one port.
func SeveralPorts(name string, ports []monban.PortRange) error {
	var list []string
	for _, r := range ports {
		list = append(list, r.String())
	}
	return usageProblem("%s is more than one port (%s): name one", "%s は複数のポートを表します(%s)。1 つ指定してください", name, strings.Join(list, ", "))
}

// BadAddress says that a text is no IP address.
func BadAddress(flag, text string) error {
	return usageProblem("%s %q: want an IP address, such as 127.0.0.1 or ::1", "%s %q: IP アドレスを指定してください(例: 127.0.0.1、::1)", flag, text)
}

// BadGrace says that a grace period is out of range.
func BadGrace(value, most time.Duration) error {
	return usageProblem("--grace %s: want 0s to %s", "--grace %s: 0s から %s までを指定してください", flagDuration(value), flagDuration(most))
}

// NoFreeHere says that this system's processes are not ended by monban.
func NoFreeHere(os string) error {
	p := &Problem{
		en: "monban free works on Linux only so far. monban PORT tells who has a port; end it with: kill PID",
		ja: "monban free はいまのところ Linux だけに対応しています。monban PORT で持ち主を調べ、kill PID で終了してください",
	}
	switch os {
	case "windows":
		p.en = "monban free works on Linux only so far. monban PORT tells who has a port; end a program with: taskkill /PID PID, a service with: net stop NAME"
		p.ja = "monban free はいまのところ Linux だけに対応しています。monban PORT で持ち主を調べ、プログラムなら taskkill /PID PID、サービスなら net stop NAME で停止してください"
	case "darwin":
		p.en = "monban free works on Linux only so far. monban PORT tells who has a port; end a program with: kill PID, a service with: launchctl bootout or brew services stop NAME"
		p.ja = "monban free はいまのところ Linux だけに対応しています。monban PORT で持ち主を調べ、プログラムなら kill PID、サービスなら launchctl bootout か brew services stop NAME で停止してください"
	}
	return p
}
