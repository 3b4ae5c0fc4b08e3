package exposure

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// machine answers questions about the host's addresses and routes.
type machine struct {
	*monban.Host
	owned  map[netip.Addr]string // address → interface
	locals []netip.Prefix        // what the machine answers for besides
	tables map[monban.Family]*routing
	types  map[typeKey]set
	every  map[typeKey]*set // by the setting of route_localnet
	// ruledBy are the routing rules of the families that have some besides the
	// three of every system, or routes that need asking (plainRules), and byTable
	// the tables that they lead to.
	ruledBy map[monban.Family][]monban.RoutingRule
	byTable map[tableKey]*table
	// unruled are the families whose rules are those that every system has.
	unruled map[monban.Family]bool
	// bySource are the tables with routes for some sources only.
	bySource    map[uint32]bool
	routingTags map[*monban.RoutingRule]*tag
	// severalRoutes: the kernel takes one of them for each connection.
	severalRoutes *tag
	// oddRoute: to a source leads a route that is one to everybody.
	oddRoute *tag
}

// routing is the main table of one family over its atoms.
type routing struct {
	byDevice map[string]set
	any      set
	// shared are addresses with several ways of one rank, of which the kernel
	// takes one for each connection.
	shared set
}

type typeKey struct {
	family monban.Family
	kind   uint32
}

func newMachine(h *monban.Host) *machine {
	m := &machine{Host: h, owned: map[netip.Addr]string{}, tables: map[monban.Family]*routing{}, types: map[typeKey]set{}, every: map[typeKey]*set{},
		ruledBy: map[monban.Family][]monban.RoutingRule{}, byTable: map[tableKey]*table{}, bySource: map[uint32]bool{}, unruled: map[monban.Family]bool{}, routingTags: map[*monban.RoutingRule]*tag{},
		severalRoutes: &tag{monban.ByOpaque, "several routes", nil}, oddRoute: &tag{monban.ByOpaque, "broadcast route", nil}}
	for i := range h.RoutingRules {
		f := h.RoutingRules[i].Family
		m.ruledBy[f] = append(m.ruledBy[f], h.RoutingRules[i])
	}
	for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
		if len(m.ruledBy[f]) == 0 && m.sure() {
			m.ruledBy[f] = plainRules(h, f)
			m.unruled[f] = true
		}
	}
	for i := range h.Routes {
		if r := &h.Routes[i]; r.From.IsValid() {
			id := r.Table
			if id == 0 {
				id = monban.TableMain
			}
			m.bySource[id] = true
		}
	}
	for _, i := range h.Interfaces {
		if !i.Up {
			continue
		}
		for _, p := range i.Addrs {
			m.owned[p.Addr().WithZone("").Unmap()] = i.Name
		}
	}
	for _, r := range h.Routes {
		if r.Kind == monban.RouteLocal && r.Table == 0 {
			m.locals = append(m.locals, r.Dst.Masked())
		}
	}
	return m
}

// sure reports whether it is known what routing rules there are.
func (m *machine) sure() bool {
	return m.PolicyRouting == monban.Off || len(m.RoutingRules) > 0
}

// cut collects the addresses that the machine itself tells apart.
func (m *machine) cut(f monban.Family) *cutter {
	c := &cutter{family: f}
	for _, p := range neverSources(f) {
		c.prefix(p)
	}
	c.prefix(loopback(f))
	c.prefix(linkLocal())
	for a := range m.owned {
		c.prefix(netip.PrefixFrom(a, a.BitLen()))
	}
	for _, r := range m.Routes {
		c.prefix(r.Dst)
	}
	for _, r := range m.ruledBy[f] {
		c.prefix(r.From)
		c.prefix(r.To)
	}
	if f == monban.IPv4 {
		for _, i := range m.Interfaces {
			for _, p := range i.Addrs {
				if first, last, ok := broadcasts(p); ok {
					c.prefix(netip.PrefixFrom(first, 32))
					c.prefix(netip.PrefixFrom(last, 32))
				}
			}
		}
	}
	return c
}

// loopback is the prefix of the addresses that never leave a machine.
func loopback(f monban.Family) netip.Prefix {
	if f == monban.IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)
	}
	return netip.PrefixFrom(netip.IPv6Loopback(), 128)
}

// linkLocal is the prefix of the IPv6 addresses that are good on one link only.
func linkLocal() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 10)
}

