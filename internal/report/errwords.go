package report

import (
	"fmt"
	"strconv"
	"strings"
)

// errorText is what a source said of itself, for people. Sources speak English
// and in values: a gap travels in JSON and in saved views as the words it was
// made of, so the Japanese ones are found from the words. What is not ours, such
// as the message of another program, stays as it was said.
func (l Lang) errorText(s string) string {
	if l != JA {
		return s
	}
	if inner, err := strconv.Unquote(s); err == nil && s[0] == '"' { // the words of another reader
		if text, ok := l.knownError(inner); ok {
			return text
		}
	}
	// "open /proc/7/fd: permission denied" and "httpd.conf:12: not a port: x": what
	// stands before the words is a place, or several.
	for tail, places := s, 0; places < 4; places++ {
		if text, ok := l.knownError(tail); ok {
			return s[:len(s)-len(tail)] + text
		}
		var more bool
		if _, tail, more = strings.Cut(tail, ": "); !more {
			return s
		}
	}
	if at := strings.LastIndex(s, ": "); at > 0 {
		if text, ok := l.knownError(s[at+2:]); ok {
			return s[:at+2] + text
		}
	}
	return s
}

// errorTexts is errorText for the arguments of a machine code that hold what a source
// said.
func (l Lang) errorTexts(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = l.errorText(arg)
	}
	return out
}

// knownError is [Lang.errorText] where the words are known as a whole.
func (l Lang) knownError(s string) (text string, ok bool) {
	if rest, ok := strings.CutPrefix(s, "exit status "); ok {
		if code, said, ok := strings.Cut(rest, ": "); ok { // by another program
			return "終了コード " + code + ": " + said, true
		}
	}
	for _, w := range errorWords() {
		parts, ok := match(w[0], s)
		if !ok {
			continue
		}
		args := make([]any, len(parts))
		for i, part := range parts {
			args[i] = l.errorText(part)
		}
		return fmt.Sprintf(w[1], args...), true
	}
	return "", false
}

// match returns what stands for each %v of pattern in s.
func match(pattern, s string) (parts []string, ok bool) {
	fixed := strings.Split(pattern, "%v")
	if !strings.HasPrefix(s, fixed[0]) {
		return nil, false
	}
	s = s[len(fixed[0]):]
	for i, text := range fixed[1:] {
		at := strings.Index(s, text)
		if i == len(fixed)-2 { // the last one reaches to the end
			at = len(s) - len(text)
			if at < 0 || !strings.HasSuffix(s, text) {
				return nil, false
			}
		}
		if at < 0 {
			return nil, false
		}
		parts = append(parts, s[:at])
		s = s[at+len(text):]
	}
	return parts, s == ""
}

