package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/claims"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/edit"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/policyfile"
	"github.com/monban-dev/monban/internal/report"
)

// port reads the argument: one TCP port, or 0 where none is given and one is to be
// proposed.
func (m *moving) port(args []string) (uint16, error) {
	if len(args) == 0 {
		m.out.Proposed = true
		return 0, nil
	}
	list, err := parsePorts(m.book, args)
	if err != nil {
		return 0, err
	}
	list = slices.DeleteFunc(list, func(r monban.PortRange) bool { return r.Proto != monban.TCP && r.Proto != monban.AnyProto })
	if len(list) != 1 || list[0].First != list[0].Last || list[0].First == 0 {
		return 0, report.NotATCPPort(args[0])
	}
	return list[0].First, nil
}

// plan finds out everything and makes the plan, or ends and returns nil.
func (m *moving) plan(num uint16) (*move.Plan, error) {
	m.snap = gather.Snapshot(m.ctx, gather.Want{Host: host.All, Traffic: []monban.PortRange{{First: 0, Last: 65535}}, Rules: true})
	m.snap.Gaps = slices.DeleteFunc(m.snap.Gaps, func(g monban.Gap) bool {
		return g.Hides != monban.HidesRules && g.Hides != monban.HidesDoors && g.Hides != monban.HidesOwners
	})
	m.snap.Gaps = append(m.snap.Gaps, m.gaps...)
	t, refused := move.Find(m.snap)
	m.out.Old, m.out.Way, m.out.Unit = t.Old, string(t.Way), t.Unit
	if refused == nil {
		forwarded, _ := exposure.Forwarded(m.snap)
		refused = move.InFront(&t, m.snap, forwarded)
	}
	if refused != nil {
		return nil, m.refuse(refused.Reason, refused.Args...)
	}
	seen := &move.Seen{Snap: m.snap, Truth: t, Now: m.app.now(), Read: readForEdit}
	seen.Facts = move.ReadFacts(host.Root(), m.me()...)
	if refused := m.ask(seen); refused != nil {
		return nil, m.refuse(refused.Reason, refused.Args...)
	}
	if refused := m.guarded(seen); refused != nil {
		return nil, m.refuse(refused.Reason, refused.Args...)
	}
	found, _ := claims.System(claims.Place{FS: host.Root(), Root: "/", Addrs: addresses(m.snap.Host)})
	seen.System, _ = installed(host.Root(), found, nil)
	if num == 0 {
		var ok bool
		if num, ok = move.Propose(m.snap, seen.System, &seen.Facts, &seen.Truth, rand.Uint32()); !ok {
			return nil, m.refuse("none-free")
		}
	}
	seen.New, m.out.New = num, num
	if seen.Saved != nil {
		seen.PolicyFile = m.policyFile(seen)
	}
	p, refusals, notes := move.Make(seen)
	if len(refusals) > 0 {
		for _, r := range refusals {
			m.out.Refused = append(m.out.Refused, report.MoveReason{Code: r.Reason, Args: r.Args})
		}
		return nil, m.end(report.MoveRefused)
	}
	for _, n := range notes { // of what is refused nobody needs the rest
		m.note(n.Code, n.Args...)
	}
	for _, s := range p.Steps(m.o.timeout, m.machine.Boot) {
		m.out.Steps = append(m.out.Steps, shownStep(s))
	}
	m.out.Client = m.client()
	return p, nil
}

func shownStep(s move.Step) report.MoveStep {
	return report.MoveStep{Code: s.Code, Args: s.Args, Command: s.Command, Closing: s.Closing}
}

