package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
	"github.com/monban-dev/monban/probe"
)

// The most packets a second unless --rate says otherwise.
const (
	nearRate = 250_000
	farRate  = 1_000
)

// fewHosts is how many targets are asked for every port unless -p says which.
const fewHosts = 16

// mostDoors is how many doors a scan can have: two bits each, where something
// answers.
const mostDoors = 1 << 34

type scanOptions struct {
	ports      string
	udp        bool
	connect    bool
	xdp        bool
	rate       float64
	exclude    []string
	all        bool
	identify   bool
	authorised bool
	diff       string
	resume     string
	failOn     string
}

func (a *app) scanCommand() *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use: "scan [TARGET…]",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scan(cmd, &o, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.ports, "ports", "p", "", "")
	flags.BoolVar(&o.udp, "udp", false, "")
	flags.BoolVar(&o.connect, "connect", false, "")
	flags.BoolVar(&o.xdp, "xdp", false, "")
	flags.Float64Var(&o.rate, "rate", nearRate, "")
	flags.StringSliceVar(&o.exclude, "exclude", nil, "")
	flags.BoolVar(&o.all, "all", false, "")
	flags.BoolVar(&o.identify, "identify", false, "")
	flags.BoolVar(&o.authorised, "i-am-authorised", false, "")
	flags.StringVar(&o.diff, "diff", "", "")
	flags.StringVar(&o.resume, "resume", "", "")
	flags.StringVar(&o.failOn, "fail-on", "", "")
	return cmd
}

