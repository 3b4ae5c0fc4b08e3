package move

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban/internal/durable"
	"github.com/monban-dev/monban/internal/guard"
)

// backUnit is the name of what puts everything back.
const backUnit = "monban-move-back"

const serviceText = `# Written by "monban move ssh"; goes when the move is confirmed or put back.
[Unit]
Description=Put the SSH port back unless the new one was confirmed (monban move)
Documentation=man:monban-move(1)
RequiresMountsFor=/var/lib/monban PROGRAM
After=network.target ssh.service sshd.service ssh.socket sshd.socket monban-guard.service

[Service]
Type=oneshot
ExecStart=PROGRAM move rollback --trial ID

[Install]
WantedBy=multi-user.target
`

const timerText = `# Written by "monban move ssh"; goes when the move is confirmed or put back.
[Unit]
Description=The time for confirming the new SSH port (monban move)

[Timer]
OnActiveSec=SECONDS
AccuracySec=1s
`

const openrcText = `#!/sbin/openrc-run
# Written by "monban move ssh"; goes when the move is confirmed or put back.

description="Put the SSH port back unless the new one was confirmed (monban move)"

depend() {
	need localmount
	after sshd net
	keyword -stop
}

start() {
	ebegin "Putting the SSH port back"
	PROGRAM move rollback --trial ID
	eend $?
}
`

// pieces are the files of each manager, and the links that switch them on at boot.
func pieces(boot guard.Manager) (files map[string]string, links map[string]string) {
	switch boot {
	case guard.Systemd:
		return map[string]string{
			etcUnits + "/" + backUnit + ".service":   serviceText,
			runtimeUnits + "/" + backUnit + ".timer": timerText,
		}, map[string]string{etcUnits + "/multi-user.target.wants/" + backUnit + ".service": "../" + backUnit + ".service"}
	case guard.OpenRC:
		return map[string]string{"/etc/init.d/" + backUnit: openrcText}, map[string]string{"/etc/runlevels/default/" + backUnit: "/etc/init.d/" + backUnit}
	}
	return nil, nil
}

// arm sees to it that everything is put back when the time is over, and at the
// next boot, whatever becomes of this process. Under systemd that is a timer of
// systemd's; elsewhere a process of monban's in a session of its own, which no
// hang-up reaches.
func (m *Machine) arm(s *State) error {
	if strings.ContainsAny(m.Program, " \t\n\"'\\%$") || !filepath.IsAbs(m.Program) {
		return &fs.PathError{Op: "arm", Path: m.Program, Err: errors.New("not a plain path")}
	}
	if err := guard.Trusted(m.Program); err != nil {
		return err
	}
	left := max(time.Until(s.Due), time.Second)
	fill := strings.NewReplacer("PROGRAM", m.Program, "ID", s.ID, "SECONDS", strconv.Itoa(int(left.Round(time.Second).Seconds())))
	files, links := pieces(m.Boot)
	for path, text := range files {
		mode := fs.FileMode(0o644)
		if m.Boot == guard.OpenRC {
			mode = 0o755
		}
		if err := durable.Put(path, []byte(fill.Replace(text)), mode); err != nil {
			return err
		}
	}
	for path, target := range links {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if m.Boot == guard.Systemd {
		if err := m.command([]string{"systemctl", "daemon-reload"}); err != nil {
			return err
		}
		return m.command([]string{"systemctl", "start", backUnit + ".timer"})
	}
	return detach(m.Program, "move", "rollback", "--trial", s.ID, "--after", left.Round(time.Second).String())
}

// disarm takes away what would put everything back, and forgets the move. The
// record goes last but one: what the timer then finds is nothing to do.
func (m *Machine) disarm(s *State) error {
	if err := m.untie(s); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(m.Store.edits().Dir), durable.Forget(m.Store.File())); err != nil {
		return err
	}
	return m.unarm()
}

// unarm takes the units and links away.
func (m *Machine) unarm() error {
	files, links := pieces(m.Boot)
	var errs []error
	for path := range links {
		errs = append(errs, durable.Forget(path), emptied(filepath.Dir(path)))
	}
	some := false
	for path := range files {
		if _, err := os.Lstat(path); err == nil {
			some = true
		}
	}
	if m.Boot == guard.Systemd && some {
		errs = append(errs, m.command([]string{"systemctl", "stop", backUnit + ".timer"}))
	}
	for path := range files {
		errs = append(errs, durable.Forget(path))
	}
	if m.Boot == guard.Systemd && some {
		errs = append(errs, m.command([]string{"systemctl", "daemon-reload"}))
	}
	return errors.Join(errs...)
}
