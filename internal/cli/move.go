package cli

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// moveOptions are the flags of move's verbs.
type moveOptions struct {
	dryRun, yes bool
	sameSession bool
	timeout     time.Duration
	trial       string
	after       time.Duration
}

// moveTime is how long there is for the confirmation: to open a terminal, come in,
// and become root.
const moveTime = 5 * time.Minute

func (a *app) moveCommand() *cobra.Command {
	var o moveOptions
	cmd := &cobra.Command{
		Use: "move COMMAND",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return report.UnknownMove(args[0])
			}
			return cmd.Help()
		},
	}
	verb := func(use string, most int, run func(m *moving, args []string) error) *cobra.Command {
		c := &cobra.Command{Use: use, RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > most {
				return report.ExtraArguments(cmd.CommandPath(), args[most:])
			}
			return run(a.moving(cmd.Context(), &o, cmd.Name()), args)
		}}
		cmd.AddCommand(c)
		return c
	}
	ssh := verb("ssh [PORT]", 1, (*moving).ssh).Flags()
	ssh.BoolVar(&o.dryRun, "dry-run", false, "")
	ssh.BoolVarP(&o.yes, "yes", "y", false, "")
	ssh.DurationVar(&o.timeout, "timeout", moveTime, "")
	verb("confirm", 0, (*moving).confirm).Flags().BoolVar(&o.sameSession, "same-session", false, "")
	back := verb("rollback", 0, (*moving).rollback).Flags()
	back.StringVar(&o.trial, "trial", "", "")
	back.DurationVar(&o.after, "after", 0, "")
	verb("status", 0, (*moving).status)
	return cmd
}

// moving is one run of a verb of move.
type moving struct {
	app     *app
	ctx     context.Context
	o       *moveOptions
	machine move.Machine
	book    *portbook.Book
	gaps    []monban.Gap // of the book
	snap    *monban.Snapshot
	out     report.Move
	stdin   *bufio.Reader
}

func (a *app) moving(ctx context.Context, o *moveOptions, action string) *moving {
	program := a.sys.Program
	if exe, err := os.Executable(); program == "" && err == nil {
		program = exe
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			program = real
		}
	}
	// Of status, only to read a file of root's is left. The others execute sshd,
	// systemctl and the tools of firewalls, which have again what root has.
	if action == "status" {
		a.keep()
	} else {
		a.lower(append(toSurvey(), toChange()...)...)
	}
	m := &moving{app: a, ctx: ctx, o: o, stdin: bufio.NewReader(a.sys.Stdin), out: report.Move{Action: action}}
	m.book, m.gaps = a.book()
	store := guard.System()
	m.machine = move.Machine{Store: move.Store{Dir: store.Dir}, Guard: store, Program: program,
		Boot: guard.Boot{Root: "/", Program: program}.Manager(), Look: m.lookAt, Tell: a.sys.Step}
	m.snap = gather.Snapshot(ctx, gather.Want{Ports: []monban.PortRange{{First: 0, Last: 0, Proto: monban.DCCP}}}) // which machine this is
	m.snap.Gaps = nil
	return m
}

// lookAt looks at some ports anew.
func (m *moving) lookAt(ports ...uint16) *monban.Snapshot {
	want := gather.Want{Rules: true, Host: host.Network}
	for _, num := range ports {
		want.Ports = append(want.Ports, monban.PortRange{First: num, Last: num, Proto: monban.TCP})
	}
	return gather.Snapshot(m.ctx, want)
}

// end shows the result, which needs no privilege, and turns its outcome into the exit
// code.
func (m *moving) end(outcome report.MoveOutcome) error {
	m.app.keep()
	m.out.Outcome = outcome
	r := report.Result{Verb: "move", Snapshot: m.snap, Book: m.book, Data: m.out}
	if err := m.app.show(r, m.app.style(), monban.SeverityUnknown); err != nil {
		return err
	}
	switch outcome {
	case report.MoveRefused, report.MoveDeclined, report.MoveFailed, report.MoveStuck, report.MoveOver:
		return shownError{exitFailed}
	}
	return nil
}

// refuse ends with a reason why nothing was done.
func (m *moving) refuse(reason string, args ...string) error {
	m.out.Refused = append(m.out.Refused, report.MoveReason{Code: reason, Args: args})
	return m.end(report.MoveRefused)
}

// here reports whether moving is possible on this system at all, or ends.
func (m *moving) here() (ok bool, err error) {
	if runtime.GOOS != "linux" {
		return false, m.refuse("unsupported", runtime.GOOS)
	}
	if m.snap.Host.UID != 0 {
		return false, m.refuse("privilege")
	}
	return true, nil
}

func (m *moving) note(code string, args ...string) {
	m.out.Notes = append(m.out.Notes, report.MoveReason{Code: code, Args: args})
}
