package gather

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

// TestAddNeighbours: a port that an engine has published without a socket is
// taken, too, and one that was looked at is not added again.
func TestAddNeighbours(t *testing.T) {
	published := func(num uint16) monban.Published {
		return monban.Published{Host: monban.Bind{Addr: netip.IPv4Unspecified(), Port: monban.Port{Num: num, Proto: monban.TCP}}, Target: 80}
	}
	snap := &monban.Snapshot{Containers: []monban.Container{{ID: "aa", Published: []monban.Published{published(8081), published(8080)}}}}
	AddNeighbours(snap, []monban.PortRange{{First: 8080, Last: 8080}})
	found := map[uint16]bool{}
	for _, d := range snap.Doors {
		if d.To.Container == "aa" && d.State == monban.Forwarded {
			found[d.Bind.Port.Num] = true
		}
	}
	if !found[8081] || found[8080] {
		t.Errorf("%v", snap.Doors)
	}
}
