package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// FreeOutcome is what came of making a door free.
type FreeOutcome string

// The outcomes.
const (
	FreePlanned  FreeOutcome = "planned"  // this is what would be done
	FreeFreed    FreeOutcome = "freed"    // the door is free and stayed so
	FreeNobody   FreeOutcome = "nobody"   // nobody had it
	FreeChoose   FreeOutcome = "choose"   // several programs have the number: which?
	FreeRefused  FreeOutcome = "refused"  // it will not be done, and nothing was
	FreeFailed   FreeOutcome = "failed"   // it was tried
	FreeDeclined FreeOutcome = "declined" // the user said no
)

// The reasons of FreeFailed and FreeRefused that are not about one holder.
const (
	FreeStillOpen   = "still-open"  // the holder did not let go
	FreeCameBack    = "came-back"   // a supervisor started it again
	FreeTaken       = "taken"       // another program took the door at once
	FreeChanged     = "changed"     // another program than the one that was shown
	FreeBlind       = "blind"       // not every socket could be seen
	FreeInterrupted = "interrupted" // it was broken off
)

// Free is the answer to `monban free`: the plan, and what came of it.
type Free struct {
	Port    monban.Port
	Addr    netip.Addr // the zero Addr is every address
	Outcome FreeOutcome
	Reason  string
	// Programs are the doors that are asked about, by the program behind them.
	Programs [][]monban.Door
	// Choices are the command lines that narrow the question to one of Programs.
	Choices [][]string
	Steps   []FreeStep
	Refused []FreeRefusal
	// Again is the command line with more privilege; nil if that would not help.
	Again []string
	// Left are the doors in the way at the end, and Others those of the same
	// number that were not asked about.
	Left, Others []monban.Door
	// Watched is for how long the door was seen to stay free.
	Watched time.Duration
	// Bind are judgements about opening the door now that it is free; only those
	// that fail are shown.
	Bind []monban.Judgement
	Fix  []monban.Fix
	// PlanShown leaves the plan out of the text, for it was shown before.
	PlanShown bool
}

// FreeStep is one thing to be done or done. The codes are those of package free.
type FreeStep struct {
	Action, Name, Supervisor string
	Command                  []string
	Processes                []monban.Owner
	Grace                    time.Duration
	Session                  bool
	Also                     []monban.Door

	Done   bool
	Sent   []FreeSignal
	Output string
	Err    string
}

// FreeSignal is a signal that was sent.
type FreeSignal struct {
	PID    int    `json:"pid"`
	Name   string `json:"name"`
	Signal string `json:"signal"`
}

// FreeRefusal is why nothing is done. The codes are those of package free.
type FreeRefusal struct {
	Reason string
	Door   monban.Door
	Name   string
	PID    int
	User   string
	Output string
	Fix    []monban.Fix
}

func (f Free) hideSecrets(m masker) Data {
	f.Programs = slices.Clone(f.Programs)
	for i := range f.Programs {
		f.Programs[i] = m.doors(f.Programs[i])
	}
	f.Left, f.Others = m.doors(f.Left), m.doors(f.Others)
	f.Steps = slices.Clone(f.Steps)
	for i := range f.Steps {
		s := &f.Steps[i]
		s.Processes, s.Also = m.owners(s.Processes), m.doors(s.Also)
		s.Output, s.Err = maskOutput(s.Output), maskText(s.Err)
	}
	f.Refused = slices.Clone(f.Refused)
	for i := range f.Refused {
		r := &f.Refused[i]
		r.Door, r.Output = m.doors([]monban.Door{r.Door})[0], maskOutput(r.Output)
	}
	f.Bind = slices.Clone(f.Bind)
	for i := range f.Bind {
		f.Bind[i].Against = m.doors(f.Bind[i].Against)
	}
	return f
}

// maskOutput masks what a program wrote, which may quote command lines.
func maskOutput(output string) string {
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(maskArgs(strings.Split(maskText(line), " ")), " ")
	}
	return strings.Join(lines, "\n")
}

