package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/monban-dev/monban"
)

// NameError says that a host name of the policy could not be turned into
// addresses.
type NameError struct {
	Pos  monban.Pos
	Name string
	Err  error
}

// Error implements error.
func (e *NameError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %v", e.Pos.File, e.Pos.Line, e.Name, e.Err)
}

// Unwrap returns what the look-up said.
func (e *NameError) Unwrap() error { return e.Err }

// Resolve returns p with the addresses that its host names, by lookup, and
// "this-network", by the interfaces of h, stand for now. Every name is looked up
// once; the first that fails ends it with a [*NameError].
func Resolve(p *monban.Policy, h *monban.Host, lookup func(host string) ([]netip.Addr, error)) (*monban.Policy, error) {
	out := &monban.Policy{Doors: slices.Clone(p.Doors)}
	networks := Networks(h)
	known := map[string][]monban.AddrRange{}
	for i := range out.Doors {
		d := &out.Doors[i]
		d.To = slices.Clone(d.To)
		for j := range d.To {
			switch a := &d.To[j]; a.Kind {
			case monban.ThisNetwork:
				a.Ranges = networks
			case monban.ByName:
				ranges, ok := known[a.Name]
				if !ok {
					addrs, err := lookup(a.Name)
					if err != nil {
						return nil, &NameError{d.Pos, a.Name, err}
					}
					ranges = single(addrs)
					known[a.Name] = ranges
				}
				a.Ranges = ranges
			}
		}
	}
	return out, nil
}

// single returns one range for each address, sorted, none twice.
func single(addrs []netip.Addr) []monban.AddrRange {
	var out []monban.AddrRange
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		out = append(out, monban.AddrRange{First: a, Last: a})
	}
	slices.SortFunc(out, func(a, b monban.AddrRange) int { return a.First.Compare(b.First) })
	return slices.Compact(out)
}

// Networks returns the networks that h's interfaces are in, but not loopback,
// and those behind tunnels only as far as the interface's own prefix goes.
// Link-local IPv6 is always one of them where there is IPv6 at all: those
// addresses are never routed.
func Networks(h *monban.Host) []monban.AddrRange {
	var v4, v6 []monban.AddrRange
	for _, i := range h.Interfaces {
		if i.Loopback || !i.Up {
			continue
		}
		for _, p := range i.Addrs {
			addr := p.Addr().WithZone("")
			r := monban.RangeOf(netip.PrefixFrom(addr, p.Bits()))
			if addr.Is4() {
				v4 = append(v4, r)
			} else {
				v6 = append(v6, r)
			}
		}
	}
	return slices.Concat(newSet(monban.IPv4, v4...), newSet(monban.IPv6, v6...))
}
