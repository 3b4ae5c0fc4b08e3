package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// exit is how packets leave this machine.
type exit struct {
	device int
	// source is unspecified (0.0.0.0, ::) where a target of this machine's own
	// answers itself: each from its own address.
	source netip.Addr
	linkKind
}

// hops are where the packets for each target go first: runs of targets in order.
type hops struct {
	runs  []hopRun
	exits []exit
}

// hopRun is the first hop of some targets. There is one for each host of a link.
type hopRun struct {
	from, n uint64     // numbers of the targets
	gateway netip.Addr // the neighbour; the zero Addr where that is the target itself
	exit    int32      // in exits; -1 where there is no route
	ok      bool       // the neighbour is there, where the link has neighbours
	// hardware is the neighbour's link address, where the link has such.
	hardware [macLen]byte
}

// find returns the hop of target h. last is a guess, and is updated.
func (hs *hops) find(h uint64, last *int) *hopRun {
	if r := &hs.runs[*last]; h-r.from < r.n {
		return r
	}
	lo, hi := 0, len(hs.runs)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; hs.runs[mid].from <= h {
			lo = mid
		} else {
			hi = mid
		}
	}
	*last = lo
	return &hs.runs[lo]
}

// add appends a run, or makes the last one longer: of targets that go the same way
// by a gateway, into a link without neighbours, or nowhere.
func (hs *hops) add(r hopRun, x exit) {
	r.exit = -1
	if r.ok {
		r.exit = int32(slices.IndexFunc(hs.exits, func(o exit) bool { return o.device == x.device && o.source == x.source }))
		if r.exit < 0 {
			r.exit = int32(len(hs.exits))
			hs.exits = append(hs.exits, x)
		}
	}
	if n := len(hs.runs); n > 0 && (r.exit < 0 || far(r, x)) {
		if last := &hs.runs[n-1]; last.exit == r.exit && last.gateway == r.gateway && last.from+last.n == r.from {
			last.n += r.n
			return
		}
	}
	hs.runs = append(hs.runs, r)
}

// far reports whether a packet goes by a gateway, into a link whose neighbours
// have no addresses of their own, or back to this machine, so that the next one can
// go the same way.
func far(r hopRun, x exit) bool {
	return r.gateway.IsValid() || x.own == nil && (!x.loopback || x.source.IsUnspecified())
}

// rtnl is a routing socket.
type rtnl struct {
	fd    int
	seq   uint32
	kinds map[int]linkKind // those that were looked at
	buf   []byte           // for answers: there is one for each host of a link
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
	return &rtnl{fd: fd, kinds: make(map[int]linkKind), buf: make([]byte, 1<<16)}, nil
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
	buf := r.buf
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

// manyHops is how many targets of a run are looked up one by one where rules for
// routing may lead some of them elsewhere; of a longer run the ends decide.
const manyHops = 1 << 20

// findHops looks up the way to every target. A run of targets that all go through
// one gateway, into one tunnel, or back to this machine, with no route of their own
// in between, takes one look. Neighbours are not looked up yet.
func (r *rtnl) findHops(t *Targets, h *monban.Host) (*hops, error) {
	out := new(hops)
	for _, run := range t.runs {
		for _, piece := range pieces(run, h) {
			if err := r.findPiece(out, piece, h); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (r *rtnl) findPiece(out *hops, p run, h *monban.Host) error {
	whole, x, err := r.hopOf(p.first)
	if last, lastX, errLast := r.hopOf(plus(p.first, p.n-1)); p.n > 1 && err == nil && errLast == nil &&
		whole.gateway == last.gateway && x.device == lastX.device && far(whole, x) && far(last, lastX) &&
		(h.PolicyRouting != monban.On || p.n > manyHops) {
		whole.from, whole.n = p.at, p.n
		out.add(whole, x)
		return nil
	}
	for i := range p.n {
		one, x, err := r.hopOf(plus(p.first, i))
		if err != nil && !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("route to %s: %w", plus(p.first, i), err)
		}
		one.from, one.n = p.at+i, 1
		out.add(one, x)
	}
	return nil
}

func (r *rtnl) hopOf(to netip.Addr) (h hopRun, x exit, err error) {
	if x.device, h.gateway, x.source, err = r.route(to); err != nil {
		return hopRun{}, exit{}, err
	}
	if x.linkKind, err = r.kindOf(x.device); err != nil {
		return hopRun{}, exit{}, err
	}
	if x.loopback && x.source == to.WithZone("") {
		x.source = netip.IPv6Unspecified()
		if to.Is4() {
			x.source = netip.IPv4Unspecified()
		}
	}
	h.ok = x.source.IsValid()
	return h, x, nil
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

// pieces cuts a run where a route begins or ends, and at this machine's own
// addresses: within a piece, rules for routing aside, all go one way.
func pieces(r run, h *monban.Host) (out []run) {
	if r.n == 1 {
		return []run{r}
	}
	last := plus(r.first, r.n-1)
	cuts := []uint64{0, r.n}
	cut := func(p netip.Prefix) {
		if !p.IsValid() || p.Addr().BitLen() != r.first.BitLen() {
			return
		}
		s := spanOf(p)
		if s.last.Less(r.first) || last.Less(s.first) {
			return
		}
		if r.first.Less(s.first) {
			cuts = append(cuts, minus(s.first, r.first))
		}
		if s.last.Less(last) {
			cuts = append(cuts, minus(s.last, r.first)+1)
		}
	}
	for _, route := range h.Routes {
		cut(route.Dst)
	}
	for _, i := range h.Interfaces {
		for _, a := range i.Addrs {
			cut(netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i, at := range cuts[:len(cuts)-1] {
		out = append(out, run{plus(r.first, at), cuts[i+1] - at, r.at + at})
	}
	return out
}
