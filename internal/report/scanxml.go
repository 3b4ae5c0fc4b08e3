package report

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/monban-dev/monban"
)

// ScanLine writes one open door as a line of JSON, while the scan runs.
func ScanLine(w io.Writer, s monban.Sighting, identified, showSecrets bool) error {
	if !showSecrets {
		s = newMasker().sighting(s)
	}
	enc := json.NewEncoder(&jsonWriter{w: w})
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Type string `json:"type"`
		sightingWire
	}{"sighting", sightingShape(s, identified)})
}

// ScanLastLine ends the lines of JSON with what the whole scan came to. With All it
// first writes the doors that are not open.
func ScanLastLine(w io.Writer, r Result, s Scan, style Style) error {
	r.Data = s
	v := &view{Result: r, style: style}
	if s.All {
		b := bufio.NewWriterSize(w, 64<<10)
		for seen := range s.Seen {
			if seen.State != monban.SightOpen {
				if err := ScanLine(b, seen.Sighting, s.Identified, style.ShowSecrets); err != nil {
					return err
				}
			}
		}
		if err := b.Flush(); err != nil {
			return err
		}
	}
	type stats struct {
		Stats       ScanStats `json:"stats"`
		Interrupted bool      `json:"interrupted"`
		Resume      string    `json:"resume,omitempty"`
	}
	type diff struct {
		Diff *scanDiffWire `json:"diff,omitempty"`
	}
	return writeJSONLine(w, object{
		field{"type", "end"},
		list[ScanCount]{"counts", s.Counts},
		stats{s.Stats, s.Interrupted, s.Resume},
		list[gapWire]{"gaps", each(r.Snapshot.Gaps, v.gap)},
		diff{s.diffWire()},
	})
}

// writeXML writes the scan as nmap's XML output, version 1.05 of its document
// type, for the many programs that read it. What monban says beyond it (grades,
// the program behind a door) has no place there.
func (s Scan) writeXML(w io.Writer, v *view) error {
	b := bufio.NewWriterSize(w, 64<<10)
	at := v.Snapshot.At
	x := &xmlWriter{b}
	x.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n")
	x.open("nmaprun", "scanner", "monban", "args", "monban scan "+strings.Join(s.Targets, " "), "start", unixText(at), "startstr", at.UTC().Format(time.ANSIC),
		"version", "1", "xmloutputversion", "1.05")
	for _, part := range []struct {
		proto, kind string
		ranges      []monban.PortRange
	}{{"tcp", map[string]string{"raw": "syn", "xdp": "syn"}[s.Engine], s.TCP}, {"udp", "udp", s.UDP}} {
		n := 0
		for _, r := range part.ranges {
			n += r.Len()
		}
		if n > 0 {
			x.empty("scaninfo", "type", cmp.Or(part.kind, "connect"), "protocol", part.proto, "numservices", fmt.Sprint(n), "services", rangesText(part.ranges))
		}
	}
	next, stop := iter.Pull(s.Seen)
	defer stop()
	door, more := next()
	up, hosts := 0, 0
	for c := range s.Counts {
		hosts++
		var doors []Seen
		for ; more && door.Target.String() == c.Target; door, more = next() {
			doors = append(doors, door)
		}
		state := "down"
		if c.Open+c.Closed > 0 || slices.ContainsFunc(doors, func(d Seen) bool { return d.State == monban.SightOpen }) {
			state = "up"
			up++
		}
		x.open("host", "starttime", unixText(at), "endtime", unixText(at.Add(s.took())))
		x.empty("status", "state", state, "reason", map[string]string{"up": "user-set", "down": "no-response"}[state], "reason_ttl", "0")
		family := "ipv4"
		if strings.Contains(c.Target, ":") {
			family = "ipv6"
		}
		x.empty("address", "addr", c.Target, "addrtype", family)
		x.open("ports")
		s.extraPorts(x, c, doors)
		for _, d := range doors {
			s.portXML(x, d)
		}
		x.close("ports")
		x.close("host")
	}
	end := at.Add(s.took())
	x.open("runstats")
	exit := "success"
	if s.Interrupted {
		exit = "error"
	}
	x.empty("finished", "time", unixText(end), "timestr", end.UTC().Format(time.ANSIC), "elapsed", fmt.Sprintf("%.2f", s.Stats.Seconds), "summary", "", "exit", exit)
	x.empty("hosts", "up", fmt.Sprint(up), "down", fmt.Sprint(hosts-up), "total", fmt.Sprint(hosts))
	x.close("runstats")
	x.close("nmaprun")
	return b.Flush()
}