func addrIs4(p netip.Prefix) bool { return p.Addr().Is4() }

// neverSources are the addresses that the kernel takes no packet from, besides
// loopback (ip_route_input_slow and ip6_rcv_core).
func neverSources(f monban.Family) []netip.Prefix {
	if f == monban.IPv4 {
		return []netip.Prefix{
			netip.PrefixFrom(netip.IPv4Unspecified(), 8),
			netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4),
			netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 32),
		}
	}
	return []netip.Prefix{
		netip.PrefixFrom(netip.IPv6Unspecified(), 128),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xff}), 8),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 96), // IPv4-mapped
	}
}

// broadcasts returns the lowest and the highest address of an IPv4 network.
func broadcasts(p netip.Prefix) (first, last netip.Addr, ok bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return first, last, false
	}
	r := monban.RangeOf(p)
	return r.First, r.Last, true
}

// sources returns the addresses that anybody's packets may come from by the
// interface, whatever the filter for reverse paths says.
// The set is shared.
func (m *machine) sources(p *program, i *monban.Interface) *set {
	key := typeKey{p.family, uint32(i.RouteLocalnet)}
	if s, ok := m.every[key]; ok {
		return s
	}
	all := p.space.all()
	m.every[key] = &all
	for _, prefix := range neverSources(p.family) {
		atoms := p.space.prefix(prefix)
		all.remove(&atoms)
	}
	if p.family == monban.IPv6 || i.RouteLocalnet != monban.On {
		atoms := p.space.prefix(loopback(p.family))
		all.remove(&atoms)
	}
	for a := range m.owned {
		if monban.FamilyOf(a) == p.family {
			atoms := p.space.prefix(netip.PrefixFrom(a, a.BitLen()))
			all.remove(&atoms)
		}
	}
	for _, prefix := range m.locals {
		if monban.FamilyOf(prefix.Addr()) == p.family {
			atoms := p.space.prefix(prefix)
			all.remove(&atoms)
		}
	}
	return &all
}

// ports returns the interfaces that an interface's packets come in by before: its
// parts, and what it is on.
func (m *machine) ports(name string) (out []*monban.Interface) {
	on := ""
	for i := range m.Interfaces {
		if m.Interfaces[i].Name == name {
			on = m.Interfaces[i].Parent
		}
	}
	for i := range m.Interfaces {
		if o := &m.Interfaces[i]; o.Name != name && (o.Master == name || o.Name == on) {
			out = append(out, o)
		}
	}
	return out
}

// routing returns the main table of p's family.
func (m *machine) routing(p *program) *routing {
	if r, ok := m.tables[p.family]; ok {
		return r
	}
	r := &routing{byDevice: map[string]set{}}
	m.tables[p.family] = r
	routes := slices.DeleteFunc(slices.Clone(m.Routes), func(r monban.Route) bool {
		return !r.Dst.IsValid() || monban.FamilyOf(r.Dst.Addr()) != p.family || r.Kind == monban.RouteLocal || r.Table != 0
	})
	sortRoutes(routes)
	for i := 0; i < len(routes); {
		n := i
		atoms := p.space.prefix(routes[i].Dst)
		for dev, other := range r.byDevice {
			other.remove(&atoms)
			r.byDevice[dev] = other
		}
		r.shared.remove(&atoms)
		r.any.remove(&atoms)
		for ; n < len(routes) && routes[n].Dst.Masked() == routes[i].Dst.Masked(); n++ {
			if routes[n].Metric != routes[i].Metric || routes[n].Kind != "" {
				continue
			}
			have := r.byDevice[routes[n].Device]
			have.add(&atoms)
			r.byDevice[routes[n].Device] = have
			r.any.add(&atoms)
			if routes[n].Device != routes[i].Device && !routes[n].Dst.Addr().IsLinkLocalUnicast() {
				r.shared.add(&atoms)
			}
		}
		i = n
	}
	return r
}

// sortRoutes puts routes in order from the least specific on, so that the more
// specific overwrites.
func sortRoutes(routes []monban.Route) {
	slices.SortStableFunc(routes, func(a, b monban.Route) int {
		return cmp.Or(cmp.Compare(a.Dst.Bits(), b.Dst.Bits()), a.Dst.Masked().Addr().Compare(b.Dst.Masked().Addr()),
			cmp.Compare(sourceBits(&a), sourceBits(&b)), cmp.Compare(a.Metric, b.Metric))
	})
}

