package report

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// crowd is 10,000 doors of 100 programs.
func crowd() *monban.Snapshot {
	snap := &monban.Snapshot{At: time.Unix(1e9, 0), Host: monban.Host{OS: "linux", NetNS: "net:[1]"}}
	for p := range 100 {
		owners := []monban.Owner{{PID: 1000 + p, Started: time.Unix(9e8, 0), Name: "server", Exe: "/usr/sbin/server",
			Command: []string{"server", "--config", fmt.Sprintf("/etc/server/%d.conf", p)}, UID: 33, User: "www-data",
			Unit: "server.service", Dir: "/", Parents: []monban.Parent{{PID: 1, Name: "systemd"}}}}
		for i := range 100 {
			snap.Doors = append(snap.Doors, monban.Door{
				Bind:  monban.Bind{Port: monban.Port{Num: uint16(10000 + p*100 + i), Proto: monban.TCP}, Addr: netip.IPv4Unspecified()},
				State: monban.Listen, Inode: uint64(p*100 + i + 1), Owners: owners})
		}
	}
	return snap
}

func BenchmarkStatus(b *testing.B) {
	snap := crowd()
	for _, format := range []Format{Text, JSON} {
		b.Run(string(format), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, Result{Verb: "status", Snapshot: snap, Book: portbook.Builtin(),
					Data: Status{Doors: snap.Doors}}, Style{Format: format}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
