package conflict

import (
	"encoding/binary"
	"slices"

	"github.com/monban-dev/monban"
)

// redirect is a rule that leads away what arrives at a port.
type redirect struct {
	rule string // in nft's words
	to   monban.Target
}

// redirected looks for a rule of the packet filter that names the port and sends
// what arrives there to another place: then a program that opens the port has no
// error and no visitors. A rule that names no port is none of these, nor is one
// that leads to the same port of this machine. Other conditions of the rule, such
// as an interface, are taken to be met by somebody. hooks say what is meant: what
// arrives from elsewhere passes prerouting, and what this machine sends output.
func redirected(rules *monban.Ruleset, p monban.Port, ipv6 bool, hooks ...monban.Hook) (redirect, bool) {
	if rules == nil {
		return redirect{}, false
	}
	for i := range rules.Tables {
		t := &rules.Tables[i]
		if t.Dormant || t.Family == monban.TableIP && ipv6 || t.Family == monban.TableIP6 && !ipv6 ||
			t.Family != monban.TableIP && t.Family != monban.TableIP6 && t.Family != monban.TableInet {
			continue
		}
		seen := map[string]bool{}
		for k := range t.Chains {
			c := &t.Chains[k]
			if c.Type != "nat" || !slices.Contains(hooks, c.Hook) {
				continue
			}
			w := ruleWalk{table: t, port: p, ipv6: ipv6, seen: seen}
			if r, ok := w.chain(c, false); ok {
				return r, true
			}
		}
	}
	return redirect{}, false
}

// ruleWalk follows the chains of one table.
type ruleWalk struct {
	table *monban.Table
	port  monban.Port
	ipv6  bool
	seen  map[string]bool
}

// chain looks through a chain and those it jumps to. named says that a rule on
// the way has named the port.
func (w *ruleWalk) chain(c *monban.Chain, named bool) (redirect, bool) {
	key := c.Name
	if named {
		key += " " // the same chain, reached otherwise
	}
	if w.seen[key] {
		return redirect{}, false
	}
	w.seen[key] = true
	for i := range c.Rules {
		if r, ok := w.rule(&c.Rules[i], named); ok {
			return r, true
		}
	}
	return redirect{}, false
}

func (w *ruleWalk) rule(r *monban.Rule, named bool) (redirect, bool) {
	for i := range r.Steps {
		s := &r.Steps[i]
		switch s.Op {
		case monban.OpTest, monban.OpLookup:
			passes, names := w.test(s)
			if !passes {
				return redirect{}, false
			}
			named = named || names
		case monban.OpDecide:
			if s.Action.Kind != monban.ActJump && s.Action.Kind != monban.ActGoto {
				return redirect{}, false
			}
			return w.jump(s.Action.Chain, named)
		case monban.OpVerdict:
			return w.verdicts(s, named)
		case monban.OpDNAT, monban.OpRedirect:
			to := monban.Target{Port: w.port.Num}
			if len(s.Port) > 0 {
				if v := s.Port[0]; v.Field == monban.FieldConstant && len(v.Value) == 2 {
					to.Port = binary.BigEndian.Uint16(v.Value)
				} else {
					to.Port = 0
				}
			}
			if !named || s.Op == monban.OpRedirect && to.Port == w.port.Num {
				return redirect{}, false
			}
			return redirect{rule: r.Text(w.table), to: to}, true
		}
	}
	return redirect{}, false
}

func (w *ruleWalk) jump(name string, named bool) (redirect, bool) {
	if c := w.table.Chain(name); c != nil {
		return w.chain(c, named)
	}
	return redirect{}, false
}

// verdicts follows a verdict map, by the port where the port is its key.
func (w *ruleWalk) verdicts(s *monban.Step, named bool) (redirect, bool) {
	set := w.table.Set(s.Set)
	if set == nil {
		return redirect{}, false
	}
	byPort := len(s.Key) == 1 && s.Key[0].Field == monban.FieldDestPort
	for i := range set.Elements {
		e := &set.Elements[i]
		if byPort && !w.within(monban.FieldDestPort, e.First, e.Last) {
			continue
		}
		if e.Action.Kind == monban.ActJump || e.Action.Kind == monban.ActGoto {
			if r, ok := w.jump(e.Action.Chain, named || byPort); ok {
				return r, true
			}
		}
	}
	return redirect{}, false
}

