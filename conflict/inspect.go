package conflict

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Inspect reports what is remarkable about the doors that are open now: the
// findings of package monban, worst first, then by port. It looks at one network
// namespace at a time, and never guesses who is behind a door: where the owner
// of one cannot be seen, it is not called a stranger to another.
func Inspect(snap *monban.Snapshot, book *portbook.Book) []monban.Finding {
	in := inspection{snap: ordered(snap), book: book, open: portsOf(snap), programs: map[*monban.Owner]identity{}}
	for _, group := range byPort(in.snap) {
		in.splits(group)
		in.shared(group)
	}
	in.unnamed()
	in.wide()
	in.ephemeral()
	in.processes()
	in.unreachable()
	slices.SortStableFunc(in.found, func(a, b monban.Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Bind.Port.Num, b.Bind.Port.Num),
			cmp.Compare(a.Bind.Port.Proto, b.Bind.Port.Proto), cmp.Compare(a.Kind, b.Kind),
			a.Bind.Addr.Compare(b.Bind.Addr))
	})
	return in.found
}

type inspection struct {
	snap  *monban.Snapshot
	book  *portbook.Book
	open  *openPorts
	found []monban.Finding
	// programs are the services that programs are known for at any port. The
	// doors of one program share their owners.
	programs map[*monban.Owner]identity
}

func (in *inspection) add(f monban.Finding, doors ...monban.Door) {
	f.Doors = doors
	f.Bind = doors[0].Bind
	in.found = append(in.found, f)
}

// ordered returns the snapshot with its doors in the order of their namespaces,
// ports and addresses, so that the findings do not depend on the kernel's.
func ordered(snap *monban.Snapshot) *monban.Snapshot {
	// A door is large: to sort 10,000 of them themselves takes three times as
	// long as to sort their places.
	places := make([]*monban.Door, len(snap.Doors))
	for i := range snap.Doors {
		places[i] = &snap.Doors[i]
	}
	if slices.IsSortedFunc(places, (*monban.Door).Compare) {
		return snap // as it comes from the socket table
	}
	slices.SortStableFunc(places, (*monban.Door).Compare)
	out := *snap
	out.Doors = make([]monban.Door, len(places))
	for i, d := range places {
		out.Doors[i] = *d
	}
	return &out
}

// byPort groups the doors that hold a socket by namespace and port.
func byPort(snap *monban.Snapshot) [][]monban.Door {
	var groups [][]monban.Door
	for i := range snap.Doors {
		d := &snap.Doors[i]
		if d.State != monban.Listen && (d.State != monban.Bound || d.Bind.Port.Proto != monban.UDP) {
			continue
		}
		last := len(groups) - 1
		if last < 0 || d.Bind.Port != groups[last][0].Bind.Port || d.Bind.NetNS != groups[last][0].Bind.NetNS {
			groups = append(groups, snap.Doors[i:i+1:i+1])
		} else if !slices.ContainsFunc(groups[last], func(o monban.Door) bool { return twins(&o, d) }) {
			groups[last] = append(groups[last], *d)
		}
	}
	return groups
}

// twins reports whether two doors are one process's at one address: the sockets
// of a server with SO_REUSEPORT, of which one stands for all.
func twins(a, b *monban.Door) bool {
	return len(a.Owners) > 0 && len(b.Owners) > 0 && a.Owners[0].PID == b.Owners[0].PID &&
		a.Owners[0].Unit == b.Owners[0].Unit && a.To == b.To && a.Bind == b.Bind
}

// splits finds one number that leads to different programs by address. Medium:
// nothing is exposed, but people and programs reach the wrong server, and the
// error they see has nothing to do with ports.
//
// A UDP port in the ephemeral range is not looked at: two clients can be lent one
// number at two addresses.
func (in *inspection) splits(doors []monban.Door) {
	if len(doors) < 2 {
		return
	}
	p := doors[0].Bind.Port
	if p.Proto == monban.UDP && (lendable(&in.snap.Host, p) || shareable(p.Num)) {
		return
	}
	in.splitLoopback(doors)
	in.splitWildcard(doors)
}

func (in *inspection) splitLoopback(doors []monban.Door) {
	for i := range doors {
		for k := i + 1; k < len(doors); k++ {
			a, b := &doors[i], &doors[k]
			if localhost(a.Bind.Addr) && localhost(b.Bind.Addr) && a.Bind.Addr.Unmap().Is4() != b.Bind.Addr.Unmap().Is4() &&
				relate(a, b, in.snap) == unrelated {
				in.add(monban.Finding{Kind: monban.SplitLoopback, Severity: monban.Medium, Evidence: places(*a, *b),
					Fix: in.part(b)}, *a, *b)
				return
			}
		}
	}
}

