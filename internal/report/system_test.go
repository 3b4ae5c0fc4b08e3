package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// TestUsesOfOtherSystems: what only macOS or Windows has is never what is usually
// at a port of Linux; where it is told at all, it says which system has it.
func TestUsesOfOtherSystems(t *testing.T) {
	show := func(os string, lang Lang, verbose bool) string {
		var b bytes.Buffer
		port := monban.Port{Num: 5000, Proto: monban.TCP}
		r := Result{Snapshot: &monban.Snapshot{Host: monban.Host{OS: os}}, Book: portbook.Builtin(), Data: Ports{Ports: []PortView{{Port: port}}}}
		if err := Write(&b, r, Style{Format: Text, Lang: lang, Verbose: verbose}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for lang, name := range map[Lang]string{EN: "AirPlay Receiver (macOS)", JA: "AirPlay レシーバー(macOS)"} {
		if got := show("darwin", lang, false); !strings.Contains(strings.Split(got, "\n")[2], name) {
			t.Errorf("not the first on a Mac:\n%s", got)
		}
		for _, os := range []string{"linux", "windows"} {
			got := show(os, lang, true)
			if at, flask := strings.Index(got, name), strings.Index(got, "Flask"); at < flask || flask < 0 {
				t.Errorf("on %s %s is at %d, Flask at %d:\n%s", os, name, at, flask, got)
			}
		}
	}
	v := view{Result: Result{Snapshot: &monban.Snapshot{Host: monban.Host{OS: "linux"}}, Book: portbook.Builtin()}}
	for _, num := range []uint16{5000, 7000, 5040, 5985, 1801, 7680} {
		d := monban.Door{Bind: monban.Bind{Port: monban.Port{Num: num, Proto: monban.TCP}}, State: monban.Listen}
		if got := v.purpose(&d); strings.Contains(got, "macOS") || strings.Contains(got, "Windows") || strings.Contains(got, "AirPlay") || strings.Contains(got, "WinRM") {
			t.Errorf("the list on Linux says of %d: %s", num, got)
		}
	}
}

// TestKnownElsewhere: a program that is known is not called what others usually
// are at its number.
func TestKnownElsewhere(t *testing.T) {
	v := view{Result: Result{Snapshot: &monban.Snapshot{Host: monban.Host{OS: "linux"}}, Book: portbook.Builtin()}}
	for _, tt := range []struct {
		port    uint16
		program string
		want    string
	}{
		{8080, "nginx", "http-alt / nginx"},
		{8000, "redis-server", "irdmi / Redis"},
		{8080, "node", "http-alt / usually Tomcat …"},
		{8080, "something", "http-alt / usually Tomcat …"},
		{80, "nginx", "http"},
	} {
		d := monban.Door{Bind: monban.Bind{Port: monban.Port{Num: tt.port, Proto: monban.TCP}}, State: monban.Listen, Owners: []monban.Owner{{PID: 7, Name: tt.program}}}
		if got := v.purpose(&d); got != tt.want {
			t.Errorf("%s at %d: %s, want %s", tt.program, tt.port, got, tt.want)
		}
	}
}
