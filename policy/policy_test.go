package policy

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/monban-dev/monban"
)

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// anyRange draws a range of a small family, so that ranges meet.
func anyRange(t *rapid.T) monban.AddrRange {
	a, b := rapid.ByteRange(0, 20).Draw(t, "first"), rapid.ByteRange(0, 20).Draw(t, "last")
	if rapid.Bool().Draw(t, "six") {
		base := netip.MustParseAddr("2001:db8::").As16()
		x, y := base, base
		x[15], y[15] = min(a, b), max(a, b)
		return monban.AddrRange{First: netip.AddrFrom16(x), Last: netip.AddrFrom16(y)}
	}
	return monban.AddrRange{First: netip.AddrFrom4([4]byte{10, 0, 0, min(a, b)}), Last: netip.AddrFrom4([4]byte{10, 0, 0, max(a, b)})}
}

func anyDoor(t *rapid.T) monban.PolicyDoor {
	first := rapid.Uint16Range(1, 12).Draw(t, "port")
	d := monban.PolicyDoor{Ports: monban.PortRange{First: first, Last: first + rapid.Uint16Range(0, 5).Draw(t, "more"),
		Proto: rapid.SampledFrom([]monban.Proto{monban.TCP, monban.UDP}).Draw(t, "proto")}}
	for range rapid.IntRange(1, 3).Draw(t, "to") {
		a := monban.Audience{Kind: rapid.SampledFrom([]monban.AudienceKind{monban.Anybody, monban.ThisMachine, monban.ToAddresses, monban.ToAddresses,
			monban.ToAddresses, monban.ByInterface}).Draw(t, "kind")}
		switch a.Kind {
		case monban.ToAddresses:
			a.Ranges = []monban.AddrRange{anyRange(t)}
		case monban.ByInterface:
			a.Name = rapid.SampledFrom([]string{"eth0", "wg0"}).Draw(t, "device")
		}
		d.To = append(d.To, a)
	}
	if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
		d.Until = noon().Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "hours")) * time.Hour)
	}
	return d
}

// disjoint wants no two elements of a set to overlap: the kernel refuses them.
func disjoint(t *rapid.T, table *monban.Table) {
	for _, s := range table.Sets {
		for i := range s.Elements {
			for j := range i {
				if overlap(&s, &s.Elements[i], &s.Elements[j]) {
					t.Fatalf("%s: elements %x and %x overlap", s.Name, s.Elements[i], s.Elements[j])
				}
			}
		}
	}
}

// TestCompiledSaysTheSame looks every port, address and interface up in the maps
// that a policy compiles to, as the kernel does, and compares with the entries
// themselves. No two elements of a map may overlap: the kernel refuses that.
func TestCompiledSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &monban.Policy{}
		for range rapid.IntRange(0, 6).Draw(t, "doors") {
			p.Doors = append(p.Doors, anyDoor(t))
		}
		rules, err := Compile(p, noon())
		if err != nil {
			t.Fatal(err)
		}
		table := rules.Table(monban.TableInet, TableName)
		disjoint(t, table)
		for port := uint16(1); port <= 18; port++ {
			for _, proto := range []monban.Proto{monban.TCP, monban.UDP} {
				for n := byte(0); n <= 22; n++ {
					six := netip.MustParseAddr("2001:db8::").As16()
					six[15] = n
					for _, from := range []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, n}), netip.AddrFrom16(six)} {
						for _, device := range []string{"eth0", "eth1"} {
							want := plainly(p, monban.Port{Num: port, Proto: proto}, from, device)
							if got := inMaps(table, port, proto, from, device); got != want {
								t.Fatalf("%d/%s from %s by %s: in the maps %v, by the entries %v", port, proto, from, device, got, want)
							}
							admits := Admits(p, monban.PortRange{First: port, Last: port, Proto: proto}, noon()).Lets(from, device)
							if admits != want {
								t.Fatalf("%d/%s from %s by %s: Admits says %v, the entries %v", port, proto, from, device, admits, want)
							}
						}
					}
				}
			}
		}
	})
}

// plainly reads the entries one by one.
func plainly(p *monban.Policy, port monban.Port, from netip.Addr, device string) bool {
	for _, d := range p.Doors {
		if !d.Ports.Contains(port) || !d.Until.IsZero() && !d.Until.After(noon()) {
			continue
		}
		for _, a := range d.To {
			if a.Kind == monban.Anybody || a.Kind == monban.ByInterface && a.Name == device ||
				slices.ContainsFunc(a.Ranges, func(r monban.AddrRange) bool { return r.Contains(from) }) {
				return true
			}
		}
	}
	return false
}

func inMaps(t *monban.Table, port uint16, proto monban.Proto, from netip.Addr, device string) bool {
	for name, last := range map[string][]byte{"open4" + slot: from.AsSlice(), "open6" + slot: from.AsSlice(), "open-if" + slot: deviceKey(device)} {
		m := t.Set(name)
		if m == nil || m.Fields[2] != len(last) {
			continue
		}
		k := key(proto, port, last)
		for i := range m.Elements {
			if overlap(m, &m.Elements[i], &monban.Element{First: k, Last: k}) {
				return true
			}
		}
	}
	return false
}

// overlap reports whether two elements have a key in common: each part has.
func overlap(s *monban.Set, a, b *monban.Element) bool {
	at := 0
	for _, n := range s.Fields {
		if bytes.Compare(a.Last[at:at+n], b.First[at:at+n]) < 0 || bytes.Compare(b.Last[at:at+n], a.First[at:at+n]) < 0 {
			return false
		}
		at += (n + 3) &^ 3
	}
	return true
}

