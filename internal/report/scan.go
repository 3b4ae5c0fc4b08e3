package report

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Scan is what `monban scan` saw from outside.
type Scan struct {
	Targets []string // prefixes
	TCP     []monban.PortRange
	UDP     []monban.PortRange
	Engine  string // "raw", "xdp" or "connect"
	// Seen are the doors, in order of target and port. They and Counts may be
	// millions, and are gone through as often as they are needed.
	Seen iter.Seq[Seen]
	// Counts are in the same order. It leaves out targets that said nothing where
	// there are very many; Total has them.
	Counts iter.Seq[ScanCount]
	Total  ScanCount
	Stats  ScanStats
	// All says that Seen has every door and not only the open ones.
	All bool
	// Identified says that services were asked for.
	Identified bool
	// Inside says that some target is this machine, and was looked at from inside
	// too.
	Inside bool
	// Interrupted says that the scan did not end; it can be continued with the
	// file Resume.
	Interrupted bool
	Resume      string
	Diff        *ScanDiff
	// Stopped are the targets that stopped answering, by address.
	Stopped map[string]*LastAnswer
}

// Seen is one door from outside, and from inside where the target is this
// machine.
type Seen struct {
	monban.Sighting
	// Doors are what this machine has open there.
	Doors []monban.Door
	// Differs is how the two views differ: [OnlyOutside], [OnlyInside], "" is
	// not at all, or not known.
	Differs string
}

// How the view from outside differs from that from inside.
const (
	// OnlyOutside: something answers, and no socket of this network namespace is
	// there: a redirection, a container, something in the path.
	OnlyOutside = "only-outside"
	// OnlyInside: a socket listens there, and the scan did not find it open.
	OnlyInside = "only-inside"
)

// TooManyToAsk is the error of a gap: of a host with so many open doors not all
// were asked what they are.
const TooManyToAsk = "too many to ask"

// ScanCount are the doors of one target by what they said.
type ScanCount struct {
	Target   string `json:"target"`
	Open     int    `json:"open"`
	Closed   int    `json:"closed"`
	Filtered int    `json:"filtered"`
	Unknown  int    `json:"unknown"`
	// From is the address that packets to the target leave this machine with; "" is
	// not known.
	From string `json:"from"`
	// LastAnswer is set of a target that stopped answering, if it is known when.
	LastAnswer *LastAnswer `json:"last_answer,omitempty"`
}

// LastAnswer is how long after the beginning of the scan a target answered for the
// last time, and to how many probes; 0 are not known.
type LastAnswer struct {
	Seconds float64 `json:"seconds"`
	Probes  uint64  `json:"probes,omitempty"`
}

// ScanStats is what the scan took and how sure it is.
type ScanStats struct {
	Probes  uint64  `json:"probes"`
	Answers uint64  `json:"answers"`
	Seconds float64 `json:"seconds"`
	Passes  int     `json:"passes"`
	Missed  float64 `json:"missed_estimate"`
}

// ScanDiff is what changed since an earlier scan, among the doors that both
// asked.
type ScanDiff struct {
	Since          time.Time
	Opened, Closed []monban.Sighting
	// Undecided were open, and it is not known whether they still are.
	Undecided []monban.Sighting
	Changed   []ServiceChange
}

// ServiceChange is a door behind which another service answers.
type ServiceChange struct{ Before, After monban.Sighting }

func (s Scan) hideSecrets(m masker) Data {
	bare := s.Seen
	s.Seen = func(yield func(Seen) bool) {
		for seen := range bare {
			seen.Sighting = m.sighting(seen.Sighting)
			seen.Doors = m.doors(seen.Doors)
			if !yield(seen) {
				return
			}
		}
	}
	if s.Diff != nil {
		d := *s.Diff
		d.Opened, d.Closed, d.Undecided = m.sightings(d.Opened), m.sightings(d.Closed), m.sightings(d.Undecided)
		changed := make([]ServiceChange, len(d.Changed))
		for i, c := range d.Changed {
			changed[i] = ServiceChange{m.sighting(c.Before), m.sighting(c.After)}
		}
		d.Changed = changed
		s.Diff = &d
	}
	return s
}

func (m masker) sightings(in []monban.Sighting) []monban.Sighting {
	out := make([]monban.Sighting, len(in))
	for i, s := range in {
		out[i] = m.sighting(s)
	}
	return out
}

// sighting masks what a banner may give away.
func (m masker) sighting(s monban.Sighting) monban.Sighting {
	s.Service.Evidence = maskText(s.Service.Evidence)
	s.Service.Product = maskText(s.Service.Product)
	s.Service.Version = maskText(s.Service.Version)
	return s
}

// scanHead and scanRest are the fields of a scan before and behind its two long
// lists.
type scanHead struct {
	Targets []string `json:"targets"`
	TCP     string   `json:"tcp"`
	UDP     string   `json:"udp"`
	Engine  string   `json:"engine"`
}

type scanRest struct {
	Stats       ScanStats     `json:"stats"`
	Interrupted bool          `json:"interrupted"`
	Resume      string        `json:"resume,omitempty"`
	Diff        *scanDiffWire `json:"diff,omitempty"`
}

type sightingWire struct {
	Target  string       `json:"target"`
	Proto   string       `json:"proto"`
	Port    uint16       `json:"port"`
	State   string       `json:"state"`
	Service *serviceWire `json:"service,omitempty"`
	Doors   []doorWire   `json:"doors,omitempty"`
	Differs string       `json:"differs,omitempty"`
}

