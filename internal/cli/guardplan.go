package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
)

// planned is what a plan found out, for apply to act on.
type planned struct {
	rules    *monban.Ruleset
	have     *firewall.Guard // nil where it could not be read
	unread   error           // why
	sessions []session
	looked   []monban.Door // without those that only rules make
	proof    guard.Proof
	unproven error
}

func (g *guarding) runPlan([]string) error {
	p, err := g.plan(false)
	if err != nil {
		return err
	}
	return g.end(g.planOutcome(p))
}

func (g *guarding) planOutcome(p *planned) report.GuardOutcome {
	switch {
	case len(g.out.Native) > 0:
		return ""
	case p.have == nil:
		return report.GuardUnknown
	case len(g.out.Differences) > 0:
		return report.GuardDiffers
	}
	return report.GuardSame
}

// plan reads the policy file, compares it with what is in force, and looks for
// reasons not to put it there. Privilege is given up before the file is understood;
// only what puts a policy on trial is kept, if that is to follow.
func (g *guarding) plan(apply bool) (*planned, error) {
	var later []privilege.Capability
	if apply {
		later = append(toWrite(g.store.Files()...), privilege.NetAdmin)
	}
	p, text, err := g.before(later...)
	if err != nil {
		return nil, err
	}
	if apply && p.have != nil && p.have.Trial == nil {
		p.proof, p.unproven = guard.Prove()
	}
	g.app.keep(later...)
	if err := g.readPolicy(text); err != nil {
		return nil, err
	}
	return p, g.judge(p)
}

// before looks at everything that takes privilege: the machine, what is in force
// there, who works here, and the text of the policy file. What is needed later is kept.
func (g *guarding) before(later ...privilege.Capability) (*planned, []byte, error) {
	g.app.keep(append(toSurvey(), later...)...)
	g.look(gather.Want{Host: host.Network | host.Caps | host.Ranges, Rules: true})
	text, err := g.readFile()
	if err != nil {
		return nil, nil, err
	}
	p := &planned{sessions: g.sessions(), looked: slices.Clone(g.snap.Doors)}
	if p.have, p.unread = firewall.ReadGuard(); p.unread != nil {
		p.have = nil
	}
	return p, text, nil
}

// judge compares out.Policy with what is in force.
func (g *guarding) judge(p *planned) (err error) {
	p.rules, err = policy.Compile(g.out.Policy, g.app.now())
	var limits *policy.LimitError
	if errors.As(err, &limits) {
		return report.OverlappingLimits(g.out.File, limits.First.Line, limits.Second.Line)
	} else if err != nil {
		return err
	}
	switch err := p.unread; {
	case notHere(err):
		g.native()
		return nil
	case errors.Is(err, firewall.ErrForeign):
		g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "foreign"})
	case err != nil:
		if !slices.ContainsFunc(g.snap.Gaps, func(gap monban.Gap) bool { return gap.Hides == monban.HidesRules }) {
			g.snap.Gaps = append(g.snap.Gaps, monban.Gap{Source: "nf_tables", Err: err.Error(), Hides: monban.HidesRules})
		}
	}
	if p.have != nil {
		g.state(p.have)
		g.forwarded()
		g.compare(p)
	}
	g.cuts(p)
	g.administrators(p)
	g.listeners()
	return nil
}

// forwarded adds the doors that only rules make, such as published ports: a policy is
// about them, too.
func (g *guarding) forwarded() {
	if g.snap.Rules != nil && len(g.snap.Host.Interfaces) > 0 {
		doors, gaps := exposure.Forwarded(g.snap)
		g.snap.Doors, g.snap.Gaps = append(g.snap.Doors, doors...), append(g.snap.Gaps, gaps...)
	}
}

// native says what to tell the firewall of a system that monban does not change.
func (g *guarding) native() {
	lines, left := policy.Native(g.out.Policy, g.out.System)
	g.out.Native = lines
	for _, d := range left {
		g.note("left-out", d.About())
	}
	if g.out.System == "windows" {
		g.note("native-others")
	}
	g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "unsupported"})
}

func (g *guarding) note(code string, args ...string) {
	g.out.Notes = append(g.out.Notes, report.GuardNote{Code: code, Args: args})
}

