package policyfile

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/yaml"
)

// Entry returns the text of an entry on one line, as the policy file has it.
func Entry(d *monban.PolicyDoor) string {
	var list []string
	for _, a := range d.To {
		if a.Kind == monban.ToAddresses {
			for _, r := range a.Ranges {
				list = append(list, quote(r.String()))
			}
			continue
		}
		list = append(list, quote(a.String()))
	}
	to := strings.Join(list, ", ")
	if len(list) != 1 {
		to = "[" + to + "]"
	}
	text := "{port: " + d.Ports.String() + ", to: " + to
	if d.Protocol != 0 {
		text = "{proto: " + d.Protocol.String() + ", to: " + to
	}
	if d.Limit.N > 0 {
		text += ", limit: " + d.Limit.String()
	}
	if !d.Until.IsZero() {
		text += ", until: " + d.Until.UTC().Format(time.RFC3339)
	}
	if d.For != "" {
		text += ", for: " + quote(d.For)
	}
	return text + "}"
}

// quote writes a string as YAML that reads back as the same string. Plain letters,
// digits and a few signs need no quotes.
func quote(s string) string {
	plain := s != "" && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ")
	letter := false
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7f && strconv.IsPrint(r):
			letter = true
		case r >= '0' && r <= '9' || r == '/' || r == '.' || r == ' ':
		case r == '-' && letter:
		default:
			plain = false
		}
	}
	addr := strings.Count(s, ".") == 3
	if plain && (letter || addr) && !slices.Contains([]string{"yes", "no", "on", "off", "true", "false", "null", "y", "n"}, strings.ToLower(s)) {
		return s
	}
	return `"` + escape(s) + `"`
}

// escape writes what YAML's double quotes want escaped.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r >= 0x80 && !strconv.IsPrint(r):
			b.WriteString(`\U` + strings.ToUpper(hex8(uint32(r))))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hex8(v uint32) string {
	s := strconv.FormatUint(uint64(v), 16)
	return strings.Repeat("0", 8-len(s)) + s
}

// Open returns the text with an entry added behind the others; every other byte of
// it, comments too, stays. It fails with a Duplicate where the text says that
// already.
func Open(data []byte, file string, names Names, now time.Time, d monban.PolicyDoor) ([]byte, error) {
	r := reader{file: file, names: names, now: now}
	before, doors, err := r.doorsNode(data)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(data), "\n")
	entry := Entry(&d)
	switch {
	case doors.Kind == yaml.Sequence && len(doors.Content) > 0 && doors.Style == yaml.Flow:
		return nil, r.fail(doors, FlowList, "")
	case doors.Kind == yaml.Sequence && len(doors.Content) > 0:
		last := len(doors.Content) - 1
		_, end := span(lines, doors, last)
		dash, ok := dashOf(lines, doors.Content[last])
		if !ok {
			return nil, r.fail(doors, NotEdited, "")
		}
		lines = insert(lines, end, strings.Repeat(" ", dash)+"- "+entry)
	default: // nothing, or []
		at := doors.Line - 1
		if at >= len(lines) {
			at = len(lines) - 1
		}
		key := strings.Index(lines[at], "doors:")
		if key < 0 {
			return nil, r.fail(doors, NotEdited, "")
		}
		rest := strings.Replace(lines[at][key+len("doors:"):], "[]", "", 1)
		if trimmed := strings.TrimRight(rest, " \t\r\n"); strings.TrimSpace(trimmed) == "" {
			rest = rest[len(trimmed):]
		}
		lines[at] = lines[at][:key] + "doors:" + rest
		lines = insert(lines, at+1, strings.Repeat(" ", key)+"  - "+entry)
	}
	want := append(slices.Clone(before.Doors), d)
	return r.verified(lines, want)
}

// insert puts a line before line i, and an end on the line before if it has none.
func insert(lines []string, i int, text string) []string {
	if i > 0 && !strings.HasSuffix(lines[i-1], "\n") {
		lines[i-1] += "\n"
	}
	return slices.Insert(lines, i, text+"\n")
}

// Close returns the text without the entries whose ports are among those of r; a
// transport of AnyProto is every one. Comments stay, also those above an entry.
func Close(data []byte, file string, names Names, now time.Time, ports monban.PortRange) ([]byte, error) {
	r := reader{file: file, names: names, now: now}
	return r.remove(data, ports.String(), func(d *monban.PolicyDoor) (bool, error) {
		same := d.Protocol == 0 && (ports.Proto == monban.AnyProto || d.Ports.Proto == ports.Proto)
		switch {
		case !same || d.Ports.Last < ports.First || ports.Last < d.Ports.First:
			return false, nil
		case d.Ports.First < ports.First || ports.Last < d.Ports.Last:
			return false, &Error{Pos: d.Pos, Problem: PartOfRange, Text: d.Ports.String()}
		}
		return true, nil
	})
}