type serviceWire struct {
	Protocol    string           `json:"protocol"`
	Product     string           `json:"product"`
	Version     string           `json:"version"`
	TLS         bool             `json:"tls"`
	Certificate *certificateWire `json:"certificate,omitempty"`
	Grade       string           `json:"grade"`
	Evidence    string           `json:"evidence"`
}

type certificateWire struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Names    []string  `json:"names"`
	NotAfter time.Time `json:"not_after"`
}

type scanDiffWire struct {
	Since     time.Time           `json:"since"`
	Opened    []sightingWire      `json:"opened"`
	Closed    []sightingWire      `json:"closed"`
	Undecided []sightingWire      `json:"undecided"`
	Changed   []serviceChangeWire `json:"changed"`
}

type serviceChangeWire struct {
	Before sightingWire `json:"before"`
	After  sightingWire `json:"after"`
}

func (s Scan) wire(v *view) any {
	return object{
		scanHead{nonNil(s.Targets), rangesText(s.TCP), rangesText(s.UDP), s.Engine},
		list[sightingWire]{"sightings", func(yield func(sightingWire) bool) {
			for seen := range s.Seen {
				if !yield(s.seenWire(v, seen)) {
					return
				}
			}
		}},
		list[ScanCount]{"counts", s.Counts},
		scanRest{s.Stats, s.Interrupted, s.Resume, s.diffWire()},
	}
}

func (s Scan) diffWire() *scanDiffWire {
	d := s.Diff
	if d == nil {
		return nil
	}
	w := &scanDiffWire{Since: d.Since.UTC(), Opened: s.plainWires(d.Opened), Closed: s.plainWires(d.Closed), Undecided: s.plainWires(d.Undecided),
		Changed: []serviceChangeWire{}}
	for _, c := range d.Changed {
		w.Changed = append(w.Changed, serviceChangeWire{sightingShape(c.Before, true), sightingShape(c.After, true)})
	}
	return w
}

func (s Scan) seenWire(v *view, seen Seen) sightingWire {
	w := sightingShape(seen.Sighting, s.Identified)
	if len(seen.Doors) > 0 {
		w.Doors = v.doors(seen.Doors)
	}
	w.Differs = seen.Differs
	return w
}

func (s Scan) plainWires(in []monban.Sighting) []sightingWire {
	out := []sightingWire{}
	for _, one := range in {
		out = append(out, sightingShape(one, s.Identified))
	}
	return out
}

func sightingShape(s monban.Sighting, identified bool) sightingWire {
	w := sightingWire{Target: s.Target.String(), Proto: s.Port.Proto.String(), Port: s.Port.Num, State: s.State.String()}
	if identified && s.State == monban.SightOpen {
		sv := s.Service
		w.Service = &serviceWire{sv.Protocol, sv.Product, sv.Version, sv.TLS, nil, sv.Grade.String(), sv.Evidence}
		if c := sv.Certificate; c.Subject != "" || c.Issuer != "" || !c.NotAfter.IsZero() {
			w.Service.Certificate = &certificateWire{c.Subject, c.Issuer, nonNil(c.Names), c.NotAfter.UTC()}
		}
	}
	return w
}

// rangesText writes port ranges as -p reads them, without transports.
func rangesText(ranges []monban.PortRange) string {
	var parts []string
	for _, r := range ranges {
		r.Proto = monban.AnyProto
		parts = append(parts, r.String())
	}
	return strings.Join(parts, ",")
}

// ScanProgress is how far a scan is.
type ScanProgress struct {
	Rate              float64
	Open, Asked, Left uint64
	Pass              int
}

// ScanProgressLine writes how far a scan is over the line before, for a
// terminal.
func ScanProgressLine(w io.Writer, p ScanProgress, lang Lang, cellsWide int) {
	const bar = 20
	done := bar
	if p.Left > 0 && p.Asked > 0 {
		done = int(bar * (p.Asked - min(p.Asked, p.Left)) / p.Asked)
	}
	line := lang.say("[%s%s] pass %d, %d left, %d open, %.0f probes/s", "[%s%s] %d 周目 残り %d 開いている %d %.0f プローブ/秒",
		strings.Repeat("#", done), strings.Repeat(".", bar-done), p.Pass, p.Left, p.Open, p.Rate)
	fmt.Fprintf(w, "\r%s\x1b[K", fit(line, max(20, cellsWide-1)))
}

// ScanProgressEnd takes the line of progress away.
func ScanProgressEnd(w io.Writer) { io.WriteString(w, "\r\x1b[K") }

// ScanBudget says before a scan of other machines what it will send.
func ScanBudget(w io.Writer, targets uint64, doors uint64, rate float64, lang Lang) {
	limit := lang.say("at most %.0f packets a second", "毎秒最大 %.0f パケット", rate)
	if rate == 0 {
		limit = lang.pick("no limit on packets a second", "毎秒のパケット数の上限なし")
	}
	fmt.Fprintf(w, lang.pick(
		"monban: scanning "+plural(int(doors), "%[2]d door", "%[2]d doors")+" on "+plural(int(targets), "%[1]d address", "%[1]d addresses")+"; "+plural(int(doors), "%[2]d packet", "%[2]d packets")+" or more, %[3]s.\n",
		"monban: %[1]d 個のアドレスの %[2]d 個のドアを調べます。送信は %[2]d パケット以上、%[3]s。\n"),
		targets, doors, limit)
}

// ScanInterrupted says where an interrupted scan can be continued from.
func ScanInterrupted(w io.Writer, file string, lang Lang) {
	fmt.Fprintf(w, lang.pick(
		"monban: interrupted; what was seen so far is shown. Continue with: monban scan --resume %s\n",
		"monban: 中断しました。ここまでの結果を表示します。続きは monban scan --resume %s で実行できます\n"), safe(file))
}
