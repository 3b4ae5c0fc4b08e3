package report

// FlagHelp says what a flag of a command does.
func FlagHelp(command, name string, lang Lang) string {
	t := ownFlagText(command + " --" + name)
	if t[lang] == "" {
		t = flagText(name)
	}
	return t[lang]
}

// Flag is one line of a help page: "-v, --verbose" and what it does.
type Flag struct{ Name, Text string }

func (p *printer) flagList(title string, flags []Flag) {
	if len(flags) == 0 {
		return
	}
	p.blank()
	p.line(span{bold, title})
	widest := 0
	for _, f := range flags {
		widest = max(widest, cells(f.Name))
	}
	for _, f := range flags {
		p.paragraph(span{plain, "  " + pad(f.Name, widest) + "  "}, f.Text)
	}
}

// ownFlagText is what a flag does where that is something of the command's own.
func ownFlagText(flag string) [2]string {
	switch flag {
	case "monban scan --diff":
		return [2]string{"compare with an earlier result of monban scan --json: opened, closed, answers something else", "以前の monban scan --json の結果と比べる(開いた、閉じた、応答が変わった)"}
	case "monban scan --all":
		return [2]string{"every door, not only the open ones", "開いていないドアも表示する"}
	case "monban ports --all":
		return [2]string{"every hit", "一致したものをすべて表示する"}
	case "monban check --load", "monban fix --load":
		return [2]string{"judge by a saved view instead of this machine; - is standard input", "このマシンの代わりに、保存した状態をもとに判断する。- なら標準入力から読む"}
	case "monban explain --load":
		return [2]string{"look for the holder in a saved view instead of this machine; - is standard input", "このマシンの代わりに、保存した状態から持ち主を探す。- なら標準入力から読む"}
	case "monban audit --load":
		return [2]string{"report about a saved view instead of this machine; - is standard input", "このマシンの代わりに、保存した状態をもとにレポートを作る。- なら標準入力から読む"}
	case "monban audit --ports":
		return [2]string{"of --from: which TCP ports, and others with /udp, are looked at; - is all (default: all TCP ports, and the UDP ports that are open here)", "--from で調べるポート(TCP。UDP は /udp を付ける)。- はすべて(既定は全 TCP ポートと、ここで開いている UDP ポート)"}
	case "monban guard apply --timeout":
		return [2]string{"how long the trial lasts, 5s to 24h (default 1m)", "試す時間。5s から 24h まで(既定は 1m)"}
	case "monban move ssh --timeout":
		return [2]string{"how long the trial lasts, 5s to 24h (default 5m)", "試す時間。5s から 24h まで(既定は 5m)"}
	case "monban guard confirm --same-session":
		return [2]string{"confirm also from the connection that began the trial", "試しを始めた接続からでも確定する"}
	case "monban move confirm --same-session":
		return [2]string{"confirm also without a connection over the new port, from a console", "新しいポートからの接続がなくても、コンソールから確定する"}
	case "monban guard import --file":
		return [2]string{"write the policy to this new file, which only you can write, instead of standard output", "ポリシーを、標準出力の代わりに、自分だけが書き込める新しいファイルに書き出す"}
	}
	return [2]string{}
}

