package report

import (
	"fmt"
	"io"
	"strings"
)

// WriteMan writes a help page as a manual page in man(7) format.
func WriteMan(w io.Writer, t Topic, usage string, commands, flags, globals []Flag, lang Lang) error {
	m := roff{lang: lang}
	name := strings.ReplaceAll(t.Command, " ", "-")
	m.raw(".TH %s 1 \"\" monban \"%s\"", strings.ToUpper(roffArg(name)), lang.pick("monban manual", "monban マニュアル"))
	m.raw(".nh") // a command's or an option's word is not cut
	if lang == JA {
		m.raw(".ad l") // to stretch the few blanks of a Japanese line tears it apart
	}
	m.section("NAME", "名前")
	m.raw("%s", roffText(name+" - "+strings.TrimRight(t.Short, ".。"))) // as whatis(1) reads it
	m.section("SYNOPSIS", "書式")
	m.raw(".B %s", roffText(usage))
	m.section("DESCRIPTION", "説明")
	for i, p := range t.Long {
		if i > 0 {
			m.raw(".PP")
		}
		m.text(p)
	}
	if len(t.Long) == 0 {
		m.text(t.Short)
	}
	m.list("COMMANDS", "コマンド", commands)
	m.list("OPTIONS", "オプション", flags)
	m.list("OPTIONS OF EVERY COMMAND", "共通オプション", globals)
	m.section("EXIT STATUS", "終了ステータス")
	for _, e := range exitCodes(t.Command) {
		m.item(e.code, lang.pick(e.en, e.ja))
	}
	if len(t.Examples) > 0 {
		m.section("EXAMPLES", "例")
		for _, e := range t.Examples {
			m.item(e.Line, e.Note)
		}
	}
	m.section("ENVIRONMENT", "環境変数")
	m.item("MONBAN_LANG, LC_ALL, LC_MESSAGES, LANG", lang.pick(
		"Language of the text, ja or en; the first that is set decides. In a locale of another encoding than UTF-8 it is English, unless MONBAN_LANG or --lang says otherwise.",
		"表示言語(ja または en)。設定されている最初のものを使います。ロケールの文字コードが UTF-8 でない場合は、MONBAN_LANG か --lang で指定しない限り英語です。"))
	m.item("NO_COLOR, TERM=dumb", lang.pick("No colours.", "色を付けません。"))
	m.item("XDG_STATE_HOME, XDG_DATA_HOME", lang.pick(
		"Where a user's own leases, kept changes and port registry are, instead of ~/.local/state and ~/.local/share.",
		"一般ユーザーの割り当て、変更前のファイル、ポート台帳の置き場所(既定は ~/.local/state と ~/.local/share)。"))
	m.section("FILES", "ファイル")
	m.item("/var/lib/monban/registry, ~/.local/share/monban/registry", lang.pick(
		"A newer port registry, put there by monban ports update.",
		"monban ports update が置いた、新しいポート台帳。"))
	m.item("/var/lib/monban/leases, $XDG_STATE_HOME/monban/leases, ~/.local/state/monban/leases", lang.pick(
		"Ports that are kept for projects, by monban pick and monban run.",
		"monban pick と monban run が割り当てたポート。"))
	m.item("/var/lib/monban/fixes, $XDG_STATE_HOME/monban/fixes, ~/.local/state/monban/fixes", lang.pick(
		"What monban fix has changed, as it was before.",
		"monban fix が変更したファイルの、変更前の内容。"))
	m.item("monban.yaml, /etc/monban/monban.yaml", lang.pick(
		"The policy of monban guard.",
		"monban guard のポリシー。"))
	m.item("/var/lib/monban/guard.json", lang.pick(
		"The confirmed policy, with addresses in the place of names, which is loaded at boot.",
		"確定したポリシー(名前はアドレスに置き換え済み)。起動時に読み込みます。"))
	_, err := io.WriteString(w, m.b.String())
	return err
}

type exitCode struct{ code, en, ja string }