func (s Scan) took() time.Duration { return time.Duration(s.Stats.Seconds * float64(time.Second)) }

// extraPorts counts the doors that are not listed one by one.
func (s Scan) extraPorts(x *xmlWriter, c ScanCount, listed []Seen) {
	left := map[monban.SightState]int{monban.SightClosed: c.Closed, monban.SightFiltered: c.Filtered, monban.SightUnknown: c.Unknown}
	for _, d := range listed {
		left[d.State]--
	}
	for _, state := range []monban.SightState{monban.SightClosed, monban.SightFiltered, monban.SightUnknown} {
		if state == monban.SightUnknown && s.Interrupted {
			continue // most of them were not asked, for which the format has no word
		}
		if left[state] > 0 {
			x.empty("extraports", "state", nmapState(state), "count", fmt.Sprint(left[state]))
		}
	}
}

func (s Scan) portXML(x *xmlWriter, d Seen) {
	x.open("port", "protocol", d.Port.Proto.String(), "portid", fmt.Sprint(d.Port.Num))
	reason := "no-response"
	switch {
	case d.State == monban.SightOpen && d.Port.Proto == monban.UDP:
		reason = "udp-response"
	case d.State == monban.SightOpen:
		reason = "syn-ack"
	case d.State == monban.SightClosed && d.Port.Proto == monban.UDP:
		reason = "port-unreach"
	case d.State == monban.SightClosed:
		reason = "reset"
	}
	x.empty("state", "state", nmapState(d.State), "reason", reason, "reason_ttl", "0")
	if sv := d.Service; s.Identified && sv.Protocol != "" {
		confidence := map[monban.Grade]string{monban.GradeIdentified: "10", monban.GradeLikely: "5"}[sv.Grade]
		attributes := []string{"name", sv.Protocol}
		if sv.Product != "" {
			attributes = append(attributes, "product", sv.Product)
		}
		if sv.Version != "" {
			attributes = append(attributes, "version", sv.Version)
		}
		if sv.TLS {
			attributes = append(attributes, "tunnel", "ssl")
		}
		x.empty("service", append(attributes, "method", "probed", "conf", cmp.Or(confidence, "0"))...)
	}
	x.close("port")
}

// nmapState is nmap's word: it has no "unknown", and says what silence may mean.
func nmapState(s monban.SightState) string {
	if s == monban.SightUnknown {
		return "open|filtered"
	}
	return s.String()
}

func unixText(t time.Time) string { return fmt.Sprint(t.Unix()) }

// xmlWriter writes elements and attributes. encoding/xml would cost every start
// of the program its tables.
type xmlWriter struct{ w *bufio.Writer }

func (x *xmlWriter) raw(s string) { x.w.WriteString(s) }

func (x *xmlWriter) tag(name, end string, attributes []string) {
	x.raw("<" + name)
	for i := 0; i+1 < len(attributes); i += 2 {
		x.raw(" " + attributes[i] + "=\"" + xmlText(attributes[i+1]) + "\"")
	}
	x.raw(end + "\n")
}

func (x *xmlWriter) open(name string, attributes ...string)  { x.tag(name, ">", attributes) }
func (x *xmlWriter) empty(name string, attributes ...string) { x.tag(name, "/>", attributes) }
func (x *xmlWriter) close(name string)                       { x.raw("</" + name + ">\n") }

// xmlText escapes a value for an attribute. What XML 1.0 has no place for, even
// as a reference (section 2.2), is written as people see it, like everything from
// outside.
func xmlText(s string) string {
	s = safe(s)
	if !strings.ContainsAny(s, `&<>"'`) && utf8.ValidString(s) {
		return s
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s)
}
