package conflict

import (
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
)

// Complaint is what a program said when it could not open a door, or could not
// reach one. Only what the text proves is filled in.
type Complaint struct {
	// Program is a guess at who speaks, "nginx" or "docker", from the wording;
	// "" is unknown. It is evidence, not an identity.
	Program string
	// Proto is AnyProto when the text does not tell.
	Proto monban.Proto
	// Addr is the address; the zero Addr when the text names none, or a name.
	Addr netip.Addr
	// Host is what stands in the text where an address is not: "localhost", a
	// host name, or "*" for every address (":80", "*:80"). "" is none.
	Host string
	// Port is meaningful only with HasPort: 0 is a port number, too.
	Port    uint16
	HasPort bool
	// Errno is the symbolic name of the error: "EADDRINUSE", or with the prefix
	// "WSA" or "ERROR_" where the text proves Windows. "" is not told.
	Errno string
	// OS is the GOOS that the text proves; "" is not told.
	OS string
	// Causes are the causes that fit the text alone, the likeliest first.
	Causes []Cause
	// Remote reports that the address is the other end of a connection that did
	// not come about. Then there is no bind to explain, and Causes is empty
	// unless the fault lies on this side after all.
	Remote bool
	// Holder is who has the port, where the text itself says so.
	Holder Holder
	// File and Line are the place in a configuration file that the text names;
	// for a Unix socket (L23), File is its path. Line 0 is none.
	File string
	Line int
	// Text is the line, raw except for colours, cut to 2,000 bytes; Pos is the
	// byte offset of its beginning in the text.
	Text string
	Pos  int
}

// Holder is a process that a text blames. PID 0 and the empty Name are unknown.
type Holder struct {
	PID  int
	Name string
}

// MostComplaints is how many complaints [ReadComplaint] returns at most. A text
// with that many may have more: who shows the list should say so.
const MostComplaints = 8

// The bounds of what is read from a text. A paste is a screen or a log; beyond
// these it is searched no further.
const (
	maxText  = 4 << 20 // bytes
	maxLine  = 16 << 10
	maxQuote = 2000 // bytes of Complaint.Text
)

// ReadComplaint finds in text what programs said when they could not open a
// door. It understands many languages, programs and systems, and pastes with
// stack traces, time stamps and colours around the message. The complaints are
// in order of appearance, without repetitions, at most [MostComplaints]. Nil
// means that no such message was found.
func ReadComplaint(text string) []Complaint {
	lines := splitLines(text)
	var found []draft
	for i := range lines {
		if d, ok := readLine(lines, i); ok {
			found = append(found, d)
			if len(found) >= 64*MostComplaints {
				break
			}
		}
	}
	if found == nil {
		return nil
	}
	for i := range found {
		found[i].borrow(lines)
	}
	merged := mergeDrafts(found)
	merged = dropWeak(merged)
	if len(merged) > MostComplaints {
		merged = merged[:MostComplaints]
	}
	os := provenOS(lines)
	var list []Complaint
	for _, d := range merged {
		list = append(list, d.complaint(lines, os))
	}
	return list
}

// line is one line of the text. All searching is done in low, which has ASCII
// letters in lower case and the same length as plain, so offsets agree.
type line struct {
	plain, low string
	pos        int
}

// splitLines cuts text into lines without line ends and colours. A line that is
// too long is cut into several.
func splitLines(text string) []line {
	if len(text) > maxText {
		text = text[:maxText]
	}
	var lines []line
	pos := 0
	for len(text) > 0 {
		raw, rest, _ := strings.Cut(text, "\n")
		if len(raw) > maxLine {
			raw, rest = text[:maxLine], text[maxLine:]
		}
		next := pos + len(text) - len(rest)
		plain := strings.TrimRight(stripEscapes(raw), "\r \t")
		lines = append(lines, line{plain: plain, low: lowerASCII(plain), pos: pos})
		text, pos = rest, next
	}
	return lines
}

// stripEscapes removes the escape sequences of ECMA-48 (CSI and two-byte ones)
// and of OSC, which set colours, titles and links.
func stripEscapes(s string) string {
	if strings.IndexByte(s, 0x1b) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != 0x1b {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == '[': // CSI: up to a final byte 0x40–0x7e
			for i++; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); i++ {
			}
		case i < len(s) && s[i] == ']': // OSC: up to BEL or ESC \
			for i++; i < len(s) && s[i] != 0x07; i++ {
				if s[i] == 0x1b {
					i++
					break
				}
			}
		}
	}
	return b.String()
}

func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// draft is a complaint in the making: the sign that was found on a line, and
// the place that it speaks of.
type draft struct {
	sign   sign
	where  endpoint
	at     int // index of the line
	last   int // index of the last line that belongs to it
	proto  monban.Proto
	file   string
	fileLn int
	holder Holder
}