// state says what is in force.
func (g *guarding) state(have *firewall.Guard) {
	s := &g.out.State
	s.Table, s.Left = have.Present, have.Left
	s.Boot, s.Manager = g.boot.Installed(), string(g.boot.Manager())
	saved, err := g.store.Saved()
	if err != nil {
		g.snap.Gaps = append(g.snap.Gaps, monban.Gap{Source: g.store.SavedFile(), Err: err.Error(), Hides: monban.HidesRules})
	}
	if saved != nil {
		s.Saved, s.At = true, saved.At
	}
	if have.Trial != nil {
		g.note("trial-running", fmt.Sprintf("%.0f", have.Left.Seconds()))
	}
	rules := g.snap.Rules
	if rules == nil { // not asked for
		rules, _ = firewall.Read(firewall.Options{Ports: []monban.PortRange{{First: 0, Last: 0}}})
	}
	s.Beside = slices.DeleteFunc(exposure.FrontEnds(rules), func(name string) bool { return name == policy.TableName })
	for _, name := range s.Beside {
		g.note("beside", name)
	}
}

// compare says what the policy changes.
func (g *guarding) compare(p *planned) {
	want := p.rules.Table(monban.TableInet, policy.TableName)
	for _, d := range guard.Differences(want, p.have.Table) {
		g.out.Differences = append(g.out.Differences, report.GuardDifference(d))
	}
	judged := g.effects(want)
	before := (*monban.Policy)(nil)
	if saved, err := g.store.Saved(); p.have.Table != nil && err == nil && saved != nil {
		before = &saved.Policy
	}
	var open []monban.Port
	for i := range g.snap.Doors {
		if d := &g.snap.Doors[i]; outside(d) {
			open = append(open, d.Bind.Port)
		}
	}
	for _, c := range policy.ProtocolChanges(before, g.out.Policy, g.app.now()) {
		g.out.Changes = append(g.out.Changes, report.GuardChange{Protocol: c.Protocol, Gain: c.Gain, Lose: c.Lose, GainBy: c.GainBy, LoseBy: c.LoseBy,
			AllLose: c.After.Nobody(), AllGain: c.After.Everybody() && c.Before.Nobody()})
	}
	for _, c := range policy.Changes(before, g.out.Policy, open, g.app.now()) {
		rc := report.GuardChange{Ports: c.Ports, Gain: c.Gain, Lose: c.Lose, GainBy: c.GainBy, LoseBy: c.LoseBy,
			AllLose: c.After.Nobody(), AllGain: c.After.Everybody() && c.Before.Nobody(), Doors: g.doorsAt(c.Ports)}
		if judged && len(rc.Doors) > 0 {
			continue // effects has said what comes of them
		}
		// Without anybody behind it, a port that is closed was closed before.
		if len(rc.Doors) > 0 || before != nil || len(c.Gain)+len(c.GainBy) > 0 {
			g.out.Changes = append(g.out.Changes, rc)
		}
	}
}

// doorsAt returns the doors at some ports that can be knocked at from outside.
func (g *guarding) doorsAt(r monban.PortRange) []monban.Door {
	var out []monban.Door
	for i := range g.snap.Doors {
		if d := &g.snap.Doors[i]; r.Contains(d.Bind.Port) && outside(d) {
			out = append(out, *d)
		}
	}
	return out
}

// effects says who gains and who loses which door that is open now, by all the
// rules in force and by the same with monban's table replaced. It reports whether
// that could be judged.
func (g *guarding) effects(want *monban.Table) bool {
	if g.snap.Rules == nil || len(g.snap.Host.Interfaces) == 0 {
		return false
	}
	then := *g.snap
	rules := *g.snap.Rules
	rules.Tables = slices.DeleteFunc(slices.Clone(rules.Tables), func(t monban.Table) bool {
		return t.Family == want.Family && t.Name == want.Name
	})
	rules.Tables = append(rules.Tables, *want)
	then.Rules = &rules
	before, after := exposure.Judge(g.snap), exposure.Judge(&then)
	for _, e := range policy.Effects(g.snap.Doors, before, after, addresses(g.snap.Host)) {
		ports := monban.PortRange{First: e.Port.Num, Last: e.Port.Num, Proto: e.Port.Proto}
		if e.Unknown {
			g.note("undecided", e.Port.String())
		}
		if len(e.Gain)+len(e.Lose) > 0 {
			g.out.Changes = append(g.out.Changes, report.GuardChange{Ports: ports, Device: e.Device, Gain: e.Gain, Lose: e.Lose,
				AllLose: e.Closed, AllGain: e.Opened, Doors: g.doorsAt(ports)})
		}
	}
	g.then = &then
	g.barred(&then)
	return true
}

