package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Guard is what became of one `monban guard` command.
type Guard struct {
	Action  string // the verb: "plan", "apply", …
	Outcome GuardOutcome
	File    string // the policy file
	Named   bool   // the command line named it
	Policy  *monban.Policy
	// Changes are whom the policy lets in or keeps out, other than now.
	Changes []GuardChange
	// Differences are rules that the kernel has and the policy does not want, or
	// the other way round.
	Differences []GuardDifference
	Refused     []GuardRefusal
	Notes       []GuardNote
	State       GuardState
	// Native are commands for another system's firewall, for System (a GOOS).
	Native []string
	System string
	// Text is the policy file that was made or changed.
	Text string
	// PlanShown: the plan is on the screen already.
	PlanShown bool
}

// GuardOutcome is the machine code of what was done.
type GuardOutcome string

// The outcomes.
const (
	GuardSame       GuardOutcome = "same"        // the policy is in force
	GuardDiffers    GuardOutcome = "differs"     // it is not
	GuardUnknown    GuardOutcome = "unknown"     // the kernel could not be asked
	GuardRefused    GuardOutcome = "refused"     // nothing was done
	GuardDeclined   GuardOutcome = "declined"    // the user said no
	GuardOnTrial    GuardOutcome = "on-trial"    // until confirmed, for State.Left
	GuardConfirmed  GuardOutcome = "confirmed"   // in force and saved
	GuardUnsaved    GuardOutcome = "unsaved"     // in force, but not saved
	GuardLeft       GuardOutcome = "left"        // out of force, but not gone from disk
	GuardLoaded     GuardOutcome = "loaded"      // the saved policy was put in force
	GuardRolledBack GuardOutcome = "rolled-back" // what was before is in force
	GuardOff        GuardOutcome = "off"         // no rule of monban's is left
	GuardImported   GuardOutcome = "imported"    // Text was made
	GuardEdited     GuardOutcome = "edited"      // the file was changed
	GuardNoPolicy   GuardOutcome = "no-policy"   // nothing was ever confirmed
)

// GuardState is what is in force.
type GuardState struct {
	Table bool          // the table inet monban is there
	Saved bool          // a policy was confirmed and saved
	At    time.Time     // when
	Left  time.Duration // of a trial; 0 is none
	Boot  bool          // the saved policy is loaded at boot
	// Manager starts services here: "systemd", "openrc" or "".
	Manager string
	// Beside are other firewalls in charge: "ufw", "firewalld".
	Beside []string
}

// GuardChange is what changes at some ports.
type GuardChange struct {
	Ports          monban.PortRange
	Protocol       monban.IPProto // 0 where it is about Ports
	Gain, Lose     []monban.AddrRange
	GainBy, LoseBy []string // interfaces
	Device         string   // the interface that it is about; "" is every one
	// AllLose: of those who come in now, nobody will. AllGain: from nobody to
	// everybody.
	AllLose, AllGain bool
	// Doors are open at the ports now.
	Doors []monban.Door
}

// GuardDifference is one rule in nft's words.
type GuardDifference struct {
	Missing bool
	Line    string
}

// GuardRefusal is a reason why a policy is not put in force.
type GuardRefusal struct {
	Reason string // "cuts-session", "last-administrator", "trial", "same-session", "untrusted", …
	Args   []string
}

// GuardNote is something worth knowing.
type GuardNote struct {
	Code string
	Args []string
	// Commands are what to run, each as its words.
	Commands [][]string
}

func (g Guard) hideSecrets(m masker) Data {
	changes := make([]GuardChange, len(g.Changes))
	for i, c := range g.Changes {
		c.Doors = m.doors(c.Doors)
		changes[i] = c
	}
	g.Changes = changes
	if g.Policy != nil {
		p := monban.Policy{Doors: make([]monban.PolicyDoor, len(g.Policy.Doors))}
		for i, d := range g.Policy.Doors {
			d.For = maskText(d.For)
			p.Doors[i] = d
		}
		g.Policy = &p
	}
	return g
}

