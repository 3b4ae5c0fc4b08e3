package lease

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The format: a first line with the version and the number of leases, by which a
// cut-off file is known, then one lease a line:
//
//	monban leases 1 2
//	61001	2026-11-23T12:00:00Z	2026-12-23T12:00:00Z	0	"web"	"/home/hana/shop"
//
// Names and directories are quoted as Go does, because a path may hold any byte.
const magic = "monban leases 1 "

// The bounds of a file that is read.
const (
	maxFile   = 4 << 20
	maxLeases = 1 << 16
)

// Encode writes leases in the form that [Decode] reads.
func Encode(leases []Lease) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%d\n", magic, len(leases))
	for _, l := range leases {
		fmt.Fprintf(&b, "%d\t%s\t%s\t%d\t%s\t%s\n", l.Port, l.Since.UTC().Format(time.RFC3339), l.Until.UTC().Format(time.RFC3339),
			l.Nth, strconv.Quote(l.Name), strconv.Quote(l.Dir))
	}
	return b.Bytes()
}

// Decode reads the leases of a file. An empty file has none. It accepts nothing
// that [Encode] would not have written, and with an error returns no lease: a
// file that was understood in half would be written back in half.
func Decode(data []byte) ([]Lease, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	text, ok := strings.CutSuffix(string(data), "\n")
	if !ok {
		return nil, fmt.Errorf("cut off in the middle of a line")
	}
	lines := strings.Split(text, "\n")
	count, ok := strings.CutPrefix(lines[0], magic)
	if !ok {
		return nil, fmt.Errorf("line 1: not a file of leases, or of a newer version")
	}
	if n, err := strconv.Atoi(count); err != nil || n != len(lines)-1 || n > maxLeases || strconv.Itoa(n) != count {
		return nil, fmt.Errorf("line 1: %q leases announced, %d there", count, len(lines)-1)
	}
	var leases []Lease
	seen := make(map[uint16]bool)
	for i, line := range lines[1:] {
		l, err := decodeLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		if seen[l.Port] {
			return nil, fmt.Errorf("line %d: port %d a second time", i+2, l.Port)
		}
		seen[l.Port] = true
		leases = append(leases, l)
	}
	return leases, nil
}

func decodeLine(line string) (l Lease, err error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 6 {
		return Lease{}, fmt.Errorf("%d fields instead of 6", len(fields))
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil || port == 0 {
		return Lease{}, fmt.Errorf("%q is no port", fields[0])
	}
	l.Port = uint16(port)
	if l.Since, err = time.Parse(time.RFC3339, fields[1]); err != nil {
		return Lease{}, err
	}
	if l.Until, err = time.Parse(time.RFC3339, fields[2]); err != nil {
		return Lease{}, err
	}
	if l.Nth, err = strconv.Atoi(fields[3]); err != nil || l.Nth < 0 || l.Nth >= MaxNth {
		return Lease{}, fmt.Errorf("%q is no ordinal", fields[3])
	}
	if l.Name, err = strconv.Unquote(fields[4]); err != nil || l.Name != "" && !ValidName(l.Name) {
		return Lease{}, fmt.Errorf("%s is no name", fields[4])
	}
	if l.Dir, err = strconv.Unquote(fields[5]); err != nil || len(l.Dir) > maxDir || !filepath.IsAbs(l.Dir) || strings.Contains(l.Dir, "\x00") {
		return Lease{}, fmt.Errorf("%s is no absolute path", fields[5])
	}
	return l, nil
}
