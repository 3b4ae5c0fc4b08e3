package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/owners"
	"github.com/monban-dev/monban/sockets"
)

// maxText bounds how much pasted text is read.
const maxText = 1 << 20

func (a *app) explainCommand() *cobra.Command {
	var in inside
	cmd := &cobra.Command{
		Use: "explain TEXT",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := given(cmd, "save", "load", "diff"); err != nil {
				return err
			}
			return a.explain(cmd.Context(), &in, args)
		},
	}
	cmd.Flags().StringVar(&in.save, "save", "", "")
	cmd.Flags().StringVar(&in.load, "load", "", "")
	cmd.Flags().StringVar(&in.diff, "diff", "", "")
	return cmd
}

func (a *app) explain(ctx context.Context, in *inside, args []string) error {
	text := strings.Join(args, " ")
	if len(args) == 0 || text == stdio {
		if in.load == stdio || in.diff == stdio {
			return report.OneStdin("TEXT", "--load, --diff")
		}
		if a.sys.StdinTerminal {
			report.AskForText(a.sys.Stderr, a.lang)
		}
		b, err := io.ReadAll(io.LimitReader(a.sys.Stdin, maxText+1))
		if err != nil {
			return report.CannotRead("stdin", err)
		}
		if len(b) > maxText {
			return report.TooMuchText(maxText)
		}
		text = string(b)
	}
	if strings.TrimSpace(text) == "" {
		return report.NothingToExplain()
	}
	complaints := conflict.ReadComplaint(text)
	want := gather.Want{Host: host.Ranges | host.Caps | host.Network, Rules: in.diff != ""}
	for _, c := range complaints {
		if c.HasPort {
			want.Ports = append(want.Ports, monban.PortRange{First: c.Port, Last: c.Port})
			want.Rules = want.Rules || c.Remote // a rule keeps nobody from opening a port
		}
	}
	ports := want.Ports
	want.Traffic, want.Restarts, want.Stopped = ports, ports, len(ports) > 0
	before, err := a.earlier(in)
	if err != nil {
		return err
	}
	snap, err := a.explainSnapshot(ctx, in, want)
	if err != nil {
		return err
	}
	if before != nil {
		judgeBoth(before, snap)
	}
	book, gaps := a.book()
	keep := func(d *monban.Door) bool { return inRanges(ports, d.Bind.Port) }
	shown := narrowed(snap, keep)
	shown.Gaps = append(shown.Gaps, gaps...)
	data := report.Explanation{More: len(complaints) == conflict.MostComplaints}
	for _, c := range complaints {
		e := explained(c, snap)
		if in.load == "" && !e.Elsewhere {
			lookAtSocket(ctx, &e)
		}
		data.Complaints = append(data.Complaints, e)
	}
	if before != nil {
		earlier := narrowed(before, keep)
		shown.Gaps = union(shown.Gaps, earlier.Gaps)
		diff := differenceOf(earlier, shown)
		data.Diff = &diff
	}
	return a.show(report.Result{Verb: "explain", Snapshot: shown, Book: book, Data: data}, a.style(), monban.SeverityUnknown)
}

// explainSnapshot looks at the ports the complaints name; without one there is
// nothing to look at.
func (a *app) explainSnapshot(ctx context.Context, in *inside, want gather.Want) (*monban.Snapshot, error) {
	if in.load == "" && in.save == "" && len(want.Ports) == 0 {
		return identity(nil), nil
	}
	snap, err := a.snapshot(ctx, in, want)
	if err == nil && in.load == "" && in.save == "" {
		gather.AddNeighbours(snap, want.Ports)
	}
	return snap, err
}

// explained puts a complaint beside what is open now.
func explained(c conflict.Complaint, snap *monban.Snapshot) report.Explained {
	d := conflict.Diagnose(c, snap, func(want monban.Bind) monban.Judgement { return conflict.CanBind(want, snap) })
	e := report.Explained{
		Text: c.Text, Program: c.Program, Proto: c.Proto, Addr: c.Addr, Port: c.Port, HasPort: c.HasPort, Errno: c.Errno,
		OS: c.OS, File: c.File, Line: c.Line, Remote: c.Remote, HolderPID: c.Holder.PID, HolderName: c.Holder.Name,
		Elsewhere: d.Elsewhere, Certain: d.Certain, Against: d.Against, Fix: d.Fix, Missing: d.Missing,
	}
	for _, cause := range d.Causes {
		e.Causes = append(e.Causes, string(cause))
	}
	for _, cause := range d.Also {
		e.Also = append(e.Also, string(cause))
	}
	return e
}

// lookAtSocket finds out what became of the file of a Unix socket, and who has
// it open.
func lookAtSocket(ctx context.Context, e *report.Explained) {
	if len(e.Causes) == 0 || e.Causes[0] != string(conflict.L23) || !filepath.IsAbs(e.File) {
		return
	}
	state, inode := sockets.UnixFile(e.File)
	switch state {
	case sockets.FileMissing:
		e.Socket = report.SocketMissing
	case sockets.FileForeign:
		e.Socket = report.SocketForeign
	case sockets.FileLeftOver:
		e.Socket = report.SocketLeftOver
	case sockets.FileInUse:
		e.Socket = report.SocketInUse
		held := []monban.Door{{Inode: inode}}
		owners.Name(ctx, held, owners.Options{}) // a holder that cannot be named is in use all the same
		e.SocketOwners = held[0].Owners
	}
}
