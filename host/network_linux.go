package host

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netlink"
)

// network reads interfaces, addresses, routes and forwarding.
func (f files) network(v *view) {
	links, err := readLinks()
	if err != nil {
		v.miss("rtnetlink links", err)
		return
	}
	byIndex := make(map[int]int, len(links))
	for i, l := range links {
		byIndex[l.Index] = i
	}
	err = dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func(b []byte) error {
		a, err := parseAddress(b)
		if err != nil {
			return err
		}
		// An interface that came between the two dumps is left out with its
		// addresses, as if it had come after both.
		if i, ok := byIndex[a.index]; ok && a.usable {
			links[i].Addrs = append(links[i].Addrs, a.prefix)
		}
		return nil
	}, func() {
		for i := range links {
			links[i].Addrs = nil
		}
	})
	if err != nil {
		v.miss("rtnetlink addresses", err)
	}
	f.switches(v, links)
	f.paths(v, links)
	for _, l := range links {
		if i, ok := byIndex[l.master]; ok {
			l.Master = links[i].Name
		}
		// The other end of a cable is told in the same way, and no part of it.
		if i, ok := byIndex[l.parent]; ok && l.parent != l.Index && (l.Kind == "vlan" || strings.HasPrefix(l.Kind, "macv") || strings.HasPrefix(l.Kind, "ipv")) {
			l.Parent = links[i].Name
		}
		v.Interfaces = append(v.Interfaces, l.Interface)
	}
	name := func(index int) string {
		if i, ok := byIndex[index]; ok {
			return links[i].Name
		}
		return ""
	}
	for _, family := range [...]byte{unix.AF_INET, unix.AF_INET6} {
		routes, err := readRoutes(family, name)
		if err != nil {
			v.miss("rtnetlink routes", err)
		}
		v.Routes = append(v.Routes, routes...)
	}
	f.locals(v, name)
	f.rules(v, name)
}

// locals adds the routes of the table local that are more than its interfaces'
// addresses, as "ip route add local" makes them.
func (f files) locals(v *view, name func(int) string) {
	own := map[netip.Addr]bool{}
	loopback := map[string]bool{}
	for _, i := range v.Interfaces {
		loopback[i.Name] = i.Loopback
		for _, a := range i.Addrs {
			own[a.Addr().WithZone("")] = true
		}
	}
	for _, family := range [...]byte{unix.AF_INET, unix.AF_INET6} {
		request := make([]byte, unix.SizeofRtMsg)
		request[0], request[4] = family, monban.TableLocal
		routes, err := dumpRoutes(family, request, name, func(table uint32) bool { return table == monban.TableLocal })
		if err != nil {
			v.miss("rtnetlink routes", err)
		}
		for _, r := range routes {
			// A single address of another interface is one that is not ready yet.
			if r.Kind != monban.RouteLocal || !r.Dst.Addr().IsLoopback() && !(r.Dst.IsSingleIP() && (own[r.Dst.Addr()] || !loopback[r.Device])) {
				v.Routes = append(v.Routes, r)
			}
		}
	}
}

// switches fills in what the interfaces and the sysctls say about forwarding and
// IPv6.
func (f files) switches(v *view, links []link) {
	var forwards4, forwards6, has6 bool
	for _, l := range links {
		// The kernel asks the interface a packet came in by, and not
		// net.ipv4.ip_forward, which only sets all of them (IN_DEV_FORWARD).
		forwards4 = forwards4 || l.forwards4
		forwards6 = forwards6 || l.forwards6
		has6 = has6 || l.has6
	}
	v.Forward4 = monban.FlagOf(forwards4)
	v.IPv6 = monban.FlagOf(has6)
	switch {
	case forwards6:
		v.Forward6 = monban.On
	case !f.exists("proc/sys/net/ipv6"):
		v.Forward6 = monban.Off
	default:
		v.Forward6 = f.flag(v, "proc/sys/net/ipv6/conf/all/forwarding")
	}
}

// paths fills in what decides, besides addresses and routes, which packets an
// interface lets in. The kernel takes the larger of the interface's setting and
// that of "all" (IN_DEV_MAXCONF and IN_DEV_ORCONF).
func (f files) paths(v *view, links []link) {
	const all = "proc/sys/net/ipv4/conf/all/"
	rpFilter, _ := strconv.ParseUint(f.text(v, all+"rp_filter"), 10, 32)
	acceptLocal := f.flag(v, all+"accept_local") == monban.On
	routeLocalnet := f.flag(v, all+"route_localnet") == monban.On
	validMark := f.flag(v, all+"src_valid_mark") == monban.On
	v.AnswersKeepMark = f.flag(v, "proc/sys/net/ipv4/tcp_fwmark_accept")
	global := monban.Off
	if f.exists("proc/sys/net/ipv6") {
		global = f.flag(v, "proc/sys/net/ipv6/conf/all/forwarding")
	}
	for i := range links {
		l := &links[i]
		l.Interface.Forward4 = monban.FlagOf(l.forwards4)
		l.Interface.Forward6 = global
		if l.forwards6 {
			l.Interface.Forward6 = monban.On
		}
		l.AcceptLocal = monban.FlagOf(acceptLocal || l.acceptLocal)
		l.RouteLocalnet = monban.FlagOf(routeLocalnet || l.routeLocalnet)
		l.ValidMark = monban.FlagOf(validMark || l.validMark)
		switch max(uint32(rpFilter), l.rpFilter) {
		case 0:
			l.ReversePath = monban.ReversePathOff
		case 1:
			l.ReversePath = monban.ReversePathStrict
		default:
			l.ReversePath = monban.ReversePathLoose
		}
	}
}

