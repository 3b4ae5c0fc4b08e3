package report

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// Move is what became of one `monban move` command.
type Move struct {
	Action  string // "ssh", "confirm", "rollback", "status"
	Outcome MoveOutcome
	// Old and New are the ports; 0 is not known.
	Old, New uint16
	// Proposed: monban has chosen New.
	Proposed bool
	// Way is who listens: "sshd", "socket" or "generator", and Unit its unit.
	Way, Unit string
	Steps     []MoveStep
	Refused   []MoveReason
	Notes     []MoveReason
	// Left is what is left of a trial.
	Left time.Duration
	// Client is the command that comes in by the new port.
	Client string
	// PlanShown: the plan is on the screen already.
	PlanShown bool
}

// MoveOutcome is the machine code of what was done.
type MoveOutcome string

// The outcomes.
const (
	MovePlanned    MoveOutcome = "planned"     // --dry-run: nothing was done
	MoveRefused    MoveOutcome = "refused"     // nothing was done
	MoveDeclined   MoveOutcome = "declined"    // the user said no
	MoveFailed     MoveOutcome = "failed"      // a step failed, and everything is as it was
	MoveStuck      MoveOutcome = "stuck"       // a step failed, and so did putting it back
	MoveOnTrial    MoveOutcome = "on-trial"    // both ports are open, for Left
	MoveConfirmed  MoveOutcome = "confirmed"   // only the new port is open
	MoveRolledBack MoveOutcome = "rolled-back" // everything is as it was
	MoveNone       MoveOutcome = "none"        // no move has begun
	MoveOver       MoveOutcome = "over"        // a trial's time is over, and it has not been put back
	MoveClosing    MoveOutcome = "closing"     // confirmed, and broken off before the old port was closed
)

// MoveStep is one step of a move.
type MoveStep struct {
	Code    string
	Args    []string
	Command []string
	// Closing: after the confirmation.
	Closing bool
}

// MoveReason is a machine code with what it is about.
type MoveReason struct {
	Code string
	Args []string
}

func (m Move) hideSecrets(masker) Data {
	for _, list := range [...]*[]MoveReason{&m.Refused, &m.Notes} {
		out := make([]MoveReason, len(*list))
		for i, r := range *list {
			out[i] = MoveReason{r.Code, maskTexts(r.Args)}
		}
		*list = out
	}
	steps := make([]MoveStep, len(m.Steps))
	for i, s := range m.Steps {
		s.Args, s.Command = maskTexts(s.Args), maskArgs(s.Command)
		steps[i] = s
	}
	m.Steps = steps
	return m
}

func maskTexts(list []string) []string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = maskText(text)
	}
	return out
}

type moveWire struct {
	Action   string           `json:"action"`
	Outcome  MoveOutcome      `json:"outcome"`
	Old      int              `json:"old_port"`
	New      int              `json:"new_port"`
	Proposed bool             `json:"proposed"`
	Way      string           `json:"way"`
	Unit     string           `json:"unit"`
	Steps    []moveStepWire   `json:"steps"`
	Refused  []moveReasonWire `json:"refused"`
	Notes    []moveReasonWire `json:"notes"`
	Left     float64          `json:"trial_seconds"`
	Client   string           `json:"client"`
}

type moveStepWire struct {
	Step    string   `json:"step"`
	Text    string   `json:"text"`
	Command []string `json:"command"`
	Closing bool     `json:"closing"`
}

type moveReasonWire struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
}

func (m Move) wire(v *view) any {
	l := v.style.Lang
	out := moveWire{Action: m.Action, Outcome: m.Outcome, Old: int(m.Old), New: int(m.New), Proposed: m.Proposed, Way: m.Way, Unit: m.Unit,
		Steps: []moveStepWire{}, Refused: []moveReasonWire{}, Notes: []moveReasonWire{}, Left: m.Left.Seconds(), Client: m.Client}
	for _, s := range m.Steps {
		out.Steps = append(out.Steps, moveStepWire{s.Code, l.moveStep(s), nonNil(s.Command), s.Closing})
	}
	for _, r := range m.Refused {
		out.Refused = append(out.Refused, moveReasonWire{r.Code, l.moveRefusal(r)})
	}
	for _, n := range m.Notes {
		out.Notes = append(out.Notes, moveReasonWire{n.Code, l.moveNote(n)})
	}
	return out
}

func (m Move) text(p *printer, v *view) {
	if !m.PlanShown {
		m.plan(p)
	}
	for _, r := range m.Refused {
		lead := p.f("refused  ", "中止  ")
		if m.Outcome == MoveFailed || m.Outcome == MoveStuck {
			lead = p.f("failed  ", "失敗  ")
		}
		p.paragraph(span{red, lead}, p.lang.moveRefusal(r))
	}
	if text := m.outcome(p.lang); text != "" {
		style := plain
		switch m.Outcome {
		case MoveOnTrial, MoveRefused, MoveDeclined, MoveFailed, MoveOver, MoveClosing:
			style = yellow
		case MoveStuck:
			style = red
		case MoveConfirmed:
			style = green
		}
		for line := range strings.Lines(text) {
			p.styledParagraph(span{}, style, strings.TrimSuffix(line, "\n"))
		}
	}
	for _, n := range m.Notes {
		p.paragraph(span{dim, p.f("note  ", "注意  ")}, p.lang.moveNote(n))
	}
	v.gapsText(p)
}

// plan writes every step, the ones after the confirmation apart.
func (m Move) plan(p *printer) {
	if len(m.Steps) == 0 {
		return
	}
	head := p.f("Move SSH from port %d to port %d", "SSH をポート %d からポート %d へ移します", m.Old, m.New)
	if m.Proposed {
		head += p.f(" (chosen by monban)", "(monban が選んだポート)")
	}
	p.line(span{bold, head})
	closing := false
	for i, s := range m.Steps {
		if s.Closing && !closing {
			closing = true
			p.line(span{dim, p.f("  and once you have come in by port %d:", "  ポート %d から入れることを確かめた後:", m.New)})
		}
		p.paragraph(span{plain, pad(strconv.Itoa(i+1)+".", 3) + " "}, p.lang.moveStep(s))
		if len(s.Command) > 0 {
			p.line(span{cyan, "       " + shellLine(s.Command)})
		}
	}
	p.blank()
}

// WriteMovePlan shows the plan to whoever is about to be asked.
func WriteMovePlan(w io.Writer, r Result, s Style) error {
	m := r.Data.(Move)
	m.Outcome, m.Notes = "", nil
	r.Data = m
	return Write(w, r, s)
}