// remove returns the text without the entries that goes picks.
func (r *reader) remove(data []byte, what string, goes func(*monban.PolicyDoor) (bool, error)) ([]byte, error) {
	before, doors, err := r.doorsNode(data)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(data), "\n")
	var want []monban.PolicyDoor
	var gone []int
	for i := range before.Doors {
		d := before.Doors[i]
		switch out, err := goes(&d); {
		case err != nil:
			return nil, err
		case out:
			gone = append(gone, i)
		default:
			want = append(want, d)
		}
	}
	switch {
	case len(gone) == 0:
		return nil, &Error{Pos: monban.Pos{File: r.file}, Problem: NotThere, Text: what}
	case doors.Style == yaml.Flow:
		return nil, r.fail(doors, FlowList, "")
	}
	for _, i := range slices.Backward(gone) {
		if _, ok := dashOf(lines, doors.Content[i]); !ok {
			return nil, r.fail(doors, NotEdited, "")
		}
		from, to := span(lines, doors, i)
		lines = slices.Delete(lines, from, to)
	}
	return r.verified(lines, want)
}

// doorsNode reads the text and returns the node of the list, too.
func (r *reader) doorsNode(data []byte) (*monban.Policy, *yaml.Node, error) {
	root, err := r.parse(data)
	if err != nil {
		return nil, nil, err
	}
	p, err := r.policy(root)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "doors" {
			node := root.Content[i+1]
			if node.Kind != yaml.Sequence {
				node.Line = root.Content[i].Line // that of nothing is anywhere
			}
			return p, node, nil
		}
	}
	return nil, nil, r.fail(root, MissingKey, "", "doors")
}

// dashOf returns how far the dash before an entry is indented, and false where no
// dash stands alone before it on its line.
func dashOf(lines []string, n *yaml.Node) (int, bool) {
	if n.Line < 1 || n.Line > len(lines) {
		return 0, false
	}
	line := lines[n.Line-1]
	indent := len(line) - len(strings.TrimLeft(line, " "))
	return indent, strings.HasPrefix(line[indent:], "- ")
}

// span returns the lines of entry i, from and to, counted from 0 and without to.
// Blank lines and comments behind it are not its.
func span(lines []string, doors *yaml.Node, i int) (from, to int) {
	from = doors.Content[i].Line - 1
	to = from + 1
	if i+1 < len(doors.Content) {
		to = doors.Content[i+1].Line - 1
	} else {
		indent, _ := dashOf(lines, doors.Content[i])
		for to < len(lines) {
			text := strings.TrimRight(lines[to], " \t\r\n")
			depth := len(text) - len(strings.TrimLeft(text, " "))
			if text != "" && text[depth] != '#' && depth <= indent && !strings.HasPrefix(text[depth:], "}") {
				break
			}
			to++
		}
	}
	for to > from+1 {
		text := strings.TrimSpace(lines[to-1])
		if text != "" && text[0] != '#' {
			break
		}
		to--
	}
	return from, to
}

// verified proves that the text says what it is to say.
func (r *reader) verified(lines []string, want []monban.PolicyDoor) ([]byte, error) {
	text := []byte(strings.Join(lines, ""))
	p, err := Read(text, r.file, r.names, r.now)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(plain(p.Doors), plain(want)) {
		return nil, r.fail(nil, NotEdited, "")
	}
	return text, nil
}

// plain is what entries say, wherever they stand; one with several addresses may
// be written with each as an audience of its own.
func plain(doors []monban.PolicyDoor) []monban.PolicyDoor {
	out := make([]monban.PolicyDoor, 0, len(doors))
	for _, d := range doors {
		d.Pos = monban.Pos{}
		var to []monban.Audience
		for _, a := range d.To {
			if a.Kind != monban.ToAddresses {
				a.Ranges = nil
				to = append(to, a)
				continue
			}
			for _, r := range a.Ranges {
				to = append(to, monban.Audience{Kind: a.Kind, Ranges: []monban.AddrRange{r}})
			}
		}
		d.To = to
		out = append(out, d)
	}
	return out
}
