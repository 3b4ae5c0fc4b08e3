package report

import (
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// FixOutcome is what came of ending conflicts.
type FixOutcome string

// The outcomes.
const (
	FixPlanned  FixOutcome = "planned"  // this is what would be done
	FixNothing  FixOutcome = "nothing"  // there is no conflict
	FixDone     FixOutcome = "fixed"    // the files are changed
	FixUndone   FixOutcome = "undone"   // they are as they were before
	FixRefused  FixOutcome = "refused"  // no conflict can be ended by an edit
	FixFailed   FixOutcome = "failed"   // it was tried, and nothing is changed
	FixDeclined FixOutcome = "declined" // the user said no
)

// The reasons of FixFailed that are not a file's.
const (
	FixChanged  = "plan-changed" // something else than what was shown
	FixInTheWay = "in-the-way"   // the files are changed, and the new port is somebody else's by now
)

// Fix is the answer to `monban fix`: the plan, and what came of it.
type Fix struct {
	Undo    bool
	Outcome FixOutcome
	Reason  string // also a code of package edit
	// File is the file that a failure is about, and Err what the system said.
	File, Err string
	// Before are the claims as they were judged.
	Before []monban.Checked
	Moves  []FixMove
	Left   []FixLeft
	Files  []FixFile
	// Backup is the name of the record of what was changed, or is taken back, and
	// At when that was.
	Backup string
	At     time.Time
	// Released are the ports that are no longer kept, now that nobody moves there.
	Released []uint16
	// Unknown is how many claims could not be judged.
	Unknown int
	// PlanShown leaves the plan out of the text, for it was shown before.
	PlanShown bool
}

// FixMove is one program that goes to another port. The codes are those of
// package mend; numbers are indexes of Before.
type FixMove struct {
	Claims        []int
	From, To      uint16
	Leased        bool
	Reason, Other string
	Against       []int
	Doors         []monban.Door
	Stay          []monban.Pos
	Runs          bool // the program runs, with other doors
}

// FixLeft is a conflict that stays.
type FixLeft struct {
	Claim               int
	Obstacle, File, Err string
	Fix                 []monban.Fix
}

// FixFile is a file with its old and its new content.
type FixFile struct {
	Name string
	// Target is what Name points to as a symbolic link, "" for a plain file.
	Target        string
	Before, After []byte
}

func (f Fix) hideSecrets(m masker) Data {
	f.Before = Check{Claims: f.Before}.hideSecrets(m).(Check).Claims
	f.Moves, f.Left, f.Files = slices.Clone(f.Moves), slices.Clone(f.Left), slices.Clone(f.Files)
	for i := range f.Moves {
		f.Moves[i].Doors = m.doors(f.Moves[i].Doors)
	}
	for i := range f.Left {
		f.Left[i].Fix = maskFixes(f.Left[i].Fix)
	}
	for i := range f.Files {
		f.Files[i].Before, f.Files[i].After = maskConfig(f.Files[i].Before), maskConfig(f.Files[i].After)
	}
	return f
}

// maskConfig masks the secrets in the lines of a configuration file.
func maskConfig(data []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		body := strings.TrimRight(line, "\r\n")
		shown := maskLine(body)
		// "requirepass hunter2" has a name and a value and nothing between.
		if rest := strings.TrimLeft(shown, " \t#;"); shown == body {
			if name, value, ok := strings.Cut(rest, " "); ok && secretName(name) && strings.TrimSpace(value) != "" && !strings.ContainsAny(value[:1], "=:") &&
				len(strings.Fields(value)) == 1 {
				shown = body[:len(body)-len(value)] + masked
			}
		}
		if strings.HasPrefix(strings.TrimLeft(body, " \t"), "user ") { // of Redis: "user hana on >hunter2"
			words := strings.Split(shown, " ")
			for i, w := range words {
				if len(w) > 1 && (w[0] == '>' || w[0] == '#') {
					words[i] = w[:1] + masked
				}
			}
			shown = strings.Join(words, " ")
		}
		b.WriteString(shown + line[len(body):])
	}
	return []byte(b.String())
}

type fixWireData struct {
	Action  string        `json:"action"`
	Outcome FixOutcome    `json:"outcome"`
	Reason  string        `json:"reason"`
	Why     string        `json:"why"`
	Moves   []fixMoveWire `json:"moves"`
	Edits   []fixEditWire `json:"edits"`
	Applied bool          `json:"applied"`
	Backup  string        `json:"backup"`
	Left    []fixLeftWire `json:"left"`
	// Released are the leases that a change had and that were given back with it.
	Released []uint16 `json:"released"`
	Unknown  int      `json:"unknown"`
}

