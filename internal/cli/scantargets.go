package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/probe"
)

// targets returns what args name, or this machine's own addresses. Names are
// resolved here, once: what is scanned is what was checked.
func (j *scanJob) targets(ctx context.Context, args []string) (places, error) {
	if len(args) == 0 {
		return places{prefixes: j.ownAddresses()}, nil
	}
	var out places
	for _, arg := range args {
		found, err := resolve(ctx, arg)
		if err != nil {
			return out, err
		}
		for _, p := range found.prefixes {
			if err := j.onOneLink(&out, p); err != nil {
				return out, err
			}
		}
		out.zoned = append(out.zoned, found.zoned...)
	}
	return out, nil
}

// places are targets: prefixes, and addresses that are known on one link only.
type places struct {
	prefixes []netip.Prefix
	zoned    []netip.Addr
}

// add adds an address, by its zone if that says anything.
func (t *places) add(a netip.Addr) {
	a = a.Unmap()
	if a.Zone() != "" {
		t.zoned = append(t.zoned, a)
		return
	}
	t.prefixes = append(t.prefixes, netip.PrefixFrom(a, a.BitLen()))
}

// onOneLink adds a prefix. A link-local one exists on every link: where there are
// several, and it does not say which, the wrong host would be asked.
func (j *scanJob) onOneLink(t *places, p netip.Prefix) error {
	if !p.Addr().Is6() || !p.Addr().IsLinkLocalUnicast() || j.host.HasAddr(p.Addr()) {
		t.prefixes = append(t.prefixes, p)
		return nil
	}
	var links []string
	for _, i := range j.host.Interfaces {
		if i.Up && !i.Loopback && slices.ContainsFunc(i.Addrs, func(a netip.Prefix) bool { return a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() }) {
			links = append(links, i.Name)
		}
	}
	switch {
	case len(links) > 1:
		return report.NeedsZone(prefixText(p), p.Addr().String(), links)
	case len(links) == 1 && p.IsSingleIP():
		t.zoned = append(t.zoned, p.Addr().WithZone(links[0]))
	default:
		t.prefixes = append(t.prefixes, p)
	}
	return nil
}

// resolve reads an address, a prefix or a name.
func resolve(ctx context.Context, arg string) (out places, err error) {
	if strings.TrimSpace(arg) == "" {
		return out, report.EmptyTarget()
	}
	if p, err := netip.ParsePrefix(arg); err == nil {
		return places{prefixes: []netip.Prefix{p.Masked()}}, nil
	}
	if a, err := netip.ParseAddr(arg); err == nil {
		if zone := a.Zone(); zone != "" {
			if _, err := net.InterfaceByName(zone); err != nil && !isIndex(zone) {
				return out, report.NoSuchLink(arg, zone)
			}
		}
		out.add(a)
		return out, nil
	}
	switch {
	case strings.Contains(arg, "/"):
		return out, report.BadNetwork(arg)
	case strings.ContainsFunc(arg, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) }):
		return out, report.ASCIIName(arg)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", arg)
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		err = errors.New(dns.Err) // without the name, which is told of anyway
	}
	if err != nil || len(addrs) == 0 {
		return out, report.BadTarget(arg, err)
	}
	for _, a := range addrs {
		out.add(a)
	}
	return out, nil
}

// isIndex reports whether a zone is the number of an interface that is there.
func isIndex(zone string) bool {
	n, err := strconv.Atoi(zone)
	if err != nil {
		return false
	}
	_, err = net.InterfaceByIndex(n)
	return err == nil
}

// ownAddresses are those of this machine that others, or itself, reach it by:
// the most that are asked for every port.
func (j *scanJob) ownAddresses() (out []netip.Prefix) {
	for _, i := range j.host.Interfaces {
		for _, p := range i.Addrs {
			a := p.Addr()
			if i.Up && !a.IsLinkLocalUnicast() && len(out) < fewHosts {
				out = append(out, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	if len(out) == 0 {
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 32))
	}
	return out
}

// guard refuses targets that are not plainly the user's own, and returns the
// ceiling that fits the farthest.
func (j *scanJob) guard(t places) (rate float64, err error) {
	rate = nearRate
	prefixes := slices.Clone(t.prefixes)
	for _, a := range t.zoned {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen())) // a prefix has no zone
	}
	for _, p := range prefixes {
		if p.IsSingleIP() && j.host.HasAddr(p.Addr()) {
			j.own = true
		}
		switch reach := probe.ReachOf(p, &j.host); reach {
		case probe.Never:
			return 0, report.NoHost(prefixText(p))
		case probe.Wide, probe.Far:
			if !j.o.authorised {
				return 0, report.NeedsAuthority(prefixText(p), reach == probe.Wide)
			}
			if reach == probe.Far {
				rate = farRate
			}
		}
	}
	return rate, nil
}

