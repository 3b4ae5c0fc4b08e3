package policyfile

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/yaml"
)

const (
	// MaxSize is the longest file that is read, in bytes.
	MaxSize = 1 << 20
	// maxDoors keeps the rules that come of a file within what a kernel takes in
	// one transaction.
	maxDoors = 10_000
)

// Names finds the ports of a service.
type Names interface {
	Lookup(name string) []monban.PortRange
	Nearest(name string, n int) []string
}

// Read reads a policy. file is its name for messages; now is what `until` is
// compared with. Host names and "this-network" are not resolved.
func Read(data []byte, file string, names Names, now time.Time) (*monban.Policy, error) {
	r := reader{file: file, names: names, now: now}
	root, err := r.parse(data)
	if err != nil {
		return nil, err
	}
	return r.policy(root)
}

type reader struct {
	file  string
	names Names
	now   time.Time
}

func (r *reader) fail(n *yaml.Node, p Problem, text string, want ...string) error {
	return &Error{Pos: r.pos(n), Problem: p, Text: text, Want: want}
}

func (r *reader) pos(n *yaml.Node) monban.Pos {
	pos := monban.Pos{File: r.file}
	if n != nil {
		pos.Line, pos.Col = n.Line, n.Column
	}
	return pos
}

// parse returns the root mapping.
func (r *reader) parse(data []byte) (*yaml.Node, error) {
	if len(data) > MaxSize {
		return nil, r.fail(nil, TooLong, "")
	}
	docs, err := yaml.Parse(data)
	switch {
	case err != nil:
		return nil, r.syntax(err)
	case len(docs) == 0:
		return nil, r.fail(nil, MissingKey, "", "monban")
	case len(docs) > 1:
		return nil, r.fail(docs[1], BadSyntax, "---")
	}
	if err := r.plain(docs[0]); err != nil {
		return nil, err
	}
	return docs[0], nil
}

// syntax says in this package's words what the parser has found.
func (r *reader) syntax(err error) error {
	out := &Error{Pos: monban.Pos{File: r.file}, Problem: BadSyntax, Text: err.Error()}
	var e *yaml.Error
	if errors.As(err, &e) {
		out.Pos.Line, out.Pos.Col, out.Text = e.Line, e.Column, e.Message()
	}
	return out
}

// plain refuses what would let a text say something else than what it looks like.
func (r *reader) plain(n *yaml.Node) error {
	if n.Kind == yaml.Alias || n.Anchor != "" || n.Tag != "" {
		return r.fail(n, NoAlias, "")
	}
	for _, c := range n.Content {
		if err := r.plain(c); err != nil {
			return err
		}
	}
	return nil
}

// entry is a mapping's values by key.
type entry struct {
	node   *yaml.Node
	values []*yaml.Node // in the order of the keys that were asked for
	keys   []*yaml.Node
}

// mapping reads a mapping that has no other keys than the given ones.
func (r *reader) mapping(n *yaml.Node, keys ...string) (entry, error) {
	e := entry{node: n, values: make([]*yaml.Node, len(keys)), keys: make([]*yaml.Node, len(keys))}
	if n.Kind != yaml.Mapping {
		return e, r.fail(n, NotMapping, n.Value)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.Index(keys, key.Value)
		switch {
		case at < 0 || key.Kind != yaml.Scalar:
			return e, r.fail(key, UnknownKey, key.Value, keys...)
		case e.keys[at] != nil:
			return e, r.fail(key, TwiceKey, key.Value)
		}
		e.keys[at], e.values[at] = key, value
	}
	return e, nil
}

// text returns the text of a scalar.
func (r *reader) text(key, n *yaml.Node) (string, error) {
	if n.Kind != yaml.Scalar || n.IsNull() {
		return "", r.fail(n, NotText, key.Value)
	}
	return n.Value, nil
}

func (r *reader) policy(root *yaml.Node) (*monban.Policy, error) {
	top, err := r.mapping(root, "monban", "doors", "default")
	if err != nil {
		return nil, err
	}
	version, doors, standard := top.values[0], top.values[1], top.values[2]
	switch {
	case version == nil:
		return nil, r.fail(root, MissingKey, "", "monban")
	case version.Kind != yaml.Scalar || version.Value != "1":
		return nil, r.fail(version, BadVersion, version.Value)
	case doors == nil:
		return nil, r.fail(root, MissingKey, "", "doors")
	case standard != nil && (standard.Kind != yaml.Scalar || standard.Value != "closed"):
		return nil, r.fail(standard, BadDefault, standard.Value)
	}
	p := &monban.Policy{}
	if doors.IsNull() {
		return p, nil
	}
	switch {
	case doors.Kind != yaml.Sequence:
		return nil, r.fail(doors, NotList, doors.Value)
	case len(doors.Content) > maxDoors:
		return nil, r.fail(doors, TooLong, "")
	}
	said := map[saying]int{}
	for _, n := range doors.Content {
		d, err := r.door(n)
		if err != nil {
			return nil, err
		}
		if err := r.unique(said, n, d); err != nil {
			return nil, err
		}
		p.Doors = append(p.Doors, d)
	}
	return p, nil
}

