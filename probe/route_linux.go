package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// hop is where the packets for a host go first.
type hop struct {
	device   int
	loopback bool
	own      []byte // link address of the device, where it is an Ethernet
	hardware []byte // link address of the neighbour; empty where the link has none
	// source is unspecified (0.0.0.0, ::) where a target of this machine's own
	// answers itself: each from its own address.
	source netip.Addr
	way    int // see rawEngine.ways
}

// hops are the first hops of runs of targets, in order.
type hops []hopRun

type hopRun struct {
	from, n uint64 // numbers of the targets
	hop     hop
	gateway netip.Addr // the neighbour; the target itself where it is on the link
	ok      bool
}

// find returns the hop of target h. last is a guess, and is updated.
func (hs hops) find(h uint64, last *int) *hopRun {
	if r := &hs[*last]; h-r.from < r.n {
		return r
	}
	lo, hi := 0, len(hs)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; hs[mid].from <= h {
			lo = mid
		} else {
			hi = mid
		}
	}
	*last = lo
	return &hs[lo]
}

// rtnl is a routing socket.
type rtnl struct {
	fd    int
	seq   uint32
	kinds map[int]linkKind // those that were looked at
}

func openRTNL() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return &rtnl{fd: fd, kinds: make(map[int]linkKind)}, nil
}

func (r *rtnl) close() { unix.Close(r.fd) }

// ask sends a request and calls each with the payloads of the answer.
func (r *rtnl) ask(kind, flags uint16, body []byte, each func([]byte)) error {
	r.seq++
	msg := make([]byte, 16, 16+len(body))
	msg = append(msg, body...)
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[4:], kind)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|flags)
	binary.NativeEndian.PutUint32(msg[8:], r.seq)
	if err := unix.Sendto(r.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(r.fd, buf, 0)
		if err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return os.NewSyscallError("recvfrom", err)
		}
		for b := buf[:n]; len(b) >= 16; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < 16 || size > len(b) {
				return errors.New("rtnetlink: message too short")
			}
			payload := b[16:size]
			switch kind, seq := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint32(b[8:]); {
			case seq != r.seq:
			case kind == unix.NLMSG_DONE:
				return nil
			case kind == unix.NLMSG_ERROR:
				if len(payload) < 4 {
					return errors.New("rtnetlink: message too short")
				}
				if errno := int32(binary.NativeEndian.Uint32(payload)); errno != 0 {
					return unix.Errno(-errno)
				}
				return nil
			default:
				each(payload)
				if flags&unix.NLM_F_DUMP == 0 {
					return nil
				}
			}
			b = b[min(len(b), (size+3)&^3):]
		}
	}
}

