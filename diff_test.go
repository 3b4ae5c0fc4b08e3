package monban

import (
	"net/netip"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	started := time.Unix(1e9, 0)
	owner := func(pid int, name, unit string) []Owner {
		return []Owner{{PID: pid, Name: name, Exe: "/bin/" + name, Unit: unit, Started: started.Add(time.Duration(pid) * time.Second)}}
	}
	door := func(port uint16, owners []Owner) Door {
		return Door{Bind: Bind{Port: Port{port, TCP}, Addr: netip.IPv4Unspecified()}, State: Listen, Owners: owners}
	}
	forwarded := func(container string) Door {
		d := door(80, nil)
		d.State, d.To = Forwarded, Target{Port: 8080, Container: container}
		return d
	}
	for _, tt := range []struct {
		name                    string
		before, after           []Door
		opened, closed, changed int
	}{
		{"nothing", []Door{door(80, owner(1, "a", ""))}, []Door{door(80, owner(1, "a", ""))}, 0, 0, 0},
		{"opened", nil, []Door{door(80, owner(1, "a", ""))}, 1, 0, 0},
		{"closed", []Door{door(80, owner(1, "a", ""))}, nil, 0, 1, 0},
		{"restarted", []Door{door(80, owner(1, "a", "a.service"))}, []Door{door(80, owner(2, "a", "a.service"))}, 0, 0, 0},
		{"another program", []Door{door(80, owner(1, "a", ""))}, []Door{door(80, owner(2, "b", ""))}, 0, 0, 1},
		{"another unit", []Door{door(80, owner(1, "a", "a.service"))}, []Door{door(80, owner(2, "a", "b.service"))}, 0, 0, 1},
		{"another session", []Door{door(80, owner(1, "a", "session-3.scope"))}, []Door{door(80, owner(2, "a", "session-9.scope"))}, 0, 0, 0},
		{"the same process under another name", []Door{door(80, owner(1, "a", ""))}, []Door{door(80, []Owner{{PID: 1, Name: "\ufffd", Exe: "/bin/\ufffd", Started: started.Add(time.Second)}})}, 0, 0, 0},
		{"owner out of sight", []Door{door(80, owner(1, "a", ""))}, []Door{door(80, nil)}, 0, 0, 0},
		{"a second one joins", []Door{door(80, owner(1, "a", ""))}, []Door{door(80, owner(2, "b", "")), door(80, owner(1, "a", ""))}, 0, 0, 1},
		{"one of two leaves", []Door{door(80, owner(2, "b", "")), door(80, owner(1, "a", ""))}, []Door{door(80, owner(1, "a", ""))}, 0, 0, 1},
		{"another container", []Door{forwarded("x")}, []Door{forwarded("y")}, 0, 0, 1},
		{"the same container", []Door{forwarded("x")}, []Door{forwarded("x")}, 0, 0, 0},
	} {
		c := Compare(&Snapshot{Doors: tt.before}, &Snapshot{Doors: tt.after})
		if len(c.Opened) != tt.opened || len(c.Closed) != tt.closed || len(c.Changed) != tt.changed {
			t.Errorf("%s: %d opened, %d closed, %d changed; want %d, %d, %d", tt.name,
				len(c.Opened), len(c.Closed), len(c.Changed), tt.opened, tt.closed, tt.changed)
		}
	}
}