// localhost reports whether addr is what the name localhost stands for. Other
// addresses of 127.0.0.0/8 are chosen on purpose.
func localhost(addr netip.Addr) bool {
	return addr.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || addr == netip.IPv6Loopback()
}

// splitWildcard finds a program on every address beside another one on a
// specific address, which gets what is meant for that address; and two on the
// wildcards of the two families.
func (in *inspection) splitWildcard(doors []monban.Door) {
	for i := range doors {
		wide := &doors[i]
		if !wide.Bind.Addr.Unmap().IsUnspecified() {
			continue
		}
		for k := range doors {
			other := &doors[k]
			if i == k || other.Bind.Addr.Unmap().IsUnspecified() && k < i || other.Bind.Addr == wide.Bind.Addr ||
				wide.Bind.Device != other.Bind.Device || !sideBySide(&wide.Bind, &other.Bind) ||
				relate(wide, other, in.snap) != unrelated {
				continue
			}
			in.add(monban.Finding{Kind: monban.SplitWildcard, Severity: monban.Medium, Cause: string(in.handedOut(wide, other)), Evidence: places(*wide, *other),
				Fix: in.part(other)}, *wide, *other)
			return
		}
	}
}

// handedOut is M3 where macOS has most likely chosen the number of a wildcard
// socket itself: it looks for a free one among those of [::] only, and does not
// see who has it on 127.0.0.1.
func (in *inspection) handedOut(wide, other *monban.Door) Cause {
	if in.snap.Host.OS == "darwin" && wide.Bind.Addr == netip.IPv6Unspecified() && wide.Bind.V6Only != monban.On &&
		other.Bind.Addr.Unmap() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) && lendable(&in.snap.Host, wide.Bind.Port) {
		return M3
	}
	return ""
}

// sideBySide reports whether the specific address o is one that people who know
// the wildcard w would expect to reach it at.
func sideBySide(w, o *monban.Bind) bool {
	if o.Addr.Unmap().IsUnspecified() {
		return true
	}
	w4, o4 := w.Addr.Unmap().Is4(), o.Addr.Unmap().Is4()
	return w4 == o4 || !w4 && o4 && w.V6Only == monban.Off
}

// part returns how to part two programs on one number.
func (in *inspection) part(d *monban.Door) []monban.Fix {
	return append([]monban.Fix{otherPort(d.Bind, &in.snap.Host, in.open)}, stop(d, in.snap)...)
}

// shared finds unrelated programs on the very same address. Medium: the kernel
// gives each connection to one of them as it likes.
func (in *inspection) shared(doors []monban.Door) {
	if len(doors) < 2 || doors[0].Bind.Port.Proto == monban.UDP && shareable(doors[0].Bind.Port.Num) {
		return
	}
	for i := range doors {
		crowd := []monban.Door{doors[i]}
		for k := i + 1; k < len(doors); k++ {
			if doors[k].Bind.Addr == doors[i].Bind.Addr && doors[k].Bind.Device == doors[i].Bind.Device &&
				!slices.ContainsFunc(crowd, func(d monban.Door) bool { return relate(&d, &doors[k], in.snap) != unrelated }) {
				crowd = append(crowd, doors[k])
			}
		}
		if len(crowd) > 1 {
			in.add(monban.Finding{Kind: monban.SharedPort, Severity: monban.Medium, Evidence: places(crowd...),
				Fix: in.part(&crowd[1])}, crowd...)
			return
		}
	}
}

// shareable reports whether a UDP port is made to be shared: multicast, where
// every program on the machine gets every packet, and DHCP's client port, where
// several clients serve several interfaces.
func shareable(num uint16) bool {
	switch num {
	case 68, 546, 1900, 3702, 5353, 5355, 6771:
		return true
	}
	return false
}

func places(doors ...monban.Door) []monban.Evidence {
	var out []monban.Evidence
	for i := range doors {
		d := &doors[i]
		text := netip.AddrPortFrom(d.Bind.Addr, d.Bind.Port.Num).String()
		if len(d.Owners) > 0 {
			text += " " + d.Owners[0].Name
			if d.Owners[0].Exe != "" {
				text += " " + d.Owners[0].Exe
			}
		}
		out = append(out, monban.Evidence{Source: "socket table", Text: text})
	}
	return out
}
