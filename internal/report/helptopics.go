package report

// topics are the help of all commands, in the order of their man pages.
func topics() []topic {
	return []topic{
		{
			command: "monban",
			short: [2]string{
				"monban shows the open doors of this machine: every port, who is behind it, and what it is for.",
				"monban は、このマシンで開いているドア(ポート)と、その持ち主、用途を表示します。",
			},
			long: [][2]string{
				{
					"Without an argument it lists every listening TCP socket and every unconnected UDP socket, and says what is wrong with them. With port numbers, ranges or service names it tells everything about those: what the number means, who has it here, whether you could open it now, and what exposing it risks.",
					"引数なしで実行すると、待ち受け中の TCP ソケットと、接続していない UDP ソケットをすべて一覧にし、問題点を指摘します。ポート番号、範囲、サービス名を指定すると、その番号の意味、ここでの持ち主、いま開けるかどうか、公開した場合の危険を詳しく示します。",
				},
				{
					"Looking only reads: no port is opened or connected to, no program is started or stopped. It works without privilege; what cannot be seen then is said.",
					"調べるときは読み取るだけで、ポートを開いたり、ポートに接続したり、プログラムを起動・停止したりはしません。特権がなくても動き、その場合に見えないものは見えないと示します。",
				},
			},
			examples: []example{
				{"monban", [2]string{"every open door", "開いているドアの一覧"}},
				{"monban 80", [2]string{"everything about port 80", "ポート 80 の詳細"}},
				{"monban mysql 8000-8010 53/udp", [2]string{"a service, a range, one transport", "サービス名、範囲、プロトコル指定"}},
				{"monban --proto tcp --port 1-1023", [2]string{"only some doors", "条件に合うドアだけ"}},
				{"monban --json", [2]string{"for programs", "プログラム向けの出力"}},
				{"monban --save before.json", [2]string{"keep the view in a file", "いまの状態をファイルに保存"}},
				{"monban --diff before.json", [2]string{"what changed since then", "保存時からの変化"}},
				{"monban check --help", [2]string{"more about a command", "コマンドの詳しい説明"}},
				{"source <(monban completion bash)", [2]string{"completion in this shell; zsh, fish, powershell, too", "このシェルで補完を使う(zsh、fish、powershell にも対応)"}},
			},
		},
		{
			command: "monban port",
			short: [2]string{
				"Everything about some ports: what the number means, who has it, whether it can be opened now.",
				"指定したポートの詳細: 番号の意味、持ち主、いま開けるかどうか。",
			},
			long: [][2]string{{
				"The explicit form of monban PORT, for scripts and for services whose name is also a command.",
				"monban PORT の明示的な書き方です。スクリプトや、コマンドと同じ名前のサービスを調べるときに使います。",
			}},
			examples: []example{
				{"monban port 80", [2]string{"the same as monban 80", "monban 80 と同じ"}},
				{"monban port 5432/tcp --json", [2]string{"for programs", "プログラム向けの出力"}},
			},
		},
		{
			command: "monban ports",
			short: [2]string{
				"Search the port book: the IANA registry and what is met in practice.",
				"ポート台帳(IANA の登録と、実際の用途)を検索します。",
			},
			long: [][2]string{{
				"The words may be part of a service name, a description or an application's name, in English or Japanese. All of them must match.",
				"サービス名、説明、アプリケーション名の一部を英語か日本語で指定します。複数の言葉を指定すると、すべてに一致するものを表示します。",
			}},
			examples: []example{
				{"monban ports redis", [2]string{"ports that have to do with Redis", "Redis に関係するポート"}},
				{"monban ports remote desktop", [2]string{"both words", "両方の言葉に一致するもの"}},
			},
		},
		{
			command: "monban ports update",
			short: [2]string{
				"Replace the port registry with a newer one from IANA.",
				"ポート台帳を IANA の新しいものに置き換えます。",
			},
			long: [][2]string{{
				"Takes IANA's service-names-port-numbers.csv from a file or an https address; without an argument it is fetched from IANA. The file is checked first, and on any error the registry in use stays. Root replaces the registry of the machine, other users their own.",
				"IANA の service-names-port-numbers.csv を、ファイルまたは https のアドレスから読み込みます。省略すると IANA から取得します。内容を検査してから置き換え、エラーがあれば元の台帳を残します。root はマシン全体、一般ユーザーは自分用の台帳を置き換えます。",
			}},
			examples: []example{
				{"monban ports update", [2]string{"fetch it from IANA", "IANA から取得"}},
				{"monban ports update service-names-port-numbers.csv", [2]string{"use a file", "ファイルを使う"}},
			},
		},
		{
			command: "monban explain",
			short: [2]string{
				"Explain an error message about a port: cause, who holds it here, what to do.",
				"ポートに関するエラーメッセージの原因、ここでの持ち主、対処を説明します。",
			},
			long: [][2]string{{
				"Paste the message of any server or tool (Go, Node.js, Java, Python, Ruby, PHP, nginx, Apache, MySQL, PostgreSQL, Docker, systemd, sshd, Windows …) in quotes, or pipe it in.",
				"サーバーやツール(Go、Node.js、Java、Python、Ruby、PHP、nginx、Apache、MySQL、PostgreSQL、Docker、systemd、sshd、Windows など)のメッセージを引用符で囲んで指定するか、パイプで渡します。",
			}},
			examples: []example{
				{"monban explain 'Error: listen EADDRINUSE: address already in use :::3000'", [2]string{"a pasted message", "貼り付けたメッセージ"}},
				{"nginx -t 2>&1 | monban explain", [2]string{"the output of a program", "プログラムの出力"}},
			},
		},
		{
			command: "monban pick",
			short: [2]string{
				"Print a free port and keep it for this project.",
				"空いているポートを選び、このプロジェクト用に確保します。",
			},
			long: [][2]string{
				{
					"Only numbers are printed, one a line. With --for NAME the port stays the same: the same name in the same git work tree (or, outside of one, the same directory) gets the same port tomorrow, until it has not been used for 30 days. Without a name every call gets another port, which nobody else is given for an hour.",
					"番号だけを 1 行に 1 つずつ出力します。--for 名前 を付けると、同じ git 作業ツリー(その外では同じディレクトリー)の同じ名前には、翌日も同じポートを返します(30 日間使わないと期限切れ)。名前を付けないと、呼び出すたびに別のポートを返し、1 時間はほかに割り当てません。",
				},
				{
					"The port is free now, outgoing connections cannot take it (61000–65535 on a default Linux; elsewhere stderr says what was chosen and why), browsers accept it, and it is not reserved, leased to somebody else, or named in this project's files. Nothing is opened to find out.",
					"選ぶのは、いま空いていて、外向きの接続に使われず(Linux の既定では 61000~65535。それ以外では選んだ範囲と理由を標準エラーに表示)、ブラウザーに拒否されず、予約や他の割り当て、このプロジェクトの設定ファイルと重ならないポートです。調べるためにポートを開くことはありません。",
				},
				{
					"The leases are in $XDG_STATE_HOME/monban/leases or ~/.local/state/monban/leases (root: /var/lib/monban/leases); under sudo they are the invoking user's.",
					"割り当ては $XDG_STATE_HOME/monban/leases または ~/.local/state/monban/leases(root は /var/lib/monban/leases)に保存します。sudo では実行したユーザーのものを使います。",
				},
			},
			examples: []example{
				{"monban pick", [2]string{"a free port", "空いているポート"}},
				{"PORT=$(monban pick --for web) npm start", [2]string{"the same port every day", "毎日同じポートで起動"}},
				{"monban pick -n 3 --range 8000-8999", [2]string{"three of a range", "範囲から 3 つ"}},
				{"monban pick --list", [2]string{"who has which port", "割り当ての一覧"}},
				{"monban pick --release web", [2]string{"give it back", "割り当てを解除"}},
			},
		},
		{
			command: "monban free",
			short: [2]string{
				"Make a port free: stop the program that has it, through whatever runs it.",
				"ポートを空けます。使っているプログラムを、管理しているものを通して停止します。",
			},
			long: [][2]string{
				{
					"It shows who has the port and what would be done, asks, makes sure that it is still the same program, does it, and watches whether the port stays free. A service is stopped by systemctl, a container by its engine, a supervised program by its supervisor; anything else gets SIGTERM, and SIGKILL if it does not let go. A bare number means TCP.",
					"誰が使っているかと実行内容を表示して確認を求め、同じプログラムであることを確かめてから実行し、空いたままかどうかを見届けます。サービスは systemctl、コンテナはそのエンジン、スーパーバイザーの下のプログラムはそのスーパーバイザーで停止します。それ以外には SIGTERM を送り、手放さなければ SIGKILL を送ります。番号だけを書くと TCP です。",
				},
				{
					"It never touches pid 1, the kernel, container engines and their forwarders, sshd, or a program that this command itself runs below; it then says what to do instead. Exit status: 0 the port is free, 4 it is not and why, 2 it has to be asked for differently (several programs have the number, or nobody is there to say yes). It works on Linux; elsewhere it says how to end the program by hand.",
					"PID 1、カーネル、コンテナエンジンとその転送プロセス、sshd、このコマンド自身の親にあたるプログラムには手を出さず、代わりの方法を示します。終了コード: 0 は空いた、4 は空けられなかった(理由を表示)、2 は指定のやり直しが必要(同じ番号を複数のプログラムが使っている、または確認に答える端末がない)。対応しているのは Linux です。ほかの OS では、手動で終了する方法を示します。",
				},
			},
			examples: []example{
				{"monban free 8080", [2]string{"show, ask, stop, verify", "表示し、確認してから停止"}},
				{"monban free 8080 --dry-run", [2]string{"only show what would be done", "実行内容を表示するだけ"}},
				{"monban free 53/udp --yes", [2]string{"UDP, without asking", "UDP を、確認せずに"}},
				{"monban free 5173 --address ::1", [2]string{"only the program on this address", "このアドレスのプログラムだけ"}},
			},
		},
		{
			command: "monban check",
			short: [2]string{
				"Predict whether what files ask for can start here, before anything is started.",
				"設定ファイルが必要とするポートを、起動前にこのマシンで開けるかどうか調べます。",
			},
			long: [][2]string{
				{
					"Reads which ports the configuration files below this directory, or the named files, ask for: Apache, nginx, MySQL, PostgreSQL, Redis, Compose, systemd units and many more, and monban's own claims.yaml. Then it judges by the kernel's own rules whether each can be opened: against each other, against what is open now, against privileges and addresses. A program that is running already is no conflict.",
					"このディレクトリー以下、または指定したファイルの設定(Apache、nginx、MySQL、PostgreSQL、Redis、Compose、systemd ユニットなど、および monban の claims.yaml)が必要とするポートを読み取り、互いの重複、いま開いているポート、権限、アドレスの面から、それぞれ開けるかどうかをカーネルと同じ規則で判断します。既に動いているプログラム自身は競合とみなしません。",
				},
				{
					"Nothing is started or opened. Exit status: 0 all can start, 1 a conflict, 2 a named file is wrong, 3 something could not be seen that may change the answer. That makes it a pre-commit hook.",
					"何も起動せず、ポートも開きません。終了コード: 0 はすべて起動可能、1 は競合あり、2 は指定したファイルの誤り、3 は答えを変えうる未確認の情報あり。pre-commit フックとしても使えます。",
				},
			},
			examples: []example{
				{"monban check", [2]string{"this project", "このプロジェクト"}},
				{"monban check compose.yaml /etc/nginx/nginx.conf", [2]string{"these files, in start order", "指定したファイル(起動順)"}},
				{"monban check --system", [2]string{"the daemons of this machine", "このマシンのデーモン"}},
				{"monban check --format sarif", [2]string{"for code hosts and editors", "コードホスティングやエディター向け"}},
				{"monban check --load server.json", [2]string{"against a saved machine (monban --save)", "保存した別のマシンの状態と照合(monban --save)"}},
			},
		},
		{
			command: "monban fix",
			short: [2]string{
				"End the conflicts that monban check predicts: move one side to another port, in every file that has to agree.",
				"monban check が予測した競合を解決します。一方を別のポートに移し、関係するすべてのファイルを書き換えます。",
			},
			long: [][2]string{
				{
					"It reads the same files as monban check, shows who moves where and why, and the difference in the files; then it asks. The port is the customary alternative if that is free (80 → 8080, 443 → 8443, 3306 → 3307), else one that monban pick keeps for it. Apache's VirtualHost moves with its Listen; in XAMPP, phpMyAdmin, php.ini and the control panel move with the database. What is running is left alone. Every edit is first tried in memory: the files are read again, and only if the conflict is gone and no new one is there are they changed.",
					"monban check と同じファイルを読み、何をどこへ移すか、その理由、ファイルの差分を表示して確認を求めます。移す先は、空いていれば代わりによく使われるポート(80 → 8080、443 → 8443、3306 → 3307)、そうでなければ monban pick が割り当てるポートです。Apache の VirtualHost は Listen とともに、XAMPP の phpMyAdmin、php.ini、コントロールパネルの設定はデータベースとともに書き換えます。動作中のプログラムには手を加えません。変更は先にメモリー上で試し、読み直して競合が消え、新しい競合もないと確かめた場合にだけ書き込みます。",
				},
				{
					"Only the ports' own digits are changed. All files change together or none does; owner, mode, access list and security label stay; a symbolic link stays one, and the file behind it is edited. A file that has changed since it was read, or has a second name (hard link), is refused. The old contents are kept below $XDG_STATE_HOME/monban/fixes or ~/.local/state/monban/fixes (root: /var/lib/monban/fixes), and monban fix --undo puts them back: the latest change made in this work tree, or the one that is named.",
					"書き換えるのはポート番号の部分だけです。すべてのファイルを変更するか、どれも変更しないかのどちらかです。所有者、モード、アクセス制御リスト、セキュリティラベルは維持し、シンボリックリンクの場合は参照先を編集します。読んだ後に変更されたファイルや、ハードリンクのあるファイルは変更しません。元の内容は $XDG_STATE_HOME/monban/fixes または ~/.local/state/monban/fixes(root は /var/lib/monban/fixes)に保存し、monban fix --undo で元に戻せます(この作業ツリーでの最後の変更、または名前で指定した変更)。",
				},
				{
					"Exit status: 0 no conflict is left (or --dry-run shows how), 2 nobody is there to say yes, 4 a conflict stays and why. Programs read their files when they start: nothing is restarted. On Windows and macOS the edit is shown and not made: what a file has beside its content could not be kept there.",
					"終了コード: 0 は競合が残っていない(--dry-run では、すべて解決できる)、2 は確認に答える端末がない、4 は残る競合がある(理由を表示)。プログラムは起動時に設定を読むため、必要に応じて起動し直してください(monban は再起動しません)。Windows と macOS では変更内容を表示するだけで、書き込みません(ファイルの内容以外の属性を維持できないため)。",
				},
			},
			examples: []example{
				{"monban fix", [2]string{"show, ask, change the files of this project", "このプロジェクトのファイルを、表示し、確認してから変更"}},
				{"monban fix /opt/lampp --dry-run", [2]string{"only show what would be done", "実行内容を表示するだけ"}},
				{"monban fix --system --yes", [2]string{"the daemons of this machine, without asking", "このマシンのデーモンを、確認せずに"}},
				{"monban fix --undo", [2]string{"put back the latest change made here", "ここでの最後の変更を元に戻す"}},
			},
		},
		{
			command: "monban run",
			short: [2]string{
				"Run a command with a port of its own, and explain if it cannot open a port.",
				"専用のポートを渡してコマンドを実行し、ポートを開けなければ理由を説明します。",
			},
			long: [][2]string{
				{
					"The command finds its port in the variable PORT; it is leased as by monban pick, under --for NAME, else under the command's own words, so that it is the same every time. Nothing else is changed: input, output, terminal, descriptors and rights are the command's own, and it is neither traced nor confined.",
					"コマンドには環境変数 PORT でポートを渡します。ポートは monban pick と同じ仕組みで、--for の名前(省略時はコマンド自身の言葉)に割り当てるので、毎回同じになります。入出力、端末、ディスクリプタ、権限は変えません。追跡や制限もしません。",
				},
				{
					"Signals are passed on, and so is the exit status (128 and the number of the signal that ended the command; 126 and 127 if it could not be started). In the foreground of a terminal, Ctrl-C, Ctrl-\\ and Ctrl-Z reach the command directly, and SIGINT and SIGQUIT sent to monban alone are taken for those.",
					"シグナルと終了ステータスはそのまま伝えます(シグナルで終了した場合は 128 + 番号、起動できない場合は 126 または 127)。端末のフォアグラウンドでは Ctrl-C、Ctrl-\\、Ctrl-Z はコマンドに直接届き、monban だけに送られた SIGINT と SIGQUIT も端末からのものとみなします。",
				},
				{
					"If the command fails, what it wrote to stderr is read for the reason; where stderr is a terminal it is left alone, and the ports that the command most likely wanted are judged instead. The explanation follows on stderr. With --json it is one line there, after every command.",
					"コマンドが失敗すると、標準エラーの内容から理由を読み取ります。標準エラーが端末の場合は手を加えず、コマンドが使おうとしたと思われるポートを調べます。説明は標準エラーに出力します。--json を付けると、毎回 1 行の JSON を標準エラーに出力します。",
				},
				{
					"With --listen the port is opened before the command starts, which gets it as descriptor 3 with LISTEN_FDS and LISTEN_PID, as from systemd: nobody can take the port in between.",
					"--listen を付けると、コマンドの起動前にポートを開き、systemd と同じ方法(ディスクリプタ 3、LISTEN_FDS、LISTEN_PID)で渡します。途中でほかのプログラムに取られることはありません。",
				},
			},
			examples: []example{
				{"monban run -- npm start", [2]string{"with PORT set, the same every day", "PORT を設定して起動(毎日同じ番号)"}},
				{"monban run --for api --port-env API_PORT -- ./api", [2]string{"another name, another variable", "名前と変数を指定"}},
				{"monban run --listen -- ./server", [2]string{"with the open socket", "開いたソケットを渡す"}},
			},
		},
		{
			command: "monban scan",
			short: [2]string{
				"See from outside which doors are open: this machine's, or those of the hosts you name.",
				"外側から見て、どのドアが開いているかを調べます(このマシン、または指定したホスト)。",
			},
			long: [][2]string{
				{
					"A target is an address, a prefix such as 192.168.1.0/24, or a name, which is resolved once. Without one, this machine's own addresses are asked, and the program behind each door stands beside it; that goes by loopback, which firewalls usually let pass (monban tells who comes in from elsewhere). Up to 16 addresses are asked for all 65,535 TCP ports, more for those that are known from practice.",
					"対象には、アドレス、192.168.1.0/24 のようなプレフィックス、名前(一度だけ解決します)を指定します。省略するとこのマシンのアドレスを調べ、各ドアのプログラムも並べて表示します。この問い合わせはループバックを通り、ファイアウォールは通常これを通します(外から誰が入れるかは、コマンドを付けない monban で分かります)。対象が 16 アドレスまでなら全 65,535 の TCP ポートを、それより多ければよく使われるポートを調べます。",
				},
				{
					"The scan finds its own pace: as fast as the answers keep up, within the ceiling of --rate. Doors that stay silent are asked again until the passes agree, and the result says how many open ones may still have been missed. filtered: a firewall said so, or the door was silent while others answered (so does a program whose queue of connections is full). unknown: undecided. For UDP only an answer makes a door open; a host that seldom says that a door is closed, as Linux does, is waited for, up to a minute and a half.",
					"速度は応答に合わせて自動で決まります(上限は --rate)。応答のないドアは結果が一致するまで繰り返し調べ、見落とした可能性のある数も示します。「遮断」は、ファイアウォールが拒否を返したか、ほかのドアが応答する中で応答がなかったもの(接続の待ち行列があふれたプログラムも同じに見えます)、「不明」は判断できなかったものです。UDP は、応答があったときだけ「開」とします。「閉」の通知を間引くホスト(Linux など)では、最長 1 分半かけて確かめます。",
				},
				{
					"It is for hosts of your own. Targets outside loopback, private and link-local addresses, and private networks of more than 256 addresses that this machine is not in, need --i-am-authorised. As root it sends packets itself and completes no connection; without, it connects. Ctrl-C shows what is known so far and leaves a file for --resume.",
					"自分で管理するホストに使ってください。ループバック、プライベート、リンクローカル以外のアドレスと、このマシンが属していない 256 アドレス超のプライベートネットワークには --i-am-authorised が必要です。root ではパケットを直接送信して接続は完了させず、一般ユーザーでは接続して調べます。Ctrl-C で中断すると、そこまでの結果を表示し、--resume 用のファイルを残します。",
				},
			},
			examples: []example{
				{"monban scan", [2]string{"this machine", "このマシン"}},
				{"monban scan 192.168.1.10 -p 1-1023,mysql", [2]string{"some ports of a host", "ホストの一部のポート"}},
				{"monban scan 192.168.1.0/24 --exclude 192.168.1.1", [2]string{"a network", "ネットワーク"}},
				{"monban scan db.example --identify", [2]string{"with product and version, by what they say", "製品とバージョンも、応答から確かめる"}},
				{"monban scan --udp -p 53,123", [2]string{"UDP too", "UDP も調べる"}},
				{"monban scan --json > old.json", [2]string{"keep the result", "結果を保存"}},
				{"monban scan --diff old.json", [2]string{"what opened and closed since then", "それ以降に開いたもの、閉じたもの"}},
			},
		},
		{
			command: "monban audit",
			short: [2]string{
				"A report of what this machine exposes: every door and who can reach it, what is wrong, and what to do.",
				"このマシンが外に見せているもののレポート: すべてのドアと届く相手、問題点、対策。",
			},
			long: [][2]string{
				{
					"The findings come first, the worst of them on top, each with the evidence and a remedy; then every door with who can reach it, by family and interface, and the rule that decides; then what could not be seen, and what no audit looks at. --format markdown, html (one file, without scripts) and sarif are for passing it on.",
					"はじめに指摘を、重大なものから、根拠と対策とともに示します。次に、すべてのドアについて、届く相手をファミリーとインターフェースごとに、決め手のルールとともに示します。最後に、確認できなかったものと、調べていないものを示します。配布用に --format markdown、html(スクリプトなしの単一ファイル)、sarif があります。",
				},
				{
					"--from NAMESPACE also looks from another network namespace of this machine (a name of ip netns, a path, or a process number; needs root): at all TCP ports of this machine's addresses, and at the UDP ports that are open here; -p chooses others. --seen SCAN.json takes what monban scan --all --json has seen from elsewhere; --seen-from ADDRESS says where that was, if it is not in one of this machine's networks, and --seen-as ADDRESS=LOCAL that the address that was scanned is translated to this machine's on the way. A door that was seen and should be closed is the worst finding; one that should be open and was not seen tells of something on the way.",
					"--from NAMESPACE は、このマシンの別のネットワーク名前空間からも調べます(ip netns の名前、パス、またはプロセスの番号。root が必要)。対象は、このマシンのアドレスの全 TCP ポートと、ここで開いている UDP ポートです(-p で変更可能)。--seen SCAN.json は、別の場所で実行した monban scan --all --json の結果と比べます。調べた場所がこのマシンのネットワークの外なら、--seen-from ADDRESS でアドレスを指定してください。スキャンしたアドレスが途中のアドレス変換でこのマシンに届く場合は、--seen-as ADDRESS=LOCAL と指定します。閉じているはずなのに見えたドアは最も重大な指摘になり、開いているはずなのに見えなかったドアからは、途中に何かがあると分かります。",
				},
				{
					"With --policy FILE, or a confirmed policy of monban guard, entries behind which nobody listens are findings, too. Exit status: 0 nothing, 1 a finding of severity low or worse (--fail-on chooses another), 3 nothing found, but something unseen could change that.",
					"--policy FILE、または monban guard で確定したポリシーがあれば、待ち受けるプログラムのない項目も指摘します。終了コード: 0 は指摘なし、1 は重大度が低以上の指摘あり(--fail-on で変更)、3 は指摘はないが、確認できなかったもので結果が変わる可能性あり。",
				},
			},
			examples: []example{
				{"sudo monban audit", [2]string{"the report", "レポート"}},
				{"sudo monban audit --format html > audit.html", [2]string{"to pass on", "配布用"}},
				{"sudo monban audit --from neighbour", [2]string{"compared with what a namespace sees", "別の名前空間からの見え方と比べる"}},
				{"sudo monban audit --seen scan.json --fail-on high", [2]string{"compared with a scan made elsewhere", "別の場所でのスキャンと比べる"}},
			},
		},
		{
			command: "monban guard",
			short: [2]string{
				"Open only the doors that a policy file lists, to those it names; every other is closed. On trial first, so that nobody is locked out.",
				"ポリシーファイルに書いたドアだけを、書いた相手にだけ開け、ほかはすべて閉じます。まず試しに適用するので、締め出されることはありません。",
			},
			long: [][2]string{
				{
					"The policy is monban.yaml in this directory, or else /etc/monban/monban.yaml. It lists doors: port (443/tcp, 8000-8100/udp, https), to (any, local, this-network, an address or prefix, name:HOST, if:INTERFACE, or a list of those), and optionally limit (10/minute, for each source), until (a time) and for (what it is for).",
					"ポリシーは、このディレクトリーの monban.yaml、なければ /etc/monban/monban.yaml です。ドアごとに port(443/tcp、8000-8100/udp、https など)と to(any、local、this-network、アドレスまたはプレフィックス、name:ホスト名、if:インターフェース名、またはその一覧)を書きます。limit(送信元ごとに 10/minute など)、until(期限)、for(用途)は省略できます。",
				},
				{
					"An entry may be about a protocol without ports: proto (esp, ah, gre, ipip, sit, igmp, ospf, eigrp, pim, vrrp, l2tp or a number) in place of port, without limit. Such a protocol passes as long as no entry names it; from then on only who is listed comes in by it.",
					"ポートのないプロトコルも、port の代わりに proto(esp、ah、gre、ipip、sit、igmp、ospf、eigrp、pim、vrrp、l2tp、または番号)と書けば指定できます(limit は使えません)。どの項目にもないプロトコルはそのまま通り、1 つでも項目を書くと、書いた相手だけが通ります。",
				},
				{
					"It is about new connections of TCP, UDP, SCTP and DCCP to this machine's own addresses, published ports of containers too. Other protocols that are not listed, connections that exist, what is only forwarded, and what this machine asks others go on. monban has one nftables table of its own (inet monban) and never touches another.",
					"対象は、このマシン自身のアドレスに来る TCP、UDP、SCTP、DCCP の新しい接続です(コンテナの公開ポートを含みます)。書いていないほかのプロトコル、既にある接続、転送するだけの通信、このマシンから外への通信には影響しません。monban は自分の nftables テーブル(inet monban)だけを使い、ほかには触れません。",
				},
				{
					"Host names and this-network become addresses when the policy is applied; nothing is looked up at boot. Exit status of plan and status: 0 in force, 1 something differs, 3 it could not be read. That makes them a check for cron.",
					"ホスト名と this-network は適用時にアドレスに置き換わり、起動時の名前解決はありません。plan と status の終了コード: 0 はポリシーどおり、1 は違いあり、3 は読み取れず。定期的な確認に使えます。",
				},
			},
			examples: []example{
				{"sudo monban guard import -f /etc/monban/monban.yaml", [2]string{"begin with what is open now", "いま開いているドアから始める"}},
				{"sudo monban guard plan", [2]string{"what would change for whom", "誰に何が変わるかを見る"}},
				{"sudo monban guard apply", [2]string{"on trial, for a minute", "1 分間、試しに適用する"}},
				{"sudo monban guard confirm", [2]string{"over a new connection: keep it", "新しい接続から確定する"}},
			},
		},
		{
			command: "monban guard plan",
			short:   [2]string{"What the policy would change, for whom; nothing is changed.", "ポリシーで何が誰に変わるかを示します。何も変更しません。"},
			long: [][2]string{{
				"Shows whom the policy lets in, and the doors that somebody gains or loses compared with now; -v shows the rules. It says so if the connection that you are working over would not be let in again. On Windows and macOS it prints what to tell the system's own firewall.",
				"ポリシーで入れる相手と、いまと比べて入れるようになる相手、入れなくなる相手を示します。-v を付けるとルールも表示します。いま作業に使っている接続が入れなくなる場合は、そのことも示します。Windows と macOS では、システムのファイアウォールに設定する内容を表示します。",
			}},
			examples: []example{
				{"monban guard plan", [2]string{"by monban.yaml here", "ここの monban.yaml で"}},
				{"monban guard plan -f web.yaml --json", [2]string{"another file, for programs", "別のファイル、プログラム向け"}},
			},
		},
		{
			command: "monban guard apply",
			short:   [2]string{"Put the policy on trial: without a confirmation the kernel goes back by itself.", "ポリシーを試しに適用します。確定しなければ、カーネルが自動で元に戻します。"},
			long: [][2]string{
				{
					"The new rules stand beside those before, chosen by an element with a timeout in the kernel. When the time is over, what was before counts again, with no program of monban's alive: a lost connection, kill -9 or a full disk change nothing about that, and a reboot ends it, too. Nothing is saved before monban guard confirm.",
					"新しいルールは元のルールと並べて置かれ、カーネル内の期限付きの要素で選ばれます。期限が来ると、monban のプログラムが動いていなくても元のルールに戻ります。接続の切断、kill -9、ディスクの満杯があっても同じで、再起動しても戻ります。monban guard confirm まで何も保存しません。",
				},
				{
					"Before that it is proven, in a network namespace of its own, that this works on this kernel. It refuses a policy that would not let in the connection you are working over (also through sudo), unless told --allow-cut.",
					"適用の前に、このカーネルでこの仕組みが働くことを、専用のネットワーク名前空間で確かめます。いま作業に使っている接続(sudo 経由も含む)が入れなくなるポリシーは、--allow-cut を付けない限り適用しません。",
				},
			},
			examples: []example{
				{"sudo monban guard apply --timeout 5m", [2]string{"five minutes to look around", "5 分間試す"}},
				{"sudo monban guard apply --saved", [2]string{"the confirmed policy again, as at boot", "確定済みのポリシーを読み込み直す"}},
			},
		},
		{
			command: "monban guard confirm",
			short:   [2]string{"Keep the policy on trial: save it, and load it at every boot.", "試しているポリシーを確定し、保存して、起動のたびに読み込まれるようにします。"},
			long: [][2]string{{
				"Over a new connection, because that proves that one can be made. The connection that put the policy on trial goes on whatever the rules say, so from there it is refused unless told --same-session.",
				"新しい接続から実行してください。新しく接続できることの確認になります。適用したときの接続はルールに関係なく続くため、--same-session を付けない限り、そこからは確定できません。",
			}},
			examples: []example{{"ssh server sudo monban guard confirm", [2]string{"from another terminal", "別の端末から"}}},
		},
		{
			command:  "monban guard rollback",
			short:    [2]string{"End a trial at once: what was before is in force again.", "試しの適用をすぐに終え、元の状態に戻します。"},
			examples: []example{{"sudo monban guard rollback", [2]string{"do not wait for the time to be over", "時間切れを待たずに戻す"}}},
		},
		{
			command:  "monban guard status",
			short:    [2]string{"Whether the confirmed policy is in force, on trial or changed by somebody.", "確定したポリシーが効いているか、試し中か、誰かに変更されていないかを示します。"},
			examples: []example{{"sudo monban guard status -v", [2]string{"with the rules that differ", "違うルールも表示"}}},
		},
		{
			command: "monban guard import",
			short:   [2]string{"Write a policy that keeps what is open now, with a comment about each door.", "いま開いているドアを保つポリシーを、ドアごとの説明付きで書き出します。"},
			examples: []example{
				{"sudo monban guard import -f /etc/monban/monban.yaml", [2]string{"then take out what is not needed", "その後、不要な行を消す"}},
				{"sudo monban guard import", [2]string{"only to look at it", "見るだけ"}},
			},
		},
		{
			command: "monban guard open",
			short:   [2]string{"Add a door to the policy file and show what that changes.", "ポリシーファイルにドアを加え、変わることを示します。"},
			long: [][2]string{{
				"The file keeps its comments and its order. Nothing is put in force: monban guard apply does that.",
				"ファイルのコメントと順序はそのまま残ります。適用はしません。適用するには monban guard apply を実行してください。",
			}},
			examples: []example{
				{"monban guard open 443 --to any --note website", [2]string{"to everybody", "全員に開ける"}},
				{"monban guard open ssh --to 192.0.2.0/24,if:wg0", [2]string{"to a network and a VPN", "ネットワークと VPN に開ける"}},
				{"monban guard open proto:esp --to 198.51.100.7", [2]string{"IPsec with one peer only", "IPsec を 1 つの相手だけにする"}},
			},
		},
		{
			command: "monban guard close",
			short:   [2]string{"Take a door out of the policy file and show what that changes.", "ポリシーファイルからドアを消し、変わることを示します。"},
			examples: []example{
				{"monban guard close 8080", [2]string{"its entries are taken out", "その項目を消す"}},
				{"monban guard close proto:gre", [2]string{"a protocol without ports, for everybody", "ポートのないプロトコルを誰にも通さない"}},
			},
		},
		{
			command:  "monban guard off",
			short:    [2]string{"Take monban's rules, the saved policy and what loads it at boot away.", "monban のルール、保存したポリシー、起動時の読み込みをすべて取り除きます。"},
			examples: []example{{"sudo monban guard off", [2]string{"the policy file stays", "ポリシーファイルは残る"}}},
		},
		{
			command: "monban move",
			short:   [2]string{"Move SSH to another port, with a way in at every moment.", "SSH を別のポートへ移します。移動中も必ずどちらかのポートから入れます。"},
			examples: []example{
				{"sudo monban move ssh --dry-run", [2]string{"every step, and a port that stays free", "すべての手順と、空き続けるポートを見る"}},
				{"sudo monban move ssh 61022", [2]string{"both ports, on trial", "両方のポートを開け、試しに使う"}},
				{"sudo monban move confirm", [2]string{"over the new port: close the old one", "新しいポートから入り、古いポートを閉じる"}},
			},
		},
		{
			command: "monban move ssh",
			short:   [2]string{"Open a second port for SSH on trial; the old one closes only after you came in by the new one.", "SSH の 2 つ目のポートを試しに開けます。古いポートを閉じるのは、新しいポートから入れることを確かめた後です。"},
			long: [][2]string{
				{
					"What the kernel says counts: whether sshd listens itself or systemd does for it (ssh.socket), on which addresses, and whether a rule or a container stands in front. Then sshd listens at both ports, the firewall lets the same people in at both (monban guard, ufw, firewalld; other rules are judged, never changed), and a banner is read at each.",
					"誰が待ち受けているか(sshd 自身か、systemd の ssh.socket か)、どのアドレスか、前にルールやコンテナがないかは、カーネルの情報で判断します。次に sshd が両方のポートで待ち受け、ファイアウォールが同じ相手を両方に入れるようにし(monban guard、ufw、firewalld。ほかのルールは判断だけで変更しません)、両方で応答を読みます。",
				},
				{
					"Before the first change a timer is armed that needs no program of monban's: without a confirmation from a connection over the new port it puts every file back byte for byte, and the firewall; so do the next boot and the next run. kill -9 at any step changes nothing about that. Without a PORT one is proposed that outgoing connections never take; below 1024 where other users could take it while sshd is down.",
					"最初の変更の前に、monban のプログラムが動いていなくても働くタイマーを仕掛けます。新しいポートからの接続で確定しなければ、すべてのファイルを 1 バイトも違わず元に戻し、ファイアウォールも戻します。次の起動や次の実行でも同じです。どの段階で kill -9 されても変わりません。PORT を省略すると、外向きの接続に使われないポートを提案します。ほかのユーザーが sshd の停止中に使えてしまうマシンでは、1024 未満から選びます。",
				},
			},
			examples: []example{
				{"sudo monban move ssh 61022 --dry-run", [2]string{"print every step, do nothing", "手順を表示するだけ"}},
				{"sudo monban move ssh --timeout 10m", [2]string{"ten minutes for the confirmation", "確定まで 10 分待つ"}},
			},
		},
		{
			command: "monban move confirm",
			short:   [2]string{"Close the old SSH port, having come in by the new one.", "新しいポートから入った状態で、古い SSH のポートを閉じます。"},
			long: [][2]string{{
				"It is refused unless this very connection came in by the new port, which proves that one can. On a console, where there is no connection, --same-session says so. Should closing fail, everything is put back.",
				"新しいポートから入った接続でなければ確定できません。その接続が、新しいポートから入れる証拠になります。接続のないコンソールでは --same-session を指定します。閉じる途中で失敗すると、すべて元に戻します。",
			}},
			examples: []example{{"ssh -p 61022 server sudo monban move confirm", [2]string{"from another terminal", "別の端末から"}}},
		},
		{
			command: "monban move rollback",
			short:   [2]string{"Put everything back at once: only the old SSH port is open.", "すぐにすべて元に戻し、古い SSH のポートだけにします。"},
			long: [][2]string{{
				"A move that was confirmed and then broken off is finished instead. The timer runs this with --trial, which names the one move that it is about.",
				"確定後に途中で止まった移動は、元に戻さず最後まで進めます。タイマーは、対象の移動を --trial で指定してこれを実行します。",
			}},
			examples: []example{{"sudo monban move rollback", [2]string{"do not wait for the time to be over", "時間切れを待たずに戻す"}}},
		},
		{
			command:  "monban move status",
			short:    [2]string{"Whether a move is on trial, and for how long.", "移動を試している最中かどうかと、残り時間を示します。"},
			examples: []example{{"sudo monban move status --json", [2]string{"for programs", "プログラム向けの出力"}}},
		},
		{
			command: "monban version",
			short: [2]string{
				"Show the version of monban and of its port registry.",
				"monban とポート台帳の版を表示します。",
			},
			examples: []example{{"monban version --json", [2]string{"for programs", "プログラム向けの出力"}}},
		},
		{
			command: "monban help",
			short:   [2]string{"Help about a command.", "コマンドのヘルプを表示します。"},
		},
		{
			command: "monban completion",
			short:   [2]string{"Print a completion script for your shell.", "シェルの補完スクリプトを出力します。"},
			long: [][2]string{{
				"Shells: bash (with the package bash-completion), zsh, fish, powershell. Load it in the running shell, or put it where your shell looks for completions.",
				"対応シェル: bash(bash-completion パッケージが必要)、zsh、fish、powershell。実行中のシェルで読み込むか、シェルの補完用フォルダーに置いてください。",
			}},
			examples: []example{
				{"source <(monban completion bash)", [2]string{"for this shell", "このシェルで使う"}},
			},
		},
		{command: "monban completion bash", short: [2]string{"The completion script for bash.", "bash 用の補完スクリプト"}},
		{command: "monban completion zsh", short: [2]string{"The completion script for zsh.", "zsh 用の補完スクリプト"}},
		{command: "monban completion fish", short: [2]string{"The completion script for fish.", "fish 用の補完スクリプト"}},
		{command: "monban completion powershell", short: [2]string{"The completion script for PowerShell.", "PowerShell 用の補完スクリプト"}},
	}
}
