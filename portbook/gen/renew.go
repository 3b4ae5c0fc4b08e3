package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// old is a record of the registry of 2015.
type old struct {
	ServiceName, PortNumber, TransportProtocol          string
	Description, KnownUnauthorizedUses, AssignmentNotes string
}

// renew writes the registry at path from the JSON files of two npm packages. The
// recent one keeps only the last name of a number that has several, so 80/tcp is
// "www-http"; where the old one knows that name among others, its names and
// their order come back. Where it does not, the number has been given to another
// since. The recent one also leaves out the rows of several numbers that have a
// name, X11 and IRC, which come from the old one.
func renew(path, now, then, date string) error {
	var current map[string][2]string
	if err := readJSON(now, &current); err != nil {
		return err
	}
	var records []old
	if err := readJSON(then, &records); err != nil {
		return err
	}
	past, unauthorized, err := byPort(records)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	out := csv.NewWriter(&buf)
	// A csv.Writer keeps its first error until Flush.
	_ = out.Write([]string{"Service Name", "Port Number", "Transport Protocol", "Description",
		"Modification Date", "Unauthorized Use Reported", "Assignment Notes"})
	ports := map[monban.Port][2]string{}
	for key, v := range current {
		p, err := monban.ParsePort(key)
		if err != nil {
			return err
		}
		ports[p] = v
	}
	for p, rs := range past {
		if _, ok := ports[p]; !ok && strings.Contains(rs[0].PortNumber, "-") {
			ports[p] = [2]string{rs[0].ServiceName, rs[0].Description}
		}
	}
	keys := slices.SortedFunc(maps.Keys(ports), func(a, b monban.Port) int {
		return cmp.Or(cmp.Compare(a.Num, b.Num), cmp.Compare(a.Proto, b.Proto))
	})
	for _, p := range keys {
		name, description := ports[p][0], ports[p][1]
		lines := []old{{ServiceName: name, Description: description}}
		if knows(past[p], name) {
			lines = slices.Clone(past[p])
		}
		for i, l := range lines {
			note := ""
			if i > 0 {
				note = "alias"
			}
			if l.ServiceName == name {
				l.Description = description
			}
			_ = out.Write([]string{l.ServiceName, fmt.Sprint(p.Num), p.Proto.String(), l.Description, date, unauthorized[p], note})
			date = "" // the first row carries the date of all
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(buf.Bytes()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, zipped.Bytes(), 0o644)
}

func knows(records []old, name string) bool {
	return len(records) > 1 && slices.ContainsFunc(records, func(r old) bool { return r.ServiceName == name })
}

// byPort sorts the named records by port, and the notes on unauthorized use, of
// which some stand at rows without a name.
func byPort(records []old) (map[monban.Port][]old, map[monban.Port]string, error) {
	names, notes := map[monban.Port][]old{}, map[monban.Port]string{}
	for _, r := range records {
		if r.PortNumber == "" || r.TransportProtocol == "" {
			continue
		}
		ports, err := monban.ParsePortRange(r.PortNumber + "/" + r.TransportProtocol)
		if err != nil {
			return nil, nil, err
		}
		for num := int(ports.First); num <= int(ports.Last); num++ {
			p := monban.Port{Num: uint16(num), Proto: ports.Proto}
			if r.ServiceName != "" {
				names[p] = append(names[p], r)
			}
			if ports.Len() == 1 {
				notes[p] = cmp.Or(notes[p], r.KnownUnauthorizedUses)
			}
		}
	}
	return names, notes, nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
