package move

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/durable"
	"github.com/monban-dev/monban/internal/edit"
)

// record writes down what was there, before anything is changed.
func (m *Machine) record(s *State) error { return m.Store.save(s) }

// keep writes down that somebody came in by the new port.
func (m *Machine) keep(s *State) error {
	if s.Stage == Closing { // it was broken off, and goes on
		return m.guardKeep(s)
	}
	s.Stage = Closing
	if err := m.Store.save(s); err != nil {
		s.Stage = OnTrial
		return err
	}
	return m.guardKeep(s)
}

// writeBoth gives the files both doors, all of them or none.
func (m *Machine) writeBoth(s *State) error {
	return m.write(s, func(f *File) ([]byte, []byte) { return f.Before, f.Both })
}

// writeAfter takes the old door out of the files.
func (m *Machine) writeAfter(s *State) error {
	return m.write(s, func(f *File) ([]byte, []byte) { return f.Both, f.After })
}

// write changes files from one content to another. One that has the other already
// was written before the move was broken off.
func (m *Machine) write(s *State, want func(*File) (from, to []byte)) error {
	store := m.Store.edits()
	if err := m.settle(store); err != nil {
		return err
	}
	var changes []edit.Change
	for i := range s.Plan.Files {
		from, to := want(&s.Plan.Files[i])
		if bytes.Equal(from, to) {
			continue
		}
		f, err := edit.Open(s.Plan.Files[i].Path)
		if err != nil {
			return err
		}
		switch {
		case bytes.Equal(f.Data, to):
		case bytes.Equal(f.Data, from):
			changes = append(changes, edit.Change{File: f, Data: to})
		default:
			return &edit.Error{Path: f.Path, Problem: edit.Changed}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	_, err := store.Apply(changes, edit.Record{Dir: "/", At: time.Now()})
	return err
}

// settle takes back a change of files that was broken off in its middle.
func (m *Machine) settle(store *edit.Store) error {
	records, err := store.Records()
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(records) {
		if !r.Pending {
			continue
		}
		u, err := store.Undo(r)
		if err != nil {
			return err
		}
		if err := store.Revert(u); err != nil {
			return err
		}
	}
	return nil
}

// restore gives every file what it had, and reports whether anything may have been
// changed of what the server reads.
func (m *Machine) restore(s *State) (begun bool, err error) {
	store := m.Store.edits()
	records, err := store.Records()
	if err != nil {
		return false, err
	}
	begun = len(records) > 0
	for _, r := range slices.Backward(records) {
		u, err := store.Undo(r)
		if err != nil {
			return begun, err
		}
		if err := store.Revert(u); err != nil {
			return begun, err
		}
	}
	// A run that was killed in here has forgotten the records already.
	if s.Plan.Truth.Way != BySSHD {
		there, err := m.dropInsBack(s)
		return begun || there, err
	}
	return begun || len(m.Look(s.Plan.New).Doors) > 0, nil
}

// testBoth asks sshd whether it would start, and where it would listen then.
func (m *Machine) testBoth(s *State) error  { return m.test(s, s.Plan.Wanted) }
func (m *Machine) testAfter(s *State) error { return m.test(s, s.Plan.Left) }

func (m *Machine) test(s *State, want []netip.AddrPort) error {
	if _, err := s.Plan.Truth.Ask("-t"); err != nil {
		return err
	}
	out, err := s.Plan.Truth.Ask("-T")
	if err != nil {
		return err
	}
	have := effective(out)
	for _, list := range [...]*[]netip.AddrPort{&have, &want} {
		*list = slices.Clone(*list)
		slices.SortFunc(*list, netip.AddrPort.Compare)
		*list = slices.Compact(*list)
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("sshd -T says %v, and should say %v", have, want)
	}
	return nil
}

// verifyBoth reads a banner at each port, at every address of the old one.
func (m *Machine) verifyBoth(s *State) error {
	if err := m.answers(&s.Plan, s.Plan.New); err != nil {
		return err
	}
	return m.answers(&s.Plan, s.Plan.Truth.Old)
}

// verifyAfter sees that the old port is gone and the new one answers. In this
// order: until it has gone, the answer may still be that of the server that is about
// to start anew, and says nothing of the one that comes after (seen in a test, which
// met neither port open after the step).
func (m *Machine) verifyAfter(s *State) error {
	p := &s.Plan
	if err := m.gone(p.Truth.Old); err != nil {
		return err
	}
	return m.answers(p, p.New)
}

// gone waits until no SSH server listens at a port.
func (m *Machine) gone(port uint16) error {
	for deadline := time.Now().Add(m.wait()); ; time.Sleep(50 * time.Millisecond) {
		switch {
		case !slices.ContainsFunc(m.Look(port).Doors, func(d monban.Door) bool { return server(&d) && d.Bind.Port.Num == port }):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("port %d is still open", port)
		}
	}
}

func (m *Machine) wait() time.Duration {
	if m.Wait > 0 {
		return m.Wait
	}
	return 15 * time.Second
}

// absence is how long no server at all may listen, as while it starts anew.
const absence = 3 * time.Second

// answers reads a banner at a port of every address at which the old one is open.
func (m *Machine) answers(p *Plan, port uint16) error {
	seen := time.Now()
	for _, addr := range p.Truth.addresses() {
		for deadline := time.Now().Add(m.wait()); ; time.Sleep(50 * time.Millisecond) {
			err := banner(netip.AddrPortFrom(near(addr), port))
			if err == nil {
				break
			}
			if slices.ContainsFunc(m.Look(p.Truth.Old, p.New).Doors, func(d monban.Door) bool { return server(&d) }) {
				seen = time.Now()
			}
			if now := time.Now(); now.After(deadline) || now.Sub(seen) > absence {
				return err
			}
		}
	}
	return nil
}

// near is the address by which this machine itself knocks at a socket.
func near(addr netip.Addr) netip.Addr {
	switch {
	case addr == netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case addr == netip.IPv6Unspecified():
		return netip.IPv6Loopback()
	}
	return addr
}

// banner makes a new connection and reads who answers (RFC 4253 section 4.2: an
// SSH server may say other lines first).
func banner(at netip.AddrPort) error {
	c, err := net.DialTimeout("tcp", at.String(), 3*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	var said []byte
	part := make([]byte, 256)
	for len(said) < 8192 {
		n, err := c.Read(part)
		said = append(said, part[:n]...)
		if bytes.HasPrefix(said, []byte("SSH-")) || bytes.Contains(said, []byte("\nSSH-")) {
			return nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("closed without a banner")
			}
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return fmt.Errorf("%s: %.40q is no SSH banner", at, said)
}

// reached judges by the rules that are in force now whether whoever comes in at
// the old port comes in at the new one.
func (m *Machine) reached(s *State) error {
	p := &s.Plan
	snap := m.Look(p.Truth.Old, p.New)
	if snap.Rules == nil {
		return nil // it was said that nothing is known of the firewall
	}
	if b := barrier(&p.Truth, p.New, snap, snap.Rules); len(b.Who) > 0 {
		return refuse("blocked", strconv.Itoa(int(p.New)), b.text(), b.Rule.String(), strconv.Itoa(int(p.Truth.Old)))
	}
	return nil
}

// ungate takes a rule of another firewall's back. Its own command fails where the
// rule is not there, which is no error: the step may never have come.
func (m *Machine) ungate(g *Gate, kept bool) error {
	var gone *CommandError
	if err := m.command(g.Undo); err != nil && !errors.As(err, &gone) {
		return err
	}
	if kept && len(g.Unkeep) > 0 {
		if err := m.command(g.Unkeep); err != nil && !errors.As(err, &gone) {
			return err
		}
	}
	return nil
}

func (m *Machine) daemonReload(*State) error {
	return m.command([]string{"systemctl", "daemon-reload"})
}

// dropInBoth writes the drop-ins of the trial, which a reboot takes away.
func (m *Machine) dropInBoth(s *State) error {
	p := &s.Plan
	if err := durable.Put(p.trialPath(), []byte(p.trialDropIn()), 0o644); err != nil {
		return err
	}
	return m.tie(s)
}

// tie makes the service and its socket restart together.
func (m *Machine) tie(s *State) error {
	p := &s.Plan
	if p.Socket.Service == "" {
		return nil
	}
	return durable.Put(p.servicePath(), []byte(p.serviceDropIn()), 0o644)
}

// dropInAfter writes the drop-in that stays, and takes the ports out of the
// trial's: systemd would open them twice.
func (m *Machine) dropInAfter(s *State) error {
	p := &s.Plan
	if err := durable.Put(p.trialPath(), []byte(closingDropIn()), 0o644); err != nil {
		return err
	}
	if err := m.tie(s); err != nil || p.Truth.Way != BySocket {
		return err
	}
	return durable.Put(p.finalPath(), []byte(p.finalDropIn()), 0o644)
}

// dropInsBack takes the ports out of the drop-ins again, and reports whether there
// were any.
func (m *Machine) dropInsBack(s *State) (there bool, err error) {
	p := &s.Plan
	if _, err := os.Lstat(p.trialPath()); err == nil {
		there = true
	}
	if s.Stage == Closing && p.Truth.Way == BySocket {
		there = true
		if before := p.Socket.Final; before != nil {
			err = durable.Put(p.finalPath(), before, 0o644)
		} else {
			err = errors.Join(durable.Forget(p.finalPath()), emptied(filepath.Dir(p.finalPath())))
		}
	}
	if !there {
		return false, err
	}
	return true, errors.Join(err, durable.Forget(p.trialPath()), emptied(filepath.Dir(p.trialPath())))
}

// emptied removes a directory if nothing is in it.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return nil //nolint:nilerr // what is not there, or not ours alone, stays as it is
	}
	return durable.Forget(dir)
}

// untie removes the drop-ins of the trial.
func (m *Machine) untie(s *State) error {
	p := &s.Plan
	if p.Truth.Way == BySSHD {
		return nil
	}
	paths := []string{p.trialPath()}
	if p.Socket.Service != "" {
		paths = append(paths, p.servicePath())
	}
	some := false
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			some = true
			if err := errors.Join(durable.Forget(path), emptied(filepath.Dir(path))); err != nil {
				return err
			}
		}
	}
	if !some {
		return nil
	}
	return m.daemonReload(s)
}

// listener returns the process of sshd that listens at one of the ports, 0 if
// none does.
func (m *Machine) listener(p *Plan) int {
	snap := m.Look(p.Truth.Old, p.New)
	for i := range snap.Doors {
		if d := &snap.Doors[i]; d.State == monban.Listen && server(d) {
			for _, o := range d.Owners {
				if o.Name == "sshd" {
					return o.PID
				}
			}
		}
	}
	return 0
}
