package guard

import (
	"net/netip"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/internal/netnstest"
)

// TestLoadByAClockOfThePast loads a policy at a boot where the clock says 1970, as on a
// machine without a clock of its own: a door with an end is open for as long as it
// was when the policy was confirmed, and no longer; by a clock that is right, what is
// over is not opened at all.
func TestLoadByAClockOfThePast(t *testing.T) {
	ns := netnstest.New(t)
	s := Store{Dir: t.TempDir(), Run: t.TempDir()}
	at := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	door := func(port uint16, until time.Time) monban.PolicyDoor {
		return monban.PolicyDoor{Ports: monban.PortRange{First: port, Last: port, Proto: monban.TCP}, To: []monban.Audience{{Kind: monban.Anybody}}, Until: until}
	}
	p, err := prepare(s.SavedFile(), &Record{Monban: 1, At: at, Policy: monban.Policy{Doors: []monban.PolicyDoor{door(22, time.Time{}), door(80, at.Add(time.Hour))}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.commit(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		now  time.Time
		most time.Duration // that the door is still open; 0 is not at all
	}{{time.Unix(0, 0), time.Hour}, {at.Add(30 * time.Minute), 30 * time.Minute}, {at.Add(24 * time.Hour), 0}} {
		var g *firewall.Guard
		ns.Do(func() {
			if _, err = s.Load(test.now); err == nil {
				g, err = firewall.ReadGuard()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		open := map[byte]time.Duration{}
		for _, e := range g.Table.Set("open4-a").Elements {
			open[e.First[5]] = e.Expires
		}
		left, is := open[80]
		if _, ssh := open[22]; !ssh || is != (test.most > 0) || left > test.most || is && left == 0 {
			t.Errorf("at %v: open are %v, want 80 for %v at most", test.now, open, test.most)
		}
	}
}

// TestSettle: over which connection somebody works, by what SSH_CONNECTION says, what
// a process above has, and what connections there are.
func TestSettle(t *testing.T) {
	s := func(n uint16) Session {
		return Session{netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), n), netip.MustParseAddrPort("192.0.2.1:22")}
	}
	type list []Session
	const one = "192.0.2.7 1 192.0.2.1 22"
	for _, test := range []struct {
		variable                    string
		over, others, sure, perhaps list
	}{
		{one, nil, nil, list{s(1)}, nil},
		{one, list{s(1)}, nil, list{s(1)}, nil},
		{"", list{s(2)}, nil, list{s(2)}, nil},
		{"", nil, list{s(1), s(2)}, nil, list{s(1), s(2)}},
		{one, nil, list{s(1), s(2)}, list{s(1)}, list{s(2)}}, // tmux, begun over the first, which is still there
		{one, nil, list{s(2), s(3)}, nil, list{s(2), s(3)}},  // over one that is gone
	} {
		sure, perhaps := settle(test.variable, test.over, test.others)
		if !equal(sure, test.sure) || !equal(perhaps, test.perhaps) {
			t.Errorf("%q %v %v: %v %v, want %v %v", test.variable, test.over, test.others, sure, perhaps, test.sure, test.perhaps)
		}
	}
}

func equal(a, b []Session) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestLock: a second run waits for the first, and clears away what one that was killed
// has left.
func TestLock(t *testing.T) {
	s := Store{Run: t.TempDir()}
	unlock, err := s.lock(true)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		again, err := s.lock(false)
		if err == nil {
			again()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("two at once, %v", err)
	default:
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
