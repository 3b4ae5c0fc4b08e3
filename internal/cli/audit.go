package cli

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/policyfile"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
	"github.com/monban-dev/monban/portbook"
	"github.com/monban-dev/monban/probe"
)

type auditOptions struct {
	inside
	policy         string
	from           string
	seen, seenFrom string
	seenAs         []string
	ports          string
}

func (a *app) auditCommand() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use: "audit",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return report.ExtraArguments(cmd.CommandPath(), args)
			}
			return a.audit(cmd, &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.save, "save", "", "")
	flags.StringVar(&o.load, "load", "", "")
	flags.StringVar(&o.failOn, "fail-on", "", "")
	flags.StringVar(&o.policy, "policy", "", "")
	flags.StringVar(&o.from, "from", "", "")
	flags.StringVarP(&o.ports, "ports", "p", "", "")
	flags.StringVar(&o.seen, "seen", "", "")
	flags.StringVar(&o.seenFrom, "seen-from", "", "")
	flags.StringSliceVar(&o.seenAs, "seen-as", nil, "")
	return cmd
}

// audit reports the whole exposure of the machine.
func (a *app) audit(cmd *cobra.Command, o *auditOptions) error {
	failOn, err := o.threshold()
	if err != nil {
		return err
	}
	if o.failOn == "" {
		failOn = monban.Low // what is only worth knowing is no exposure
	}
	if err := o.together(cmd); err != nil {
		return err
	}
	// What comes is looking, and with --from a scan, which this program starts itself
	// for: it gives up on its own what it does not need.
	look := toSurvey()
	if o.save != "" && o.save != stdio {
		look = append(look, toWrite(o.save)...)
	}
	if o.from != "" {
		a.lower(look...)
	} else {
		a.keep(look...)
	}
	book, bookGaps := a.book()
	permits, file, policyGaps, err := a.auditPolicy(o, book)
	if err != nil {
		return err
	}
	defer leaveGarbage(16)()
	snap, err := a.snapshot(cmd.Context(), &o.inside, gather.Want{Host: host.All, Rules: true})
	if err != nil {
		return err
	}
	judgeReach(snap)
	data := report.Audit{Doors: snap.Doors, FrontEnds: exposure.FrontEnds(snap.Rules), Policy: file, Release: ownVersion()}
	snap.Gaps = slices.DeleteFunc(snap.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesTraffic })
	snap.Gaps = slices.Concat(snap.Gaps, bookGaps, policyGaps, undecided(snap))
	seen, err := a.observed(cmd.Context(), o, snap, book)
	if err != nil {
		return err
	}
	if seen != nil {
		data.Observer, data.Compared = &seen.observer, exposure.Compare(snap, seen.looks(snap))
		snap.Gaps = append(snap.Gaps, seen.gaps...)
		if o.from != "" {
			a.lookAgain(cmd.Context(), seen, data.Compared)
		}
	}
	a.keep()
	data.Incomplete = slices.ContainsFunc(snap.Gaps, mayChangeAudit)
	findings := worstFirst(exposure.Contradictions(data.Compared), exposure.Inspect(snap, book, conflict.Inspect(snap, book)), append(exposure.Idle(snap), exposure.Dead(snap)...))
	if permits != nil {
		findings = worstFirst(findings, policy.Inspect(permits, snap.Doors, a.now()))
	}
	if err := a.show(report.Result{Verb: "audit", Snapshot: snap, Book: book, Findings: findings, Data: data}, a.style(), failOn); err != nil {
		return err
	}
	if data.Incomplete {
		return shownError{exitIncomplete}
	}
	return nil
}

// lookAgain takes back what only seems to differ because something changed while a
// scan went on: a program that started, a rule that went.
func (a *app) lookAgain(ctx context.Context, seen *sightings, compared []monban.Comparison) {
	if !slices.ContainsFunc(compared, func(c monban.Comparison) bool { return c.Differs != "" }) {
		return
	}
	now := gather.Snapshot(ctx, gather.Want{Host: host.Network, Rules: true})
	judgeReach(now) // for the doors that only rules make
	later := exposure.Compare(now, seen.looks(now))
	for i := range compared {
		c := &compared[i]
		k := slices.IndexFunc(later, func(o monban.Comparison) bool { return o.Target == c.Target && o.Port == c.Port })
		if c.Differs != "" && (k < 0 || later[k].Differs != c.Differs) {
			c.Differs, c.Computed, c.Rule, c.Why = "", monban.VerdictUnknown, monban.RuleRef{}, ""
		}
	}
}

