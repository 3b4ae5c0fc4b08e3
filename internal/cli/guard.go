package cli

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// How long a trial may last.
const (
	leastTrial = 5 * time.Second
	mostTrial  = 24 * time.Hour
)

// policyFile is where the policy is when no -f names one and none is here.
const policyFile = "/etc/monban/monban.yaml"

// guardOptions are the flags of guard's verbs.
type guardOptions struct {
	file        string
	yes         bool
	allowCut    bool
	sameSession bool
	saved       bool
	timeout     time.Duration

	to           []string
	limit, until string
	note         string
}

func (a *app) guardCommand() *cobra.Command {
	var o guardOptions
	cmd := &cobra.Command{
		Use: "guard COMMAND",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return report.UnknownGuard(args[0])
			}
			return cmd.Help()
		},
	}
	verb := func(use string, run func(g *guarding, args []string) error, flags ...string) *cobra.Command {
		c := &cobra.Command{Use: use, RunE: func(cmd *cobra.Command, args []string) error {
			want := 0
			if cmd.Name() == "open" || cmd.Name() == "close" {
				want = 1
			}
			switch {
			case len(args) < want:
				return report.MissingArgument("monban guard " + cmd.Name() + " 443")
			case len(args) > want:
				return report.ExtraArguments(cmd.CommandPath(), args[want:])
			}
			return run(a.guarding(cmd.Context(), &o, cmd.Name()), args)
		}}
		for _, f := range flags {
			o.flag(c, f)
		}
		// Taken by every verb of guard, so that a script says them to all alike: to
		// one that never asks, and to one that is about what is in force and no file.
		for _, f := range [...]string{"yes", "file"} {
			if c.Flags().Lookup(f) == nil {
				o.flag(c, f)
				_ = c.Flags().MarkHidden(f) // the only error is a flag that is not there
			}
		}
		cmd.AddCommand(c)
		return c
	}
	verb("plan", (*guarding).runPlan, "file", "allow-cut")
	verb("apply", (*guarding).runApply, "file", "yes", "timeout", "allow-cut", "saved")
	verb("confirm", (*guarding).runConfirm, "same-session")
	verb("rollback", (*guarding).runRollback)
	verb("status", (*guarding).runStatus)
	verb("import", (*guarding).runImport, "file")
	verb("open PORT", (*guarding).runOpen, "file", "allow-cut", "to", "limit", "until", "note")
	verb("close PORT", (*guarding).runClose, "file", "allow-cut")
	verb("off", (*guarding).runOff, "yes")
	return cmd
}

func (o *guardOptions) flag(c *cobra.Command, name string) {
	flags := c.Flags()
	switch name {
	case "file":
		flags.StringVarP(&o.file, name, "f", "", "")
	case "yes":
		flags.BoolVarP(&o.yes, name, "y", false, "")
	case "timeout":
		flags.DurationVar(&o.timeout, name, time.Minute, "")
	case "allow-cut":
		flags.BoolVar(&o.allowCut, name, false, "")
	case "same-session":
		flags.BoolVar(&o.sameSession, name, false, "")
	case "saved":
		flags.BoolVar(&o.saved, name, false, "")
	case "to":
		flags.StringSliceVar(&o.to, name, nil, "")
	case "limit":
		flags.StringVar(&o.limit, name, "", "")
	case "until":
		flags.StringVar(&o.until, name, "", "")
	case "note":
		flags.StringVar(&o.note, name, "", "")
	}
}

// guarding is one run of a verb of guard.
type guarding struct {
	app   *app
	ctx   context.Context
	o     *guardOptions
	store guard.Store
	boot  guard.Boot
	book  *portbook.Book
	gaps  []monban.Gap // of the book
	snap  *monban.Snapshot
	then  *monban.Snapshot // the same with the policy in force, nil where that cannot be judged
	out   report.Guard
	stdin *bufio.Reader
}

func (a *app) guarding(ctx context.Context, o *guardOptions, action string) *guarding {
	g := &guarding{app: a, ctx: ctx, o: o, store: guard.System(), stdin: bufio.NewReader(a.sys.Stdin)}
	program, err := os.Executable()
	if err == nil {
		if real, err := filepath.EvalSymlinks(program); err == nil {
			program = real
		}
	}
	g.boot = guard.Boot{Root: "/", Program: program}
	g.book, g.gaps = a.book()
	g.out = report.Guard{Action: action, System: runtime.GOOS}
	return g
}

// look takes the snapshot that the verb needs.
func (g *guarding) look(want gather.Want) {
	g.snap = gather.Snapshot(g.ctx, want)
	g.snap.Gaps = append(g.snap.Gaps, g.gaps...)
}

// identity looks at no door: the snapshot only says which machine this is.
func (g *guarding) identity() {
	g.look(gather.Want{Ports: []monban.PortRange{{First: 0, Last: 0, Proto: monban.DCCP}}})
	g.snap.Gaps = g.gaps
}

// end shows the result, which needs no privilege, and turns its outcome into the exit
// code.
func (g *guarding) end(outcome report.GuardOutcome) error {
	g.app.keep()
	g.out.Outcome = outcome
	r := report.Result{Verb: "guard", Snapshot: g.snap, Book: g.book, Data: g.out}
	if err := g.app.show(r, g.app.style(), monban.SeverityUnknown); err != nil {
		return err
	}
	switch outcome {
	case report.GuardRefused, report.GuardDeclined, report.GuardUnsaved, report.GuardLeft:
		return shownError{exitFailed}
	case report.GuardDiffers:
		return foundError{}
	case report.GuardUnknown:
		return shownError{exitIncomplete}
	}
	return nil
}

// refuse ends with a reason why nothing was done.
func (g *guarding) refuse(reason string, args ...string) error {
	g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: reason, Args: args})
	return g.end(report.GuardRefused)
}

// ask asks at the terminal whether to go on. Without one, only --yes does.
func (g *guarding) ask(question string) (bool, error) {
	if g.o.yes {
		return true, nil
	}
	if !g.app.sys.StdinTerminal {
		return false, report.GuardNeedsYes()
	}
	if err := report.WritePrompt(g.app.sys.Stderr, question); err != nil {
		return false, report.CannotWrite("stderr", err)
	}
	line, err := g.stdin.ReadString('\n')
	return err == nil && report.Agrees(line), nil
}

// notHere reports whether an error says that this system's firewall is not
// changed by monban.
func notHere(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