type guardWire struct {
	Action      string                `json:"action"`
	Outcome     GuardOutcome          `json:"outcome"`
	File        string                `json:"file"`
	State       guardStateWire        `json:"state"`
	Doors       []policyDoorWire      `json:"doors"`
	Changes     []guardChangeWire     `json:"changes"`
	Differences []guardDifferenceWire `json:"differences"`
	Refused     []guardReasonWire     `json:"refused"`
	Notes       []guardNoteWire       `json:"notes"`
	Native      []string              `json:"native"`
	Text        string                `json:"text"`
}

type guardStateWire struct {
	Table   bool      `json:"table"`
	Saved   bool      `json:"saved"`
	At      time.Time `json:"at,omitzero"`
	Left    float64   `json:"trial_seconds"`
	Boot    bool      `json:"boot"`
	Manager string    `json:"manager"`
	Beside  []string  `json:"beside"`
}

type policyDoorWire struct {
	Port  string    `json:"port"`
	Proto string    `json:"protocol"`
	To    []string  `json:"to"`
	Addrs []string  `json:"addresses"`
	Limit string    `json:"limit"`
	Until time.Time `json:"until,omitzero"`
	For   string    `json:"for"`
	Line  int       `json:"line"`
}

type guardChangeWire struct {
	Ports  string   `json:"ports"`
	Proto  string   `json:"protocol"`
	Device string   `json:"device"`
	Gain   []string `json:"gain"`
	Lose   []string `json:"lose"`
	Who    []string `json:"programs"`
}

type guardDifferenceWire struct {
	Missing bool   `json:"missing"`
	Rule    string `json:"rule"`
}

type guardReasonWire struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
}

type guardNoteWire struct {
	guardReasonWire
	Commands [][]string `json:"commands"`
}

func (g Guard) wire(v *view) any {
	s := g.State
	out := guardWire{Action: g.Action, Outcome: g.Outcome, File: g.File, Native: nonNil(g.Native), Text: g.Text,
		State: guardStateWire{Table: s.Table, Saved: s.Saved, Left: s.Left.Seconds(), Boot: s.Boot, Manager: s.Manager, Beside: nonNil(s.Beside), At: s.At},
		Doors: []policyDoorWire{}, Changes: []guardChangeWire{}, Differences: []guardDifferenceWire{}, Refused: []guardReasonWire{}, Notes: []guardNoteWire{}}
	if g.Policy != nil {
		for _, d := range g.Policy.Doors {
			port, proto := about(d.Ports, d.Protocol)
			w := policyDoorWire{Port: port, Proto: proto, To: []string{}, Addrs: []string{}, Limit: d.Limit.String(), Until: d.Until, For: d.For, Line: d.Pos.Line}
			for _, a := range d.To {
				w.To = append(w.To, a.String())
				if a.Kind == monban.ByName || a.Kind == monban.ThisNetwork {
					w.Addrs = append(w.Addrs, rangeTexts(a.Ranges)...)
				}
			}
			out.Doors = append(out.Doors, w)
		}
	}
	for _, c := range g.Changes {
		port, proto := about(c.Ports, c.Protocol)
		w := guardChangeWire{Ports: port, Proto: proto, Device: c.Device, Gain: append(rangeTexts(c.Gain), devices(c.GainBy)...), Lose: append(rangeTexts(c.Lose), devices(c.LoseBy)...), Who: []string{}}
		for i := range c.Doors {
			w.Who = append(w.Who, v.who(&c.Doors[i]))
		}
		out.Changes = append(out.Changes, w)
	}
	for _, d := range g.Differences {
		out.Differences = append(out.Differences, guardDifferenceWire{d.Missing, d.Line})
	}
	for _, r := range g.Refused {
		out.Refused = append(out.Refused, guardReasonWire{r.Reason, v.guardRefusal(g, r)})
	}
	for _, n := range g.Notes {
		out.Notes = append(out.Notes, guardNoteWire{guardReasonWire{n.Code, v.guardNote(n)}, nonNil(n.Commands)})
	}
	return out
}