// saying is what an entry says of one audience.
type saying struct{ about, to string }

// unique refuses what was said of the same ports and the same audience before.
func (r *reader) unique(said map[saying]int, n *yaml.Node, d monban.PolicyDoor) error {
	for _, a := range d.To {
		key := saying{d.About(), a.String()}
		if line, ok := said[key]; ok {
			return &Error{Pos: r.pos(n), Problem: Duplicate, Text: key.about + " to " + key.to, Line2: line}
		}
		said[key] = n.Line
	}
	return nil
}

func (r *reader) door(n *yaml.Node) (d monban.PolicyDoor, err error) {
	e, err := r.mapping(n, "port", "to", "limit", "until", "for", "proto")
	if err != nil {
		return d, err
	}
	if err := r.what(e, &d); err != nil {
		return d, err
	}
	if e.values[1] == nil {
		return d, r.fail(n, MissingKey, "", "to")
	}
	if d.To, err = r.audiences(e.keys[1], e.values[1]); err != nil {
		return d, err
	}
	for i, read := range [...]func(*monban.PolicyDoor, *yaml.Node, string) error{2: r.limit, 3: r.until, 4: r.purpose} {
		if read == nil || e.values[i] == nil {
			continue
		}
		text, err := r.text(e.keys[i], e.values[i])
		if err != nil {
			return d, err
		}
		if err := read(&d, e.values[i], text); err != nil {
			return d, err
		}
	}
	if len(d.To) == 1 && d.To[0].Kind == monban.ThisMachine {
		for i := 2; i < 4; i++ {
			if e.keys[i] != nil {
				return d, r.fail(e.keys[i], LocalUntil, e.keys[i].Value)
			}
		}
	}
	return d, nil
}

// ports reads a port, a range or the name of a service; without a transport it
// is TCP.
func (r *reader) ports(key, n *yaml.Node) (out monban.PortRange, err error) {
	text, err := r.text(key, n)
	if err != nil {
		return out, err
	}
	out, err = monban.ParsePortRange(text)
	var bad *monban.PortError
	if errors.As(err, &bad) && bad.Problem == monban.NotANumber {
		if out, err = r.service(n, text); err != nil {
			return out, err
		}
	} else if err != nil {
		return out, r.fail(n, BadPort, text)
	}
	if out.Proto == monban.AnyProto {
		out.Proto = monban.TCP
	}
	if out.First == 0 {
		return out, r.fail(n, OpenPort0, text)
	}
	return out, nil
}

// service reads the name of a service that has one port or range in the
// transport that is asked for.
func (r *reader) service(n *yaml.Node, text string) (monban.PortRange, error) {
	name, suffix, given := strings.Cut(text, "/")
	proto := monban.TCP
	if given {
		var err error
		if proto, err = monban.ParseProto(suffix); err != nil {
			return monban.PortRange{}, r.fail(n, BadPort, text)
		}
	}
	var found []monban.PortRange
	for _, f := range r.names.Lookup(name) {
		if f.Proto == monban.AnyProto || f.Proto == proto {
			f.Proto = proto
			found = append(found, f)
		}
	}
	switch found = slices.Compact(found); len(found) {
	case 1:
		return found[0], nil
	case 0:
		if _, problem := ParseProtocol(name); problem == 0 && !given {
			return monban.PortRange{}, r.fail(n, UnknownName, text, "proto: "+text)
		}
		return monban.PortRange{}, r.fail(n, UnknownName, text, r.names.Nearest(name, 3)...)
	}
	var want []string
	for _, f := range found {
		want = append(want, f.String())
	}
	return monban.PortRange{}, r.fail(n, UnknownName, text, want...)
}

func (r *reader) limit(d *monban.PolicyDoor, n *yaml.Node, text string) error {
	rate, err := monban.ParseRate(text)
	if err != nil {
		return r.fail(n, BadLimit, text)
	}
	d.Limit = rate
	return nil
}

func (r *reader) until(d *monban.PolicyDoor, n *yaml.Node, text string) error {
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return r.fail(n, BadUntil, text)
	case !t.After(r.now):
		return r.fail(n, PastUntil, text)
	}
	d.Until = t.UTC()
	return nil
}

func (r *reader) purpose(d *monban.PolicyDoor, _ *yaml.Node, text string) error {
	d.For = text
	return nil
}
