package conflict

import (
	"strings"

	"github.com/monban-dev/monban"
)

// foreign is one bind put to the rules of Windows or macOS, beside what is open
// and the claims that start before.
type foreign struct {
	want   monban.Bind
	who    asker
	snap   *monban.Snapshot
	open   *openPorts
	use    winUse // of want
	others []occupant
	own    darwin // the addresses of this machine
}

// occupant is somebody at the port.
type occupant struct {
	door  *monban.Door // nil for a claim and for connections
	claim int          // the claim's index, or -1
	conns *monban.Traffic
	// can are all that its socket can be, as far as was seen. On Windows uses
	// says with what options.
	can  []Socket
	uses []winUse
	// strangers are whether it may be another user's.
	strangers []bool
}

// modelled reports whether the rules of the machine's system are known here.
func modelled(h *monban.Host) bool { return h.OS == "windows" || h.OS == "darwin" }

func newForeign(want monban.Bind, who asker, snap *monban.Snapshot, open *openPorts) *foreign {
	f := &foreign{want: want, who: who, snap: snap, open: open, own: darwin{interfaces: snap.Host.Interfaces}}
	if want.ReuseAddr == monban.On {
		f.use = winReuse
	}
	for i := range snap.Doors {
		d := &snap.Doors[i]
		open.add(d.Bind.Port)
		if d.Bind.Port == want.Port && d.Bind.Addr.IsValid() && d.State != monban.Forwarded {
			f.addDoor(d)
		}
	}
	for i := range snap.Traffic {
		if t := &snap.Traffic[i]; t.Port == want.Port {
			f.addTraffic(t)
		}
	}
	return f
}

func (f *foreign) windows() bool { return f.snap.Host.OS == "windows" }

// sock is the socket that wants the door.
func (f *foreign) sock() *Socket {
	s := socketAt(f.want)
	s.uid = f.who.uid
	if f.want.V6Only == monban.FlagUnknown && s.at.v6 {
		s.at.v6only = f.snap.Host.BindV6Only == monban.On
	}
	s.reuseAddr, s.reusePort = f.want.ReuseAddr == monban.On, f.want.ReusePort == monban.On
	return s
}

// socketAt is a socket bound to b, with the options that are on for certain.
func socketAt(b monban.Bind) *Socket {
	return &Socket{proto: b.Port.Proto, port: b.Port.Num, reuseAddr: b.ReuseAddr == monban.On, reusePort: b.ReusePort == monban.On,
		at: rcvAddr{v6: !b.Addr.Is4(), addr: to16(b.Addr.WithZone("")), v6only: b.V6Only == monban.On}}
}

func (f *foreign) addDoor(d *monban.Door) {
	o := occupant{door: d, claim: -1, uses: winUsesOf(&d.Bind), strangers: []bool{false, true}}
	if f.windows() {
		o.strangers = f.strangers(d)
	}
	v6 := d.Bind.Addr.Is6() && d.Bind.Wildcard()
	for _, v6only := range values(d.Bind.V6Only, v6) {
		for _, reusePort := range values(d.Bind.ReusePort, !f.windows()) {
			s := *socketAt(d.Bind)
			s.uid, s.at.v6only, s.reusePort, s.state = d.UID, v6only, reusePort, stateOf(d.State)
			o.can = append(o.can, s)
		}
	}
	f.others = append(f.others, o)
}

// strangers compares the users of Windows: by name, because a socket there has no
// number of its user.
func (f *foreign) strangers(d *monban.Door) []bool {
	me := f.snap.Host.User
	if i := strings.LastIndexByte(me, '\\'); i >= 0 {
		me = me[i+1:]
	}
	if len(d.Owners) > 0 && d.Owners[0].PID == 4 && me != "" {
		return []bool{!strings.EqualFold(me, "SYSTEM")} // the kernel
	}
	if len(d.Owners) == 0 || d.Owners[0].User == "" || me == "" || f.who.uid != uint32(f.snap.Host.UID) {
		return []bool{false, true}
	}
	return []bool{!strings.EqualFold(me, d.Owners[0].User)}
}

// addTraffic adds the connections that may be in the way. On Windows those in
// TIME_WAIT never are.
func (f *foreign) addTraffic(t *monban.Traffic) {
	if t.Established+t.Other == 0 && (t.TimeWait == 0 || f.windows()) {
		return
	}
	o := occupant{conns: t, claim: -1}
	for _, local := range t.Locals {
		for _, uid := range []uint32{f.who.uid, f.who.uid + 1} {
			for _, reusePort := range []bool{false, true} {
				s := *socketAt(monban.Bind{Port: t.Port, Addr: local, V6Only: monban.FlagOf(local.Is6() && !local.Is4In6())})
				s.uid, s.reusePort, s.state = uid, reusePort, connected
				o.can = append(o.can, s)
			}
		}
	}
	f.others = append(f.others, o)
}