// routed returns the addresses with a route by the device, by any for "".
func (m *machine) routed(p *program, dev string) set {
	r := m.routing(p)
	if dev == "" {
		return r.any
	}
	return r.byDevice[dev]
}

// device returns the interface that the route to an address leaves by, nil for
// none.
func (m *machine) device(p *program, a addr) *monban.Interface {
	atom := p.space.atom(a)
	r := m.routing(p)
	for i := range m.Interfaces {
		atoms := r.byDevice[m.Interfaces[i].Name]
		if atoms.has(atom) {
			return &m.Interfaces[i]
		}
	}
	return nil
}

// own reports whether an address is this machine's.
func (m *machine) own(f monban.Family, a addr) bool {
	n := a.netip(f)
	_, ok := m.owned[n]
	return ok || n.IsLoopback() || m.local(n)
}

// local reports whether the machine answers for an address that no interface has.
func (m *machine) local(a netip.Addr) bool {
	return slices.ContainsFunc(m.locals, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ownOf reports whether an address is that of an interface.
func (m *machine) ownOf(f monban.Family, a addr, i *monban.Interface) bool {
	return i != nil && m.owned[a.netip(f)] == i.Name
}

// primary returns the address that a redirection by the interface leads to, which
// for IPv6 is of the scope that the packet went to (nf_nat_redirect_ipv6).
func (m *machine) primary(f monban.Family, i *monban.Interface, to addr) (addr, bool) {
	if i == nil {
		return addr{}, false
	}
	for _, p := range i.Addrs {
		a := p.Addr().WithZone("")
		if monban.FamilyOf(a) == f && (f == monban.IPv4 || a.IsLinkLocalUnicast() == to.netip(f).IsLinkLocalUnicast()) {
			return addrOf(a), true
		}
	}
	return addr{}, false
}

// ofOwn returns the addresses of this machine's interfaces.
func (m *machine) ofOwn(p *program) set {
	out := p.space.prefix(loopback(p.family))
	for a := range m.owned {
		if monban.FamilyOf(a) == p.family {
			atoms := p.space.prefix(netip.PrefixFrom(a, a.BitLen()))
			out.add(&atoms)
		}
	}
	return out
}

// ofLocalTable returns the addresses whose kind somebody has changed in the table that
// says which there are (__inet_dev_addr_type).
func (m *machine) ofLocalTable(p *program) (out set) {
	for _, r := range m.Routes {
		if r.Table == monban.TableLocal && r.Dst.IsValid() && monban.FamilyOf(r.Dst.Addr()) == p.family {
			atoms := p.space.prefix(r.Dst)
			out.add(&atoms)
		}
	}
	return out
}

// ofType returns the addresses that a route of the kind (enum rtn_type) leads to.
func (m *machine) ofType(p *program, kind uint32) set {
	key := typeKey{p.family, kind}
	if s, ok := m.types[key]; ok {
		return s
	}
	var out set
	add := func(prefix netip.Prefix) {
		atoms := p.space.prefix(prefix)
		out.add(&atoms)
	}
	switch kind {
	case typeLocal:
		out = m.ofOwn(p)
		for _, prefix := range m.locals {
			if monban.FamilyOf(prefix.Addr()) == p.family {
				add(prefix)
			}
		}
	case typeMulticast:
		add(neverSources(p.family)[1])
	case typeBroadcast:
		if p.family == monban.IPv4 {
			add(neverSources(p.family)[0])
			add(neverSources(p.family)[2])
			for _, i := range m.Interfaces {
				for _, a := range i.Addrs {
					if first, last, ok := broadcasts(a); ok && i.Up {
						add(netip.PrefixFrom(first, 32))
						add(netip.PrefixFrom(last, 32))
					}
				}
			}
			own := m.ofType(p, typeLocal)
			out.remove(&own)
		}
	case typeUnicast:
		out = p.space.all()
		if p.family == monban.IPv6 {
			out = m.routing(p).any
		}
		for _, other := range [...]uint32{typeLocal, typeMulticast, typeBroadcast} {
			atoms := m.ofType(p, other)
			out.remove(&atoms)
		}
	}
	m.types[key] = out
	return out
}
