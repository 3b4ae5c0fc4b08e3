package mend

import (
	"slices"
	"strconv"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
)

// Advise puts into the advice about claims that cannot start what a plan would
// do: the side that moves, and the port that it moves to. What no plan would move
// keeps its advice, unless a plan gives that port away. checked are the claims of
// the question as they were judged; the advice is replaced and not changed in
// place. The plan is proven, as that of fix is, unless it moves very many.
func (q *Question) Advise(checked []monban.Checked) {
	plan := q.plan(nil)
	if q.Read != nil && len(plan.Moves) > 0 && len(plan.Moves) <= maxProven {
		plan = Make(q)
	}
	q.AdviseBy(plan, checked)
}

// maxProven bounds how many moves are proven for the sake of advice: to prove is to
// read everything once more. What is advised beyond is what fix tries first.
const maxProven = 100

// AdviseBy is [Question.Advise] with a plan that has been made.
func (q *Question) AdviseBy(plan *Plan, checked []monban.Checked) {
	moves := movesOf(plan)
	taken := newGiven()
	for i := range plan.Moves {
		taken.ports[plan.Moves[i].To] = true
	}
	for i := range checked {
		done := &checked[i]
		if done.Judgement.Outcome != monban.Fails {
			continue
		}
		done.Judgement.Fix = slices.Clone(done.Judgement.Fix)
		for k := range done.Judgement.Fix {
			if f := &done.Judgement.Fix[k]; f.Code == conflict.FixEditPort || f.Code == conflict.FixOtherPort {
				f.Args = slices.Clone(f.Args)
				q.advise(f, i, moves[i], taken)
			}
		}
	}
}

// advise makes the advice to use another port what the plan does for a claim.
func (q *Question) advise(f *monban.Fix, claim int, m *Move, taken *given) {
	switch {
	case m == nil:
		if num, err := strconv.ParseUint(f.Args[1], 10, 16); err == nil && taken.ports[uint16(num)] {
			f.Args[1] = ""
			if to, _, ok := q.Numbers.choose(&q.Claims[claim], taken); ok {
				f.Args[1], taken.ports[to] = strconv.Itoa(int(to)), true
			}
		}
		return
	case !slices.Contains(m.Claims, claim) && f.Code == conflict.FixEditPort: // it stays, and the other side moves
		f.Args[2] = q.Claims[m.Claims[0]].Pos.String()
	}
	f.Args[0], f.Args[1] = strconv.Itoa(int(m.From)), strconv.Itoa(int(m.To))
}

// movesOf returns the move that lets each claim start: its own, or that of a side
// in its way.
func movesOf(p *Plan) map[int]*Move {
	moves := map[int]*Move{}
	for i := range p.Moves {
		for _, c := range p.Moves[i].Against {
			moves[c] = &p.Moves[i]
		}
	}
	for i := range slices.Backward(p.Moves) { // the first of its own counts
		for _, c := range p.Moves[i].Claims {
			moves[c] = &p.Moves[i]
		}
	}
	return moves
}
