package cli

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/claims"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/edit"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/mend"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/sockets"
)

func (a *app) checkCommand() *cobra.Command {
	var in inside
	var system bool
	cmd := &cobra.Command{
		Use: "check [PATH…]",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := given(cmd, "save", "load"); err != nil {
				return err
			}
			return a.check(cmd.Context(), &in, system, args)
		},
	}
	cmd.Flags().BoolVar(&system, "system", false, "")
	cmd.Flags().StringVar(&in.save, "save", "", "")
	cmd.Flags().StringVar(&in.load, "load", "", "")
	return cmd
}

// check predicts whether what files and running programs ask for can start.
func (a *app) check(ctx context.Context, in *inside, system bool, paths []string) error {
	defer leaveGarbage(48)() // 5,000 claims: a twelfth of the time went into four collections
	var snap *monban.Snapshot
	var err error
	if in.load != "" {
		if snap, err = a.loadSnapshot(in.load); err != nil {
			return err
		}
	}
	asked, gaps, err := a.asked(snap, system, paths)
	if err != nil {
		return err
	}
	switch {
	case snap == nil:
		want := gather.Want{Traffic: trafficOf(asked), Host: host.Ranges | host.Caps | host.Network, Rules: true, Translations: true}
		want.Restarts, want.Stopped = want.Traffic, len(asked) > 0
		if snap, err = a.snapshot(ctx, in, want); err != nil {
			return err
		}
	case len(snap.TrafficOf) == 0:
		snap.Gaps = append(snap.Gaps, monban.Gap{Source: in.load, Err: "not saved", Hides: monban.HidesTraffic})
	}
	var ran []monban.Claim
	var ranGaps []monban.Gap
	if system {
		ran, ranGaps = running(snap)
		asked, gaps = append(asked, ran...), append(gaps, ranGaps...)
	}
	if in.load == "" {
		sockets.ReadShareOptions(deciding(asked, snap))
	}
	book, bookGaps := a.book()
	checked := conflict.Predict(asked, snap)
	f := &fixing{app: a, o: &fixOptions{in: *in, system: system}, paths: paths, files: map[string]*edit.File{}, why: map[string]error{}}
	a.advise(f, checked, snap, f.question(asked, gaps, ran, ranGaps))
	snap.Gaps = slices.Concat(snap.Gaps, gaps, bookGaps)
	result := report.Result{Verb: "check", Snapshot: snap, Book: book, Findings: conflict.Warn(checked, snap),
		Data: report.Check{Claims: checked, System: system, Release: ownVersion()}}
	if err := a.show(result, a.style(), monban.SeverityUnknown); err != nil {
		return err
	}
	return checkResult(checked, snap.Gaps)
}

// advise puts the ports that fix would choose into what is advised about claims
// that cannot start, so that both say the same. Where it cannot be told what is
// leased, the advice of the judgement stays.
func (a *app) advise(f *fixing, checked []monban.Checked, snap *monban.Snapshot, q *mend.Question) {
	if !slices.ContainsFunc(checked, func(c monban.Checked) bool { return c.Judgement.Outcome == monban.Fails }) {
		return
	}
	view := *snap
	f.snap, q.Snapshot = &view, &view
	if f.o.in.load != "" {
		f.saved = snap
	} else {
		// A connection may have any of the ports to choose from.
		view.Traffic, _ = sockets.Traffic(sockets.Options{Ports: []monban.PortRange{{First: 0, Last: 65535}}})
	}
	var err error
	if f.dir, err = workTree(); err != nil {
		return
	}
	if q.Numbers, err = f.numbers(q.Claims); err != nil {
		return
	}
	q.Advise(checked)
}

// checkResult is the exit code: a conflict, or else an answer that something
// unseen could change.
func checkResult(checked []monban.Checked, gaps []monban.Gap) error {
	incomplete := slices.ContainsFunc(gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesClaims })
	for i := range checked {
		switch checked[i].Judgement.Outcome {
		case monban.Fails:
			return foundError{}
		case monban.OutcomeUnknown:
			incomplete = true
		}
	}
	if incomplete {
		return shownError{exitIncomplete}
	}
	return nil
}

// asked reads what the named files ask for: without any, this directory, or
// with system the places where the machine's daemons keep theirs.
func (a *app) asked(saved *monban.Snapshot, system bool, paths []string) ([]monban.Claim, []monban.Gap, error) {
	p, err := place(saved)
	if err != nil {
		return nil, nil, report.CannotRead(".", err)
	}
	return a.askedAt(p, saved, system, paths)
}

