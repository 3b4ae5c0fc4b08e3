package firewall

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Lines says what a table of monban's does, one rule or element a line, so that
// two can be compared: what was compiled, and what the kernel has. What changes by
// itself is left out: handles, counters, how much time is left, the map of the
// trial and who was connected before.
func Lines(t *monban.Table) []string {
	if t == nil {
		return nil
	}
	var out []string
	for i := range t.Chains {
		c := &t.Chains[i]
		if c.Hook != monban.NoHook {
			out = append(out, fmt.Sprintf("%s: %s hook %s priority %d policy %s", c.Name, c.Type, c.Hook, c.Priority, c.Policy.Kind))
		}
		for j := range c.Rules {
			r := monban.Rule{Steps: slices.Clone(c.Rules[j].Steps)}
			for k := range r.Steps {
				if r.Steps[k].Op == monban.OpUpdate {
					r.Steps[k].Name = "" // the rate is in the set's name
				}
			}
			out = append(out, plainName(c.Name)+": "+plainNames(r.Text(t)))
		}
	}
	for i := range t.Sets {
		s := &t.Sets[i]
		if s.Name == trialName || s.Name == setRunning || s.Dynamic {
			continue
		}
		elements := slices.Clone(s.Elements) // the kernel's order has no meaning where none overlap
		slices.SortFunc(elements, func(a, b monban.Element) int { return bytes.Compare(a.First, b.First) })
		for j := range elements {
			out = append(out, plainName(s.Name)+": "+elementText(s, &elements[j]))
		}
	}
	return out
}

func plainName(name string) string {
	base, _ := cutSlot(name)
	return base
}

// plainNames takes the place off every name in a rule's text.
func plainNames(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = plainName(w)
	}
	return strings.Join(words, " ")
}

func elementText(s *monban.Set, e *monban.Element) string {
	var words []string
	at := 0
	for i, n := range s.Fields {
		if at+n > len(e.First) || at+n > len(e.Last) {
			break
		}
		words = append(words, partText(s, i, e.First[at:at+n], e.Last[at:at+n]))
		at += (n + 3) &^ 3
	}
	text := strings.Join(words, " ")
	if s.VerdictMap {
		text += " " + e.Action.Kind.String()
		if e.Action.Chain != "" {
			text += " " + plainName(e.Action.Chain)
		}
	}
	if e.Expires > 0 {
		text += " for a time"
	}
	return text
}

func partText(s *monban.Set, i int, first, last []byte) string {
	switch len(first) {
	case 1:
		for _, p := range monban.Protos() {
			if p.Number() == monban.IPProto(first[0]) {
				return p.String()
			}
		}
		return monban.IPProto(first[0]).String()
	case 2:
		a, b := int(first[0])<<8|int(first[1]), int(last[0])<<8|int(last[1])
		if a == b {
			return fmt.Sprint(a)
		}
		return fmt.Sprintf("%d-%d", a, b)
	}
	if len(first) == 16 && isDevices(s.Name) {
		return strings.TrimRight(string(first), "\x00")
	}
	a, ok1 := netip.AddrFromSlice(first)
	b, ok2 := netip.AddrFromSlice(last)
	if !ok1 || !ok2 {
		return fmt.Sprintf("%x-%x", first, last)
	}
	return monban.AddrRange{First: a, Last: b}.String()
}
