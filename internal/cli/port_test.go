package cli

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// TestLongList: in a long list every port is judged as it is alone, but for the
// other ports that are offered.
func TestLongList(t *testing.T) {
	snap := office()
	if snap.Host.UID == 0 || snap.Host.Unprivileged != 1024 {
		t.Fatal("the office's user may open every port")
	}
	views := portViews([]monban.PortRange{{First: 0, Last: 65535}}, snap, portbook.Builtin(), nil)
	if len(views) != 1<<16 {
		t.Fatalf("%d ports", len(views))
	}
	check := func(num int) {
		t.Helper()
		alone := portViews([]monban.PortRange{{First: uint16(num), Last: uint16(num)}}, snap, portbook.Builtin(), nil)[0]
		for i := range alone.Bind {
			got, want := views[num].Bind[i], alone.Bind[i]
			got.Fix, want.Fix = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("port %d: %+v, alone %+v", num, got, want)
			}
		}
	}
	for _, d := range snap.Doors {
		check(int(d.Bind.Port.Num))
		check(int(d.Bind.Port.Num) + 1)
	}
	for range 200 {
		check(rand.IntN(1 << 16))
	}
}

// TestEveryPort: the JSON of all ports leaves out those that go without saying,
// and says how many; each number is counted once.
func TestEveryPort(t *testing.T) {
	out := run(t, System{}, "0-65535", "--json", "--load", officeFile)
	validate(t, out)
	var e struct {
		Data struct {
			Ports []struct {
				Port     uint16
				Practice []struct{ Name string }
				Registry []any
				Doors    []any
			}
			Quiet int
		}
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatal(err)
	}
	listed := make(map[uint16]bool)
	for _, p := range e.Data.Ports {
		listed[p.Port] = true
	}
	if len(listed)+e.Data.Quiet != 1<<16 || len(listed) != len(e.Data.Ports) || e.Data.Quiet < 50000 {
		t.Errorf("%d ports listed %d times, %d quiet", len(listed), len(e.Data.Ports), e.Data.Quiet)
	}
	for _, num := range []uint16{0, 22, 80, 3306, 5173, 6000, 9200, 41234, 45000, 50005} {
		if !listed[num] {
			t.Errorf("port %d is left out", num)
		}
	}
	if len(out) > 8<<20 {
		t.Errorf("%d bytes", len(out))
	}
	few := run(t, System{}, "40000-41000", "--json", "--load", officeFile)
	var all struct {
		Data struct{ Ports []any }
	}
	if err := json.Unmarshal([]byte(few), &all); err != nil || len(all.Data.Ports) != 1001 {
		t.Errorf("%d of 1001 ports in a short list, %v", len(all.Data.Ports), err)
	}
}