// askedAt is asked of the tree in p.
func (a *app) askedAt(p claims.Place, saved *monban.Snapshot, system bool, paths []string) ([]monban.Claim, []monban.Gap, error) {
	var all []monban.Claim
	var gaps []monban.Gap
	if system {
		all, gaps = claims.System(p)
		if saved == nil && runtime.GOOS != "windows" {
			all, gaps = installed(p.FS, all, gaps)
		}
		if len(paths) == 0 {
			return all, gaps, nil
		}
	}
	for _, path := range paths {
		if path == "" {
			return nil, nil, report.EmptyPath()
		}
		if _, err := os.Stat(path); err != nil {
			return nil, nil, report.CannotRead(path, err)
		}
	}
	more, moreGaps, err := claims.Read(p, paths...)
	if err != nil {
		return nil, nil, badPath(err)
	}
	for _, g := range moreGaps {
		if claims.Broken(g) && namesFile(paths, g.Source) {
			return nil, nil, report.BadLine(g)
		}
	}
	return append(all, more...), append(gaps, moreGaps...), nil
}

// place is the root of this machine's files, seen from the working directory.
func place(saved *monban.Snapshot) (claims.Place, error) {
	dir, err := os.Getwd()
	if err != nil {
		return claims.Place{}, err
	}
	root := filepath.VolumeName(dir) + string(filepath.Separator)
	p := claims.Place{FS: claims.Files(root), Root: filepath.ToSlash(root), Env: os.LookupEnv,
		Dir: strings.TrimPrefix(filepath.ToSlash(dir), filepath.ToSlash(root))}
	var h monban.Host
	if saved != nil {
		h = saved.Host
	} else {
		h, _ = host.Read(host.Network) // what it could not see is a gap of the snapshot
	}
	p.Addrs = addresses(h)
	return p, nil
}

func addresses(h monban.Host) []netip.Addr {
	var out []netip.Addr
	for _, i := range h.Interfaces {
		for _, prefix := range i.Addrs {
			addr := prefix.Addr()
			if addr.IsLinkLocalUnicast() && addr.Is6() {
				addr = addr.WithZone(i.Name) // without it the address means nothing
			}
			if i.Up && !slices.Contains(out, addr) {
				out = append(out, addr)
			}
		}
	}
	return out
}

// badPath is the problem with a path on the command line.
func badPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return report.CannotRead(pathErr.Path, err)
	}
	return report.BadFile(err)
}

// namesFile reports whether a gap's source is a line of a file that was named,
// and not of one found by walking.
func namesFile(paths []string, source string) bool {
	file := source
	if i := strings.LastIndexByte(source, ':'); i > 0 && strings.Trim(source[i+1:], "0123456789") == "" {
		file = source[:i]
	}
	return slices.ContainsFunc(paths, func(p string) bool {
		return filepath.Clean(p) == filepath.FromSlash(file) || filepath.ToSlash(filepath.Clean(p)) == file
	})
}

// manyPorts is from how many ports on all connections are counted at once.
const manyPorts = 64

// trafficOf are the ports whose connections may be in the way.
func trafficOf(asked []monban.Claim) []monban.PortRange {
	if len(asked) == 0 {
		return nil
	}
	var out []monban.PortRange
	for _, c := range asked {
		r := monban.PortRange{First: c.Bind.Port.Num, Last: max(c.Bind.Port.Num, c.UpTo)}
		if slices.Contains(out, r) {
			continue
		}
		if out = append(out, r); len(out) > manyPorts {
			return []monban.PortRange{{First: 0, Last: 65535}}
		}
	}
	return out
}

// deciding returns the doors whose options decide whether a claim can share their
// port with them.
func deciding(asked []monban.Claim, snap *monban.Snapshot) []*monban.Door {
	shares := map[monban.Port]bool{}
	for i := range asked {
		b := &asked[i].Bind
		if b.ReusePort == monban.On || b.ReuseAddr == monban.On && b.Port.Proto == monban.UDP {
			shares[b.Port] = true
		}
	}
	var out []*monban.Door
	for i := range snap.Doors {
		if d := &snap.Doors[i]; shares[d.Bind.Port] && d.State != monban.Forwarded {
			out = append(out, d)
		}
	}
	return out
}

// running returns what the command lines of the programs behind open doors ask
// for. It is about the programs and not about their children.
func running(snap *monban.Snapshot) (asked []monban.Claim, gaps []monban.Gap) {
	seen := map[int]bool{}
	for i := range snap.Doors {
		d := &snap.Doors[i]
		if len(d.Owners) == 0 || seen[d.Owners[0].PID] || d.Bind.NetNS != "" && d.Bind.NetNS != snap.Host.NetNS {
			continue
		}
		o := &d.Owners[0]
		seen[o.PID] = true
		found, more := claims.FromCommand(o.Command, nil)
		for _, c := range found {
			c.Program.PID, c.UID = o.PID, int(o.UID)
			c.Name += " (pid " + strconv.Itoa(o.PID) + ")"
			asked = append(asked, c)
		}
		gaps = append(gaps, more...)
	}
	return asked, gaps
}