// attributes calls each with the attributes of a message.
func attributes(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func familyOf(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// route asks the kernel which way a packet to a host would go.
func (r *rtnl) route(to netip.Addr) (device int, gateway, source netip.Addr, err error) {
	body := make([]byte, 12)
	body[0], body[1] = familyOf(to), byte(to.BitLen())
	body = append(body, attribute(unix.RTA_DST, to.AsSlice())...)
	if zone := zoneID(to.Zone()); zone != 0 {
		body = append(body, attribute(unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, zone))...)
	}
	kind := byte(0)
	err = r.ask(unix.RTM_GETROUTE, 0, body, func(p []byte) {
		if len(p) < 12 {
			return
		}
		kind = p[7]
		attributes(p[12:], func(kind uint16, v []byte) {
			switch {
			case kind == unix.RTA_OIF && len(v) == 4:
				device = int(binary.NativeEndian.Uint32(v))
			case kind == unix.RTA_GATEWAY:
				gateway, _ = netip.AddrFromSlice(v)
			case kind == unix.RTA_PREFSRC:
				source, _ = netip.AddrFromSlice(v)
			case kind == unix.RTA_VIA && len(v) > 2:
				gateway, _ = netip.AddrFromSlice(v[2:])
			}
		})
	})
	if err == nil && (device == 0 || kind != unix.RTN_UNICAST && kind != unix.RTN_LOCAL) {
		err = unix.ENETUNREACH
	}
	if err == nil && !source.IsValid() && (kind == unix.RTN_LOCAL || to.IsLoopback()) {
		source = to.WithZone("")
	}
	return device, gateway, source, err
}

// linkKind says how packets go onto a link.
type linkKind struct {
	loopback bool
	// own is the device's address on an Ethernet where neighbours have addresses,
	// which have to be found out; nil elsewhere.
	own []byte
}

// link says what kind of link a device is.
func (r *rtnl) link(device int) (k linkKind, err error) {
	body := make([]byte, 16)
	binary.NativeEndian.PutUint32(body[4:], uint32(device))
	err = r.ask(unix.RTM_GETLINK, 0, body, func(p []byte) {
		if len(p) < 16 {
			return
		}
		kind, flags := binary.NativeEndian.Uint16(p[2:]), binary.NativeEndian.Uint32(p[8:])
		k.loopback = flags&unix.IFF_LOOPBACK != 0
		attributes(p[16:], func(name uint16, v []byte) {
			if name == unix.IFLA_ADDRESS && len(v) == macLen && kind == unix.ARPHRD_ETHER && flags&unix.IFF_NOARP == 0 {
				k.own = slices.Clone(v)
			}
		})
	})
	return k, err
}

type neighbour struct {
	device int
	addr   netip.Addr
}

// neighbours returns the link addresses that the kernel knows, and those it has
// given up on.
func (r *rtnl) neighbours(family byte) (known map[neighbour][]byte, failed map[neighbour]bool, err error) {
	known, failed = make(map[neighbour][]byte), make(map[neighbour]bool)
	body := make([]byte, 12)
	body[0] = family
	err = r.ask(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, body, func(p []byte) {
		if len(p) < 12 {
			return
		}
		n := neighbour{device: int(int32(binary.NativeEndian.Uint32(p[4:])))}
		state := binary.NativeEndian.Uint16(p[8:])
		var hardware []byte
		attributes(p[12:], func(kind uint16, v []byte) {
			switch kind {
			case unix.NDA_DST:
				n.addr, _ = netip.AddrFromSlice(v)
			case unix.NDA_LLADDR:
				hardware = append([]byte(nil), v...)
			}
		})
		const usable = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT
		switch {
		case state&usable != 0 && len(hardware) > 0:
			known[n] = hardware
		case state&unix.NUD_FAILED != 0:
			failed[n] = true
		}
	})
	return known, failed, err
}

// manyHops is how many targets of a run are looked up one by one where rules for
// routing may lead some of them elsewhere; of a longer run the ends decide.
const manyHops = 1 << 20

// findHops looks up the way to every target. A run of targets that all go through
// one gateway, or into one tunnel, with no route of their own in between, takes
// one look.
func findHops(t *Targets, h *monban.Host) (hops, error) {
	r, err := openRTNL()
	if err != nil {
		return nil, err
	}
	defer r.close()
	var out hops
	for _, run := range t.runs {
		whole, err := r.hopOf(run.first)
		if last, errLast := r.hopOf(plus(run.first, run.n-1)); run.n > 1 && err == nil && errLast == nil &&
			whole.gateway == last.gateway && whole.hop.device == last.hop.device && r.far(&whole) && !divided(run, h.Routes) &&
			(h.PolicyRouting != monban.On || run.n > manyHops) {
			whole.from, whole.n = run.at, run.n
			out = append(out, whole)
			continue
		}
		for i := range run.n {
			one, err := r.hopOf(plus(run.first, i))
			if err != nil && !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINVAL) {
				return nil, fmt.Errorf("route to %s: %w", plus(run.first, i), err)
			}
			one.from, one.n = run.at+i, 1
			if n := len(out); i > 0 && one.ok && out[n-1].ok && r.far(&one) && one.gateway == out[n-1].gateway && one.hop.device == out[n-1].hop.device && one.hop.source == out[n-1].hop.source {
				out[n-1].n++
				continue
			}
			if !one.gateway.IsValid() {
				one.gateway = plus(run.first, i).WithZone("")
			}
			out = append(out, one)
		}
	}
	return out, r.resolve(out)
}