// rules reads the rules that choose a routing table, and where there are more than
// the three of every system the routes of the other tables.
func (f files) rules(v *view, name func(int) string) {
	custom, byMark := false, true
	for _, family := range [...]byte{unix.AF_INET, unix.AF_INET6} {
		var rules []monban.RoutingRule
		request := make([]byte, 12) // struct fib_rule_hdr
		request[0] = family
		err := dump(unix.RTM_GETRULE, request, func(b []byte) error {
			if len(b) > 0 && b[0] != family {
				return nil
			}
			r, err := parseRule(b)
			rules = append(rules, r)
			return err
		}, func() { rules = nil })
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EAFNOSUPPORT) {
			v.miss("rtnetlink rules", err)
			v.RoutingRules = nil
			return
		}
		if standard(rules) {
			continue
		}
		custom = true
		for _, r := range rules {
			byMark = byMark && (r.Standard() || r.Mark&r.Mask != 0 && !r.Not)
		}
		v.RoutingRules = append(v.RoutingRules, rules...)
		routes, err := dumpRoutes(family, make([]byte, unix.SizeofRtMsg), name, func(table uint32) bool {
			return table != monban.TableMain && table != monban.TableLocal
		})
		if err != nil {
			v.miss("rtnetlink routes", err)
		}
		v.Routes = append(v.Routes, routes...)
	}
	v.PolicyRouting, v.RoutedByMark = monban.FlagOf(custom), monban.FlagOf(custom && byMark)
}

// standard reports whether rules are the three that every system has, or fewer, in
// their order. A system where the table local is not asked first is none.
func standard(rules []monban.RoutingRule) bool {
	order := [...]uint32{monban.TableLocal, monban.TableMain, monban.TableDefault}
	at := 0
	for i := range rules {
		for at < len(order) && rules[i].Table != order[at] {
			at++
		}
		if at++; !rules[i].Standard() || at > len(order) || i == 0 && at > 1 {
			return false
		}
	}
	return true
}

// allLinks is the body of a request for every interface.
func allLinks() []byte {
	const skipStatistics = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	request := make([]byte, unix.SizeofIfInfomsg+8)
	binary.NativeEndian.PutUint16(request[unix.SizeofIfInfomsg:], 8)
	binary.NativeEndian.PutUint16(request[unix.SizeofIfInfomsg+2:], unix.IFLA_EXT_MASK)
	binary.NativeEndian.PutUint32(request[unix.SizeofIfInfomsg+4:], skipStatistics)
	return request
}

// allRoutes is the body of a request for the main table of one family.
func allRoutes(family byte) []byte {
	request := make([]byte, unix.SizeofRtMsg)
	request[0], request[4] = family, monban.TableMain
	return request
}

func readLinks() ([]link, error) {
	var links []link
	err := dump(unix.RTM_GETLINK, allLinks(), func(b []byte) error {
		l, err := parseLink(b)
		links = append(links, l)
		return err
	}, func() { links = nil })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(links, func(a, b link) int { return cmp.Compare(a.Index, b.Index) })
	return links, nil
}

// maxRoutes bounds the memory for the routes of one family. A router with the
// whole table of the Internet has a million.
const maxRoutes = 10_000

// errRoutes is a type, as a variable would be made at every start.
type errRoutes struct{}

func (errRoutes) Error() string {
	return fmt.Sprintf("more than %d routes: the rest was not read", maxRoutes)
}

func readRoutes(family byte, name func(int) string) ([]monban.Route, error) {
	return dumpRoutes(family, allRoutes(family), name, func(table uint32) bool { return table == monban.TableMain })
}

// dumpRoutes reads the routes of the tables that are wanted.
func dumpRoutes(family byte, request []byte, name func(int) string, wanted func(table uint32) bool) ([]monban.Route, error) {
	var routes []monban.Route
	err := dump(unix.RTM_GETROUTE, request, func(b []byte) error {
		if len(b) > 0 && b[0] != family {
			return nil // a kernel without the family answers for all it has
		}
		hops, err := parseRoute(b)
		for _, h := range hops {
			if !wanted(h.table) {
				continue
			}
			if len(routes) == maxRoutes {
				return errRoutes{}
			}
			r := monban.Route{Dst: h.dst, From: h.from, TOS: h.tos, Gateway: h.gateway, Device: name(h.index), Kind: h.kind, Metric: h.metric}
			if h.table != monban.TableMain && (h.table != monban.TableLocal || h.kind != monban.RouteLocal) {
				r.Table = h.table
			}
			routes = append(routes, r)
		}
		return err
	}, func() { routes = nil })
	// The kernel makes a routing table with its first route.
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return routes, err
}

// dump asks for a whole table and calls each with the payload of every message
// of the answer. When the table changed meanwhile it calls restart and begins
// again.
func dump(kind uint16, request []byte, each func([]byte) error, restart func()) error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.Close()
	const attempts = 5
	for try := 1; ; try++ {
		err := ask(c, kind, request, func(_ uint16, payload []byte) error { return each(payload) })
		if !errors.Is(err, netlink.ErrInterrupted) {
			return err
		}
		if try == attempts {
			return errChanged
		}
		if err := c.Again(); err != nil {
			return err
		}
		restart()
	}
}

// ask asks once, on a new connection.
func ask(c *netlink.Conn, kind uint16, request []byte, each func(kind uint16, payload []byte) error) error {
	// Kernels before 4.20 do not know the option; they send all tables and the
	// decoder picks.
	_ = unix.SetsockoptInt(c.FD(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	const seq = 1
	if err := c.Send(append(netlink.AppendHeader(nil, kind, netlink.Request|netlink.Dump, seq, len(request)), request...)); err != nil {
		return err
	}
	for {
		b, err := c.Receive()
		if err != nil {
			return err
		}
		if done, err := netlink.Answers(b, seq, each); done || err != nil {
			return err
		}
	}
}
