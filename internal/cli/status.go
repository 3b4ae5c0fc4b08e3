package cli

import (
	"os/user"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/report"
)

// statusOptions are the flags of the bare command.
type statusOptions struct {
	inside
	filter        doorFilter
	sort          string
	wide          bool
	allNamespaces bool
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use: "monban [PORT…]",
		// A word that is no verb is a port or a service name.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.status(cmd, &o)
			}
			for _, name := range []string{"proto", "port", "user", "sort", "wide", "all-namespaces"} {
				if cmd.Flags().Changed(name) {
					return report.FlagNeedsList("--" + name)
				}
			}
			if err := given(cmd, "save", "load", "diff"); err != nil {
				return err
			}
			return a.bare(cmd.Context(), &o.inside, args)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.filter.proto, "proto", "", "")
	cmd.Flags().StringVar(&o.filter.port, "port", "", "")
	cmd.Flags().StringVar(&o.filter.user, "user", "", "")
	cmd.Flags().StringVar(&o.sort, "sort", string(report.SortPort), "")
	cmd.Flags().BoolVar(&o.wide, "wide", false, "")
	cmd.Flags().BoolVar(&o.allNamespaces, "all-namespaces", false, "")
	return cmd
}

func (a *app) status(cmd *cobra.Command, o *statusOptions) error {
	failOn, err := o.threshold()
	if err != nil {
		return err
	}
	if err := o.together(cmd); err != nil {
		return err
	}
	if err := checkSort(o.sort); err != nil {
		return err
	}
	book, gaps := a.book()
	if err := o.filter.parse(book); err != nil {
		return err
	}
	before, err := a.earlier(&o.inside)
	if err != nil {
		return err
	}
	defer leaveGarbage(16)()
	snap, err := a.snapshot(cmd.Context(), &o.inside, gather.Want{Host: host.Ranges | host.Caps, Rules: true, AllNamespaces: o.allNamespaces})
	if err != nil {
		return err
	}
	if before != nil {
		judgeBoth(before, snap)
	} else {
		judgeReach(snap)
	}
	s := a.style()
	s.Wide = o.wide
	shown := narrowed(snap, o.filter.passes)
	// A saved view counts connections too; the list shows none.
	shown.Gaps = slices.DeleteFunc(shown.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesTraffic })
	shown.Gaps = append(shown.Gaps, gaps...)
	if before != nil {
		return a.difference(narrowed(before, o.filter.passes), shown, book, s)
	}
	findings := worstFirst(exposure.Inspect(snap, book, conflict.Inspect(snap, book)), append(exposure.Idle(snap), exposure.Dead(snap)...))
	data := report.Status{Doors: shown.Doors, Sort: report.SortKey(o.sort)}
	if o.filter.active() {
		data.Hidden = report.CountEntries(snap.Doors) - report.CountEntries(data.Doors)
	}
	return a.show(report.Result{
		Verb: "status", Snapshot: shown, Book: book, Findings: o.filter.findings(findings), Data: data,
	}, s, failOn)
}

// worstFirst puts lists of findings together.
func worstFirst(lists ...[]monban.Finding) []monban.Finding {
	out := slices.Concat(lists...)
	slices.SortStableFunc(out, func(a, b monban.Finding) int { return int(b.Severity) - int(a.Severity) })
	return out
}

// leaveGarbage lets the heap grow to so many MB before the first collection, until
// the returned function is called. A list of 10,000 doors needs 12, and to collect
// on the way, beside goroutines that spend all their time in the kernel, takes a
// third of its time.
func leaveGarbage(mb int) (restore func()) {
	const first = 4 // what the runtime starts from at 100 %
	old := debug.SetGCPercent(100 * mb / first)
	return func() { debug.SetGCPercent(old) }
}

// together refuses flags that would do nothing beside each other.
func (o *statusOptions) together(cmd *cobra.Command) error {
	if err := given(cmd, "save", "load", "diff", "user", "port", "proto"); err != nil {
		return err
	}
	if o.diff != "" {
		for _, name := range []string{"fail-on", "sort", "wide"} {
			if cmd.Flags().Changed(name) {
				return report.Together("--diff", "--"+name)
			}
		}
	}
	if o.load != "" && o.allNamespaces {
		return report.Together("--load", "--all-namespaces")
	}
	return nil
}

func checkSort(key string) error {
	var names []string
	for _, k := range report.SortKeys() {
		if string(k) == key {
			return nil
		}
		names = append(names, string(k))
	}
	return report.BadChoice("--sort", key, names...)
}

// doorFilter keeps the doors the user asked for.
type doorFilter struct {
	proto, port, user string

	ports []monban.PortRange
	want  monban.Proto
	// uid is the number of user where it is known here; -1 is not known.
	uid int64
}

// parseUser finds the number of the user: a socket tells no more.
func (f *doorFilter) parseUser() error {
	f.uid = -1
	if n, err := strconv.ParseUint(f.user, 10, 32); err == nil {
		f.uid = int64(n)
		return nil
	}
	u, err := user.Lookup(f.user)
	if err != nil {
		return report.UnknownUser(f.user)
	}
	if n, err := strconv.ParseUint(u.Uid, 10, 32); err == nil { // a SID on Windows
		f.uid = int64(n)
	}
	return nil
}

func (f *doorFilter) active() bool { return f.proto != "" || f.port != "" || f.user != "" }

func (f *doorFilter) parse(book names) error {
	if f.user != "" {
		if err := f.parseUser(); err != nil {
			return err
		}
	}
	if f.proto != "" {
		p, err := monban.ParseProto(f.proto)
		if err != nil {
			return report.PortProblem("--proto", err)
		}
		f.want = p
	}
	if f.port != "" {
		ports, err := parsePorts(book, splitList(f.port))
		if err != nil {
			return err
		}
		f.ports = ports
	}
	return nil
}

func (f *doorFilter) passes(d *monban.Door) bool {
	if f.want != monban.AnyProto && d.Bind.Port.Proto != f.want {
		return false
	}
	if len(f.ports) > 0 && !inRanges(f.ports, d.Bind.Port) {
		return false
	}
	return f.user == "" || f.ownedBy(d)
}

// ownedBy matches the user against the processes, and against the socket itself
// where no process could be named.
func (f *doorFilter) ownedBy(d *monban.Door) bool {
	for _, o := range d.Owners {
		if o.User == f.user || int64(o.UID) == f.uid {
			return true
		}
	}
	return len(d.Owners) == 0 && d.State != monban.Forwarded && int64(d.UID) == f.uid
}

// findings keeps the findings about doors that are shown.
func (f *doorFilter) findings(findings []monban.Finding) []monban.Finding {
	if !f.active() {
		return findings
	}
	var out []monban.Finding
	for _, finding := range findings {
		// A finding about many doors is about those that are shown.
		finding.Doors = slices.DeleteFunc(slices.Clone(finding.Doors), func(d monban.Door) bool {
			return len(finding.Doors) > 2 && !f.passes(&d)
		})
		if slices.ContainsFunc(finding.Doors, func(d monban.Door) bool { return f.passes(&d) }) {
			finding.Bind = finding.Doors[0].Bind
			out = append(out, finding)
		}
	}
	return out
}

func inRanges(ranges []monban.PortRange, p monban.Port) bool {
	for _, r := range ranges {
		if r.Contains(p) {
			return true
		}
	}
	return false
}
