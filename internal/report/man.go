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
	m.section("NAME", "名前")
	m.text(name + " - " + strings.TrimRight(t.Short, ".。"))
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
	for _, e := range exitCodes() {
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
		"Language of the text, ja or en; the first that is set decides.",
		"表示言語(ja または en)。設定されている最初のものを使います。"))
	m.item("NO_COLOR", lang.pick("No colours when it is set.", "設定すると色を付けません。"))
	m.section("FILES", "ファイル")
	m.item("/var/lib/monban/registry, ~/.local/share/monban/registry", lang.pick(
		"A newer port registry, put there by monban ports update.",
		"monban ports update が置いた、新しいポート台帳。"))
	m.item("/var/lib/monban/leases, $XDG_STATE_HOME/monban/leases, ~/.local/state/monban/leases", lang.pick(
		"Ports that are kept for projects, by monban pick and monban run.",
		"monban pick と monban run が割り当てたポート。"))
	_, err := io.WriteString(w, m.b.String())
	return err
}

type exitCode struct{ code, en, ja string }

// exitCodes are the codes of the command contract that the verbs of this
// release use.
func exitCodes() []exitCode {
	return []exitCode{
		{"0", "Done. Findings and gaps do not change it, unless --fail-on is reached.", "正常に終了しました。指摘や未確認の項目があっても 0 です(--fail-on に達した場合を除く)。"},
		{"1", "A finding is at least as severe as --fail-on.", "--fail-on 以上の重大度の指摘がありました。"},
		{"2", "The command line, or a file it named, is wrong.", "コマンドラインか、指定されたファイルに誤りがあります。"},
		{"4", "It could not be done; nothing was left half done.", "実行できませんでした。中途半端な変更は残していません。"},
	}
}

// roff collects lines of a manual page.
type roff struct {
	b    strings.Builder
	lang Lang
}

func (m *roff) raw(format string, args ...any) { fmt.Fprintf(&m.b, format+"\n", args...) }

func (m *roff) section(en, ja string) { m.raw(".SH %s", m.lang.pick(en, ja)) }

func (m *roff) text(s string) { m.raw("%s", roffText(s)) }

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
