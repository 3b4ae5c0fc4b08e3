package owners

import (
	"context"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

func TestByPID(t *testing.T) {
	pids := func(list ...int) (d monban.Door) {
		for _, pid := range list {
			d.Owners = append(d.Owners, monban.Owner{PID: pid})
		}
		d.Unnamed = monban.HiddenNotAsked
		return d
	}
	asked := 0
	read := func(pid int) known {
		asked++
		switch pid {
		case 1:
			return known{owner: monban.Owner{PID: 1, Name: "worker", Unit: "own", Started: time.Unix(5, 0)}}
		case 2:
			return known{owner: monban.Owner{PID: 2, Name: "master", Started: time.Unix(1, 0)}, partly: true}
		case 3:
			return known{hidden: monban.HiddenPrivilege}
		case 4:
			return known{hidden: monban.HiddenGone}
		}
		return known{hidden: monban.HiddenUnreadable}
	}
	doors := []monban.Door{pids(1), pids(1, 2), pids(3), pids(4), pids(0), pids(), pids(3, 1)}
	doors[0].Owners[0].Unit = "from the table"
	gaps := byPID(t.Context(), doors, read)
	for i, want := range []struct {
		names  string
		hidden monban.Hidden
	}{{"worker ", 0}, {"master worker ", 0}, {"", monban.HiddenPrivilege}, {"", monban.HiddenGone}, {"", monban.HiddenUnreadable},
		{"", monban.HiddenUnreadable}, {"worker ", 0}} {
		names := ""
		for _, o := range doors[i].Owners {
			names += o.Name + " "
		}
		if names != want.names || doors[i].Unnamed != want.hidden {
			t.Errorf("door %d: %q, %v", i, names, doors[i].Unnamed)
		}
	}
	if u := doors[0].Owners[0].Unit; u != "from the table" {
		t.Errorf("unit %q", u)
	}
	if u := doors[6].Owners[0].Unit; u != "own" {
		t.Errorf("unit %q", u)
	}
	if asked != 5 {
		t.Errorf("%d processes were read, want each once", asked)
	}
	want := []monban.Gap{
		{Hides: monban.HidesOwners, Reason: monban.HiddenUnreadable, Count: 2},
		{Hides: monban.HidesOwners, Reason: monban.HiddenPrivilege, Count: 1},
		{Hides: monban.HidesDetails, Reason: monban.HiddenPrivilege, Count: 1},
	}
	if len(gaps) != len(want) {
		t.Fatalf("gaps %+v", gaps)
	}
	for i, g := range gaps {
		if g.Hides != want[i].Hides || g.Reason != want[i].Reason || g.Count != want[i].Count {
			t.Errorf("gap %+v, want %+v", g, want[i])
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	doors = []monban.Door{pids(1)}
	gaps = byPID(ctx, doors, read)
	if len(gaps) != 1 || gaps[0].Err != context.Canceled.Error() || gaps[0].Count != 1 || doors[0].Unnamed != monban.HiddenUnreadable {
		t.Errorf("cancelled: %+v, %+v", gaps, doors)
	}
}
