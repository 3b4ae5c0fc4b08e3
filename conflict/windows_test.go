package conflict

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

// winAt reads "0.0.0.0", "[::]" (both families), "[::]v6only", "127.0.0.1".
func winAt(text string) rcvAddr {
	place, v6only := strings.CutSuffix(text, "v6only")
	addr := netip.MustParseAddr(strings.Trim(place, "[]"))
	return socketAt(monban.Bind{Addr: addr, V6Only: monban.FlagOf(v6only)}).at
}

// TestWindowsTables compares the rules with the two tables that Microsoft has
// published for programs, and with the one for drivers, which says in other words
// what has to be the same: where it fails, and where it depends on the user. A
// row is the first socket; the columns are the second one's.
func TestWindowsTables(t *testing.T) {
	uses := []string{"plain", "reuse", "exclusive"}
	for _, tt := range []struct {
		name     string
		stranger bool
		want     [6]string
	}{
		{"the same user", false, [6]string{
			"INUSE Success ACCESS Success INUSE Success",
			"Success INUSE Success ACCESS INUSE INUSE",
			"INUSE Success Success Success INUSE Success",
			"Success INUSE Success Success INUSE INUSE",
			"INUSE ACCESS ACCESS ACCESS INUSE ACCESS",
			"Success INUSE Success ACCESS INUSE INUSE",
		}},
		{"another user", true, [6]string{
			"INUSE ACCESS ACCESS ACCESS INUSE ACCESS",
			"Success INUSE Success ACCESS INUSE INUSE",
			"INUSE ACCESS Success Success INUSE ACCESS",
			"Success INUSE Success Success INUSE INUSE",
			"INUSE ACCESS ACCESS ACCESS INUSE ACCESS",
			"Success INUSE Success ACCESS INUSE INUSE",
		}},
	} {
		// Of the driver's table a row is the second socket, and a column the first.
		drivers := [6]string{
			"INUSE SUCCESS INUSE SUCCESS INUSE SUCCESS",
			"CHECK INUSE CHECK DENIED DENIED INUSE",
			"DENIED SUCCESS SUCCESS SUCCESS DENIED SUCCESS",
			"CHECK DENIED SUCCESS SUCCESS DENIED DENIED",
			"INUSE INUSE INUSE INUSE INUSE INUSE",
			"CHECK INUSE CHECK INUSE DENIED INUSE",
		}
		places := []string{"0.0.0.0", "192.0.2.1"}
		for row := range 6 {
			for col := range 6 {
				first := winSocket{winAt(places[row%2]), winUse(row / 2), tt.stranger}
				second := winSocket{winAt(places[col%2]), winUse(col / 2), false}
				got := winMeet(first, second)
				word := map[Errno]string{NoError: "Success", EADDRINUSE: "INUSE", EACCES: "ACCESS"}[got]
				if want := strings.Fields(tt.want[row])[col]; word != want {
					t.Errorf("%s: %s %s after %s %s: %s, want %s", tt.name, uses[col/2], places[col%2], uses[row/2], places[row%2], word, want)
				}
				check := strings.Fields(drivers[col])[row]
				if succeeds := check == "SUCCESS" || check == "CHECK" && !tt.stranger; succeeds != (got == NoError) {
					t.Errorf("%s: %s %s after %s %s: %s, and for drivers %s", tt.name, uses[col/2], places[col%2], uses[row/2], places[row%2], word, check)
				}
			}
		}
	}
}

// TestWindowsStacks: a socket of both families is compared in both.
func TestWindowsStacks(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		use           winUse
		want          Errno
	}{
		{"0.0.0.0", "[::]v6only", winPlain, NoError}, // the default: two sockets side by side
		{"[::]v6only", "0.0.0.0", winPlain, NoError},
		{"0.0.0.0", "[::]", winPlain, EADDRINUSE},
		{"[::]", "0.0.0.0", winPlain, EADDRINUSE},
		{"[::]v6only", "[::]", winPlain, EADDRINUSE},
		{"[::]", "[::]", winReuse, EACCES},
		{"[::]", "127.0.0.1", winPlain, NoError}, // a specific address beside the same user's wildcard
		{"[::]v6only", "127.0.0.1", winPlain, NoError},
		{"127.0.0.1", "[::]", winExclusive, EACCES}, // Microsoft's own example
		{"127.0.0.1", "[::]v6only", winExclusive, NoError},
		{"192.0.2.1", "192.0.2.2", winExclusive, NoError}, // and another one of theirs
		{"::1", "127.0.0.1", winExclusive, NoError},
		{"::ffff:127.0.0.1", "127.0.0.1", winPlain, EADDRINUSE},
		{"::1", "::1", winPlain, EADDRINUSE},
	} {
		if got := winMeet(winSocket{at: winAt(tt.first)}, winSocket{at: winAt(tt.second), use: tt.use}); got != tt.want {
			t.Errorf("%s after %s: %q, want %q", tt.second, tt.first, got, tt.want)
		}
	}
}
