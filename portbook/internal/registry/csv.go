package registry

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// MaxCSV is the size in bytes beyond which a CSV file is refused. IANA's was
// about 1.2 MB in 2026.
const MaxCSV = 16 << 20

// column is a column of IANA's file. The first four must be there.
type column int

const (
	colName column = iota
	colPort
	colProto
	colDescription
	colRegistered
	colModified
	colUnauthorized
	colNotes
	columns
)

var columnNames = [columns]string{"Service Name", "Port Number", "Transport Protocol", "Description",
	"Registration Date", "Modification Date", "Unauthorized Use Reported", "Assignment Notes"}

// ReadCSV reads IANA's service-names-port-numbers.csv. Names that share a number
// and transport become one row. Ranges are expanded. Rows without a number or a
// transport, and those that say a number is unassigned, are left out. date is
// the latest registration or modification in the file, "" if it has none.
func ReadCSV(r io.Reader) (rows []Row, date string, err error) {
	limited := &io.LimitedReader{R: r, N: MaxCSV + 1}
	in := csv.NewReader(limited)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, "", fmt.Errorf("read the header: %w", err)
	}
	at, err := findColumns(header)
	if err != nil {
		return nil, "", err
	}
	var m merger
	for {
		record, err := in.Read()
		if limited.N == 0 {
			return nil, "", fmt.Errorf("larger than %d bytes", MaxCSV)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", err
		}
		var fields [columns]string
		for c, i := range at {
			if i >= 0 {
				fields[c] = oneLine(record[i])
			}
		}
		if err := m.add(fields); err != nil {
			line, _ := in.FieldPos(0)
			return nil, "", fmt.Errorf("line %d: %w", line, err)
		}
	}
	return m.merge(), m.date, nil
}

func findColumns(header []string) (at [columns]int, err error) {
	for c, name := range columnNames {
		at[c] = slices.IndexFunc(header, func(h string) bool {
			return strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")), name)
		})
		if at[c] < 0 && column(c) <= colDescription {
			return at, fmt.Errorf("no column %q: not IANA's service-names-port-numbers.csv", name)
		}
	}
	return at, nil
}

// oneLine joins the lines of a quoted field and drops what cannot be shown.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\ufffd")), " ")
	if checkText(s) == nil {
		return s
	}
	return strings.Map(func(r rune) rune {
		if checkText(string(r)) != nil {
			return -1
		}
		return r
	}, s)
}

// candidate is one line of the file for one port.
type candidate struct {
	port                            monban.Port
	name, description, unauthorized string
	alias                           bool // the registry says this name is an alias
}

type merger struct {
	all  []candidate
	date string
}

func (m *merger) add(f [columns]string) error {
	for _, d := range []string{f[colRegistered], f[colModified]} {
		if _, err := time.Parse(time.DateOnly, d); err == nil && d > m.date {
			m.date = d
		}
	}
	if f[colPort] == "" || f[colProto] == "" || f[colName] == "" && unassigned(f[colDescription]) {
		return nil
	}
	proto, err := monban.ParseProto(f[colProto])
	if err != nil {
		return err
	}
	r, err := monban.ParsePortRange(f[colPort])
	if err != nil {
		return err
	}
	if len(m.all)+r.Len() > 4*maxRows {
		return errors.New("more rows than there are ports")
	}
	// A boilerplate sentence that tells no reader what the port is for.
	description, _, _ := strings.Cut(f[colDescription], "IANA assigned this well-formed service name")
	notes := strings.ToLower(f[colNotes])
	for num := int(r.First); num <= int(r.Last); num++ {
		m.all = append(m.all, candidate{
			port: monban.Port{Num: uint16(num), Proto: proto},
			name: f[colName], description: strings.TrimSpace(description), unauthorized: f[colUnauthorized],
			alias: strings.Contains(notes, "alias to") || notes == "alias",
		})
	}
	return nil
}

// unassigned reports whether a description without a name says that the number
// is free.
func unassigned(description string) bool {
	d := strings.ToLower(description)
	return strings.HasPrefix(d, "unassigned") || strings.HasPrefix(d, "de-registered")
}

// merge makes one row of all candidates of a port. The first name of the file
// is the primary one unless the registry calls it an alias, or [preferred]
// knows better; its description is the row's.
func (m *merger) merge() []Row {
	slices.SortStableFunc(m.all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.port.Num, b.port.Num), cmp.Compare(a.port.Proto, b.port.Proto),
			cmp.Compare(a.rank(), b.rank()))
	})
	var rows []Row
	for _, c := range m.all {
		if n := len(rows); n == 0 || rows[n-1].Port != c.port {
			rows = append(rows, Row{Port: c.port})
		}
		row := &rows[len(rows)-1]
		if c.name != "" && !slices.Contains(row.Names, c.name) {
			row.Names = append(row.Names, c.name)
		}
		row.Description = cmp.Or(row.Description, c.description)
		row.Unauthorized = cmp.Or(row.Unauthorized, c.unauthorized)
	}
	return rows
}

func (c candidate) rank() int {
	switch {
	case c.name == preferred(c.port):
		return 0
	case c.name == "":
		return 3
	case c.alias:
		return 2
	default:
		return 1
	}
}

// preferred returns the name that a port is known by where the registry lists
// several and the one the world uses is not the first. It agrees with Debian's
// services file, but for 1701, which has carried L2TP and not L2F since RFC 2661.
func preferred(p monban.Port) string {
	switch p.Num {
	case 113:
		return "auth"
	case 512:
		if p.Proto == monban.UDP {
			return "biff"
		}
	case 750:
		if p.Proto == monban.UDP {
			return "kerberos-iv"
		}
	case 1701:
		return "l2tp"
	case 2049:
		return "nfs"
	}
	return ""
}
