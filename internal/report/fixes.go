package report

import (
	"strings"

	"github.com/monban-dev/monban"
)

// fixSentence says what a fix does. The codes and their arguments are those of
// package conflict.
func (v *view) fixSentence(f monban.Fix) string {
	arg := func(i int) string {
		if i < len(f.Args) {
			return f.Args[i]
		}
		return ""
	}
	l := v.style.Lang
	say := l.say
	switch f.Code {
	case "other-port":
		if arg(1) == "" {
			return say("Use another port.", "別のポートを使います。")
		}
		return say("Use another port; %s is free now.", "別のポートを使います。いまは %s が空いています。", arg(1))
	case "other-address":
		return say("Listen on the one address you need instead of all of them.", "すべてのアドレスではなく、必要なアドレスだけで待ち受けます。")
	case "stop-unit":
		return say("Stop the service %s.", "サービス %s を停止します。", arg(0))
	case "stop-socket":
		if arg(0) == "" {
			return say("systemd itself holds the socket for a service: stop its .socket unit; stopping the service is not enough.",
				"systemd がサービスの代わりにソケットを持っています。サービスではなく .socket ユニットを停止してください。")
		}
		return say("Stop %s: systemd holds the socket, so stopping the service is not enough.",
			"%s を停止します。ソケットは systemd が持っているため、サービスを停止するだけでは足りません。", arg(0))
	case "stop-container":
		return say("Stop the container %[1]s (%[2]s), or publish it on another port.",
			"コンテナ %[1]s(%[2]s)を停止するか、別のポートで公開します。", arg(0), arg(1))
	case "no-restart":
		if arg(4) == "podman" {
			return say("Keep the container %[1]s from coming back by itself (with Podman from 5.1 on; an older one has to make it anew without --restart).",
				"コンテナ %[1]s が自動で再び起動しないようにします(Podman 5.1 以降。それより前は --restart なしで作り直します)。", arg(0))
		}
		return say("Keep the container %[1]s from coming back by itself.", "コンテナ %[1]s が自動で再び起動しないようにします。", arg(0))
	case "stop-compose":
		return say("Stop the service %[2]s of the Compose project %[1]s, or publish it on another port.",
			"Compose プロジェクト %[1]s のサービス %[2]s を停止するか、別のポートで公開します。", arg(0), arg(1))
	case "stop-program":
		return say("End %[1]s (pid %[2]s), if you no longer need it.", "不要であれば %[1]s(pid %[2]s)を終了します。", arg(0), arg(1))
	case "close-forward":
		return say("Close the forwarding in %[1]s (pid %[2]s): it holds the port for another machine or container.",
			"%[1]s(pid %[2]s)のポート転送を終了します。別のマシンやコンテナのためにポートを確保しています。", arg(0), arg(1))
	case "stop-kernel-feature":
		if arg(0) == "" {
			return say("The kernel holds it for a feature such as NFS, WireGuard or VXLAN: turn that feature off. There is nothing to kill.",
				"カーネルの機能(NFS、WireGuard、VXLAN など)が使っています。その機能を止めてください。終了できるプロセスはありません。")
		}
		return say("The kernel holds it for %s: turn that feature off. There is nothing to kill.",
			"カーネルの %s が使っています。その機能を止めてください。終了できるプロセスはありません。", arg(0))
	case "stub-listener-off":
		return say("Set DNSStubListener=no in /etc/systemd/resolved.conf and restart systemd-resolved.",
			"/etc/systemd/resolved.conf で DNSStubListener=no を設定し、systemd-resolved を再起動します。")
	case "restart-engine":
		return say("Restart %s: a forwarder is left over from a crash and no container uses it.",
			"%s を再起動します。異常終了で残った転送プロセスで、使っているコンテナはありません。", arg(0))
	case "look-as-root":
		if v.Snapshot.Host.OS == "windows" {
			return say("Look again as administrator: then the holder can be named.", "管理者として調べ直すと、持ち主が分かります。")
		}
		return say("Look again with sudo: then the holder can be named.", "sudo を付けて調べ直すと、持ち主が分かります。")
	case "v6only":
		return say("Set IPV6_V6ONLY on the IPv6 socket (ipv6only=on) and open IPv4 apart from it.",
			"IPv6 側のソケットに IPV6_V6ONLY(ipv6only=on など)を設定し、IPv4 は別に開きます。")
	case "reuse-addr":
		return say("Let the program set SO_REUSEADDR before it binds; most servers do.",
			"プログラムがバインド前に SO_REUSEADDR を設定するようにします(多くのサーバーは設定済みです)。")
	case "wait":
		return say("Wait up to %s seconds; there is nothing to end.", "最長 %s 秒待ちます。終了させるプロセスはありません。", arg(0))
	case "reserve-port":
		return say("Reserve %s, so that no outgoing connection is given it again.",
			"%s を予約し、外向きの接続に割り当てられないようにします。", arg(0))
	case "setcap":
		return say("Give the executable the right to open low ports: setcap cap_net_bind_service=+ep FILE (as root).",
			"実行ファイルに低い番号のポートを開く権限を与えます: setcap cap_net_bind_service=+ep FILE(root で実行)。")
	case "ambient-capability":
		return say("In a systemd unit, set AmbientCapabilities=CAP_NET_BIND_SERVICE.",
			"systemd ユニットなら AmbientCapabilities=CAP_NET_BIND_SERVICE を設定します。")
	case "unprivileged-start":
		return say("Let ordinary users open ports from %s up, for every program on this machine.",
			"このマシンの全プログラムについて、%s 以上のポートを一般ユーザーに開放します。", arg(0))
	case "listen-everywhere":
		return say("Listen on every address instead of %s, which this machine does not have.",
			"このマシンにない %s ではなく、すべてのアドレスで待ち受けます。", arg(0))
	case "wait-address":
		return say("If %s comes later, start the program after network-online.target.",
			"%s が後から付くアドレスなら、network-online.target の後で起動します。", arg(0))
	case "nonlocal-bind":
		return say("Allow binding to addresses that are not here (yet), such as %s.",
			"まだこのマシンにないアドレス(%s など)へのバインドを許可します。", arg(0))
	case "use-ipv4":
		addr := arg(1)
		if addr == "" {
			addr = "0.0.0.0"
		}
		return say("Listen on IPv4 (%s) only.", "IPv4(%s)だけで待ち受けます。", addr)
	case "loopback-up":
		return say("Bring the loopback interface up.", "ループバックインターフェースを起動します。")
	case "enable-ipv6":
		return say("Turn IPv6 on.", "IPv6 を有効にします。")
	case "add-scope":
		return say("Name the interface of the link-local address %[1]s, as in %[1]s%%eth0.",
			"リンクローカルアドレス %[1]s にはインターフェースを付けます(例: %[1]s%%eth0)。", arg(0))
	case "explicit-address":
		return say("Write %[2]s instead of localhost, so that one program is meant.",
			"localhost ではなく %[2]s と書けば、相手のプログラムが 1 つに決まります。", arg(0), arg(1))
	case "bind-loopback":
		return say("If only this machine uses %[1]s, let it listen on %[2]s.",
			"%[1]s を使うのがこのマシンだけなら、%[2]s で待ち受けるように設定します。", arg(0), arg(1))
	case "publish-loopback":
		return say("Publish the container %[1]s on this machine only: -p %[2]s.",
			"コンテナ %[1]s の公開先をこのマシンだけにします: -p %[2]s。", arg(0), arg(1))
	case "limit-sources":
		return say("Let the firewall admit only the computers that need port %s.",
			"ポート %s には、必要なコンピューターだけをファイアウォールで通します。", arg(0))
	case "limit-forwarded":
		if arg(1) == "" {
			return say("Let in only the computers that need port %s where packets are forwarded: ct original proto-dst %[1]s in a chain of the hook forward.",
				"ポート %s に必要なコンピューターだけを転送のルールで通します(フック forward のチェインで ct original proto-dst %[1]s)。", arg(0))
		}
		return say("Or let in only the computers that need port %s where packets are forwarded: the chain DOCKER-USER, with -m conntrack --ctorigdstport %[1]s.",
			"または、ポート %s に必要なコンピューターだけを転送のルールで通します(DOCKER-USER チェイン、-m conntrack --ctorigdstport %[1]s)。", arg(0))
	case "limit-overlay":
		return say("Let in by %[1]s only what is needed there: name the ports in the rule, or in the overlay's own access list.",
			"%[1]s からは必要なポートだけを通します。ルールにポートを書くか、オーバーレイ側のアクセス制御で絞ります。", arg(0))
	case "close-rule":
		return say("If nothing is to listen there, take the rule for %s away where it was made.",
			"待ち受ける予定がなければ、%s を開けるルールを設定元で削除します。", arg(0))
	case "dead-rule":
		return say("Take the rule away where it was made: it does nothing.", "何もしていないルールなので、設定元で削除します。")
	case "rule-order":
		return say("If the rule is meant, put it before the one that decides now, where they were made; else take it away.",
			"意図したルールであれば、設定元で、先に処理しているルールより前へ移します。不要であれば削除します。")
	case "close-policy":
		return say("If nothing is to listen there, take %s out of the policy.", "待ち受ける予定がなければ、%s をポリシーから外します。", arg(0))
	case "who-answers":
		return say("See who may answer at %s, in other network namespaces too.", "%s で応答しているものを、ほかのネットワーク名前空間も含めて調べます。", arg(0))
	case "scan-anew":
		return say("If rules or programs have changed since the look from outside, look again.", "外から調べたあとでルールやプログラムが変わっていれば、調べ直します。")
	case "look-at-path":
		return say("If %s is to be reached, look at what is on the way and whether the program answers. If not, close it here, too: nothing on this machine does.",
			"%s を外から使うなら、途中の経路と、プログラムが応答するかを確かめます。使わないなら、このマシンでも閉じます(このマシンのルールでは閉じていません)。", arg(0))
	case "same-for-ipv6":
		return say("Give IPv6 the same rules as IPv4 for port %s.", "ポート %s について、IPv6 にも IPv4 と同じルールを設定します。", arg(0))
	case "restart-unit":
		return say("Restart %s, so that the new version serves.", "%s を再起動し、新しい版に切り替えます。", arg(0))
	case "restart-program":
		return say("Restart %[1]s (pid %[2]s), so that the new version serves.", "%[1]s(pid %[2]s)を再起動し、新しい版に切り替えます。", arg(0), arg(1))
	case "reexec-init":
		return say("Let systemd start itself anew in place; nothing is stopped.", "systemd を動かしたまま自身を再実行させます。サービスは止まりません。")
	case "other-range":
		return say("Choose a port outside %[2]s–%[3]s.", "%[2]s–%[3]s の範囲の外のポートを選びます。", arg(0), arg(1), arg(2))
	case "free-as-root":
		return say("With sudo it can be done:", "sudo を付けると実行できます:")
	case "remove-rule":
		return say("Take the rule away with what made it (ufw, firewalld, iptables, a container engine …), or move what should listen here to another port.",
			"ルールを作ったもの(ufw、firewalld、iptables、コンテナエンジンなど)で取り除くか、ここで待ち受けたいプログラムを別のポートに移します。")
	case "stop-at-supervisor":
		if arg(1) == "" {
			return say("Stop it through %s, which runs it.", "管理している %s を通して停止します。", arg(0))
		}
		return say("Stop %[2]s through %[1]s, which starts it again otherwise.", "%[1]s を通して %[2]s を停止します(そうしないと再び起動します)。", arg(0), arg(1))
	case "stop-parent":
		return say("%[1]s (pid %[2]s) starts it again: end that first, or stop the program there.",
			"%[1]s(pid %[2]s)が再び起動しています。先にこれを終了するか、その中で停止してください。", arg(0), arg(1))
	case "unit-starter":
		return say("Find out what starts %s again: a .socket, .path or .timer unit, or another service.",
			"%s を再び起動しているもの(.socket、.path、.timer ユニットや別のサービス)を調べます。", arg(0))
	case "fix-as-root":
		return say("With sudo it can be done:", "sudo を付けると実行できます:")
	case "drop-in":
		if strings.HasSuffix(arg(0), ".socket") {
			return say("Write a drop-in for %s: under [Socket] an empty ListenStream= (or ListenDatagram=) and then the one with the new port.",
				"%s のドロップインを作り、[Socket] に空の ListenStream=(または ListenDatagram=)と、新しいポートの行を書きます。", arg(0))
		}
		return say("Write a drop-in for %s: under [Service] an empty ExecStart= and then the command line with the new port.",
			"%s のドロップインを作り、[Service] に空の ExecStart= と、新しいポートを指定したコマンドラインを書きます。", arg(0))
	case "listen-inside":
		return say("Let the program in %[1]s listen on 0.0.0.0:%[2]s (or [::]:%[2]s) instead; who may come in is decided where the port is published.",
			"%[1]s の中のプログラムは 0.0.0.0:%[2]s(または [::]:%[2]s)で待ち受けるようにします。どこから接続できるかは、ポートの公開の指定で決まります。", arg(0), arg(1))
	case "edit-port":
		if arg(1) == "" {
			return say("Use another port in %s.", "%s で別のポートを指定します。", arg(2))
		}
		return say("Use another port in %[2]s; %[1]s is free now.", "%[2]s で別のポートを指定します。いまは %[1]s が空いています。", arg(1), arg(2))
	case "delete-line":
		return say("Delete %s if it asks for the same door by mistake.", "同じ指定が重複しているだけなら、%s を削除します。", arg(0))
	case "other-device":
		return say("There is no interface %[1]s here: name one that is, or start after it has come up.",
			"インターフェース %[1]s はここにありません。存在するものを指定するか、使えるようになってから起動します。", arg(0))
	case "write-range":
		return say("Every copy needs a port of its own: write a range in %[1]s, such as %[2]s-%[3]s, or run one copy.",
			"複製ごとに別のポートが要ります。%[1]s で %[2]s-%[3]s のような範囲を指定するか、複製を 1 個にします。", arg(0), arg(1), arg(2))
	default:
		return f.Code
	}
}