// test says whether a packet to the port can pass a test, and whether the test
// names the port. What it does not know may pass.
func (w *ruleWalk) test(s *monban.Step) (passes, names bool) {
	if len(s.Key) != 1 || s.Key[0].Mask != nil || s.Key[0].Xor != nil || s.Key[0].Offset != 0 {
		return true, false
	}
	field, length := s.Key[0].Field, 1
	switch field {
	case monban.FieldL4Proto, monban.FieldFamily:
	case monban.FieldDestPort, monban.FieldConnDestPort:
		length = 2
	default:
		return true, false
	}
	if n := s.Key[0].Len; n != 0 && n != length {
		return true, false // a part of it
	}
	in := false
	for _, span := range s.Within {
		in = in || w.within(field, span.First, span.Last)
	}
	if s.Op == monban.OpLookup {
		set := w.table.Set(s.Set)
		if set == nil || set.Unread || set.Dynamic {
			return true, false
		}
		for i := range set.Elements {
			in = in || w.within(field, set.Elements[i].First, set.Elements[i].Last)
		}
	}
	passes = in != s.Not
	return passes, passes && (field == monban.FieldDestPort || field == monban.FieldConnDestPort)
}

// within compares what the field is of a packet to the port.
func (w *ruleWalk) within(f monban.Field, first, last []byte) bool {
	var value uint16
	switch f {
	case monban.FieldL4Proto:
		value = 6
		if w.port.Proto == monban.UDP {
			value = 17
		}
	case monban.FieldFamily:
		value = 2
		if w.ipv6 {
			value = 10
		}
	default:
		value = w.port.Num
	}
	return bigEndian(first) <= value && value <= bigEndian(last)
}

func bigEndian(b []byte) uint16 {
	switch len(b) {
	case 1:
		return uint16(b[0])
	case 2:
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// away returns a door that stands for the rule which leads away what would arrive
// at the attempt's; nil is none.
func (a *attempt) away() *monban.Door {
	v6 := a.want.Addr.Is6() && !a.want.Addr.Is4In6()
	r, ok := redirected(a.snap.Rules, a.want.Port, v6, monban.HookPrerouting, monban.HookOutput)
	if !ok && v6 && a.want.Addr.IsUnspecified() && !a.sock.at.v6only {
		r, ok = redirected(a.snap.Rules, a.want.Port, false, monban.HookPrerouting, monban.HookOutput)
	}
	if !ok {
		return nil
	}
	return r.door(a.want)
}

// door is the door that a rule makes.
func (r redirect) door(at monban.Bind) *monban.Door {
	return &monban.Door{Bind: at, State: monban.Forwarded, Kernel: r.rule, To: r.to}
}

// TranslatedPorts returns whether a rule that translates addresses may be about a
// port number: it names it, or a set that it uses has it. Only such a port can be
// [L24], and in a long list only such ports are put to the rules.
func TranslatedPorts(rules *monban.Ruleset) func(num uint16) bool {
	var named portSet
	if rules == nil {
		return named.has
	}
	add := func(first, last []byte) {
		for n := int(bigEndian(first)); n <= int(bigEndian(last)); n++ {
			named.add(uint16(n))
		}
	}
	for i := range rules.Tables {
		t := &rules.Tables[i]
		if !slices.ContainsFunc(t.Chains, func(c monban.Chain) bool { return c.Type == "nat" }) {
			continue
		}
		for k := range t.Chains {
			for r := range t.Chains[k].Rules {
				for _, s := range t.Chains[k].Rules[r].Steps {
					if len(s.Key) != 1 || s.Key[0].Field != monban.FieldDestPort && s.Key[0].Field != monban.FieldConnDestPort {
						continue
					}
					if s.Not { // every other one
						add([]byte{0, 0}, []byte{255, 255})
					}
					for _, span := range s.Within {
						add(span.First, span.Last)
					}
					if set := t.Set(s.Set); set != nil {
						for e := range set.Elements {
							add(set.Elements[e].First, set.Elements[e].Last)
						}
					}
				}
			}
		}
	}
	return named.has
}
