package move

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/monban-dev/monban"
)

// File is a file that a move changes: as it was, with both doors, and with the
// new one alone. Both may be what it was.
type File struct {
	Path   string `json:"path"`
	Before []byte `json:"before"`
	Both   []byte `json:"both"`
	After  []byte `json:"after"`
	// Line is the first line that changes, from 1, and Text what it becomes for
	// the trial.
	Line int    `json:"line"`
	Text string `json:"text"`
}

// errPlace says that a file does not have what its reader saw in it.
var errPlace = errors.New("the file has changed, or is not understood")

// Rewrite makes sshd's files open another port, too. claims are what its main file
// and all that it includes say, in the words of package claims; read returns a
// file. Every line that says the old port is followed by a copy of itself with the
// new one, so that a ListenAddress keeps its address, and nothing is ever added
// behind a Match or in another context than the old port's own. Where no line says
// it, both ports stand at the very beginning of the main file: sshd adds up Port
// lines, and any of them ends the default of 22.
func Rewrite(main string, claims []monban.Claim, from, to uint16, read func(path string) ([]byte, error)) ([]File, error) {
	at := map[string][]monban.Pos{}
	absent, some := false, false
	for i := range claims {
		c := &claims[i]
		if c.Bind.Port.Num != from {
			continue
		}
		some = true
		if c.Default || c.Pos.Len == 0 {
			absent = true
			continue
		}
		if !slices.ContainsFunc(at[c.Pos.File], func(p monban.Pos) bool { return p.Line == c.Pos.Line }) {
			at[c.Pos.File] = append(at[c.Pos.File], c.Pos)
		}
	}
	switch {
	case !some:
		return nil, fmt.Errorf("%s: no line asks for port %d", main, from)
	case absent && len(at) > 0:
		// A ListenAddress without a port beside one with 22: a Port line would
		// change the first and the second stays.
		return nil, fmt.Errorf("%s: some lines ask for port %d and others mean it without saying so", main, from)
	case absent:
		data, err := read(main)
		if err != nil {
			return nil, err
		}
		one, bom := fmt.Sprintf("Port %d\n", to), []byte("\xef\xbb\xbf")
		rest, marked := bytes.CutPrefix(data, bom)
		if !marked {
			bom = nil
		}
		both := fmt.Sprintf("Port %d\n", from) + one
		return []File{{Path: main, Before: data, Both: slices.Concat(bom, []byte(both), rest), After: slices.Concat(bom, []byte(one), rest),
			Line: 1, Text: fmt.Sprintf("Port %d, Port %d", from, to)}}, nil
	}
	var out []File
	for path, places := range at {
		data, err := read(path)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(places, func(a, b monban.Pos) int { return cmp.Compare(a.Line, b.Line) })
		f, err := duplicate(path, data, places, to)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// duplicate makes the copies of some lines of one file. Every other byte stays.
func duplicate(path string, data []byte, places []monban.Pos, to uint16) (File, error) {
	f := File{Path: path, Before: data}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if len(places) == 0 || places[0].Line != n {
			f.Both, f.After = append(f.Both, line...), append(f.After, line...)
			continue
		}
		p := places[0]
		places = places[1:]
		from := p.Col - 1
		if n == 1 && bytes.HasPrefix(line, []byte("\xef\xbb\xbf")) {
			from += 3
		}
		if p.Len == 0 || from < 0 || from+p.Len > len(line) {
			return f, fmt.Errorf("%s:%d: %w", path, n, errPlace)
		}
		moved := slices.Concat(line[:from], fmt.Appendf(nil, "%d", to), line[from+p.Len:])
		f.After = append(f.After, moved...)
		f.Both = append(f.Both, line...)
		if !bytes.HasSuffix(line, []byte("\n")) {
			f.Both = append(f.Both, '\n')
		}
		if n == 1 { // a byte order mark stands at the beginning only
			moved = bytes.TrimPrefix(moved, []byte("\xef\xbb\xbf"))
		}
		f.Both = append(f.Both, moved...)
		if f.Line == 0 {
			f.Line, f.Text = n+1, string(bytes.TrimRight(moved, "\r\n"))
		}
	}
	if len(places) > 0 {
		return f, fmt.Errorf("%s:%d: %w", path, places[0].Line, errPlace)
	}
	return f, nil
}