func (r *rtnl) hopOf(to netip.Addr) (hopRun, error) {
	device, gateway, source, err := r.route(to)
	if err != nil {
		return hopRun{}, err
	}
	h := hopRun{hop: hop{device: device, source: source}, gateway: gateway, ok: source.IsValid()}
	if k, err := r.kindOf(device); err == nil && k.loopback && source == to.WithZone("") {
		h.hop.source = netip.IPv6Unspecified()
		if to.Is4() {
			h.hop.source = netip.IPv4Unspecified()
		}
	}
	return h, nil
}

// kindOf says what kind of link a device is, asking the kernel once.
func (r *rtnl) kindOf(device int) (linkKind, error) {
	if k, seen := r.kinds[device]; seen {
		return k, nil
	}
	k, err := r.link(device)
	if err != nil {
		return k, fmt.Errorf("interface %d: %w", device, err)
	}
	r.kinds[device] = k
	return k, nil
}

// far reports whether a packet goes by a gateway, into a link whose neighbours
// have no addresses of their own, or back to this machine, so that the next one can
// go the same way.
func (r *rtnl) far(h *hopRun) bool {
	if h.gateway.IsValid() {
		return true
	}
	k, err := r.kindOf(h.hop.device)
	return err == nil && k.own == nil && (!k.loopback || h.hop.source.IsUnspecified())
}

// divided reports whether some route leads to a part of a run only.
func divided(r run, routes []monban.Route) bool {
	last := plus(r.first, r.n-1)
	for _, route := range routes {
		if !route.Dst.IsValid() || route.Dst.Addr().BitLen() != r.first.BitLen() {
			continue
		}
		s := spanOf(route.Dst)
		if s.first.Compare(last) <= 0 && s.last.Compare(r.first) >= 0 && (r.first.Less(s.first) || s.last.Less(last)) {
			return true
		}
	}
	return false
}

// resolve finds the link addresses of the neighbours, a few hundred at a time,
// because the kernel's table has room for about a thousand. Whom it does not know
// it asks for when something is sent there: an empty datagram to the discard
// port.
func (r *rtnl) resolve(all hops) error {
	for from := 0; from < len(all); {
		var wanted []*hopRun
		for ; from < len(all) && len(wanted) < 256; from++ {
			h := &all[from]
			if !h.ok {
				continue
			}
			k, err := r.kindOf(h.hop.device)
			if err != nil {
				return err
			}
			h.hop.loopback, h.hop.own = k.loopback, k.own
			if k.own != nil {
				h.ok = false
				wanted = append(wanted, h)
			}
		}
		if err := r.waitFor(wanted); err != nil {
			return err
		}
	}
	return nil
}

// waitFor fills in the link addresses of some neighbours. The kernel asks three
// times, a second apart, and then gives up.
func (r *rtnl) waitFor(wanted []*hopRun) error {
	const patience = 3200 * time.Millisecond
	for began, pause, poked := time.Now(), time.Millisecond, false; len(wanted) > 0; {
		known, failed := make(map[neighbour][]byte), make(map[neighbour]bool)
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			k, f, err := r.neighbours(family)
			if err != nil {
				return fmt.Errorf("neighbours: %w", err)
			}
			for n, v := range k {
				known[n] = v
			}
			for n := range f {
				failed[n] = true
			}
		}
		var left []*hopRun
		for _, h := range wanted {
			n := neighbour{h.hop.device, h.gateway.WithZone("")}
			switch {
			case known[n] != nil:
				h.hop.hardware, h.ok = known[n], true
			case failed[n] && poked && pause > 8*time.Millisecond:
			default:
				left = append(left, h)
			}
		}
		wanted = left
		if len(wanted) == 0 || time.Since(began) > patience {
			return nil
		}
		if !poked {
			for _, h := range wanted {
				poke(h)
			}
			poked = true
		}
		time.Sleep(pause)
		pause = min(pause*2, 50*time.Millisecond)
	}
	return nil
}

func poke(h *hopRun) {
	to := h.gateway
	fd, err := unix.Socket(int(familyOf(to)), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return // it then counts as not answering
	}
	defer unix.Close(fd)
	sa := sockaddr(to, 9)
	if in6, ok := sa.(*unix.SockaddrInet6); ok && to.IsLinkLocalUnicast() {
		in6.ZoneId = uint32(h.hop.device)
	}
	_ = unix.Sendto(fd, nil, 0, sa) // the answer is looked for in the table
}