// excluded returns what --exclude names, and the addresses of this machine's own
// links that are no host's.
func (j *scanJob) excluded(ctx context.Context) ([]netip.Prefix, error) {
	out := probe.LinkEnds(&j.host)
	for _, word := range j.o.exclude {
		found, err := resolve(ctx, word)
		if err != nil {
			return nil, err
		}
		out = append(out, found.prefixes...)
		for _, a := range found.zoned { // on every link: rather one too many
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out, nil
}

// stateFile is an interrupted scan on disk.
type stateFile struct {
	Scan  int          `json:"monban_scan"` // version of the file
	State *probe.State `json:"state"`
}

func (j *scanJob) loadState() error {
	text, err := readWhole(j.o.resume)
	if err != nil {
		return report.CannotRead(j.o.resume, err)
	}
	var f stateFile
	if err := json.Unmarshal(text, &f); err != nil || f.Scan != 1 || f.State == nil || !f.State.Valid() {
		return report.NotInterrupted(j.o.resume)
	}
	j.question.Resume = f.State
	return nil
}

// statePath is where the state of a scan is left that is broken off now.
func (j *scanJob) statePath() string {
	if j.o.resume != "" {
		return j.o.resume
	}
	return "monban-scan-" + time.Now().UTC().Format("20060102-150405") + ".json"
}

// saveState leaves a file beside the user, or where it was taken from.
func (j *scanJob) saveState(s *probe.State) (path string, err error) {
	path = j.statePath()
	err = writeAtomic(path, func(f *os.File) error { return json.NewEncoder(f).Encode(stateFile{1, s}) })
	if err != nil {
		return "", report.CannotWrite(path, err)
	}
	return path, nil
}

// oldScan is the result of an earlier scan, as far as it can be compared.
type oldScan struct {
	at       time.Time
	targets  *probe.Targets
	asked    []monban.PortRange
	open     map[netip.AddrPort]monban.Sighting
	openUDP  map[netip.AddrPort]monban.Sighting
	services bool
}

// readNamed reads a file that the user named, or standard input.
func (a *app) readNamed(path string) ([]byte, error) {
	if path == stdio {
		return io.ReadAll(a.sys.Stdin)
	}
	return readWhole(path)
}

// sourceFor returns the address of this machine's that packets to a target leave
// with, "" if there is no way there. Nothing is sent.
func sourceFor(ctx context.Context, target netip.Addr) string {
	c, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(target, 9).String())
	if err != nil {
		return ""
	}
	defer c.Close()
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return ""
	}
	return local.Addr().Unmap().String()
}

// oldScan reads the file of --diff, nil without.
func (j *scanJob) oldScan() (*oldScan, error) {
	if j.o.diff == "" {
		return nil, nil
	}
	text, err := j.app.readNamed(j.o.diff)
	if err != nil {
		return nil, report.CannotRead(j.o.diff, err)
	}
	f, err := readScan(text)
	if err != nil {
		return nil, report.NotAScan(j.o.diff)
	}
	if f.Data.Interrupted {
		return nil, report.OldInterrupted(j.o.diff)
	}
	old := &oldScan{at: f.At, open: make(map[netip.AddrPort]monban.Sighting), openUDP: make(map[netip.AddrPort]monban.Sighting)}
	var targets places
	for _, t := range f.Data.Targets {
		if a, err := netip.ParseAddr(t); err == nil && a.Zone() != "" {
			targets.add(a)
			continue
		}
		found, err := parseTarget(t)
		if err != nil {
			return nil, report.NotAScan(j.o.diff)
		}
		targets.prefixes = append(targets.prefixes, found)
	}
	var ok bool
	if old.targets, ok = probe.NewTargets(targets.prefixes, nil, targets.zoned...); !ok {
		return nil, report.TooManyTargets(probe.MaxTargets)
	}
	for proto, list := range map[monban.Proto]string{monban.TCP: f.Data.TCP, monban.UDP: f.Data.UDP} {
		for _, word := range splitList(list) {
			r, err := monban.ParsePortRange(word)
			if err != nil {
				return nil, report.NotAScan(j.o.diff)
			}
			r.Proto = proto
			old.asked = append(old.asked, r)
		}
	}
	for _, s := range f.Data.Sightings {
		if s.State != monban.SightOpen {
			continue
		}
		one := monban.Sighting{Target: s.Target, Port: monban.Port{Num: s.Port, Proto: s.Proto}, State: s.State}
		if s.Service != nil {
			old.services = true
			one.Service = monban.Service{Protocol: s.Service.Protocol, Product: s.Service.Product, Version: s.Service.Version,
				TLS: s.Service.TLS, Grade: s.Service.Grade, Evidence: s.Service.Evidence}
		}
		old.of(s.Proto)[netip.AddrPortFrom(s.Target, s.Port)] = one
	}
	return old, nil
}