// TestSets compares the arithmetic of ranges with that of single addresses.
func TestSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() (s set) {
			var ranges []monban.AddrRange
			for range rapid.IntRange(0, 4).Draw(t, "n") {
				ranges = append(ranges, anyRange(t))
			}
			return newSet(monban.IPv4, ranges...)
		}
		a, b := draw(), draw()
		for n := byte(0); n <= 22; n++ {
			x := netip.AddrFrom4([4]byte{10, 0, 0, n})
			inA, inB := a.contains(x), b.contains(x)
			if a.minus(b).contains(x) != (inA && !inB) || a.union(b).contains(x) != (inA || inB) || a.and(b).contains(x) != (inA && inB) {
				t.Fatalf("%v and %v are wrong at %s", a, b, x)
			}
		}
	})
	whole := newSet(monban.IPv6, everything(monban.IPv6))
	if rest := whole.minus(whole); len(rest) != 0 {
		t.Errorf("everything without everything is %v", rest)
	}
}

func TestLimitsMustNotOverlap(t *testing.T) {
	r := monban.RangeOf(netip.MustParsePrefix("10.0.0.0/8"))
	door := func(first, last uint16, line int, kind monban.AudienceKind) monban.PolicyDoor {
		return monban.PolicyDoor{Ports: monban.PortRange{First: first, Last: last, Proto: monban.TCP}, Limit: monban.Rate{N: 1, Per: time.Minute},
			To: []monban.Audience{{Kind: kind, Ranges: []monban.AddrRange{r}, Name: "eth0"}}, Pos: monban.Pos{Line: line}}
	}
	for _, kind := range []monban.AudienceKind{monban.ToAddresses, monban.ByInterface} {
		_, err := Compile(&monban.Policy{Doors: []monban.PolicyDoor{door(20, 25, 1, kind), door(22, 22, 2, kind)}}, noon())
		var e *LimitError
		if !errors.As(err, &e) || e.First.Line != 1 || e.Second.Line != 2 {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := Compile(&monban.Policy{Doors: []monban.PolicyDoor{door(20, 21, 1, kind), door(22, 22, 2, kind)}}, noon()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestEndsForAdministrators(t *testing.T) {
	door := func(port uint16, until time.Time) monban.PolicyDoor {
		return monban.PolicyDoor{Ports: monban.PortRange{First: port, Last: port, Proto: monban.TCP}, Until: until, To: []monban.Audience{{Kind: monban.Anybody}}}
	}
	ssh := []monban.Port{{Num: 22, Proto: monban.TCP}}
	later := noon().Add(time.Hour)
	for _, test := range []struct {
		doors []monban.PolicyDoor
		want  bool
	}{
		{nil, false},
		{[]monban.PolicyDoor{door(80, later)}, false},
		{[]monban.PolicyDoor{door(22, later)}, true},
		{[]monban.PolicyDoor{door(22, later), door(22, time.Time{})}, false},
		{[]monban.PolicyDoor{door(22, later), door(80, time.Time{})}, true},
	} {
		if got := EndsForAdministrators(&monban.Policy{Doors: test.doors}, ssh); got != test.want {
			t.Errorf("%+v: %v", test.doors, got)
		}
	}
}

func TestNative(t *testing.T) {
	range10 := monban.RangeOf(netip.MustParsePrefix("10.0.0.0/8"))
	p := &monban.Policy{Doors: []monban.PolicyDoor{
		{Ports: monban.PortRange{First: 443, Last: 443, Proto: monban.TCP}, To: []monban.Audience{{Kind: monban.Anybody}}},
		{Ports: monban.PortRange{First: 8000, Last: 8010, Proto: monban.UDP}, To: []monban.Audience{{Kind: monban.ToAddresses, Ranges: []monban.AddrRange{range10}}, {Kind: monban.ByInterface, Name: "en0"}}},
		{Ports: monban.PortRange{First: 5432, Last: 5432, Proto: monban.TCP}, To: []monban.Audience{{Kind: monban.ThisMachine}}},
		{Ports: monban.PortRange{First: 9, Last: 9, Proto: monban.SCTP}, To: []monban.Audience{{Kind: monban.Anybody}}},
		{Protocol: 50, To: []monban.Audience{{Kind: monban.ToAddresses, Ranges: []monban.AddrRange{range10}}}},
		{Protocol: 47, To: []monban.Audience{{Kind: monban.ThisMachine}}},
	}}
	for goos, want := range map[string]string{
		"windows": `netsh advfirewall set allprofiles firewallpolicy blockinbound,allowoutbound
netsh advfirewall firewall add rule name="monban 443/tcp" dir=in action=allow protocol=TCP localport=443 remoteip=any
netsh advfirewall firewall add rule name="monban 8000-8010/udp" dir=in action=allow protocol=UDP localport=8000-8010 remoteip=10.0.0.0/8
netsh advfirewall firewall add rule name="monban proto:esp" dir=in action=allow protocol=50 remoteip=10.0.0.0/8`,
		"darwin": `set skip on lo0
block drop in proto { tcp, udp }
pass out all keep state
pass in inet proto udp from port 67 to port 68
pass in inet6 proto udp from fe80::/10 port 547 to port 546
block drop in proto 47
block drop in proto 50
pass in proto tcp from any to any port 443
pass in proto udp from { 10.0.0.0/8 } to any port 8000:8010
pass in on en0 proto udp from any to any port 8000:8010
pass in proto 50 from { 10.0.0.0/8 } to any`,
	} {
		lines, left := Native(p, goos)
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%s:\n%s", goos, got)
		}
		if n := map[string]int{"windows": 2, "darwin": 1}[goos]; len(left) != n {
			t.Errorf("%s: %d left, want %d", goos, len(left), n)
		}
	}
}