// mostSources is how many ranges of addresses a note lists.
const mostSources = 6

// barred notes the doors that the policy opens to somebody whom another table keeps
// out: all, or some of them.
func (g *guarding) barred(then *monban.Snapshot) {
	kept := exposure.KeptOut(then, outside)
	barred := policy.BarredBy(g.out.Policy, g.snap.Doors, kept, addresses(g.snap.Host), g.app.now())
	for _, b := range barred {
		ports := b.Ports.String()
		if len(b.Devices) > 0 {
			ports += " (" + strings.Join(b.Devices, ", ") + ")"
		}
		if b.Sources == nil {
			g.note("closed-elsewhere", ports, b.Rule.String())
			continue
		}
		var list []string
		for _, r := range b.Sources[:min(len(b.Sources), mostSources)] {
			list = append(list, r.String())
		}
		if n := len(b.Sources); n > mostSources {
			list = append(list, fmt.Sprintf("… (+%d)", n-mostSources))
		}
		g.note("closed-to", ports, b.Rule.String(), strings.Join(list, ", "))
	}
	for _, o := range policy.Openings(g.out.Policy, barred, slices.Contains(g.out.State.Beside, "ufw"), g.app.now()) {
		code := "open-there"
		if o.Own {
			code = "look-there"
		}
		g.out.Notes = append(g.out.Notes, report.GuardNote{Code: code, Args: []string{o.FrontEnd}, Commands: o.Commands})
	}
}

// outside reports whether a door can be knocked at from outside at all.
func outside(d *monban.Door) bool {
	if d.State == monban.Bound && d.Bind.Port.Proto != monban.UDP || d.Bind.Port.Num == 0 {
		return false
	}
	return !d.Bind.Addr.Unmap().IsLoopback() && d.Bind.Device != "lo"
}

// administration returns the doors by which people come in to change the policy.
func (g *guarding) administration(p *planned) []monban.Port {
	ports := []monban.Port{}
	for i := range g.snap.Doors {
		d := &g.snap.Doors[i]
		for _, o := range d.Owners {
			if o.Name == "sshd" || o.Name == "dropbear" || o.Unit == "ssh.socket" || o.Unit == "sshd.socket" {
				ports = append(ports, d.Bind.Port)
			}
		}
	}
	for _, s := range p.sessions {
		ports = append(ports, monban.Port{Num: s.over.To.Port(), Proto: monban.TCP})
	}
	if len(ports) == 0 {
		ports = append(ports, monban.Port{Num: 22, Proto: monban.TCP})
	}
	return ports
}

// administrators looks whether the last of them would end.
func (g *guarding) administrators(p *planned) {
	ports := g.administration(p)
	if g.o.allowCut || !policy.EndsForAdministrators(g.out.Policy, ports) {
		return
	}
	var names []string
	for _, port := range ports {
		if !slices.Contains(names, port.String()) {
			names = append(names, port.String())
		}
	}
	g.out.Refused = append(g.out.Refused, report.GuardRefusal{Reason: "last-administrator", Args: []string{strings.Join(names, ", ")}})
}

// listeners notes the entries that nobody listens behind.
func (g *guarding) listeners() {
	if slices.ContainsFunc(g.snap.Gaps, func(gap monban.Gap) bool { return gap.Hides == monban.HidesDoors }) {
		return
	}
	var idle []string
	for i := range g.out.Policy.Doors {
		r := g.out.Policy.Doors[i].Ports
		if g.out.Policy.Doors[i].Protocol == 0 && !slices.ContainsFunc(g.snap.Doors, func(d monban.Door) bool { return r.Contains(d.Bind.Port) }) && !slices.Contains(idle, r.String()) {
			idle = append(idle, r.String())
		}
	}
	const most = 8
	if n := len(idle); n > most {
		idle = append(idle[:most:most], fmt.Sprintf("… (+%d)", n-most))
	}
	if len(idle) > 0 {
		g.note("no-listener", strings.Join(idle, ", "))
	}
}

// denied reports whether the kernel refused for want of privilege.
func denied(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)
}