// errorWords are the errors of the sources and of the files that users name, the
// special before the general. %v stands for anything.
func errorWords() [][2]string {
	return [][2]string{
		// the system's
		{"no such file or directory", "ファイルまたはフォルダーがありません"},
		{"permission denied", "アクセスが許可されていません"},
		{"operation not permitted", "操作が許可されていません"},
		{"access denied", "アクセスが拒否されました"},
		{"is a directory", "フォルダーです"},
		{"not a directory", "フォルダーではありません"},
		{"no space left on device", "ディスクの空き容量がありません"},
		{"read-only file system", "書き込みできないファイルシステムです"},
		{"file name too long", "ファイル名が長すぎます"},
		{"too many open files", "開いているファイルが多すぎます"},
		{"connection refused", "接続を拒否されました"},
		{"connection reset by peer", "接続を切られました"},
		{"broken pipe", "出力先が閉じられました"},
		{"context deadline exceeded", "時間切れです"},
		{"context canceled", "中断されました"},
		{"input/output error", "入出力エラーです"},
		{"invalid argument", "無効な引数です"},
		{"function not implemented", "このシステムでは使えません"},
		{"protocol not supported", "このシステムにないプロトコルです"},
		{"operation not supported", "このシステムでは使えません"},
		{"unexpected EOF", "途中で終わっています"},
		{"EOF", "途中で終わっています"},
		{"address family not supported by protocol", "このシステムにないアドレスファミリーです"},
		{"device or resource busy", "使用中です"},
		{"AF_XDP sends on an Ethernet only, and this is none", "AF_XDP で送信できるのはイーサネットだけで、これは違います"},
		{"AF_XDP: the device has stopped sending", "AF_XDP: デバイスが送信しなくなりました"},
		{"the range of ephemeral ports leaves no source ports", "エフェメラルポートの範囲が広すぎて、送信元に使えるポートがありません"},
		{"exit status %v", "終了コード %[1]s"},
		// readers of CSV and JSON
		{"parse error on line %v, column %v: %v", "%[1]s 行 %[2]s 文字目の形式が違います: %[3]s"},
		{"record on line %v: %v", "%[1]s 行目の形式が違います: %[2]s"},
		{"wrong number of fields", "列の数が違います"},
		{"bare %v in non-quoted-field", "引用符のない項目に %[1]s があります"},
		{"extraneous or missing %v in quoted-field", "引用符が余分か不足しています"},
		{"invalid character %v", "JSON として読めません(invalid character %[1]s)"},
		{"json: cannot unmarshal %v", "JSON の値の種類が違います(%[1]s)"},
		// the reader of YAML
		{"a character that YAML does not allow", "YAML では使えない文字か、UTF-8 として正しくない文字があります"},
		{"nested too deep", "入れ子が深すぎます"},
		{"too many values", "値の数が多すぎます"},
		{"a tab, where only spaces indent", "字下げにはタブではなく空白を使います"},
		{"no value begins with this character", "この文字で始まる値は書けません(引用符で囲んでください)"},
		{"expected a key, indented as those before", "ここにはキーが必要です(前のキーと字下げをそろえてください)"},
		{"expected ':' behind the key, on its line", "キーと同じ行の後ろに ':' が必要です"},
		{"expected '- ', indented as those before", "ここには「- 」が必要です(前の項目と字下げをそろえてください)"},
		{"expected a value", "値がありません"},
		{"expected ',' or ']'", "',' か ']' が必要です"},
		{"expected ',' or '}'", "',' か '}' が必要です"},
		{"expected the end of the document or '---'", "文書はここで終わるはずです(別の文書は --- で始めます)"},
		{"nothing can follow the value on its line: look at the quotes and the brackets", "値の後ろに余分なものがあります(引用符と括弧を確認してください)"},
		{"no 'key: value' can be here: look at the indentation and the quotes", "ここに「キー: 値」は書けません(字下げと引用符を確認してください)"},
		{"no '? ' can be here", "ここに「? 」は書けません"},
		{"no '- ' can be here", "ここに「- 」の項目は書けません"},
		{"the document ends within quotes or brackets", "引用符か括弧の途中で文書が終わっています"},
		{"the quotes are not closed", "引用符が閉じられていません"},
		{"the brackets are not closed", "括弧が閉じられていません"},
		{"not an escape", "使えないエスケープです"},
		{"expected the end of the line behind '|' or '>'", "'|' や '>' の後ろでは改行が必要です"},
		{"not the name of an anchor", "アンカーの名前として使えません"},
		{"not a tag", "タグとして正しくありません"},
		{"not a directive: %v", "%[1]s というディレクティブはありません"},
		{"not a directive", "ディレクティブとして正しくありません"},
		{"the anchor, tag or directive is given twice", "アンカー、タグ、ディレクティブのどれかが 2 回指定されています"},
		{"an alias has no anchor or tag of its own", "エイリアスにアンカーやタグは付けられません"},
		{"no anchor of this name: %v", "アンカー %[1]s は定義されていません"},
		{"no tag handle of this name: %v", "タグの接頭辞 %[1]s は定義されていません"},
		{"not a version of YAML that can be read: %v", "読めない YAML のバージョンです: %[1]s"},
		{"yaml: line %v: %v", "%[1]s 行目: %[2]s"},
		// host
		{"the list is longer than a list of all ports", "一覧が全ポートの数より長くなっています"},
		{"%v is not a number", "%[1]s は数値ではありません"},
		{"not a range of ports", "ポートの範囲ではありません"},
		{"%v is not a range of ports", "%[1]s はポートの範囲ではありません"},
		{"%v is not a port number", "%[1]s はポート番号ではありません"},
		{"netsh wrote no range of dynamic ports", "netsh の出力に動的ポートの範囲がありません"},
		{"netsh wrote no table of excluded ports", "netsh の出力に除外ポートの表がありません"},
		{"netsh: %v", "netsh の実行に失敗しました: %[1]s"},
		{"more than %v routes: the rest was not read", "経路が %[1]s 件を超えるため、残りは読んでいません"},
		{"rtnetlink: the table kept changing while it was read", "rtnetlink: 読んでいる間に表が変わり続けました"},
		{"rtnetlink: %v", "rtnetlink の応答を読めません: %[1]s"},
		{"capabilities: %v", "ケーパビリティーを読めません: %[1]s"},
		{"no line CapEff", "CapEff の行がありません"},
		// sockets
		{"mounted with hidepid: other users' processes are hidden", "hidepid 付きでマウントされているため、他ユーザーのプロセスは見えません"},
		{"%v processes: %v", "%[1]s 個のプロセス: %[2]s"},
		{"%v has no network namespaces", "%[1]s にはネットワーク名前空間がありません"},
		{"the socket table changed while it was read", "読んでいる間にソケットの表が変わりました"},
		{"IPVS leads packets on to other machines: %v", "IPVS がパケットを別のマシンへ振り分けています: %[1]s"},
		{"it translates more ports than can be listed", "変換するポートが多すぎるため、一覧に含められません"},
		{"malformed netlink message%v", "netlink の応答の形式が違います%[1]s"},
		{"mountinfo line %v", "mountinfo の形式が違います: %[1]s 行目"},
		{"%v table of %v bytes has no xinpgen", "%[1]s の表の形式が違います(%[2]s バイト)"},
		{"%v table ends with %v bytes", "%[1]s の表の形式が違います(末尾 %[2]s バイト)"},
		{"%v table has a record of %v bytes in %v", "%[1]s の表の形式が違います(%[3]s バイト中 %[2]s バイトの項目)"},
		{"%v table has no socket although it counts %v", "%[1]s の表に、数にある %[2]s 個のソケットがありません"},
		{"record of kind %v has %v bytes: want %v", "種類 %[1]s の項目が %[2]s バイトです(必要なのは %[3]s)"},
		{"%v socket lacks a record", "%[1]s のソケットの項目が足りません"},
		{"%v socket of process %v", "%[1]s のソケット(プロセス %[2]s)"},
		{"reading %v: %v", "%[1]s を読めません: %[2]s"},
		{"%v has no heading", "%[1]s に見出しがありません"},
		{"%v has the heading %v", "%[1]s の見出しが違います: %[2]s"},
		{"%v line %v: %v", "%[1]s の %[2]s 行目: %[3]s"},
		{"%v fields: want at least %v", "項目が %[1]s 個しかありません(%[2]s 個以上必要)"},
		{"state: %v", "状態を読めません: %[1]s"},
		{"uid: %v", "uid を読めません: %[1]s"},
		{"inode: %v", "inode を読めません: %[1]s"},
		{"address %v: %v", "アドレス %[1]s を読めません: %[2]s"},
		{"address %v", "アドレス %[1]s を読めません"},
		{"port: %v", "ポートを読めません: %[1]s"},
		{"tells the process that used a socket last, which need not be the only one that holds it", "ソケットを最後に使ったプロセスしか分からず、ほかに持つプロセスがあるかもしれません"},
		{"does not tell the interface of a socket", "ソケットのインターフェースは分かりません"},
		{"SCTP and DCCP are not asked for: Linux %v may load them to answer", "SCTP と DCCP は調べていません(Linux %[1]s では、問い合わせるとモジュールが読み込まれることがあるため)"},
		{"the answer was cut between sockets of one port", "同じポートのソケットの途中で応答が切れました"},
		{"Linux %v does not list TCP sockets that are bound but do not listen: 6.8 is the first", "Linux %[1]s では待ち受けていない TCP ソケットの一覧を得られません(6.8 以降で可能)"},
		{"does not list TCP sockets that are bound but do not listen, nor SCTP and DCCP; %v", "待ち受けていない TCP ソケットと、SCTP、DCCP は一覧に出ません。%[1]s"},
		{"no way to read the socket tables of %v", "%[1]s のソケットの表を読む方法がありません"},
		{"does not promise to list TCP sockets that are bound but do not listen; %v", "待ち受けていない TCP ソケットが一覧に出るとは限りません。%[1]s"},
		{"tells neither IPV6_V6ONLY nor which UDP sockets are connected", "IPV6_V6ONLY の設定と、接続済みの UDP ソケットは区別できません"},
		{"does not tell which UDP sockets are connected", "接続済みの UDP ソケットを区別できません"},
		{"the table grows faster than it can be read", "読むより速く表が増えています"},
		{"more than %v peers: each count may be up to %v too small", "相手が %[1]s 件を超えるため、各件数は最大 %[2]s 少ないことがあります"},
		{"only %v local addresses of a port are kept", "1 つのポートにつき、残すローカルアドレスは %[1]s 個までです"},
		{"%v: %v rows do not fit into %v bytes", "%[1]s: %[3]s バイトに %[2]s 行は入りません"},
		{"%v of %v bytes", "%[1]s の大きさが違います(%[2]s バイト)"},
		// owners
		{"the answer is too long", "応答が長すぎます"},
		{"not an HTTP answer: %v", "HTTP の応答ではありません: %[1]s"},
		{"the engine answers %v", "エンジンの応答: %[1]s"},
		{"the engine does not have it", "エンジンにありません"},
		{"more than %v containers", "コンテナが %[1]s 個を超えています"},
		{"a transfer encoding, which HTTP/1.0 does not have", "HTTP/1.0 にない転送符号化が使われています"},
		{"the answer is not a list: %v", "応答が一覧ではありません: %[1]s"},
		{"not a container ID: %v", "コンテナ ID ではありません: %[1]s"},
		{"%v: not running: to connect would start it", "%[1]s: 動いていません(接続すると起動してしまうため、問い合わせていません)"},
		{"not running: to connect would start it", "動いていません(接続すると起動してしまうため、問い合わせていません)"},
		{"%v: no process can be seen to listen on it: to connect might start one", "%[1]s: 待ち受けているプロセスが見えません(接続すると起動するおそれがあるため、問い合わせていません)"},
		{"no process can be seen to listen on it: to connect might start one", "待ち受けているプロセスが見えません(接続すると起動するおそれがあるため、問い合わせていません)"},
		{"%v: no answer within %v", "%[1]s: %[2]s 以内に応答がありません"},
		{"no answer within %v", "%[1]s 以内に応答がありません"},
		{"not a socket", "ソケットではありません"},
		{"the socket belongs to another user", "別のユーザーのソケットです"},
		{"a file system does not answer: projects and names of links were not looked for", "応答しないファイルシステムがあるため、プロジェクトとリンク先の名前は調べていません"},
		{"no way to look at the processes of %v", "%[1]s のプロセスを調べる方法がありません"},
		{"no way to ask container engines on %v", "%[1]s でコンテナエンジンに問い合わせる方法がありません"},
		{`\\.\pipe\docker_engine is not asked`, `\\.\pipe\docker_engine には問い合わせていません`},
		{"several units ask for %v", "複数のユニットが要求しています: %[1]s"},
		{"processes of other users are hidden (hidepid)", "他ユーザーのプロセスは隠されています(hidepid)"},
		{"%v: the files of %v processes", "%[2]s 個のプロセスのファイル: %[1]s"},
		{"this is not the first pid namespace of the machine", "マシンの最初のプロセス名前空間ではありません"},
		{"could not be decided", "判断できませんでした"},
		{"no process holds the socket any more", "ソケットを持つプロセスはもうありません"},
		{"the system does not tell which process it is", "どのプロセスかをシステムが教えません"},
		// claims
		{"more than %v files", "ファイルが %[1]s 個を超えています"},
		{"includes nested more than %v deep", "読み込み(include)が %[1]s 段を超えています"},
		{"includes itself by way of %v", "%[1]s を通して自分自身を読み込んでいます"},
		{"not a regular file", "通常のファイルではありません"},
		{"no such file: %v", "ファイルがありません: %[1]s"},
		{"outside the tree being read: %v", "調べている範囲の外にあります: %[1]s"},
		{"not understood: %v", "解釈できません: %[1]s"},
		{`not a port: ""`, "ポート番号がありません"},
		{"not a port: %v", "ポート番号ではありません: %[1]s"},
		{`not an address: ""`, "アドレスがありません"},
		{"not an address: %v", "アドレスではありません: %[1]s"},
		{"address of %v is not known here", "%[1]s のアドレスがここでは分かりません"},
		{"no value for %v", "%[1]s の値がありません"},
		{"not followed: %v", "別の場所で決まるため、追えません: %[1]s"},
		{"a name that is not in UTF-8 cannot be read: %v", "UTF-8 でない名前は読めません: %[1]s"},
		{"text in UTF-16, and not in UTF-8", "UTF-8 ではなく UTF-16 で書かれています"},
		{"lists and mappings nested more than %v deep", "リストやマッピングの入れ子が %[1]s 段を超えています"},
		{"directories nested more than %v deep", "フォルダーの入れ子が %[1]s 段を超えています"},
		{"stands for too many things", "短い記述が膨大な数に展開されます"},
		{"not a configuration file that is known here", "monban の知らない形式のファイルです"},
		// guard and move
		{"%v: others may write (mode %v, owner %v)", "%[1]s に他のユーザーも書き込めます(モード %[2]s、所有者 %[3]s)"},
		{"not a plain path", "単純なパスではありません"},
		{"this is the connection that put the policy on trial", "ポリシーを試しに適用した接続そのものです"},
		{"this connection was there before the trial", "試しの適用より前からある接続です"},
		{"this connection comes from this machine itself", "このマシン自身からの接続です"},
		{"this may be a connection from before the trial", "試しの適用より前からの接続かもしれません"},
		{"the record of the policy on trial is missing", "試しに適用しているポリシーの記録がありません"},
		{"the rules on trial are not those that were put there", "試しに適用したルールが書き換えられています"},
		{"another monban guard is at work", "別の monban guard が実行中です"},
		{"no policy has been confirmed", "確定したポリシーはありません"},
		{"version %v of the format is not known", "形式の版 %[1]s には対応していません"},
		{"a move is on trial", "移動を試している最中です"},
		{"no move is on trial", "試している移動はありません"},
		{"not confirmed over a new connection to the new port", "新しいポートへの新しい接続から確定されていません"},
		{"the time of the trial is over", "確定できる時間は過ぎました"},
		{"the file has changed, or is not understood", "ファイルが変更されたか、解釈できません"},
		{"%v: no line asks for port %v", "%[1]s: ポート %[2]s を指定する行がありません"},
		{"%v: some lines ask for port %v and others mean it without saying so", "%[1]s: ポート %[2]s を明記した行と、省略している行が混在しています"},
		{"%v is not understood", "解釈できません: %[1]s"},
		{"another monban move is at work: %v", "別の monban move が実行中です: %[1]s"},
		{"sshd is gone", "sshd が動いていません"},
		{"sshd would end, because %v is no address of this machine now: %v", "%[1]s は現在このマシンのアドレスではないため、設定を読み直すと sshd が終了してしまいます: %[2]s"},
		{"sshd -T says %v, and should say %v", "sshd -T の出力が %[1]s です(%[2]s のはずです)"},
		{"port %v is still open", "ポート %[1]s がまだ開いています"},
		{"closed without a banner", "バナーを送らずに切断されました"},
		{"%v: %v is no SSH banner", "%[1]s: SSH のバナーではありません: %[2]s"},
		{"cannot assign requested address", "そのアドレスはこのマシンにありません"},
		// the port book
		{"open port book%v: %v", "台帳を開けません%[1]s: %[2]s"},
		{"not an intact port registry%v", "台帳のファイルが壊れています"},
		{"install port book: %v", "台帳を保存できません: %[1]s"},
		{"port registry: %v", "台帳: %[1]s"},
		{"no row has a date", "日付のある行がありません"},
		{"%v is not a regular file", "%[1]s は通常のファイルではありません"},
		{"%v is larger than %v bytes", "%[1]s が %[2]s バイトを超えています"},
		{"larger than %v bytes", "%[1]s バイトを超えています"},
		{"%v rows, want at least %v: the file is incomplete", "%[1]s 行しかありません(%[2]s 行以上あるはずです)。ファイルが途中で切れています"},
		{"ssh, domain, http and https are not where they belong", "ssh、domain、http、https があるべき番号にありません"},
		{"it ends at port %v, want at least %v: the file is incomplete", "ポート %[1]s で終わっています(少なくとも %[2]s まであるはずです)。ファイルが途中で切れています"},
		{"no column %v: not IANA's service-names-port-numbers.csv", "列 %[1]s がありません。IANA の service-names-port-numbers.csv ではないようです"},
		{"read the header: %v", "見出しの行を読めません: %[1]s"},
		{"more rows than there are ports", "ポートの数より行が多くなっています"},
		{"line %v: %v", "%[1]s 行目: %[2]s"},
		// saved views, and files that users name
		{"not a saved snapshot: it is cut short", "monban の保存ファイルではないか、途中で切れています"},
		{"not a saved snapshot: it has no monban_snapshot version (monban --save FILE makes one)", "monban の保存ファイルではありません(monban --save FILE で作れます)"},
		{"not a saved snapshot: it has no snapshot", "monban の保存ファイルですが、中身がありません"},
		{"not a saved snapshot: %v", "monban の保存ファイルではありません: %[1]s"},
		{"saved snapshot of version %v: this monban reads version 1", "保存ファイルの形式が版 %[1]s です(この monban が読めるのは版 1)"},
		{"not saved", "保存されていません"},
		{"not a project", "プロジェクトではありません"},
		{"neither curl nor wget is installed", "curl も wget もインストールされていません"},
		{"%v is not a file", "ファイルではありません(%[1]s)"},
		{"not a file", "ファイルではありません"},
		{"too large", "大きすぎます"},
		{"a lease has gone", "確保した記録がなくなりました"},
	}
}
