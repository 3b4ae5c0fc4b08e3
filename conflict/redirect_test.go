package conflict

import (
	"testing"

	"github.com/monban-dev/monban"
)

// TestRedirected walks rules by hand: what names the port and leads elsewhere is
// found, whatever stands around it.
func TestRedirected(t *testing.T) {
	port := func(n uint16) []byte { return []byte{byte(n >> 8), byte(n)} }
	test := func(f monban.Field, first, last []byte, not bool) monban.Step {
		return monban.Step{Op: monban.OpTest, Key: []monban.Load{{Field: f, Len: len(first)}}, Within: []monban.Span{{First: first, Last: last}}, Not: not}
	}
	tcp := test(monban.FieldL4Proto, []byte{6}, []byte{6}, false)
	dport := func(first, last uint16) monban.Step {
		return test(monban.FieldDestPort, port(first), port(last), false)
	}
	to := func(op monban.Op, n uint16) monban.Step {
		return monban.Step{Op: op, Port: []monban.Load{{Field: monban.FieldConstant, Value: port(n)}}}
	}
	jump := func(chain string) monban.Step {
		return monban.Step{Op: monban.OpDecide, Action: monban.Action{Kind: monban.ActJump, Chain: chain}}
	}
	decide := func(k monban.ActionKind) monban.Step {
		return monban.Step{Op: monban.OpDecide, Action: monban.Action{Kind: k}}
	}
	for _, tt := range []struct {
		name  string
		rules []monban.Step // of one rule in a nat chain
		more  []monban.Chain
		sets  []monban.Set
		want  uint16 // 0 is none
	}{
		{"redirect", []monban.Step{tcp, dport(8080, 8080), to(monban.OpRedirect, 8081)}, nil, nil, 8081},
		{"a range", []monban.Step{tcp, dport(8000, 8100), to(monban.OpDNAT, 80)}, nil, nil, 80},
		{"with a counter between", []monban.Step{tcp, dport(8080, 8080), {Op: monban.OpNote, Name: "counter"}, to(monban.OpDNAT, 80)}, nil, nil, 80},
		{"another port", []monban.Step{tcp, dport(8081, 8081), to(monban.OpRedirect, 80)}, nil, nil, 0},
		{"every port but this", []monban.Step{tcp, test(monban.FieldDestPort, port(8080), port(8080), true), to(monban.OpRedirect, 80)}, nil, nil, 0},
		{"another transport", []monban.Step{test(monban.FieldL4Proto, []byte{17}, []byte{17}, false), dport(8080, 8080), to(monban.OpRedirect, 80)}, nil, nil, 0},
		{"the other family", []monban.Step{test(monban.FieldFamily, []byte{10}, []byte{10}, false), dport(8080, 8080), to(monban.OpRedirect, 80)}, nil, nil, 0},
		{"everything, and no port is named", []monban.Step{tcp, to(monban.OpRedirect, 3128)}, nil, nil, 0},
		{"to itself", []monban.Step{tcp, dport(8080, 8080), to(monban.OpRedirect, 8080)}, nil, nil, 0},
		{"a rule that only accepts", []monban.Step{tcp, dport(8080, 8080), decide(monban.ActAccept)}, nil, nil, 0},
		{"in a chain of its own", []monban.Step{jump("ports")}, []monban.Chain{{Name: "ports", Rules: []monban.Rule{{Steps: []monban.Step{dport(8080, 8080), to(monban.OpDNAT, 80)}}}}}, nil, 80},
		{"the port is named before the jump", []monban.Step{tcp, dport(8080, 8080), jump("svc")},
			[]monban.Chain{{Name: "svc", Rules: []monban.Rule{{Steps: []monban.Step{to(monban.OpDNAT, 80)}}}}}, nil, 80},
		{"a loop", []monban.Step{jump("a")}, []monban.Chain{{Name: "a", Rules: []monban.Rule{{Steps: []monban.Step{jump("a")}}}}}, nil, 0},
		{"a set", []monban.Step{tcp, {Op: monban.OpLookup, Key: []monban.Load{{Field: monban.FieldDestPort}}, Set: "s"}, to(monban.OpRedirect, 80)}, nil,
			[]monban.Set{{Name: "s", Elements: []monban.Element{{First: port(443), Last: port(443)}, {First: port(8080), Last: port(8080)}}}}, 80},
		{"another set", []monban.Step{tcp, {Op: monban.OpLookup, Key: []monban.Load{{Field: monban.FieldDestPort}}, Set: "s"}, to(monban.OpRedirect, 80)}, nil,
			[]monban.Set{{Name: "s", Elements: []monban.Element{{First: port(443), Last: port(443)}}}}, 0},
		{"a map of verdicts", []monban.Step{tcp, {Op: monban.OpVerdict, Key: []monban.Load{{Field: monban.FieldDestPort}}, Set: "m"}},
			[]monban.Chain{{Name: "svc", Rules: []monban.Rule{{Steps: []monban.Step{to(monban.OpDNAT, 80)}}}}},
			[]monban.Set{{Name: "m", VerdictMap: true, Elements: []monban.Element{{First: port(8080), Last: port(8080), Action: monban.Action{Kind: monban.ActJump, Chain: "svc"}}}}}, 80},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := monban.Table{Family: monban.TableInet, Name: "nat", Sets: tt.sets, Chains: append([]monban.Chain{{Name: "pre",
				Hook: monban.HookPrerouting, Type: "nat", Rules: []monban.Rule{{Steps: tt.rules}}}}, tt.more...)}
			rules := &monban.Ruleset{Tables: []monban.Table{table}}
			p := monban.Port{Num: 8080, Proto: monban.TCP}
			r, ok := redirected(rules, p, false, monban.HookPrerouting, monban.HookOutput)
			if ok && !TranslatedPorts(rules)(8080) {
				t.Error("no rule is said to be about the port")
			}
			if ok != (tt.want != 0) || r.to.Port != tt.want {
				t.Errorf("%+v %v, want port %d", r, ok, tt.want)
			}
			rules.Tables[0].Dormant = true
			if _, ok := redirected(rules, p, false, monban.HookPrerouting, monban.HookOutput); ok {
				t.Error("a table that is asleep")
			}
			rules.Tables[0].Dormant, rules.Tables[0].Family = false, monban.TableIP6
			if _, ok := redirected(rules, p, false, monban.HookPrerouting, monban.HookOutput); ok {
				t.Error("a table of the other family")
			}
			rules.Tables[0].Family, rules.Tables[0].Chains[0].Type = monban.TableIP, "filter"
			if _, ok := redirected(rules, p, false, monban.HookPrerouting, monban.HookOutput); ok {
				t.Error("a chain that translates nothing")
			}
		})
	}
}