// ask asks sshd, systemd and firewalld what only they know.
func (m *moving) ask(seen *move.Seen) *move.Refusal {
	t := &seen.Truth
	if t.Way == move.BySocket && seen.Facts.Generator {
		t.Way = move.ByGenerator
		m.out.Way = string(t.Way)
	}
	var err error
	if t.Way != move.BySSHD {
		if seen.Socket, err = move.AskSocket(t.Unit); err != nil {
			return &move.Refusal{Reason: "systemd", Args: []string{err.Error()}}
		}
	}
	seen.Fronts = exposure.FrontEnds(m.snap.Rules)
	if slices.Contains(seen.Fronts, "firewalld") {
		// Without an answer its rules are somebody's whom monban cannot tell.
		seen.Zones, _ = move.AskZones()
	}
	if t.Way == move.BySocket {
		return nil
	}
	if _, err := readForEdit(t.Config); err != nil {
		return &move.Refusal{Reason: "config", Args: []string{err.Error()}}
	}
	if _, err := t.Ask("-t"); err != nil {
		return &move.Refusal{Reason: "sshd-test", Args: []string{err.Error()}}
	}
	if seen.Effective, err = t.Ask("-T"); err != nil {
		return &move.Refusal{Reason: "sshd-test", Args: []string{err.Error()}}
	}
	seen.Config, _, err = claims.Read(claims.Place{FS: host.Root(), Root: "/", Addrs: addresses(m.snap.Host)}, strings.TrimPrefix(t.Config, "/"))
	if err != nil {
		return &move.Refusal{Reason: "config", Args: []string{err.Error()}}
	}
	return nil
}

// readForEdit reads a file that has to be such that it can be changed.
func readForEdit(path string) ([]byte, error) {
	f, err := edit.Open(path)
	if err != nil {
		return nil, err
	}
	return f.Data, nil
}

// guarded looks whether monban guard keeps doors closed here.
func (m *moving) guarded(seen *move.Seen) *move.Refusal {
	// Where it cannot be read, the rules that are there are judged all the same.
	have, err := firewall.ReadGuard()
	switch {
	case err == nil && have.Trial != nil:
		return &move.Refusal{Reason: "guard-trial"}
	case err == nil && have.Table != nil:
		if seen.Saved, err = m.machine.Guard.Saved(); err != nil {
			return &move.Refusal{Reason: "guard", Args: []string{err.Error()}}
		}
	}
	return nil
}

// policyFile is the file of the saved policy with the new port in the old one's
// place; nil where the file says something else than what was saved, or cannot be
// changed.
func (m *moving) policyFile(seen *move.Seen) *move.File {
	saved := seen.Saved
	if guard.Trusted(saved.File) != nil {
		return nil
	}
	text, err := readForEdit(saved.File)
	if err != nil || len(text) > policyfile.MaxSize {
		return nil
	}
	p, err := policyfile.Read(text, saved.File, m.book, seen.Now)
	if err != nil || len(p.Doors) != len(saved.Policy.Doors) {
		return nil
	}
	old := monban.Port{Num: seen.Truth.Old, Proto: monban.TCP}
	after, alone := bytes.Clone(text), false
	for i := range p.Doors {
		d := p.Doors[i]
		if d.About() != saved.Policy.Doors[i].About() {
			return nil
		}
		alone = alone || d.Ports.First == old.Num && d.Ports.Last == old.Num && d.Ports.Contains(old)
		if !d.Ports.Contains(old) || d.Ports.Contains(monban.Port{Num: seen.New, Proto: monban.TCP}) {
			continue
		}
		d.Ports = monban.PortRange{First: seen.New, Last: seen.New, Proto: monban.TCP}
		if after, err = policyfile.Open(after, saved.File, m.book, seen.Now, d); err != nil {
			return nil
		}
	}
	if alone {
		if after, err = policyfile.Close(after, saved.File, m.book, seen.Now, monban.PortRange{First: old.Num, Last: old.Num, Proto: monban.TCP}); err != nil {
			return nil
		}
	}
	if bytes.Equal(after, text) {
		return nil
	}
	return &move.File{Path: saved.File, Before: text, Both: text, After: after}
}

// me are the names of whoever works here.
func (m *moving) me() []string {
	names := []string{"root", m.snap.Host.User}
	for _, key := range [...]string{"SUDO_USER", "DOAS_USER", "LOGNAME"} {
		if name := m.app.sys.Getenv(key); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// client is the command that comes in by the new port.
func (m *moving) client() string {
	user := m.me()[1]
	if name := m.app.sys.Getenv("SUDO_USER"); name != "" {
		user = name
	}
	at := m.snap.Host.Name
	if sessions, _ := guard.Sessions(m.app.sys.Getenv); len(sessions) > 0 {
		at = sessions[0].To.Addr().String()
	}
	return fmt.Sprintf("ssh -p %d %s@%s", m.out.New, user, at)
}
