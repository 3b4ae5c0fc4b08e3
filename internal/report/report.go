// Package report turns what monban found into text for people, in English and
// Japanese, and into the versioned JSON of the command contract.
//
// A verb makes a [Result]: the snapshot it looked at, its own [Data], and the
// findings. [Write] shows it. Every sentence that a person reads is in this
// package, both languages side by side; everything that came from outside is
// masked here ([Style.ShowSecrets]) and escaped here, once.
package report

import (
	"io"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Format is an output format.
type Format string

// The formats.
const (
	Text  Format = "text"
	JSON  Format = "json"
	SARIF Format = "sarif" // of [Check] and [Audit]
	// Markdown and HTML are of audits.
	Markdown Format = "markdown"
	HTML     Format = "html"
	// JSONLines and NmapXML are of scans.
	JSONLines Format = "jsonl"
	NmapXML   Format = "nmap-xml"
)

// Style says how a result is to be written.
type Style struct {
	Format Format
	Lang   Lang
	Color  bool
	// Width is the terminal's width in cells; 0 is a pipe or a file.
	Width       int
	Wide        bool // show every column, uncut
	ShowSecrets bool
	Verbose     bool
}

// Result is what one verb found out.
type Result struct {
	Verb     string
	Snapshot *monban.Snapshot
	Data     Data
	Findings []monban.Finding
	Book     *portbook.Book
}

// Data is the part of a result that differs from verb to verb. It is one of
// [Status], [Ports], [Search], [Update], [Explanation], [Difference], [Free], [Fix], [Scan] and [Version].
type Data interface {
	// wire returns the value of the envelope's "data".
	wire(v *view) any
	// text writes the view for people.
	text(p *printer, v *view)
	// hideSecrets returns the data with its secrets masked.
	hideSecrets(m masker) Data
}

// view is a result ready to be shown: secrets masked, language chosen.
type view struct {
	Result
	style Style
	// shapes are the owners that have their JSON shape already.
	shapes map[*monban.Owner][]ownerWire
	// shares are those of lists of sources, which may be long.
	shares monban.Shares
}

// Write shows r on w.
func Write(w io.Writer, r Result, s Style) error {
	if !s.ShowSecrets {
		m := newMasker()
		r.Snapshot = hideSecrets(r.Snapshot, m)
		r.Findings = m.findings(r.Findings)
		r.Data = r.Data.hideSecrets(m)
	}
	v := &view{Result: r, style: s, shapes: make(map[*monban.Owner][]ownerWire)}
	v.Snapshot = v.onceEachGap(r.Snapshot)
	if s.Format == JSON {
		return v.writeJSON(w)
	}
	if check, ok := r.Data.(Check); ok && s.Format == SARIF {
		return v.writeSARIF(w, check)
	}
	if audit, ok := r.Data.(Audit); ok {
		switch s.Format {
		case SARIF:
			return v.writeAuditSARIF(w, audit)
		case Markdown:
			return audit.writeMarkdown(w, v)
		case HTML:
			return audit.writeHTML(w, v)
		}
	}
	if scan, ok := r.Data.(Scan); ok && s.Format == NmapXML {
		return scan.writeXML(w, v)
	}
	p := newPrinter(w, s)
	r.Data.text(p, v)
	return p.w.Flush()
}

// envelope is the head of every JSON output, version 1 of the contract: data,
// findings and gaps follow.
type envelope struct {
	Monban int       `json:"monban"`
	Verb   string    `json:"verb"`
	At     time.Time `json:"at"`
	Host   hostWire  `json:"host"`
}

func (v *view) writeJSON(w io.Writer) error {
	h := v.Snapshot.Host
	return writeJSONLine(w, object{
		envelope{1, v.Verb, v.Snapshot.At.UTC(), hostWire{h.Name, h.OS, h.Kernel, h.Arch, h.UID, h.NetNS, h.Container}},
		field{"data", v.Data.wire(v)},
		list[findingWire]{"findings", each(v.Findings, v.finding)},
		list[gapWire]{"gaps", each(v.Snapshot.Gaps, v.gap)},
	})
}

func (v *view) gap(g monban.Gap) gapWire { return gapWire{g.Source, g.Err, v.gapSentence(g)} }

type hostWire struct {
	Name      string `json:"name"`
	OS        string `json:"os"`
	Kernel    string `json:"kernel"`
	Arch      string `json:"arch"`
	UID       int    `json:"uid"`
	NetNS     string `json:"netns"`
	Container string `json:"container"`
}

type gapWire struct {
	Source string `json:"source"`
	Error  string `json:"error"`
	Hides  string `json:"hides"`
}

type findingWire struct {
	Kind     monban.Kind     `json:"kind"`
	Severity monban.Severity `json:"severity"`
	Proto    monban.Proto    `json:"proto"`
	Address  string          `json:"address"`
	Port     uint16          `json:"port"`
	Why      string          `json:"why"`
	Evidence []evidenceWire  `json:"evidence"`
	Fix      []fixWire       `json:"fix"`
}

type evidenceWire struct {
	Source string `json:"source"`
	Text   string `json:"text"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

type fixWire struct {
	Text    string   `json:"text"`
	Command []string `json:"command"`
}

func (v *view) finding(f monban.Finding) findingWire {
	out := findingWire{
		Kind: f.Kind, Severity: f.Severity,
		Proto: f.Bind.Port.Proto, Address: addrText(f.Bind), Port: f.Bind.Port.Num,
		Why: v.findingSentence(f), Evidence: []evidenceWire{}, Fix: v.fixes(f.Fix),
	}
	for _, e := range f.Evidence {
		out.Evidence = append(out.Evidence, evidenceWire(e))
	}
	return out
}

func (v *view) fixes(fixes []monban.Fix) []fixWire {
	out := []fixWire{}
	for _, f := range fixes {
		out = append(out, fixWire{v.fixSentence(f), nonNil(f.Command)})
	}
	return out
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
