package cli

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

func (a *app) portCommand() *cobra.Command {
	var in inside
	cmd := &cobra.Command{
		Use: "port PORT…",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return report.MissingArgument("monban port 80")
			}
			if err := given(cmd, "save", "load", "diff"); err != nil {
				return err
			}
			return a.ports(cmd.Context(), &in, args)
		},
	}
	in.flags(cmd)
	return cmd
}

// bare is [app.ports] without the word port: its first argument may have been
// meant as a command.
func (a *app) bare(ctx context.Context, in *inside, args []string) error {
	err := a.ports(ctx, in, args)
	if err == nil || len(args[0]) < 3 {
		return err
	}
	root := a.root()
	root.SuggestionsMinimumDistance = min(2, len(args[0])-2)
	return report.MeantCommand(err, args[0], root.SuggestionsFor(args[0]))
}

// ports shows everything about the ports that args name, or with --diff what
// changed there.
func (a *app) ports(ctx context.Context, in *inside, args []string) error {
	failOn, err := in.threshold()
	if err != nil {
		return err
	}
	if in.diff != "" && in.failOn != "" {
		return report.Together("--diff", "--fail-on")
	}
	book, gaps := a.book()
	ranges, err := parsePorts(book, args)
	if err != nil {
		return err
	}
	before, err := a.earlier(in)
	if err != nil {
		return err
	}
	snap, err := a.snapshot(ctx, in, gather.Want{Ports: ranges, Traffic: ranges, Restarts: ranges, Host: host.Ranges | host.Caps, Rules: true})
	if err != nil {
		return err
	}
	if before != nil {
		judgeBoth(before, snap)
	} else {
		if len(snap.DoorsOf) > 0 && exposure.LeadsHere(snap) {
			gather.AddNeighbours(snap, ranges)
		}
		judgeReach(snap)
	}
	keep := func(d *monban.Door) bool { return inRanges(ranges, d.Bind.Port) }
	shown := narrowed(snap, keep)
	shown.Gaps = append(shown.Gaps, gaps...)
	if before != nil {
		return a.difference(narrowed(before, keep), shown, book, a.style())
	}
	if in.load != "" && len(snap.TrafficOf) == 0 {
		shown.Gaps = append(shown.Gaps, monban.Gap{Source: in.load, Err: "not saved", Hides: monban.HidesTraffic})
	}
	services := localServices(ranges)
	views := portViews(ranges, snap, book, services)
	if len(snap.DoorsOf) > 0 && slices.ContainsFunc(views, refused) {
		gather.AddNeighbours(snap, ranges)
		views = portViews(ranges, snap, book, services)
	}
	return a.show(report.Result{
		Verb: "port", Snapshot: shown, Book: book,
		Data:     report.Ports{Ports: views},
		Findings: exposure.Inspect(shown, book, conflict.Inspect(shown, book)),
	}, a.style(), failOn)
}

// refused reports whether some bind of the port would fail, so that the user
// will want another one.
func refused(v report.PortView) bool {
	return slices.ContainsFunc(v.Bind, func(j monban.Judgement) bool { return j.Outcome == monban.Fails })
}

// portViews collects what is known about each number, once.
func portViews(ranges []monban.PortRange, snap *monban.Snapshot, book *portbook.Book, local portbook.Services) []report.PortView {
	doors := make(map[uint16][]monban.Door)
	for _, d := range snap.Doors {
		doors[d.Bind.Port.Num] = append(doors[d.Bind.Port.Num], d)
	}
	traffic := make(map[uint16][]monban.Traffic)
	for _, t := range snap.Traffic {
		traffic[t.Port.Num] = append(traffic[t.Port.Num], t)
	}
	list := longList{snap: snap, translated: conflict.TranslatedPorts(snap.Rules)}
	seen := make(map[monban.Port]bool)
	var views []report.PortView
	for _, r := range ranges {
		for num := int(r.First); num <= int(r.Last); num++ {
			p := monban.Port{Num: uint16(num), Proto: r.Proto}
			if seen[p] {
				continue
			}
			seen[p] = true
			v := report.PortView{Port: p, Local: localName(p, book, local)}
			for _, d := range doors[p.Num] {
				if r.Contains(d.Bind.Port) {
					v.Doors = append(v.Doors, d)
				}
			}
			for _, t := range traffic[p.Num] {
				if r.Contains(t.Port) {
					v.Traffic = append(v.Traffic, t)
				}
			}
			switch few := 16; {
			case len(views) < few:
				v.Bind = judge(p, snap)
			default:
				v.Bind = list.judge(p, doors[p.Num], traffic[p.Num])
			}
			views = append(views, v)
		}
	}
	return views
}

// longList judges the ports of a long list. No alternatives are named there, and
// a look at the doors of the one port is quicker; and what was found of one port
// without door, traffic, privilege and rule that leads away from it holds for all.
type longList struct {
	snap *monban.Snapshot
	// translated says whether a rule may lead away from a port.
	translated func(uint16) bool
	free       map[monban.Proto][]monban.Judgement
}

func (l *longList) judge(p monban.Port, doors []monban.Door, traffic []monban.Traffic) []monban.Judgement {
	plain := l.snap.Host.OS == "linux" && len(doors) == 0 && len(traffic) == 0 && !l.translated(p.Num) && p.Num >= l.snap.Host.Unprivileged && p.Num > 0
	if found, ok := l.free[p.Proto]; ok && plain {
		found = slices.Clone(found)
		for i := range found {
			found[i].Bind.Port.Num = p.Num
		}
		return found
	}
	only := *l.snap
	only.Doors, only.Traffic = doors, traffic
	if !l.translated(p.Num) {
		only.Rules = nil
	}
	found := judge(p, &only)
	if plain && !slices.ContainsFunc(found, func(j monban.Judgement) bool { return j.Outcome != monban.Starts || len(j.Fix) > 0 }) {
		if l.free == nil {
			l.free = make(map[monban.Proto][]monban.Judgement)
		}
		l.free[p.Proto] = found
	}
	return found
}

