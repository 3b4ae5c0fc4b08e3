package firewall

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// This file knows how a policy is put on trial. The table that package policy
// compiles has two places, a and b: chains and sets whose names end so. Chain
// "select" first asks map "trial", whose elements lead to the one on trial and
// have a timeout, and then goes to the other. When the elements expire, the
// kernel itself is back at the other, with no process alive.

// Names that policy.Compile uses.
const (
	ownTable   = "monban"
	doorsChain = "doors"
	selectName = "select"
	trialName  = "trial"
	setRunning = "running"
)

func isDevices(set string) bool { return strings.Contains(set, "-if-") }

// Errors of the functions that change the ruleset.
var (
	// ErrTrial says that a policy is on trial already.
	ErrTrial = errors.New("a policy is on trial")
	// ErrNoTrial says that none is, or not any more.
	ErrNoTrial = errors.New("no policy is on trial")
	// ErrChanged says that somebody else changed the ruleset at the same moment,
	// and that nothing was done.
	ErrChanged = errors.New("somebody else changed the ruleset at the same time")
	// ErrForeign says that a table of the name is there that is not monban's.
	ErrForeign = errors.New("the table inet monban is not monban's")
	// ErrUnproven says that a trial does not end by itself on this kernel.
	ErrUnproven = errors.New("a trial does not work on this kernel")
)

// Guard is what monban's own table says now.
type Guard struct {
	// Table is the policy that stays, as policy.Compile makes it, read back from
	// the kernel: nil where there is no table or one without a policy, which
	// lets everything in.
	Table *monban.Table
	// Trial is the policy on trial, and Left how long the trial lasts.
	Trial *monban.Table
	Left  time.Duration
	// Present: there is a table, whatever is in it.
	Present bool
	// Generation is that of the whole ruleset when it was read.
	Generation uint32
}

// place is one of the two places, "-a" or "-b".
type slot string

func (s slot) other() slot {
	if s == "-a" {
		return "-b"
	}
	return "-a"
}

func (s slot) has(name string) bool { return strings.HasSuffix(name, string(s)) }

// in returns a name in the place.
func (s slot) in(name string) string {
	if base, ok := cutSlot(name); ok {
		return base + string(s)
	}
	return name
}

func cutSlot(name string) (base string, ok bool) {
	if base, ok = strings.CutSuffix(name, "-a"); !ok {
		base, ok = strings.CutSuffix(name, "-b")
	}
	return base, ok
}

// moved returns a copy of a compiled table with its policy in place s.
func moved(t *monban.Table, s slot) *monban.Table {
	out := *t
	out.Chains, out.Sets = slices.Clone(t.Chains), slices.Clone(t.Sets)
	for i := range out.Chains {
		c := &out.Chains[i]
		c.Name = s.in(c.Name)
		c.Rules = slices.Clone(c.Rules)
		for j := range c.Rules {
			steps := slices.Clone(c.Rules[j].Steps)
			for k := range steps {
				steps[k].Set = s.in(steps[k].Set)
				steps[k].Action.Chain = s.in(steps[k].Action.Chain)
			}
			c.Rules[j].Steps = steps
		}
	}
	for i := range out.Sets {
		m := &out.Sets[i]
		m.Name = s.in(m.Name)
		m.Elements = slices.Clone(m.Elements)
		for j := range m.Elements {
			m.Elements[j].Action.Chain = s.in(m.Elements[j].Action.Chain)
		}
	}
	return &out
}

// without returns a copy of a table without what is in place s.
func without(t *monban.Table, s slot) *monban.Table {
	out := *t
	out.Chains = slices.DeleteFunc(slices.Clone(t.Chains), func(c monban.Chain) bool { return s.has(c.Name) })
	out.Sets = slices.DeleteFunc(slices.Clone(t.Sets), func(m monban.Set) bool { return s.has(m.Name) })
	return &out
}

// active returns the place that a table goes to when no trial runs.
func active(t *monban.Table) (slot, error) {
	if c := t.Chain(selectName); c != nil && len(c.Rules) > 0 {
		steps := c.Rules[len(c.Rules)-1].Steps
		if n := len(steps); n > 0 && steps[n-1].Action.Kind == monban.ActGoto {
			for _, s := range [...]slot{"-a", "-b"} {
				if steps[n-1].Action.Chain == doorsChain+string(s) {
					return s, nil
				}
			}
		}
	}
	return "", ErrForeign
}

// guardOf explains the table as it was read.
func guardOf(t *monban.Table, generation uint32) (*Guard, error) {
	g := &Guard{Generation: generation}
	if t == nil {
		return g, nil
	}
	g.Present = true
	here, err := active(t)
	if err != nil {
		return g, err
	}
	if c := t.Chain(doorsChain + string(here)); c != nil && len(c.Rules) > 0 {
		g.Table = moved(without(t, here.other()), "-a")
	}
	if m := t.Set(trialName); m != nil && len(m.Elements) > 0 {
		there := moved(without(t, here), "-a")
		g.Trial, g.Left = there, m.Elements[0].Expires
		for i := range m.Elements {
			g.Left = min(g.Left, m.Elements[i].Expires)
		}
		c := there.Chain(selectName)
		c.Rules[len(c.Rules)-1].Steps = []monban.Step{{Op: monban.OpDecide, Action: monban.Action{Kind: monban.ActGoto, Chain: doorsChain + "-a"}}}
	}
	return g, nil
}

// runningFor is how long segments of connections from before the first policy are
// let in while connection tracking has not seen them: TCP's keep-alive speaks
// after two hours (tcp_keepalive_time).
const runningFor = 2*time.Hour + 10*time.Minute