// exitCodes are the codes of the command contract that a command uses.
func exitCodes(command string) []exitCode {
	var (
		done   = exitCode{"0", "Done.", "正常に終了しました。"}
		wrong  = exitCode{"2", "The command line, or a file it named, is wrong.", "コマンドラインか、指定されたファイルに誤りがあります。"}
		unseen = exitCode{"3", "Something that could not be seen could change the answer; it is named.", "結果を変えうる未確認の項目があります(表示します)。"}
		failed = exitCode{"4", "It could not be done; nothing was left half done.", "実行できませんでした。中途半端な変更は残していません。"}
	)
	switch command {
	case "monban", "monban port", "monban scan":
		return []exitCode{
			{"0", "Done. Findings and gaps do not change it, unless --fail-on is reached.", "正常に終了しました。指摘や未確認の項目があっても 0 です(--fail-on に達した場合を除く)。"},
			{"1", "A finding is at least as severe as --fail-on.", "--fail-on 以上の重大度の指摘がありました。"},
			wrong, failed}
	case "monban check":
		return []exitCode{
			{"0", "Everything that was asked for can start, or runs already.", "指定されたポートはすべて開けます(または動作中です)。"},
			{"1", "Something cannot start.", "起動できないものがあります。"},
			wrong, unseen, failed}
	case "monban audit":
		return []exitCode{
			{"0", "No finding is low or worse, or as severe as --fail-on.", "重大度が低以上(または --fail-on 以上)の指摘はありません。"},
			{"1", "There is such a finding.", "そのような指摘があります。"},
			wrong, unseen, failed}
	case "monban guard", "monban guard plan", "monban guard status":
		return []exitCode{
			{"0", "Done; of plan and status: the policy is in force as it is written.", "正常に終了しました。plan と status では、ポリシーどおりです。"},
			{"1", "Of plan and status: what is in force differs from the policy.", "plan と status では、ポリシーと違いがあります。"},
			wrong, unseen, failed}
	case "monban fix":
		return []exitCode{
			{"0", "No conflict is left, or --dry-run shows how none would be.", "競合は残っていません(--dry-run では、すべて解決できます)。"},
			{"2", "The command line, or a file it named, is wrong, or nobody is there to say yes.", "コマンドラインか、指定されたファイルに誤りがあります。または、確認に答える端末がありません。"},
			{"4", "A conflict stays, or it could not be done; nothing was left half done.", "競合が残っているか、実行できませんでした。中途半端な変更は残していません。"}}
	case "monban free":
		return []exitCode{
			{"0", "The port is free.", "ポートは空いています。"},
			{"2", "It has to be asked for differently: several programs have the number, or nobody is there to say yes.", "指定のやり直しが必要です(同じ番号を複数のプログラムが使っている、または確認に答える端末がない)。"},
			{"4", "The port is not free; the reason is told.", "空けられませんでした(理由を表示します)。"}}
	case "monban run":
		return []exitCode{
			{"N", "The command's own status, or 128 and the number of the signal that ended it.", "コマンド自身の終了ステータス。シグナルで終了した場合は 128 + 番号。"},
			wrong, failed,
			{"126, 127", "The command could not be started, or was not found.", "コマンドを起動できないか、見つかりません。"}}
	}
	return []exitCode{done, wrong, failed}
}

// roff collects lines of a manual page.
type roff struct {
	b    strings.Builder
	lang Lang
}

func (m *roff) raw(format string, args ...any) { fmt.Fprintf(&m.b, format+"\n", args...) }

func (m *roff) section(en, ja string) { m.raw(".SH %s", m.lang.pick(en, ja)) }

func (m *roff) text(s string) { m.raw("%s", m.breakable(s)) }

// breakable is [roffText] with the places named where a line of Japanese may end:
// troff knows blanks only, and would leave lines half empty or too long.
func (m *roff) breakable(s string) string {
	if m.lang != JA {
		return roffText(s)
	}
	var b strings.Builder
	from, prev := 0, ' '
	for i, r := range s {
		wide := runeCells(r) == 2 || runeCells(prev) == 2
		if wide && r != ' ' && !strings.ContainsRune(" (「", prev) && !strings.ContainsRune(noLineStart, r) {
			b.WriteString(roffText(s[from:i]) + `\:`)
			from = i
		}
		prev = r
	}
	return b.String() + roffText(s[from:])
}

func (m *roff) item(term, text string) {
	m.raw(".TP\n.B %s", roffText(term))
	m.text(text)
}

func (m *roff) list(en, ja string, flags []Flag) {
	if len(flags) == 0 {
		return
	}
	m.section(en, ja)
	for _, f := range flags {
		m.item(strings.TrimSpace(f.Name), f.Text)
	}
}

// roffText escapes what troff would take for commands.
func roffText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func roffArg(s string) string { return strings.ReplaceAll(s, " ", "-") }
