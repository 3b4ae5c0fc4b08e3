package report

import (
	"fmt"
	"net/netip"
	"slices"
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
		s.Command = maskArgs(s.Command)
	}
	f.Refused = slices.Clone(f.Refused)
	for i := range f.Refused {
		r := &f.Refused[i]
		r.Door, r.Output = m.doors([]monban.Door{r.Door})[0], maskOutput(r.Output)
		r.Fix = maskFixes(r.Fix)
	}
	f.Bind = slices.Clone(f.Bind)
	for i := range f.Bind {
		f.Bind[i] = m.judgement(f.Bind[i])
	}
	f.Fix = maskFixes(f.Fix)
	return f
}

// maskOutput masks what a program wrote, which may quote command lines.
func maskOutput(output string) string {
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		lines[i] = maskLine(line)
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
		w.Bind = append(w.Bind, bindWire{j.Bind.Port.Proto, addrText(j.Bind), j.Outcome, j.Errno, j.Cause, j.Also, v.fixes(j.Fix)})
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
			p.paragraph(span{yellow, pad("", 14)}, p.f("This also closes %s.", "同時に %s も閉じます。", doorList(p.lang, s.Also)))
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
