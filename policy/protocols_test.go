package policy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/monban-dev/monban"
)

// TestProtocolsSayTheSame looks protocols, addresses and interfaces up in the sets
// that a policy compiles to, as the kernel does, and compares with the entries.
func TestProtocolsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &monban.Policy{}
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			d := anyDoor(t)
			if rapid.IntRange(0, 3).Draw(t, "about") > 0 {
				d.Ports, d.Protocol = monban.PortRange{}, monban.IPProto(rapid.SampledFrom([]int{47, 50}).Draw(t, "protocol"))
			}
			p.Doors = append(p.Doors, d)
		}
		rules, err := Compile(p, noon())
		if err != nil {
			t.Fatal(err)
		}
		table := rules.Table(monban.TableInet, TableName)
		disjoint(t, table)
		lets := func(n monban.IPProto, from netip.Addr, device string) bool {
			judged := table.Set(setJudged + slot)
			if !slices.ContainsFunc(judged.Elements, func(e monban.Element) bool { return e.First[0] == byte(n) }) {
				return true
			}
			for name, last := range map[string][]byte{"protocols4" + slot: from.AsSlice(), "protocols6" + slot: from.AsSlice(), "protocols-if" + slot: deviceKey(device)} {
				m := table.Set(name)
				k := protocolKey(n, last)
				if m != nil && m.Fields[1] == len(last) && slices.ContainsFunc(m.Elements, func(e monban.Element) bool { return overlap(m, &e, &monban.Element{First: k, Last: k}) }) {
					return true
				}
			}
			return false
		}
		for _, n := range []monban.IPProto{47, 50, 112} {
			for i := byte(0); i <= 22; i++ {
				six := netip.MustParseAddr("2001:db8::").As16()
				six[15] = i
				for _, from := range []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, i}), netip.AddrFrom16(six)} {
					for _, device := range []string{"eth0", "eth1"} {
						want, named := false, false
						for _, d := range p.Doors {
							named = named || d.Protocol == n
							for _, a := range d.To {
								want = want || d.Protocol == n && (d.Until.IsZero() || d.Until.After(noon())) && (a.Kind == monban.Anybody ||
									a.Kind == monban.ByInterface && a.Name == device || slices.ContainsFunc(a.Ranges, func(r monban.AddrRange) bool { return r.Contains(from) }))
							}
						}
						want = want || !named
						if got := lets(n, from, device); got != want {
							t.Fatalf("%s from %s by %s: in the sets %v, by the entries %v", n, from, device, got, want)
						}
						a := AdmitsProtocol(p, n, noon())
						if got := a.Lets(from, device); got != want {
							t.Fatalf("%s from %s by %s: AdmitsProtocol says %v, the entries %v", n, from, device, got, want)
						}
					}
				}
			}
		}
	})
}

func TestProtocolChanges(t *testing.T) {
	peer := monban.RangeOf(netip.MustParsePrefix("198.51.100.7/32"))
	esp := monban.PolicyDoor{Protocol: 50, To: []monban.Audience{{Kind: monban.ToAddresses, Ranges: []monban.AddrRange{peer}}}}
	after := &monban.Policy{Doors: []monban.PolicyDoor{esp}}
	all := ProtocolChanges(nil, after, noon())
	if len(all) != 1 || all[0].Protocol != 50 || len(all[0].Gain) != 0 || len(all[0].Lose) == 0 || all[0].After.Lets(netip.MustParseAddr("198.51.100.8"), "") {
		t.Errorf("%+v", all)
	}
	if back := ProtocolChanges(after, &monban.Policy{}, noon()); len(back) != 1 || !back[0].After.Everybody() || len(back[0].Gain) == 0 {
		t.Errorf("%+v", back)
	}
	if same := ProtocolChanges(after, after, noon()); len(same) != 0 {
		t.Errorf("%+v", same)
	}
	esp.Until = noon().Add(-time.Hour)
	if a := AdmitsProtocol(&monban.Policy{Doors: []monban.PolicyDoor{esp}}, 50, noon()); !a.Nobody() {
		t.Errorf("an entry that has ended lets in %+v", a)
	}
}