// scan looks at targets from outside.
func (a *app) scan(cmd *cobra.Command, o *scanOptions, args []string) error {
	failOn, err := (&inside{failOn: o.failOn}).threshold()
	if err != nil {
		return err
	}
	h, gaps := host.Read(host.Network | host.Ranges | host.Caps)
	book, bookGaps := a.book()
	gaps = append(gaps, bookGaps...)
	j := &scanJob{app: a, o: o, host: h, book: book, gaps: gaps}
	if err := j.prepare(cmd, args); err != nil {
		return err
	}
	old, err := j.oldScan()
	if err != nil {
		return err
	}
	if old != nil && !old.overlaps(&j.question) {
		return report.NothingInCommon(o.diff)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second one ends the program
	data, snap, notSaved := j.run(ctx)
	if snap == nil {
		return notSaved
	}
	if old != nil {
		data.Diff = old.compare(&data, j.report)
	}
	result := report.Result{Verb: "scan", Snapshot: snap, Book: book, Data: data, Findings: j.findings(&data)}
	style := a.style()
	switch report.Format(a.format) {
	case report.JSONLines:
		err = report.ScanLastLine(a.sys.Stdout, result, data, style)
	default:
		err = report.Write(a.sys.Stdout, result, style)
	}
	if err != nil {
		return report.CannotWrite("stdout", err)
	}
	if notSaved != nil {
		return notSaved
	}
	if data.Interrupted {
		return shownError{exitFailed}
	}
	for _, f := range result.Findings {
		if failOn != monban.SeverityUnknown && f.Severity >= failOn {
			return foundError{}
		}
	}
	return nil
}

// findings are what is worth telling of the open doors.
func (j *scanJob) findings(data *report.Scan) []monban.Finding {
	out := exposure.Answering(func(yield func(monban.Sighting) bool) {
		for seen := range data.Seen {
			if !yield(seen.Sighting) {
				return
			}
		}
	}, j.book, j.report.Doubtful)
	if data.Diff != nil {
		out = append(out, exposure.Opened(slices.DeleteFunc(slices.Clone(data.Diff.Opened), func(s monban.Sighting) bool { return j.report.Doubtful(s.Target, s.Port) }))...)
	}
	return out
}

// scanJob is one scan from the command line to its result.
type scanJob struct {
	app  *app
	o    *scanOptions
	host monban.Host
	book *portbook.Book
	gaps []monban.Gap

	question probe.Question
	report   *probe.Report
	// own says that some target is this machine.
	own bool
}

// prepare turns the command line into a question, and refuses what must not be
// asked.
func (j *scanJob) prepare(cmd *cobra.Command, args []string) error {
	o := j.o
	set := cmd.Flags().Changed
	if set("rate") && o.rate != 0 && (o.rate < 1 || o.rate != o.rate) {
		return report.BadRate(o.rate)
	}
	if set("ports") && len(splitList(o.ports)) == 0 {
		return report.EmptyPorts()
	}
	if o.connect && o.xdp {
		return report.Together("--connect", "--xdp")
	}
	if o.diff != "" && report.Format(j.app.format) == report.NmapXML {
		return report.Together("--diff", "--format nmap-xml") // it has no place for it
	}
	var to places
	var err error
	if o.resume != "" {
		for _, name := range []string{"ports", "udp", "exclude"} {
			if set(name) {
				return report.ResumeTakesNothing("--" + name)
			}
		}
		if len(args) > 0 {
			return report.ResumeTakesNothing(args[0])
		}
		if err := j.loadState(); err != nil {
			return err
		}
		to = places{j.question.Resume.Targets, j.question.Resume.Zoned}
	} else if to, err = j.targets(cmd.Context(), args); err != nil {
		return err
	}
	rate, err := j.guard(to)
	if err != nil {
		return err
	}
	if set("rate") {
		rate = o.rate
	}
	exclude, err := j.excluded(cmd.Context())
	if err != nil {
		return err
	}
	q := &j.question
	var ok bool
	if q.Targets, ok = probe.NewTargets(to.prefixes, exclude, to.zoned...); !ok {
		return report.TooManyTargets(probe.MaxTargets)
	}
	if q.Targets.Len() == 0 {
		return report.NothingToScan()
	}
	if q.Resume != nil {
		q.TCP, q.UDP = q.Resume.TCP, q.Resume.UDP
	} else if err := j.ports(); err != nil {
		return err
	}
	if q.Targets.Len()*uint64(len(q.TCP)+len(q.UDP)) > mostDoors {
		return report.TooManyTargets(mostDoors)
	}
	q.Rate, q.Pinned, q.Host = rate, set("rate") && (o.rate == 0 || o.rate > nearRate), j.host
	switch {
	case o.connect:
		q.Engine = probe.Connect
	case o.xdp:
		q.Engine = probe.XDP
	}
	return nil
}

// ports reads -p, or chooses the default ports.
func (j *scanJob) ports() error {
	q := &j.question
	switch {
	case j.o.ports == "" && q.Targets.Len() <= fewHosts, j.o.ports == "-":
		q.TCP = expand([]monban.PortRange{{First: 1, Last: 65535}})
	case j.o.ports == "":
		q.TCP = probe.PracticePorts(j.book)
	default:
		var tcp, udp []monban.PortRange
		for _, word := range splitList(j.o.ports) {
			ranges := []monban.PortRange{{First: 1, Last: 65535}}
			if word != "-" {
				var err error
				if ranges, err = parsePorts(j.book, []string{word}); err != nil {
					return err
				}
			}
			for _, r := range ranges {
				switch r.Proto {
				case monban.AnyProto:
					tcp = append(tcp, r)
					if j.o.udp {
						udp = append(udp, r)
					}
				case monban.TCP:
					tcp = append(tcp, r)
				case monban.UDP:
					udp = append(udp, r)
				default:
					return report.OnlyTCPAndUDP(word)
				}
			}
		}
		q.TCP, q.UDP = expand(tcp), expand(udp)
		return nil
	}
	if j.o.udp {
		q.UDP = probe.UDPPorts()
		if j.o.ports == "-" {
			q.UDP = q.TCP
		}
	}
	return nil
}

// expand lists the numbers of ranges once each, in order.
func expand(ranges []monban.PortRange) []uint16 {
	var wanted [1 << 16]bool
	for _, r := range ranges {
		for n := int(r.First); n <= int(r.Last); n++ {
			wanted[n] = true
		}
	}
	var out []uint16
	for n, is := range wanted {
		if is {
			out = append(out, uint16(n))
		}
	}
	return out
}

// collapse is the inverse of expand.
func collapse(ports []uint16, proto monban.Proto) (out []monban.PortRange) {
	for _, p := range ports {
		if n := len(out); n > 0 && out[n-1].Last+1 == p && p != 0 {
			out[n-1].Last = p
			continue
		}
		out = append(out, monban.PortRange{First: p, Last: p, Proto: proto})
	}
	return out
}

// run asks, and joins what this machine knows about its own doors.
func (j *scanJob) run(ctx context.Context) (report.Scan, *monban.Snapshot, error) {
	a := j.app
	q := j.question
	doors := q.Targets.Len() * uint64(len(q.TCP)+len(q.UDP))
	if !j.own {
		report.ScanBudget(a.sys.Stderr, q.Targets.Len(), doors-q.Resume.Answered(), q.Rate, a.lang)
	}
	found := newFinder(ctx, a, j.o.identify)
	if found.wanted() {
		q.Found = found.add
	}
	q.Ready = j.settle
	if a.sys.StderrTerminal {
		q.Progress = func(p probe.Progress) {
			if p.Elapsed > time.Second {
				report.ScanProgressLine(a.sys.Stderr, report.ScanProgress{Rate: p.Rate, Open: p.Open, Asked: p.Doors, Left: p.Left, Pass: p.Pass}, a.lang, a.stderrWidth())
			}
		}
		defer report.ScanProgressEnd(a.sys.Stderr)
	}
	r, err := probe.Scan(ctx, q)
	if err != nil {
		return report.Scan{}, nil, report.CannotScan(err)
	}
	j.report = r
	data := report.Scan{
		TCP: collapse(q.TCP, monban.TCP), UDP: collapse(q.UDP, monban.UDP), Engine: r.Engine.String(), All: j.o.all, Interrupted: r.Interrupted,
		Stats: report.ScanStats{Probes: r.Probes, Answers: r.Answers, Seconds: r.Elapsed.Seconds(), Passes: r.Passes, Missed: r.Missed},
	}
	for _, p := range q.Targets.Prefixes() {
		data.Targets = append(data.Targets, prefixText(p))
	}
	for _, a := range q.Targets.Zoned() {
		data.Targets = append(data.Targets, a.String())
	}
	data.Identified = j.o.identify
	r.Gaps = append(r.Gaps, found.finish()...)
	data.Seen = func(yield func(report.Seen) bool) {
		for s := range r.Sightings(j.o.all) {
			if !yield(report.Seen{Sighting: found.identified(s)}) {
				return
			}
		}
	}
	data.Stats.Seconds = time.Since(r.At).Seconds() // with the talks, which go on after the last probe
	for c := range r.Counts() {
		data.Total.Open += c.Open
		data.Total.Closed += c.Closed
		data.Total.Filtered += c.Filtered
		data.Total.Unknown += c.Unknown
	}
	for _, last := range r.Stopped {
		if data.Stopped == nil {
			data.Stopped = make(map[string]*report.LastAnswer)
		}
		data.Stopped[last.Target.String()] = &report.LastAnswer{Seconds: last.After.Seconds(), Probes: last.Probes}
	}
	// A long list of targets that said nothing says nothing.
	const listed = 4096
	data.Counts = func(yield func(report.ScanCount) bool) {
		for c := range r.Counts() {
			if q.Targets.Len() > listed && c.Open+c.Closed+c.Filtered == 0 {
				continue
			}
			if !yield(report.ScanCount{Target: c.Target.String(), Open: c.Open, Closed: c.Closed, Filtered: c.Filtered, Unknown: c.Unknown,
				From: sourceFor(context.WithoutCancel(ctx), c.Target), LastAnswer: data.Stopped[c.Target.String()]}) {
				return
			}
		}
	}
	snap := &monban.Snapshot{At: r.At, Host: j.host, Gaps: append(j.gaps, r.Gaps...)}
	if j.own {
		j.inside(ctx, &data, snap, r)
	}
	if r.Interrupted {
		// What is known is shown, too, where no file can be left.
		if data.Resume, err = j.saveState(r.State()); err == nil {
			report.ScanInterrupted(a.sys.Stderr, data.Resume, a.lang)
		}
	}
	return data, snap, err
}

// stderrWidth is how many columns the terminal has now on which progress is shown: it
// may be resized meanwhile, and stdout need not be one.
func (a *app) stderrWidth() int {
	if f, ok := a.sys.Stderr.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// prefixText writes a prefix of one address as the address.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// inside puts beside each door of this machine what it knows about it from
// inside, and adds the doors that listen and were not found open.
func (j *scanJob) inside(ctx context.Context, data *report.Scan, snap *monban.Snapshot, r *probe.Report) {
	view := gather.Snapshot(context.WithoutCancel(ctx), gather.Want{})
	data.Inside = true
	snap.Containers, snap.Gaps = view.Containers, append(snap.Gaps, view.Gaps...)
	snap.Host.NetNS = view.Host.NetNS
	type place struct {
		target netip.Addr
		port   monban.Port
	}
	at := make(map[place]int)
	list := slices.Collect(data.Seen)
	data.Seen = slices.Values(list)
	for i := range list {
		s := &list[i]
		if !j.host.HasAddr(s.Target) {
			continue
		}
		at[place{s.Target, s.Port}] = i
		for _, d := range view.Doors {
			if d.Bind.Port == s.Port && answersAt(&d.Bind, s.Target) && d.State != monban.Bound == (s.Port.Proto == monban.TCP) {
				s.Doors = append(s.Doors, d)
			}
		}
		if s.State == monban.SightOpen && len(s.Doors) == 0 && !slices.ContainsFunc(view.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesDoors }) {
			s.Differs = report.OnlyOutside
		}
		if s.State != monban.SightOpen && len(s.Doors) > 0 && s.Port.Proto == monban.TCP {
			s.Differs = report.OnlyInside
		}
	}
	if data.Interrupted || data.All {
		return
	}
	for s := range r.Sightings(true) {
		if s.State == monban.SightOpen || s.Port.Proto != monban.TCP || !j.host.HasAddr(s.Target) {
			continue
		}
		var here []monban.Door
		for _, d := range view.Doors {
			if d.State == monban.Listen && d.Bind.Port == s.Port && answersAt(&d.Bind, s.Target) {
				here = append(here, d)
			}
		}
		if _, listed := at[place{s.Target, s.Port}]; len(here) > 0 && !listed {
			list = append(list, report.Seen{Sighting: s, Doors: here, Differs: report.OnlyInside})
		}
	}
	slices.SortStableFunc(list, func(a, b report.Seen) int {
		if c := a.Target.Compare(b.Target); c != 0 {
			return c
		}
		if a.Port.Proto != b.Port.Proto {
			return int(a.Port.Proto) - int(b.Port.Proto)
		}
		return int(a.Port.Num) - int(b.Port.Num)
	})
	data.Seen = slices.Values(list)
}

// answersAt reports whether a socket gets what is sent to an address.
func answersAt(b *monban.Bind, target netip.Addr) bool {
	target = target.WithZone("")
	if b.NetNS != "" {
		return false
	}
	if !b.Addr.IsUnspecified() {
		return b.Addr.WithZone("").Unmap() == target
	}
	return b.Addr.Is4() == target.Is4() || b.Addr.Is6() && target.Is4() && b.V6Only == monban.Off
}

// errTooBig is a file that no scan writes.
var errTooBig = errors.New("too large")

// readWhole reads a file that the user named, up to a size that is beyond any
// that monban writes.
func readWhole(path string) ([]byte, error) {
	const most = 1 << 30
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%w: %d bytes", errTooBig, info.Size())
	}
	return os.ReadFile(path)
}