// about returns the ports or the protocol that an entry is about, and "" for the
// other.
func about(ports monban.PortRange, p monban.IPProto) (port, proto string) {
	if p != 0 {
		return "", p.String()
	}
	return ports.String(), ""
}

func rangeTexts(ranges []monban.AddrRange) []string {
	out := []string{}
	for _, r := range ranges {
		out = append(out, r.String())
	}
	return out
}

func devices(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, "if:"+n)
	}
	return out
}

func (g Guard) text(p *printer, v *view) {
	if g.Action == "import" && g.File == "" {
		p.w.WriteString(safeLines(g.Text))
		return
	}
	if !g.PlanShown {
		g.plan(p, v)
	}
	for _, r := range g.Refused {
		p.paragraph(span{red, p.f("refused  ", "中止  ")}, v.guardRefusal(g, r))
	}
	if text := v.guardOutcome(g); text != "" {
		style := plain
		switch g.Outcome {
		case GuardOnTrial, GuardRefused, GuardDeclined, GuardUnsaved, GuardLeft:
			style = yellow
		case GuardConfirmed, GuardSame:
			style = green
		}
		for line := range strings.Lines(text) {
			p.styledParagraph(span{}, style, strings.TrimSuffix(line, "\n"))
		}
	}
	for _, n := range g.Notes {
		if n.Code == "trial-running" && g.Outcome == GuardNoPolicy {
			continue // that has been said
		}
		p.paragraph(span{dim, p.f("note  ", "注意  ")}, v.guardNote(n))
		for _, c := range n.Commands {
			p.line(span{bold, "        " + shellLine(c)})
		}
	}
	if g.Action == "plan" || g.Action == "status" {
		v.gapsText(p)
	}
}

// plan writes what a policy says and what it changes.
func (g Guard) plan(p *printer, v *view) {
	if g.Policy != nil && (g.Action == "plan" || g.Action == "apply" || g.Action == "status") {
		g.table(p)
		p.blank()
	}
	if len(g.Native) > 0 {
		p.paragraph(span{}, p.f("What to tell this system's own firewall:", "このシステムのファイアウォールに設定する内容:"))
		for _, line := range g.Native {
			p.line(span{plain, "  " + line})
		}
		p.blank()
	}
	if len(g.Changes) > 0 {
		p.line(span{bold, p.f("What changes", "変わること")})
		for _, c := range g.Changes {
			g.change(p, v, c)
		}
		p.blank()
	}
	if len(g.Differences) > 0 && v.style.Verbose {
		p.line(span{bold, p.f("Rules", "ルール")})
		for _, d := range g.Differences {
			if d.Missing {
				p.line(span{green, "  + " + d.Line})
			} else {
				p.line(span{red, "  - " + d.Line})
			}
		}
		p.blank()
	}
}

func (g Guard) table(p *printer) {
	n := len(g.Policy.Doors)
	p.paragraph(span{}, p.f(plural(n, "%[2]s: %[1]d entry; every other door is closed.", "%[2]s: %[1]d entries; every other door is closed."),
		"%[2]s: %[1]d 件。ここにないドアはすべて閉じます。", n, g.File))
	if n == 0 {
		return
	}
	p.blank()
	cols := []column{
		{title: p.f("PORT", "ポート")},
		{title: p.f("WHO MAY COME IN", "入れる相手"), min: 16},
		{title: p.f("FOR", "用途"), min: 8, rank: 1},
	}
	var rows group
	for _, d := range g.Policy.Doors {
		port, proto := about(d.Ports, d.Protocol)
		who := p.audience(d)
		if all := p.joined(who); p.width <= 0 || cells(all) <= p.width/2 {
			who = []string{all}
		}
		// On a narrow terminal each has a line, so that none of them is cut off.
		for i, one := range who {
			if i > 0 {
				rows.rows = append(rows.rows, []cell{{}, {plain, one}, {}})
				continue
			}
			rows.rows = append(rows.rows, []cell{{bold, port + proto}, {plain, one}, {plain, orDash(d.For)}})
		}
	}
	p.table(cols, []group{rows})
}