func parseTarget(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (o *oldScan) of(p monban.Proto) map[netip.AddrPort]monban.Sighting {
	if p == monban.UDP {
		return o.openUDP
	}
	return o.open
}

func (o *oldScan) hasAsked(target netip.Addr, p monban.Port) bool {
	_, ok := o.targets.Index(target)
	return ok && inRanges(o.asked, p)
}

// overlaps reports whether the old scan asked any door that is asked now.
func (o *oldScan) overlaps(q *probe.Question) bool {
	asked := func(ports []uint16, proto monban.Proto) bool {
		return slices.ContainsFunc(ports, func(p uint16) bool { return inRanges(o.asked, monban.Port{Num: p, Proto: proto}) })
	}
	if !asked(q.TCP, monban.TCP) && !asked(q.UDP, monban.UDP) {
		return false
	}
	before := o.targets.Prefixes()
	return slices.ContainsFunc(q.Targets.Prefixes(), func(p netip.Prefix) bool { return slices.ContainsFunc(before, p.Overlaps) }) ||
		slices.ContainsFunc(q.Targets.Zoned(), func(a netip.Addr) bool { _, ok := o.targets.Index(a); return ok })
}

// compare returns what opened, closed and changed among the doors that both
// scans asked, and of which open ones it is not known now.
func (o *oldScan) compare(now *report.Scan, r *probe.Report) *report.ScanDiff {
	d := &report.ScanDiff{Since: o.at}
	byPlace := func(a, b monban.Sighting) int {
		if c := a.Target.Compare(b.Target); c != 0 {
			return c
		}
		return int(a.Port.Num) - int(b.Port.Num)
	}
	for s := range now.Seen {
		if s.State != monban.SightOpen || !o.hasAsked(s.Target, s.Port) {
			continue
		}
		key := netip.AddrPortFrom(s.Target, s.Port.Num)
		before, was := o.of(s.Port.Proto)[key]
		switch {
		case !was:
			d.Opened = append(d.Opened, s.Sighting)
		case o.services && now.Identified && other(&before.Service, &s.Service):
			d.Changed = append(d.Changed, report.ServiceChange{Before: before, After: s.Sighting})
		}
	}
	asked := append(slices.Clone(now.TCP), now.UDP...)
	for _, proto := range []monban.Proto{monban.TCP, monban.UDP} {
		for key, before := range o.of(proto) {
			state := r.Of(key.Addr(), before.Port)
			if state == monban.SightOpen || !inRanges(asked, before.Port) || !covers(now.Targets, key.Addr()) {
				continue
			}
			if before.State = state; state == monban.SightUnknown {
				d.Undecided = append(d.Undecided, before)
				continue
			}
			d.Closed = append(d.Closed, before)
		}
	}
	slices.SortFunc(d.Closed, byPlace)
	slices.SortFunc(d.Undecided, byPlace)
	return d
}

// covers reports whether an address is one of the targets, as the output writes them.
func covers(targets []string, a netip.Addr) bool {
	return slices.ContainsFunc(targets, func(t string) bool {
		if p, err := netip.ParsePrefix(t); err == nil {
			return p.Contains(a) // no address with a zone: those are targets of their own
		}
		one, err := netip.ParseAddr(t)
		return err == nil && one == a
	})
}

// other reports whether two services are certainly not the same.
func other(a, b *monban.Service) bool {
	if a.Grade != monban.GradeIdentified || b.Grade != monban.GradeIdentified {
		return false
	}
	return a.Protocol != b.Protocol || a.Product != b.Product || a.Version != b.Version || a.TLS != b.TLS
}
