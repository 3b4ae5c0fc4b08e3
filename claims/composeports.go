package claims

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// composePort is one item of a service's ports. What is wrong with it only
// matters if no other file removes it.
type composePort struct {
	published []published
	gaps      []Error
}

// published is one port, or one of a range, that an engine opens on the host.
type published struct {
	at     netip.AddrPort
	upTo   uint16 // the last of a range of which any will do
	proto  monban.Proto
	target uint16
	pos    monban.Pos
	agree  []monban.Pos
}

// maxPublished bounds the services and ports of a project: a short line can ask
// for 65,535 of them.
const maxPublished = 200_000

// ports reads the list of a service's ports.
func (c *composeScan) ports(f file, v *value, vars variables) []*composePort {
	var out []*composePort
	for _, item := range v.list() {
		if item == nil || item.tag == "!reset" {
			continue
		}
		port := &composePort{}
		if item.is(table) {
			c.longPort(port, f, item, vars)
		} else {
			c.shortPort(port, f, item, vars)
		}
		out = append(out, port)
	}
	return out
}

// expand replaces the variables of an item's text, and notes those without value.
func (p *composePort) expand(f file, w word, vars variables) (template, bool) {
	t, unset, err := expand(f, w, vars)
	if err != nil {
		p.gaps = append(p.gaps, *err)
		return template{}, false
	}
	for _, name := range unset {
		p.gaps = append(p.gaps, Error{Pos: t.at(), Problem: Undefined, Text: name})
	}
	return t, true
}

func (p *composePort) bad(pos monban.Pos, problem Problem, text string) {
	p.gaps = append(p.gaps, Error{Pos: pos, Problem: problem, Text: text})
}

// span is a piece of a template.
type span struct {
	t        template
	from, to int
}

func (s span) text() string { return s.t.text[s.from:s.to] }

// shortPort reads "[[host address:]port[-port]:]port[-port][/protocol]".
func (c *composeScan) shortPort(p *composePort, f file, item *value, vars variables) {
	t, ok := p.expand(f, item.at, vars)
	if !ok {
		return
	}
	// From the right, for the address may have colons in its brackets.
	targets, host, addr := span{t, 0, len(t.text)}, span{t: t}, span{t: t}
	if i := strings.LastIndexByte(t.text, ':'); i >= 0 {
		targets.from, host.to = i+1, i
		if k := strings.LastIndexByte(t.text[:i], ':'); k >= 0 {
			host.from, addr.to = k+1, k
		}
	}
	numbers, protocol, _ := strings.Cut(targets.text(), "/")
	protocol, _, _ = strings.Cut(protocol, "/")
	proto, protoOK := composeProto(protocol)
	first, last, portOK := composeRange(numbers)
	ip, ipOK := composeAddr(addr.text(), true)
	switch {
	case !ipOK:
		p.bad(t.at(), BadAddress, addr.text())
	case !portOK || !protoOK:
		p.bad(t.at(), BadPort, t.text)
	case host.text() != "":
		c.hostPorts(p, host, ip, proto, first, last)
	}
}

// longPort reads {target, published, host_ip, protocol}.
func (c *composeScan) longPort(p *composePort, f file, item *value, vars variables) {
	field := func(name string) (template, bool) {
		v := item.get(name)
		if !v.is(scalar) {
			return template{}, true
		}
		return p.expand(f, v.at, vars)
	}
	target, ok1 := field("target")
	host, ok2 := field("published")
	addr, ok3 := field("host_ip")
	protocol, ok4 := field("protocol")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return
	}
	to, err := strconv.ParseUint(target.text, 0, 16)
	proto, protoOK := composeProto(protocol.text)
	ip, ipOK := composeAddr(addr.text, false)
	switch {
	case err != nil && target.text == "":
		p.bad(item.at.pos(f), BadSyntax, "target")
	case err != nil:
		p.bad(target.at(), BadPort, target.text)
	case !protoOK:
		p.bad(protocol.at(), BadSyntax, protocol.text)
	case !ipOK:
		p.bad(addr.at(), BadAddress, addr.text)
	case host.text != "":
		c.hostPorts(p, span{host, 0, len(host.text)}, ip, proto, uint16(to), uint16(to))
	}
}

// hostPorts adds the ports of the host for those of the container: one for each,
// or any of the range for one.
func (c *composeScan) hostPorts(p *composePort, host span, ip netip.Addr, proto monban.Proto, target, lastTarget uint16) {
	first, last, ok := composeRange(host.text())
	if !ok || lastTarget != target && last-first != lastTarget-target {
		p.bad(host.t.at(), BadPort, host.text())
		return
	}
	pos, agree := host.t.place(host.from, host.to)
	one := published{at: netip.AddrPortFrom(ip, first), proto: proto, target: target, pos: pos, agree: agree}
	if target == lastTarget {
		if last != first {
			one.upTo = last
		}
		p.add(c, one)
		return
	}
	one.pos.Len, one.agree = 0, nil // none of them can be changed alone
	for i := range int(last-first) + 1 {
		if c.stopped {
			return
		}
		one.at, one.target = netip.AddrPortFrom(ip, first+uint16(i)), target+uint16(i)
		p.add(c, one)
	}
}

// add adds a port that has a number: 0 is any that is free.
func (p *composePort) add(c *composeScan, one published) {
	if one.at.Port() == 0 {
		return
	}
	if c.spend(1) {
		p.published = append(p.published, one)
	}
}

// composeRange reads "N" or "N-M" as Compose does, which looks at nothing behind
// a second dash.
func composeRange(text string) (first, last uint16, ok bool) {
	parts := strings.SplitN(text, "-", 3)
	a, err := strconv.ParseUint(parts[0], 10, 16)
	if err != nil {
		return 0, 0, false
	}
	b := a
	if len(parts) > 1 {
		if b, err = strconv.ParseUint(parts[1], 10, 16); err != nil || b < a {
			return 0, 0, false
		}
	}
	return uint16(a), uint16(b), true
}

func composeProto(text string) (monban.Proto, bool) {
	if text == "" {
		return monban.TCP, true
	}
	proto, err := monban.ParseProto(text)
	return proto, err == nil && proto != monban.DCCP
}

// composeAddr reads the address of a port; without one it is 0.0.0.0. An IPv6
// address stands in brackets in the short form only.
func composeAddr(text string, short bool) (netip.Addr, bool) {
	if text == "" {
		return any4(), true
	}
	if bare, ok := strings.CutPrefix(text, "["); ok && short {
		text = strings.TrimSuffix(bare, "]")
	} else if short && strings.Contains(text, ":") {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

// published returns what a service publishes, and records what is wrong with it.
// Of items for the very same port the last one counts, as in Compose.
func (s *composeService) published(c *composeScan) []published {
	type key struct {
		at           netip.AddrPort
		upTo, target uint16
		proto        monban.Proto
	}
	known := map[key]int{}
	var out []published
	for _, port := range s.ports {
		for i := range port.gaps {
			c.gaps = append(c.gaps, port.gaps[i].gap())
		}
		for _, one := range port.published {
			k := key{at: one.at, upTo: one.upTo, target: one.target, proto: one.proto}
			if at, ok := known[k]; ok {
				out[at] = one
				continue
			}
			known[k] = len(out)
			out = append(out, one)
		}
	}
	return out
}
