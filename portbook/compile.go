package portbook

import (
	"fmt"
	"io"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
)

// Stats tells what [Compile] has made.
type Stats struct {
	Date string // of the registry, "2006-01-02"
	Rows int
}

// Compile turns IANA's service-names-port-numbers.csv into a registry for
// [Install]. It refuses a file larger than 16 MB, one with other columns, and
// one that has lost its end or its middle: fewer than 90 % of the builtin rows,
// no row near the end of the number space, or no ssh, domain, http or https where
// they belong.
func Compile(csv io.Reader) ([]byte, Stats, error) {
	rows, date, err := registry.ReadCSV(csv)
	if err != nil {
		return nil, Stats{}, fmt.Errorf("port registry: %w", err)
	}
	if err := complete(rows); err != nil {
		return nil, Stats{}, fmt.Errorf("port registry: %w", err)
	}
	if date == "" {
		return nil, Stats{}, fmt.Errorf("port registry: no row has a date")
	}
	blob, err := registry.Encode(rows, date)
	if err != nil {
		return nil, Stats{}, fmt.Errorf("port registry: %w", err)
	}
	return blob, Stats{Date: date, Rows: len(rows)}, nil
}

// complete reports what is missing from rows that every whole registry has.
func complete(rows []registry.Row) error {
	if want := Builtin().Rows() * 9 / 10; len(rows) < want {
		return fmt.Errorf("%d rows, want at least %d: the file is incomplete", len(rows), want)
	}
	anchors := []struct {
		num   uint16
		proto monban.Proto
		name  string
	}{{22, monban.TCP, "ssh"}, {53, monban.UDP, "domain"}, {80, monban.TCP, "http"}, {443, monban.TCP, "https"}}
	last := uint16(0)
	found := 0
	for _, r := range rows {
		last = max(last, r.Port.Num)
		for _, a := range anchors {
			if r.Port == (monban.Port{Num: a.num, Proto: a.proto}) && len(r.Names) > 0 && r.Names[0] == a.name {
				found++
			}
		}
	}
	if found < len(anchors) {
		return fmt.Errorf("ssh, domain, http and https are not where they belong")
	}
	// The file is in the order of numbers, so a lost end shows here.
	if last < lastAnchor {
		return fmt.Errorf("it ends at port %d, want at least %d: the file is incomplete", last, lastAnchor)
	}
	return nil
}

// lastAnchor is a number that assignments have reached since before 2015.
const lastAnchor = 48000