type freeWire struct {
	Proto   monban.Proto   `json:"proto"`
	Address string         `json:"address"`
	Port    uint16         `json:"port"`
	Outcome FreeOutcome    `json:"outcome"`
	Reason  string         `json:"reason"`
	Why     string         `json:"why"`
	Doors   []doorWire     `json:"doors"`
	Choices []choiceWire   `json:"choices"`
	Steps   []freeStepWire `json:"steps"`
	Refused []refusalWire  `json:"refused"`
	Left    []doorWire     `json:"left"`
	Others  []doorWire     `json:"others"`
	Watched float64        `json:"watched_seconds"`
	Bind    []bindWire     `json:"bind"`
	Fix     []fixWire      `json:"fix"`
}

type choiceWire struct {
	Doors   []doorWire `json:"doors"`
	Command []string   `json:"command"`
}

type freeStepWire struct {
	Action     string       `json:"action"`
	Name       string       `json:"name"`
	Supervisor string       `json:"supervisor"`
	Command    []string     `json:"command"`
	Processes  []ownerWire  `json:"processes"`
	Grace      float64      `json:"grace_seconds"`
	Also       []doorWire   `json:"also"`
	Text       string       `json:"text"`
	Done       bool         `json:"done"`
	Signals    []FreeSignal `json:"signals"`
	Output     string       `json:"output"`
	Error      string       `json:"error"`
}

type refusalWire struct {
	Reason string    `json:"reason"`
	PID    int       `json:"pid"`
	Name   string    `json:"name"`
	Why    string    `json:"why"`
	Output string    `json:"output"`
	Fix    []fixWire `json:"fix"`
}

func (f Free) wire(v *view) any {
	w := freeWire{
		Proto: f.Port.Proto, Port: f.Port.Num, Outcome: f.Outcome, Reason: f.Reason, Why: f.sentence(v),
		Doors: []doorWire{}, Choices: []choiceWire{}, Steps: []freeStepWire{}, Refused: []refusalWire{},
		Left: v.doors(f.Left), Others: v.doors(f.Others), Watched: f.Watched.Seconds(), Bind: []bindWire{},
		Fix: v.fixes(f.allFixes()),
	}
	if f.Addr.IsValid() {
		w.Address = f.Addr.String()
	}
	for i, doors := range f.Programs {
		w.Doors = append(w.Doors, v.doors(doors)...)
		if i < len(f.Choices) {
			w.Choices = append(w.Choices, choiceWire{v.doors(doors), f.Choices[i]})
		}
	}
	for i := range f.Steps {
		s := &f.Steps[i]
		w.Steps = append(w.Steps, freeStepWire{
			Action: s.Action, Name: s.Name, Supervisor: s.Supervisor, Command: nonNil(s.Command), Processes: v.owners(s.Processes),
			Grace: s.Grace.Seconds(), Also: v.doors(s.Also), Text: v.stepSentence(s), Done: s.Done, Signals: nonNil(s.Sent),
			Output: s.Output, Error: s.Err,
		})
	}
	for i := range f.Refused {
		r := &f.Refused[i]
		w.Refused = append(w.Refused, refusalWire{r.Reason, r.PID, r.Name, v.refusalSentence(r), r.Output, v.fixes(r.Fix)})
	}
	for _, j := range f.Bind {
		w.Bind = append(w.Bind, bindWire{j.Bind.Port.Proto, addrText(j.Bind), j.Outcome, j.Errno, j.Cause, v.fixes(j.Fix)})
	}
	return w
}

// allFixes are what to do, with the command line that has more privilege first.
func (f Free) allFixes() []monban.Fix {
	if f.Again == nil {
		return f.Fix
	}
	return append([]monban.Fix{{Code: "free-as-root", Command: f.Again}}, f.Fix...)
}

func (f Free) text(p *printer, v *view) {
	if !f.PlanShown {
		f.planText(p, v)
	}
	f.outcomeText(p, v)
	if f.Outcome != FreePlanned || len(f.Steps) == 0 {
		v.gapsText(p)
	}
}

