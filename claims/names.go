package claims

import (
	"encoding/binary"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// names turns host and service names into numbers, from /etc/hosts and
// /etc/services of the tree when its root is the machine's, else from what
// every machine has. No name server is asked.
type names struct {
	place    Place
	hosts    func() map[string][]netip.Addr
	services func() portbook.Services
}

func newNames(place Place) *names {
	n := &names{place: place}
	n.hosts = sync.OnceValue(func() map[string][]netip.Addr {
		if !place.machine() {
			return nil
		}
		data, err := fs.ReadFile(place.FS, "etc/hosts")
		if err != nil {
			return nil
		}
		return readHosts(data)
	})
	n.services = sync.OnceValue(func() portbook.Services {
		if !place.machine() {
			return portbook.Services{}
		}
		services, err := portbook.ReadServices(place.FS, "etc/services")
		if err != nil {
			return portbook.Services{}
		}
		return services
	})
	return n
}

// machine reports whether the place is the root of a Unix machine.
func (p Place) machine() bool { return p.Root == "/" }

// readHosts reads hosts(5).
func readHosts(data []byte) map[string][]netip.Addr {
	hosts := map[string][]netip.Addr{}
	for l := range lines(data, lineStyle{comment: "#"}) {
		words := l.words("")
		if len(words) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(words[0].text)
		if err != nil {
			continue
		}
		for _, w := range words[1:] {
			name := strings.ToLower(w.text)
			hosts[name] = append(hosts[name], addr)
		}
	}
	return hosts
}

// host returns the addresses that a host name or the text of an address stands
// for, IPv4 first; none when they cannot be known without asking a name server.
func (n *names) host(name string) []netip.Addr {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if addr, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{addr}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if addrs := n.hosts()[name]; len(addrs) > 0 {
		return byFamily(addrs)
	}
	if name == "localhost" {
		return []netip.Addr{loop4(), loop6()}
	}
	if addr, ok := oldAddr(name); ok {
		return []netip.Addr{addr}
	}
	return nil
}

// oldAddr reads the forms of an IPv4 address that getaddrinfo(3) takes beside the
// usual one (inet_aton(3)): "0", "127.1", "0x7f.1". The last number fills what the
// others leave; Django's "runserver 0:8000" is the one that people write.
func oldAddr(name string) (netip.Addr, bool) {
	parts := strings.Split(name, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		if strings.ContainsAny(part, "_oObB") && !strings.HasPrefix(part, "0x") { // Go's own forms
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 0, 32)
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if err != nil || n >= 1<<bits {
			return netip.Addr{}, false
		}
		sum = sum<<bits | n
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(sum)))), true
}

// byFamily puts IPv4 first, as getaddrinfo does not promise but the readers do.
func byFamily(addrs []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(addrs))
	for _, want4 := range [...]bool{true, false} {
		for _, a := range addrs {
			if a.Is4() == want4 {
				out = append(out, a)
			}
		}
	}
	return out
}

// port reads a number or the name of a service.
func (n *names) port(text string, proto monban.Proto) (uint16, bool) {
	if p, err := monban.ParsePort(text); err == nil && p.Proto == monban.AnyProto {
		return p.Num, true
	}
	for _, p := range n.services().Lookup(text) {
		if p.Proto == proto {
			return p.Num, true
		}
	}
	for _, r := range portbook.Builtin().Lookup(text) {
		if r.First == r.Last && (r.Proto == proto || r.Proto == monban.AnyProto) {
			return r.First, true
		}
	}
	return 0, false
}

func any4() netip.Addr  { return netip.IPv4Unspecified() }
func any6() netip.Addr  { return netip.IPv6Unspecified() }
func loop4() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }
func loop6() netip.Addr { return netip.IPv6Loopback() }
