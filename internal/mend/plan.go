package mend

import (
	"slices"
	"strconv"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
)

// Question is what a plan is made of.
type Question struct {
	// Claims are those of the files and programs in question, in the order in
	// which they start, and Gaps what could not be read of them.
	Claims []monban.Claim
	Gaps   []monban.Gap
	// Snapshot is the machine, with every door and all traffic.
	Snapshot *monban.Snapshot
	Numbers  Numbers
	// File returns a file by its name in a claim's position.
	File func(name string) Source
	// Read reads the claims again, with the content of some files replaced;
	// they are named by [Source.Path].
	Read func(edited map[string][]byte) ([]monban.Claim, []monban.Gap)

	seen map[string]Source
}

// Reason is why one side of a conflict moves and not the other.
type Reason string

// The reasons.
const (
	HolderRuns   Reason = "holder-runs"   // what is in its way runs now
	NeedsRight   Reason = "needs-right"   // only root may open the port, or nobody
	OnlyEditable Reason = "only-editable" // the other side's files cannot be changed
	OwnFiles     Reason = "own-files"     // its files are the asker's own, the other side's are not
	StartsLater  Reason = "starts-later"  // the other side starts first
)

// Move is one program that goes to another port.
type Move struct {
	// Claims are its doors: indexes of [Plan.Before].
	Claims   []int
	From, To uint16
	// Leased says that To is to be kept for it; else it is the customary
	// alternative.
	Leased bool
	Reason Reason
	// Against are the claims that keep the number, indexes of [Plan.Before], and
	// Doors those that are open.
	Against []int
	Doors   []monban.Door
	// Other is why the other side cannot be moved, with OnlyEditable.
	Other Obstacle
	Edits []Edit
	// Runs reports whether the program runs already, with other doors: it has to
	// be started anew.
	Runs bool
	// Stay are places that name the old number and keep it, because another
	// program that keeps it is meant.
	Stay []monban.Pos
}

// Left is a conflict that stays.
type Left struct {
	// Claim is the one that cannot start: an index of [Plan.Before].
	Claim    int
	Obstacle Obstacle
	File     string // the file that is to blame; "" is none
}

// Plan is how conflicts end.
type Plan struct {
	Before []monban.Checked // what will come of the claims now
	After  []monban.Checked // and with the moves, in the same order
	Moves  []Move
	Left   []Left
	// Files are the new contents by [Source.Path]; Names are their names in the
	// claims, in the order of the moves.
	Files map[string][]byte
	Names []string

	claims []monban.Claim // as they are to be with the moves
}

// Make makes a plan.
func Make(q *Question) *Plan {
	unproven := map[side]bool{}
	for {
		p := q.plan(unproven)
		culprit, ok := q.prove(p)
		if ok {
			return p
		}
		unproven[culprit] = true // each time one side less: this ends
	}
}

// planning is the making of one plan.
type planning struct {
	q        *Question
	claims   []monban.Claim // with the moves made so far
	sides    *sides         // of the claims as they were when the round began
	unproven map[side]bool
	moved    map[int]bool
	round    map[int]bool // those moved in this round
	running  map[side]bool
	left     map[int]bool
	taken    *given
	plan     *Plan
}

func (q *Question) plan(unproven map[side]bool) *Plan {
	p := &planning{q: q, claims: slices.Clone(q.Claims), unproven: unproven, moved: map[int]bool{}, left: map[int]bool{}, taken: newGiven(),
		plan: &Plan{Files: map[string][]byte{}}}
	p.plan.Before = conflict.Predict(q.Claims, q.Snapshot)
	p.plan.After = p.plan.Before
	// Every round ends conflicts or leaves them, and a side moves only once.
	for p.goRound() {
		p.plan.After = conflict.Predict(p.claims, q.Snapshot)
	}
	p.plan.claims = p.claims
	return p.plan
}

