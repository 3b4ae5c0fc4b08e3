package report

import (
	"fmt"
	"strings"
	"time"
)

// fill puts the arguments of a machine code in the sentence of the language.
func (l Lang) fill(en, ja string, args []string) string {
	text := l.pick(en, ja)
	for i, arg := range args {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i), arg)
	}
	return text
}

// argAt is one argument of a machine code, "" where it has not so many.
func argAt(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// outcome says what was done.
func (m Move) outcome(l Lang) string {
	say := func(en, ja string, args ...any) string { return fmt.Sprintf(l.pick(en, ja), args...) }
	switch m.Outcome {
	case MovePlanned:
		return say("Nothing was changed. To do it: sudo monban move ssh %d", "何も変更していません。実行するには: sudo monban move ssh %d", m.New)
	case MoveRefused:
		if m.Action == "status" {
			return ""
		}
		return say("Nothing was changed.", "何も変更していません。")
	case MoveDeclined:
		return say("Nothing was changed.", "何も変更していません。")
	case MoveFailed:
		return say("Everything is as it was: SSH is at port %d.", "すべて元に戻しました。SSH はポート %d のままです。", m.Old)
	case MoveStuck:
		return say("It could NOT all be put back. Keep this connection open, see what is said above, and try again: monban move rollback",
			"元に戻せなかったものがあります。いまの接続を切らずに、上の内容を確認してから、もう一度 monban move rollback を実行してください。")
	case MoveOnTrial:
		return say("SSH answers at both ports, %[1]d and %[2]d, for %[3]s. Leave this connection open. From another terminal, come in by the new port:\n    %[4]s\nand run there: sudo monban move confirm\nWithout that everything is put back, whatever happens to this program or this connection. To put it back at once: sudo monban move rollback",
			"SSH はポート %[1]d と %[2]d の両方で応答しています(残り %[3]s)。いまの接続は切らずに、別の端末から新しいポートで接続し、\n    %[4]s\nそこで sudo monban move confirm を実行してください。\n実行しなければ、このプログラムや接続がどうなっても、自動ですべて元に戻ります。すぐに戻すには: sudo monban move rollback", m.Old, m.New, l.seconds(m.Left.Round(time.Second)), m.Client)
	case MoveConfirmed:
		return say("SSH is at port %[2]d now, and port %[1]d is closed. Connections that exist go on.", "SSH はポート %[2]d に移り、ポート %[1]d は閉じました。既にある接続はそのまま続きます。", m.Old, m.New)
	case MoveRolledBack:
		if m.Old == 0 {
			return say("There is nothing to put back.", "元に戻すものはありません。")
		}
		return say("Everything is as it was: SSH is at port %d.", "すべて元に戻しました。SSH はポート %d のままです。", m.Old)
	case MoveNone:
		return say("No move has begun.", "SSH の移動は始まっていません。")
	case MoveOver:
		return say("The time for confirming port %d is over, and not everything has been put back. To do that: sudo monban move rollback",
			"ポート %d を確定できる時間は過ぎましたが、元に戻っていないものがあります。戻すには: sudo monban move rollback", m.New)
	case MoveClosing:
		return say("Port %[2]d was confirmed, and the closing of port %[1]d was broken off. To finish it: sudo monban move confirm",
			"ポート %[2]d は確定しましたが、ポート %[1]d を閉じる処理が途中で止まっています。続けるには: sudo monban move confirm", m.Old, m.New)
	}
	return ""
}

// moveStep says what a step does.
func (l Lang) moveStep(s MoveStep) string {
	say := func(en, ja string) string { return l.fill(en, ja, s.Args) }
	switch s.Code {
	case "record":
		return say("Write down how everything is now, so that it can be put back (/var/lib/monban/move.json)", "元に戻せるように、いまの状態を記録する(/var/lib/monban/move.json)")
	case "timer":
		switch argAt(s.Args, 1) {
		case "systemd":
			return say("Arm a timer of systemd's that puts everything back after {0} s, and at the next boot", "{0} 秒後と次の起動時にすべて元に戻すよう、systemd のタイマーを仕掛ける")
		case "openrc":
			return say("Start a process of its own that puts everything back after {0} s, and arrange the same for the next boot", "{0} 秒後にすべて元に戻す独立したプロセスを起動し、次の起動時にも戻るようにする")
		}
		return say("Start a process of its own that puts everything back after {0} s", "{0} 秒後にすべて元に戻す独立したプロセスを起動する")
	case "guard":
		return say("Put a policy of monban guard on trial that lets in at port {0} whom it lets in at port {1}, for both families", "monban guard で、ポート {1} に入れる相手をポート {0} にも入れるポリシーを試しに適用する(IPv4、IPv6 とも)")
	case "gate":
		return say("Open the new port in the firewall, for the same sources", "ファイアウォールで、同じ相手に新しいポートを開ける")
	case "reach":
		return say("Judge by all rules in force whether everybody who reaches port {1} reaches port {0}", "いま有効なすべてのルールから、ポート {1} に届く相手がポート {0} にも届くことを確かめる")
	case "edit":
		return say("Add to {0}, line {1}: {2}", "{0} の {1} 行目に加える: {2}")
	case "test":
		return say("Ask sshd whether it understands its configuration, and with -T where it would listen", "sshd が設定を理解できること、さらに -T で待ち受けるポートを確かめる")
	case "reload":
		return say("Make sshd read its configuration; sessions go on", "sshd に設定を読み直させる(セッションは続く)")
	case "hangup":
		return say("Make sshd read its configuration (SIGHUP); sessions go on", "sshd に設定を読み直させる(SIGHUP。セッションは続く)")
	case "drop-in":
		return say("Write {0}", "{0} を書く")
	case "daemon-reload":
		return say("Make systemd read its units", "systemd にユニットを読み直させる")
	case "restart":
		return say("Make systemd listen anew, with socket and service in one transaction; sessions go on", "systemd に待ち受け直させる(ソケットとサービスを 1 回で切り替える。セッションは続く)")
	case "verify":
		return say("Read an SSH banner at both ports, {0} and {1}, over new connections", "ポート {0} と {1} の両方に新しく接続し、SSH の応答を読む")
	case "confirm":
		return say("Note that somebody came in by port {0}: from here on it goes forward", "ポート {0} から入れたことを記録する。ここからは元に戻さず先へ進む")
	case "gate-keep":
		return say("Keep the new port open in the firewall after a restart", "再起動後も、ファイアウォールで新しいポートを開けておく")
	case "close":
		return say("Take port {1} out of {0}", "{0} からポート {1} を消す")
	case "verify-closed":
		return say("Read a banner at port {0}, and see that nobody listens for SSH at port {1}", "ポート {0} で応答を読み、ポート {1} で SSH が待ち受けていないことを確かめる")
	case "guard-close":
		return say("Take port {0} out of the policy of monban guard", "monban guard のポリシーからポート {0} を消す")
	case "disarm":
		return say("Take the timer and the record away", "タイマーと記録を取り除く")
	}
	return s.Code
}

// moveRefusal says why nothing is done, or what failed.
func (l Lang) moveRefusal(r MoveReason) string {
	switch r.Code {
	case "state", "failed", "not-undone", "guard":
		r.Args = l.errorTexts(r.Args)
	}
	say := func(en, ja string) string { return l.fill(en, ja, r.Args) }
	switch r.Code {
	case "privilege":
		return say("This needs root, also to look: who listens, and what sshd says of its configuration.", "待ち受けているプログラムや sshd の設定を確かめるだけでも、root 権限が必要です。")
	case "unsupported":
		return l.moveElsewhere(argAt(r.Args, 0))
	case "nobody":
		return say("Nobody listens for SSH here, as far as can be seen.", "このマシンで SSH を待ち受けているプログラムは見当たりません。")
	case "dropbear":
		return say("Dropbear listens at {0}, and takes its ports from its command line. Where that stands: /etc/default/dropbear (Debian), /etc/conf.d/dropbear (Alpine), /etc/config/dropbear (OpenWrt). Add a second -p NEW there, open the firewall, restart it, come in by the new port, and only then take the old one out.",
			"{0} で待ち受けているのは Dropbear で、ポートはコマンドラインで決まります。指定する場所は /etc/default/dropbear(Debian)、/etc/conf.d/dropbear(Alpine)、/etc/config/dropbear(OpenWrt)です。まず -p 新しいポート を追加し、ファイアウォールを開けて再起動し、新しいポートから入れることを確かめてから、古い指定を消してください。")
	case "tinysshd":
		return say("tinysshd listens at {0}; whoever starts it decides about the port (a socket unit, tcpserver or inetd). Add a second one with the new port, come in by it, and only then take the old one away.",
			"{0} で待ち受けているのは tinysshd で、ポートを決めるのは起動側(ソケットユニット、tcpserver、inetd)です。新しいポートの設定をもう 1 つ加え、そこから入れることを確かめてから、古い方を消してください。")
	case "launchd":
		return l.moveElsewhere("darwin")
	case "container":
		return say("What answers at {0} is in a container: the port is the one that it publishes. Publish a second one as well (ports: in its Compose file, or docker run -p NEW:22), come in by it, and only then take the old one out.",
			"{0} で応答しているのはコンテナで、ポートはコンテナの公開設定で決まります。Compose ファイルの ports か docker run -p 新しいポート:22 で公開ポートを追加し、そこから入れることを確かめてから、古い方を消してください。")
	case "unnamed":
		return say("Somebody listens at {0} who cannot be named ({1}).", "{0} で待ち受けているプログラムを特定できません({1})。")
	case "stranger":
		return say("What listens at {0} is {1}, which is no SSH server that monban knows.", "{0} で待ち受けているのは {1} で、monban が知る SSH サーバーではありません。")
	case "command-line":
		return say("The port stands on sshd's command line ({0}), where it counts more than in sshd_config. Take it out there first ({1}, /etc/default/ssh, /etc/sysconfig/sshd), and put it into sshd_config.",
			"ポートが sshd のコマンドライン({0})で指定されていて、sshd_config より優先されます。先にその指定({1}、/etc/default/ssh、/etc/sysconfig/sshd)を消し、sshd_config に書いてください。")
	case "relative-config":
		return say("sshd was started with a configuration file that is not an absolute path: {0}.", "sshd の設定ファイルが絶対パスで指定されていません: {0}。")
	case "socket-unclear":
		return say("{0} listens at {1}; it is not clear which of that is the SSH port.", "{0} は {1} で待ち受けていますが、どれが SSH のポートか判断できません。")
	case "systemd":
		return say("systemd could not be asked: {0}", "systemd に問い合わせできません: {0}")
	case "sshd-test":
		return say("sshd does not accept its own configuration as it stands: {0}. After a restart it would not come up again; mend that first.",
			"sshd がいまの設定を受け付けません: {0}。このままでは再起動後に SSH が使えなくなります。先に直してください。")
	case "config-unclear":
		return say("sshd says that {0} makes it listen at {1}; monban reads {2} there. Nothing is changed in a file that is not understood.",
			"{0} について、sshd は待ち受けるポートを {1} としますが、monban には {2} と読めます。理解できないファイルは変更しません。")
	case "stale":
		return say("sshd listens at {2}, but {0} now says {1}: it was changed after sshd started, and a reload would put that in force, too. Put the two in line first.",
			"sshd が待ち受けているのは {2} ですが、{0} の内容は {1} です。sshd の起動後に変更されていて、読み直すとその変更も有効になります。先に両者を一致させてください。")
	case "config":
		return say("The configuration cannot be changed: {0}", "設定を変更できません: {0}")
	case "port-0":
		return say("Port 0 is no port to move to.", "ポート 0 には移せません。")
	case "same-port":
		return say("SSH is at port {0} already.", "SSH は既にポート {0} です。")
	case "already":
		return say("The same server listens at port {0} already. What is left is to take port {1} out of its configuration, once you have come in by {0}.",
			"同じサーバーが既にポート {0} でも待ち受けています。{0} から入れることを確かめたら、設定からポート {1} を消してください。")
	case "busy":
		if argAt(r.Args, 1) == "" {
			return say("Port {0} is taken.", "ポート {0} は使用中です。")
		}
		return say("Port {0} is taken by {1}.", "ポート {0} は {1} が使用中です。")
	case "connected":
		return say("A connection has port {0} at this end at the moment; sshd could not have it.", "ポート {0} は、いま別の接続が使っています。")
	case "claimed":
		return say("{1} asks for port {0} when it starts ({2}).", "{1} が起動時にポート {0} を使う設定になっています({2})。")
	case "not-allowed":
		return say("Nobody may open port {0} here.", "ポート {0} は開けません。")
	case "ephemeral":
		return say("Port {0} is one that outgoing connections can take ({1}): one day sshd would start and not get it. Choose one outside, or reserve it first: sysctl -w net.ipv4.ip_local_reserved_ports={0} (and in /etc/sysctl.d; what is reserved already has to be named, too).",
			"ポート {0} は外向きの接続に使われる範囲({1})にあり、sshd が起動時に使えないことがあります。範囲外を選ぶか、先に予約してください: sysctl -w net.ipv4.ip_local_reserved_ports={0}(/etc/sysctl.d にも書き、既に予約済みのポートも一緒に指定します)。")
	case "selinux":
		return say("SELinux is enforcing, and port {0} is not one of sshd's: sshd would not get it, and say so only in its log. First: semanage port -a -t ssh_port_t -p tcp {0} (package policycoreutils-python-utils; -m instead of -a if the port has a type already)",
			"SELinux が有効で、ポート {0} は sshd に許可されていません。sshd はポートを開けず、ログに残るだけです。先に次を実行してください: semanage port -a -t ssh_port_t -p tcp {0}(パッケージ policycoreutils-python-utils。既に種別がある場合は -a の代わりに -m)")
	case "translated":
		return say("Rules lead what arrives at port {0} elsewhere before sshd would get it.", "ポート {0} に届いたパケットは、sshd に届く前にルールで別の場所へ転送されます。")
	case "in-front":
		return say("What arrives at {0} is led to sshd's port {1}: the door that people use is a rule, and moving sshd would leave it leading nowhere. Change the rule instead.",
			"{0} に届いたパケットが sshd のポート {1} へ転送されています。外から使われるドアはそのルールであり、sshd を移すと行き先がなくなります。ルールの方を変更してください。")
	case "guard-trial":
		return say("A policy of monban guard is on trial. Confirm it or take it back first.", "monban guard のポリシーを試している最中です。先に確定するか、元に戻してください。")
	case "guard":
		return say("The policy of monban guard cannot be put in force with the new port: {0}", "monban guard のポリシーに新しいポートを加えられません: {0}")
	case "blocked":
		return l.moveBlocked(r)
	case "none-free":
		return say("No port was found that is free and stays so; name one: monban move ssh PORT", "今後も空いていそうなポートが見つかりません。ポートを指定してください: monban move ssh PORT")
	case "trial":
		return say("A move is on trial already. Confirm it or put it back first: monban move confirm, monban move rollback", "別の移動を試している最中です。先に monban move confirm で確定するか、monban move rollback で元に戻してください。")
	case "no-trial":
		return say("No move is on trial: none was begun, or its time is over and everything is as it was.", "試している移動はありません。始めていないか、時間切れで元に戻っています。")
	case "over":
		return say("The time for confirming is over.", "確定できる時間は過ぎました。")
	case "session":
		return say("You have not come in by the new port: this connection proves nothing about it. Open a new one ({0}) and confirm there. At a console, where there is no connection, say --same-session.",
			"新しいポートからの接続ではないため、確認になりません。新しく接続し({0})、そこで確定してください。接続のないコンソールでは --same-session を指定します。")
	case "state":
		return say("The record of the move could not be read: {0}", "移動の記録を読めません: {0}")
	case "failed":
		return say("{0}: {1}", "{0}: {1}")
	case "not-undone":
		return say("Not put back: {0}", "元に戻せませんでした: {0}")
	}
	return r.Code + " " + strings.Join(r.Args, " ")
}

// moveBlocked says who would be kept out, by which rule.
func (l Lang) moveBlocked(r MoveReason) string {
	by := argAt(r.Args, 2)
	if by == "" {
		return l.fill("The firewall keeps out at port {0} some who come in at port {3} now: {1}. Open it for them first.",
			"いまポート {3} に入れる相手のうち、ポート {0} にはファイアウォールのため入れない相手があります: {1}。先に開けてください。", r.Args)
	}
	return l.fill("The firewall keeps out at port {0} some who come in at port {3} now: {1}. What keeps them out: {2}. These rules are somebody's own, so they are not changed here: where one lets in at port {3}, add the same for port {0}, in the file that they are loaded from, too.",
		"いまポート {3} に入れる相手のうち、ポート {0} にはファイアウォールのため入れない相手があります: {1}。止めているルール: {2}。monban のルールではないため変更しません。ポート {3} を許可しているルールと同じものをポート {0} にも加えてください(読み込み元のファイルにも)。", r.Args)
}

// moveElsewhere says how SSH is moved on a system where monban does not do it.
func (l Lang) moveElsewhere(system string) string {
	switch system {
	case "darwin":
		return l.pick("On macOS launchd listens for SSH, sshd_config's Port means nothing, and the port stands in a file of the system that cannot be changed. Run a second sshd with a launchd file of your own (Sockets, SockServiceName: the new port), come in by it, and then turn Remote Login off.",
			"macOS では launchd が SSH を待ち受け、sshd_config の Port は無視されます。ポートの指定は変更できないシステムファイルにあります。自分の launchd 設定(Sockets の SockServiceName に新しいポート)で 2 つ目の sshd を動かし、そこから入れることを確かめてから、リモートログインを切ってください。")
	case "windows":
		return l.pick("On Windows: add \"Port NEW\" beside \"Port 22\" at the top of %ProgramData%\\ssh\\sshd_config, allow it (New-NetFirewallRule -DisplayName sshd-new -Direction Inbound -Protocol TCP -LocalPort NEW -Action Allow), Restart-Service sshd, come in by the new port, and only then take 22 out. Moving it by monban is for Linux only so far.",
			"Windows では、%ProgramData%\\ssh\\sshd_config の先頭に「Port 22」と並べて「Port 新しいポート」を書き、ファイアウォールで許可して(New-NetFirewallRule -DisplayName sshd-new -Direction Inbound -Protocol TCP -LocalPort 新しいポート -Action Allow)、Restart-Service sshd を実行します。新しいポートから入れることを確かめてから 22 を消してください。monban による移動は、いまのところ Linux だけで使えます。")
	}
	return l.pick("Moving SSH is for Linux only so far.", "SSH の移動は、いまのところ Linux だけで使えます。")
}

// moveNote says what else is worth knowing, or to be done.
func (l Lang) moveNote(n MoveReason) string {
	say := func(en, ja string) string { return l.fill(en, ja, n.Args) }
	switch n.Code {
	case "squatters":
		if argAt(n.Args, 1) == "" {
			return say("Users are kept in a directory service, too: any of them who can run programs here can take port {0} while sshd is down, and pretend to be it. A port below 1024 takes root.",
				"ユーザーがディレクトリーサービスでも管理されています。このマシンでプログラムを実行できるユーザーは、sshd の停止中にポート {0} を使い、sshd になりすませます。1024 未満のポートなら root だけが使えます。")
		}
		return say("Other users of this machine ({1}) can take port {0} while sshd is down, and pretend to be it. A port below 1024 takes root.",
			"このマシンのほかのユーザー({1})は、sshd の停止中にポート {0} を使い、sshd になりすませます。1024 未満のポートなら root だけが使えます。")
	case "fail2ban":
		return say("fail2ban bans attackers from port {1} only. After the move write \"[sshd]\" and \"port = {0}\" into /etc/fail2ban/jail.d/monban-ssh.local, and run: fail2ban-client reload sshd",
			"fail2ban が攻撃者を締め出すのはポート {1} だけです。移動後に /etc/fail2ban/jail.d/monban-ssh.local へ「[sshd]」と「port = {0}」を書き、fail2ban-client reload sshd を実行してください。")
	case "others":
		return say("The same server also listens at: {0}. Only {1} is moved.", "同じサーバーはほかのポートでも待ち受けています: {0}。移すのは {1} だけです。")
	case "old-rule":
		return say("The firewall's rule for port {0} is yours and stays; nobody listens there afterwards. To take it away, look with: {1}", "ファイアウォールにあるポート {0} のルールはそのまま残ります(移動後は誰も待ち受けません)。消す場合は次で確認してください: {1}")
	case "policy-file":
		return say("{0} could not be changed along with the move. Before the next monban guard apply, put port {2} in the place of port {1} there.", "{0} は一緒に変更できません。次に monban guard apply を実行する前に、ポート {1} を {2} に書き換えてください。")
	case "rules-unseen":
		return say("The firewall's rules could not be read, so it is not known whether they let anybody in at the new port. The trial shows.", "ファイアウォールのルールを読めないため、新しいポートに入れるかどうかは分かりません。試している間に確かめてください。")
	case "undecided":
		return say("Who can reach port {0} could not be decided for everybody: a rule is not understood. The trial shows.", "理解できないルールがあるため、ポート {0} に届く相手の一部を判断できません。試している間に確かめてください。")
	case "wider":
		return say("More people can reach port {0} than port {1}: the firewall limits the old one and not the new one. Limit it likewise.", "ポート {1} より多くの相手がポート {0} に届きます。ファイアウォールの制限が古いポートだけにあるためです。新しいポートも同じように制限してください。")
	case "put-back":
		return say("An earlier move to port {0} that nobody confirmed was put back first.", "確定されなかった以前の移動(ポート {0})を、先に元に戻しました。")
	case "elsewhere":
		return say("What else says {0} is out of sight here: cloud security groups, load balancers, monitoring, backups, Git remotes, CI, ~/.ssh/config (Port {1}) and known_hosts ([host]:{1}).", "ここから見えない場所にも {0} の指定があるかもしれません: クラウドのセキュリティグループ、ロードバランサー、監視、バックアップ、Git のリモート、CI、~/.ssh/config(Port {1})、known_hosts([host]:{1})。")
	}
	return n.Code
}

// MoveStepText is the sentence about a step, to name one that failed.
func MoveStepText(l Lang, s MoveStep) string { return l.moveStep(s) }

// ConfirmMove asks at the terminal whether a move is to begin.
func ConfirmMove(l Lang, timeout time.Duration) string {
	return fmt.Sprintf(l.pick("Begin, on trial for %s? [y/N] ", "%sの間、試しに始めますか? [y/N] "), l.seconds(timeout))
}

// UnknownMove says that only SSH is moved.
func UnknownMove(word string) error {
	return usageProblem("monban move has no command %q; to move SSH: monban move ssh PORT", "monban move に %q というコマンドはありません。SSH を移すには: monban move ssh PORT", word)
}

// NotATCPPort says that SSH cannot move there.
func NotATCPPort(text string) error {
	return usageProblem("%q: SSH moves to one TCP port, such as 61022", "%q: SSH の移動先には TCP のポートを 1 つ指定してください(例: 61022)", text)
}