func readLine(lines []line, at int) (draft, bool) {
	l := lines[at]
	s, ok := signOf(lines, at)
	if !ok {
		return draft{}, false
	}
	d := draft{sign: s, at: at, last: at}
	d.where = endpointOf(l, s)
	d.proto = protoOf(l, d.where)
	d.file, d.fileLn = configOf(l)
	d.holder = holderOf(l)
	if s.unix {
		d.where = endpoint{}
		d.file, d.fileLn = socketPath(l), 0
	}
	return d, true
}

// hasPort reports whether the draft has a number, even one that is no port.
func (d *draft) hasPort() bool { return d.where.hasPort }

// mergeDrafts joins the drafts that speak of one event: a message and its
// echoes, such as Node's `code: 'EADDRINUSE'` under its stack trace.
func mergeDrafts(found []draft) []draft {
	var out []draft
next:
	for _, d := range found {
		for i := len(out) - 1; i >= 0; i-- {
			if out[i].sameEvent(&d) {
				out[i].absorb(&d)
				continue next
			}
		}
		out = append(out, d)
	}
	// A message may come before the line that has the port: once more, so that
	// what has no port finds a later one that has.
	for i := 0; i+1 < len(out); i++ {
		if a, b := &out[i], &out[i+1]; !a.hasPort() && b.hasPort() && a.sameEvent(b) {
			b.absorb(a)
			b.at = a.at
			out = append(out[:i], out[i+1:]...)
			i--
		}
	}
	return out
}

// near is how many lines apart two messages without places of their own can be
// and still be about one event: a stack trace fits.
const near = 40

func (d *draft) sameEvent(e *draft) bool {
	if !sameErrno(d.sign.errno, e.sign.errno) || d.sign.remote != e.sign.remote {
		return false
	}
	if d.sign.unix != e.sign.unix {
		return d.sign.unix && e.at-d.last <= near && (e.sign.hint || !e.hasPort())
	}
	if d.hasPort() && e.hasPort() {
		return d.where.sameAs(e.where) &&
			(d.proto == e.proto || d.proto == monban.AnyProto || e.proto == monban.AnyProto)
	}
	if d.proto != e.proto && d.proto != monban.AnyProto && e.proto != monban.AnyProto {
		return false
	}
	return e.at-d.last <= near
}

// sameErrno reports whether two lines can be about the same error: one of them
// may not tell its errno, or tell it in another dialect.
func sameErrno(a, b string) bool {
	return a == "" || b == "" || strings.TrimPrefix(a, "WSA") == strings.TrimPrefix(b, "WSA")
}

// absorb takes from e what d lacks.
func (d *draft) absorb(e *draft) {
	d.last = max(d.last, e.last)
	d.sign.take(e.sign)
	if d.sign.unix {
		return
	}
	d.where.take(e.where)
	if d.proto == monban.AnyProto {
		d.proto = e.proto
	}
	if d.file == "" {
		d.file, d.fileLn = e.file, e.fileLn
	}
	if d.holder == (Holder{}) {
		d.holder = e.holder
	}
}

// dropWeak leaves out the drafts that say no more than "it failed", when
// others say more.
func dropWeak(list []draft) []draft {
	strong := false
	for _, d := range list {
		strong = strong || !d.sign.weak
	}
	if !strong {
		return list
	}
	out := list[:0]
	for _, d := range list {
		if !d.sign.weak {
			out = append(out, d)
		}
	}
	return out
}

func (d *draft) complaint(lines []line, os string) Complaint {
	l := lines[d.at]
	c := Complaint{
		Program: programOf(lines, d.at),
		Proto:   d.proto,
		Addr:    d.where.addr,
		Host:    d.where.host,
		Errno:   d.sign.errno,
		OS:      d.sign.os,
		Remote:  d.sign.remote,
		Holder:  d.holder,
		File:    d.file,
		Line:    d.fileLn,
		Text:    quote(l.plain),
		Pos:     l.pos,
	}
	if d.where.hasPort && d.where.num <= 65535 {
		c.Port, c.HasPort = uint16(d.where.num), true
	}
	if c.OS == "" || c.OS == anyUnix {
		c.OS = os
	}
	if c.OS == "windows" {
		c.Errno = windowsErrno(c.Errno)
	}
	c.Causes = causesOf(&c, d)
	return c
}

func windowsErrno(errno string) string {
	switch errno {
	case "EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "EAFNOSUPPORT", "ECONNREFUSED":
		return "WSA" + errno
	}
	return errno
}

// quote cuts s so that a hostile line does not fill the screen, at a rune's
// boundary.
func quote(s string) string {
	if len(s) <= maxQuote {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuote], "")
}