// families are the keys of maps by family: NFPROTO_IPV4 and NFPROTO_IPV6.
func byFamily(life time.Duration, a monban.Action) []monban.Element {
	return []monban.Element{{First: []byte{2}, Last: []byte{2}, Expires: life, Action: a}, {First: []byte{10}, Last: []byte{10}, Expires: life, Action: a}}
}

// try writes the transaction that puts a compiled table on trial beside what is
// there, which may be nothing.
func try(old, compiled *monban.Table, generation uint32, timeout time.Duration) (*batch, error) {
	b := newBatch(ownTable, generation)
	here, there := slot("-a"), slot("-b")
	var rest *monban.Table
	if old != nil {
		var err error
		if here, err = active(old); err != nil {
			return nil, err
		}
		there = here.other()
		rest = old
	}
	b.newTable()
	b.clear(rest, there)
	next := moved(compiled, there)
	pointTo(next, here)
	b.write(next)
	if old == nil {
		b.newChain(&monban.Chain{Name: doorsChain + string(here)})
	}
	b.rules(next)
	trial := *next.Set(trialName)
	trial.Elements = byFamily(timeout, monban.Action{Kind: monban.ActGoto, Chain: doorsChain + string(there)})
	b.addElements(&trial)
	if old == nil {
		running := *next.Set(setRunning)
		running.Elements = byFamily(runningFor, monban.Action{})
		b.addElements(&running)
	}
	return b, b.err
}

// pointTo makes select go to the place s.
func pointTo(t *monban.Table, s slot) {
	c := t.Chain(selectName)
	last := &c.Rules[len(c.Rules)-1]
	last.Steps = []monban.Step{{Op: monban.OpDecide, Action: monban.Action{Kind: monban.ActGoto, Chain: doorsChain + string(s)}}}
}

// frame reports whether a chain is one of those that both places share.
func frame(name string) bool {
	_, ok := cutSlot(name)
	return !ok
}

// clear takes what is in place s out of a table, the rules of the shared chains,
// and the map of the trial, of which an element that has expired may still hold on
// to its chain.
func (b *batch) clear(t *monban.Table, s slot) {
	if t == nil {
		return
	}
	for i := range t.Chains {
		if name := t.Chains[i].Name; frame(name) || s.has(name) {
			b.flush(name)
		}
	}
	for i := range t.Sets {
		if name := t.Sets[i].Name; name == trialName || s.has(name) {
			b.delSet(name)
		}
	}
	for i := range t.Chains {
		if name := t.Chains[i].Name; s.has(name) {
			b.delChain(name)
		}
	}
}

// write writes a table's chains without their rules, and its sets. Maps come
// after the chains they lead to.
func (b *batch) write(t *monban.Table) {
	for i := range t.Chains {
		b.newChain(&t.Chains[i])
	}
	for i := range t.Sets {
		b.newSet(&t.Sets[i])
		b.addElements(&t.Sets[i])
	}
}

func (b *batch) rules(t *monban.Table) {
	for i := range t.Chains {
		b.addRules(&t.Chains[i])
	}
}

// confirm writes the transaction that makes the policy on trial the one that
// stays. The kernel refuses it if the trial has ended meanwhile, because there is
// nothing to take out of the map then.
func confirm(old *monban.Table, generation uint32) (*batch, error) {
	here, err := active(old)
	if err != nil {
		return nil, err
	}
	b := newBatch(ownTable, generation)
	trial := *old.Set(trialName)
	trial.Elements = byFamily(0, monban.Action{})
	b.delElements(&trial)
	b.settle(old, here, here.other())
	return b, b.err
}

// rollback writes the transaction that ends a trial, or what is left of one; with
// no policy before, the table goes.
func rollback(old *monban.Table, generation uint32) (*batch, error) {
	here, err := active(old)
	if err != nil {
		return nil, err
	}
	b := newBatch(ownTable, generation)
	if c := old.Chain(doorsChain + string(here)); c == nil || len(c.Rules) == 0 {
		b.delTable()
		return b, b.err
	}
	trial := *old.Set(trialName)
	b.flush(selectName)
	b.delSet(trialName)
	b.newSet(&monban.Set{Name: trialName, Fields: trial.Fields, VerdictMap: true})
	b.settle(old, here.other(), here)
	return b, b.err
}

// settle makes select go to the place that stays, and takes the other out.
func (b *batch) settle(old *monban.Table, goes, stays slot) {
	keep := *old.Chain(selectName)
	t := monban.Table{Chains: []monban.Chain{{Name: selectName, Rules: slices.Clone(keep.Rules)}}}
	pointTo(&t, stays)
	b.flush(selectName)
	b.rules(&t)
	for i := range old.Chains {
		if goes.has(old.Chains[i].Name) {
			b.flush(old.Chains[i].Name)
		}
	}
	for i := range old.Sets {
		if goes.has(old.Sets[i].Name) {
			b.delSet(old.Sets[i].Name)
		}
	}
	for i := range old.Chains {
		if goes.has(old.Chains[i].Name) {
			b.delChain(old.Chains[i].Name)
		}
	}
}

// replace writes the transaction that puts a compiled table in force at once, in
// place of what is there.
func replace(old, compiled *monban.Table, generation uint32) (*batch, error) {
	b := newBatch(ownTable, generation)
	if old != nil {
		b.delTable()
	}
	b.newTable()
	b.write(compiled)
	b.rules(compiled)
	return b, b.err
}