// judge answers whether a program that sets no socket options could open p now,
// on every IPv4 address and on every address.
func judge(p monban.Port, snap *monban.Snapshot) []monban.Judgement {
	out := make([]monban.Judgement, 0, 4)
	for _, proto := range []monban.Proto{monban.TCP, monban.UDP} {
		if p.Proto != monban.AnyProto && p.Proto != proto {
			continue
		}
		for _, addr := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			out = append(out, conflict.CanBind(monban.Bind{Port: monban.Port{Num: p.Num, Proto: proto}, Addr: addr}, snap))
		}
	}
	return out
}

// names is the part of the port book that turns words into ports.
type names interface {
	Lookup(name string) []monban.PortRange
	Nearest(name string, n int) []string
}

// parsePorts reads the port grammar: N, N-M or a service name, each with an
// optional transport. Lists with commas are taken as well as words.
func parsePorts(book names, args []string) ([]monban.PortRange, error) {
	var out []monban.PortRange
	var words []string
	for _, arg := range args {
		words = append(words, strings.Split(halfWidth(arg), ",")...)
	}
	for _, arg := range words {
		arg = strings.TrimSpace(arg)
		r, err := monban.ParsePortRange(arg)
		var bad *monban.PortError
		switch {
		case err == nil:
			out = append(out, r)
		case strings.ContainsAny(arg, ":/.") && withAddress(arg) != nil:
			return nil, withAddress(arg)
		case errors.As(err, &bad) && bad.Problem == monban.NotANumber:
			named, err := lookup(book, arg)
			if err != nil {
				return nil, err
			}
			out = append(out, named...)
		default:
			return nil, report.PortProblem(arg, err)
		}
	}
	return out, nil
}

// lookup finds the ports of a service name, with or without a transport.
func lookup(book names, arg string) ([]monban.PortRange, error) {
	name, suffix, hasProto := strings.Cut(arg, "/")
	found := book.Lookup(name)
	if len(found) == 0 {
		var nearest []string
		if strings.ContainsFunc(name, unicode.IsLetter) {
			nearest = book.Nearest(name, 3)
		}
		if len(nearest) == 0 && strings.ContainsAny(name, "0123456789") {
			return nil, report.NotAPort(arg)
		}
		return nil, report.UnknownService(name, nearest)
	}
	if !hasProto {
		return found, nil
	}
	proto, err := monban.ParseProto(suffix)
	if err != nil {
		return nil, report.PortProblem(arg, err)
	}
	var out []monban.PortRange
	for _, r := range found {
		if r.Proto == monban.AnyProto || r.Proto == proto {
			r.Proto = proto
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, report.UnknownService(arg, nil)
	}
	return out, nil
}

// withAddress tells somebody who named an address, as error messages and browsers
// show it, what to name instead. It returns nil for what is no address.
func withAddress(arg string) error {
	_, errAddr := netip.ParseAddr(arg)
	_, errNet := netip.ParsePrefix(arg)
	if errAddr == nil || errNet == nil {
		return report.NotAPortButHost(arg)
	}
	scheme, rest, isURL := strings.Cut(arg, "://")
	if !isURL {
		scheme, rest = "", arg
	}
	host, _, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		if p, err := monban.ParsePortRange(host[i+1:]); err == nil && p.First == p.Last {
			return report.NotJustAPort(arg, p.String())
		}
	}
	if scheme != "" {
		return report.NotJustAPort(arg, scheme)
	}
	return nil
}

// halfWidth turns the wide letters and digits of a Japanese keyboard, "８０", into
// the ones that are meant; so it does with the other signs that stand between two
// numbers, "32768–60999", as monban itself writes it, "80〜90", "80、443".
func halfWidth(s string) string {
	word := []rune(s)
	for i, r := range word {
		switch {
		case r == '　':
			word[i] = ' '
		case r == '、':
			word[i] = ','
		case '！' <= r && r <= '～':
			word[i] = r - '！' + '!'
		}
	}
	digit := func(i int) bool { return i >= 0 && i < len(word) && '0' <= word[i] && word[i] <= '9' }
	for i, r := range word {
		switch r {
		case '–', '−', '~', '〜', 'ー':
			if digit(i-1) && digit(i+1) {
				word[i] = '-'
			}
		}
	}
	return string(word)
}

// splitList cuts "80,443" and "80 443".
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// localServices reads this machine's own services file, so that the answer
// matches what its other tools print. Without one there are no local names.
func localServices(ranges []monban.PortRange) portbook.Services {
	text, err := host.ReadRegular("/etc/services", portbook.MaxServices)
	if err != nil {
		return nil
	}
	return portbook.ParseServices(text, ranges...)
}

// localName is the machine's own name for p where the registry has another one.
func localName(p monban.Port, book *portbook.Book, local portbook.Services) string {
	assigned := book.Assigned(p)
	if len(assigned) == 0 {
		return local.Name(p)
	}
	for _, e := range assigned {
		name := local.Name(e.Port)
		if name != "" && name != e.Name && !slices.Contains(e.Aliases, name) {
			return name
		}
	}
	return ""
}