// goRound ends the conflicts that have nothing to do with each other, and
// reports whether a side has moved.
func (p *planning) goRound() bool {
	p.sides, p.round, p.running = sidesOf(slices.Clone(p.claims)), map[int]bool{}, map[side]bool{}
	for i := range p.plan.After {
		if p.plan.After[i].Judgement.Outcome == monban.Running {
			p.running[sideOf(&p.claims[i]).anywhere()] = true
		}
	}
	for i := range p.plan.After {
		c := &p.plan.After[i]
		if c.Judgement.Outcome != monban.Fails || p.left[i] || p.round[i] || slices.ContainsFunc(c.Rivals, func(r int) bool { return p.round[r] }) {
			continue
		}
		p.end(i)
	}
	return len(p.round) > 0
}

func (p *planning) leave(i int, o Obstacle, file string) {
	p.left[i] = true
	p.plan.Left = append(p.plan.Left, Left{Claim: i, Obstacle: o, File: file})
}

// end ends the conflict of claim i by moving a side of it, or leaves it.
func (p *planning) end(i int) {
	done := &p.plan.After[i]
	s := sideOf(&p.sides.claims[i])
	others, runs := p.rivals(done, s)
	if o := notByMoving(done, len(others)); o != "" {
		p.leave(i, o, "")
		return
	}
	mine := p.look(s)
	if len(others) == 0 {
		reason := HolderRuns
		if !runs {
			reason = NeedsRight
		}
		p.move(i, s, mine, reason, "")
		return
	}
	theirs := p.look(others[0])
	for _, o := range others[1:] {
		if more := p.look(o); more.obstacle != "" {
			theirs = more
		}
	}
	switch {
	case mine.obstacle != "" && theirs.obstacle != "":
		p.leave(i, mine.obstacle, mine.file)
	case mine.obstacle != "":
		p.move(i, others[0], theirs, OnlyEditable, mine.obstacle)
	case theirs.obstacle != "":
		p.move(i, s, mine, OnlyEditable, theirs.obstacle)
	case mine.own != theirs.own && len(others) == 1:
		if mine.own {
			p.move(i, s, mine, OwnFiles, "")
		} else {
			p.move(i, others[0], theirs, OwnFiles, "")
		}
	default:
		p.move(i, s, mine, StartsLater, "")
	}
}

// rivals are the other sides that could make room for a claim: none where
// somebody who runs is in its way, too.
func (p *planning) rivals(done *monban.Checked, own side) (sides []side, runs bool) {
	if len(done.Judgement.Against) > 0 {
		return nil, true
	}
	for _, r := range done.Rivals {
		if p.plan.After[r].Judgement.Outcome == monban.Running {
			return nil, true
		}
		s := sideOf(&p.sides.claims[r])
		if s != own && !slices.Contains(sides, s) {
			sides = append(sides, s)
		}
	}
	return sides, false
}

// notByMoving tells what another number would not help.
func notByMoving(done *monban.Checked, rivals int) Obstacle {
	j := &done.Judgement
	switch conflict.Cause(j.Cause) {
	case conflict.L21:
		return Twice
	case conflict.D4:
		if rivals == 0 {
			return Twice
		}
	case conflict.L7, conflict.L8, conflict.L26, conflict.W6:
		return Passing
	case conflict.L10, conflict.M4, conflict.D7, conflict.W2:
		return ""
	}
	if j.Errno == string(conflict.EADDRINUSE) || j.Errno == "WSAEADDRINUSE" {
		return ""
	}
	return OtherCause
}

// look is [Question.look] with what speaks against moving the side now.
func (p *planning) look(s side) sideEdits {
	for _, i := range p.sides.of[s] {
		switch c := &p.plan.After[i]; {
		case p.moved[i], p.unproven[s]:
			return sideEdits{obstacle: Unproven, file: c.Claim.Pos.File}
		case c.Judgement.Outcome == monban.Running:
			return sideEdits{obstacle: Running, file: c.Claim.Pos.File}
		case c.Claim.UpTo != 0:
			return sideEdits{obstacle: Computed, file: c.Claim.Pos.File}
		case bound(&c.Claim) != "":
			return sideEdits{obstacle: bound(&c.Claim), file: c.Claim.Pos.File}
		}
	}
	return p.q.look(p.sides, s)
}