// addClaim adds a claim that starts before. Who starts it is not known on Windows.
func (f *foreign) addClaim(index int, c *monban.Claim, b monban.Bind, uid uint32) {
	s := socketAt(b)
	s.uid = uid
	if b.V6Only == monban.FlagUnknown && s.at.v6 {
		s.at.v6only = f.snap.Host.BindV6Only == monban.On
	}
	f.others = append(f.others, occupant{claim: index, can: []Socket{*s}, uses: []winUse{winUseOf(c)}, strangers: []bool{false, true}})
}

// met is what one bind comes to.
type met struct {
	errno Errno
	chance
	against []*occupant // in the way for certain with fails, perhaps with depends
	// beside are those at an address that overlaps, and who are not in the way.
	beside []*occupant
}

// meet puts the bind to the rules of the system.
func (f *foreign) meet() met {
	h := &f.snap.Host
	if f.windows() {
		if within(h.Excluded, f.want.Port) {
			return met{errno: EACCES, chance: fails}
		}
		if a := f.want.Addr; len(h.Interfaces) > 0 && !a.IsUnspecified() && !a.IsMulticast() && !a.Unmap().IsLoopback() && !h.HasAddr(a) {
			return met{errno: EADDRNOTAVAIL, chance: fails}
		}
		return f.meetWindows()
	}
	alone := darwin{interfaces: h.Interfaces}
	root := f.who.bindService == monban.On
	errno, _ := alone.bind(f.sock(), root, f.want.Addr, f.want.Port.Num)
	switch {
	case errno == EADDRNOTAVAIL && len(h.Interfaces) == 0, errno == EACCES && f.who.bindService == monban.FlagUnknown:
		return met{errno: errno, chance: depends}
	case errno != NoError:
		return met{errno: errno, chance: fails}
	}
	return f.meetDarwin(root)
}

// meetWindows asks each of the others by itself.
func (f *foreign) meetWindows() met {
	var must, may met
	want := winSocket{at: f.sock().at, use: f.use}
	for i := range f.others {
		o := &f.others[i]
		if o.conns != nil {
			// What connections keep depends on the options of the socket that
			// they came from.
			may.against = append(may.against, o)
			continue
		}
		var refused, let Errno
		passed, overlap := false, false
		for k := range o.can {
			overlap = overlap || want.at.overlaps(o.can[k].at, true, true)
			for _, use := range o.uses {
				for _, stranger := range o.strangers {
					if errno := winMeet(winSocket{o.can[k].at, use, stranger}, want); errno != NoError {
						refused = errno
					} else {
						passed = true
					}
				}
			}
		}
		switch {
		case refused != let && !passed:
			if must.errno == NoError {
				must.errno = refused
			}
			must.against = append(must.against, o)
		case refused != let:
			may.against = append(may.against, o)
		case overlap:
			must.beside = append(must.beside, o)
		}
	}
	switch {
	case len(must.against) > 0:
		must.chance = fails
		if httpSys(must.against[0].door) {
			must.errno = EACCES // as a rule; 10048 was seen, too
		}
		return must
	case len(may.against) > 0:
		may.chance = depends
		return may
	}
	return must
}

func httpSys(d *monban.Door) bool { return d != nil && d.Kernel == "http.sys" }

// mostWays bounds in how many ways hidden options are put together.
const mostWays = 4096

// meetDarwin puts together what the others can be in every way, each in turn as
// the newest, because the kernel looks at all of them at once.
func (f *foreign) meetDarwin(root bool) met {
	ways := max(1, len(f.others))
	for i := range f.others {
		if ways *= max(1, len(f.others[i].can)); ways > mostWays || len(f.others[i].can) == 0 {
			return met{chance: depends, against: f.everybody()}
		}
	}
	var out met
	refused, passed := 0, 0
	blamed := map[*occupant]int{}
	for way := range ways {
		first := way % max(1, len(f.others))
		rest := way / max(1, len(f.others))
		d := darwin{interfaces: f.own.interfaces}
		from := map[*Socket]*occupant{}
		for i := range f.others {
			o := &f.others[i]
			s := &o.can[rest%len(o.can)]
			rest /= len(o.can)
			from[s] = o
			d.open = append(d.open, s)
		}
		d.open = append(d.open[first:len(d.open):len(d.open)], d.open[:first]...)
		errno, blame := d.bind(f.sock(), root, f.want.Addr, f.want.Port.Num)
		if errno == NoError {
			passed++
			continue
		}
		refused++
		out.errno = errno
		blamed[from[blame]]++
	}
	for i := range f.others {
		switch o := &f.others[i]; {
		case blamed[o] > 0:
			out.against = append(out.against, o)
		case f.overlapsWith(o):
			out.beside = append(out.beside, o)
		}
	}
	switch {
	case refused > 0 && passed > 0:
		out.chance = depends
	case refused > 0:
		out.chance = fails
	}
	return out
}

func (f *foreign) overlapsWith(o *occupant) bool {
	at := f.sock().at
	for i := range o.can {
		if at.overlaps(o.can[i].at, true, true) {
			return true
		}
	}
	return false
}

func (f *foreign) everybody() []*occupant {
	var all []*occupant
	for i := range f.others {
		all = append(all, &f.others[i])
	}
	return all
}
