package report

import (
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// findingsText writes the findings, worst first, each with why and what to do.
func (v *view) findingsText(p *printer) {
	if len(v.Findings) == 0 {
		return
	}
	p.blank()
	for _, f := range v.Findings {
		p.paragraph(severityTag(p.lang, f.Severity), v.findingSentence(f))
		v.fixesText(p, f.Fix, "  ")
		if v.style.Verbose {
			for _, e := range f.Evidence {
				source, text := v.evidenceWords(e)
				p.styledParagraph(span{dim, "    "}, dim, source+": "+text)
			}
		}
	}
}

// evidenceWords says what a piece of evidence is, for people: JSON keeps its codes.
func (v *view) evidenceWords(e monban.Evidence) (source, text string) {
	l := v.style.Lang
	switch e.Source {
	case "socket table":
		return l.pick(e.Source, "ソケットの一覧"), e.Text
	case "owners":
		return l.pick("programs", "プログラム"), hiddenWords(l, e.Text)
	case "firewall":
		if why := v.whyText(&monban.Reach{Why: monban.Reason(e.Text), Verdict: monban.VerdictPartly}); e.Text != "" && why != "" {
			return l.pick("who gets in", "届く範囲"), why
		}
		return l.pick(e.Source, "ファイアウォール"), e.Text
	case "port book":
		return l.pick(e.Source, "ポート台帳"), e.Text
	case "image":
		return l.pick(e.Source, "イメージ"), e.Text
	case "interface":
		return l.pick(e.Source, "インターフェース"), e.Text
	case "policy":
		return l.pick(e.Source, "ポリシー"), e.Text
	case "ports":
		return l.pick(e.Source, "ポート"), e.Text
	case "rules":
		return l.pick(e.Source, "ルール"), e.Text
	case "scan":
		return l.pick(e.Source, "スキャン"), e.Text
	case "sources":
		return l.pick(e.Source, "送信元"), e.Text
	case "answer":
		return l.pick(e.Source, "応答"), e.Text
	}
	return e.Source, e.Text
}

// hiddenWords says why a program is not named, from the code of a [monban.Hidden].
func hiddenWords(l Lang, code string) string {
	switch code {
	case monban.HiddenPrivilege.String():
		return l.pick("not shown without privilege", "権限がないと見えません")
	case monban.HiddenNamespace.String():
		return l.pick("outside this process namespace", "このプロセス名前空間の外にあります")
	case monban.HiddenKernel.String():
		return l.pick("the kernel itself", "カーネル自身です")
	case monban.HiddenGone.String():
		return l.pick("ended meanwhile", "調べている間に終了しました")
	}
	return code
}

// fixesText writes what can be done, one line each, the command apart so that it
// can be copied.
func (v *view) fixesText(p *printer, fixes []monban.Fix, indent string) {
	for _, f := range fixes {
		p.paragraph(span{green, indent + "→ "}, v.fixSentence(f))
		if len(f.Command) > 0 {
			p.line(span{plain, indent + "    "}, span{bold, shellLine(f.Command)})
		}
	}
}

func severityTag(l Lang, s monban.Severity) span {
	switch s {
	case monban.Critical:
		return span{red, l.pick("critical  ", "緊急  ")}
	case monban.High:
		return span{red, l.pick("high      ", "高    ")}
	case monban.Medium:
		return span{yellow, l.pick("medium    ", "中    ")}
	case monban.Low:
		return span{plain, l.pick("low       ", "低    ")}
	default:
		return span{dim, l.pick("info      ", "情報  ")}
	}
}

// shellLine quotes a command for a POSIX shell, only where it must.
func shellLine(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if a != "" && strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:@,%") == "" {
			out[i] = a
			continue
		}
		out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}

// who names the program behind a door in one phrase.
func (v *view) who(d *monban.Door) string {
	l := v.style.Lang
	if c := v.Snapshot.Container(d.To.Container); c != nil {
		return l.say("container %s (%s)", "コンテナ %s (%s)", containerName(c), c.Image)
	}
	if len(d.Owners) == 0 {
		return v.unnamedLong(d)
	}
	o := &d.Owners[0]
	text := l.say("%s (pid %d", "%s(pid %d", o.Name, o.PID)
	if o.Unit != "" {
		text += l.pick(", unit ", "、ユニット ") + o.Unit
	}
	if c := v.Snapshot.Container(o.Container); c != nil && c.Name != "" {
		text += l.pick(", container ", "、コンテナ ") + c.Name
	}
	if o.User != "" && o.Unit == "" {
		text += l.pick(", user ", "、ユーザー ") + o.User
	}
	return text + l.pick(")", ")")
}

// unnamedLong is [view.unnamed] as a phrase inside a sentence.
func (v *view) unnamedLong(d *monban.Door) string {
	l := v.style.Lang
	if d.State == monban.Forwarded {
		if d.Kernel != "" {
			return l.say("a forwarding rule (%s)", "転送ルール(%s)", d.Kernel)
		}
		return l.pick("a forwarding rule", "転送ルール")
	}
	switch d.Unnamed {
	case monban.HiddenPrivilege:
		if v.asRoot() || v.own(d) {
			return l.pick("a protected program", "保護されたプログラム")
		}
		if v.Snapshot.Host.OS == "windows" {
			return l.pick("a program that only an administrator may look at", "管理者だけが確認できるプログラム")
		}
		return l.say("a program of another user (%s)", "別のユーザー(%s)のプログラム", v.uidName(d))
	case monban.HiddenNamespace:
		return l.pick("a program outside this process namespace", "このプロセス名前空間の外のプログラム")
	case monban.HiddenKernel:
		if d.Kernel != "" {
			return l.say("the kernel itself (%s)", "カーネル自身(%s)", d.Kernel)
		}
		return l.pick("the kernel itself", "カーネル自身")
	case monban.HiddenGone:
		return l.pick("a program that has just ended", "直前に終了したプログラム")
	default:
		return l.pick("a program that could not be seen", "確認できないプログラム")
	}
}

// place is "127.0.0.1:5173" or "*:80".
func place(b monban.Bind) string {
	if !b.Addr.IsValid() {
		return fmt.Sprintf(":%d", b.Port.Num)
	}
	text := fmt.Sprintf("%s:%d", hostText(b.Addr), b.Port.Num)
	if b.Device != "" {
		text += "%" + b.Device
	}
	return text
}
