package sockets

import (
	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

func doors(o Options) ([]monban.Door, []monban.Gap) {
	if o.NetNS != "" {
		return nil, []monban.Gap{noNetNS(o.NetNS)}
	}
	list := doorList{ports: o.Ports}
	gaps := readPCBs(o.Ports, monban.HidesDoors, list.add)
	return list.doors(), append(gaps,
		monban.Gap{Source: "pcblist_n", Hides: monban.HidesOwners,
			Err: "tells the process that used a socket last, which need not be the only one that holds it"},
		monban.Gap{Source: "pcblist_n", Hides: monban.HidesDetails,
			Err: "does not tell the interface of a socket"})
}

func traffic(o Options) ([]monban.Traffic, []monban.Gap) {
	if o.NetNS != "" {
		return nil, []monban.Gap{noNetNS(o.NetNS)}
	}
	t := newTally(o.Ports)
	gaps := readPCBs(o.Ports, monban.HidesTraffic, t.add)
	list, short := t.result()
	return list, append(gaps, short...)
}

// readPCBs reads the tables of TCP and UDP. macOS has no other transports with
// ports.
func readPCBs(ports portSet, hides monban.Subject, add func(*row) bool) (gaps []monban.Gap) {
	for _, t := range [...]struct {
		name  string
		proto monban.Proto
	}{{"net.inet.tcp.pcblist_n", monban.TCP}, {"net.inet.udp.pcblist_n", monban.UDP}} {
		if _, wanted := ports.spans(t.proto); !wanted {
			continue
		}
		b, err := unix.SysctlRaw(t.name)
		if err == nil {
			// Once to see that the layout is the one that is known, from
			// beginning to end, before anything is believed.
			err = readPCBList(t.proto, b, func(*row) {})
		}
		if err == nil {
			err = readPCBList(t.proto, b, func(r *row) { add(r) })
		}
		if err != nil {
			gaps = append(gaps, monban.Gap{Source: "sysctl " + t.name, Err: err.Error(), Hides: hides})
		}
	}
	return gaps
}

// look has nothing to gain here: the tables are read whole either way.
func look(Options) ([]monban.Door, []monban.Traffic, []monban.Gap, bool) {
	return nil, nil, nil, false
}