func flagText(name string) [2]string {
	switch name {
	case "json":
		return [2]string{"print JSON (the same as --format json)", "JSON で出力する(--format json と同じ)"}
	case "format":
		return [2]string{"output format: text or json; of check also sarif; of audit also markdown, html and sarif; of scan also jsonl and nmap-xml", "出力形式: text または json(check では sarif、audit では markdown、html、sarif、scan では jsonl と nmap-xml も)"}
	case "lang":
		return [2]string{"language of the text: ja or en (default from MONBAN_LANG, LC_ALL, LC_MESSAGES, LANG)", "表示言語: ja または en(既定は MONBAN_LANG、LC_ALL、LC_MESSAGES、LANG の順)"}
	case "no-color":
		return [2]string{"no colours, also on a terminal (so does NO_COLOR)", "端末でも色を付けない(NO_COLOR でも同じ)"}
	case "show-secrets":
		return [2]string{"do not mask passwords and tokens in command lines", "コマンドライン中のパスワードやトークンを伏せ字にしない"}
	case "verbose":
		return [2]string{"show the evidence too", "根拠も表示する"}
	case "help":
		return [2]string{"show this help", "このヘルプを表示する"}
	case "save":
		return [2]string{"keep the whole inside view in a file; - is standard output, which then shows nothing else", "このマシンの状態をファイルに保存する。- なら、表示の代わりに標準出力へ書き出す"}
	case "load":
		return [2]string{"show a saved view instead of this machine; - is standard input", "このマシンの代わりに、保存した状態を表示する。- なら標準入力から読む"}
	case "system":
		return [2]string{"the places where this machine's daemons keep their configuration, and the command lines of running programs", "このマシンのデーモンの設定ファイルと、動作中のプログラムのコマンドラインを調べる"}
	case "older":
		return [2]string{"take the registry also if it is older than the one in use", "いまの台帳より古いものでも置き換える"}
	case "diff":
		return [2]string{"compare with a saved view (- is standard input): opened, closed, changed hands, reached by others", "保存した状態(- なら標準入力)と比べる(開いた、閉じた、持ち主が変わった、届く相手が変わった)"}
	case "fail-on":
		return [2]string{"exit with 1 if a finding is at least this severe: critical, high, medium, low, info", "指定した重大度以上の指摘があれば終了コード 1 にする: critical, high, medium, low, info"}
	case "proto":
		return [2]string{"only this transport: tcp, udp, sctp, dccp", "このプロトコルだけ: tcp, udp, sctp, dccp"}
	case "port":
		return [2]string{"only these ports: numbers, ranges or services, separated by commas", "このポートだけ: 番号、範囲、サービス名(コンマ区切り)"}
	case "for":
		return [2]string{"what the port is for: the same name in the same work tree gets the same port", "ポートの用途: 同じ作業ツリーで同じ名前なら、同じポートになる"}
	case "count":
		return [2]string{"how many ports (default 1)", "ポートの個数(既定は 1)"}
	case "range":
		return [2]string{"choose from these ports only, for example 8000-8999", "この範囲から選ぶ(例: 8000-8999)"}
	case "list":
		return [2]string{"show the leases: which port, for whom, until when, whether it is open", "割り当ての一覧を表示する(ポート、用途、期限、使用中かどうか)"}
	case "release":
		return [2]string{"give ports back, by name or number; without any, all of this work tree", "名前か番号で指定した割り当てを解除する(省略するとこの作業ツリーのすべて)"}
	case "address":
		return [2]string{"only the door that is bound to this address", "このアドレスにバインドされたドアだけ"}
	case "pid":
		return [2]string{"only the doors that this process holds", "このプロセスが持つドアだけ"}
	case "grace":
		return [2]string{"how long a program gets to end by itself before it is killed (default 10s)", "強制終了するまで待つ時間(既定は 10s)"}
	case "dry-run":
		return [2]string{"show what would be done, and do nothing", "実行内容を表示するだけで、何もしない"}
	case "undo":
		return [2]string{"put back what the latest fix in this work tree has changed, or the one that is named", "この作業ツリーでの最後の変更(または名前で指定した変更)を元に戻す"}
	case "yes":
		return [2]string{"do not ask", "確認を求めない"}
	case "port-env":
		return [2]string{"the environment variable that gets the port (default PORT)", "ポート番号を渡す環境変数(既定は PORT)"}
	case "listen":
		return [2]string{"open the port at this address (default 127.0.0.1) and hand it over as descriptor 3 (LISTEN_FDS)", "このアドレス(既定は 127.0.0.1)でポートを開き、ディスクリプタ 3 として渡す(LISTEN_FDS)"}
	case "ports":
		return [2]string{"which ports: numbers, ranges or services, each with /tcp or /udp if wanted; - is all (default: all, for more than 16 addresses those known from practice)", "調べるポート: 番号、範囲、サービス名(/tcp、/udp を付けられる)。- はすべて(既定はすべて。16 アドレスを超える場合はよく使われるもの)"}
	case "udp":
		return [2]string{"UDP too: the ports of -p, else those of services that can be asked in their own protocol", "UDP も調べる(-p のポート。省略時は、それぞれのプロトコルで問い合わせできるサービスのポート)"}
	case "identify":
		return [2]string{"ask each open door what is behind it, by talking to it", "開いている各ドアと通信し、何のサービスかを確かめる"}
	case "connect":
		return [2]string{"make ordinary connections, also as root", "root でも通常の接続で調べる"}
	case "xdp":
		return [2]string{"send by AF_XDP in copy mode: more packets a second to targets that are silent (as root, on an Ethernet)", "AF_XDP(コピーモード)で送信する。応答のない対象に、毎秒より多くのパケットを送れる(root が必要。イーサネットのみ)"}
	case "rate":
		return [2]string{"the most packets a second (default 250000; 1000 if a target is neither private nor link-local nor loopback); 0 lifts the ceiling", "毎秒の最大パケット数(既定は 250000。プライベート、リンクローカル、ループバック以外の対象があれば 1000)。0 で上限をなくす"}
	case "exclude":
		return [2]string{"addresses, prefixes or names that are not asked, separated by commas", "調べないアドレス、プレフィックス、名前(コンマ区切り)"}
	case "i-am-authorised":
		return [2]string{"the owner of the targets agrees to the scan", "対象の所有者からスキャンの許可を得ている"}
	case "resume":
		return [2]string{"continue an interrupted scan from its file", "中断したスキャンを、そのファイルから再開する"}
	case "file":
		return [2]string{"the policy file (default: monban.yaml here, else /etc/monban/monban.yaml)", "ポリシーファイル(既定はここの monban.yaml、なければ /etc/monban/monban.yaml)"}
	case "timeout":
		return [2]string{"how long the trial lasts, 5s to 24h", "試す時間。5s から 24h まで"}
	case "trial":
		return [2]string{"only this move; nothing happens if it is not on trial any more", "この移動だけを対象とし、既に試し中でなければ何もしない"}
	case "after":
		return [2]string{"wait as long as this first", "先にこの時間だけ待つ"}
	case "allow-cut":
		return [2]string{"also if the policy would not let this connection in again, or would end every door for administrators", "いまの接続が入れなくなる場合や、管理用のドアすべてに期限がある場合も続ける"}
	case "same-session":
		return [2]string{"confirm also from the same connection", "同じ接続からでも確定する"}
	case "policy":
		return [2]string{"the policy file to hold against the doors (default: the one that monban guard has confirmed)", "ドアと照らし合わせるポリシーファイル(既定は monban guard で確定したもの)"}
	case "from":
		return [2]string{"look from this network namespace, too: a name, a path or a process number", "このネットワーク名前空間からも調べる(名前、パス、またはプロセスの番号)"}
	case "seen":
		return [2]string{"compare with the result of monban scan --all --json made elsewhere", "別の場所での monban scan --all --json の結果と比べる"}
	case "seen-as":
		return [2]string{"the scan of --seen looked at ADDRESS, which is translated to LOCAL of this machine (several with commas)", "--seen のスキャンで調べた ADDRESS が、アドレス変換でこのマシンの LOCAL にあたる(コンマ区切りで複数可)"}
	case "seen-from":
		return [2]string{"the address that the scan of --seen came from, as this machine sees it", "--seen のスキャン元のアドレス(このマシンから見たもの)"}
	case "saved":
		return [2]string{"put the confirmed policy in force at once, as at boot", "確定済みのポリシーを、起動時と同じようにすぐ適用する"}
	case "to":
		return [2]string{"who may come in: any, local, this-network, addresses, prefixes, name:HOST, if:INTERFACE (several with commas)", "入れる相手: any、local、this-network、アドレス、プレフィックス、name:ホスト名、if:インターフェース名(コンマ区切りで複数可)"}
	case "limit":
		return [2]string{"new connections of each source, for example 10/minute", "送信元ごとの新しい接続の上限(例: 10/minute)"}
	case "until":
		return [2]string{"when the door closes again, for example 2027-01-31T00:00:00Z", "ドアを閉じる時刻(例: 2027-01-31T00:00:00Z)"}
	case "note":
		return [2]string{"what the door is for", "ドアの用途"}
	case "user":
		return [2]string{"only the doors of this user (name or number)", "このユーザー(名前または番号)のドアだけ"}
	case "sort":
		return [2]string{"order of the list: port, address, program, pid, user, since", "並べ方: port, address, program, pid, user, since"}
	case "wide":
		return [2]string{"every column, nothing cut", "すべての列を省略せずに表示する"}
	case "all-namespaces":
		return [2]string{"the doors of every network namespace too (containers, VPNs; needs root)", "ほかのネットワーク名前空間(コンテナや VPN)のドアも表示する(root が必要)"}
	case "all":
		return [2]string{"everything", "すべて表示する"}
	case "no-descriptions":
		return [2]string{"completions without descriptions", "補完候補に説明を付けない"}
	}
	return [2]string{}
}
