package policy

import (
	"slices"
	"time"

	"github.com/monban-dev/monban"
)

// listed returns the protocols without ports that a policy is about, sorted.
func listed(p *monban.Policy) []monban.IPProto {
	var out []monban.IPProto
	if p == nil {
		return nil
	}
	for i := range p.Doors {
		if n := p.Doors[i].Protocol; n != 0 && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// protocols writes what a policy says of protocols without ports: those that it
// does not list pass, and the first rule says so; of the others, the sources that
// an entry lets in. An entry that has ended leaves its protocol listed, and so
// closed to whom no other entry lets in.
func (c *compiler) protocols(chain *monban.Chain, p *monban.Policy) {
	load := monban.Load{Field: monban.FieldL4Proto, Len: 1}
	element := func(b byte) monban.Element { return monban.Element{First: []byte{b}, Last: []byte{b}} }
	judged := monban.Set{Name: setJudged + slot, Fields: []int{1}}
	for _, t := range monban.Protos() {
		judged.Elements = append(judged.Elements, element(byte(t.Number())))
	}
	all := listed(p)
	for _, n := range all {
		judged.Elements = append(judged.Elements, element(byte(n)))
	}
	c.addMap(judged)
	chain.Rules = append(chain.Rules, rule("other protocols",
		monban.Step{Op: monban.OpLookup, Not: true, Key: []monban.Load{load}, Set: judged.Name}, decide(monban.ActAccept, "")))
	if len(all) == 0 {
		return
	}
	for f, family := range families {
		size, number := 4, byte(afIPv4)
		if family == monban.IPv6 {
			size, number = 16, afIPv6
		}
		m := monban.Set{Name: [...]string{"protocols4", "protocols6"}[f] + slot, Fields: []int{1, size}, Interval: true, VerdictMap: true}
		for _, n := range all {
			// Without limits, segments find nothing to refuse.
			list, _ := segments(protocolEntries(p, n, family), monban.PortRange{})
			for _, s := range list {
				if c.ended(s.until) {
					continue
				}
				m.Elements = append(m.Elements, monban.Element{First: protocolKey(n, s.from.First.AsSlice()), Last: protocolKey(n, s.from.Last.AsSlice()),
					Action: c.action(-1), Expires: c.left(s.until)})
			}
		}
		c.addMap(m)
		chain.Rules = append(chain.Rules, rule("", is(monban.FieldFamily, number),
			monban.Step{Op: monban.OpVerdict, Key: []monban.Load{load, {Field: monban.FieldSource, Len: size}}, Set: m.Name}))
	}
	c.protocolDevices(chain, p, all)
}

// protocolEntries returns the entries about a protocol, as if they were about one
// port.
func protocolEntries(p *monban.Policy, n monban.IPProto, family monban.Family) (out []entry) {
	for i := range p.Doors {
		if d := &p.Doors[i]; d.Protocol == n {
			out = append(out, entry{d, audience(d, family), -1})
		}
	}
	return out
}

// protocolDevices writes the map of who comes in by an interface, if anybody does.
func (c *compiler) protocolDevices(chain *monban.Chain, p *monban.Policy, all []monban.IPProto) {
	m := monban.Set{Name: "protocols-if" + slot, Fields: []int{1, 16}, Interval: true, VerdictMap: true}
	some := false
	for _, n := range all {
		ends := map[string]time.Time{}
		for i := range p.Doors {
			for _, a := range p.Doors[i].To {
				if p.Doors[i].Protocol != n || a.Kind != monban.ByInterface {
					continue
				}
				some = true
				if until, ok := ends[a.Name]; !ok || compareUntil(until, p.Doors[i].Until) < 0 {
					ends[a.Name] = p.Doors[i].Until
				}
			}
		}
		for name, until := range ends {
			if !c.ended(until) {
				m.Elements = append(m.Elements, monban.Element{First: protocolKey(n, deviceKey(name)), Last: protocolKey(n, deviceKey(name)),
					Action: c.action(-1), Expires: c.left(until)})
			}
		}
	}
	if !some {
		return
	}
	c.addMap(m)
	chain.Rules = append(chain.Rules, rule("", monban.Step{Op: monban.OpVerdict,
		Key: []monban.Load{{Field: monban.FieldL4Proto, Len: 1}, {Field: monban.FieldInName, Len: 16}}, Set: m.Name}))
}

// protocolKey lays out a protocol and a source, each from a multiple of four bytes
// on.
func protocolKey(n monban.IPProto, last []byte) []byte {
	return append([]byte{byte(n), 0, 0, 0}, last...)
}

// AdmitsProtocol returns who comes in by a protocol without ports at a time.
// Everybody does by one that the policy does not list.
func AdmitsProtocol(p *monban.Policy, n monban.IPProto, now time.Time) Admission {
	if !slices.Contains(listed(p), n) {
		return Admits(nil, monban.PortRange{}, now)
	}
	return admission(p, now, func(d *monban.PolicyDoor) bool { return d.Protocol == n })
}

// ProtocolChanges compares two resolved policies, of which before may be nil, none,
// in what they say of protocols without ports.
func ProtocolChanges(before, after *monban.Policy, now time.Time) []Change {
	all := append(listed(before), listed(after)...)
	slices.Sort(all)
	var out []Change
	for _, n := range slices.Compact(all) {
		c := Change{Protocol: n, Before: AdmitsProtocol(before, n, now), After: AdmitsProtocol(after, n, now)}
		if c.compare(); c.some() {
			out = append(out, c)
		}
	}
	return out
}