// joined is what audience says, in one line.
func (p *printer) joined(audience []string) string { return strings.Join(audience, p.f("; ", "。")) }

// audience says who comes in by an entry, and under what conditions: the most
// important word of each first.
func (p *printer) audience(d monban.PolicyDoor) (out []string) {
	var list []string
	for _, a := range d.To {
		switch a.Kind {
		case monban.Anybody:
			list = append(list, p.f("everybody", "誰でも"))
		case monban.ThisMachine:
			list = append(list, p.f("this machine only", "このマシンだけ"))
		case monban.ThisNetwork:
			text := p.f("this network", "このネットワーク")
			if len(a.Ranges) > 0 {
				text += p.f(" (%s)", "(%s)", strings.Join(rangeTexts(a.Ranges), ", "))
			}
			list = append(list, text)
		case monban.ByName:
			list = append(list, fmt.Sprintf("%s (%s)", a.Name, strings.Join(rangeTexts(a.Ranges), ", ")))
		case monban.ByInterface:
			list = append(list, p.f("whoever comes by %s", "%s から来る相手", a.Name))
		default:
			list = append(list, a.String())
		}
	}
	if p.width > 0 && cells(strings.Join(list, ", ")) > p.width/2 {
		out = list
	} else {
		out = []string{strings.Join(list, ", ")}
	}
	if d.Limit.N > 0 {
		out = append(out, p.f("at most %s from each source", "送信元ごとに %s まで", d.Limit))
	}
	if !d.Until.IsZero() {
		out = append(out, p.f("until %s", "%s まで", d.Until.Local().Format("2006-01-02 15:04 MST")))
	}
	return out
}

// change writes what changes at some ports: one line for those who gain, one for
// those who lose.
func (g Guard) change(p *printer, v *view, c GuardChange) {
	who := ""
	if len(c.Doors) > 0 {
		var names []string
		for i := range c.Doors {
			if name := v.who(&c.Doors[i]); len(names) == 0 || names[len(names)-1] != name {
				names = append(names, name)
			}
		}
		who = " (" + strings.Join(names, ", ") + ")"
	}
	ports, proto := about(c.Ports, c.Protocol)
	port := ports + proto + who
	if c.Device != "" {
		port += p.f(" by %s", " %s から", c.Device)
	}
	if len(c.Gain)+len(c.GainBy) > 0 {
		text := strings.Join(append(rangeTexts(c.Gain), devices(c.GainBy)...), ", ")
		switch {
		case c.AllGain:
			text = p.f("everybody may come in", "誰でも入れるようになります")
		default:
			text = p.f("may come in from now on: %s", "新たに入れる相手: %s", text)
		}
		p.paragraph(span{green, "  + " + port + "  "}, text)
	}
	if len(c.Lose)+len(c.LoseBy) > 0 {
		text := strings.Join(append(rangeTexts(c.Lose), devices(c.LoseBy)...), ", ")
		switch {
		case c.AllLose:
			text = p.f("closed to everybody outside this machine", "このマシンの外からは入れなくなります")
		case len(c.Lose) > 8:
			text = p.f("closed to all but those listed above", "上の一覧にある相手以外は入れなくなります")
		default:
			text = p.f("no longer: %s", "入れなくなる相手: %s", text)
		}
		p.paragraph(span{red, "  - " + port + "  "}, text)
	}
}