// together refuses flags that would do nothing beside each other.
func (o *auditOptions) together(cmd *cobra.Command) error {
	if err := given(cmd, "save", "load", "policy", "from", "ports", "seen", "seen-from"); err != nil {
		return err
	}
	for _, pair := range [...]struct {
		a, b         string
		givenA, both bool
	}{
		{"--load", "--from", o.load != "", o.from != ""}, // a saved machine answers nobody
		{"--from", "--seen", o.from != "", o.seen != ""},
	} {
		if pair.givenA && pair.both {
			return report.Together(pair.a, pair.b)
		}
	}
	switch {
	case o.ports != "" && o.from == "":
		return report.NeedsFlag("--ports", "--from")
	case o.seenFrom != "" && o.seen == "":
		return report.NeedsFlag("--seen-from", "--seen")
	case len(o.seenAs) > 0 && o.seen == "":
		return report.NeedsFlag("--seen-as", "--seen")
	}
	if o.seenFrom != "" {
		if _, err := netip.ParseAddr(o.seenFrom); err != nil {
			return report.BadAddress("--seen-from", o.seenFrom)
		}
	}
	return nil
}

// auditPolicy returns the policy to hold against the doors, and its file: the one
// that was named, or else the one that has been confirmed on this machine. A saved
// view has none but the named.
func (a *app) auditPolicy(o *auditOptions, book *portbook.Book) (*monban.Policy, string, []monban.Gap, error) {
	if o.policy == "" {
		if o.load != "" {
			return nil, "", nil, nil
		}
		store := guard.System()
		saved, err := store.Saved()
		if err != nil {
			return nil, "", []monban.Gap{{Source: store.SavedFile(), Err: pathless(err).Error(), Hides: monban.HidesHost}}, nil
		}
		if saved == nil {
			return nil, "", nil, nil
		}
		return &saved.Policy, saved.File, nil, nil
	}
	text, err := a.readNamed(o.policy)
	if err != nil {
		return nil, "", nil, report.CannotRead(o.policy, err)
	}
	p, err := policyfile.Read(text, o.policy, book, a.now())
	if err != nil {
		return nil, "", nil, policyProblem(err)
	}
	return p, o.policy, nil, nil
}

// undecided returns the gaps of doors of which nobody can tell who reaches them: one
// for each rule, or other thing, that cannot be judged.
func undecided(snap *monban.Snapshot) []monban.Gap {
	var out []monban.Gap
	for i := range snap.Doors {
		for _, r := range snap.Doors[i].Reach {
			if r.Verdict != monban.VerdictUnknown || r.Why == monban.ByUnseen {
				continue // of those a gap tells already
			}
			source := r.Rule.String()
			if source == "" {
				source = r.Rule.Text
			}
			if source == "" {
				source = string(r.Why)
			}
			k := slices.IndexFunc(out, func(g monban.Gap) bool { return g.Source == source })
			if k < 0 {
				out = append(out, monban.Gap{Source: source, Hides: monban.HidesReach})
				k = len(out) - 1
			}
			out[k].Count++
			break
		}
	}
	return out
}

// mayChangeAudit reports whether what a gap hides could change an audit's answer:
// more doors, or who reaches or holds them. Details, names of ports, and what is in
// namespaces that were not asked for could not.
func mayChangeAudit(g monban.Gap) bool {
	switch g.Hides {
	case monban.HidesDoors, monban.HidesRules, monban.HidesReach, monban.HidesOwners, monban.HidesContainers, monban.HidesOutside:
		return true
	case monban.HidesSightings:
		return g.Err != probe.ReplyLimit && g.Err != probe.NotPrivileged
	}
	return false
}

// pathless is what an error says without the path, which is told already.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