// move moves a side so that claim i can start.
func (p *planning) move(i int, s side, how sideEdits, reason Reason, other Obstacle) {
	if how.obstacle != "" {
		p.leave(i, how.obstacle, how.file)
		return
	}
	mine := p.sides.of[s]
	to, leased, ok := p.q.Numbers.choose(&p.claims[mine[0]], p.taken)
	if !ok {
		p.leave(i, NoPort, "")
		return
	}
	p.taken.ports[to] = true
	done := &p.plan.After[i]
	m := Move{Claims: mine, From: s.port, To: to, Leased: leased, Reason: reason, Other: other, Edits: how.edits, Stay: how.stay, Doors: done.Judgement.Against}
	for _, k := range append([]int{i}, done.Rivals...) {
		if !slices.Contains(mine, k) {
			m.Against = append(m.Against, k)
		}
	}
	m.Runs = p.runs(s)
	for k := range m.Edits {
		m.Edits[k].New = strconv.Itoa(int(to))
	}
	for _, k := range mine {
		p.claims[k].Bind.Port.Num = to
		p.moved[k], p.round[k] = true, true
	}
	p.plan.Moves = append(p.plan.Moves, m)
}

// runs reports whether the program of a side runs, with other doors.
func (p *planning) runs(s side) bool { return p.running[s.anywhere()] }

// prove edits the files, has them read again, and compares what they ask for
// with what the plan says. If they differ it returns the side that is to blame.
func (q *Question) prove(p *Plan) (culprit side, ok bool) {
	if len(p.Moves) == 0 {
		return side{}, true
	}
	blame := func(i int) side {
		for _, m := range p.Moves {
			if slices.Contains(m.Claims, i) {
				return sideOf(&q.Claims[i])
			}
		}
		return sideOf(&q.Claims[p.Moves[len(p.Moves)-1].Claims[0]])
	}
	if m, ok := q.edit(p); !ok {
		return sideOf(&q.Claims[p.Moves[m].Claims[0]]), false
	}
	claims, gaps := q.Read(p.Files)
	for i := range min(len(claims), len(p.claims)) {
		got, want := &claims[i], &p.claims[i]
		if got.By != want.By || got.Bind != want.Bind || got.UpTo != want.UpTo || got.Pos.File != want.Pos.File || got.Pos.Line != want.Pos.Line {
			return blame(i), false
		}
	}
	if len(claims) != len(p.claims) || len(gaps) != len(q.Gaps) {
		return blame(-1), false
	}
	after := conflict.Predict(claims, q.Snapshot)
	for i := range after {
		if after[i].Judgement.Outcome != p.After[i].Judgement.Outcome {
			return blame(i), false
		}
	}
	for _, m := range p.Moves {
		for _, i := range m.Claims {
			// One of the doors may have another trouble as well, and keep it.
			if after[i].Judgement.Outcome != monban.Starts && notByMoving(&after[i], 0) != OtherCause {
				return blame(i), false
			}
		}
	}
	p.After = after
	return side{}, true
}

// edit makes the new contents of the files. If one cannot be made it returns the
// move that is to blame.
func (q *Question) edit(p *Plan) (failed int, ok bool) {
	edits := map[string][]Edit{} // by the file itself: it may have been met by two names
	names := map[string]string{}
	last := map[string]int{}
	for m := range p.Moves {
		for _, e := range p.Moves[m].Edits {
			path := q.seen[e.Pos.File].Path
			if names[path] == "" {
				names[path] = e.Pos.File
				p.Names = append(p.Names, e.Pos.File)
			}
			twice := func(o Edit) bool { return o.Pos.Line == e.Pos.Line && o.Pos.Col == e.Pos.Col && o.New == e.New }
			if !slices.ContainsFunc(edits[path], twice) {
				edits[path] = append(edits[path], e)
			}
			last[path] = m
		}
	}
	for path, list := range edits {
		data, ok := Replace(q.seen[names[path]].Data, list)
		if !ok {
			return last[path], false
		}
		p.Files[path] = data
	}
	return 0, true
}