// door is what is asked about, "8080/tcp" or "[::1]:8080/tcp".
func (f Free) door() string {
	if !f.Addr.IsValid() {
		return f.Port.String()
	}
	return place(monban.Bind{Port: f.Port, Addr: f.Addr}) + "/" + f.Port.Proto.String()
}

// planText shows who has the door and what would be done.
func (f Free) planText(p *printer, v *view) {
	lead := p.label("Held by", "持ち主")
	for i, doors := range f.Programs {
		if len(f.Programs) > 1 {
			lead = span{bold, pad(fmt.Sprintf("%d", i+1), 14)}
		}
		for _, e := range entries(doors) {
			d := e.first()
			p.paragraph(lead, d.Bind.Port.String()+" "+v.addressCell(e)+"  "+v.who(d)+v.stateNote(d))
			lead = p.label("", "")
			v.ownerText(p, d)
		}
	}
	lead = p.label("Plan", "実行内容")
	for i := range f.Steps {
		s := &f.Steps[i]
		p.paragraph(lead, v.stepSentence(s))
		if len(s.Command) > 0 {
			p.line(span{plain, pad("", 16)}, span{bold, shellLine(s.Command)})
		}
		if len(s.Also) > 0 {
			p.paragraph(span{yellow, pad("", 14)}, p.f("This also closes %s.", "同時に %s も閉じます。", doorList(s.Also)))
		}
		lead = p.label("", "")
	}
}

// outcomeText says what came of it, why, and what to do.
func (f Free) outcomeText(p *printer, v *view) {
	for i := range f.Steps {
		v.stepDoneText(p, &f.Steps[i])
	}
	if f.Outcome == FreePlanned {
		if len(f.Steps) > 0 {
			p.paragraph(span{}, p.f("Nothing was done.", "まだ何も実行していません。"))
		}
		return
	}
	lead := p.label("Result", "結果")
	switch f.Outcome {
	case FreeFreed, FreeNobody:
		lead.style = green
	case FreeFailed, FreeRefused:
		lead.style = red
	}
	p.paragraph(lead, f.sentence(v))
	for i := range f.Refused {
		r := &f.Refused[i]
		p.paragraph(p.label("", ""), v.refusalSentence(r))
		v.outputText(p, r.Output)
		v.fixesText(p, r.Fix, pad("", 14))
	}
	if f.Outcome == FreeFailed {
		for _, e := range entries(f.Left) {
			d := e.first()
			p.paragraph(p.label("", ""), p.f("open now: %s  %s", "いま開いているもの: %s  %s", v.addressCell(e), v.who(d)))
		}
	}
	v.fixesText(p, f.allFixes(), pad("", 14))
	f.choicesText(p)
	f.notesText(p, v)
}

func (f Free) choicesText(p *printer) {
	for i, command := range f.Choices {
		p.line(span{plain, pad("", 14)}, span{plain, fmt.Sprintf("%d  ", i+1)}, span{bold, shellLine(command)})
	}
}

// notesText tells what could still keep a program from opening the door, and
// what else has the number.
func (f Free) notesText(p *printer, v *view) {
	lead := p.label("Note", "注意")
	said := make(map[string]bool)
	for _, j := range f.Bind {
		if j.Outcome != monban.Fails || said[j.Cause] {
			continue
		}
		said[j.Cause] = true
		title, why, _ := causeText(j.Cause, p.lang)
		p.paragraph(lead, p.f("opening %s may still fail with %s (%s, %s)", "%s を開くと、まだ %s で失敗することがあります(%s: %s)",
			place(j.Bind), j.Errno, j.Cause, fillPort(title, f.Port.Num)))
		p.styledParagraph(span{plain, pad("", 14)}, dim, fillPort(why, f.Port.Num))
		v.fixesText(p, j.Fix, pad("", 14))
		lead = p.label("", "")
	}
	for _, e := range entries(f.Others) {
		d := e.first()
		p.paragraph(lead, p.f("%s %s is not touched: %s", "%s %s はそのままです: %s", d.Bind.Port, v.addressCell(e), v.who(d)))
		lead = p.label("", "")
	}
}

