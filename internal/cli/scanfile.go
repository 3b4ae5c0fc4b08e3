package cli

import (
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
)

// scanOutput is the JSON output of monban scan, as far as it is read again.
type scanOutput struct {
	Monban int       `json:"monban"`
	Verb   string    `json:"verb"`
	At     time.Time `json:"at"`
	Host   struct {
		Name  string `json:"name"`
		NetNS string `json:"netns"`
	} `json:"host"`
	Data struct {
		Targets     []string           `json:"targets"`
		TCP         string             `json:"tcp"`
		UDP         string             `json:"udp"`
		Sightings   []scanSighting     `json:"sightings"`
		Counts      []report.ScanCount `json:"counts"`
		Interrupted bool               `json:"interrupted"`
	} `json:"data"`
	Gaps []scanGap `json:"gaps"`
}

type scanSighting struct {
	Target  netip.Addr        `json:"target"`
	Proto   monban.Proto      `json:"proto"`
	Port    uint16            `json:"port"`
	State   monban.SightState `json:"state"`
	Service *struct {
		Protocol string       `json:"protocol"`
		Product  string       `json:"product"`
		Version  string       `json:"version"`
		TLS      bool         `json:"tls"`
		Grade    monban.Grade `json:"grade"`
		Evidence string       `json:"evidence"`
	} `json:"service"`
}

type scanGap struct {
	Source string `json:"source"`
	Error  string `json:"error"`
}

var errNotAScan = errors.New("not the JSON output of monban scan")

func readScan(text []byte) (*scanOutput, error) {
	var out scanOutput
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, err
	}
	if out.Monban != 1 || out.Verb != "scan" {
		return nil, errNotAScan
	}
	return &out, nil
}