// restartSentence says how it is known that an engine starts a container by
// itself; "" where no fix speaks of one.
func (v *view) restartSentence(fixes []monban.Fix) string {
	for _, f := range fixes {
		if f.Code != "no-restart" || len(f.Args) < 5 {
			continue
		}
		say := v.style.Lang.say
		name, policy, n, engine := f.Args[0], f.Args[1], f.Args[3], "Docker"
		if f.Args[4] == "podman" {
			engine = "Podman"
		}
		switch f.Args[2] {
		case "ended":
			if n == "1" {
				return say("%[3]s has started %[1]s again once after it had ended (restart policy %[2]s).",
					"%[1]s は終了後、%[3]s によって自動で 1 回再起動されています(再起動ポリシー: %[2]s)。", name, policy, engine)
			}
			return say("%[3]s has started %[1]s again %[4]s times after it had ended (restart policy %[2]s).",
				"%[1]s は終了後、%[3]s によって自動で %[4]s 回再起動されています(再起動ポリシー: %[2]s)。", name, policy, engine, n)
		case "engine":
			if n == "0" {
				n = "1"
			}
			return say("%[1]s, which is older, was started within %[4]s s of the start of %[3]s, as its restart policy %[2]s says.",
				"%[1]s は以前からあるコンテナで、再起動ポリシー %[2]s のとおり、%[3]s の起動から %[4]s 秒以内に立ち上がっています。", name, policy, engine, n)
		case "soon":
			return say("%[3]s is about to start %[1]s again (restart policy %[2]s), which publishes this port.",
				"このポートを公開する %[1]s を、%[3]s がまもなく再び起動します(再起動ポリシー: %[2]s)。", name, policy, engine)
		case "stopped":
			return say("%[1]s publishes this port and is stopped now; %[3]s will start it with itself (restart policy %[2]s).",
				"このポートを公開する %[1]s は停止中ですが、%[3]s の次の起動時に自動で起動します(再起動ポリシー: %[2]s)。", name, policy, engine)
		}
	}
	return ""
}