// stepDoneText tells what was really done in a step.
func (v *view) stepDoneText(p *printer, s *FreeStep) {
	if !s.Done {
		return
	}
	lead := p.label("Done", "実行結果")
	for _, sent := range s.Sent {
		p.paragraph(lead, p.f("%s to %s (pid %d)", "%s → %s(pid %d)", sent.Signal, sent.Name, sent.PID))
		lead = p.label("", "")
	}
	if len(s.Command) > 0 {
		p.line(lead, span{plain, shellLine(s.Command)})
		lead = p.label("", "")
	}
	if s.Err != "" {
		p.paragraph(span{red, lead.text}, s.Err)
		v.outputText(p, s.Output)
	} else if v.style.Verbose {
		v.outputText(p, s.Output)
	}
}

// outputText shows what a program said, line by line.
func (v *view) outputText(p *printer, output string) {
	for line := range strings.Lines(strings.TrimSpace(output)) {
		p.styledParagraph(span{dim, pad("", 14) + "| "}, dim, strings.TrimRight(line, "\r\n"))
	}
}

// stepSentence says what a step does.
func (v *view) stepSentence(s *FreeStep) string {
	l := v.style.Lang
	say := func(en, ja string, args ...any) string { return fmt.Sprintf(l.pick(en, ja), args...) }
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
	text += say(" What still holds the port after %s gets SIGKILL.", "%sたってもポートを持っていれば SIGKILL で終了させます。", v.seconds(s.Grace))
	if s.Session {
		text += say(" This ends the whole ssh connection, not only the forwarding.", "ポート転送だけでなく、ssh の接続全体が切れます。")
	}
	return text
}

func (v *view) seconds(d time.Duration) string {
	text := strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
	return text + v.style.Lang.pick(" s", " 秒")
}

// sentence says in one sentence what came of it.
func (f Free) sentence(v *view) string {
	l := v.style.Lang
	say := func(en, ja string, args ...any) string { return fmt.Sprintf(l.pick(en, ja), args...) }
	door := f.door()
	switch f.Outcome {
	case FreePlanned:
		return say("This is what would be done; nothing was.", "実行する内容です。まだ何も実行していません。")
	case FreeFreed:
		return say("%s is free. It was watched for %s and nobody opened it again.", "%s は空きました。%sの間、再び開かれないことを確認しました。", door, v.seconds(f.Watched))
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
		return say("%s was free for a moment, then the same program was started again.", "%s は一度空きましたが、同じプログラムがまた起動しました。", door)
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
	say := func(en, ja string, args ...any) string { return fmt.Sprintf(l.pick(en, ja), args...) }
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
	case "supervisor":
		return say("%s supervises it, but could not be asked.", "%s が管理していますが、問い合わせられませんでした。", who)
	}
	return r.Reason
}

// WritePlan shows who has a door and what would be done, and nothing else.
func WritePlan(w io.Writer, r Result, s Style) error {
	if !s.ShowSecrets {
		m := newMasker()
		r.Snapshot, r.Data = hideSecrets(r.Snapshot, m), r.Data.hideSecrets(m)
	}
	p := newPrinter(w, s)
	if f, ok := r.Data.(Free); ok {
		f.planText(p, &view{Result: r, style: s, shapes: make(map[*monban.Owner][]ownerWire)})
	}
	return p.w.Flush()
}

// WritePrompt asks something at the terminal.
func WritePrompt(w io.Writer, question string) error {
	_, err := io.WriteString(w, question)
	return err
}

// ConfirmFree asks at the terminal whether the plan is to be carried out.
func ConfirmFree(lang Lang) string { return lang.pick("Do this? [y/N] ", "実行しますか? [y/N] ") }

// ChooseFree asks at the terminal which of n programs is meant.
func ChooseFree(lang Lang, n int) string {
	return fmt.Sprintf(lang.pick("Which one? [1-%d, Enter for none] ", "どれですか? [1-%d、Enter で中止] "), n)
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
func BadGrace(value string, most time.Duration) error {
	return usageProblem("--grace %s: want 0s to %s", "--grace %s: 0s から %s までを指定してください", value, most)
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
