package report

import "io"

// Topic is one command's help: what it is for, in sentences, and examples that
// work.
type Topic struct {
	Command  string // "monban ports update"
	Short    string
	Long     []string // paragraphs
	Examples []Example
}

// Example is a command line and what it does.
type Example struct{ Line, Note string }

// topic is a Topic in both languages.
type topic struct {
	command  string
	short    [2]string
	long     [][2]string
	examples []example
}

type example struct {
	line string
	note [2]string
}

// Help returns the help of a command, and false if there is none.
func Help(command string, lang Lang) (Topic, bool) {
	for _, t := range topics() {
		if t.command != command {
			continue
		}
		out := Topic{Command: t.command, Short: t.short[lang]}
		for _, p := range t.long {
			out.Long = append(out.Long, p[lang])
		}
		for _, e := range t.examples {
			out.Examples = append(out.Examples, Example{e.line, e.note[lang]})
		}
		return out, true
	}
	return Topic{}, false
}

// WriteHelp writes a help page. usage is the synopsis; commands are the verbs
// below this one.
func WriteHelp(w io.Writer, t Topic, usage string, commands, flags, globals []Flag, s Style) error {
	p := newPrinter(w, s)
	p.paragraph(span{}, t.Short)
	p.blank()
	p.line(span{bold, p.f("Usage", "使い方")})
	p.line(span{plain, "  " + usage})
	for _, text := range t.Long {
		p.blank()
		p.paragraph(span{}, text)
	}
	if len(t.Examples) > 0 {
		p.blank()
		p.line(span{bold, p.f("Examples", "例")})
		for _, e := range t.Examples {
			p.paragraph(span{plain, "  " + pad(e.Line, 36) + "  "}, e.Note)
		}
	}
	p.flagList(p.f("Commands", "コマンド"), commands)
	p.flagList(p.f("Options", "オプション"), flags)
	p.flagList(p.f("Options of every command", "共通オプション"), globals)
	return p.w.Flush()
}

// AskForText tells somebody at a terminal what explain waits for.
func AskForText(w io.Writer, lang Lang) {
	io.WriteString(w, lang.pick(
		"Paste the error message, then press Ctrl-D on a line of its own.\n",
		"エラーメッセージを貼り付け、改行してから Ctrl-D を押してください。\n"))
}