type fixMoveWire struct {
	Name    string       `json:"name"`
	By      string       `json:"by"`
	Proto   monban.Proto `json:"proto"`
	From    uint16       `json:"from"`
	To      uint16       `json:"to"`
	Kind    string       `json:"kind"`
	Reason  string       `json:"reason"`
	Why     string       `json:"why"`
	File    string       `json:"file"`
	Line    int          `json:"line"`
	Against []string     `json:"against"`
	Stay    []string     `json:"stay"`
	Runs    bool         `json:"runs"`
}

type fixEditWire struct {
	File   string `json:"file"`
	Target string `json:"target"`
	Line   int    `json:"line"`
	Before string `json:"before"`
	After  string `json:"after"`
}

type fixLeftWire struct {
	Name    string       `json:"name"`
	By      string       `json:"by"`
	Proto   monban.Proto `json:"proto"`
	Address string       `json:"address"`
	Port    uint16       `json:"port"`
	File    string       `json:"file"`
	Line    int          `json:"line"`
	Cause   string       `json:"cause"`
	Against []string     `json:"against"`
	Reason  string       `json:"reason"`
	Why     string       `json:"why"`
	Fix     []fixWire    `json:"fix"`
}

func (f Fix) wire(v *view) any {
	w := fixWireData{Action: "fix", Outcome: f.Outcome, Reason: f.Reason, Why: f.sentence(v), Moves: []fixMoveWire{}, Edits: []fixEditWire{},
		Applied: f.applied(), Backup: f.Backup, Left: []fixLeftWire{}, Released: nonNil(f.Released), Unknown: f.Unknown}
	if f.Undo {
		w.Action = "undo"
	}
	check := Check{Claims: f.Before}
	for i := range f.Moves {
		m := &f.Moves[i]
		c := &f.Before[m.Claims[0]].Claim
		one := fixMoveWire{Name: c.Name, By: c.By, Proto: c.Bind.Port.Proto, From: m.From, To: m.To, Kind: "customary", Reason: m.Reason,
			Why: f.whySentence(v, m), File: c.Pos.File, Line: c.Pos.Line, Stay: []string{}, Runs: m.Runs,
			Against: check.against(v, &monban.Checked{Judgement: monban.Judgement{Outcome: monban.Fails, Against: m.Doors}, Rivals: m.Against})}
		if m.Leased {
			one.Kind = "leased"
		}
		for _, pos := range m.Stay {
			one.Stay = append(one.Stay, pos.String())
		}
		w.Moves = append(w.Moves, one)
	}
	for _, file := range f.Files {
		for _, l := range file.lines() {
			w.Edits = append(w.Edits, fixEditWire{file.Name, file.Target, l.num, l.before, l.after})
		}
	}
	for i := range f.Left {
		l := &f.Left[i]
		done := &f.Before[l.Claim]
		j := &done.Judgement
		w.Left = append(w.Left, fixLeftWire{Name: done.Claim.Name, By: done.Claim.By, Proto: j.Bind.Port.Proto, Address: addrText(j.Bind), Port: j.Bind.Port.Num,
			File: done.Claim.Pos.File, Line: done.Claim.Pos.Line, Cause: j.Cause, Against: check.against(v, done), Reason: l.Obstacle,
			Why: joined(v.style.Lang, check.sides(v, done)+v.style.Lang.pick(".", "。"), v.obstacleSentence(l)), Fix: v.fixes(l.Fix)})
	}
	return w
}

// applied reports whether the files are changed now.
func (f Fix) applied() bool {
	return f.Outcome == FixDone || f.Outcome == FixUndone || f.Reason == FixInTheWay
}

// changedLine is a line that an edit changes.
type changedLine struct {
	num           int
	before, after string
}

// lines are the lines that differ. An edit changes none into two.
func (f FixFile) lines() []changedLine {
	before, after := splitLines(f.Before), splitLines(f.After)
	var out []changedLine
	for i := range min(len(before), len(after)) {
		if before[i] != after[i] {
			out = append(out, changedLine{i + 1, before[i], after[i]})
		}
	}
	return out
}

// splitLines cuts a file into lines without their ends.
func splitLines(data []byte) []string {
	text := strings.TrimSuffix(string(data), "\n")
	rows := strings.Split(text, "\n")
	for i := range rows {
		rows[i] = strings.TrimSuffix(rows[i], "\r")
	}
	return rows
}