// also are the titles of causes that come on top of another one, and what tells
// of them.
func (v *view) also(ids []string, fixes []monban.Fix, port uint16) string {
	var out []string
	for _, id := range ids {
		title, _, _ := causeText(id, v.style.Lang)
		out = append(out, fillPort(title, port)+" ["+id+"]:")
		if id == "D5" {
			out = append(out, v.restartSentence(fixes))
		}
	}
	return strings.Join(out, " ")
}

// unknownSentence says what a judgement lacks to be a yes or a no.
func (v *view) unknownSentence(reason string) string {
	l := v.style.Lang
	switch reason {
	case "system":
		return l.pick("The rules of this operating system or transport are not known to monban.", "monban は、この OS またはトランスポートの規則を知りません。")
	case "doors":
		return l.pick("Some sockets could not be seen, and one of them may be in the way.", "確認できなかったソケットがあり、それが妨げている可能性があります。")
	case "traffic":
		return l.pick("The connections of this port could not be counted, and they may be in the way.", "このポートの接続を確認できず、それが妨げている可能性があります。")
	case "options":
		return l.pick("It depends on socket options of the program that has the port, which the kernel does not tell.", "ポートを持つプログラムのソケットオプションによって変わりますが、カーネルからは確認できません。")
	case "host":
		return l.pick("A fact about this machine that decides could not be read.", "判断に必要なこのマシンの情報を読めませんでした。")
	case "owners":
		return l.pick("Whoever has the port cannot be named, and may be this very program.", "ポートの持ち主を確認できません。このプログラム自身が動いている可能性もあります。")
	case "rivals":
		return l.pick("It depends on an earlier claim that could not be judged either.", "先に起動するプログラムの結果が不明なため、判断できません。")
	case "namespace":
		return l.pick("It concerns another network namespace than the one that was looked at.", "調べたものとは別のネットワーク名前空間の話です。")
	}
	return ""
}
