//go:build unix

package move

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/monban-dev/monban/internal/guard"
)

// How long another run of monban may take: longer for a person to wait for than
// past the time at which everything should be put back.
const (
	lockWait    = time.Minute
	overdueWait = 20 * time.Second
)

// lock keeps two runs apart: the timer's and a person's. force is for the timer's:
// what has been at work for as long as that has been stopped in the middle, and is
// ended, so that everything can be put back.
func (s Store) lock(force bool) (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, "move.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	wait := lockWait
	if force {
		wait = overdueWait
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(50 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			// Always as long, so that a disk that has become full has the room. That
			// it failed hurts only whoever finds this process stopped.
			_, _ = f.WriteAt(fmt.Appendf(nil, "%-20d", os.Getpid()), 0)
			return func() { f.Close() }, nil
		}
		if force && time.Now().After(deadline) {
			force = false
			endHolder(f)
			deadline = time.Now().Add(lockWait)
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("%s: another monban move is at work: %w", f.Name(), err)
		}
	}
}

// endHolder ends the process that has written itself into the lock, and still has it.
func endHolder(f *os.File) {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil && pid > 1 && pid != os.Getpid() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may just have ended
	}
}

// detach starts a program in a session of its own.
func detach(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// reload makes the server open and close its doors. Sessions go on: each has its
// own process.
func (m *Machine) reload(s *State) error {
	t := &s.Plan.Truth
	if err := t.bindable(); err != nil {
		return err
	}
	switch {
	case t.Way != BySSHD:
		return m.command([]string{"systemctl", "restart", t.Unit})
	case t.Unit != "" && m.Boot == guard.Systemd:
		return m.command([]string{"systemctl", "reload", t.Unit})
	}
	pid := m.listener(&s.Plan)
	if pid == 0 {
		return errors.New("sshd is gone")
	}
	return syscall.Kill(pid, syscall.SIGHUP)
}

// restart is reload for the way back: a server that is not running any more is
// started.
func (m *Machine) restart(s *State) error {
	t := &s.Plan.Truth
	if err := t.bindable(); err != nil {
		return err
	}
	switch {
	case t.Way != BySSHD:
		return m.command([]string{"systemctl", "restart", t.Unit})
	case t.Unit != "" && m.Boot == guard.Systemd:
		return m.command([]string{"systemctl", "reload-or-restart", t.Unit})
	}
	if pid := m.listener(&s.Plan); pid != 0 {
		return syscall.Kill(pid, syscall.SIGHUP)
	}
	return detach(t.Exe, t.Args...)
}

// bindable asks the kernel whether sshd can listen anew at the addresses that it has.
// Those of a VPN may have gone, while its socket there lives on: told to read its
// configuration then, sshd ends ("Cannot bind any address", OpenSSH 9.2), and sshd -t
// does not mind.
func (t *Truth) bindable() error {
	if t.Way != BySSHD {
		return nil
	}
	for _, b := range t.Binds {
		addr := b.Addr
		if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" {
			addr = addr.WithZone(b.Device)
			if b.Device == "" {
				continue // of any link, so nobody can say
			}
		}
		if addr.IsUnspecified() {
			continue
		}
		l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
		if err != nil {
			return fmt.Errorf("sshd would end, because %s is no address of this machine now: %w", addr, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
